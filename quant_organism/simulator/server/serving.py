"""The venue on a port: an ASGI application under uvicorn, in the foreground or in a thread of its own."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any, Final, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from quant_organism.errors import InputError
from quant_organism.simulator.faults.injector import Circumstances
from quant_organism.simulator.server import http
from quant_organism.simulator.server.admin import serve_admin
from quant_organism.simulator.server.connection import MAX_MESSAGE, serve_socket
from quant_organism.simulator.server.recorder import SessionFile, recording_app
from quant_organism.simulator.server.venue_server import TICK_SECONDS, VenueServer

HOST: Final = "127.0.0.1"
_START_SECONDS: Final = 30.0


def make_app(server: VenueServer) -> Starlette:
    """Return the application of a venue; its time goes on while it runs."""

    async def info(request: Request) -> Response:
        return await http.serve(server, request, "info")

    async def exchange(request: Request) -> Response:
        return await http.serve(server, request, "exchange")

    async def admin(request: Request) -> Response:
        return await serve_admin(server, request)

    async def websocket(connection: WebSocket) -> None:
        await serve_socket(server, connection)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        server.loop = asyncio.get_running_loop()
        ticking = asyncio.create_task(_tick(server))
        yield
        server.loop = None
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking

    routes = [
        Route("/info", info, methods=["POST"]),
        Route("/exchange", exchange, methods=["POST"]),
        Route("/admin/{name}", admin, methods=["GET", "POST"]),
        WebSocketRoute("/ws", websocket),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def run_server(server: VenueServer, listener: socket.socket) -> None:
    """Serve on a bound socket until the process is interrupted."""
    uvicorn.Server(_config(server)).run(sockets=[listener])


def run_recorder(target: str, session: SessionFile, listener: socket.socket) -> None:
    """Stand between clients and a venue on a bound socket until the process is interrupted."""
    uvicorn.Server(_recorder_config(target, session)).run(sockets=[listener])


class _Running:
    """An application that is served from a thread; a context manager."""

    def __init__(self, config: uvicorn.Config, host: str, port: int) -> None:
        self._listener = listen(host, port)
        self.url = f"http://{host}:{self._listener.getsockname()[1]}"
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._uvicorn.run, kwargs={"sockets": [self._listener]}, name="venue", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        waited = threading.Event()
        for _ in range(int(_START_SECONDS / 0.01)):
            if self._uvicorn.started:
                return self
            waited.wait(0.01)
        raise TimeoutError(f"the venue did not start within {_START_SECONDS:.0f} s")

    def __exit__(self, *_: object) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(timeout=10)
        self._listener.close()


class RunningVenue(_Running):
    """A venue that is served from a thread; a context manager.

    Parameters
    ----------
    server
        The venue.
    host, port
        Where; port 0: any free one.

    Attributes
    ----------
    url
        Base URL, without a slash at its end.
    """

    def __init__(self, server: VenueServer, host: str = HOST, port: int = 0) -> None:
        self.server = server
        super().__init__(_config(server), host, port)


class RunningRecorder(_Running):
    """A recorder between clients and a venue, served from a thread; a context manager.

    Parameters
    ----------
    target
        Base URL of the venue.
    session
        What is written down.
    host, port
        Where; port 0: any free one.

    Attributes
    ----------
    url
        Base URL for the clients, without a slash at its end.
    """

    def __init__(self, target: str, session: SessionFile, host: str = HOST, port: int = 0) -> None:
        super().__init__(_recorder_config(target, session), host, port)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises
    ------
    InputError
        The address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise InputError(
            f"cannot be listened on: {error.strerror}", where=f"{host}:{port}", remedy="choose another port; 0 is any"
        ) from error
    listener.listen(128)
    return listener


def _config(server: VenueServer) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(server),
        http=_protocol(server),
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE,
        ws_ping_interval=None,
        log_config=None,
        access_log=False,
        date_header=False,
        lifespan="on",
        timeout_keep_alive=65,
        timeout_graceful_shutdown=2,
    )


def _recorder_config(target: str, session: SessionFile) -> uvicorn.Config:
    return uvicorn.Config(
        recording_app(target, session),
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE,
        ws_ping_interval=None,
        log_config=None,
        access_log=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=2,
    )


def _protocol(server: VenueServer) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol with a list of its connections, so that faults can refuse and reset them."""

    class Connection(HttpToolsProtocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if self.client is not None:
                server.transports[self.client] = transport
            if server.injector.strike("connection", Circumstances()):
                transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            if self.client is not None:
                server.transports.pop(self.client, None)
            super().connection_lost(exc)

    return Connection


async def _tick(server: VenueServer) -> None:
    while True:
        server.catch_up()
        await asyncio.sleep(TICK_SECONDS)
