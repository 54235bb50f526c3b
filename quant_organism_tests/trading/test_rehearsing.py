"""Rehearsals: orders of a plan at a venue are as planned, booked as filled, and a difference is named."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from quant_organism.backtest import Costs
from quant_organism.simulator import RunningVenue, Tape
from quant_organism.trading.orders import Venue
from quant_organism.trading.rehearsing import rehearse
from quant_organism.validation import NotRun, VenueRehearsal
from quant_organism.venue import HyperliquidVenue, connect, wallet_of
from quant_organism.venue.client.account import Fill
from quant_organism.venue.protocol.decimals import MICRO_USD
from quant_organism_tests.simulator.conftest import make_server, small_tape
from quant_organism_tests.trading.trader import ADDRESS, KEY, new_order, spec

__all__ = ["small_tape"]

WANTED = [
    {"BTC": 0.10, "ETH": -0.05},
    {"BTC": -0.12, "ETH": 0.08, "DOGE": 0.03, "AAPL": 0.1},
]
"""What an account wants at two closes, as parts of its equity; the venue has never heard of AAPL."""


@dataclass
class Rehearsing:
    """A venue in stepped time, and a client of an account with 10,000 USD."""

    running: RunningVenue
    client: HyperliquidVenue
    folder: Path

    def pass_s(self, seconds: float) -> None:
        """Let the venue's time pass instead of this machine's."""
        engine = self.running.server.engine
        self.running.server.step(engine.now_ms + round(seconds * 1e3))

    def run(self, venue: Venue | None = None, wanted: Any = WANTED) -> VenueRehearsal | NotRun:
        """Rehearse; an order takes 20 ms by a clock that goes on by as much at every look."""
        ticks = itertools.count()
        return rehearse(
            venue or self.client,
            self.folder / "orders.sqlite",
            wanted,
            Costs(),
            network="simulator",
            visibility_seconds=1.0,
            now_ms=lambda: self.running.server.engine.now_ms,
            clock=lambda: next(ticks) * 0.02,
            sleep=self.pass_s,
        )

    @property
    def held(self) -> list[Any]:
        """Positions and open orders at the venue."""
        there = self.running.server.engine.venue.state.accounts[ADDRESS]
        return [*there.positions(), *there.open_oids]


@pytest.fixture
def desk(small_tape: Tape, tmp_path: Path) -> Iterator[Rehearsing]:
    """Serve a venue."""
    server = make_server(small_tape)
    server.engine.deposit(ADDRESS, 10_000 * MICRO_USD)
    with RunningVenue(server) as running:
        client = connect(spec(running.url), wallet_of(KEY), tmp_path / "signers")
        yield Rehearsing(running, client, tmp_path)
        client.close()


def test_orders_are_placed_and_booked_as_planned_and_nothing_is_left_open(desk: Rehearsing) -> None:
    found = desk.run()
    assert isinstance(found, VenueRehearsal)
    assert (found.differences, found.gaps, found.gap_usd) == ((), (), 0.0)
    assert (found.equal_share, found.plans, found.minutes >= 3.0) == (1.0, len(WANTED) + 1, True)
    assert found.orders >= 7  # both ways in three coins, and all of it closed
    assert found.orders - 1 <= found.filled <= found.orders  # an IOC may find nobody
    # What is left of it is closed by an order that no plan has asked for.
    assert found.orders <= len(found.latencies_ms) <= 2 * found.orders - found.filled
    assert found.latency_ms == pytest.approx(20.0)
    assert found.stated_usd > 0.0
    assert found.paid_usd > 0.0  # half of the spread, each time
    assert desk.held == []
    again = desk.run(wanted=WANTED[:1])  # the journal of the first one goes on
    assert isinstance(again, VenueRehearsal)
    assert again.equal_share == 1.0


class Misreporting:
    """A venue that tells of one fill otherwise than it was made, until it is asked about all of them at the end."""

    def __init__(self, venue: Venue, **wrong: Decimal) -> None:
        self._venue, self._wrong = venue, wrong
        self.told: Fill | None = None
        self._orders_asked = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    def order_status(self, key: str | int) -> Any:
        """Say it truly; this is asked for all orders once everything is closed."""
        self._orders_asked = self.told is not None and not self._venue.account().positions
        return self._venue.order_status(key)

    def fills(self, since_ms: int) -> list[Fill]:
        """Change the first one, always the same."""
        found = self._venue.fills(since_ms)
        if found and self.told is None:
            self.told = min(found, key=lambda fill: (fill.time_ms, fill.tid))
        if self.told is None or self._orders_asked:
            return found
        return [replace(fill, **self._wrong) if fill.tid == self.told.tid else fill for fill in found]


@pytest.mark.parametrize(
    ("wrong", "said"), [({"px": Decimal(79_999)}, "at 79999"), ({"fee": Decimal("7.5")}, "fee 7.5")]
)
def test_an_order_that_filled_otherwise_than_booked_fails_by_name(
    desk: Rehearsing, wrong: dict[str, Decimal], said: str
) -> None:
    venue = Misreporting(desk.client, **wrong)
    found = desk.run(venue, WANTED[:1])  # type: ignore[arg-type]
    assert isinstance(found, VenueRehearsal)
    assert venue.told is not None
    assert found.differing == 1
    (named,) = found.differences
    assert named.startswith(f"order {venue.told.cloid} of {venue.told.coin}: booked ")
    assert said in named.partition("the venue filled")[0]
    assert f"{venue.told.sz.normalize():f} at {venue.told.px.normalize():f}, fee {venue.told.fee}" in named
    assert found.equal_share == 1.0 - 1.0 / found.orders
    assert found.gap_usd > 0.01  # the money shows it as well
    assert found.gaps[0].startswith("cash: books and venue say ")
    assert found.score == 0.0
    assert desk.held == []


class Shrinking:
    """A venue that is given smaller orders than were planned."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.smaller = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    def place(self, orders: Any, nonce: int, **how: Any) -> Any:
        """Send the first entry with half of its size."""
        sent = list(orders)
        if not self.smaller and sent[0].tif == "Ioc" and not sent[0].reduce_only:
            self.smaller = sent[0].cloid
            sent[0] = replace(sent[0], sz=(sent[0].sz / 2).quantize(Decimal("0.0001")))
        return self._venue.place(sent, nonce, **how)


def test_an_order_of_another_size_than_planned_fails_by_name(desk: Rehearsing) -> None:
    venue = Shrinking(desk.client)
    found = desk.run(venue, WANTED[:1])  # type: ignore[arg-type]
    assert isinstance(found, VenueRehearsal)
    assert any(
        text.startswith(f"order {venue.smaller} of BTC: planned as buy ") and "at the venue buy" in text
        for text in found.differences
    )
    assert found.equal_share < 1.0
    assert desk.held == []


def test_nothing_is_rehearsed_where_something_is_held_or_nothing_is_listed(desk: Rehearsing) -> None:
    assert desk.run(wanted=[{"AAPL": 0.1}]) == NotRun("the venue lists none of AAPL")
    desk.client.place([new_order("by hand", px="3000", sz="0.05", tif="Ioc")], desk.client.draw_nonce())
    desk.pass_s(5.0)
    found = desk.run()
    assert isinstance(found, NotRun)
    assert desk.held
