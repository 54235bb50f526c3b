"""The signal door: other sources' signals over HTTP on loopback, each checked and laid in its source's inbox.

It is a process of its own, so that no port leads into the trader: what is between them is a file.
"""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import orjson

from quant_organism.errors import InputError, IntegrityError
from quant_organism.trading.outside import LONGEST_LINE, OutsideSignal, SourceStore

PATH: Final = "/signals"
_PATIENCE_S: Final = 10.0


def signal_door(store: SourceStore, port: int) -> ThreadingHTTPServer:
    """Return a server on 127.0.0.1 that takes signals; call `serve_forever`.

    A signal is the body of `POST /signals` with `Authorization: Bearer TOKEN`: 202 where it lies in the inbox, 401
    without the token of the source that it names, 422 with the reason where it is refused. Whether it counts is decided
    at the next close, and written in the ledger.

    Parameters
    ----------
    store
        Sources and inboxes.
    port
        Of loopback; 0: any free one.

    Raises
    ------
    InputError
        The port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _PATIENCE_S  # whoever says nothing is hung up on

        def do_POST(self) -> None:
            status, said = self._answer()
            body = orjson.dumps(said)
            self.close_connection = True
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def _answer(self) -> tuple[int, dict[str, Any]]:
            length = self.headers.get("Content-Length", "")
            if self.path != PATH:
                return 404, {"what": f"signals are taken at {PATH}"}
            if not length.isascii() or not length.isdigit():
                return 411, {"what": "the request does not say how long it is"}
            if len(length) > 6 or int(length) > LONGEST_LINE:
                return 413, {"what": f"more than {LONGEST_LINE} bytes"}
            body = self.rfile.read(int(length))
            try:
                signal = OutsideSignal.of(body, where=f"POST {PATH}")
                source = store.sources().get(signal.source)
                scheme, _, token = self.headers.get("Authorization", "").partition(" ")
                if source is None or scheme != "Bearer" or not source.accepts_token(token):
                    return 401, {"what": "no such source with this token"}
                signal.check(source)
                store.deliver(signal)
            except InputError as error:
                return 422, {"what": error.what, "where": error.where, "remedy": error.remedy}
            except (IntegrityError, OSError) as error:
                return 503, {"what": f"the inbox cannot be written: {error}"}
            return 202, {"signal_id": signal.signal_id}

        def log_message(self, *_: object) -> None:
            """Say nothing: requests hold tokens."""

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise InputError(
            f"cannot be listened on: {error.strerror}", where=f"port {port}", remedy="choose another with --port"
        ) from error
    server.daemon_threads = True
    return server
