"""The difference of two Sharpe ratios."""

import numpy as np
import pytest

from quant_organism.errors import InputError
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.statistics.sharpe import sharpe_moments
from quant_organism.validation.statistics.sharpe_difference import SharpeDifference, sharpe_difference


def pair(seed: int, days: int = 250, edge: float = 0.0, correlation: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    both = rng.standard_normal((days, 1)) * np.sqrt(correlation)
    each = both + np.sqrt(1 - correlation) * rng.standard_normal((days, 2)) + 0.05
    return 0.01 * (each[:, 0] + edge), 0.02 * each[:, 1]


def run_test(first: np.ndarray, second: np.ndarray, draws: int = 499, **options) -> SharpeDifference:
    found = sharpe_difference(first, second, seed=1, draws=draws, **options)
    assert isinstance(found, SharpeDifference)
    return found


def by_moments(first: np.ndarray, second: np.ndarray, begins: list[int]) -> tuple[float, float]:
    """Return the difference and its error as Ledoit and Wolf state them: by the gradient in four moments."""
    days = len(first)
    moments = np.column_stack([first, second, first**2, second**2])
    m1, m2, g1, g2 = moments.mean(axis=0)
    v1, v2 = g1 - m1**2, g2 - m2**2
    gradient = np.array([g1 / v1**1.5, -g2 / v2**1.5, -m1 / (2 * v1**1.5), m2 / (2 * v2**1.5)])
    sums = np.add.reduceat(moments - moments.mean(axis=0), begins)
    covariance = sums.T @ sums / days
    return m1 / np.sqrt(v1) - m2 / np.sqrt(v2), np.sqrt(gradient @ covariance @ gradient / days)


def test_the_moments_of_the_paper_give_the_same_p_value():
    first, second = pair(5, days=100, edge=0.1)
    found = run_test(first, second, draws=300, block_days=4)
    begins = list(range(0, 100, 4))
    difference = by_moments(first, second, begins)[0]
    critical = abs(found.difference / found.standard_error)
    exceedances = 0
    for origin in np.random.default_rng(1).integers(0, 100, (300, 25)):
        rows = (origin[:, None] + np.arange(4)).ravel() % 100
        resampled, error = by_moments(first[rows], second[rows], begins)
        exceedances += abs(resampled - difference) / error >= critical
    assert found.p_value == (1 + exceedances) / 301


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_difference_and_its_error(edge):
    first, second = pair(1, days=4_000, edge=edge)
    found = run_test(first, second, block_days=1)
    s1, s2 = sharpe_moments(first).sharpe, sharpe_moments(second).sharpe
    assert found.difference == pytest.approx(s1 - s2, abs=1e-12)
    # Jobson, Korkie 1981 as corrected by Memmel 2003: normal returns, independent in time.
    rho = np.corrcoef(first, second)[0, 1]
    variance = (2 - 2 * rho + (s1**2 + s2**2 - 2 * s1 * s2 * rho**2) / 2) / 4_000
    assert found.standard_error == pytest.approx(np.sqrt(variance), rel=0.05)


def test_false_alarm_rate():
    p_values = np.array([run_test(*pair(seed), draws=199).p_value for seed in range(120)])
    # Three deviations of 120 draws each, 0.3 % by chance for other seeds.
    assert np.mean(p_values <= 0.05) == pytest.approx(0.05, abs=0.06)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.08)


def test_a_better_challenger_is_seen():
    assert np.mean([run_test(*pair(seed, edge=0.25)).p_value <= 0.05 for seed in range(40)]) > 0.8


def test_order_turns_the_sign_and_leverage_changes_nothing():
    first, second = pair(2, edge=0.1)
    plain, turned, levered = run_test(first, second), run_test(second, first), run_test(5 * first, second)
    assert turned.difference == pytest.approx(-plain.difference)
    assert turned.p_value == plain.p_value
    assert levered.p_value == pytest.approx(plain.p_value, abs=0.003)
    assert 0 < plain.p_value <= 1


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (np.ones(59), np.ones(59), "needs 60 days, has 59"),
        (pair(3)[0], np.zeros(250), "the returns of one strategy do not vary"),
        (pair(3)[0], pair(3)[0], "the two strategies do not differ on any day"),
    ],
)
def test_what_cannot_be_tested_says_why(first, second, reason):
    assert sharpe_difference(first, second, seed=1) == NotRun(reason)


def test_bad_input_is_an_error():
    first, second = pair(4)
    with pytest.raises(InputError, match="same days"):
        sharpe_difference(first, second[1:], seed=1)
    second[7] = np.nan
    with pytest.raises(InputError, match="period 7"):
        sharpe_difference(first, second, seed=1)
