"""What machines ask of a trader on 127.0.0.1: its metrics, whether it lives, and whether it may enter."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from quant_organism.errors import InputError
from quant_organism.monitoring.components import ComponentHealth, trader_health
from quant_organism.monitoring.trader_metrics import trader_registry
from quant_organism.trading import Mode

LOOPBACK: Final = "127.0.0.1"
_HOSTS: Final = (LOOPBACK, "localhost")
_WELL: Final = ("ok", "degraded")


def status_application(data_dir: Path, mode: Mode, now_ms: Callable[[], int]) -> Callable[..., Iterable[bytes]]:
    """Return the application: `/metrics`, `/healthz` and `/readyz`, to be asked by GET under a name of this machine.

    `/healthz` answers 200 while closes come and the ledger is whole; where it answers 503, a supervisor may start the
    trader again. `/readyz` answers 200 while nothing of the trader failed, is unknown or was ended. Both say in JSON
    how each component is.

    Parameters
    ----------
    data_dir
        The data folder.
    mode
        Whose ledger the metrics are of.
    now_ms
        UTC milliseconds.
    """
    metrics: Callable[..., Iterable[bytes]] = make_wsgi_app(trader_registry(data_dir, mode, now_ms))
    needed = {"/healthz": ("feed", "ledger"), "/readyz": ("feed", "venue", "ledger", "risk", "clock")}

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if environ.get("HTTP_HOST", "").partition(":")[0] not in _HOSTS:
            return _answer(start_response, "403 Forbidden", {"error": "only this machine is answered"})
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _answer(start_response, "405 Method Not Allowed", {"error": "only looking is possible here"})
        if path == "/metrics":
            return metrics(environ, start_response)
        if path not in needed:
            return _answer(start_response, "404 Not Found", {"error": "there are /metrics, /healthz and /readyz"})
        found = trader_health(data_dir, now_ms())
        is_well = all(one.status in _WELL for one in found if one.component in needed[path])
        return _answer(start_response, "200 OK" if is_well else "503 Service Unavailable", _told(found))

    return application


@contextmanager
def serving_status(data_dir: Path, mode: Mode, port: int) -> Iterator[int]:
    """Answer on 127.0.0.1, from threads of its own, for as long as it lasts; yield the port.

    Parameters
    ----------
    data_dir, mode
        As for `status_application`; the ledger may begin later.
    port
        0: one that is free.

    Raises
    ------
    InputError
        The port is taken.
    """
    application = status_application(data_dir, mode, lambda: time.time_ns() // 1_000_000)
    try:
        server = make_server(LOOPBACK, port, application, _Server, _Quiet)
    except OSError as error:
        raise InputError(f"port {port} cannot be used: {error}", where=LOOPBACK, remedy="choose another one") from error
    thread = Thread(target=server.serve_forever, name="trader-status", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _told(found: list[ComponentHealth]) -> dict[str, Any]:
    return {one.component: {"status": one.status, "found": one.found, "age_s": one.age_s} for one in found}


def _answer(start_response: Callable[..., Any], status: str, document: dict[str, Any]) -> Iterable[bytes]:
    body = json.dumps(document).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


class _Server(ThreadingMixIn, WSGIServer):
    """Answers each scrape in a thread; one that never ends holds up nobody."""

    daemon_threads = True
    allow_reuse_address = True


class _Quiet(WSGIRequestHandler):
    """Says nothing of each request, and waits for none longer than a scrape takes."""

    timeout = 10

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
