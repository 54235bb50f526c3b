"""Selection: ranks and crowding as DEAP has them, elitist survival, and an even spread under NSGA-III."""

import numpy as np
import pytest
from deap import base, tools
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quant_organism.errors import InputError
from quant_organism.evolution.reference_directions import reference_directions
from quant_organism.evolution.selection import rank_and_crowding, survive, tournament

COARSE = st.integers(0, 6).map(float)
"""Few distinct values, so that equal rows and equal objectives are met."""

MATRICES = st.tuples(st.integers(1, 40), st.integers(2, 4)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=COARSE | st.floats(-1e6, 1e6))
)


class Individual:
    def __init__(self, row: np.ndarray) -> None:
        self.fitness = type("Minimised", (base.Fitness,), {"weights": (-1.0,) * len(row)})()
        self.fitness.values = tuple(row)


@settings(deadline=None)
@given(MATRICES)
def test_ranks_and_crowding_are_those_of_deap(objectives: np.ndarray) -> None:
    individuals = [Individual(row) for row in objectives]
    rank, crowding = rank_and_crowding(objectives)
    place = {id(individual): i for i, individual in enumerate(individuals)}
    for sort in (tools.sortNondominated, tools.sortLogNondominated):
        fronts = sort(individuals, len(individuals))
        for level, front in enumerate(fronts):
            assert np.flatnonzero(rank == level).tolist() == sorted(place[id(individual)] for individual in front)
    for level in range(rank.max() + 1):
        rows = np.flatnonzero(rank == level)
        front = [individuals[i] for i in rows]
        tools.emo.assignCrowdingDist(front)
        assert crowding[rows].tolist() == [individual.fitness.crowding_dist for individual in front]


def test_crowding_by_hand() -> None:
    objectives = np.array([[0.0, 4.0], [1.0, 2.0], [4.0, 0.0], [5.0, 5.0]])
    rank, crowding = rank_and_crowding(objectives)
    assert rank.tolist() == [0, 0, 0, 1]
    # The middle one's neighbours span the whole of both ranges.
    assert crowding.tolist() == [np.inf, 1.0, np.inf, np.inf]


@pytest.mark.parametrize("method", ["nsga2", "nsga3"])
@settings(deadline=None)
@given(objectives=MATRICES, keep=st.integers(1, 45), seed=st.integers(0, 2**32 - 1))
def test_no_survivor_ranks_behind_one_that_fell(method, objectives: np.ndarray, keep: int, seed: int) -> None:
    survivors = survive(objectives, keep, method, np.random.default_rng(seed))
    assert len(set(survivors.tolist())) == len(survivors) == min(keep, len(objectives))
    rank, _ = rank_and_crowding(objectives)
    fallen = np.setdiff1d(np.arange(len(objectives)), survivors)
    assert not len(fallen) or rank[survivors].max() <= rank[fallen].min()
    assert np.all(np.diff(rank[survivors]) >= 0)
    again = survive(objectives, keep, method, np.random.default_rng(seed))
    assert survivors.tolist() == again.tolist()


@pytest.mark.parametrize("method", ["nsga2", "nsga3"])
def test_of_nothing_nothing_survives(method) -> None:
    assert survive(np.empty((0, 4)), 10, method, np.random.default_rng(0)).tolist() == []


def test_of_equal_rows_the_first_survive() -> None:
    assert survive(np.ones((5, 2)), 3, "nsga2", np.random.default_rng(0)).tolist() == [0, 4, 1]


def test_tournaments_prefer_rank_then_room() -> None:
    rank, crowding = np.array([0, 2, 0, 1]), np.array([0.5, np.inf, 2.0, 0.0])
    wins = np.bincount(tournament(rank, crowding, 12_000, np.random.default_rng(0)), minlength=4)
    # Each plays 6,000 times, against each other row alike: row 2 loses to nobody, row 0 to row 2 alone, row 1 to all.
    assert (wins[1], wins[2]) == (0, 6_000)
    assert wins / 6_000 == pytest.approx([2 / 3, 0, 1, 1 / 3], abs=0.02)


def test_of_equals_the_one_drawn_first_wins_and_all_play_alike() -> None:
    winners = tournament(np.zeros(10, dtype=np.int64), np.zeros(10), 5, np.random.default_rng(3))
    assert len(set(winners.tolist())) == 5
    assert len(tournament(np.zeros(3, dtype=np.int64), np.zeros(3), 0, np.random.default_rng(3))) == 0


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("method", ["nsga2", "nsga3"])
def test_what_could_not_be_measured_is_refused(method, wrong: float) -> None:
    objectives = np.array([[1.0, 2.0], [2.0, wrong]])
    with pytest.raises(InputError, match=r"row 1, objective 1"):
        survive(objectives, 1, method, np.random.default_rng(0))


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(InputError, match="unknown selection method 'spea2'"):
        survive(np.ones((2, 2)), 1, "spea2", np.random.default_rng(0))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("objectives", "most", "count"), [(2, 100, 100), (3, 91, 91), (3, 100, 91), (4, 50, 35), (4, 2, 4)]
)
def test_das_dennis_directions_are_even(objectives: int, most: int, count: int) -> None:
    directions = reference_directions(objectives, most)
    assert directions.shape == (count, objectives)
    assert directions.sum(axis=1) == pytest.approx(1.0)
    assert directions.min() == 0.0
    nearest = [np.sort(np.linalg.norm(directions - point, axis=1))[1] for point in directions]
    assert np.ptp(nearest) == pytest.approx(0.0, abs=1e-12)


def test_where_only_the_rim_is_reached_an_inner_layer_is_added() -> None:
    directions = reference_directions(5, 50)
    assert len(directions) == 50
    assert np.sum(directions.min(axis=1) > 0) == 15


def test_nsga3_keeps_one_row_for_every_direction() -> None:
    # A plane front with a crowd in one corner: each direction's own point must survive, whatever the units.
    on_directions = reference_directions(3, 28)
    crowd = np.random.default_rng(1).dirichlet([40, 1, 1], 200)
    objectives = np.concatenate([crowd, on_directions]) * np.array([1.0, 1_000.0, 0.01])
    survivors = survive(objectives, 28, "nsga3", np.random.default_rng(2))
    assert sorted(survivors.tolist()) == list(range(200, 228))
