"""What a client says on its WebSocket, and how it is answered."""

import asyncio
import contextlib
from typing import Any, Final

import orjson
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from quant_organism.simulator.faults.injector import Circumstances
from quant_organism.simulator.server.hub import NORMAL_CLOSURE, Socket
from quant_organism.simulator.server.info import Broken
from quant_organism.simulator.server.subscriptions import SocketSubscription, parse_subscription
from quant_organism.simulator.server.venue_server import VenueServer
from quant_organism.venue.protocol import Malformed, admission

GREETING: Final = "Websocket connection established."
MAX_MESSAGE: Final = 1 << 16


async def serve_socket(server: VenueServer, websocket: WebSocket) -> None:
    """Serve one WebSocket until either side ends it."""
    for fault in server.injector.strike("handshake", Circumstances("ws")):
        await websocket.send_denial_response(Response("null", int(fault.number("status", 503))))
        return
    if len(server.hub.sockets) >= server.spec.connections:
        await websocket.send_denial_response(Response("null", 429))
        return
    await websocket.accept()
    client = websocket.client
    transport = None if client is None else server.transports.get((client.host, client.port))
    socket = Socket(websocket, transport, server.injector, server.spec.queue_messages)
    server.hub.sockets.add(socket)
    if server.spec.greeting:
        socket.queue([GREETING])
    tasks = [asyncio.create_task(work) for work in (socket.write(), _read(server, socket), _watch_idle(server, socket))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.hub.forget(socket)
        if client is not None:
            server.transports.pop((client.host, client.port), None)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await task


async def _read(server: VenueServer, socket: Socket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        received = await socket.websocket.receive()
        if received["type"] == "websocket.disconnect":
            return
        now = loop.time()
        socket.received.append(now)
        while socket.received and socket.received[0] < now - 60:
            socket.received.popleft()
        if len(socket.received) > server.spec.messages_per_minute:
            socket.close(NORMAL_CLOSURE)
            continue
        _hear(server, socket, received.get("text") or received.get("bytes") or "")


async def _watch_idle(server: VenueServer, socket: Socket) -> None:
    """Close a socket to which nothing was sent for too long, one that keeps silence too."""
    loop, limit = asyncio.get_running_loop(), server.spec.idle_seconds
    while True:
        left = socket.last_sent + limit - loop.time()
        if left <= 0 and not socket.is_silent:
            socket.close(NORMAL_CLOSURE)
            return
        await asyncio.sleep(max(left, limit / 10))


def _hear(server: VenueServer, socket: Socket, text: str | bytes) -> None:
    """Do what one message asks for; what cannot be read is answered with an error and changes nothing."""
    server.catch_up()
    try:
        message = orjson.loads(text) if len(text) <= MAX_MESSAGE else None
    except orjson.JSONDecodeError:
        message = None
    method = message.get("method") if isinstance(message, dict) else None
    if message is None or method not in ("ping", "subscribe", "unsubscribe", "post"):
        _error(socket, f"Error parsing JSON into valid websocket request: {_shown(text)}")
        return
    sub = _read_subscription(server, message.get("subscription")) if method in ("subscribe", "unsubscribe") else None
    if method in ("subscribe", "unsubscribe") and sub is None:
        _error(socket, f"Invalid subscription {_shown(orjson.dumps(message.get('subscription')))}")
        return
    withheld, late_ms = _struck(server, socket, method, sub)
    if socket.is_silent or withheld == "gone":
        return
    if method == "ping":
        if withheld != "pong":
            socket.send({"channel": "pong"})
    elif method == "post":
        _post(server, socket, message)
    elif sub is not None and withheld != "subscription":
        _change(server, socket, sub, message, acknowledged=withheld != "ack", late_ms=late_ms)


def _struck(
    server: VenueServer, socket: Socket, method: str, sub: SocketSubscription | None
) -> tuple[str | None, float]:
    """Let the faults of a socket strike; return what is withheld for them, and how late an acknowledgement comes."""
    coins = frozenset() if sub is None or sub.coin is None else frozenset({sub.coin})
    kind = method if sub is None else sub.kind
    withheld: str | None = None
    late_ms = 0.0
    where = Circumstances("ws", kind, coins, None if sub is None else sub.user, None if sub is None else sub.channel)
    for fault in server.injector.strike("socket", where):
        if fault.kind == "close_socket":
            socket.close(int(fault.number("code", NORMAL_CLOSURE)))
            withheld = "gone"
        elif fault.kind == "abort_socket":
            socket.abort()
            withheld = "gone"
        elif fault.kind == "silence_socket":
            socket.is_silent = True
        elif fault.kind == "withhold_pong":
            withheld = "pong"
        elif fault.kind == "withhold_ack":
            withheld = "ack"
        elif fault.kind == "delay_ack":
            late_ms = fault.number("ms", 1_000)
        elif fault.kind == "refuse_subscription":
            _error(socket, f"Invalid subscription {kind}")
            withheld = "subscription"
    return withheld, late_ms


def _change(
    server: VenueServer,
    socket: Socket,
    sub: SocketSubscription,
    message: dict[str, Any],
    *,
    acknowledged: bool,
    late_ms: float,
) -> None:
    said, method = message["subscription"], message["method"]
    if method == "unsubscribe":
        if sub not in socket.subscriptions:
            _error(socket, f"Already unsubscribed: {_shown(orjson.dumps(said))}")
            return
        server.hub.leave(socket, sub)
    elif sub in socket.subscriptions:
        _error(socket, f"Already subscribed: {_shown(orjson.dumps(said))}")
        return
    elif len(socket.subscriptions) >= server.spec.subscriptions:
        _error(socket, "Cannot subscribe to more channels.")
        return
    elif sub.user is not None and len(socket.users | {sub.user}) > server.spec.users:
        _error(socket, f"Cannot track more than {server.spec.users} total users.")
        return
    else:
        server.hub.join(socket, sub)
    echo = {"channel": "subscriptionResponse", "data": {"method": method, "subscription": sub.echo(said)}}
    if late_ms:
        asyncio.get_running_loop().call_later(late_ms / 1000, socket.send, echo)
    elif acknowledged:
        socket.send(echo)
    if method == "subscribe":
        server.hub.greet(socket, sub)


def _post(server: VenueServer, socket: Socket, message: dict[str, Any]) -> None:
    """Answer /info or /exchange over the socket."""
    number, request = message.get("id"), message.get("request")
    kind = request.get("type") if isinstance(request, dict) else None
    payload = request.get("payload") if isinstance(request, dict) else None
    if not isinstance(number, int) or kind not in ("info", "action") or not isinstance(payload, dict):
        _error(socket, f"Error parsing JSON into valid websocket request: id={number}")
        return
    host = socket.websocket.client.host if socket.websocket.client else ""
    try:
        if kind == "info":
            answer = server.answer_info(payload, orjson.dumps(payload))
            allowed = server.take_weight(host, server.info_weight(payload, answer))
            shown: Any = {"type": "info", "payload": {"type": payload.get("type"), "data": answer}}
        else:
            action = payload.get("action")
            length = admission.batch_length(action if isinstance(action, dict) else {})
            allowed = server.take_weight(host, admission.exchange_weight(length))
            shown = {"type": "action", "payload": server.answer_exchange(payload)[0] if allowed else None}
    except Malformed:
        allowed, shown = True, {"type": "error", "payload": "Failed to deserialize the JSON body into the target type"}
    except Broken:
        allowed, shown = True, {"type": "error", "payload": "null"}
    if not allowed:
        shown = {"type": "error", "payload": "429 Too Many Requests"}
    socket.send({"channel": "post", "data": {"id": number, "response": shown}})


def _read_subscription(server: VenueServer, said: object) -> SocketSubscription | None:
    try:
        return parse_subscription(server.engine, said)
    except Malformed:
        return None


def _error(socket: Socket, text: str) -> None:
    socket.send({"channel": "error", "data": text})


def _shown(text: str | bytes) -> str:
    shown = text.decode(errors="replace") if isinstance(text, bytes) else text
    return shown[:500].encode(errors="replace").decode()
