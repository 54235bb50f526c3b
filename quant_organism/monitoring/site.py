"""The report site: a few pages on a loopback port beside the web UI. It reads the data folder and changes nothing."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quant_organism.errors import InputError, QuantOrganismError
from quant_organism.monitoring import site_content as content
from quant_organism.monitoring.life import life_of, months_of, span_named
from quant_organism.monitoring.pages import IN_A_CELL, SCRIPT, page
from quant_organism.monitoring.plots import png
from quant_organism.monitoring.runs import choose_run, compare_runs, stored_runs
from quant_organism.monitoring.search_plots import regions_figure

_KINDS: Final = {".html": "text/html; charset=utf-8", ".png": "image/png", ".json": "application/json"}
_DRAWN: Final = "image/svg+xml"
_CELL_PX: Final = 520
_SHOWN_ELSEWHERE: Final = tuple((b"content-type", kind.encode()) for kind in (_KINDS[".png"], _DRAWN))
_START_SECONDS: Final = 30.0
_NO_PICTURES: Final[Mapping[str, bytes]] = MappingProxyType({})

# The one script of the pages is named by its hash, so that nothing else runs; styles stand in the pages.
_SCRIPT_HASH: Final = base64.b64encode(hashlib.sha256(f"\n{SCRIPT}".encode()).digest()).decode()

_OWN_SCRIPT: Final = re.compile(rb"<script>\n.*?</script>", re.DOTALL)

KeyPrefix = Callable[[str, str], Sequence[str]]

HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; script-src 'sha256-{_SCRIPT_HASH}'; style-src 'unsafe-inline'; img-src 'self' data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def plain_names(market: str, interval: str) -> Sequence[str]:
    """Return what the keys of a market's assets begin with where there is one market: nothing."""
    return ()


def report_site(data_dir: Path, dagster: str, key_prefix: KeyPrefix = plain_names) -> Starlette:
    """Return the application.

    Parameters
    ----------
    data_dir
        The data folder.
    dagster
        Address of the web UI, such as ``http://127.0.0.1:3000``, which pages lead back to.
    key_prefix
        Tells by market and interval what the keys of its assets begin with there.
    """

    def assets_of(market: str, interval: str) -> str:
        return "/".join((dagster, "assets", *key_prefix(market, interval)))

    def show(template: str, here: str, pictures: Mapping[str, bytes] = _NO_PICTURES, /, **known: Any) -> Response:
        return HTMLResponse(page(template, pictures, dagster=dagster, here=here, **known))

    def index(request: Request) -> Response:
        runs = content.cycles_of(data_dir)
        changes = content.changes(data_dir, runs)
        return show("site_index.html", "cycles", rows=[(run, run.summary()) for run in runs], changes=changes)

    def pool(request: Request) -> Response:
        return show("site_pool.html", "pool", pool=content.pool_of(data_dir))

    def strategies(request: Request) -> Response:
        return show("site_strategies.html", "strategies", documents=content.documents_of(data_dir))

    def strategy(request: Request) -> Response:
        id = request.path_params["id"]
        document = next((one for one in content.documents_of(data_dir) if one.id == id), None)
        if document is None:
            raise HTTPException(404)
        known = {
            "chart": content.strategy_chart(data_dir, document),
            "sheets": content.sheets_of(data_dir, document.id),
            "assets": assets_of(document.provenance.market, document.interval),
        }
        return show("site_strategy.html", "strategies", document=document, **known)

    def lives(request: Request) -> Response:
        return show("site_lives.html", "months", markets=months_of(data_dir))

    def life(request: Request) -> Response:
        asked = request.path_params
        try:
            told = life_of(data_dir, span_named(asked["market"], asked["interval"], asked["span"]))
        except InputError:
            raise HTTPException(404) from None
        assets = assets_of(asked["market"], asked["interval"])
        return show("site_life.html", "months", life=told, chart=content.life_chart(told), assets=assets)

    def compare(request: Request) -> Response:
        runs = stored_runs(data_dir)
        asked = [request.query_params.get(name, "") for name in ("a", "b")]
        chosen, problem = None, ""
        if all(asked):
            try:
                a, b = (choose_run(runs, name) for name in asked)
                asked = [a.name, b.name]
                chosen = (a, b, compare_runs(a, b))
            except InputError as error:
                problem = str(error)
        newest = ["", "", *(run.name for run in runs)][-2:]
        offered = [one or other for one, other in zip(asked, newest, strict=True)]
        known = {"runs": runs[::-1], "asked": offered, "chosen": chosen, "problem": problem}
        profiles = content.profiles_of(content.cycles_of(data_dir))
        return show("site_compare.html", "compare", profiles=profiles, medians=content.PROFILE_MEDIANS, **known)

    def side_by_side(request: Request) -> Response:
        asked = request.query_params.getlist("id")
        known = {"most": content.MOST_COMPARED, "asked": len(asked)}
        found = content.compare_strategies(data_dir, asked)
        return show("site_side_by_side.html", "strategies", found=found, **known)

    def regions(request: Request) -> Response:
        patterns = content.regions_of(data_dir)
        pictures = {"regions": png(regions_figure(patterns))} if patterns else _NO_PICTURES
        return show("site_regions.html", "regions", pictures, patterns=patterns)

    def audits(request: Request) -> Response:
        return show("site_audits.html", "audits", audits=content.audits_of(data_dir))

    def report(request: Request) -> Response:
        path = _inside(data_dir / "reports", request.path_params["path"])
        if path.suffix == ".png" and IN_A_CELL in request.query_params:
            return Response(_in_a_cell(path.read_bytes()), media_type=_DRAWN)
        if path.suffix != ".html":
            return Response(path.read_bytes(), media_type=_KINDS[path.suffix])
        asset = "tear_sheets" if path.parent.name == "tear_sheets" else "cycle_report"
        place = path.relative_to((data_dir / "reports").resolve()).parts
        assets = assets_of(place[0], place[1]) if len(place) > 2 else f"{dagster}/assets"
        return _with_navigation(path, "cycles", f"{assets}/{asset}")

    def audit(request: Request) -> Response:
        path = _inside(data_dir / "audits", request.path_params["path"])
        if path.suffix != ".html":
            return Response(path.read_bytes(), media_type=_KINDS[path.suffix])
        return _with_navigation(path, "audits", dagster)

    def _with_navigation(path: Path, here: str, back: str) -> Response:
        bar = page("site_bar.html", {}, dagster=back, here=here)
        shown = path.read_bytes().replace(b"<main>", bar + b"<main>", 1)
        # A page of an earlier version moves by today's script: no other may run.
        return HTMLResponse(_OWN_SCRIPT.sub(lambda _: f"<script>\n{SCRIPT}</script>".encode(), shown))

    found: dict[str, Callable[[Request], Response]] = {
        "/": index,
        "/pool": pool,
        "/strategies": strategies,
        "/strategies/{id}": strategy,
        "/life": lives,
        "/life/{market}/{interval}/{span}": life,
        "/compare": compare,
        "/regions": regions,
        "/compare/strategies": side_by_side,
        "/audits": audits,
        "/reports/{path:path}": report,
        "/audits/{path:path}": audit,
    }

    async def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        what = "There is no such page." if status == 404 else "Only looking is possible here."
        if isinstance(error, QuantOrganismError):
            what = str(error)
        return HTMLResponse(page("site_error.html", {}, dagster=dagster, here="", what=what), status_code=status)

    app = Starlette(
        routes=[Route(path, _in_thread(answer), methods=["GET"]) for path, answer in found.items()],
        middleware=[
            Middleware(_Guarded),
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
        ],
        exception_handlers={HTTPException: refused, QuantOrganismError: refused},
    )
    app.router.redirect_slashes = False
    return app


def _in_thread(answer: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(answer, request)

    return endpoint


def _inside(root: Path, asked: str) -> Path:
    """Return a file of a folder; what leads out of it, or is no page, picture or data, is not there."""
    try:
        path = (root / asked).resolve(strict=True)
    except (OSError, ValueError):
        raise HTTPException(404) from None
    if not path.is_relative_to(root.resolve()) or path.suffix not in _KINDS or not path.is_file():
        raise HTTPException(404)
    return path


def _in_a_cell(picture: bytes) -> bytes:
    """Return a PNG picture as a drawing as wide as a cell: made for dense screens, it is wider itself."""
    width, height = struct.unpack(">II", picture[16:24])
    shown = f'width="{_CELL_PX}" height="{round(_CELL_PX * height / width)}" viewBox="0 0 {width} {height}"'
    source = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    image = f'<image href="{source}" width="{width}" height="{height}"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {shown}>{image}</svg>'.encode()


class _Guarded:
    """Puts the security headers on every answer; pictures alone may be shown by pages of another origin.

    The web UI on the other port shows them, and to a browser two ports of an address without a name are not one site.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                shown = any(kind in message["headers"] for kind in _SHOWN_ELSEWHERE)
                own = HEADERS | ({"Cross-Origin-Resource-Policy": "cross-origin"} if shown else {})
                headers = [(name.lower().encode(), value.encode()) for name, value in own.items()]
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        await self._app(scope, receive, guarded)


@contextmanager
def serving_site(
    data_dir: Path, host: str, port: int, dagster: str, key_prefix: KeyPrefix = plain_names
) -> Iterator[str]:
    """Serve the report site in a thread of its own for as long as it lasts; yield its address.

    Raises
    ------
    InputError
        It did not begin to listen.
    """
    server = uvicorn.Server(
        uvicorn.Config(
            report_site(data_dir, dagster, key_prefix), host=host, port=port, log_level="error", lifespan="off"
        )
    )
    thread = threading.Thread(target=server.run, name="report-site", daemon=True)
    thread.start()
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise InputError(
                f"the report site cannot listen on port {port}", where=host, remedy="choose another --port"
            )
        time.sleep(0.02)
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=10.0)
