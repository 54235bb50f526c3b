"""Selection and variation find fronts that are known; `make bench NAME=machinery` asks more seeds, and DTLZ3 too."""

import numpy as np
import pytest
from pymoo.problems import get_problem

from quant_organism_tests.evolution.pareto_problems import PROBLEMS, evolved


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_problems_are_those_of_pymoo(name: str) -> None:
    problem = PROBLEMS[name]
    theirs = get_problem(name.lower(), n_var=len(problem.low), **({"n_obj": 3} if name.startswith("DTLZ") else {}))
    assert np.array_equal(theirs.xl, problem.low)
    assert np.array_equal(theirs.xu, problem.high)
    x = np.random.default_rng(0).uniform(problem.low, problem.high, (20, len(problem.low)))
    # DTLZ's objectives may come in either order; its fronts are symmetrical.
    assert np.sort(problem.objectives(x), axis=1) == pytest.approx(np.sort(theirs.evaluate(x), axis=1), rel=1e-9)


@pytest.mark.parametrize("name", [name for name in PROBLEMS if name != "DTLZ3"])
def test_fronts_are_found_as_well_as_by_pymoo(name: str) -> None:
    problem = PROBLEMS[name]
    found = np.median([evolved(problem, problem.evaluations, seed) for seed in range(3)])
    assert 0.98 * problem.pymoo <= found < problem.front


def test_reference_directions_spread_better_over_three_objectives() -> None:
    problem = PROBLEMS["DTLZ2"]
    assert evolved(problem, problem.evaluations, 0, "nsga3") > 1.03 * problem.pymoo
