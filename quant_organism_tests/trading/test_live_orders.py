"""Between an account and the venue nothing is rounded, and every fill has one kind."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.backtest.account import (
    STOP,
    TARGET,
    AccountBook,
    AccountFill,
    AccountFunding,
    AccountOrder,
    AccountRules,
    CapitalPaid,
    CashTaken,
    StandingOrder,
    TradedAsset,
    book,
)
from quant_organism.errors import IntegrityError
from quant_organism.trading.live_orders import (
    fill_event,
    flow_event,
    kind_of,
    lots_of,
    micro,
    order_name,
    price_of,
    resting_order,
    size_of,
    stands_as,
    taking_order,
    traded_asset,
)
from quant_organism.trading.orders.states import OrderRecord
from quant_organism.venue import CashFlow, Fill, Listed, NewOrder, order_wire
from quant_organism.venue.protocol import tiers_of

D = Decimal
ETH = TradedAsset(4, ((0.0, 25),))
CLOID = "0x716f" + "0" * 28


def listed(decimals: int) -> Listed:
    """Return a perpetual of so many decimals."""
    return Listed("ETH", 1, decimals, 25, False, False, tiers_of([(0, 25), (1_000_000, 10)]))


def record(name: str, order: NewOrder) -> OrderRecord:
    """Return an order of the journal."""
    return OrderRecord(order, name, "open", 7, D(0), D(0), "")


def fill(**changes: object) -> Fill:
    """Return a purchase of 0.5 ETH at 2,000."""
    said: dict[str, object] = {
        "coin": "ETH", "is_buy": True, "px": D("2000"), "sz": D("0.5"), "time_ms": 9, "oid": 7, "tid": 8,
        "cloid": CLOID, "fee": D("0.45"), "fee_token": "USDC", "closed_pnl": D(0), "crossed": True,
        "is_liquidation": False,
    }  # fmt: skip
    return Fill(**{**said, **changes})  # type: ignore[arg-type]


def account() -> AccountBook:
    """Return an account with 10,000 USD."""
    return AccountBook.opened("live", AccountRules(), {"ETH": ETH}, 10_000_000_000)


@given(st.integers(0, 6), st.integers(1, 10**9), st.integers(1, 10**9))
def test_lots_and_lot_prices_are_sizes_and_prices_of_the_wire(decimals: int, lots: int, level: int) -> None:
    asset = traded_asset(listed(decimals))
    legal = asset.legal(float(level), up=False)
    order = taking_order(asset, AccountOrder("ETH", -lots, legal, True, CLOID))
    wire = order_wire(order, listed(decimals))  # on tick and lot
    assert (wire["b"], wire["r"], wire["t"]) == (False, True, {"limit": {"tif": "Ioc"}})
    assert lots_of(asset, order.sz, "here") == lots
    assert micro(order.px * order.sz) == lots * legal
    assert asset.tiers == ((0.0, 25), (1_000_000.0, 10))


@given(st.integers(0, 6), st.integers(1, 10**6), st.integers(20, 10**9), st.booleans(), st.sampled_from([STOP, TARGET]))
def test_what_rests_is_on_the_tick_and_known_again(decimals: int, lots: int, level: int, buys: bool, kind: str) -> None:
    asset = traded_asset(listed(decimals))
    wanted = StandingOrder(lots if buys else -lots, asset.legal(float(level), up=False))
    order = resting_order(asset, "ETH", kind, wanted, CLOID)
    order_wire(order, listed(decimals))
    assert order.reduce_only
    assert (order.trigger is not None) == (kind == STOP)
    found = record(order_name(kind, "live", "ETH", CLOID), order)
    assert kind_of(found, "live") == kind
    assert stands_as(asset, found, wanted)
    for other in (StandingOrder(wanted.lots * 2, wanted.level), StandingOrder(-wanted.lots, wanted.level)):
        assert not stands_as(asset, found, other)
    if order.trigger is not None:
        assert order.trigger.px == price_of(asset, wanted.level)
        assert order.px >= order.trigger.px if buys else order.px <= order.trigger.px


def test_an_order_of_another_account_or_of_nobody_is_none_of_its_own() -> None:
    order = taking_order(ETH, AccountOrder("ETH", 5_000, 210_000, False, CLOID))
    for name in ("ioc|other|ETH|1", "ioc|live|BTC|1", "recovered", "liquidate|live|ETH|1", ""):
        assert kind_of(record(name, order), "live") is None
    assert kind_of(record("unprotected|live|ETH|3/0", order), "live") == "unprotected"


@pytest.mark.parametrize(
    ("name", "changes", "kind"),
    [
        ("ioc", {}, "ioc"),
        ("unprotected", {}, "ioc"),
        ("stop", {}, "stop"),
        ("target", {}, "target"),
        ("recovered", {}, "by hand"),
        (None, {}, "by hand"),
        (None, {"is_liquidation": True, "liquidation_method": "market"}, "liquidation"),
        (None, {"liquidation_method": "backstop"}, "adl"),
        ("target", {"liquidation_method": "market"}, "target"),
    ],
)
def test_every_fill_has_one_kind(name: str | None, changes: dict[str, object], kind: str) -> None:
    """What our own order traded against a liquidation is our own; what was taken without an order is not."""
    order = resting_order(ETH, "ETH", "stop" if name == "stop" else TARGET, StandingOrder(5_000, 199_000), CLOID)
    held = account()
    held.references["ETH"] = 200_100
    said = None if name is None else record(order_name(name, "live", "ETH", CLOID), order)
    event = fill_event(held, fill(**changes), said)
    aimed = 200_100 if kind == "ioc" else 199_000 if kind in (STOP, TARGET) else 200_000
    assert event == AccountFill(9, "ETH", 5_000, 1_000_000_000, 450_000, kind, aimed)
    book(held, event)
    assert held.cash == 10_000_000_000 - 1_000_000_000 - 450_000


def test_a_fill_that_is_no_whole_number_of_lots_is_not_booked() -> None:
    with pytest.raises(IntegrityError, match="no whole number of lots"):
        fill_event(account(), fill(sz=D("0.00005")), None)
    assert size_of(ETH, -5) == D("0.0005")


@pytest.mark.parametrize(
    ("kind", "usd", "event"),
    [
        ("deposit", "5", CapitalPaid(5_000_000)),
        ("withdraw", "-5.000001", CapitalPaid(-5_000_001)),
        ("liquidation", "-12.5", CashTaken(12_500_000)),
        ("accepted", "1.23", CashTaken(-1_230_000)),
        ("somethingNew", "0", CapitalPaid(0)),
    ],
)
def test_money_without_a_trade_is_capital_or_a_loss(kind: str, usd: str, event: object) -> None:
    held = account()
    assert flow_event(held, CashFlow(1, kind, "", "x", D(usd))) == event
    book(held, event)
    assert held.cash == 10_000_000_000 + micro(D(usd))
    assert held.capital + held.execution.profit(held.marks) == held.equity()


def test_funding_goes_by_lots_and_stays_whole_without_any() -> None:
    held = account()
    book(held, fill_event(held, fill(), None))
    event = flow_event(held, CashFlow(1, "funding", "ETH", "", D("-0.6")))
    assert event == AccountFunding("ETH", 600_000, 120.0)
    before = held.cash
    book(held, event)
    book(held, fill_event(held, fill(is_buy=False, tid=9), None))
    book(held, flow_event(held, CashFlow(2, "funding", "ETH", "", D("0.7"))))
    assert held.cash == before + 100_000 + 1_000_000_000 - 450_000
    assert held.capital + held.execution.profit(held.marks) == held.equity()
