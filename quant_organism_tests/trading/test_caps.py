"""No sequence of decisions, prices, fills, readings and policies passes a cap, whatever the steps leave."""

from __future__ import annotations

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
    RiskState,
    TradedAsset,
    book,
    plan,
)
from quant_organism.backtest.account.book import IOC
from quant_organism.trading import CloseStanding, Pipeline
from quant_organism.trading.guard import Governor, Readings, RiskGuard
from quant_organism.trading.kill import KillFlag
from quant_organism.trading.policy import Policy, PolicyVersion
from quant_organism.trading.policy_step import PolicyStep
from quant_organism.trading.portfolio_step import PortfolioStep, StrategyPromise
from quant_organism.trading.risk_limits import RiskLimits

SYMBOLS, STRATEGIES, HOUR = ("AAA", "BBB", "CCC"), ("s", "t"), 3_600_000
START = 1_704_067_200_000
HAIR = 1.0 + 1e-9

policies = st.builds(
    Policy,
    risk_mode=st.sampled_from(["defensive", "normal", "aggressive"]),
    max_gross=st.floats(0.05, 2.0),
    max_net=st.floats(0.05, 2.0),
    strategy_caps=st.dictionaries(st.sampled_from(STRATEGIES), st.floats(0.0, 1.0), max_size=2),
    blocked_symbols=st.sampled_from([(), ("AAA",)]),
    limits=st.builds(RiskLimits, halve_at=st.floats(0.001, 0.05), flat_at=st.floats(0.001, 0.1)),
)
readings = st.builds(
    Readings,
    data_age_bars=st.one_of(st.none(), st.floats(0.0, 4.0)),
    rejected=st.one_of(st.none(), st.floats(0.0, 1.0)),
    silent_lines=st.integers(0, 1),
    fear_greed=st.one_of(st.none(), st.floats(0.0, 100.0)),
)


def promise(strategy: str) -> StrategyPromise:
    """Return what each strategy promises."""
    rng = np.random.default_rng(len(strategy) + ord(strategy[0]))
    return StrategyPromise(3.0, {10_000 + day: float(gain) for day, gain in enumerate(rng.normal(0.001, 0.01, 60))})


def check_caps(account: AccountBook, made: Plan, policy: Policy, shares: Mapping[str, float]) -> None:
    rules, equity = account.rules, max(made.risk.equity, 0) * HAIR
    worth = {symbol: abs(lots) * made.marks[symbol] for symbol, lots in made.targets.items()}
    assert all(each <= rules.asset_cap * equity for each in worth.values())
    assert sum(worth.values()) <= min(rules.gross_cap, policy.max_gross) * equity
    rate = {symbol: account.assets[symbol].initial_rate(rules.leverage) for symbol in worth}
    assert sum(each * rate[symbol] for symbol, each in worth.items()) <= rules.margin_cap * equity
    assert all(share <= min(0.25, policy.strategy_caps.get(name, 1.0)) for name, share in shares.items())
    for order in made.orders:
        held = account.positions.get(order.symbol, 0)
        after, target = held + order.lots, made.targets[order.symbol]
        assert min(held, target) <= after <= max(held, target)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(0, 2**32 - 1))
def test_no_sequence_passes_a_cap(data: st.DataObject, seed: int) -> None:
    rng = np.random.default_rng(seed)
    account = AccountBook.opened("drawn", AccountRules(), {name: TradedAsset(2) for name in SYMBOLS}, 10**10)
    account.risk = RiskState(scale=float(rng.choice([0.5, 3.0, 20.0])))
    prices = dict.fromkeys(SYMBOLS, 100.0)
    policy, killed = Policy(), False
    read = Readings()
    pipeline = Pipeline(
        [
            PolicyStep(
                lambda: PolicyVersion(number=1, at_ms=0, author="a", reason="", changes={}, before="", policy=policy)
            ),
            RiskGuard(lambda standing: read),
            PortfolioStep(promise),
            Governor(lambda: KillFlag(0, "", "drawn") if killed else None),
        ]
    )
    units: dict[tuple[str, str, str], float] = {}
    for place in range(12):
        policy, read = data.draw(policies), data.draw(readings)
        killed = data.draw(st.integers(0, 9)) == 0
        prices = {name: price * float(np.exp(rng.normal(0.0, 0.05))) for name, price in prices.items()}
        for key in ((strategy, "m", symbol) for strategy in STRATEGIES for symbol in SYMBOLS):
            if rng.random() < 0.5:
                units[key] = float(rng.normal(0.0, 0.5)) / prices[key[2]]
        close = AccountClose(
            START + place * 6 * HOUR, prices, dict(units), dict.fromkeys(STRATEGIES, 0.25), float(rng.normal(0, 0.01))
        )
        earned = {name: float(rng.normal(0.001, 0.01)) for name in STRATEGIES}
        standing = CloseStanding(1, "paper", close, account, (), HOUR, earned)
        left = pipeline.judge(standing)
        allowed = {key: each for key, each in units.items() if (key[0], key[2]) not in left.barred}
        account.rules = left.limits.within(AccountRules())
        made = plan(account, replace(close, units=allowed, shares=left.shares, restraint=left.restraint))
        check_caps(account, made, policy, left.shares)
        if killed or made.risk.drawdown >= policy.limits.flat_at:
            assert not any(made.targets.values())
        book(account, PlanSent(made, made.marks))
        for order in made.orders:
            filled = int(order.lots * rng.choice([0.0, 0.3, 1.0]))
            if filled:
                price = made.marks[order.symbol] * (1 + 0.002 * np.sign(filled))
                paid = round(abs(filled) * float(price))
                book(account, AccountFill(close.time, order.symbol, filled, paid, paid // 2_000, IOC, round(price)))
