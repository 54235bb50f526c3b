"""The trial budget: published figures, and the laws that tie its functions together."""

import doctest
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.evolution import budget
from quant_organism.evolution.budget import (
    expected_luck,
    expected_maximum,
    luck_sentence,
    minimum_years,
    trial_budget,
)

TARGETS = st.floats(0.2, 4.0)
YEARS = st.floats(0.1, 20.0)


@pytest.mark.parametrize(("n", "value"), [(1, 0.0), (10, 1.5746), (100, 2.5306), (1_000, 3.2551), (10**6, 4.8679)])
def test_the_expected_maximum_has_its_published_values(n: int, value: float) -> None:
    assert expected_maximum(n) == pytest.approx(value, abs=5e-5)


@pytest.mark.parametrize(("n", "exact"), [(10, 1.5388), (100, 2.5076), (1_000, 3.2414), (10**6, 4.8629)])
def test_the_closed_form_is_a_little_above_the_exact_integral(n: int, exact: float) -> None:
    assert exact < expected_maximum(n) < exact + 0.04


@pytest.mark.parametrize(
    ("years", "target", "trials"),
    [(5, 1.0, 45), (2, 2.0, 242), (2, 2.5, 2_781), (2, 3.0, 51_134), (5, 2.0, 145_785)],
)
def test_the_trial_budget_has_its_known_values(years: float, target: float, trials: int) -> None:
    assert trial_budget(years, target) == trials


@pytest.mark.parametrize(("n", "target", "years"), [(45, 1.0, 4.998), (10**5, 2.0, 4.82)])
def test_the_minimum_backtest_length_has_its_known_values(n: int, target: float, years: float) -> None:
    assert minimum_years(n, target) == pytest.approx(years, abs=5e-3)


@given(st.integers(2, 10**15), TARGETS)
def test_the_minimum_backtest_length_is_below_its_bound(n: int, target: float) -> None:
    assert minimum_years(n, target) < 2 * math.log(n) / target**2


@given(YEARS, TARGETS)
def test_the_budget_is_the_last_number_of_trials_whose_luck_the_target_bears(years: float, target: float) -> None:
    trials = trial_budget(years, target)
    assert trials == 10**18 or expected_luck(trials + 1, years) > target * (1 - 1e-12)
    assert trials == 1 or expected_luck(trials, years) <= target * (1 + 1e-12)


@given(st.integers(1, 10**17), st.integers(2, 1_000))
def test_more_trials_look_luckier(n: int, times: int) -> None:
    assert expected_maximum(n * times) > expected_maximum(n)


def test_luck_is_told_in_a_plain_sentence() -> None:
    assert luck_sentence(1, 0.5).startswith("With 1 trial on 0.5 years, luck alone is expected to show an annual")
    assert luck_sentence(1, 0.5).endswith("ratio of 0.00.")
    assert tuple(doctest.testmod(budget)) == (0, 1)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_history_without_length_and_a_target_without_size_are_refused(value: float) -> None:
    with pytest.raises(InputError, match="years"):
        expected_luck(10, value)
    with pytest.raises(InputError, match="years"):
        trial_budget(value, 1.0)
    with pytest.raises(InputError, match="target"):
        minimum_years(10, value)


def test_no_trial_has_no_luck() -> None:
    with pytest.raises(InputError, match="at least 1"):
        expected_maximum(0)
