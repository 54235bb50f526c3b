"""POST /info and /exchange with the venue's status codes and bodies (reference: section 5)."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from email.utils import formatdate
from typing import Any, Final

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from quant_organism.simulator.faults.effects import without_last_status
from quant_organism.simulator.faults.plan import Fault
from quant_organism.simulator.server.info import Broken
from quant_organism.simulator.server.venue_server import VenueServer
from quant_organism.simulator.spec import MAX_BODY_BYTES
from quant_organism.venue.protocol import (
    Malformed,
    admission,
)

NOT_JSON: Final = "Failed to parse the request body as JSON"
NOT_TYPED: Final = "Failed to deserialize the JSON body into the target type"
WRONG_TYPE: Final = "Expected request with `Content-Type: application/json`"


async def read_json(request: Request) -> tuple[Any, Response | None]:
    """Return a request's JSON, or the response that refuses it."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return None, Response(WRONG_TYPE, 415)
    try:
        body = await read_body(request, MAX_BODY_BYTES)
        return (None, Response("length limit exceeded", 413)) if body is None else (orjson.loads(body), None)
    except (orjson.JSONDecodeError, ClientDisconnect):
        return None, Response(NOT_JSON, 400)


async def read_body(request: Request, most: int) -> bytes | None:
    """Return the bytes of a request, or None where they are more than so many."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)


async def serve(server: VenueServer, request: Request, endpoint: str) -> Response:
    """Answer one request, as faults leave the answer; its date is of the clock that judges nonces."""
    response = await _served(server, request, endpoint)
    response.headers["Date"] = formatdate(server.signing_time() / 1000, usegmt=True)
    return response


async def _served(server: VenueServer, request: Request, endpoint: str) -> Response:
    body, refused = await read_json(request)
    server.catch_up()
    for fault in server.injector.strike("request", server.circumstances(endpoint, body)):
        instead = await _before(server, request, fault)
        if instead is not None:
            return instead
    server.catch_up()
    if refused is not None:
        return refused
    status, answer, user = _answer(server, request, endpoint, body)
    if status != 200:
        return Response(answer, status)
    return await _after(server, request, endpoint, body, user, orjson.dumps(answer))


def _answer(server: VenueServer, request: Request, endpoint: str, body: Any) -> tuple[int, Any, str | None]:
    client = request.client.host if request.client else ""
    if not isinstance(body, Mapping):
        return 422, NOT_TYPED, None
    try:
        if endpoint == "info":
            answer = server.answer_info(body, orjson.dumps(body))
            allowed = server.take_weight(client, server.info_weight(body, answer))
            return (200, answer, None) if allowed else (429, "null", None)
        action = body.get("action")
        length = admission.batch_length(action if isinstance(action, Mapping) else {})
        if not server.take_weight(client, admission.exchange_weight(length)):
            return 429, "null", None
        answer, user = server.answer_exchange(body)
    except Malformed:
        return 422, NOT_TYPED, None
    except Broken:
        return 500, "null", None
    return 200, answer, user


async def _before(server: VenueServer, request: Request, fault: Fault) -> Response | None:
    if fault.kind == "latency":
        late = fault.number("ms", 1_000) + fault.number("jitter_ms", 0) * server.injector.draw(fault)
        await asyncio.sleep(late / 1000)
        return None
    if fault.kind == "reset_before":
        return _reset(server, request)
    headers = {str(key): str(value) for key, value in dict(fault.options.get("headers", {})).items()}
    return Response(str(fault.options.get("body", "null")), int(fault.number("status", 500)), headers)


async def _after(
    server: VenueServer, request: Request, endpoint: str, body: Any, user: str | None, content: bytes
) -> Response:
    response = Response(content, 200, media_type="application/json")
    for fault in server.injector.strike("answer", server.circumstances(endpoint, body, user)):
        if fault.kind == "answer_latency":
            await asyncio.sleep(fault.number("ms", 1_000) / 1000)
        elif fault.kind == "reset_after":
            return _reset(server, request)
        elif fault.kind == "drop_idle":
            asyncio.get_running_loop().call_later(fault.number("ms", 50) / 1000, _abort, server, request)
        elif fault.kind == "replace_answer":
            response = Response(str(fault.options.get("body", "")), int(fault.number("status", 200)))
        elif fault.kind == "truncate_answer":
            response = Response(content[: len(content) // 2], 200, media_type="application/json")
        elif fault.kind == "trickle_answer":
            return StreamingResponse(_trickle(content, fault.number("ms", 100)), media_type="application/json")
        elif fault.kind == "endless_answer":
            return StreamingResponse(_flood(content, int(fault.number("mb", 64))), media_type="application/json")
        elif fault.kind == "fewer_statuses":
            shorter = orjson.dumps(without_last_status(orjson.loads(content)))
            response = Response(shorter, 200, media_type="application/json")
    return response


async def _trickle(content: bytes, ms: float) -> AsyncIterator[bytes]:
    for byte in content:
        yield bytes([byte])
        await asyncio.sleep(ms / 1000)


async def _flood(content: bytes, mb: int) -> AsyncIterator[bytes]:
    yield content
    for _ in range(mb):
        yield b" " * 1_000_000


def _reset(server: VenueServer, request: Request) -> Response:
    _abort(server, request)
    return Response("")


def _abort(server: VenueServer, request: Request) -> None:
    client = request.client
    transport = None if client is None else server.transports.get((client.host, client.port))
    if transport is not None:
        transport.abort()
