"""The account's known answers: netting, order of caps, band, attribution, bundle of stops."""

from __future__ import annotations

import json

import pytest

from quant_organism.backtest.account import (
    AccountBar,
    AccountBook,
    AccountFill,
    AccountRules,
    FillModel,
    LegLevels,
    PlanSent,
    TradedAsset,
    book,
    plan,
    trade_account_bar,
)
from quant_organism.backtest.account.book import IOC, STOP, StandingOrder
from quant_organism_tests.backtest.account.accounts import (
    CLOSE_MS,
    PRICES,
    account_at,
    close_at,
    usd,
    with_risk,
)

ONE = {"ONE": TradedAsset(6)}
HOUR_MS = 3_600_000


def sent(account: AccountBook, units: dict[tuple[str, str, str], float]) -> list[tuple[str, int]]:
    return [(order.symbol, order.lots) for order in plan(account, close_at(units)).orders]


def test_opposite_strategies_are_netted_and_an_asset_is_clipped() -> None:
    units = {
        ("1", "a", "BTC"): 4e-7,
        ("1", "b", "BTC"): -1e-7,
        ("1", "b", "ETH"): 2e-5,
        ("2", "c", "BTC"): -1e-7,
        ("2", "c", "ETH"): 1e-5,
    }
    assert sent(account_at(10_000.0, scale=3.0), units) == [("BTC", 600), ("ETH", 6_000)]


def test_caps_apply_in_order() -> None:
    units = {("1", "a", "BTC"): 9e-6, ("1", "a", "ETH"): 1e-4}
    account = account_at(1_000.0, scale=2.0, halved=True)
    assert plan(account, close_at(units)).targets == {"BTC": 75, "ETH": 108, "COIN": 0}


def waiting_account() -> AccountBook:
    account = account_at(1_000.0, rules=AccountRules.alone(), held={"BTC": 100, "ETH": 400, "COIN": -45})
    return with_risk(account, equity=usd(1_000.0))


def legs(**lots: float) -> dict[tuple[str, str, str], float]:
    """Return units that stand for these lots at an equity of 1,000 USD; a hair more, to be whole after rounding."""
    per_unit = {"BTC": 1e5, "ETH": 1e4, "COIN": 1.0}
    return {("1", "a", symbol): wanted / per_unit[symbol] / 1_000.0 for symbol, wanted in lots.items() if wanted}


def test_what_is_within_the_band_waits_and_a_position_closes_whole() -> None:
    assert sent(waiting_account(), legs(BTC=109, ETH=350, COIN=0)) == [("COIN", 45), ("ETH", -50)]


def test_a_leg_too_small_to_open_is_closed_alone_and_reductions_go_first() -> None:
    wanted = legs(BTC=60, ETH=-20, COIN=-100)
    assert sent(waiting_account(), wanted) == [("BTC", -40), ("ETH", -400), ("COIN", -55)]


def test_members_pay_for_what_they_moved_and_the_parts_are_the_account() -> None:
    account = account_at(1_000.0, assets=ONE, prices={"ONE": 1.0}, rules=AccountRules.alone(asset_cap=0.9))
    account.assets["ONE"] = TradedAsset(0)
    made = plan(account, close_at({("1", "a", "ONE"): 0.03, ("1", "b", "ONE"): -0.01}, {"ONE": 1.0}))
    assert made.lots == {("1", "a", "ONE"): 30, ("1", "b", "ONE"): -10}
    book(account, PlanSent(made, {"ONE": 1_000_000}))
    book(account, AccountFill(CLOSE_MS, "ONE", 20, 20_010_000, 9_004, IOC, 1_000_000))
    first, second = account.members["1", "a"], account.members["1", "b"]
    assert (first.cash, second.cash) == (-30_000_000 - 14_253, 10_000_000 - 4_751)
    marks = {"ONE": 1_010_000}
    assert (first.profit(marks), second.profit(marks)) == (285_747, -104_751)
    assert account.execution.profit(marks) == 0
    assert account.equity(marks) - account.capital == 180_996


def test_two_stops_make_one_and_who_is_still_in_is_bought_back() -> None:
    assets, prices = {"X": TradedAsset(0)}, {"X": 100.0}
    account = account_at(100_000.0, assets=assets, prices=prices, rules=AccountRules.alone())
    both = {("1", "a", "X"): 0.0006, ("1", "b", "X"): 0.0004}
    levels = {("1", "a", "X"): LegLevels(95.0, 200.0), ("1", "b", "X"): LegLevels(90.0, 200.0)}
    model = FillModel(taker_fee=0.0, stop_slippage_bps=10.0, max_participation=None)
    made = plan(account, close_at(both, prices))
    assert made.targets == {"X": 100}
    flat = bar(100.0, 100.0, 100.0, 100.0)
    trade_account_bar(account, made, flat, levels, model)
    assert account.resting["X"][STOP] == StandingOrder(-100, 93_000_000)
    made = plan(account, close_at(both, {"X": 97.0}, time=CLOSE_MS + HOUR_MS))
    fills = trade_account_bar(account, made, bar(97.0, 98.0, 92.5, 94.0), levels, model)
    assert [(fill.kind, fill.lots, fill.notional) for fill in fills] == [(STOP, -100, usd(100 * 93.0 * 0.999))]
    still = {("1", "b", "X"): 0.0004}
    again = plan(account, close_at(still, {"X": 94.0}, time=CLOSE_MS + 2 * HOUR_MS))
    assert [(order.symbol, order.lots) for order in again.orders] == [("X", 40)]


def bar(opened: float, high: float, low: float, close: float) -> AccountBar:
    free = {"X": 0.0}
    return AccountBar(CLOSE_MS, {"X": opened}, {"X": high}, {"X": low}, {"X": close}, {"X": 1e9}, free, free, free)


@pytest.mark.parametrize("symbol", sorted(PRICES))
def test_limits_are_legal_prices_inside_the_bound(symbol: str) -> None:
    account = account_at(1_000.0)
    units = {("1", "a", symbol): 0.1 / PRICES[symbol]}
    (order,) = plan(account, close_at(units)).orders
    price = account.assets[symbol].price(order.limit)
    assert PRICES[symbol] < price <= PRICES[symbol] * 1.01
    assert len(f"{price:.10f}".rstrip("0").replace(".", "").lstrip("0").rstrip("0")) <= 5


def test_a_book_that_was_json_is_the_same() -> None:
    account = waiting_account()
    made = plan(account, close_at(legs(BTC=60, ETH=-20, COIN=-100)))
    book(account, PlanSent(made, dict(account.marks)))
    saved = json.dumps(account.to_dict())
    assert AccountBook.from_dict(json.loads(saved)) == account
