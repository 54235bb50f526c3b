"""Stationary bootstrap rows, block length and the variances they imply."""

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.validation.statistics.resampling import (
    block_variances,
    long_run_variance,
    politis_white_length,
    stationary_rows,
)


def moving_average(seed: int, periods: int, weight: float = 0.6) -> np.ndarray:
    shocks = np.random.default_rng(seed).standard_normal(periods + 1)
    return shocks[1:] + weight * shocks[:-1]


def test_dependent_returns_need_longer_blocks():
    independent = np.mean([politis_white_length(moving_average(seed, 500, 0.0)) for seed in range(10)])
    dependent = np.mean([politis_white_length(moving_average(seed, 500, 0.9)) for seed in range(10)])
    assert 1 <= independent < 3 < dependent


def test_constant_returns_have_no_block():
    assert politis_white_length(np.zeros(100)) == 1
    assert politis_white_length(np.arange(3.0)) == 1


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), periods=st.integers(1, 60), block=st.floats(1, 40), draws=st.integers(1, 5))
def test_rows_run_on_a_circle_inside_blocks(seed, periods, block, draws):
    rows, starts = stationary_rows(np.random.default_rng(seed), periods, block, draws)
    assert rows.shape == starts.shape == (draws, periods)
    assert starts[:, 0].all()
    assert ((rows >= 0) & (rows < periods)).all()
    follows = (rows[:, 1:] - rows[:, :-1]) % periods == 1 % periods
    assert (follows | starts[:, 1:]).all()


def test_blocks_have_the_mean_length_and_every_row_the_same_chance():
    rows, starts = stationary_rows(np.random.default_rng(1), 200, 8.0, 2_000)
    assert rows.size / starts.sum() == pytest.approx(8, rel=0.05)
    counts = np.bincount(rows.ravel(), minlength=200)
    assert counts == pytest.approx(np.full(200, 2_000), rel=0.25)


def test_a_seed_gives_the_same_rows_again():
    first, second = (stationary_rows(np.random.default_rng(4), 50, 5, 3)[0] for _ in range(2))
    assert (first == second).all()


def test_blocks_of_one_period_give_the_ordinary_variance():
    returns = moving_average(2, 100)
    assert long_run_variance(returns, 1) == pytest.approx(returns.var())


@pytest.mark.parametrize("block", [3, 10])
def test_long_run_variance_is_that_of_the_bootstrapped_mean(block):
    returns = moving_average(3, 120)
    rows, _ = stationary_rows(np.random.default_rng(5), 120, block, 20_000)
    ours = returns[rows].mean(axis=1).var() * 120
    assert long_run_variance(returns, block) == pytest.approx(ours, rel=0.04)
    theirs = StationaryBootstrap(block, returns, seed=6).apply(np.mean, 3_000).var() * 120
    assert long_run_variance(returns, block) == pytest.approx(theirs, rel=0.1)


def test_long_run_variance_by_the_sum_of_the_paper():
    returns, block = moving_average(7, 40), 4
    centred, periods, stay = returns - returns.mean(), 40, 1 - 1 / 4
    total = np.mean(centred**2)
    for lag in range(1, periods):
        weight = (1 - lag / periods) * stay**lag + lag / periods * stay ** (periods - lag)
        total += 2 * weight * np.sum(centred[lag:] * centred[:-lag]) / periods
    assert long_run_variance(returns, block) == pytest.approx(total)


def test_block_variances_by_hand():
    centred = np.array([[1.0, 2.0, -3.0, 0.0], [1.0, -1.0, 2.0, -2.0]])
    starts = np.array([[True, False, True, False], [True, True, False, True]])
    assert block_variances(centred, starts) == pytest.approx([(9 + 9) / 4, (1 + 1 + 4) / 4])


def test_a_block_below_one_period_is_an_error():
    with pytest.raises(InputError, match="too short"):
        stationary_rows(np.random.default_rng(1), 50, 0.5, 3)


@pytest.mark.filterwarnings("ignore:divide by zero")
def test_ten_days_are_the_least_that_have_a_block_of_a_third_at_most():
    walk = np.cumsum(np.random.default_rng(1).standard_normal(10))
    assert politis_white_length(walk[:9]) == 1.0
    assert politis_white_length(walk) == pytest.approx(10 / 3)
