"""A recorder between a client and a venue: what is asked and answered, sent and pushed, without what is secret.

It stands on loopback in the venue's place and passes everything on as it is. What it writes is a line of JSON each:
`{"url", "request", "status", "response"}` for a request, as the fixtures of other clients have it, and
`{"url", "sent"}` or `{"url", "received"}` for a frame of a socket.
"""

import asyncio
import contextlib
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from quant_organism.errors import InputError
from quant_organism.simulator.server.http import read_body
from quant_organism.simulator.spec import MAX_BODY_BYTES

MAX_ANSWER_BYTES: Final = 32 << 20
MAX_FRAME_BYTES: Final = 8 << 20
SECONDS: Final = 30.0
NO_SIGNATURE: Final[Mapping[str, object]] = {"r": "0x0", "s": "0x0", "v": 27}
_ADDRESS: Final = re.compile(r"(?<![0-9a-zA-Z])(?:0x)?[0-9a-fA-F]{40}(?![0-9a-zA-Z])")
_LONG_HEX: Final = re.compile(r"(?<![0-9a-zA-Z])(?:0x)?[0-9a-fA-F]{60,}")
_HASHES: Final = frozenset({"hash"})


class Scrubber:
    """Takes out of a session what must not leave the house.

    Signatures are replaced by one that fits nothing, whatever looks like a key by zeros (hashes of the venue's blocks,
    under their own name, stay), and addresses by numbers: the same one by the same, all through the recording.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def __call__(self, value: Any, name: str = "") -> Any:
        """Return a value of JSON as it may be shown; `name` is the key that it stands under."""
        if name == "signature" or (isinstance(value, Mapping) and {"r", "s", "v"} <= value.keys()):
            return dict(NO_SIGNATURE)
        if name == "signatures":
            return []
        if isinstance(value, Mapping):
            return {self._text(str(key)): self(item, str(key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self(item, name) for item in value]
        if not isinstance(value, str) or name in _HASHES:
            return value
        return self._text(value)

    def _text(self, text: str) -> str:
        return _ADDRESS.sub(self._number, _LONG_HEX.sub("0x" + "0" * 64, text))

    def _number(self, found: re.Match[str]) -> str:
        address = found[0].lower().removeprefix("0x")
        return self._known.setdefault(address, f"0x{len(self._known) + 1:040x}")


class SessionFile:
    """A file that a session is written to, readable by its owner only and never larger than it may be.

    Parameters
    ----------
    path
        A file that does not exist yet.
    max_bytes
        What does not fit any more is left out, and counted.

    Raises
    ------
    InputError
        The file exists.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise InputError("the file exists", where=str(path), remedy="name another one") from error
        self._file, self._left, self._scrub = os.fdopen(descriptor, "wb"), max_bytes, Scrubber()
        self.written = self.left_out = 0

    def write(self, entry: Mapping[str, Any]) -> None:
        """Write an entry, scrubbed."""
        line = orjson.dumps(self._scrub(dict(entry))) + b"\n"
        if len(line) > self._left:
            self.left_out += 1
            return
        self._left -= len(line)
        self._file.write(line)
        self._file.flush()
        self.written += 1

    def close(self) -> None:
        """End the file."""
        self._file.close()


def read_session(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a recorded session in their order.

    Raises
    ------
    InputError
        A line is no entry.
    """
    entries = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            where = f"{path}, line {number}"
            raise InputError("no JSON", where=where, remedy="take the line out, or record again") from error
        entries.append(entry)
    return entries


def parse_target(text: str) -> str:
    """Return a text that is the base URL of a venue.

    Raises
    ------
    InputError
        It is no URL of HTTP, or more than host and port.
    """
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.username is not None:
        raise InputError(f"{text!r} is not a base URL", where="--to", remedy="write http://127.0.0.1:8800")
    return text


def recording_app(target: str, session: SessionFile) -> Starlette:
    """Return an application that passes everything on to a venue, and writes it down.

    Parameters
    ----------
    target
        Base URL of the venue, without a slash at its end.
    session
        Where it is written.
    """

    async def passed_on(request: Request) -> Response:
        body = await read_body(request, MAX_BODY_BYTES)
        if body is None:
            return Response("length limit exceeded", 413)
        url = f"{target}{request.url.path}"
        status, answer, kind = await asyncio.to_thread(_post, url, body, request.headers.get("content-type", ""))
        session.write({"url": url, "request": _json(body), "status": status, "response": _json(answer)})
        return Response(answer, status, media_type=kind)

    async def socket(client: WebSocket) -> None:
        url = f"{target.replace('http', 'ws', 1)}/ws"
        async with connect(url, max_size=MAX_FRAME_BYTES, ping_interval=None, open_timeout=SECONDS) as venue:
            await client.accept()
            await _both_ways(client, venue, lambda entry: session.write({"url": url, **entry}))

    post = [Route(path, passed_on, methods=["POST"]) for path in ("/info", "/exchange")]
    return Starlette(routes=[*post, WebSocketRoute("/ws", socket)])


async def _both_ways(client: WebSocket, venue: ClientConnection, note: Callable[[Mapping[str, Any]], None]) -> None:
    """Pass frames on until either side has had enough, then close the other."""

    async def outward() -> None:
        while True:
            frame = await client.receive_text()
            note({"sent": _json(frame.encode())})
            await venue.send(frame)

    async def inward() -> None:
        async for frame in venue:
            text = frame if isinstance(frame, str) else frame.decode(errors="replace")
            note({"received": _json(text.encode())})
            await client.send_text(text)

    running = [asyncio.create_task(outward()), asyncio.create_task(inward())]
    try:
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            with contextlib.suppress(WebSocketDisconnect, ConnectionClosed):
                task.result()
    finally:
        for task in running:
            task.cancel()
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # the client has closed already
            await client.close(venue.close_code or 1000)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What is signed is for the venue alone."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def _post(url: str, body: bytes, kind: str) -> tuple[int, bytes, str]:
    """Send a request to the venue; return status, body and content type of its answer; 502 where there is none."""
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            return answer.status, answer.read(MAX_ANSWER_BYTES), answer.headers.get("Content-Type", "")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(MAX_ANSWER_BYTES), error.headers.get("Content-Type", "")
    except OSError as error:
        return 502, str(error).encode(), "text/plain"


def _json(body: bytes) -> Any:
    """Return what a body says; one that is no JSON as its text."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode(errors="replace")
