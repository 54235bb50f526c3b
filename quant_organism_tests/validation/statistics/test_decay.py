"""Sizing down and alarms when a live strategy fades."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.validation.statistics.decay import cusum, cusum_false_alarms, graded_size


def test_half_a_year_of_losses_halves_the_size():
    sizing = graded_size(180, -1.0, prior_sharpe=1.5)
    assert sizing.sharpe == pytest.approx(0.674312, abs=5e-7)
    assert sizing.factor == pytest.approx(0.449541, abs=5e-7)


def test_before_the_first_day_the_promise_stands():
    assert graded_size(0, float("nan"), prior_sharpe=1.5).factor == 1


def test_a_record_without_a_sharpe_ratio_gives_no_size():
    assert np.isnan(graded_size(30, float("nan"), prior_sharpe=1.5).factor)


@given(days=st.integers(0, 2_000), sharpe=st.floats(-5, 5), worse=st.floats(0, 5), prior=st.floats(0.1, 3))
def test_worse_records_never_earn_more_size(days, sharpe, worse, prior):
    good = graded_size(days, sharpe, prior_sharpe=prior)
    bad = graded_size(days, sharpe - worse, prior_sharpe=prior)
    assert 0 <= bad.factor <= good.factor <= 1


@pytest.mark.parametrize(
    "options",
    [{"days": -1, "prior_sharpe": 1}, {"days": 5, "prior_sharpe": 0}, {"days": 5, "prior_sharpe": 1, "tau": 0}],
)
def test_priors_that_promise_nothing_are_errors(options):
    with pytest.raises(InputError):
        graded_size(options["days"], 0.0, prior_sharpe=options["prior_sharpe"], prior_deviation=options.get("tau", 1.0))


def test_cusum_of_seven_days():
    path = cusum(np.array([0.5, -1, 0.2, -0.4, -2, 1, 0.1]), 0.05)
    assert path == pytest.approx([0, 1.05, 0.9, 1.35, 3.4, 2.45, 2.4])


def test_cusum_goes_on_where_it_was_left_and_skips_days_without_a_record():
    x = np.array([-1.0, -2.0, np.nan, 0.5])
    path = cusum(x, 0.05)
    assert path[2] == path[1]
    assert cusum(x[2:], 0.05, start=float(path[1])).tolist() == path[2:].tolist()
    with pytest.raises(InputError, match="day 1"):
        cusum(np.array([0.0, np.inf]), 0.05)


@pytest.mark.parametrize(
    ("threshold", "annual_sharpe", "days", "share"),
    [
        (12, 2, 365, 0.68),
        (20, 2, 730, 0.44),
        (25, 2, 365, 0.10),
        (25, 2, 730, 0.24),
        (25, 3, 365, 0.049),
        (30, 3, 730, 0.048),
        (40, 2, 730, 0.029),
    ],
)
def test_false_alarm_rates(threshold, annual_sharpe, days, share):
    low, high = cusum_false_alarms(annual_sharpe, days=days, threshold=threshold, seed=threshold)
    margin = 3 * np.sqrt(share * (1 - share) / 4_000) + 0.005
    assert low - margin < share < high + margin
    assert high - low < 0.04


def test_days_to_see_a_drop_to_nothing():
    reference = 2 / np.sqrt(365) / 2
    noise = np.random.default_rng(6).standard_t(4, (400, 1_500)) / np.sqrt(2)
    delays = [np.argmax(cusum(days, reference) > 25) + 1 for days in noise]
    assert np.median(delays) == pytest.approx(272, abs=40)


def test_simulated_rate_is_that_of_the_cusum_itself():
    mean = 2 / np.sqrt(365)
    rng = np.random.default_rng(5)
    alarms = [cusum(mean + rng.standard_t(4, 365) / np.sqrt(2), mean / 2).max() > 12 for _ in range(600)]
    low, high = cusum_false_alarms(2, days=365, threshold=12)
    assert low - 0.06 < np.mean(alarms) < high + 0.06
