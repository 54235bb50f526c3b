"""Refits: on which bars, from which rows, blind to what comes later, and shared without a trace."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from quant_organism.strategies import Genome, IndicatorStore, get_family, random_genome, signal
from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.genome import gene_arrays
from quant_organism.strategies.indicators.indicator import Workshop
from quant_organism.strategies.learning import features, linear_svc, pca_tree
from quant_organism.strategies.learning.grids import SVC_GRID, TREE_GRID, svc_genes, svc_keys, tree_genes, tree_keys
from quant_organism.strategies.learning.walk_forward import Fits, first_refit, refit_bars, training_rows
from quant_organism_tests.strategies.learning.shops import SVC, TREE, features_of, genome, shop_of
from quant_organism_tests.strategies.scenarios import Columns, noisy

QUICK = {"label_horizon": "1", "refit_interval": "24"}
QUICK_SVC = genome(SVC, lookback_window="250", feature_count="20", decision_margin=0.0, **QUICK)
QUICK_LEAF = genome(TREE, feature_window="250", min_edge=0.0, **QUICK)
QUICK_LINES = genome(
    TREE, feature_window="250", min_edge=0.0, quantile_method="linear", quantile_alpha="0.001", **QUICK
)
quick_ones = pytest.mark.parametrize("quick", [QUICK_SVC, QUICK_LEAF, QUICK_LINES], ids=["svc", "leaf", "linear"])


def piece(columns: Columns, begin: int, end: int) -> Columns:
    return {name: values[begin:end] for name, values in columns.items()}


def test_refits_fall_on_absolute_bar_numbers() -> None:
    # 72 + 250 + 1 = 323; of the multiples of 24, 336 is the first from there on.
    assert first_refit(250, 1) == 323
    assert refit_bars(np.arange(400), 250, 1, 24).tolist() == [336, 360, 384]
    assert refit_bars(np.arange(13, 413), 250, 1, 24).tolist() == [323, 347, 371, 395]
    assert refit_bars(np.arange(12, 412), 250, 1, 24).tolist() == [324, 348, 372, 396]
    assert refit_bars(np.arange(14, 414), 250, 1, 24).tolist() == [346, 370, 394]


def test_bars_that_are_missing_move_no_refit() -> None:
    numbers = np.delete(np.arange(420), [5, 6, 360])
    assert numbers[refit_bars(numbers, 250, 1, 24)].tolist() == [336, 384, 408]


@pytest.mark.parametrize("horizon", [1, 3, 6, 12, 24])
def test_the_newest_label_ends_before_the_refit(horizon: int) -> None:
    begin, end = training_rows(1000, 250, horizon)
    assert (begin, end - begin) == (750 - horizon, 250)
    assert end - 1 + horizon == 999


@quick_ones
def test_targets_begin_at_the_first_refit(quick: Genome) -> None:
    for first_number in (0, 7, 1_000_003):
        y = signal(quick, noisy(1), numbers=first_number + np.arange(400))
        first = refit_bars(first_number + np.arange(400), 250, 1, 24)[0]
        assert not y[:first].any()
        assert y[first : first + 24].any()


@quick_ones
def test_a_cut_beside_a_refit_changes_no_earlier_target(quick: Genome) -> None:
    columns = noisy(2)
    whole = signal(quick, columns)
    for refit in (336, 360, 384):
        for cut in (refit - 1, refit, refit + 1, refit + 2):
            np.testing.assert_array_equal(signal(quick, piece(columns, 0, cut)), whole[:cut])
            altered = {k: np.concatenate([v[:cut], 1.3 * v[cut:][::-1]]) for k, v in columns.items()}
            np.testing.assert_array_equal(signal(quick, altered)[:cut], whole[:cut])


@quick_ones
def test_a_refit_does_not_see_the_bar_it_is_made_on_as_a_label(quick: Genome) -> None:
    # The last close before the refit ends the newest label; the refit's own close is only scored.
    columns, other = noisy(3), noisy(3)
    for name in ("open", "high", "low", "close"):
        other[name] = other[name].copy()
        other[name][336:] *= 1.5

    def fitted(bars: Columns) -> list[np.ndarray]:
        shop = shop_of(bars)
        rows = features.features_of(shop)
        keys = svc_keys if quick.family == SVC else tree_keys
        key = int(keys(gene_arrays([quick]))[0])
        if quick.family == SVC:
            return list(linear_svc.refit(shop, Fits(shop), rows, svc_genes(key), 336))
        tree = pca_tree.refit_tree(shop, Fits(shop), rows, tree_genes(key), 336)
        return [*tree, *pca_tree.refit_lines(shop, Fits(shop), rows, tree_genes(key), 336, tree)]

    for mine, theirs in zip(fitted(columns), fitted(other), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@quick_ones
def test_threads_of_linear_algebra_change_no_bit(quick: Genome) -> None:
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(signal(quick, noisy(4)))
    np.testing.assert_array_equal(*found)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_keys_stand_for_all_genes_that_a_model_reads(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = random_genome(rng, SVC), random_genome(rng, TREE)
    found = svc_genes(int(svc_keys(gene_arrays([one]))[0]))
    assert [str(value) for value in found] == [str(one.genes[name]) for name in SVC_GRID]
    told = tree_genes(int(tree_keys(gene_arrays([other]))[0]))
    expected = {name: str(other.genes[name]) for name in TREE_GRID}
    if other.genes["quantile_method"] == "leaf":
        expected["quantile_alpha"] = "0.001"
    assert [str(value) for value in told[:-1]] == list(expected.values())
    assert told.quantile == other.genes["signal_quantile"]


@pytest.mark.parametrize("family", [SVC, TREE])
def test_sharing_changes_no_bit(family: str) -> None:
    rng = np.random.default_rng(5)
    columns = noisy(4, 700)
    quick = {SVC: QUICK_SVC, TREE: QUICK_LEAF}[family]
    varied = ["ensemble_size", "decision_margin", "refit_interval", "penalty", "signal_quantile", "min_edge"]
    varied += ["quantile_method", "pca_components", "risk_asymmetry"]
    genomes = [
        Genome(family, dict(quick.genes) | {k: v for k, v in random_genome(rng, family).genes.items() if k in varied})
        for _ in range(12)
    ]
    name, keys = next(iter(get_family(family).indicators(gene_arrays(genomes)).items()))
    for store in (None, IndicatorStore(10**9), IndicatorStore(20_000)):
        rows, row = IndicatorBank(shop_of(columns, store).bars, {name: keys}, store).rows(name, keys)
        for k, key in enumerate(keys):
            alone, _ = IndicatorBank(shop_of(columns).bars, {name: keys[k : k + 1]}).rows(name, keys[k : k + 1])
            np.testing.assert_array_equal(rows[row[k]], alone[0], err_msg=str(key))


def one_fit(shop: Workshop, genes: Genome, bar: int) -> np.ndarray:
    """Return the coefficients of one fit, the very array that is kept."""
    rows = features.features_of(shop)
    decoded = svc_genes(int(svc_keys(gene_arrays([genes]))[0]))
    return linear_svc.refit(shop, Fits(shop), rows, decoded, bar)[0]


def test_a_fit_is_kept_for_later_calls_with_the_same_training_rows() -> None:
    store, columns = IndicatorStore(10**9), noisy(6, 500)
    first = one_fit(shop_of(columns, store), QUICK_SVC, 360)
    reader = Genome(SVC, dict(QUICK_SVC.genes) | {"ensemble_size": 5, "decision_margin": 0.9, "refit_interval": "72"})
    assert one_fit(shop_of(columns, store), reader, 360) is first
    assert one_fit(shop_of(piece(columns, 0, 361), store), QUICK_SVC, 360) is first
    other = Genome(SVC, dict(QUICK_SVC.genes) | {"penalty": "l1"})
    assert one_fit(shop_of(columns, store), other, 360) is not first
    assert one_fit(shop_of(columns, store), QUICK_SVC, 384) is not first
    moved = columns | {"volume": columns["volume"] * np.where(np.arange(500) == 100, 1.001, 1.0)}
    assert one_fit(shop_of(moved, store), QUICK_SVC, 360) is not first
    assert one_fit(shop_of(columns, store, first_number=24), QUICK_SVC, 360) is first


def test_features_wait_for_their_first_bar() -> None:
    features = features_of(noisy(0))
    assert np.isfinite(features[:, 72:]).all()
    assert np.isnan(features[14, :72]).all()
