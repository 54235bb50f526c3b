"""Objectives, Pareto front and hypervolume against hand-computed values."""

import numpy as np
import pytest

from quant_organism.errors import InputError
from quant_organism.evolution.objectives import (
    DEFAULT_OBJECTIVES,
    KNOWN_OBJECTIVES,
    composite,
    hypervolume,
    is_feasible,
    is_on_front,
    objective_matrix,
    objectives_named,
)
from quant_organism.strategies import default_genome
from quant_organism_tests.panels import trending_panel

OBJECTIVES = objectives_named(DEFAULT_OBJECTIVES)


def matrix(*rows: tuple[float, float, float, float], feasible: bool = True) -> np.ndarray:
    """Return the objective matrix of rows of sharpe, consistency, max_drawdown and turnover_per_year."""
    metrics = dict(zip(DEFAULT_OBJECTIVES, np.array(rows, dtype=float).T, strict=True))
    return objective_matrix(metrics, np.full(len(rows), feasible), OBJECTIVES)


def test_what_should_be_large_is_negated() -> None:
    assert matrix((2.0, 0.5, 0.2, 1_000.0)).tolist() == [[-2.0, -0.5, 0.2, 1_000.0]]


def test_what_should_be_near_zero_counts_by_its_distance() -> None:
    metrics = {"beta": np.array([-0.5, 0.25])}
    assert objective_matrix(metrics, np.array([True, True]), objectives_named(["beta"])).tolist() == [[0.5], [0.25]]


def test_hypervolume_of_one_point_is_the_box_to_the_references() -> None:
    # (2 - -2) x (0.5 - 0) x (1 - 0.2) x (5000 - 1000)/1000
    assert hypervolume(matrix((2.0, 0.5, 0.2, 1_000.0)), OBJECTIVES) == pytest.approx(4 * 0.5 * 0.8 * 4)


def test_a_dominated_point_adds_nothing_and_a_better_one_adds() -> None:
    base = (2.0, 0.5, 0.2, 1_000.0)
    alone = hypervolume(matrix(base), OBJECTIVES)
    assert hypervolume(matrix(base, (1.0, 0.4, 0.3, 2_000.0)), OBJECTIVES) == pytest.approx(alone)
    assert hypervolume(matrix(base, (1.0, 0.9, 0.3, 2_000.0)), OBJECTIVES) > alone


def test_nothing_has_no_volume() -> None:
    assert hypervolume(np.empty((0, 4)), OBJECTIVES) == 0.0
    assert hypervolume(matrix((-2.0, 0.0, 1.0, 5_000.0)), OBJECTIVES) == 0.0
    assert hypervolume(matrix((2.0, 0.5, 0.2, 1_000.0), feasible=False), OBJECTIVES) == 0.0


def test_the_front_keeps_what_nothing_dominates() -> None:
    points = matrix((2, 0.5, 0.2, 100), (1, 0.5, 0.2, 100), (1, 0.9, 0.2, 100), (2, 0.5, 0.2, 100))
    assert is_on_front(points).tolist() == [True, False, True, True]


def test_the_worst_feasible_genome_dominates_an_infeasible_one() -> None:
    poor = matrix((-30.0, 0.0, 1.0, 90_000.0))
    infeasible = matrix((3.0, 1.0, 0.0, 1.0), feasible=False)
    assert is_on_front(np.concatenate([infeasible, poor])).tolist() == [False, True]


def test_a_genome_is_feasible_when_it_traded_enough_and_every_objective_is_defined() -> None:
    metrics = {name: np.ones(3) for name in DEFAULT_OBJECTIVES} | {"trades": np.array([30.0, 29.0, 30.0])}
    metrics["sharpe"] = np.array([1.0, 1.0, np.nan])
    assert is_feasible(metrics, 30, OBJECTIVES).tolist() == [True, False, False]
    assert is_feasible(metrics, 30, objectives_named(["max_drawdown"])).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (("sharpe", "sharp"), r"unknown objectives sharp\n(.|\n)*sharpe, sortino"),
        (("avg_holding_hours",), "unknown objectives avg_holding_hours"),
        (("sharpe", "beta", "sharpe"), "given twice: sharpe"),
        ((), "no objective is named"),
    ],
)
def test_objectives_that_cannot_be_are_refused(names: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        objectives_named(names)


def test_every_known_objective_is_measured(evaluator, costs) -> None:
    evaluation = evaluator.evaluate([default_genome("ema_crossover")], trending_panel(), costs)
    assert set(KNOWN_OBJECTIVES) <= set(evaluation.metrics)


def test_composite_weighs_sharpe_consistency_and_drawdown() -> None:
    metrics = {"sharpe": np.array([2.0]), "consistency": np.array([0.5]), "max_drawdown": np.array([0.1])}
    assert composite(metrics) == pytest.approx([0.5 * 2.0 + 0.3 * 0.5 - 0.2 * 0.1])
