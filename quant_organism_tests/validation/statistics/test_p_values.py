"""p-values: combined, corrected for their number, simulated; and the interval of a share."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, combine_pvalues, false_discovery_control
from statsmodels.stats.multitest import multipletests

from quant_organism.errors import InputError
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.statistics.p_values import (
    SimulatedP,
    benjamini_hochberg,
    benjamini_yekutieli,
    bonferroni,
    fisher,
    holm,
    simulated_p_value,
    wilson_interval,
)

FIFTEEN = np.array(
    [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324, 0.4262, 0.5719, 0.6528, 0.759, 1]
)
P_VALUES = st.lists(st.floats(1e-6, 1), min_size=1, max_size=20).map(np.array)


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [((0.05, 0.1), 0.031491587), ((0.01, 0.01), 0.001021034), ((0.05, 0.1, 0.2), 0.031766297)],
)
def test_fisher(p_values, expected):
    assert fisher(p_values) == pytest.approx(expected, abs=5e-10)


@given(P_VALUES)
def test_scipy_agrees_on_fisher(p_values):
    assert fisher(p_values) == pytest.approx(combine_pvalues(p_values).pvalue, rel=1e-9)
    assert fisher(p_values) == pytest.approx(fisher(p_values[::-1]))


def test_fisher_of_one_is_itself_and_never_0():
    assert fisher([0.3]) == pytest.approx(0.3)
    assert fisher([1e-300] * 5) > 0


def test_what_did_not_run_is_not_combined():
    assert fisher([0.01, float("nan")]) == NotRun("p-value 1 is missing")


@pytest.mark.parametrize("p_values", [(), (0.5, 0.0), (0.5, 1.1)])
def test_what_is_no_p_value_is_an_error(p_values):
    with pytest.raises(InputError):
        fisher(p_values)


@pytest.mark.parametrize(("method", "rejected"), [(bonferroni, 3), (holm, 3), (benjamini_hochberg, 4)])
def test_rejections_of_fifteen_p_values(method, rejected):
    assert (method(FIFTEEN) <= 0.05).sum() == rejected
    assert (method(FIFTEEN[::-1]) <= 0.05)[::-1].tolist() == (method(FIFTEEN) <= 0.05).tolist()


@pytest.mark.parametrize(
    ("method", "name"), [(bonferroni, "bonferroni"), (holm, "holm"), (benjamini_hochberg, "fdr_bh")]
)
def test_statsmodels_agrees_on_corrections(method, name):
    p_values = np.random.default_rng(1).random(40) ** 3
    assert method(p_values) == pytest.approx(multipletests(p_values, method=name)[1], rel=1e-12)


@given(P_VALUES)
def test_scipy_agrees_on_false_discoveries(p_values):
    assert benjamini_hochberg(p_values) == pytest.approx(false_discovery_control(p_values))
    assert benjamini_yekutieli(p_values).tolist() == false_discovery_control(p_values, method="by").tolist()


@given(P_VALUES)
def test_corrections_are_ordered(p_values):
    b, h, f = bonferroni(p_values), holm(p_values), benjamini_hochberg(p_values)
    assert (p_values <= f + 1e-15).all()
    assert (f <= h + 1e-15).all()
    assert (h <= b + 1e-15).all()
    assert (b <= 1).all()


@pytest.mark.parametrize("method", [bonferroni, holm, benjamini_hochberg, benjamini_yekutieli])
def test_a_bad_p_value_is_named(method):
    with pytest.raises(InputError, match="index 2"):
        method(np.array([0.1, 0.2, np.nan, 0.0]))


@pytest.mark.parametrize(("exceeding", "expected"), [(0, 0.01), (4, 0.05)])
def test_simulated_p_value_of_99_draws(exceeding, expected):
    found = simulated_p_value(1.0, [0.0] * (99 - exceeding) + [2.0] * exceeding)
    assert found == SimulatedP(expected, 99, exceeding, 0, stopped_early=False)


def test_ties_count_against_the_candidate_and_undefined_draws_do_not():
    found = simulated_p_value(1.0, [1.0, float("nan"), 0.5])
    assert found == SimulatedP(0.5, 3, 1, 1, stopped_early=False)


def test_an_early_stop_leaves_the_other_draws_undone():
    draws = iter([0.0, 2.0, 2.0, 0.0, 2.0, 2.0, 0.0])
    found = simulated_p_value(1.0, draws, stop_after=3)
    assert found == SimulatedP(3 / 5, 5, 3, 0, stopped_early=True)
    assert list(draws) == [2.0, 0.0]


def test_early_stopping_keeps_the_p_value_valid():
    rng = np.random.default_rng(1)
    found = [
        simulated_p_value(rng.standard_normal(), itertools.islice(iter(rng.standard_normal, None), 99), stop_after=10)
        for _ in range(4_000)
    ]
    p_values = np.array([f.p_value for f in found])
    for level in (0.05, 0.1, 0.2, 0.5):
        assert np.mean(p_values <= level) == pytest.approx(level, abs=3 * np.sqrt(level / 4_000))
    assert np.mean([f.draws for f in found]) < 45


def test_without_a_statistic_or_a_draw_there_is_no_p_value():
    assert simulated_p_value(float("nan"), [0.0]) == NotRun("the statistic is undefined: nothing was traded")
    assert simulated_p_value(1.0, []) == NotRun("there is no draw under the null")
    with pytest.raises(InputError, match="stopping"):
        simulated_p_value(1.0, [0.0], stop_after=0)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 200, 0, 0.01885), (3, 200, 0.00511, 0.04317), (10, 200, 0.02738, 0.08958), (36, 60, 0.47366, 0.71431)],
)
def test_wilson_interval(successes, trials, low, high):
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-6)


@given(data=st.data(), trials=st.integers(1, 500), level=st.floats(0.5, 0.999))
def test_scipy_agrees_on_wilson(data, trials, level):
    successes = data.draw(st.integers(0, trials))
    theirs = binomtest(successes, trials).proportion_ci(level, method="wilson")
    assert wilson_interval(successes, trials, level) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (5, 4), (-1, 4)])
def test_counts_that_are_no_share_are_errors(successes, trials):
    with pytest.raises(InputError):
        wilson_interval(successes, trials)
