"""linear_svc_classifier on cases worked out by hand, on returns that can be learnt, and on noise."""

import numpy as np
import pytest
from numpy.typing import NDArray

from quant_organism.strategies import Genome, signal
from quant_organism_tests.strategies.learning.shops import SVC, genome
from quant_organism_tests.strategies.scenarios import Columns, alternating, autoregressive, bars

ANSWER = genome(
    SVC,
    lookback_window="250",
    feature_count="4",
    regularization="1.0",
    penalty="l2",
    quantile_bins="2",
    label_horizon="1",
    refit_interval="24",
    ensemble_size=3,
    decision_margin=0.1,
)
SIDES = np.array([1.0, -1.0] * 12)


def gains(genes: Genome, columns: Columns) -> NDArray[np.float64]:
    """Return the log return of each bar after one with a position, times its side."""
    y = signal(genes, columns)[:-1]
    return (y * np.diff(np.log(columns["close"])))[y != 0]


def standard_score(values: NDArray[np.float64]) -> float:
    return float(values.mean() / values.std() * np.sqrt(values.size))


@pytest.mark.parametrize("penalty", ["l1", "l2"])
@pytest.mark.parametrize("class_weight", ["none", "balanced"])
def test_it_learns_to_alternate(penalty: str, class_weight: str) -> None:
    genes = Genome(SVC, dict(ANSWER.genes) | {"penalty": penalty, "class_weight": class_weight})
    y = signal(genes, bars(alternating(100, 101, 360)))
    assert not y[:336].any()
    assert y[336:].tolist() == SIDES.tolist()


def test_the_mirrored_market_is_traded_on_the_other_side() -> None:
    y = signal(ANSWER, bars(alternating(101, 100, 360)))
    assert not y[:336].any()
    assert y[336:].tolist() == (-SIDES).tolist()


def test_what_one_feature_cannot_tell_apart_is_left_alone() -> None:
    # 100, 101, 102, 100, ...: changes over 3, 6 and 12 bars are 0, so only the last change is left. It is -2 % at 100,
    # where a rise follows, and +1 % both at 101, where a rise follows, and at 102, where a fall follows: there the
    # squared losses (1 - s)^2 + (1 + s)^2 are least at s = 0, below the margin.
    y = signal(ANSWER, bars([100 + t % 3 for t in range(384)]))
    assert not y[:336].any()
    assert y[336:].tolist() == [1.0, 0.0, 0.0] * 16


def test_a_score_below_the_margin_is_not_traded() -> None:
    # Scores of a separable case stay below 1 in absolute value: there no loss is left to pay for greater coefficients.
    genes = Genome(SVC, dict(ANSWER.genes) | {"decision_margin": 1.0})
    assert not signal(genes, bars(alternating(100, 101, 360))).any()


@pytest.mark.parametrize("genes", [genome(SVC), genome(SVC, label_horizon="1", feature_count="20", penalty="l1")])
def test_it_is_better_than_chance_where_returns_follow_one_another(genes: Genome) -> None:
    for seed in range(3):
        columns = autoregressive(-0.5, seed)
        assert set(np.unique(signal(genes, columns))) >= {-1.0, 1.0}
        found = gains(genes, columns)
        assert found.size > 300
        assert standard_score(found) > 5
        assert np.mean(found > 0) > 0.55


@pytest.mark.parametrize("genes", [genome(SVC), genome(SVC, label_horizon="1", feature_count="20", penalty="l1")])
def test_it_is_no_better_than_chance_on_noise(genes: Genome) -> None:
    found = np.concatenate([gains(genes, autoregressive(0.0, seed)) for seed in range(6)])
    assert found.size > 3000
    assert abs(standard_score(found)) < 2
