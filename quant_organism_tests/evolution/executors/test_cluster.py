"""A real cluster of three Ray nodes, each its own processes: one is lost in mid-work, and the outcome is the same."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from quant_organism.errors import InputError, IntegrityError
from quant_organism.evolution.executors import open_executor
from quant_organism_tests.evolution.executors.batches import TroubledEvaluator, assert_same_bits, batches
from quant_organism_tests.evolution.executors.nodes import OWNER, HeadNode, head_node, joined_node, kill
from quant_organism_tests.evolution.executors.processes import wait_until
from quant_organism_tests.program import free_port

pytestmark = pytest.mark.slow

BATCHES = (12, 3, ("donchian_breakout", "bollinger_bands"))


@pytest.fixture(scope="module")
def head() -> Iterator[HeadNode]:
    """Return the head of a cluster."""
    with head_node() as head:
        yield head


@pytest.fixture(scope="module")
def work():
    return batches(*BATCHES)


@pytest.fixture(scope="module")
def here(work, panel, costs, evaluator):
    with open_executor("threads", panel, costs, evaluator) as executor:
        return dict(executor.measure(work))


class NodeMarkingEvaluator(TroubledEvaluator):
    """Takes its time, and leaves a file with the name of the node that each batch is begun on."""

    def evaluate(self, population, *arguments, **options):
        (self.folder / f"{os.environ[OWNER]}-{population[0].hash}").touch()
        return super().evaluate(population, *arguments, **options)


def begun_on(name: str, folder: Path) -> int:
    return len(list(folder.glob(f"{name}-*")))


def test_a_cluster_elsewhere_measures_the_same_bits(head, panel, costs, evaluator, work, here):
    with open_executor(head.client, panel, costs, evaluator) as executor:
        assert executor.workers >= 1
        assert_same_bits(dict(executor.measure(work)), here)


def test_a_node_with_other_code_is_refused(head, panel, costs, evaluator, work, monkeypatch):
    monkeypatch.setattr("quant_organism.evolution.executors.ray_cluster.worker_code", lambda: "9.9.9")
    with (
        open_executor(head.address, panel, costs, evaluator) as executor,
        pytest.raises(IntegrityError, match=r"search runs 9\.9\.9"),
    ):
        list(executor.measure(work))


def test_a_cluster_that_does_not_answer_is_named(panel, costs, evaluator):
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(InputError, match=address), open_executor(address, panel, costs, evaluator):
        pass


def test_a_head_that_gives_up_on_a_client_is_asked_five_times(monkeypatch, panel, costs, evaluator):
    asked = []

    def give_up(address, **_):
        asked.append(address)
        raise ConnectionAbortedError(f"try {len(asked)} failed")

    monkeypatch.setattr(ray, "init", give_up)
    with socket.create_server(("127.0.0.1", 0)) as head:
        address = f"ray://127.0.0.1:{head.getsockname()[1]}"
        with (
            pytest.raises(InputError, match="try 5 failed") as refused,
            open_executor(address, panel, costs, evaluator),
        ):
            pass
    assert asked == [address] * 5
    assert refused.value.where == f"executor {address}"


def test_a_head_that_is_lost_between_two_measurements_is_named(panel, costs, evaluator):
    with head_node() as lost, open_executor(lost.client, panel, costs, evaluator) as executor:
        assert executor.workers == 1
        kill(lost.process)
        with pytest.raises(InputError, match="cannot be reached any more"):
            _ = executor.workers


# Last: on one machine, Ray may send a driver that comes soon afterwards to the lost node.
def test_a_node_that_is_lost_costs_its_unfinished_batches_only(head, panel, costs, work, here, tmp_path):
    evaluator = NodeMarkingEvaluator(folder=tmp_path, seconds=1.0)
    with (
        joined_node("second", head) as second,
        joined_node("third", head),
        open_executor(head.address, panel, costs, evaluator) as executor,
    ):
        wait_until(lambda: executor.workers == 3)
        outcomes = {}
        for place, outcome in executor.measure(work):
            outcomes[place] = outcome
            if begun_on("second", tmp_path) >= 2:
                kill(second)  # it has done one batch and is in the midst of another
    assert second.poll() == -signal.SIGKILL
    assert begun_on("head", tmp_path) > 0
    assert begun_on("third", tmp_path) > 0
    assert_same_bits(outcomes, here)
