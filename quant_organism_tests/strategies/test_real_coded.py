"""Crossover and mutation of numbers: within bounds, centred on the parents, as far as the distribution index says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.strategies.real_coded import (
    polynomial_mutation,
    simulated_binary_crossover,
    some_of,
    step_beyond,
    step_near,
    whole_beyond,
    whole_near,
)

SEEDS = st.integers(0, 2**32 - 1)
ETAS = st.floats(0, 50)
LOW, HIGH = np.array([-3.0, 0.0, 1e-6, 100.0]), np.array([-1.0, 1.0, 1e-5, 1e6])


def rows(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return rows uniform within the bounds, some numbers on a bound."""
    drawn = rng.uniform(LOW, HIGH, (count, 4))
    on_bound = rng.random(drawn.shape)
    return np.where(on_bound < 0.1, LOW, np.where(on_bound > 0.9, HIGH, drawn))


@given(SEEDS, ETAS)
def test_children_and_mutants_stay_within_bounds_and_change_only_where_they_may(seed: int, eta: float) -> None:
    rng = np.random.default_rng(seed)
    a, b, where = rows(rng, 8), rows(rng, 8), rng.random((8, 4)) < 0.5
    children = simulated_binary_crossover(a, b, LOW, HIGH, eta=eta, where=where, rng=rng)
    mutant = polynomial_mutation(a, LOW, HIGH, eta=eta, where=where, rng=rng)
    for before, after in zip((a, b, a), (*children, mutant), strict=True):
        assert np.all((after >= LOW) & (after <= HIGH))
        assert np.array_equal(after[~where], before[~where])


def test_far_from_the_bounds_children_are_centred_on_their_parents() -> None:
    a, b = np.full((1000, 1), 0.4), np.full((1000, 1), 0.6)
    every, rng = np.ones((1000, 1), dtype=bool), np.random.default_rng(0)
    first, second = simulated_binary_crossover(a, b, np.array(-1e3), np.array(1e3), eta=15.0, where=every, rng=rng)
    assert (first + second) / 2 == pytest.approx(0.5)
    # Half of all spreads contract: P(beta <= 1) = 1/2.
    assert np.mean(np.abs(first - second) <= 0.2) == pytest.approx(0.5, abs=0.05)
    # Each child is as often the upper as the lower one.
    assert np.mean(first > second) == pytest.approx(0.5, abs=0.05)


def test_equal_parents_have_equal_children() -> None:
    a = np.full((50, 1), 0.3)
    children = simulated_binary_crossover(
        a, a, np.array(0.0), np.array(1.0), eta=2.0, where=np.ones((50, 1), dtype=bool), rng=np.random.default_rng(0)
    )
    assert np.array_equal(children[0], a)
    assert np.array_equal(children[1], a)


@pytest.mark.parametrize("eta", [10.0, 20.0])
def test_the_mean_step_of_a_mutation_follows_its_index(eta: float) -> None:
    # Unbounded, the share has the density (eta + 1) (1 - |d|)^eta / 2, whose mean size is 1 / (eta + 2).
    before, every = np.full((20_000, 1), 0.5), np.ones((20_000, 1), dtype=bool)
    steps = (
        polynomial_mutation(before, np.array(0.0), np.array(1.0), eta=eta, where=every, rng=np.random.default_rng(1))
        - before
    )
    assert np.mean(np.abs(steps)) == pytest.approx(1 / (eta + 2), rel=0.03)
    assert np.mean(steps) == pytest.approx(0.0, abs=0.003)


@given(SEEDS, st.floats(0, 1))
def test_only_present_places_are_chosen_and_one_where_one_must(seed: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    present = rng.random((20, 6)) < 0.5
    present[:, 0] = True
    must = rng.random(20) < 0.5
    chosen = some_of(present, rate, must, rng)
    assert chosen[must].any(axis=1).all()
    assert not np.any(chosen & ~present)


def test_where_none_would_be_chosen_each_place_is_as_likely() -> None:
    counts = some_of(np.ones((30_000, 3), dtype=bool), 0.0, np.ones(30_000, dtype=bool), np.random.default_rng(0)).sum(
        axis=0
    )
    assert counts / 30_000 == pytest.approx([1 / 3] * 3, abs=0.01)


def test_rounding_to_the_near_is_right_in_the_mean_and_leaves_whole_numbers() -> None:
    rng = np.random.default_rng(0)
    assert whole_near(np.full(50_000, 2.3), rng).mean() == pytest.approx(2.3, abs=0.01)
    assert whole_near(np.array([-2.0, 0.0, 7.0]), rng).tolist() == [-2.0, 0.0, 7.0]


def test_rounding_beyond_moves_by_at_least_one_within_bounds() -> None:
    before = np.array([5.0, 5.0, 5.0, 9.0, 2.0])
    after = np.array([5.1, 4.9, 5.0, 9.0, 2.0])
    high = np.full(5, 9.0)
    assert whole_beyond(before, after, high).tolist() == [6.0, 4.0, 6.0, 8.0, 3.0]


STEPS = np.array([[2.0, 3.0, 5.0, 8.0, np.inf]])


def test_steps_near_are_right_in_the_mean_and_ends_hold_what_is_beyond_them() -> None:
    rng = np.random.default_rng(0)
    values = np.repeat([5.0, 6.0, 1.0, 20.0], 3_000)
    moved = step_near(values, np.repeat(STEPS, values.size, axis=0), rng).reshape(4, -1)
    assert [set(row.tolist()) for row in moved] == [{5.0}, {5.0, 8.0}, {2.0}, {8.0}]
    assert moved[1].mean() == pytest.approx(6.0, abs=0.1)


@pytest.mark.parametrize(
    ("before", "after", "step"),
    [
        (3.0, 3.1, 5.0),
        (3.0, 2.9, 2.0),
        (4.0, 4.2, 5.0),
        (4.0, 3.9, 3.0),
        (3.0, 6.0, 8.0),
        (8.0, 8.0, 5.0),
        (2.0, 2.0, 3.0),
        (9.0, 9.5, 8.0),
        (8.0, 2.5, 2.0),
    ],
)
def test_steps_beyond_lead_away_to_another_or_back_inward_from_an_end(before: float, after: float, step: float) -> None:
    assert step_beyond(np.array([before]), np.array([after]), STEPS).tolist() == [step]
