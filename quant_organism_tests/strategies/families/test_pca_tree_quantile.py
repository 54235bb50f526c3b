"""pca_tree_quantile on cases worked out by hand, on returns that can be learnt, and on noise."""

import numpy as np
import pytest

from quant_organism.strategies import Genome, get_family, signal
from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.families.pca_tree_quantile.kernel import pca_tree_targets
from quant_organism.strategies.families.pca_tree_quantile.rule import PcaTreeQuantile
from quant_organism.strategies.genome import gene_arrays
from quant_organism.strategies.targets import Targets
from quant_organism_tests.strategies.families.test_linear_svc_classifier import SIDES, gains, standard_score
from quant_organism_tests.strategies.learning.shops import TREE, genome, shop_of
from quant_organism_tests.strategies.scenarios import Columns, alternating, autoregressive, bars

ANSWER = genome(
    TREE,
    feature_window="250",
    feature_count="8",
    pca_components=2,
    tree_depth=2,
    min_samples_leaf="20",
    label_horizon="1",
    refit_interval="24",
    signal_quantile=0.75,
    min_edge=0.005,
    risk_asymmetry=1.0,
)
both_methods = pytest.mark.parametrize("method", ["leaf", "linear"])


def changed(**genes: object) -> Genome:
    return Genome(TREE, dict(ANSWER.genes) | genes)


def risk_figures(genes: Genome, columns: Columns) -> dict[str, np.ndarray]:
    """Return the risk figures of one genome, each of shape (n,)."""
    family, arrays = get_family(TREE), gene_arrays([genes])
    assert isinstance(family, PcaTreeQuantile)
    bank = IndicatorBank(shop_of(columns).bars, family.indicators(arrays))
    return {name: figures[0] for name, figures in family.risk_figures(bank, arrays).items()}


@both_methods
@pytest.mark.parametrize(("first", "second", "side"), [(100, 101, 1.0), (101, 100, -1.0)])
def test_it_learns_to_alternate(method: str, first: float, second: float, side: float) -> None:
    genes, columns = changed(quantile_method=method), bars(alternating(first, second, 360))
    y = signal(genes, columns)
    assert not y[:336].any()
    assert y[336:].tolist() == (side * SIDES).tolist()
    np.testing.assert_allclose(risk_figures(genes, columns)["median"][336:], 0.00995033 * side * SIDES, atol=2e-4)


@both_methods
def test_a_median_below_the_least_edge_is_not_traded(method: str) -> None:
    # 100, 101, 102, 100, ...: ln 1.01 = 0.009950 follows 100, ln(102/101) = 0.009852 follows 101 and ln(100/102) =
    # -0.019803 follows 102. Of the three leaves the second one's median is below 0.0099.
    y = signal(changed(quantile_method=method, min_edge=0.0099), bars([100 + t % 3 for t in range(384)]))
    assert not y[:336].any()
    assert y[336:].tolist() == [1.0, 0.0, -1.0] * 16


def test_what_follows_is_told_by_more_than_the_last_change() -> None:
    # 100, 102, 100, 99 over and over: after 100 comes 102 or 99, and only the way there tells which. Each of the four
    # leaves holds one return, so lower, median and upper level agree and any asymmetry is met.
    columns = bars([(100, 102, 100, 99)[t % 4] for t in range(384)])
    y = signal(changed(risk_asymmetry=3.0, pca_components=3), columns)
    assert not y[:336].any()
    assert y[336:].tolist() == [1.0, -1.0, -1.0, 1.0] * 12


@pytest.mark.parametrize(("asymmetry", "sides"), [(1.9, [1, -1, 0, 1, 0]), (2.1, [0, 0, 0, 1, 0])])
def test_upside_must_pay_for_downside(asymmetry: float, sides: list[int]) -> None:
    # Lower, median and upper level per bar: twice as much above as below, its mirror, the median too small, no downside
    # at all, and a median of zero.
    levels = np.array([[-1, 0.5, 2], [-2, -0.5, 1], [-1, 0.4, 9], [0.1, 0.5, 0.6], [-1, 0, 9]], dtype=float).T
    out = Targets.empty(1, 5, conviction=False)
    row, edge = np.zeros(1, dtype=np.int64), np.array([0.5])
    pca_tree_targets(levels[np.newaxis].copy(), row, row, edge, np.array([asymmetry]), out)
    assert out.expanded(0, 5).tolist() == sides


def test_risk_figures_stand_beside_the_signal() -> None:
    columns = autoregressive(-0.5, 1, 1_000)
    figures = risk_figures(changed(signal_quantile=0.8, risk_asymmetry=1.5, min_edge=0.002), columns)
    lower, median, upper = (figures[name] for name in ("lower", "median", "upper"))
    assert (lower <= median).all()
    assert (median <= upper).all()
    np.testing.assert_array_equal(figures["spread"], upper - lower)
    np.testing.assert_array_equal(figures["upside_per_downside"][400:], upper[400:] / np.abs(lower[400:]))
    assert np.isnan(figures["upside_per_downside"][:336]).all()
    long = (median >= 0.002) & (upper >= 1.5 * np.maximum(-lower, 0))
    short = (median <= -0.002) & (-lower >= 1.5 * np.maximum(upper, 0))
    y = signal(changed(signal_quantile=0.8, risk_asymmetry=1.5, min_edge=0.002), columns)
    np.testing.assert_array_equal(y, long * 1.0 - short)
    assert long.any()
    assert short.any()


def test_the_penalty_is_read_by_the_linear_method_alone() -> None:
    columns = autoregressive(-0.5, 2, 600)
    for method, distinct in (("leaf", 1), ("linear", 3)):
        genomes = [changed(quantile_method=method, quantile_alpha=alpha) for alpha in ("0.001", "0.01", "0.1")]
        assert len({risk_figures(genes, columns)["median"].tobytes() for genes in genomes}) == distinct


EVERY = [genome(TREE), genome(TREE, label_horizon="1"), genome(TREE, label_horizon="1", quantile_method="linear")]


@pytest.mark.parametrize("genes", EVERY)
def test_it_is_better_than_chance_where_returns_follow_one_another(genes: Genome) -> None:
    for seed in range(3):
        columns = autoregressive(-0.5, seed)
        assert set(np.unique(signal(genes, columns))) >= {-1.0, 1.0}
        found = gains(genes, columns)
        assert found.size > 300
        assert standard_score(found) > 4
        assert np.mean(found > 0) > 0.53


@pytest.mark.parametrize("genes", EVERY)
def test_it_is_no_better_than_chance_on_noise(genes: Genome) -> None:
    found = np.concatenate([gains(genes, autoregressive(0.0, seed)) for seed in range(6)])
    assert found.size > 3000
    assert abs(standard_score(found)) < 2
