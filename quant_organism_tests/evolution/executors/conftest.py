"""Batches, and what they come to when they are measured here and now."""

import pytest

from quant_organism.evolution.executors import open_executor
from quant_organism_tests.evolution.executors.batches import batches


@pytest.fixture(scope="session")
def work():
    return batches(4)


@pytest.fixture(scope="session")
def expected(work, panel, costs, evaluator):
    with open_executor("threads", panel, costs, evaluator) as executor:
        return dict(executor.measure(work))
