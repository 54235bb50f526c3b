"""Hansen's SPA and stepwise survivors."""

import numpy as np
import pytest
from arch.bootstrap import SPA

from quant_organism.errors import InputError
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.statistics.resampling import stationary_rows
from quant_organism.validation.statistics.spa import (
    SuperiorPredictiveAbility,
    Survivors,
    predictive_ability,
    stepwise_survivors,
)


def noise(seed: int, days: int = 200, models: int = 8) -> np.ndarray:
    return 0.01 * np.random.default_rng(seed).standard_normal((days, models))


def run_test(returns: np.ndarray, **options) -> SuperiorPredictiveAbility:
    found = predictive_ability(returns, seed=1, **options)
    assert isinstance(found, SuperiorPredictiveAbility)
    return found


def hansen_by_hand(returns: np.ndarray, block: int, draws: int) -> tuple[float, float]:
    """Return statistic and consistent p-value, studentised by the bootstrap's own standard deviation of the mean."""
    days = len(returns)
    rows, _ = stationary_rows(np.random.default_rng(9), days, block, draws)
    means = np.stack([returns[r].mean(axis=0) for r in rows])
    error = means.std(axis=0)
    mean = returns.mean(axis=0)
    recentred = np.where(mean / error >= -np.sqrt(2 * np.log(np.log(days))), mean, 0)
    maxima = np.max((means - recentred) / error, axis=1)
    statistic = np.max(mean / error)
    return float(statistic), float(np.mean(maxima >= statistic))


@pytest.mark.parametrize("drift", [0.0, 0.0008, 0.0015])
def test_a_plain_implementation_agrees(drift):
    returns = noise(3) * np.array([1, 1, 1, 1, 0.1, 0.1, 10, 10])
    returns[:, 2] += drift
    returns[:, 5] -= 0.001
    statistic, p = hansen_by_hand(returns, 14, 4_000)
    found = run_test(returns, draws=4_000, block_days=14)
    assert found.statistic == pytest.approx(statistic, rel=0.05)
    assert found.p_value == pytest.approx(p, abs=0.02 + 3 * np.sqrt(p * (1 - p) / 4_000))


def test_arch_agrees_where_all_strategies_vary_alike():
    returns = noise(4)
    returns /= returns.std(axis=0)
    returns[:, 1] += 0.15
    theirs = SPA(np.zeros(200), -returns, block_size=1, reps=2_000, seed=5)
    theirs.compute()
    found = run_test(returns, block_days=1, draws=2_000)
    for ours, name in [(found.p_value, "consistent"), (found.lower, "lower"), (found.upper, "upper")]:
        p = theirs.pvalues[name]
        assert ours == pytest.approx(p, abs=0.001 + 3 * np.sqrt(p * (1 - p) / 1_000))


def test_false_alarm_rate_of_fixed_strategies():
    p_values = np.array([run_test(noise(seed, 120, 5), draws=99).p_value for seed in range(100, 180)])
    # Three deviations of 80 draws each, 0.3 % by chance for other seeds.
    assert np.mean(p_values <= 0.1) == pytest.approx(0.1, abs=0.1)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.1)


def test_blocks_that_are_too_long_reject_noise():
    p_values = [run_test(noise(seed, 120, 5), draws=99, block_days=10).p_value for seed in range(100, 160)]
    assert np.mean(np.array(p_values) <= 0.05) > 0.1


def test_the_better_strategy_is_named():
    returns = noise(5)
    returns[:, 6] += 0.003
    found = run_test(returns)
    assert found.best == 6
    assert found.p_value <= 0.01
    assert 0 < found.lower <= found.p_value <= found.upper <= 1


def test_leverage_and_order_of_strategies_change_nothing():
    returns = noise(6)
    returns[:, 2] += 0.001
    order = np.array([3, 1, 7, 2, 0, 5, 4, 6])
    plain, moved = run_test(returns), run_test(returns[:, order] * np.arange(1, 9))
    assert moved.p_value == pytest.approx(plain.p_value, abs=1e-9)
    assert order[moved.best] == plain.best


def test_a_benchmark_is_subtracted():
    returns = noise(7)
    benchmark = 0.01 * np.random.default_rng(8).standard_normal(200) + 0.002
    assert run_test(returns, benchmark=benchmark) == run_test(returns - benchmark[:, None])


def test_strategies_that_never_trade_are_dropped_and_counted():
    returns = noise(9)
    returns[:, [0, 4]] = 0
    returns[:, 5] += 0.004
    found = run_test(returns)
    assert (found.models, found.dropped, found.best) == (6, 2, 5)
    survivors = stepwise_survivors(returns, seed=1)
    assert isinstance(survivors, Survivors)
    assert survivors.columns.tolist() == [5]
    assert survivors.dropped == 2


def test_survivors():
    returns = noise(10, 400)
    assert stepwise_survivors(returns, seed=1).columns.tolist() == []
    returns[:, [1, 6]] += 0.003
    returns[:, 3] -= 0.003
    assert stepwise_survivors(returns, seed=1).columns.tolist() == [1, 6]


@pytest.mark.parametrize(
    ("returns", "reason"),
    [
        (noise(1, 99), "needs 100 days, has 99"),
        (noise(1, 150, 1), "needs 2 strategies that trade, has 1"),
        (np.zeros((150, 9)), "needs 2 strategies that trade, has 0"),
    ],
)
def test_too_little_is_not_run(returns, reason):
    assert predictive_ability(returns, seed=1) == NotRun(reason)
    assert stepwise_survivors(returns, seed=1) == NotRun(reason)


def test_bad_input_is_an_error():
    returns = noise(1)
    with pytest.raises(InputError, match="benchmark"):
        predictive_ability(returns, seed=1, benchmark=np.zeros(10))
    with pytest.raises(InputError, match="level"):
        stepwise_survivors(returns, seed=1, level=1.5)
    returns[20, 3] = np.nan
    with pytest.raises(InputError, match="period 20, column 3"):
        predictive_ability(returns, seed=1)
