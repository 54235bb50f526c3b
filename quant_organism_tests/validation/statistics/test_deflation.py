"""What the best of N trials shows by luck, and what is left of a Sharpe ratio after it."""

import numpy as np
import purgedcv
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kurtosis, skew

from quant_organism.errors import InputError
from quant_organism.validation.statistics.deflation import (
    Deflation,
    deflate,
    deflated_sharpe_ratio,
    lucky_sharpe,
    maximum_moments,
)
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.statistics.sharpe import SharpeMoments, probabilistic_sharpe_ratio, sharpe_moments

ANNUAL = np.sqrt(250)
FAT_TAILED = SharpeMoments(2.5 / ANNUAL, -3.0, 10.0, 0.0, 1_250)
NORMAL = SharpeMoments(2.5 / ANNUAL, 0.0, 3.0, 0.0, 1_250)
HEDGE_FUND = SharpeMoments(0.036 / 0.079, -2.448, 10.164, 0.0, 24)


@pytest.mark.parametrize(("n", "exact"), [(10, 1.5388), (100, 2.5076), (1_000, 3.2414), (1_000_000, 4.8629)])
def test_exact_mean_of_the_maximum(n, exact):
    assert maximum_moments(n).mean == pytest.approx(exact, abs=5e-5)


@pytest.mark.parametrize(("n", "variance"), [(1, 1.0), (2, 1 - 1 / np.pi), (10, 0.34434), (100, 0.18440)])
def test_variance_of_the_maximum(n, variance):
    assert maximum_moments(n).variance == pytest.approx(variance, abs=5e-6)


def test_maximum_of_simulated_normals():
    maxima = np.random.default_rng(1).standard_normal((20_000, 30)).max(axis=1)
    assert maximum_moments(30).mean == pytest.approx(maxima.mean(), abs=4 * maxima.std() / np.sqrt(len(maxima)))
    assert maximum_moments(30).variance == pytest.approx(maxima.var(), rel=0.05)


@pytest.mark.parametrize(
    ("moments", "trials", "expected"),
    [(FAT_TAILED, 100, 0.900397), (FAT_TAILED, 46, 0.950502), (FAT_TAILED, 88, 0.910153), (NORMAL, 88, 0.950491)],
)
def test_deflated_sharpe_ratio_of_2014(moments, trials, expected):
    found = deflated_sharpe_ratio(moments, trials, variance=0.5 / 250, version="2012")
    assert found == pytest.approx(expected, abs=5e-7)


@pytest.mark.parametrize(("trials", "expected"), [(100, 0.113172), (46, 0.100362)])
def test_lucky_sharpe_ratio_of_2014(trials, expected):
    assert lucky_sharpe(trials, 0.5 / 250) == pytest.approx(expected, abs=5e-7)


def test_lucky_sharpe_ratio_of_2014_a_year():
    assert lucky_sharpe(100, 0.5 / 250) * ANNUAL == pytest.approx(1.7894, abs=5e-5)


def test_deflated_sharpe_ratio_of_2025():
    luck = lucky_sharpe(10, 0.1)
    assert luck == pytest.approx(0.4979, abs=5e-5)
    assert deflated_sharpe_ratio(HEDGE_FUND, 10, variance=0.1) == pytest.approx(0.4164, abs=5e-5)
    assert probabilistic_sharpe_ratio(HEDGE_FUND, luck) == pytest.approx(0.4507, abs=5e-5)


@pytest.mark.parametrize("seed", range(3))
def test_purgedcv_agrees(seed):
    returns = 0.01 * (np.random.default_rng(seed).standard_t(5, 300) + 0.1)
    # It divides by the population deviation and corrects skew and kurtosis for the size of the sample.
    moments = SharpeMoments(
        returns.mean() / returns.std(), skew(returns, bias=False), 3 + kurtosis(returns, bias=False), 0.0, 300
    )
    ours = deflated_sharpe_ratio(moments, 50, variance=1 / 300, version="2012")
    assert ours == pytest.approx(purgedcv.deflated_sharpe_ratio(returns, 50, 1 / 300), abs=1e-9)


@given(trials=st.integers(1, 10_000), more=st.integers(1, 10_000))
def test_more_trials_explain_more_by_luck(trials, more):
    assert lucky_sharpe(trials + more, 1.0) > lucky_sharpe(trials, 1.0)


def test_one_trial_is_deflated_by_nothing():
    assert deflated_sharpe_ratio(HEDGE_FUND, 1) == pytest.approx(probabilistic_sharpe_ratio(HEDGE_FUND), abs=1e-9)


def test_deflation_shows_the_filter_and_the_pessimist():
    returns = 0.01 * (np.random.default_rng(3).standard_normal(400) + 0.2)
    found = deflate(returns, clusters=50, trials=3_600)
    moments = sharpe_moments(returns)
    assert isinstance(found, Deflation)
    assert found.probability == deflated_sharpe_ratio(moments, 50)
    assert found.pessimist == deflated_sharpe_ratio(moments, 3_600)
    assert found.pessimist < found.probability
    assert (found.clusters, found.trials, found.periods, found.version) == (50, 3_600, 400, "2025")


def test_the_best_of_many_without_an_edge_is_seldom_taken_for_skill():
    """The formula takes a skewed maximum for a normal: at .95 it errs in about 8 % of cases, not in 5 %."""
    rng = np.random.default_rng(8)
    found = []
    for _ in range(400):
        trials = rng.standard_normal((250, 40))
        best = trials[:, (trials.mean(axis=0) / trials.std(axis=0)).argmax()]
        result = deflate(best, clusters=40, trials=40)
        assert isinstance(result, Deflation)
        found.append(result.probability > 0.95)
    assert 0.04 < np.mean(found) < 0.12


@pytest.mark.parametrize(
    ("returns", "reason"),
    [
        (0.01 * np.arange(29.0), "needs 30 days, has 29"),
        (np.full(60, 0.01), "the returns do not vary"),
        (np.zeros(60), "the returns do not vary"),
    ],
)
def test_what_cannot_be_deflated_says_why(returns, reason):
    assert deflate(returns, clusters=5, trials=10) == NotRun(reason)


def test_an_extreme_skew_says_so():
    one_lucky_week = np.zeros(500)
    one_lucky_week[250:255] = 0.1
    result = deflate(one_lucky_week, clusters=45, trials=45)
    assert isinstance(result, NotRun)
    assert "skew" in result.reason


@pytest.mark.parametrize(("clusters", "trials"), [(0, 10), (11, 10)])
def test_counts_that_make_no_sense_are_errors(clusters, trials):
    with pytest.raises(InputError, match="clusters"):
        deflate(KNOWN, clusters=clusters, trials=trials)


KNOWN = 0.01 * np.sin(np.arange(60.0))
