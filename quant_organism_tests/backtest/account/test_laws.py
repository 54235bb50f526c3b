"""Laws of the account, over random plans and random walks; `make laws` draws many more of them."""

from __future__ import annotations

import copy
import itertools
import json
import os
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest.account import (
    AccountBook,
    AccountClose,
    AccountFill,
    AccountRules,
    Plan,
    PlanSent,
    TradedAsset,
    book,
    plan,
)
from quant_organism.backtest.account.book import IOC, STOP, LegKey
from quant_organism_tests.backtest.account.accounts import CLOSE_MS, account_at, close_at, usd, with_risk
from quant_organism_tests.backtest.account.walking import DrawnAccount, drawn_accounts, walk_slowly

PLANS = int(os.environ.get("ACCOUNT_PLANS", "200"))
WALKS = max(PLANS // 10, 20)
HAIR = 1.0 + 1e-9

SYMBOLS = ("AAA", "BBB", "CCC")


@st.composite
def situations(draw: st.DrawFn) -> tuple[AccountBook, AccountClose]:
    """Draw an account in any position and at any risk, and a close."""
    rules = AccountRules(
        strategy_cap=draw(st.sampled_from([0.05, 0.25, float("inf")])),
        asset_cap=draw(st.sampled_from([0.05, 0.15, 0.9])),
        gross_cap=draw(st.sampled_from([0.3, 2.0])),
        margin_cap=draw(st.sampled_from([0.1, 0.5])),
    )
    decimals = draw(st.tuples(*[st.integers(0, 6)] * 3))
    assets = {
        symbol: TradedAsset(places, draw(st.sampled_from([((0.0, 10),), ((0.0, 50), (500.0, 3))])))
        for symbol, places in zip(SYMBOLS, decimals, strict=True)
    }
    prices = {symbol: draw(st.floats(0.05, 90_000.0)) for symbol in SYMBOLS}
    equity = draw(st.floats(50.0, 1e6))
    held = {
        symbol: int(draw(st.floats(-1.5, 1.5)) * equity * 1e6 / assets[symbol].lot_price(prices[symbol]))
        for symbol in SYMBOLS
    }
    account = account_at(
        equity,
        scale=draw(st.floats(0.0, 5.0)),
        rules=rules,
        assets=assets,
        prices=prices,
        held={symbol: lots for symbol, lots in held.items() if lots},
    )
    drawdown = draw(st.sampled_from([0.0, 0.03, 0.06, 0.09]))
    with_risk(account, peak=round(usd(equity) / (1.0 - drawdown)), halved=draw(st.booleans()))
    account.frozen = draw(st.sets(st.sampled_from(SYMBOLS), max_size=1))
    account.gone = draw(st.sets(st.sampled_from(SYMBOLS), max_size=1))
    account.locked = draw(st.dictionaries(st.sampled_from(SYMBOLS), st.sampled_from([-1, 1]), max_size=1))
    legs = st.tuples(st.sampled_from("xy"), st.sampled_from("abc"), st.sampled_from(SYMBOLS))
    weights: dict[LegKey, float] = draw(st.dictionaries(legs, st.floats(-2.0, 2.0), max_size=12))
    units = {leg: weight / prices[leg[2]] for leg, weight in weights.items()}
    known = draw(st.sets(st.sampled_from(SYMBOLS), min_size=2))
    return account, close_at(units, {symbol: prices[symbol] for symbol in sorted(known)})


def notional(account: AccountBook, made: Plan, targets: Mapping[str, int]) -> dict[str, float]:
    """Return what positions would be worth if targets were reached and the rest stayed."""
    lots = {**account.positions, **targets}
    return {symbol: float(abs(count) * made.marks[symbol]) for symbol, count in lots.items()}


@settings(max_examples=PLANS, deadline=None)
@given(situations())
def test_no_target_is_over_a_cap(situation: tuple[AccountBook, AccountClose]) -> None:
    account, close = situation
    made, rules, equity = plan(account, close), account.rules, account.risk.equity * HAIR
    worth = notional(account, made, made.targets)
    stuck = {symbol: worth[symbol] for symbol in worth if symbol not in made.targets}
    assert all(worth[symbol] <= rules.asset_cap * equity for symbol in made.targets)
    assert sum(worth.values()) <= max(rules.gross_cap * equity, sum(stuck.values()) * HAIR)
    rates = {symbol: asset.initial_rate(rules.leverage) for symbol, asset in account.assets.items()}
    least = sum(worth[symbol] * rates[symbol] for symbol in stuck)
    assert sum(worth[symbol] * rates[symbol] for symbol in worth) <= max(rules.margin_cap * equity, least * HAIR)
    for strategy in ("x", "y"):
        alone = replace(close, units={leg: units for leg, units in close.units.items() if leg[0] == strategy})
        planned = plan(account, alone)
        gross = sum(abs(lots) * planned.marks[symbol] for symbol, lots in planned.targets.items())
        assert gross <= rules.strategy_cap * equity


@settings(max_examples=PLANS, deadline=None)
@given(situations())
def test_a_plan_that_is_filled_whole_plans_nothing_more(situation: tuple[AccountBook, AccountClose]) -> None:
    account, close = situation
    made = plan(account, close)
    book(account, PlanSent(made, made.marks))
    for order in made.orders:
        paid = abs(order.lots) * made.marks[order.symbol]
        book(account, AccountFill(CLOSE_MS, order.symbol, order.lots, paid, 0, IOC, made.marks[order.symbol]))
    again = plan(account, close)
    assert again.orders == ()
    assert again.targets == made.targets


@settings(max_examples=PLANS, deadline=None)
@given(situations(), st.randoms())
def test_a_plan_is_the_same_twice_and_in_any_order_of_keys(
    situation: tuple[AccountBook, AccountClose], random: object
) -> None:
    account, close = situation
    made = plan(account, close)
    items = list(close.units.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    shuffled = replace(close, units=dict(items), prices=dict(reversed(close.prices.items())))
    again = plan(AccountBook.from_dict(json.loads(json.dumps(account.to_dict()))), shuffled)
    for name in ("number", "risk", "marks", "targets", "lots", "orders", "benched", "locked", "at_cap"):
        assert getattr(again, name) == getattr(made, name)
    assert list(again.lots) == list(made.lots)


@settings(max_examples=PLANS, deadline=None)
@given(situations())
def test_a_smaller_drawdown_factor_makes_no_target_larger(situation: tuple[AccountBook, AccountClose]) -> None:
    account, close = situation
    sizes = []
    for fields in ({}, {"halved": True}, {"halved": True, "margin_is_short": True}, {"stopped": True}):
        with_risk(account, halved=False)
        made = plan(with_risk(copy.deepcopy(account), **fields), close)
        sizes.append({symbol: abs(lots) for symbol, lots in made.targets.items()})
    for larger, smaller in itertools.pairwise(sizes):
        assert all(smaller[symbol] <= larger[symbol] for symbol in larger)


@settings(max_examples=PLANS, deadline=None)
@given(situations())
def test_what_members_answer_for_is_the_target(situation: tuple[AccountBook, AccountClose]) -> None:
    account, close = situation
    made = plan(account, close)
    planned = {symbol for _, _, symbol in made.lots}
    for symbol in planned:
        assert sum(lots for leg, lots in made.lots.items() if leg[2] == symbol) == made.targets[symbol]


def check_books(account: AccountBook) -> None:
    """The sum of sub-accounts is the account, and each position that can be traded has a stop for all of it."""
    assert sum(sub.cash for sub in account.sub_accounts) == account.cash - account.capital
    for symbol in account.assets:
        assert sum(sub.lots.get(symbol, 0) for sub in account.sub_accounts) == account.positions.get(symbol, 0)
    for symbol, lots in account.positions.items():
        if symbol not in account.gone:
            assert account.resting[symbol][STOP].lots == -lots
    assert set(account.resting) <= set(account.positions)


@settings(max_examples=WALKS, deadline=None)
@given(drawn_accounts())
def test_sub_accounts_are_the_account_and_positions_are_protected(drawn: DrawnAccount) -> None:
    walk_slowly(drawn.account, drawn.market, drawn.virtual, drawn.model, check_books)


@settings(max_examples=WALKS, deadline=None)
@given(drawn_accounts())
def test_the_ledger_is_what_the_venue_filled(drawn: DrawnAccount) -> None:
    account, nothing = drawn.account, np.zeros(drawn.market.valid.shape)
    unfunded = replace(drawn.market, funding_long=nothing, funding_short=nothing)
    path = walk_slowly(account, unfunded, drawn.virtual, drawn.model)
    held: dict[str, int] = {}
    cash = account.capital
    for fill in (fill for fills in path.fills for fill in fills):
        held[fill.symbol] = held.get(fill.symbol, 0) + fill.lots
        cash -= fill.fee + (fill.notional if fill.lots > 0 else -fill.notional)
    assert {symbol: lots for symbol, lots in held.items() if lots} == account.positions
    assert cash == account.cash


@settings(max_examples=WALKS, deadline=None)
@given(drawn_accounts(bars=60))
def test_an_account_that_restarts_at_every_bar_sends_the_same_orders(drawn: DrawnAccount) -> None:
    whole, pieces = copy.deepcopy(drawn.account), drawn.account
    walk_slowly(whole, drawn.market, drawn.virtual, drawn.model)
    for row in range(drawn.market.n_bars):
        pieces = AccountBook.from_dict(json.loads(json.dumps(pieces.to_dict())))
        walk_slowly(pieces, drawn.market.part(row, row + 1), drawn.virtual.part(row, row + 1), drawn.model)
    assert pieces.h1 == whole.h1
    assert pieces.h2 == whole.h2
    assert pieces == whole
