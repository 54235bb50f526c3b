"""What a person or a test does to the venue from outside its wire: time, money, faults, snapshots; loopback only."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from quant_organism.errors import QuantOrganismError
from quant_organism.exchange.protocol.decimals import MICRO_USD, parse_wire, scaled, usd
from quant_organism.exchange.protocol.malformed import Malformed
from quant_organism.exchange.protocol.wire import parse_address, parse_int
from quant_organism.exchange.simulator.core.settlement import total_money
from quant_organism.exchange.simulator.faults.plan import parse_plan
from quant_organism.exchange.simulator.server.http import read_json
from quant_organism.exchange.simulator.server.info import find_dex
from quant_organism.exchange.simulator.server.venue_server import VenueServer

LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})


async def serve_admin(server: VenueServer, request: Request) -> Response:
    """Answer one request to /admin/...; what is wrong with it is said with 400."""
    if request.client is None or request.client.host not in LOOPBACK:
        return JSONResponse({"error": "only from this machine"}, 403)
    server.catch_up()
    name, method = request.path_params["name"], request.method
    try:
        if method == "GET" and name == "snapshot":
            return Response(server.engine.snapshot(), media_type="application/json")
        if method == "POST" and name == "restore":
            server.restore(await request.body())
            return JSONResponse(_state(server))
        if method == "GET":
            return JSONResponse(_look(server, name))
        body, refused = await read_json(request)
        if refused is not None:
            return refused
        return JSONResponse(_change(server, name, body if isinstance(body, Mapping) else {}))
    except QuantOrganismError as error:
        return JSONResponse({"error": str(error)}, 400)


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
    if name == "subaccount":
        account = server.engine.deposit(parse_address(body.get("user"), "user"), 0)
        account.master = parse_address(body.get("master"), "master")
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
        remedy="POST step, deposit, subaccount, volume, faults, clear_faults or restore",
    )


def _state(server: VenueServer) -> dict[str, Any]:
    world = server.engine.venue.world
    return {
        "time": server.engine.now_ms,
        "sockets": len(server.hub.sockets),
        "accounts": len(server.engine.venue.state.accounts),
        "unaccounted": usd(sum(abs(total_money(world, token)) for token in world.state.tokens)),
        "faults": len(server.injector.log),
    }
