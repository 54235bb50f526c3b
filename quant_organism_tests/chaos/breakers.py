"""Every circuit breaker of the client, seen to open when its component breaks, and to close when it is whole again."""

import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from pybreaker import STATE_CLOSED, STATE_OPEN

from quant_organism.simulator import Fault
from quant_organism.trading.orders import cloid_of
from quant_organism.venue import (
    Accepted,
    HyperliquidVenue,
    Limits,
    NewOrder,
    Rejected,
    VenueError,
    VenueSpec,
    Why,
    connect,
)
from quant_organism_tests.chaos.market import chaos_venue, chaos_wallet
from quant_organism_tests.chaos.session import Watching

FAILURES: Final = 5
SECONDS: Final = 0.3
BREAKAGES: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "http_status", "options": {"status": 503, "body": "<html>"}},
    {"kind": "http_status", "options": {"status": 429}},
    {"kind": "replace_answer", "options": {"body": "<html>"}},
    {"kind": "truncate_answer"},
)


def run_breakers(seed: int, folder: Path, rounds: int) -> Counter[tuple[str, str]]:
    """Break each component in every way, so many times; return the moves of the breakers.

    Raises
    ------
    AssertionError
        A breaker did not open, let something through, held back a cancel, or did not close.
    """
    wallet, watching = chaos_wallet(seed, "breaker"), Watching()
    with chaos_venue(seed, {wallet.address: 100_000}, speed=0.0, days=2, ticks_per_bar=12) as running:
        limits = Limits(10**6, 10**5, info_attempts=1, breaker_failures=FAILURES, breaker_seconds=SECONDS)
        venue = connect(VenueSpec("simulator", wallet.address, running.url, limits=limits), wallet, folder / "signers")
        for breaker in venue.transport.breakers.values():
            breaker.add_listener(watching)
        trials = {"info": lambda: _is_answered(venue), "exchange": lambda: _is_sent(venue)}
        assert set(trials) == set(venue.transport.breakers), "a breaker that is not tried here"
        try:
            for number in range(rounds):
                for component, works in trials.items():
                    fault = {**BREAKAGES[number % len(BREAKAGES)], "endpoint": component, "count": None}
                    injector, log = running.server.injector, running.server.injector.log
                    injector.add(Fault.model_validate(fault))
                    _break(venue, component, works)
                    struck = len(log)
                    assert not works(), f"{component} is left alone, and was spoken to"
                    assert len(log) == struck, f"a request came through the open breaker of {component}"
                    injector.clear()
                    (outcome,) = venue.cancel_oids([("ETH", 1)], venue.draw_nonce())
                    assert isinstance(outcome, Rejected), f"a cancel waits for a breaker: {outcome}"
                    assert outcome.why is Why.NOT_OPEN, f"a cancel waits for a breaker: {outcome}"
                    time.sleep(SECONDS)
                    assert works(), f"{component} is whole again, and is left alone still"
                    state = venue.transport.breakers[component].current_state
                    assert state == STATE_CLOSED, f"{component} is {state}"
        finally:
            venue.close()
    return watching.moves


def _break(venue: HyperliquidVenue, component: str, works: Callable[[], bool]) -> None:
    for _ in range(FAILURES):
        assert venue.transport.breakers[component].current_state == STATE_CLOSED
        works()
    state = venue.transport.breakers[component].current_state
    assert state == STATE_OPEN, f"{component} failed {FAILURES} times, and is {state}"


def _is_answered(venue: HyperliquidVenue) -> bool:
    try:
        venue.mids()
    except VenueError:
        return False
    return True


def _is_sent(venue: HyperliquidVenue) -> bool:
    nonce = venue.draw_nonce()
    order = NewOrder(cloid_of(str(nonce)), "ETH", True, Decimal(1_900), Decimal("0.1"))
    (outcome,) = venue.place([order], nonce)
    return isinstance(outcome, Accepted)
