"""Objectives, Pareto front and hypervolume against hand-computed values."""

import numpy as np
import pytest

from quant_organism.evolution.objectives import hypervolume, is_on_front


def row(sharpe: float, consistency: float, max_drawdown: float, turnover: float) -> list[float]:
    return [sharpe, consistency, max_drawdown, turnover]


def test_hypervolume_of_one_point_is_the_box_to_the_worst_values():
    # (2 - -2) x (0.5 - 0) x (1 - 0.2) x (5000 - 1000)/1000
    assert hypervolume(np.array([row(2.0, 0.5, 0.2, 1_000.0)])) == pytest.approx(4 * 0.5 * 0.8 * 4)


def test_a_dominated_point_adds_nothing_and_a_better_one_adds():
    base = [row(2.0, 0.5, 0.2, 1_000.0)]
    alone = hypervolume(np.array(base))
    assert hypervolume(np.array([*base, row(1.0, 0.4, 0.3, 2_000.0)])) == pytest.approx(alone)
    assert hypervolume(np.array([*base, row(1.0, 0.9, 0.3, 2_000.0)])) > alone


def test_nothing_has_no_volume():
    assert hypervolume(np.empty((0, 4))) == 0.0
    assert hypervolume(np.array([row(-2.0, 0.0, 1.0, 5_000.0)])) == 0.0


def test_the_front_keeps_what_nothing_dominates():
    points = np.array([row(2, 0.5, 0.2, 100), row(1, 0.5, 0.2, 100), row(1, 0.9, 0.2, 100), row(2, 0.5, 0.2, 100)])
    assert is_on_front(points).tolist() == [True, False, True, True]
