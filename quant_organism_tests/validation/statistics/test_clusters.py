"""Clusters of clones, their medoids and their number."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.evolution.sketch import sketch
from quant_organism.validation.statistics import clusters
from quant_organism.validation.statistics.clusters import (
    MAX_LINKED,
    Clusters,
    cluster_returns,
    cluster_sketches,
    entropy_rank,
)
from quant_organism.validation.statistics.evidence import NotRun

NOT_PSD = np.array([[1, 0.1, 0.7], [0.1, 1, 0.8], [0.7, 0.8, 1]])
PAIR = np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1.0]])


def clusters_of(returns: np.ndarray) -> Clusters:
    found = cluster_returns(returns)
    assert isinstance(found, Clusters)
    return found


def groups(labels: np.ndarray, names: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(names[labels == label].tolist()) for label in np.unique(labels)}


def families(rng: np.random.Generator, sizes: list[int], days: int = 250, noise: float = 0.5) -> np.ndarray:
    """Return returns of families whose members correlate by about 1 / (1 + noise^2)."""
    return np.column_stack(
        [f + noise * rng.standard_normal(days) for size in sizes for f in [rng.standard_normal(days)] * size]
    )


@pytest.mark.parametrize(("matrix", "rank"), [(np.eye(7), 7.0), (NOT_PSD, 1.8402), (PAIR, 2.1573)])
def test_entropy_rank(matrix, rank):
    assert entropy_rank(matrix) == pytest.approx(rank, abs=5e-5)


def test_families_are_found():
    sizes = [5, 1, 12, 3]
    found = clusters_of(families(np.random.default_rng(1), sizes))
    assert found.labels.tolist() == np.repeat(range(4), sizes).tolist()
    assert found.count == 4


def test_medoid_and_champion_by_hand():
    rng = np.random.default_rng(2)
    returns = families(rng, [6, 4])
    found = clusters_of(returns)
    distance = 1 - np.corrcoef(returns.T)
    sharpe = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
    for label, members in enumerate([np.arange(6), np.arange(6, 10)]):
        assert found.medoids[label] == members[distance[np.ix_(members, members)].sum(axis=1).argmin()]
        assert found.champions[label] == members[sharpe[members].argmax()]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), data=st.data())
def test_order_of_trials_leverage_and_clones_change_no_cluster(seed, data):
    rng = np.random.default_rng(seed)
    returns = families(rng, [3, 2, 1, 4], days=60)
    names = np.arange(returns.shape[1])
    plain = groups(clusters_of(returns).labels, names)
    order = np.array(data.draw(st.permutations(names.tolist())))
    scaled = returns[:, order] * rng.uniform(0.1, 10, len(order))
    assert groups(clusters_of(scaled).labels, order) == plain
    clone = data.draw(st.integers(0, len(names) - 1))
    with_clones = clusters_of(np.column_stack([returns, np.repeat(returns[:, [clone]], 5, axis=1)]))
    assert len(set(with_clones.labels[len(names) :]) | {with_clones.labels[clone]}) == 1


@pytest.mark.parametrize(
    ("between", "count"),
    # A neighbour of a neighbour joins if it is near on average: neither one near member nor all near members decide.
    [((0.6, 0.6, 0.0), 2), ((0.9, 0.7, 0.4), 1)],
)
def test_linkage_is_by_the_average(between, count):
    ab, bc, ac = between
    root = np.linalg.cholesky(np.array([[1, ab, ac], [ab, 1, bc], [ac, bc, 1]]))
    noise = np.random.default_rng(9).standard_normal((60, 3))
    independent = np.linalg.qr(noise - noise.mean(axis=0))[0]
    assert clusters_of(independent @ root.T).count == count


def test_one_trial_and_all_clones_are_one_cluster():
    path = np.random.default_rng(3).standard_normal((60, 1))
    assert clusters_of(path).count == 1
    clones = clusters_of(np.repeat(path, 9, axis=1) * np.arange(1, 10))
    assert clones.count == 1
    assert clones.medoids.tolist() == [0]


def test_opposite_strategies_are_two_clusters():
    path = np.random.default_rng(4).standard_normal((60, 1))
    assert clusters_of(np.hstack([path, -path])).count == 2


def test_a_search_beyond_what_can_be_linked_counts_every_cluster():
    rng = np.random.default_rng(5)
    directions = np.linalg.qr(rng.standard_normal((60, 60)))[0]
    truth = rng.integers(0, 20, MAX_LINKED + 1_000)
    # Late, poor and rare: no representative sees this one.
    truth[-2] = 40
    sharpe = rng.standard_normal(len(truth))
    sharpe[-2] = np.sort(sharpe)[200 + 1]
    # The means are the Sharpe ratios: a shift changes no correlation.
    paths = directions[:, truth] + 0.01 * rng.standard_normal((60, len(truth)))
    found = clusters_of((paths - paths.mean(axis=0)) / paths.std(axis=0, ddof=1) + sharpe)
    assert found.count == 21
    names = np.arange(len(truth))
    assert groups(found.labels, names) == groups(truth, names)
    for label, champion in enumerate(found.champions):
        assert sharpe[champion] == sharpe[found.labels == label].max()
        assert found.labels[found.medoids[label]] == label


def test_sketches_of_the_ledger_give_the_same_families():
    rng = np.random.default_rng(7)
    returns = families(rng, [30, 1, 8, 20, 2], noise=0.4)
    sharpe = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
    sketched, exact = cluster_sketches(sketch(returns.T), sharpe), clusters_of(returns)
    assert isinstance(sketched, Clusters)
    assert sketched.labels.tolist() == exact.labels.tolist()
    assert sketched.champions.tolist() == exact.champions.tolist()


def test_sketches_without_content_or_ratio_are_errors():
    sketches = sketch(np.random.default_rng(8).standard_normal((4, 60)))
    with pytest.raises(InputError, match="one Sharpe ratio per sketch"):
        cluster_sketches(sketches, np.zeros(3))
    sketches[1] = 0
    with pytest.raises(InputError, match="row 1"):
        cluster_sketches(sketches, np.zeros(4))


def test_no_trial_is_not_run():
    assert cluster_returns(np.empty((100, 0))) == NotRun("there is no trial to cluster")
    assert cluster_sketches(np.empty((0, 128), dtype=np.int8), np.empty(0)) == NotRun("there is no trial to cluster")


def test_a_trial_that_never_traded_is_an_error_that_names_it():
    returns = np.random.default_rng(6).standard_normal((60, 4))
    returns[:, 2] = 0
    with pytest.raises(InputError, match="column 2"):
        cluster_returns(returns)


def test_a_hole_is_an_error_that_names_it():
    returns = np.random.default_rng(6).standard_normal((60, 4))
    returns[7, 3] = np.nan
    with pytest.raises(InputError, match="period 7, column 3"):
        cluster_returns(returns)


@pytest.mark.parametrize(("columns", "linked"), [(30, [30]), (31, [10 + 7])])
def test_only_as_many_trials_are_linked_at_once_as_may_be(monkeypatch, columns, linked):
    # Ten of the best and every third of the other 21; whom none of those represents is linked in a later round.
    sizes, link = [], clusters._link
    monkeypatch.setattr(clusters, "MAX_LINKED", 30)
    monkeypatch.setattr(clusters, "_BEST_LINKED", 10)
    monkeypatch.setattr(clusters, "_link", lambda directions: sizes.append(len(directions)) or link(directions))
    same = np.random.default_rng(10).standard_normal((60, 1)) + 0.01 * np.random.default_rng(11).standard_normal(
        (60, columns)
    )
    assert clusters_of(same).count == 1
    assert sizes == linked
