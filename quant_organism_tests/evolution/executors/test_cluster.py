"""A real cluster of two Ray nodes, each its own processes: one is lost in mid-work, and the outcome is the same."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from quant_organism.errors import InputError, IntegrityError
from quant_organism.evolution.executors import open_executor
from quant_organism_tests.conftest import REPOSITORY
from quant_organism_tests.evolution.executors.batches import TroubledEvaluator, assert_same_bits, batches
from quant_organism_tests.evolution.executors.processes import wait_until

pytestmark = pytest.mark.slow

RAY = Path(sys.executable).with_name("ray")
BATCHES = (8, 3, ("donchian_breakout", "bollinger_bands"))
OWNER = "QUANT_ORGANISM_TEST_NODE"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def node(name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Ray node of one core until the end of the block; its processes know its name."""
    environment = {
        **os.environ,
        OWNER: name,
        "PYTHONPATH": str(REPOSITORY),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
    }
    command = [
        str(RAY),
        *("start", "--block", "--num-cpus=1", "--node-ip-address=127.0.0.1"),
        *("--object-store-memory=100000000", *arguments),
    ]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a node as a power cut does: all its processes at once."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def addresses() -> Iterator[tuple[str, str]]:
    """Return the address of a cluster's head, and that for clients from elsewhere."""
    port, client_port = free_port(), free_port()
    with (
        tempfile.TemporaryDirectory(prefix="head-", dir="/tmp", ignore_cleanup_errors=True) as folder,
        node(
            "head",
            "--head",
            f"--port={port}",
            f"--temp-dir={folder}",
            "--include-dashboard=false",
            f"--ray-client-server-port={client_port}",
        ) as head,
    ):
        for each in (port, client_port):
            wait_until(lambda each=each: head.poll() is None and answers(each))
        yield f"127.0.0.1:{port}", f"ray://127.0.0.1:{client_port}"


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


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


def test_a_cluster_elsewhere_measures_the_same_bits(addresses, panel, costs, evaluator, work, here):
    with open_executor(addresses[1], panel, costs, evaluator) as executor:
        assert executor.workers >= 1
        assert_same_bits(dict(executor.measure(work)), here)


def test_a_node_with_other_code_is_refused(addresses, panel, costs, evaluator, work, monkeypatch):
    monkeypatch.setattr("quant_organism.evolution.executors.ray_cluster.worker_code", lambda: "9.9.9")
    with (
        open_executor(addresses[0], panel, costs, evaluator) as executor,
        pytest.raises(IntegrityError, match=r"search runs 9\.9\.9"),
    ):
        list(executor.measure(work))


def test_a_cluster_that_does_not_answer_is_named(panel, costs, evaluator):
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(InputError, match=address), open_executor(address, panel, costs, evaluator):
        pass


# Last: on one machine, Ray may send a driver that comes soon afterwards to the lost node.
def test_a_node_that_is_lost_costs_its_unfinished_batches_only(addresses, panel, costs, work, here, tmp_path):
    evaluator = NodeMarkingEvaluator(folder=tmp_path, seconds=1.0)
    with (
        node("second", f"--address={addresses[0]}") as second,
        open_executor(addresses[0], panel, costs, evaluator) as executor,
    ):
        wait_until(lambda: executor.workers == 2)
        outcomes = {}
        for place, outcome in executor.measure(work):
            outcomes[place] = outcome
            if begun_on("second", tmp_path) >= 2:
                kill(second)  # it has done one batch and is in the midst of another
    assert second.poll() == -signal.SIGKILL
    assert begun_on("head", tmp_path) > 0
    assert_same_bits(outcomes, here)
