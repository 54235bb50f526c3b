"""Plans carried out at a venue: the account is the venue's to the micro-USD, whatever breaks, and nothing is bare."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quant_organism.backtest.account import (
    STOP,
    TARGET,
    AccountBar,
    AccountBook,
    AccountClose,
    AccountFill,
    AccountReject,
    AccountRules,
    HandRelease,
    LegKey,
    LegLevels,
    Plan,
    PlanSent,
    RiskState,
    TradingHalted,
    book,
    plan,
)
from quant_organism.simulator import RunningVenue, Tape
from quant_organism.trading import LiveExecution
from quant_organism.trading.live import CLOSE_AFTER_SECONDS, PROTECT_SECONDS
from quant_organism.trading.live_orders import traded_asset
from quant_organism.trading.orders import NotFlat, OrderManager, reconcile
from quant_organism.trading.orders.states import HOUSE, OrderRecord
from quant_organism.venue import quantised_price
from quant_organism.venue.protocol import wire
from quant_organism.venue.protocol.decimals import MICRO_USD
from quant_organism_tests.chaos.books import check_journal_is_venue
from quant_organism_tests.simulator.conftest import make_server, small_tape
from quant_organism_tests.trading.trader import ADDRESS, KEY, D, close, new_order, open_manager

__all__ = ["small_tape"]

SYMBOLS = ("BTC", "DOGE", "ETH")
HOUR = 3_600_000
RULES = AccountRules()


class Killed(BaseException):
    """The process is gone at this request."""


@dataclass
class Saved:
    """What a trader keeps in one piece."""

    account: str = ""
    execution: str = ""


@dataclass
class Desk:
    """One account at a served venue, traded by units that are drawn; what a trader does at each bar."""

    running: RunningVenue
    folder: Path
    rng: np.random.Generator
    saved: Saved = field(default_factory=Saved)
    manager: OrderManager = field(init=False)
    live: LiveExecution = field(init=False)
    account: AccountBook = field(init=False)
    made: Plan | None = None
    entries: dict[LegKey, float] = field(default_factory=dict)
    far: float = 0.05
    key: str = KEY
    address: str = ADDRESS

    @property
    def engine(self) -> Any:
        """The venue."""
        return self.running.server.engine

    @property
    def there(self) -> Any:
        """The account at the venue."""
        return self.engine.venue.state.accounts[self.address]

    def connect(self) -> None:
        """Begin as a process does: compare, then take up what was saved, or open anew."""
        self.manager = open_manager(self.running.url, self.folder, key=self.key, address=self.address)
        reconcile(self.manager)
        self.live = LiveExecution(self.manager, now_ms=lambda: self.engine.now_ms, sleep=lambda seconds: None)
        if self.saved.account:
            self.account = AccountBook.from_dict(json.loads(self.saved.account))
            self.live.restore(json.loads(self.saved.execution))
        else:
            self.account = self.live.open("live", RULES, 0)
            self.account.assets |= {symbol: traded_asset(self.manager.venue.listed(symbol)) for symbol in SYMBOLS}
            self.account.risk = RiskState.seeded([0.0052, -0.0052] * 30, RULES)  # so that it trades from the first day
            self.save()

    def save(self) -> None:
        """Keep the account with its execution."""
        self.saved = Saved(json.dumps(self.account.to_dict()), json.dumps(self.live.state()))

    def levels(self, opens: Mapping[str, float], /) -> dict[LegKey, LegLevels]:
        """Return a stop and a target around the price of the last decision of each leg."""
        return {
            key: LegLevels(px * (1 - np.sign(units) * self.far), px * (1 + np.sign(units) * self.far * 2))
            for key, units in self.account.units.items()
            for px in (self.entries.get(key, opens.get(key[2], 0.0)),)
        }

    def decide(self) -> Plan:
        """Draw what two members want, and plan."""
        prices = {coin: float(px) for coin, px in self.manager.venue.mids().items()}
        units: dict[LegKey, float] = {}
        for member in ("m1", "m2"):
            for symbol in SYMBOLS:
                key = ("s", member, symbol)
                if self.rng.random() < 0.7:
                    units[key] = float(self.rng.choice([-1, 1]) * self.rng.uniform(0.02, 0.2) / prices[symbol])
                    self.entries[key] = prices[symbol]
        return plan(self.account, AccountClose(self.engine.now_ms, prices, units, {"s": 1.0}))

    def bar(self) -> AccountBar:
        """Return a bar; a live execution looks at none of it."""
        return AccountBar(self.engine.now_ms, *({} for _ in range(8)))

    def step(self) -> list[object]:
        """Finish a bar, plan at its close, save, and begin the next."""
        events: list[object] = []
        if self.made is not None:
            events += self.live.finish(self.account, self.made, self.bar(), self.levels)
        self.made = self.decide()
        self.save()
        events += self.live.begin(self.account, self.made, self.levels)
        self.save()
        return events

    def watch(self) -> list[object]:
        """See to what came, as a trader does every second."""
        made = self.made or plan(self.account, AccountClose(0, {}, {}, {}))
        return self.live.watch(self.account, made, self.levels)

    def asked(self) -> list[str]:
        """Return what the venue is asked from now on, as it is asked."""
        transport, asked = self.manager.venue.transport, []  # type: ignore[attr-defined, var-annotated]
        original = transport._post

        def post(path: str, body: Any, where: str) -> Any:
            asked.append(where)
            return original(path, body, where)

        transport._post = post
        return asked

    def pass_ms(self, milliseconds: int) -> None:
        """Let the venue's time pass."""
        self.running.server.step(self.engine.now_ms + milliseconds)

    def check(self) -> None:
        """Assert that account, journal and venue are one, and that everything held has its stop."""
        assert self.live.differences(self.account) == {}
        check_journal_is_venue(self.manager, self.engine.venue, self.there)
        for asset, held in self.there.positions():
            listing = self.engine.venue.state.listings[asset]
            orders = [self.engine.venue.state.orders[oid] for oid in self.there.open_oids]
            stops = [order for order in orders if order.asset == asset and order.trigger and order.trigger.tpsl == "sl"]
            assert [order.sz for order in stops] == [abs(held.szi)], listing.instrument.name
            assert all(order.reduce_only and order.is_buy == (held.szi < 0) for order in stops)
        profit = sum(sub.profit(self.account.marks) for sub in self.account.sub_accounts)
        assert self.account.capital + profit == self.account.equity()


@pytest.fixture
def desk(small_tape: Tape, tmp_path: Path) -> Iterator[Desk]:
    """Trade an account with 10,000 USD."""
    server = make_server(small_tape)
    server.engine.deposit(ADDRESS, 10_000 * MICRO_USD)
    with RunningVenue(server) as running:
        world = Desk(running, tmp_path, np.random.default_rng(5))
        world.connect()
        yield world
        close(world.manager)


def test_what_is_delisted_is_booked_held_and_not_traded_any_more(desk: Desk) -> None:
    """The venue ends an asset's orders; nothing is sent there from then on, and the others are traded and protected."""
    for _ in range(4):
        desk.step()
        desk.pass_ms(HOUR)
    assert desk.account.positions
    symbol = sorted(desk.account.positions)[0]
    asset = desk.manager.venue.listed(symbol).asset
    listing = desk.engine.venue.state.listings[asset]
    listing.instrument = replace(listing.instrument, is_delisted=True)
    desk.engine.venue.delist(asset)
    held, sent = desk.account.positions[symbol], len(desk.there.history)
    events = desk.step()
    assert [event for event in events if isinstance(event, TradingHalted)] == [TradingHalted(symbol)]
    desk.pass_ms(HOUR)
    later = desk.step()
    assert not any(isinstance(event, TradingHalted) for event in later)
    assert desk.account.gone == {symbol}
    assert desk.account.positions[symbol] == held
    assert desk.made is not None
    assert symbol not in {order.symbol for order in desk.made.orders}
    assert len(desk.there.history) > sent
    state = desk.engine.venue.state
    resting = [state.orders[oid] for oid in desk.there.open_oids]
    stops = {
        state.listings[each.asset].instrument.name for each in resting if each.trigger and each.trigger.tpsl == "sl"
    }
    assert stops == set(desk.account.positions) - {symbol}
    assert desk.live.differences(desk.account) == {}
    again = AccountBook.from_dict(json.loads(json.dumps(desk.account.to_dict())))
    assert again.gone == {symbol}


def test_a_day_of_plans_is_the_venues_to_the_micro_usd(desk: Desk) -> None:
    """Orders at the plan's limits and under its ids, fills, fees and funding: twelve hours of two members."""
    kinds: set[str] = set()
    desk.far = 0.003
    for _ in range(12):
        events = desk.step()
        desk.check()
        kinds |= {event.kind for event in events if isinstance(event, AccountFill)}
        assert desk.made is not None
        for order in desk.made.orders:
            record = desk.manager.journal.order(order.cloid)
            asset = desk.account.assets[order.symbol]
            assert order.cloid.startswith(HOUSE)
            assert (record.order.tif, record.order.is_buy) == ("Ioc", order.lots > 0)
            assert float(record.order.px) == pytest.approx(asset.price(order.limit), rel=1e-12)
        desk.pass_ms(HOUR)
    desk.live.finish(desk.account, desk.made, desk.bar(), desk.levels)
    assert desk.live.differences(desk.account) == {}
    assert {"ioc", "stop"} <= kinds
    assert len(desk.there.fundings) > 10


def kill_at(desk: Desk, count: int) -> None:
    """Kill the process at one of its next requests, before or after it is processed."""
    transport = desk.manager.venue.transport  # type: ignore[attr-defined]
    original, left = transport._post, [count]

    def post(path: str, body: Any, where: str) -> Any:
        left[0] -= 1
        if left[0] == 0:
            if desk.rng.random() < 0.5:
                original(path, body, where)
            raise Killed
        return original(path, body, where)

    transport._post = post


def test_a_trader_that_is_killed_goes_on_without_sending_twice(desk: Desk) -> None:
    """At any request, of a plan or of its stops; what was saved is the account before or after the plan."""
    killed = 0
    for number in range(14):
        kill_at(desk, 2 + int(desk.rng.integers(0, 30)))
        try:
            desk.step()
        except Killed:
            killed += 1
            close(desk.manager)
            desk.connect()
            again = plan(desk.account, desk.made.close) if desk.made is not None else None
            if again is not None:
                desk.made = again
                desk.live.begin(desk.account, again, desk.levels)
                desk.save()
        else:
            close(desk.manager)
            desk.connect()
        desk.check()
        desk.pass_ms(HOUR)
        assert number or desk.made
    assert killed >= 6


def test_a_plan_that_is_late_is_not_sent(desk: Desk) -> None:
    desk.made = desk.decide()
    assert desk.made.orders
    desk.pass_ms(61_000)
    events = desk.live.begin(desk.account, desk.made, desk.levels)
    assert [type(event) for event in events] == [PlanSent]
    assert desk.there.fills == []
    assert desk.live.begin(desk.account, desk.made, desk.levels) == []


def hold(desk: Desk, usd: float = 1_000.0) -> None:
    """Buy some ETH by a plan."""
    px = float(desk.manager.venue.mids()["ETH"])
    key = ("s", "m1", "ETH")
    desk.entries[key] = px
    units = {key: usd / 10_000 / px}
    desk.made = plan(desk.account, AccountClose(desk.engine.now_ms, {"ETH": px}, units, {"s": 1.0}))
    desk.live.begin(desk.account, desk.made, desk.levels)
    assert desk.account.positions["ETH"] > 0
    desk.check()


def test_what_the_venue_refuses_is_booked_as_that_and_not_sent_again(desk: Desk) -> None:
    desk.engine.venue.state.listings[2].halted = True
    px = float(desk.manager.venue.mids()["ETH"])
    desk.made = plan(
        desk.account, AccountClose(desk.engine.now_ms, {"ETH": px}, {("s", "m", "ETH"): 0.1 / px}, {"s": 1.0})
    )
    events = desk.live.begin(desk.account, desk.made, desk.levels)
    assert AccountReject("ETH") in events
    before = len(desk.manager.journal.orders())
    assert desk.watch() == []
    assert len(desk.manager.journal.orders()) == before


def test_a_trade_by_hand_freezes_the_asset_and_keeps_its_stop(desk: Desk) -> None:
    hold(desk)
    desk.pass_ms(1_000)
    listed, mid = desk.manager.venue.listed("ETH"), desk.manager.venue.mids()["ETH"]
    order = wire.OrderRequest(
        listed.asset, True, quantised_price(mid * D("1.03"), listed, up=False), D("0.1"), False, "Ioc", None, None
    )
    desk.engine.act(desk.there, wire.PlaceOrders((order,), "na"))
    desk.manager.sync_fills()
    desk.watch()
    assert desk.account.frozen == {"ETH"}
    desk.check()
    again = plan(desk.account, AccountClose(desk.engine.now_ms, {"ETH": float(mid)}, {}, {"s": 1.0}))
    assert again.orders == ()
    book(desk.account, HandRelease("ETH", restore=True))
    desk.pass_ms(1_000)
    desk.made = plan(desk.account, AccountClose(desk.engine.now_ms, {"ETH": float(mid)}, {}, {"s": 1.0}))
    desk.live.begin(desk.account, desk.made, desk.levels)
    assert desk.account.positions == {}
    desk.check()
    assert desk.there.open_oids == {}


def test_a_stop_that_fires_is_booked_with_its_level_and_leaves_nothing_resting(desk: Desk) -> None:
    hold(desk)
    level = desk.account.resting["ETH"][STOP].level
    asset = desk.manager.venue.listed("ETH").asset
    mark = desk.engine.venue.state.listings[asset].mark
    desk.engine.venue.set_prices({asset: (int(mark * 0.94), mark)})
    desk.manager.sync_fills()
    events = desk.watch()
    fills = [event for event in events if isinstance(event, AccountFill)]
    assert {(fill.kind, fill.aimed) for fill in fills} == {(STOP, level)}
    assert desk.account.positions == {}
    assert desk.account.resting == {}
    desk.check()


@pytest.mark.parametrize("first", [STOP, TARGET])
def test_a_stop_that_is_known_to_have_filled_before_its_fill_is_neither_placed_anew_nor_closed_again(
    desk: Desk, first: str
) -> None:
    """The venue tells of the stop, of the target that has nothing left to reduce, and of the fill, one by one."""
    hold(desk)
    live = desk.manager.journal.orders(live_only=True)
    (known,) = (record for record in live if (record.order.trigger is None) == (first == TARGET))
    asset = desk.manager.venue.listed("ETH").asset
    mark = desk.engine.venue.state.listings[asset].mark
    desk.engine.venue.set_prices({asset: (int(mark * 0.94), mark)})
    shown = desk.manager.venue.order_status(known.order.cloid)
    assert shown is not None
    assert shown.standing == ("filled" if first == STOP else "canceled")
    desk.manager.hear_order(shown)
    before = len(desk.manager.journal.orders())
    asked = desk.asked()
    fills = [event for event in desk.watch() if isinstance(event, AccountFill)]
    assert {fill.kind for fill in fills} == {STOP}
    target_goes = ["exchange cancelByCloid", "info orderStatus"]
    assert asked == ["info userFillsByTime", *(target_goes if first == STOP else [])]
    assert len(desk.manager.journal.orders()) == before
    asked.clear()
    desk.watch()
    assert asked == []
    desk.check()


def test_a_stop_whose_fill_is_heard_while_the_trader_looks_is_neither_placed_anew_nor_closed_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A follower writes fills down from its own thread, also between what the account has booked and its look."""
    hold(desk)
    asset = desk.manager.venue.listed("ETH").asset
    mark = desk.engine.venue.state.listings[asset].mark
    desk.engine.venue.set_prices({asset: (int(mark * 0.94), mark)})
    journal = desk.manager.journal
    before, original = len(journal.orders()), journal.orders

    def orders(*, live_only: bool = False) -> list[OrderRecord]:
        monkeypatch.undo()
        desk.manager.sync_fills()
        return original(live_only=live_only)

    monkeypatch.setattr(journal, "orders", orders)
    fills = [event for event in desk.watch() if isinstance(event, AccountFill)]
    assert {fill.kind for fill in fills} == {STOP}
    assert len(journal.orders()) == before
    desk.check()


def test_a_liquidation_locks_the_asset_and_the_rest_of_the_money_is_lost(desk: Desk) -> None:
    hold(desk)
    for oid in list(desk.there.open_oids):  # without stops, else they would have saved it
        desk.engine.act(desk.there, wire.CancelOrders(((desk.manager.venue.listed("ETH").asset, oid),)))
    margin = desk.engine.venue.core.margin(desk.there, 0)
    desk.pass_ms(1_000)
    desk.engine.deposit(ADDRESS, margin.cross_maintenance() // 10 - margin.cross_equity())
    desk.pass_ms(HOUR)
    desk.manager.sync_fills()
    desk.manager.sync_flows()
    desk.watch()
    assert desk.account.positions == {}
    assert desk.account.locked == {"ETH": 1}
    assert desk.live.differences(desk.account) == {}
    assert desk.account.cash == 0
    assert desk.account.capital > 0  # a liquidation is a loss, and takes no capital out


def test_what_cannot_be_protected_is_closed(desk: Desk) -> None:
    """A stop whose level the mark has passed already is refused: the position is closed at once."""
    desk.far = -0.02
    px = float(desk.manager.venue.mids()["ETH"])
    desk.entries["s", "m", "ETH"] = px
    desk.made = plan(
        desk.account, AccountClose(desk.engine.now_ms, {"ETH": px}, {("s", "m", "ETH"): 0.1 / px}, {"s": 1.0})
    )
    events = desk.live.begin(desk.account, desk.made, desk.levels)
    assert sum(event.lots for event in events if isinstance(event, AccountFill)) == 0
    assert desk.account.positions == {}
    assert desk.there.positions() == []
    assert desk.there.open_oids == {}
    desk.check()


def test_a_position_that_nobody_closes_now_does_not_keep_a_bar_from_ending(desk: Desk) -> None:
    """The level has been passed and the book is empty: the bar ends all the same, and each look tries again."""
    hold(desk)
    asset = desk.manager.venue.listed("ETH").asset
    market = desk.engine.market
    market.state.thinned[asset] = 0.0
    market.requote(asset)
    desk.far = -0.02  # where the stop would be now
    assert desk.made is not None
    desk.live.finish(desk.account, desk.made, desk.bar(), desk.levels)
    assert desk.account.positions["ETH"] > 0
    with pytest.raises(NotFlat, match="not shown to be flat"):
        desk.watch()
    del market.state.thinned[asset]
    market.requote(asset)
    desk.watch()
    assert desk.account.positions == {}
    assert desk.there.positions() == []
    desk.check()


def test_a_stop_without_an_answer_is_waited_for_and_then_the_position_is_closed(desk: Desk) -> None:
    now = [0.0]
    desk.live._clock = lambda: now[0]
    hold(desk)
    transport = desk.manager.venue.transport  # type: ignore[attr-defined]
    original = transport._post

    def refuse_stops(path: str, body: Any, where: str) -> Any:
        orders = body.get("action", {}).get("orders", []) if path == "/exchange" else []
        if any("trigger" in order["t"] for order in orders):
            return {"status": "ok", "response": {"type": "order", "data": {"statuses": []}}}
        return original(path, body, where)

    for oid in list(desk.there.open_oids):
        desk.engine.act(desk.there, wire.CancelOrders(((desk.manager.venue.listed("ETH").asset, oid),)))
    reconcile(desk.manager)
    transport._post = refuse_stops
    desk.watch()
    now[0] += CLOSE_AFTER_SECONDS - 0.1
    desk.watch()
    assert desk.account.positions
    now[0] += 1.0  # the next look, with a second left to close it
    assert now[0] < PROTECT_SECONDS - 1.0
    desk.watch()
    assert desk.account.positions == {}
    assert desk.there.positions() == []
    transport._post = original
    reconcile(desk.manager)
    desk.check()


def test_what_was_held_before_is_somebody_elses(small_tape: Tape, tmp_path: Path) -> None:
    server = make_server(small_tape)
    server.engine.deposit(ADDRESS, 10_000 * MICRO_USD)
    with RunningVenue(server) as running:
        manager = open_manager(running.url, tmp_path / "before")
        reconcile(manager)
        listed, mid = manager.venue.listed("ETH"), manager.venue.mids()["ETH"]
        px = quantised_price(mid * D("1.03"), listed, up=False)
        manager.place("d", [new_order("d", px=str(px), sz="0.3", tif="Ioc")])
        close(manager)
        desk = Desk(running, tmp_path / "after", np.random.default_rng(1))
        desk.connect()
        assert desk.account.frozen == {"ETH"}
        assert desk.live.differences(desk.account) == {}
        desk.watch()
        desk.check()  # it has a stop all the same
        close(desk.manager)
