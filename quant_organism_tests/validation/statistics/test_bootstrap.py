"""The p-value of a mean daily return."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from quant_organism.errors import InputError
from quant_organism.validation.statistics.bootstrap import MeanTest, mean_return_test
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.statistics.resampling import long_run_variance, stationary_rows


def run_test(returns: np.ndarray, draws: int = 199, seed: int = 0, mean_block_days: float | None = None) -> MeanTest:
    found = mean_return_test(returns, seed=seed, draws=draws, mean_block_days=mean_block_days)
    assert isinstance(found, MeanTest)
    return found


def test_independent_normal_returns_give_the_t_test():
    returns = 0.01 * (np.random.default_rng(1).standard_normal(250) + 0.12)
    expected = ttest_1samp(returns, 0, alternative="greater")
    found = run_test(returns, draws=20_000, mean_block_days=1)
    assert found.t_statistic == pytest.approx(expected.statistic, rel=0.003)  # divisors T and T - 1
    assert found.p_value == pytest.approx(
        expected.pvalue, abs=3 * np.sqrt(expected.pvalue / 20_000) + 0.1 * expected.pvalue
    )


@pytest.mark.parametrize("block", [1.0, 6.0])
def test_each_resample_is_studentised_by_its_own_blocks(block):
    returns = 0.01 * (np.random.default_rng(5).standard_t(3, 90) + 0.1)
    rows, starts = stationary_rows(np.random.default_rng(6), 90, block, 400)
    t_statistic = returns.mean() / np.sqrt(long_run_variance(returns, block) / 90)
    exceedances = 0
    for row, start in zip(rows, starts, strict=True):
        sample = returns[row]
        blocks = np.split(sample - sample.mean(), np.flatnonzero(start)[1:])
        error = np.sqrt(sum(part.sum() ** 2 for part in blocks)) / 90
        exceedances += (sample.mean() - returns.mean()) / error >= t_statistic
    found = run_test(returns, draws=400, seed=6, mean_block_days=block)
    assert found.p_value == (1 + exceedances) / 401
    assert found.t_statistic == pytest.approx(t_statistic)


@pytest.mark.parametrize("kind", ["fat tails", "autocorrelated", "mostly flat", "crashes"])
def test_false_alarm_rate(kind):
    rng = np.random.default_rng(2)
    noise = rng.standard_t(4, (200, 181))
    worlds = {
        "fat tails": noise[:, 1:],
        "autocorrelated": noise[:, 1:] + 0.25 * noise[:, :-1],
        "mostly flat": np.where(rng.random((200, 180)) < 0.3, noise[:, 1:], 0),
        "crashes": 1 - rng.exponential(1, (200, 180)),
    }
    p_values = np.array([run_test(returns).p_value for returns in 0.01 * worlds[kind]])
    # Three deviations of 200 draws each, 0.3 % by chance for other seeds.
    assert np.mean(p_values <= 0.05) == pytest.approx(0.05, abs=0.046)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.061)


def test_an_edge_is_found():
    rng = np.random.default_rng(3)
    annual_sharpe_3 = 3 / np.sqrt(365)
    found = [run_test(rng.standard_normal(290) + annual_sharpe_3).p_value <= 0.05 for _ in range(60)]
    assert np.mean(found) > 0.7


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100))
def test_leverage_changes_no_p_value(seed, scale):
    returns = 0.01 * np.random.default_rng(seed).standard_normal(80)
    plain, levered = run_test(returns, 99, seed), run_test(scale * returns, 99, seed)
    assert 0 < plain.p_value <= 1
    assert levered.p_value == pytest.approx(plain.p_value, abs=0.011)
    assert levered.t_statistic == pytest.approx(plain.t_statistic)


def test_a_p_value_is_never_0_and_a_seed_gives_it_again():
    returns = 0.01 * (np.random.default_rng(4).standard_normal(200) + 2)
    assert run_test(returns, 99).p_value == pytest.approx(0.01)
    assert run_test(returns, 99) == run_test(returns, 99)


def test_one_lucky_day_is_no_evidence():
    returns = np.zeros(100)
    returns[30] = 0.5
    assert run_test(returns, 999).p_value > 0.05


@pytest.mark.parametrize(
    ("returns", "reason"),
    [
        (np.linspace(0, 1, 59), "needs 60 days, has 59"),
        (np.zeros(80), "the returns do not vary: nothing was traded"),
        (np.full(80, 0.01), "the returns do not vary: nothing was traded"),
    ],
)
def test_what_cannot_be_tested_says_why(returns, reason):
    assert mean_return_test(returns, seed=1) == NotRun(reason)


def test_bad_input_is_an_error():
    returns = np.sin(np.arange(80.0))
    with pytest.raises(InputError, match="draws"):
        mean_return_test(returns, seed=1, draws=0)
    returns[5] = np.nan
    with pytest.raises(InputError, match="period 5"):
        mean_return_test(returns, seed=1)
