"""Ray on one machine: the same bits on any number of workers, whatever happens to them, and nothing left behind."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from quant_organism.errors import BusyError, InputError
from quant_organism.evolution.executors import open_executor
from quant_organism.evolution.measuring import BatchFailure
from quant_organism_tests.conftest import REPOSITORY
from quant_organism_tests.evolution.executors.batches import TroubledEvaluator, assert_same_bits, batches
from quant_organism_tests.evolution.executors.processes import processes_with, wait_until

pytestmark = pytest.mark.slow

SESSIONS = "quant-organism-ray-*"


@pytest.fixture(scope="module")
def fitted_work():
    """Return batches with models in them: their linear algebra must not hang on the number of threads either."""
    return [*batches(3, 4), *batches(1, 2, families=("linear_svc_classifier", "pca_tree_quantile"))]


def test_three_workers_measure_the_same_bits(panel, costs, evaluator, fitted_work):
    """One does on the cluster of `test_cluster.py`, two in the tests of trouble below."""
    with open_executor("threads", panel, costs, evaluator) as executor:
        here = dict(executor.measure(fitted_work))
    with open_executor("ray", panel, costs, evaluator, workers=3) as executor:
        assert executor.workers == 3
        there = dict(executor.measure(fitted_work))
        again = dict(executor.measure(fitted_work))
    assert_same_bits(there, here)
    assert_same_bits(again, here)
    arrays = [there[0].evaluation.daily_returns, there[0].evaluation.behaviour]
    assert all(isinstance(array, np.ndarray) and array.flags.owndata for array in arrays)


BATCHES = (7, 4, ("donchian_breakout", "bollinger_bands"))
TROUBLES = {0: ("raise", 1), 1: ("kill", 1), 2: ("memory", 9), 3: ("kill", 9), 5: ("mend", 9), 6: ("hang", 9)}


@pytest.fixture(scope="module")
def troubled_work():
    return batches(*BATCHES)


@pytest.fixture(scope="module")
def untroubled(troubled_work, panel, costs, evaluator):
    with open_executor("threads", panel, costs, evaluator) as executor:
        return dict(executor.measure(troubled_work))


@pytest.fixture(scope="module")
def marked(untroubled):
    """Return the genome of each batch that trouble comes over."""
    return {place: measured.sound[0] for place, measured in untroubled.items()}


@pytest.fixture(scope="module")
def troubled(tmp_path_factory, marked):
    troubles = {marked[place].hash: trouble for place, trouble in TROUBLES.items()}
    return TroubledEvaluator(folder=tmp_path_factory.mktemp("attempts"), troubles=troubles)


@pytest.fixture(scope="module")
def executor(panel, costs, troubled):
    with open_executor("ray", panel, costs, troubled, workers=2) as executor:
        yield executor


def test_failing_and_killed_batches_are_tried_twice_and_no_other_batch_notices(
    executor, troubled, troubled_work, untroubled, marked
):
    outcomes = dict(executor.measure(troubled_work[:5]))
    out_of_memory, killed = outcomes.pop(2), outcomes.pop(3)
    assert_same_bits(outcomes, {place: untroubled[place] for place in (0, 1, 4)})
    assert isinstance(out_of_memory, BatchFailure)
    assert re.search("twice: out of memory .* use smaller batches", out_of_memory.reason)
    assert isinstance(killed, BatchFailure)
    assert "killed" in killed.reason
    assert [len(troubled.attempts(marked[place])) for place in range(4)] == [2, 2, 2, 2]


def test_what_a_person_must_mend_comes_back_as_it_was_raised(executor, troubled_work):
    with pytest.raises(InputError) as caught:
        list(executor.measure(troubled_work[5:6]))
    assert (caught.value.what, caught.value.where, caught.value.remedy) == ("something to mend", "here", "mend it")


def test_a_late_batch_is_stopped_and_reported(executor, troubled_work, untroubled):
    executor._batch_seconds = 2.0
    ((_, failure),) = executor.measure(troubled_work[6:])
    executor._batch_seconds = None
    assert isinstance(failure, BatchFailure)
    assert failure.reason == "twice: not done after 2 seconds, and stopped"
    assert_same_bits(dict(executor.measure(troubled_work[4:5])), {0: untroubled[4]})  # the workers are free again


def test_batches_that_nobody_waits_for_any_more_are_stopped(executor, troubled_work, untroubled):
    outcomes = executor.measure([troubled_work[4], troubled_work[6], troubled_work[6]])
    next(outcomes)
    outcomes.close()
    assert_same_bits(dict(executor.measure(troubled_work[4:5])), {0: untroubled[4]})


def test_a_process_has_one_connection_to_ray(executor, panel, costs, evaluator):
    with pytest.raises(BusyError, match="already"), open_executor("ray", panel, costs, evaluator):
        pass


PROGRAM = """
import signal, sys
from pathlib import Path
from quant_organism.backtest import Costs
from quant_organism.evolution.executors import open_executor
from quant_organism_tests.evolution.executors.batches import TroubledEvaluator, batches
from quant_organism_tests.evolution.executors.test_ray import BATCHES
from quant_organism_tests.panels import trending_panel

way, folder, marked = sys.argv[1:]
trouble = {"end": "kill", "crash": "mend", "stop": "hang"}[way]
evaluator = TroubledEvaluator(folder=Path(folder), troubles={marked: (trouble, 1)})
before = signal.getsignal(signal.SIGTERM)
with open_executor("ray", trending_panel(), Costs(), evaluator, workers=2) as executor:
    print(len(list(executor.measure(batches(*BATCHES)[4:6]))), flush=True)
assert signal.getsignal(signal.SIGTERM) == before
"""


@pytest.mark.parametrize(("way", "status"), [("end", 0), ("crash", 1), ("stop", -signal.SIGINT)])
def test_nothing_is_left_behind(tmp_path, marked, way, status):
    sessions = set(Path("/tmp").glob(SESSIONS))
    home, attempts = tmp_path / "home", tmp_path / "attempts"
    home.mkdir()
    attempts.mkdir()
    mark = f"QUANT_ORGANISM_TEST_MARK={tmp_path}"
    environment = {**os.environ, "HOME": str(home), **dict([mark.split("=")]), "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", PROGRAM, way, str(attempts), marked[4].hash]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as program:
        if way == "stop":
            wait_until(lambda: any(attempts.iterdir()))
            os.killpg(program.pid, signal.SIGINT)  # as a terminal does
        said, complained = program.communicate(timeout=120)
    assert program.returncode == status, complained
    assert said == ("2\n" if way == "end" else "")
    if way == "end":
        assert complained == ""
    wait_until(lambda: not processes_with(mark))
    assert set(Path("/tmp").glob(SESSIONS)) <= sessions
    assert list(home.iterdir()) == []
