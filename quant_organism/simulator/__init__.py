"""A local exchange that speaks Hyperliquid's wire.

`core` is the exchange itself, without sockets, clock or randomness; `market` moves prices and liquidity along recorded
or simulated bars; `server` is HTTP and WebSocket; `faults` makes all of it fail on purpose.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quant_organism.simulator.core.account import Account
    from quant_organism.simulator.core.book import SimulatedOrder
    from quant_organism.simulator.core.settlement import total_money
    from quant_organism.simulator.core.venue import SimulatedVenue
    from quant_organism.simulator.engine import Engine
    from quant_organism.simulator.faults.injector import FaultInjector
    from quant_organism.simulator.faults.plan import KINDS, Fault, FaultPlan, load_plan
    from quant_organism.simulator.market.driver import MarketSpec
    from quant_organism.simulator.market.tape import Tape, read_tape
    from quant_organism.simulator.opening import open_engine, parse_deposits, parse_dexs
    from quant_organism.simulator.server.recorder import SessionFile, parse_target, read_session
    from quant_organism.simulator.server.serving import (
        RunningRecorder,
        RunningVenue,
        listen,
        run_recorder,
        run_server,
    )
    from quant_organism.simulator.server.venue_server import VenueServer
    from quant_organism.simulator.spec import ServerSpec, VenueClock

__all__ = [
    "KINDS",
    "Account",
    "Engine",
    "Fault",
    "FaultInjector",
    "FaultPlan",
    "MarketSpec",
    "RunningRecorder",
    "RunningVenue",
    "ServerSpec",
    "SessionFile",
    "SimulatedOrder",
    "SimulatedVenue",
    "Tape",
    "VenueClock",
    "VenueServer",
    "listen",
    "load_plan",
    "open_engine",
    "parse_deposits",
    "parse_dexs",
    "parse_target",
    "read_session",
    "read_tape",
    "run_recorder",
    "run_server",
    "total_money",
]

_HOMES = {
    "Account": "core.account",
    "Engine": "engine",
    "Fault": "faults.plan",
    "FaultInjector": "faults.injector",
    "FaultPlan": "faults.plan",
    "KINDS": "faults.plan",
    "MarketSpec": "market.driver",
    "RunningRecorder": "server.serving",
    "RunningVenue": "server.serving",
    "ServerSpec": "spec",
    "SessionFile": "server.recorder",
    "SimulatedOrder": "core.book",
    "SimulatedVenue": "core.venue",
    "Tape": "market.tape",
    "VenueClock": "spec",
    "VenueServer": "server.venue_server",
    "listen": "server.serving",
    "load_plan": "faults.plan",
    "open_engine": "opening",
    "parse_deposits": "opening",
    "parse_dexs": "opening",
    "parse_target": "server.recorder",
    "read_session": "server.recorder",
    "read_tape": "market.tape",
    "run_recorder": "server.serving",
    "run_server": "server.serving",
    "total_money": "core.settlement",
}

# NumPy, polars and the web server take their time to load, and `--help` needs none of them.
if not TYPE_CHECKING:  # so that mypy knows the names above and no others

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            from importlib import import_module

            return getattr(import_module(f"quant_organism.simulator.{_HOMES[name]}"), name)
        raise AttributeError(f"module {__name__} has no attribute {name}")
