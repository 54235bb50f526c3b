"""/admin: what tests and their makers tell the venue from outside the wire, from this machine only."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from quant_organism.errors import QuantOrganismError
from quant_organism.simulator.core.settlement import total_money
from quant_organism.simulator.faults.plan import parse_plan
from quant_organism.simulator.server.http import read_body, read_json
from quant_organism.simulator.server.info import find_dex
from quant_organism.simulator.server.venue_server import VenueServer
from quant_organism.simulator.spec import MAX_SNAPSHOT_BYTES
from quant_organism.venue.protocol import MICRO_USD, Malformed, parse_address, parse_int, parse_wire, scaled, usd

HERE: Final = frozenset({"127.0.0.1", "::1", "localhost"})


async def serve_admin(server: VenueServer, request: Request) -> Response:
    """Answer one request to /admin/...; what is wrong with it is said with 400."""
    if not _is_from_here(request):
        return JSONResponse({"error": "only from this machine, and from no page of another origin"}, 403)
    server.catch_up()
    name, method = request.path_params["name"], request.method
    try:
        if method == "GET" and name == "snapshot":
            return Response(server.engine.snapshot(), media_type="application/json")
        if method == "POST" and name == "restore":
            snapshot = await read_body(request, MAX_SNAPSHOT_BYTES)
            if snapshot is None:
                return JSONResponse({"error": f"more than {MAX_SNAPSHOT_BYTES} bytes"}, 413)
            server.restore(snapshot)
            return JSONResponse(_state(server))
        if method == "GET":
            return JSONResponse(_look(server, name))
        body, refused = await read_json(request)
        if refused is not None:
            return refused
        return JSONResponse(_change(server, name, body if isinstance(body, Mapping) else {}))
    except QuantOrganismError as error:
        return JSONResponse({"error": str(error)}, 400)


def _is_from_here(request: Request) -> bool:
    """Say whether a request comes from this machine, means it by its Host, and from no page of another origin.

    A page of the web could have a browser of this machine send it, or have its own name lead here.
    """
    if request.client is None or request.client.host not in HERE:
        return False
    origin = request.headers.get("origin")
    return all(_host(text) in HERE for text in (f"//{request.headers.get('host', '')}", origin) if text is not None)


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:  # no URL at all
        return None


def _look(server: VenueServer, name: str) -> Any:
    if name == "faults":
        return server.injector.log
    if name == "state":
        return _state(server)
    raise Malformed(f"nothing is called {name!r}", where="admin", remedy="GET state, faults or snapshot")


def _change(server: VenueServer, name: str, body: Mapping[str, Any]) -> Any:
    if name == "step":
        to = server.engine.now_ms + parse_int(body["ms"], "ms") if "ms" in body else parse_int(body.get("to"), "to")
        server.step(to)
        return _state(server)
    if name == "deposit":
        amount = scaled(parse_wire(body.get("usd")), 6)
        if amount is None:
            raise Malformed("at most 6 decimals", where="usd")
        dex = find_dex(server.engine, body.get("dex"))
        if dex is None:
            raise Malformed(f"no dex is called {body.get('dex')!r}", where="dex")
        account = server.engine.deposit(parse_address(body.get("user"), "user"), amount, dex)
        return {"user": account.address, "crossRaw": usd(account.cross_raw[dex])}
    if name in ("subaccount", "vault"):
        account = server.engine.deposit(parse_address(body.get("user"), "user"), 0)
        account.master = parse_address(body.get("master"), "master")
        if name == "vault":
            account.shares = {} if account.shares is None else account.shares
        return {"user": account.address, "master": account.master}
    if name == "volume":
        account = server.engine.deposit(parse_address(body.get("user"), "user"), 0)
        account.volume = parse_int(body.get("usd"), "usd") * MICRO_USD
        return {"user": account.address, "volume": usd(account.volume)}
    if name == "faults":
        plan = parse_plan({"faults": [dict(body)]}, "request")
        return {"fault": server.add_fault(plan.faults[0])}
    if name == "clear_faults":
        server.clear_faults()
        return _state(server)
    raise Malformed(
        f"nothing is called {name!r}",
        where="admin",
        remedy="POST step, deposit, subaccount, vault, volume, faults, clear_faults or restore",
    )


def _state(server: VenueServer) -> dict[str, Any]:
    core = server.engine.venue.core
    return {
        "time": server.engine.now_ms,
        "sockets": len(server.hub.sockets),
        "accounts": len(server.engine.venue.state.accounts),
        "unaccounted": usd(sum(abs(total_money(core, token)) for token in core.state.tokens)),
        "faults": len(server.injector.log),
    }
