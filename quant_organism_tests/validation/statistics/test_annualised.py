"""Lo's error and scaling, and the haircut of Harvey and Liu, against their published examples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.validation.statistics.annualised import haircut_sharpe, lo_annualisation, lo_standard_error


@pytest.mark.parametrize(("sharpe", "periods", "expected"), [(0.5, 12, 0.306), (3.0, 60, 0.303)])
def test_lo_standard_error(sharpe, periods, expected):
    assert lo_standard_error(sharpe, periods) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(("rho", "expected"), [(0.2, 2.879), (0.0, np.sqrt(12)), (-0.2, 4.171)])
def test_lo_annualisation_of_monthly_autoregressions(rho, expected):
    assert lo_annualisation(rho ** np.arange(1.0, 12.0)) == pytest.approx(expected, abs=5e-4)


def test_autocorrelations_that_no_returns_can_have_give_no_number():
    assert np.isnan(lo_annualisation(np.full(11, -0.9)))


def test_haircut_of_200_tests_over_20_years():
    assert haircut_sharpe(0.75, 20, 200) == pytest.approx(0.3148, abs=5e-5)


def test_one_test_costs_nothing():
    assert haircut_sharpe(0.75, 20, 1) == pytest.approx(0.75, abs=1e-9)
    assert haircut_sharpe(0.75, 20, 1, "sidak") == pytest.approx(0.75, abs=1e-9)


@pytest.mark.parametrize(("sharpe", "tests"), [(0.75, 10_000), (-1.0, 1), (0.0, 5)])
def test_nothing_is_left_of_what_luck_explains(sharpe, tests):
    assert haircut_sharpe(sharpe, 20, tests) == 0


@given(sharpe=st.floats(0.01, 20), years=st.floats(0.5, 30), tests=st.integers(1, 1_000_000))
def test_bonferroni_takes_at_least_as_much_as_sidak_and_neither_adds(sharpe, years, tests):
    hard, soft = haircut_sharpe(sharpe, years, tests), haircut_sharpe(sharpe, years, tests, "sidak")
    assert 0 <= hard <= soft + 1e-9
    assert soft <= sharpe + 1e-6


@pytest.mark.parametrize(("years", "tests"), [(0, 5), (2, 0)])
def test_no_time_and_no_test_are_errors(years, tests):
    with pytest.raises(InputError):
        haircut_sharpe(1.0, years, tests)


def test_where_one_to_two_discoveries_are_expected_by_luck_nothing_is_left():
    # The p-value of 0.75 over 20 years is 0.0008: 1,500 tests make it 1.19, of which a quantile would be negative.
    assert haircut_sharpe(0.75, 20, 1_500) == 0.0
    assert haircut_sharpe(0.75, 20, 1_200) == pytest.approx(0.0125, abs=5e-5)
