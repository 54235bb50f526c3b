"""What happens to an account at the venue, and what it makes of it: parts of fills, hands, liquidations, halts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quant_organism.backtest.account import (
    AccountBook,
    AccountFill,
    AccountFunding,
    AccountReject,
    AccountRules,
    CapitalPaid,
    HandRelease,
    LegLevels,
    PlanSent,
    Rearmed,
    RestingSent,
    RiskState,
    TradedAsset,
    TradingHalted,
    account_breakers,
    book,
    plan,
    plan_resting,
)
from quant_organism.backtest.account.book import IOC, STOP, TARGET, StandingOrder
from quant_organism.backtest.account.door import BY_HAND, LIQUIDATED
from quant_organism.backtest.account.limits import at_close
from quant_organism.errors import InputError
from quant_organism_tests.backtest.account.accounts import CLOSE_MS, account_at, close_at, usd, with_risk

LEG = ("1", "a", "X")
ASSETS, PRICES = {"X": TradedAsset(0), "Y": TradedAsset(0)}, {"X": 100.0, "Y": 100.0}
LOT = 100_000_000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def account_of(held: int = 0, equity: float = 10_000.0) -> AccountBook:
    """Return an account of one strategy; a unit of 1e-3 is ten lots of 1,000 USD."""
    rules = AccountRules.alone(asset_cap=0.5)
    return account_at(equity, rules=rules, assets=ASSETS, prices=PRICES, held={"X": held} if held else {})


def fill(lots: int, kind: str, symbol: str = "X") -> AccountFill:
    return AccountFill(CLOSE_MS, symbol, lots, abs(lots) * LOT, 0, kind, LOT)


def next_lots(account: AccountBook, units: float, symbol: str = "X") -> list[tuple[str, int]]:
    made = plan(account, close_at({("1", "a", symbol): units}, PRICES))
    return [(order.symbol, order.lots) for order in made.orders]


def test_what_an_order_leaves_is_seen_by_the_next_plan() -> None:
    account = account_of()
    made = plan(account, close_at({LEG: 1e-3}, PRICES))
    book(account, PlanSent(made, {"X": LOT, "Y": LOT}))
    book(account, fill(4, IOC))
    assert account.execution.lots == {"X": -6}
    assert account.members["1", "a"].lots == {"X": 10}
    assert next_lots(account, 1e-3) == [("X", 6)]


def test_three_refusals_in_a_row_raise_an_alarm() -> None:
    account = account_of()
    book(account, PlanSent(plan(account, close_at({LEG: 1e-3}, PRICES)), {"X": LOT}))
    for expected in ([], [], ["X"]):
        book(account, AccountReject("X"))
        assert account.alarming == expected
    book(account, fill(1, IOC))
    assert account.alarming == []


def test_a_trade_by_hand_freezes_the_asset_until_a_person_says_more() -> None:
    account = account_of()
    book(account, fill(3, BY_HAND))
    assert account.execution.lots == {"X": 3}
    assert next_lots(account, 1e-3) == []
    assert plan_resting(account, {}).changes[0].order == StandingOrder(-3, 90_000_000)
    book(account, HandRelease("X", restore=False))
    assert next_lots(account, 1e-3) == [("X", 7)]


def test_a_restored_asset_is_traded_back_whatever_the_band() -> None:
    account = account_of(held=10, equity=20_000.0)
    book(account, fill(1, BY_HAND))
    wanted = 1e-3 / 2
    book(account, HandRelease("X", restore=False))
    assert next_lots(account, wanted) == []
    book(account, HandRelease("X", restore=True))
    assert next_lots(account, wanted) == [("X", -1)]


def test_a_liquidated_asset_stays_closed_until_its_net_has_turned() -> None:
    account = account_of(held=10)
    book(account, PlanSent(plan(account, close_at({LEG: 1e-3}, PRICES)), {"X": LOT, "Y": LOT}))
    book(account, fill(-10, LIQUIDATED))
    assert account.locked == {"X": 1}
    assert next_lots(account, 1e-3) == []
    # Everything else is at half size for a day.
    assert next_lots(account, 1e-3, "Y") == [("Y", 5)]
    assert next_lots(account, -1e-3) == [("X", -5)]
    for hours, factor in ((23, 0.5), (24, 1.0)):
        later = close_at({LEG: -1e-3}, PRICES, time=CLOSE_MS + hours * HOUR_MS)
        assert plan(account, later).risk.factor(account.rules) == factor


def test_what_is_halted_is_not_traded_and_counts() -> None:
    account = account_of(held=20)
    account.rules = account.rules._replace(gross_cap=0.25)
    book(account, TradingHalted("X"))
    made = plan(account, close_at({LEG: 1e-3, ("1", "a", "Y"): 2e-3}, PRICES))
    assert made.targets == {"Y": 5}
    book(account, TradingHalted("X", resumed=True))
    assert set(plan(account, close_at({LEG: 1e-3}, PRICES)).targets) == {"X", "Y"}


def test_funding_goes_by_lots_to_the_last_micro_dollar() -> None:
    account = account_of()
    units = {LEG: 1e-3, ("1", "b", "X"): -3e-4}
    book(account, PlanSent(plan(account, close_at(units, PRICES)), {"X": LOT, "Y": LOT}))
    book(account, fill(7, IOC))
    before = account.cash
    book(account, AccountFunding("X", 8, 7.0 / 6.0))
    assert account.cash == before - 8
    assert account.members["1", "a"].cash == -10 * LOT - 12
    assert account.members["1", "b"].cash == 3 * LOT + 4
    assert account.execution.cash == 0


def test_capital_moves_peak_and_base_along() -> None:
    account = account_of()
    book(account, CapitalPaid(usd(-4_000.0)))
    assert account.risk.drawdown == 0.0
    assert (account.capital, account.cash, account.risk.base) == (usd(6_000.0),) * 3


def test_a_plan_of_another_state_is_refused() -> None:
    account = account_of()
    made = plan(account, close_at({LEG: 1e-3}, PRICES))
    book(account, PlanSent(made, {"X": LOT}))
    with pytest.raises(InputError, match="plan has number 0, the account is at 1"):
        book(account, PlanSent(made, {"X": LOT}))
    with pytest.raises(InputError, match="int is no event"):
        book(account, 1)
    with pytest.raises(InputError, match="no order there"):
        book(account, fill(1, IOC, "Y"))


def test_the_same_order_has_one_identity() -> None:
    account = account_of()
    close = close_at({LEG: 1e-3}, PRICES)
    first, again = plan(account, close), plan(account, close)
    assert [order.cloid for order in first.orders] == [order.cloid for order in again.orders]
    book(account, PlanSent(first, {"X": LOT}))
    (later,) = plan(account, close).orders
    assert later.cloid not in {order.cloid for order in first.orders}
    assert len(later.cloid) == 34


def test_disaster_levels_keep_their_members_out_until_the_next_decision() -> None:
    account = account_of()
    close = replace(close_at({LEG: 1e-3}, PRICES), stopless=frozenset({("1", "a")}))
    book(account, PlanSent(plan(account, close), {"X": LOT, "Y": LOT}))
    book(account, fill(10, IOC))
    book(account, fill(-10, STOP))
    assert plan(account, close).targets["X"] == 0
    assert plan(account, replace(close, units={LEG: 9e-4})).targets["X"] == 9


def test_resting_orders_are_replaced_when_they_moved_enough() -> None:
    account = account_of()
    book(account, PlanSent(plan(account, close_at({LEG: 1e-3}, PRICES)), {"X": LOT, "Y": LOT}))
    book(account, fill(10, IOC))
    book(account, RestingSent(plan_resting(account, {LEG: LegLevels(95.0, 110.0)})))
    standing = {STOP: StandingOrder(-10, 95_000_000), TARGET: StandingOrder(-10, 110_000_000)}
    assert account.resting == {"X": standing}
    assert plan_resting(account, {LEG: LegLevels(95.05, 110.0)}).changes == ()
    changes = plan_resting(account, {LEG: LegLevels(95.5, 110.0)}).changes
    assert [(change.kind, change.order) for change in changes] == [(STOP, StandingOrder(-10, 95_500_000))]
    # Without a member behind it, a position is guarded 10 % from the last close, and has no target.
    alone = {change.kind: change.order for change in plan_resting(account, {}).changes}
    assert alone == {STOP: StandingOrder(-10, 90_000_000), TARGET: None}


def test_a_stop_stands_inside_the_liquidation() -> None:
    account = account_at(60.0, rules=AccountRules.alone(), assets=ASSETS, prices=PRICES, held={"X": 5})
    # Equity of 60 USD under 500 USD: liquidation where 60 + 5 (p - 100) is 5 % of 5 p.
    liquidation = (100.0 - 60.0 / 5) / 0.95
    (stop,) = plan_resting(account, {}).changes
    assert stop.order is not None
    assert stop.order.level == pytest.approx((liquidation + 0.25 * (100.0 - liquidation)) * 1e6, rel=2e-5)


def risk_at(risk: RiskState, day: int, equity: float, *, flat: bool = False, gain: float = 0.0) -> RiskState:
    """Return the risk a number of days later."""
    return at_close(
        risk,
        AccountRules(),
        time=day * DAY_MS,
        equity=usd(equity),
        maintenance=0.0,
        flat=flat,
        virtual_return=gain,
    )


def test_a_drawdown_halves_stops_and_re_arms() -> None:
    risk = risk_at(RiskState(), 0, 1_000.0)
    assert (risk.factor(AccountRules()), risk.entry(AccountRules())) == (1.0, 1.0)
    risk = risk_at(risk, 1, 949.0)
    assert risk.factor(AccountRules()) == 0.5
    assert risk_at(risk, 2, 960.0).factor(AccountRules()) == 0.5
    assert risk_at(risk, 2, 976.0).factor(AccountRules()) == 1.0
    risk = risk_at(risk, 2, 919.0)
    assert (risk.factor(AccountRules()), risk.entry(AccountRules())) == (0.5, 0.0)
    risk = risk_at(risk, 3, 899.0)
    assert risk.factor(AccountRules()) == 0.0
    risk = risk_at(risk, 4, 899.0, flat=True)
    assert risk_at(risk, 17, 899.0, flat=True).stopped
    by_person = AccountRules(person_rearms=True)
    waiting = at_close(
        risk, by_person, time=18 * DAY_MS, equity=usd(899.0), maintenance=0.0, flat=True, virtual_return=0.0
    )
    assert waiting.stopped
    risk = risk_at(risk, 18, 899.0, flat=True)
    assert (risk.stopped, risk.factor(AccountRules()), risk.peak, risk.drawdown) == (False, 0.5, usd(899.0), 0.0)
    assert risk_at(risk, 31, 899.0).factor(AccountRules()) == 0.5
    assert risk_at(risk, 32, 899.0).factor(AccountRules()) == 1.0
    shaken = risk_at(risk, 25, 870.0)
    assert risk_at(risk_at(shaken, 26, 899.0), 39, 899.0).factor(AccountRules()) == 0.5
    assert risk_at(risk_at(shaken, 26, 899.0), 40, 899.0).factor(AccountRules()) == 1.0


def test_a_person_lets_a_stopped_account_begin_again() -> None:
    account = account_of()
    account.rules = account.rules._replace(person_rearms=True)
    with_risk(account, stopped=True, flat_since=0, time=CLOSE_MS - DAY_MS)
    stopped = plan(account, close_at({LEG: 1e-3}, PRICES))
    assert stopped.risk.stopped
    book(account, Rearmed())
    assert plan(account, close_at({LEG: 1e-3}, PRICES)).targets["X"] == 5


def test_the_scale_follows_thirty_days_and_moves_by_more_than_a_tenth() -> None:
    risk = risk_at(RiskState(), 0, 1_000.0)
    for day in range(1, 30):
        risk = risk_at(risk, day, 1_000.0, gain=0.01 if day % 2 else -0.01)
    assert risk.scale == 0.0
    risk = risk_at(risk, 30, 1_000.0, gain=-0.01)
    first = 0.1 / (0.01 * (30 / 29) ** 0.5 * 365**0.5)
    assert risk.scale == pytest.approx(first)
    for day in range(31, 36):
        risk = risk_at(risk, day, 1_000.0, gain=0.01 if day % 2 else -0.01)
    assert risk.scale == pytest.approx(first)
    for day in range(36, 60):
        risk = risk_at(risk, day, 1_000.0, gain=0.03 if day % 2 else -0.03)
    assert risk.scale < 0.9 * first


def test_the_base_is_the_equity_before_midnight() -> None:
    risk = risk_at(RiskState(), 0, 1_000.0)
    rules = AccountRules()
    for hours, equity, base in ((6, 1_010.0, 1_000.0), (23, 1_020.0, 1_000.0), (25, 1_030.0, 1_020.0)):
        risk = at_close(
            risk,
            rules,
            time=hours * 3_600_000,
            equity=usd(equity),
            maintenance=0.0,
            flat=True,
            virtual_return=0.0,
        )
        assert risk.base == usd(base)
    assert risk_at(risk, 2, 1_040.0).base == usd(1_040.0)


def test_too_little_equity_for_the_margin_halves_all_targets_until_it_suffices() -> None:
    risk = RiskState()
    for hour, (maintenance, factor) in enumerate([(34.0, 0.5), (33.4, 0.5), (33.0, 1.0)]):
        told = {"time": hour * HOUR_MS, "equity": usd(100.0), "maintenance": usd(maintenance), "flat": False}
        risk = at_close(risk, AccountRules(), virtual_return=0.0, **told)  # type: ignore[arg-type]
        assert risk.factor(AccountRules()) == factor


@pytest.mark.parametrize(
    ("field", "value"),
    [("asset_cap", 1.5), ("gross_cap", 0.0), ("leverage", 0.5), ("least_volatility_days", 1), ("halve_at", 0.09)],
)
def test_impossible_rules_are_refused(field: str, value: float) -> None:
    with pytest.raises(InputError, match="account rules"):
        AccountRules.alone(**{field: value})


def told(risk: RiskState) -> dict[str, tuple[str, float, str]]:
    """Return phase, bound and action of the account's breakers that are not closed."""
    found = account_breakers(risk, AccountRules())
    assert [each.name for each in found] == [
        *("total drawdown", "loss of a day", "rapid losses"),
        *("tail", "margin", "liquidation"),
    ]
    return {each.name: (each.phase, each.bound, each.action) for each in found if each.phase != "closed"}


def test_each_level_of_a_drawdown_is_told_with_its_bound_and_the_trial_after_it() -> None:
    risk = risk_at(RiskState(), 0, 1_000.0)
    assert told(risk) == {}
    course = [
        (1, 951.0, None),
        (2, 949.0, ("open", 0.05, "half size")),
        (3, 960.0, ("open", 0.05, "half size")),
        (4, 976.0, None),
        (5, 919.0, ("open", 0.08, "nothing grows")),
        (6, 899.0, ("open", 0.10, "everything is closed")),
        (7, 980.0, ("open", 0.10, "everything is closed")),
    ]
    for day, equity, expected in course:
        risk = risk_at(risk, day, equity)
        assert told(risk).get("total drawdown") == expected
    risk = risk_at(risk_at(risk, 8, 899.0, flat=True), 22, 899.0, flat=True)
    assert told(risk)["total drawdown"] == ("half-open", 0.05, "half size on trial")
    assert "total drawdown" not in told(risk_at(risk_at(risk, 23, 899.0), 37, 899.0))


def hour_later(risk: RiskState, hours: float, equity: float, maintenance: float = 0.0) -> RiskState:
    """Return the risk some hours after a day began."""
    time = round(10 * DAY_MS + hours * HOUR_MS)
    rules = AccountRules()
    return at_close(risk, rules, time=time, equity=usd(equity), maintenance=maintenance, flat=False, virtual_return=0.0)


def test_losses_of_a_day_and_rapid_ones_are_told_until_they_are_over() -> None:
    risk = hour_later(RiskState(), 0, 1_000.0)
    risk = hour_later(hour_later(risk, 1, 990.0), 2, 971.0)
    assert told(risk) == {}
    risk = hour_later(risk, 3, 969.0)
    assert told(risk) == {"loss of a day": ("open", 0.03, "nothing grows")}
    risk = hour_later(risk, 4, 949.0)
    assert told(risk)["loss of a day"] == ("open", 0.05, "everything is closed")
    risk = hour_later(risk, 24, 960.0)
    assert told(risk)["loss of a day"] == ("half-open", 0.03, "grows to half")
    assert "loss of a day" not in told(hour_later(risk, 48, 960.0))
    fell = hour_later(hour_later(risk, 25, 960.0), 25.2, 945.0)
    assert told(fell)["rapid losses"] == ("open", 0.015, "nothing grows")
    assert told(hour_later(fell, 26.1, 945.0))["rapid losses"] == ("open", 0.015, "nothing grows")
    assert told(hour_later(fell, 26.3, 945.0))["rapid losses"] == ("half-open", 0.015, "grows to half")
    assert "rapid losses" not in told(hour_later(fell, 27.3, 945.0))


def test_a_thin_margin_a_feared_day_and_a_liquidation_are_told() -> None:
    risk = hour_later(RiskState(), 0, 1_000.0)
    assert told(hour_later(risk, 1, 1_000.0, maintenance=usd(1_000.0) / 3.01)) == {}
    assert told(hour_later(risk, 1, 1_000.0, maintenance=usd(1_000.0) / 2.99)) == {"margin": ("open", 3.0, "half size")}
    assert told(replace(risk, tail=0.03)) == {}
    assert told(replace(risk, tail=0.031)) == {"tail": ("open", 0.03, "scaled down, nothing grows")}
    assert told(replace(risk, halved_until=risk.time)) == {}
    assert told(replace(risk, halved_until=risk.time + 1))["liquidation"][0] == "open"
