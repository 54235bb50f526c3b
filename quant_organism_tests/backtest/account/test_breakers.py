"""Breakers that closes and fills decide: each trips at its bound, acts and recovers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest.account import (
    AccountBook,
    AccountClose,
    AccountFill,
    AccountRules,
    CapitalPaid,
    Restraint,
    RiskState,
    book,
    plan,
)
from quant_organism.backtest.account.door import BY_HAND
from quant_organism.backtest.account.limits import at_close, tail_loss
from quant_organism.backtest.account.risk import CLOSED, FLAT, HALF_OPEN, NO_ENTRIES
from quant_organism_tests.backtest.account.accounts import CLOSE_MS, account_at, close_at, usd, with_risk
from quant_organism_tests.backtest.account.test_laws import PLANS, WALKS, situations
from quant_organism_tests.backtest.account.walking import DrawnAccount, drawn_accounts, walk_slowly

RULES = AccountRules()
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def after(closes: Sequence[tuple[int, float]], risk: RiskState | None = None, rules: AccountRules = RULES) -> RiskState:
    """Return the risk after closes of so much equity in USD."""
    moved = risk or RiskState()
    for time, equity in closes:
        moved = at_close(moved, rules, time=time, equity=usd(equity), maintenance=0.0, flat=False, virtual_return=0.0)
    return moved


def test_a_day_that_loses_three_percent_lets_nothing_grow_until_the_next() -> None:
    morning = [(0, 1_000.0), (HOUR, 971.0)]
    assert after(morning).day == CLOSED
    lost = after([*morning, (2 * HOUR, 970.0)])
    assert (lost.day, lost.factor(RULES), lost.entry(RULES)) == (NO_ENTRIES, 1.0, 0.0)
    assert after([(3 * HOUR, 999.0)], lost).day == NO_ENTRIES
    assert after([(DAY, 999.0)], lost).day == CLOSED


def test_a_day_that_loses_five_percent_is_flat_and_the_next_begins_at_half() -> None:
    loss = AccountRules(halve_at=0.2, no_entries_at=0.3, flat_at=0.4, rapid_loss=0.5)
    lost = after([(0, 1_000.0), (HOUR, 950.0)], rules=loss)
    assert (lost.day, lost.factor(loss), lost.entry(loss)) == (FLAT, 0.0, 0.0)
    assert after([(2 * HOUR, 1_000.0)], lost, loss).day == FLAT
    next_day = after([(DAY, 950.0)], lost, loss)
    assert (next_day.day, next_day.factor(loss), next_day.entry(loss)) == (HALF_OPEN, 1.0, 0.5)
    assert after([(DAY + HOUR, 949.0), (2 * DAY, 949.0)], next_day, loss).entry(loss) == 1.0
    assert after([(DAY + HOUR, 902.0)], next_day, loss).day == FLAT


def test_capital_that_is_taken_out_is_no_loss() -> None:
    account = account_at(1_000.0)
    account.risk = after([(CLOSE_MS - HOUR, 1_000.0)])
    book(account, CapitalPaid(-usd(500.0)))
    made = plan(account, close_at({}))
    assert (made.risk.equity, made.risk.day, made.risk.paused_until) == (usd(500.0), CLOSED, -1)


def test_a_fast_loss_pauses_an_hour_and_half_opens_for_another() -> None:
    before = [(CLOSE_MS + number * 5 * MINUTE, 1_000.0) for number in range(4)]
    fallen = after([*before, (CLOSE_MS + 20 * MINUTE, 985.0)])
    tripped = CLOSE_MS + 20 * MINUTE
    assert (fallen.entry(RULES), fallen.paused_until) == (0.0, tripped + HOUR)
    assert after([(tripped + HOUR, 985.0)], fallen).entry(RULES) == 0.5
    assert after([(tripped + 2 * HOUR, 985.0)], fallen).entry(RULES) == 1.0
    assert after([*before, (CLOSE_MS + 20 * MINUTE, 985.1)]).entry(RULES) == 1.0
    slowly = [(CLOSE_MS, 1_000.0), (CLOSE_MS + 10 * MINUTE, 992.0), (CLOSE_MS + 20 * MINUTE, 984.0)]
    assert after(slowly).entry(RULES) == 1.0


def lose(account: AccountBook, time: int, bought: int, sold: int) -> None:
    """Buy a lot and sell it, at lot prices."""
    book(account, AccountFill(time, "COIN", 1, bought, 0, BY_HAND, bought))
    book(account, AccountFill(time, "COIN", -1, sold, 0, BY_HAND, sold))


def test_five_losing_exits_in_an_hour_pause() -> None:
    account = account_at(1_000.0)
    for number in range(4):
        lose(account, CLOSE_MS + number * MINUTE, 200_000, 199_999)
    lose(account, CLOSE_MS + 5 * MINUTE, 200_000, 200_000)
    assert len(account.risk.losing_exits) == 4
    hour_later = AccountClose(CLOSE_MS + HOUR, {}, {}, {})
    assert plan(account, hour_later).risk.entry(RULES) == 1.0
    lose(account, CLOSE_MS + 6 * MINUTE, 200_000, 199_999)
    tripped = plan(account, hour_later).risk
    assert (tripped.entry(RULES), tripped.losing_exits) == (0.0, ())
    assert plan(account, replace(hour_later, time=CLOSE_MS + HOUR + MINUTE)).risk.entry(RULES) == 1.0


def test_an_exit_counts_what_the_whole_position_cost() -> None:
    account = account_at(1_000.0)
    for lots, notional, fee in ((2, 200, 1), (1, 110, 1), (-1, 130, 0)):
        book(account, AccountFill(CLOSE_MS, "COIN", lots, notional, fee, BY_HAND, 100))
    assert (account.spent, account.risk.losing_exits) == ({"COIN": 182}, ())
    book(account, AccountFill(CLOSE_MS, "COIN", -4, 360, 4, BY_HAND, 90))
    assert account.risk.losing_exits == (CLOSE_MS,)  # -178 of -356 close two lots: 182 - 178 is a loss of 4
    assert account.spent == {"COIN": -178}
    book(account, AccountFill(CLOSE_MS, "COIN", 2, 170, 0, BY_HAND, 85))
    assert (account.spent, len(account.risk.losing_exits)) == ({}, 1)


def test_the_tail_of_a_steady_series_is_its_worst_day() -> None:
    assert tail_loss([0.01, -0.01] * 20) == pytest.approx(0.01)
    assert tail_loss([0.0] * 40) == 0.0
    calm_then_wild = [0.001, -0.001] * 40 + [0.01, -0.01] * 5
    assert tail_loss(calm_then_wild) > 3 * tail_loss([*calm_then_wild[-10:], *calm_then_wild[:-10]])


@given(st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=120), st.floats(0.1, 10.0))
def test_the_tail_goes_with_the_size_of_the_book(gains: list[float], size: float) -> None:
    assert tail_loss([gain * size for gain in gains]) == pytest.approx(size * tail_loss(gains), rel=1e-9, abs=1e-15)


def test_a_tail_beyond_its_bound_scales_down_and_stops_entries_until_it_is_calm() -> None:
    rules = AccountRules(
        least_volatility_days=2, volatility_days=4, halve_at=0.9, no_entries_at=0.9, flat_at=0.9, tail_loss_at=0.03
    )
    risk = after([(day * DAY, 1_000.0 * 0.94 ** (day % 2)) for day in range(4)], rules=rules)
    assert risk.tail == pytest.approx(0.06, rel=1e-4)
    assert risk.factor(rules) == pytest.approx(0.03 / risk.tail)
    assert risk.entry(rules) == 0.0
    calm = after([(day * DAY, 940.0) for day in range(4, 9)], risk, rules)
    assert (calm.factor(rules), calm.entry(rules)) == (1.0, 1.0)


def test_half_open_lets_a_position_grow_to_half_and_keeps_what_is_held() -> None:
    lots = {("1", "a", "COIN"): 0.1}  # 100 of 1,000 USD: 500 lots
    for held, target in ((0, 250), (100, 250), (300, 300), (-40, 250), (600, 500)):
        account = account_at(1_000.0, rules=AccountRules.alone(), held={"COIN": held} if held else None)
        with_risk(account, equity=usd(1_000.0), eased_until=CLOSE_MS + 1)
        made = plan(account, close_at({key: units / 0.2 for key, units in lots.items()}))
        assert made.targets["COIN"] == target


@settings(max_examples=PLANS, deadline=None)
@given(situations(), st.tuples(*[st.floats(0.0, 1.0)] * 3), st.tuples(*[st.floats(0.0, 1.0)] * 3))
def test_no_restraint_makes_a_target_larger(
    situation: tuple[AccountBook, AccountClose], first: tuple[float, ...], second: tuple[float, ...]
) -> None:
    account, close = situation
    one, both = Restraint(*first), Restraint(*first).also(Restraint(*second))
    sizes = [plan(account, replace(close, restraint=held)).targets for held in (Restraint(), one, both)]
    for larger, smaller in itertools.pairwise(sizes):
        assert all(abs(smaller[symbol]) <= abs(larger[symbol]) for symbol in larger)
    made = plan(account, replace(close, restraint=both))
    for symbol, target in made.targets.items():
        assert sum(lots for leg, lots in made.lots.items() if leg[2] == symbol) == (
            target if any(leg[2] == symbol for leg in made.lots) else 0
        )


@settings(max_examples=WALKS, deadline=None)
@given(drawn_accounts(bars=60))
def test_nothing_grows_while_a_breaker_is_open(drawn: DrawnAccount) -> None:
    account = drawn.account
    held = dict(account.positions)

    def watch(moved: AccountBook) -> None:
        nonlocal held
        if moved.risk.entry(moved.rules) == 0.0:
            for symbol, lots in moved.positions.items():
                before = held.get(symbol, 0)
                assert before * lots > 0
                assert abs(lots) <= abs(before)
        held = dict(moved.positions)

    walk_slowly(account, drawn.market, drawn.virtual, drawn.model, watch)


def test_every_breaker_trips_in_drawn_walks() -> None:
    seen: set[str] = set()

    @settings(max_examples=150, deadline=None, derandomize=True, database=None)
    @given(drawn_accounts(bars=80))
    def look(drawn: DrawnAccount) -> None:
        def watch(account: AccountBook) -> None:
            risk, rules = account.risk, account.rules
            seen.update({1: ("no entries",), 2: ("flat",), 3: ("half-open",)}.get(risk.day, ()))
            seen.update(["paused"] if risk.time < risk.paused_until else [])
            seen.update(["eased"] if risk.paused_until <= risk.time < risk.eased_until else [])
            seen.update(["tail"] if risk.tail > rules.tail_loss_at else [])

        walk_slowly(drawn.account, drawn.market, drawn.virtual, drawn.model, watch)

    look()
    assert seen == {"no entries", "flat", "half-open", "paused", "eased", "tail"}
