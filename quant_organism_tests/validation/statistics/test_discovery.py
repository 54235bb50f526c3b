"""False discovery readings of one Sharpe ratio, against the published example."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.validation.statistics.discovery import discovery_rates
from quant_organism.validation.statistics.sharpe import SharpeMoments

HEDGE_FUND = SharpeMoments(0.036 / 0.079, -2.448, 10.164, 0.0, 24)


def test_hedge_fund_example():
    rates = discovery_rates(HEDGE_FUND, alternative=0.5, skilled_share=0.05)
    assert rates.beta == pytest.approx(0.3152, abs=5e-5)
    assert rates.planned == pytest.approx(0.581, abs=5e-4)
    assert rates.observed == pytest.approx(0.306, abs=5e-4)
    assert rates.critical_sharpe == pytest.approx(1.644854 / np.sqrt(24), abs=1e-6)


@given(share=st.floats(0.01, 0.9), more=st.floats(0.01, 0.09))
def test_where_skill_is_common_discoveries_are_truer(share, more):
    rare = discovery_rates(HEDGE_FUND, alternative=0.5, skilled_share=share)
    common = discovery_rates(HEDGE_FUND, alternative=0.5, skilled_share=share + more)
    assert 0 < common.planned < rare.planned < 1
    assert 0 < common.observed < rare.observed < 1


def test_shares_of_simulated_discoveries():
    rng = np.random.default_rng(2)
    skilled = rng.random(200_000) < 0.2
    normal = SharpeMoments(0.3, 0.0, 1.0, 0.0, 100)  # kurtosis 1 makes the error the same for all
    estimates = np.where(skilled, 0.3, 0.0) + rng.standard_normal(len(skilled)) / 10
    rates = discovery_rates(normal, alternative=0.3, skilled_share=0.2)
    taken = estimates > rates.critical_sharpe
    assert np.mean(~skilled[taken]) == pytest.approx(rates.planned, abs=0.01)
    assert np.mean(~taken[skilled]) == pytest.approx(rates.beta, abs=0.01)
    assert np.mean(~skilled[estimates > 0.3]) == pytest.approx(rates.observed, abs=0.01)


def test_without_variance_there_is_no_rate():
    flat = SharpeMoments(np.nan, np.nan, np.nan, np.nan, 50)
    assert np.isnan(discovery_rates(flat, alternative=0.5, skilled_share=0.1).planned)


@pytest.mark.parametrize(
    "arguments",
    [
        {"alternative": 0.5, "skilled_share": 0.0},
        {"alternative": 0.5, "skilled_share": 0.1, "alpha": 1.0},
        {"alternative": 0.0, "skilled_share": 0.1},
    ],
)
def test_arguments_that_make_no_sense_are_errors(arguments):
    with pytest.raises(InputError):
        discovery_rates(HEDGE_FUND, **arguments)
