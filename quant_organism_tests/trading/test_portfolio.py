"""The portfolio: a score of four factors, a fraction of Kelly under caps, and strategies that do not go together."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest import MarketRow
from quant_organism.backtest.account import AccountClose
from quant_organism.errors import InputError
from quant_organism.strategies import Committee, Genome, default_genome, get_family
from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.families.pca_tree_quantile.rule import PcaTreeQuantile
from quant_organism.strategies.genome import gene_arrays
from quant_organism.strategies.signals import valid_bars
from quant_organism.trading import Allowance, CloseStanding, Pipeline
from quant_organism.trading.following import FollowedMarket, FollowedStrategy
from quant_organism.trading.portfolio import (
    LARGEST_SHARE,
    MOST_FORESEEN_LOSS,
    StrategyRecord,
    allocate,
    current_drawdown,
    drawdown_quantile,
    kelly_shares,
    rebalanced,
    shrunk_covariance,
    strategy_score,
)
from quant_organism.trading.portfolio_step import PortfolioStep, StrategyPromise
from quant_organism.trading.risk_limits import RiskLimits
from quant_organism_tests.backtest.account.accounts import account_at
from quant_organism_tests.deployment.documents import document
from quant_organism_tests.strategies.learning.shops import TREE
from quant_organism_tests.trading.sessions import COSTS, market, strategy
from quant_organism_tests.trading.sessions import START as START_ROW

DAY = 86_400_000
START = 20_000


def days(values, start: int = START):  # type: ignore[no-untyped-def]
    return {start + place: float(value) for place, value in enumerate(values)}


def drawn(seed: int, count: int, mean: float = 0.001, deviation: float = 0.01):  # type: ignore[no-untyped-def]
    return np.random.default_rng(seed).normal(mean, deviation, count)


def record(seed: int = 0, live: int = 90, sharpe: float = 3.0, mean: float = 0.001) -> StrategyRecord:
    return StrategyRecord(sharpe, days(drawn(seed, 300), 10_000), days(drawn(seed + 100, live, mean)))


def test_the_score_is_the_product_of_four_known_factors() -> None:
    gains = [0.02, -0.01] * 90  # 180 days: 25 whole weeks, every other one wins by four days to three
    score = strategy_score("s", StrategyRecord(3.0, days(drawn(1, 300), 10_000), days(gains)))
    seen = 0.005 / 0.015 * math.sqrt(365)
    expected = (1.5 + seen * 180 / 365) / (1 + 180 / 365)
    assert score.expected_sharpe == pytest.approx(expected)
    weeks = [sum(gains[start : start + 7]) for start in range(0, 175, 7)]
    assert score.consistency == (sum(week > 0 for week in weeks) + 4) / 33
    assert score.age == 180 / 270
    assert score.drawn == pytest.approx(0.01)
    assert score.drawdown == 1.0 - score.drawn / score.usual
    assert score.value == score.sharpe * score.consistency * score.drawdown * score.age


def test_the_shrunk_sharpe_is_that_of_the_statistics() -> None:
    # Prior 1.5, deviation 1, 180 days at -1: 0.674312 (reference of the decay of strategies).
    live = np.tile([1.0, -1.0], 90) * 0.01 - 0.01 / math.sqrt(365)
    score = strategy_score("s", StrategyRecord(3.0, days(drawn(1, 300), 10_000), days(live)))
    assert score.expected_sharpe == pytest.approx(0.674312, abs=1e-6)


def test_without_a_record_a_strategy_has_no_age_and_without_a_promise_no_sharpe() -> None:
    young = strategy_score("s", record(live=0))
    assert (young.age, young.drawdown, young.value, young.decays) == (0.0, 1.0, 0.0, False)
    assert strategy_score("s", record(sharpe=-1.0)).sharpe == 0.0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 200), st.floats(-0.5, 5.0), st.floats(-0.02, 0.02))
def test_every_factor_and_share_is_within_its_bounds(seed: int, live: int, sharpe: float, mean: float) -> None:
    one = record(seed, live, sharpe, mean)
    score = strategy_score("s", one)
    assert all(0.0 <= each <= 1.0 for each in (score.sharpe, score.consistency, score.drawdown, score.age))
    made = allocate({"s": one, "t": record(seed + 1, 120), "u": record(seed + 2, 10)})
    assert all(0.0 <= share <= LARGEST_SHARE for share in made.shares.values())
    worse = replace(one, live={**one.live, max(one.live) + 1: -0.3})
    assert strategy_score("s", worse).drawdown <= score.drawdown
    assert allocate({"s": one}) == allocate({"s": one})


def test_a_drawdown_beyond_its_own_histories_ends_a_strategy() -> None:
    one = record(live=30)
    fallen = replace(one, live={**one.live, max(one.live) + 1: -0.6})
    made = allocate({"s": fallen, "t": record(5)})
    assert made.shares["s"] == 0.0
    assert made.shares["t"] > 0.0
    (finding,) = made.findings
    assert (finding.strategy, finding.number >= finding.bound) == ("s", True)


def test_of_two_that_go_together_the_lower_score_gets_nothing() -> None:
    good = record(3, live=90)
    copy = StrategyRecord(
        2.0,
        good.backtest,
        {day: gain * 0.9 - 0.0002 for day, gain in good.live.items()},
    )
    made = allocate({"copy": copy, "good": good, "other": record(8)})
    assert made.shares["copy"] == 0.0
    assert min(made.shares["good"], made.shares["other"]) > 0.0
    (finding,) = made.findings
    assert (finding.strategy, finding.number > 0.7, finding.bound) == ("copy", True, 0.7)


def test_under_a_tighter_limit_two_that_go_less_together_do_not_both_share() -> None:
    one, noise = drawn(0, 300), drawn(1, 300)
    promises = {name: StrategyPromise(3.0, days(values)) for name, values in (("a", one), ("b", one + 1.2 * noise))}
    for most, dropped in ((0.7, []), (0.6, ["b"])):
        allowed = Allowance({"a": 0.25, "b": 0.25}, limits=RiskLimits(most_correlated=most))
        left = PortfolioStep(promises.get).judge(standing(0, {"a": 0.25, "b": 0.25}), allowed)
        assert [(each.subject, each.bound) for each in left.verdicts] == [(name, most) for name in dropped]


def test_correlations_are_of_the_backtest_until_sixty_days_are_known() -> None:
    base, noise = record(3, live=59), record(4, live=59)
    twin = StrategyRecord(2.9, base.backtest, noise.live)  # as one in the backtest, apart since
    assert len(allocate({"a": base, "b": twin}).findings) == 1
    longer = replace(base, live=record(3, live=60).live), replace(twin, live=record(4, live=60).live)
    assert allocate(dict(zip("ab", longer, strict=True))).findings == ()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.floats(0.01, 1.0))
def test_no_other_share_within_the_cap_would_be_better(seed: int, count: int, cap: float) -> None:
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(count, count)) * 0.01
    covariance = factor @ factor.T + np.eye(count) * 1e-5
    means = rng.normal(0.0, 1e-4, count)
    shares = kelly_shares(means, covariance, cap=cap)
    slope = 0.25 * means - covariance @ shares
    tolerance = 1e-9
    assert np.all(kelly_shares(means, covariance) >= 0.0)
    assert np.all((shares >= 0.0) & (shares <= cap))
    assert np.all(slope[shares <= 0.0] <= tolerance)
    assert np.all(slope[shares >= cap] >= -tolerance)
    assert np.all(np.abs(slope[(shares > 0.0) & (shares < cap)]) <= tolerance)


def test_without_bounds_it_is_a_quarter_of_kelly() -> None:
    covariance = np.array([[4e-4, 1e-4], [1e-4, 9e-4]])
    means = np.array([1e-4, 2e-4])
    assert kelly_shares(means, covariance, cap=9.0) == pytest.approx(0.25 * np.linalg.solve(covariance, means))


def test_a_covariance_is_shrunk_towards_none_where_there_is_noise_only() -> None:
    rng = np.random.default_rng(0)
    common = rng.normal(size=(400, 1))
    tied = shrunk_covariance(common + 0.5 * rng.normal(size=(400, 3)))
    loose = shrunk_covariance(rng.normal(size=(12, 6)))
    raw = np.cov(rng.normal(size=(12, 6)).T)
    assert np.all(tied[~np.eye(3, dtype=bool)] > 0.8)
    assert np.abs(loose[~np.eye(6, dtype=bool)]).mean() < 0.5 * np.abs(raw[~np.eye(6, dtype=bool)]).mean()
    assert np.all(np.linalg.eigvalsh(loose) > 0.0)


def test_drawdowns_of_histories_grow_with_their_length() -> None:
    backtest = drawn(1, 300)
    short, long = (drawdown_quantile(backtest, count, seed=1) for count in (30, 360))
    assert 0.0 < short < long < 1.0
    assert current_drawdown(np.array([0.1, -0.5, 0.2])) == pytest.approx(0.4)
    assert current_drawdown(np.array([])) == 0.0


@given(
    st.dictionaries(st.sampled_from("abc"), st.floats(0.0, 0.25)),
    st.dictionaries(st.sampled_from("abc"), st.floats(0.0, 0.25)),
)
def test_small_changes_of_a_share_wait_and_ends_do_not(current: dict[str, float], wanted: dict[str, float]) -> None:
    made = rebalanced(current, wanted)
    assert made.keys() == wanted.keys()
    for name, share in made.items():
        assert share in (wanted[name], current.get(name))
        assert abs(share - wanted[name]) <= 0.2 * wanted[name]


class Promises:
    """What three strategies promise; nothing is known of any other."""

    def __init__(self) -> None:
        self.known = {
            name: StrategyPromise(3.0, days(drawn(place, 300), 10_000)) for place, name in enumerate(("a", "b", "c"))
        }

    def __call__(self, strategy: str) -> StrategyPromise | None:
        return self.known.get(strategy)


def standing(hours: int, shares: dict[str, float]) -> CloseStanding:
    rng = np.random.default_rng(hours)
    close = AccountClose((START * 24 + hours) * 3_600_000, {}, {}, shares)
    earned = {name: float(rng.normal(0.0002, 0.002)) for name in sorted(shares)}
    return CloseStanding(1, "paper", close, account_at(1_000.0), (), 3_600_000, earned)


def test_shares_are_set_once_a_day_and_never_above_what_was_there() -> None:
    step, shares = PortfolioStep(Promises()), {"a": 0.25, "b": 0.05, "x": 0.25}
    pipeline, seen = Pipeline([step]), []
    for hours in range(24 * 40):
        seen.append(dict(pipeline.judge(standing(hours, shares)).shares))
    changes = [hours for hours in range(1, len(seen)) if seen[hours] != seen[hours - 1]]
    assert changes
    assert all(hours % 24 == 0 for hours in changes)
    assert all(each["a"] <= 0.25 and each["b"] <= 0.05 and each["x"] == 0.0 for each in seen)
    assert seen[-1]["a"] > seen[24]["a"] >= 0.0
    assert sorted(step.live["a"]) == list(range(START, START + 39))


def test_a_day_is_what_its_bars_returned() -> None:
    step, grown = PortfolioStep(Promises()), 1.0
    for hours in range(49):
        at = standing(hours, {"a": 1.0})
        step.judge(at, Allowance(at.close.shares))
        if 1 <= hours <= 24:
            grown *= 1.0 + at.virtual_returns["a"]
    assert step.live["a"][START] == grown - 1.0


def test_one_that_has_the_account_alone_keeps_it_until_it_decays() -> None:
    step = PortfolioStep(Promises())
    at = standing(0, {"a": 1.0})
    assert step.judge(at, Allowance(at.close.shares)).shares == {"a": 1.0}
    step.live["a"] = days([-0.7], START - 1)
    next_day = standing(24, {"a": 1.0})
    left = step.judge(next_day, Allowance(next_day.close.shares))
    assert left.shares == {"a": 0.0}
    assert "decays" in left.verdicts[0].reason


def test_a_portfolio_that_restarts_at_every_close_says_the_same() -> None:
    shares = {"a": 0.25, "b": 0.25, "c": 0.25}
    whole, state = PortfolioStep(Promises()), None
    for hours in range(24 * 4 + 5):
        at = standing(hours, shares)
        piece = PortfolioStep(Promises())
        if state is not None:
            piece.restore(json.loads(json.dumps(state)))
        assert piece.judge(at, Allowance(shares)) == whole.judge(at, Allowance(shares))
        state = piece.state()


losses = st.one_of(st.just(0.0), st.floats(0.0, 1.0), st.floats(0.0, 2 * MOST_FORESEEN_LOSS))


@given(st.lists(st.fixed_dictionaries({"a": losses, "b": losses}), min_size=2, max_size=60))
@settings(max_examples=60, deadline=None)
def test_what_models_foresee_only_ever_makes_a_share_smaller_until_the_next_day(seen: list[dict[str, float]]) -> None:
    shares = {"a": 0.25, "b": 0.2, "c": 0.1}
    record = {name: days(drawn(place, 60, 0.003), START - 60) for place, name in enumerate(shares)}
    told, silent = (PortfolioStep(Promises(), day=START - 1, live=dict(record)) for _ in range(2))
    worst: dict[str, float] = {}
    for hours, foreseen in enumerate(seen):
        at = standing(hours, shares)
        worst = foreseen if hours % 24 == 0 else {name: max(loss, worst[name]) for name, loss in foreseen.items()}
        free = silent.judge(at, Allowance(shares)).shares
        left = told.judge(replace(at, foreseen_losses=foreseen), Allowance(shares))
        assert left.shares["c"] == free["c"]
        assert min(free.values()) > 0.0
        for name, loss in worst.items():
            assert left.shares[name] <= free[name]
            assert left.shares[name] * loss <= free[name] * MOST_FORESEEN_LOSS * (1 + 1e-12)
            assert (left.shares[name] == free[name]) == (loss <= MOST_FORESEEN_LOSS)
        said = {each.subject: each.number for each in left.verdicts if each.bound == MOST_FORESEEN_LOSS}
        assert said == {name: loss for name, loss in worst.items() if loss > MOST_FORESEEN_LOSS}


def test_one_that_has_the_account_alone_is_scaled_down_to_what_its_models_foresee() -> None:
    step, restarted = PortfolioStep(Promises()), PortfolioStep(Promises())
    at = replace(standing(1, {"a": 1.0}), foreseen_losses={"a": 0.12})
    assert step.judge(at, Allowance(at.close.shares)).shares == {"a": 0.25}
    restarted.restore(json.loads(json.dumps(step.state())))
    calm = replace(standing(2, {"a": 1.0}), foreseen_losses={"a": 0.0})
    assert restarted.judge(calm, Allowance(calm.close.shares)).shares == {"a": 0.25}
    next_day = standing(24, {"a": 1.0})
    assert restarted.judge(next_day, Allowance(next_day.close.shares)).shares == {"a": 1.0}


def test_a_loss_that_models_foresee_is_that_of_all_that_their_members_hold() -> None:
    """Held against the figures of the family over all bars at once, and units and prices as they stand."""
    panel = market(holes=False)
    tree = Genome(TREE, dict(default_genome(TREE).genes) | {"min_edge": 0.0, "risk_asymmetry": 0.5})
    committee = Committee.of([tree, default_genome("ema_crossover")])
    made = document(strategy=committee, universe=panel.symbols, interval="1h")
    followed = FollowedStrategy(made, "trades", COSTS, FollowedMarket(panel.window(0, START_ROW)), since_ms=0)
    family, genes = get_family(TREE), gene_arrays([tree])
    assert isinstance(family, PcaTreeQuantile)
    figures, numbers = [], panel.times // panel.interval.milliseconds
    for asset in range(panel.n_assets):
        columns = {name: getattr(panel, name)[:, asset] for name in family.columns}
        bars, _ = valid_bars(tree, columns, numbers=numbers)
        figures.append(family.risk_figures(IndicatorBank(bars, family.indicators(genes)), genes))
    root = math.sqrt(24 / int(tree.genes["label_horizon"]))
    lost = []
    for row in range(START_ROW, START_ROW + 60):
        followed.advance(MarketRow.of(panel, row), panel.symbols)
        expected = 0.0
        for (_, member, symbol), units in followed.units.items():
            asset = panel.symbols.index(symbol)
            if member == tree.hash:
                level = figures[asset]["lower" if units > 0 else "upper"][0, row] * root
                expected += max(-units * math.expm1(level), 0.0) * panel.close[row, asset]
        assert followed.foreseen_loss == pytest.approx(expected, rel=1e-9)
        lost.append(expected)
    assert max(lost) > 0.0
    other = FollowedStrategy(strategy(), "trades", COSTS, FollowedMarket(panel.window(0, START_ROW)), since_ms=0)
    other.advance(MarketRow.of(panel, START_ROW), panel.symbols)
    assert other.units
    assert other.foreseen_loss == 0.0


def test_strategies_without_days_in_common_are_refused() -> None:
    apart = replace(record(2, live=0), backtest=days(drawn(9, 300), 15_000))
    with pytest.raises(InputError, match="no days in common"):
        allocate({"a": record(1, live=0), "b": apart})
    with pytest.raises(InputError, match="a backtest of 5 days"):
        allocate({"a": replace(record(1), backtest=days([0.1] * 5))})
