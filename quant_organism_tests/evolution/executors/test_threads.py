"""The executor of one process: in order, the same on any number of threads, and not sunk by one bad batch."""

import pytest

from quant_organism.backtest import Evaluator
from quant_organism.errors import InputError
from quant_organism.evolution.executors import open_executor
from quant_organism.evolution.measuring import BatchFailure
from quant_organism_tests.evolution.executors.batches import TroubledEvaluator, assert_same_bits


def test_one_thread_measures_the_same_bits_as_two(panel, costs, work, expected):
    with open_executor("threads", panel, costs, Evaluator(threads=1)) as executor:
        assert_same_bits(dict(executor.measure(work)), expected)


def test_batches_come_in_their_order_with_all_their_genomes(work, expected):
    assert list(expected) == list(range(len(work)))
    for genomes, measured in zip(work, expected.values(), strict=True):
        names = [genome.id for genome in measured.sound] + [flaw.genome for flaw in measured.flaws]
        assert sorted(names) == sorted(genome.id for genome in genomes)


def test_all_threads_are_paid_for_while_a_batch_is_measured(panel, costs, work, tmp_path):
    evaluator = TroubledEvaluator(threads=2, folder=tmp_path, seconds=0.2)
    with open_executor("threads", panel, costs, evaluator) as executor:
        ((_, measured),) = executor.measure(work[:1])
        assert executor.workers == 2
        assert measured.seconds >= 2 * 0.2


def test_a_batch_that_fails_once_is_measured_the_second_time(panel, costs, work, expected, tmp_path):
    marked = expected[1].sound[0]
    evaluator = TroubledEvaluator(folder=tmp_path, troubles={marked.hash: ("raise", 1)})
    with open_executor("threads", panel, costs, evaluator) as executor:
        assert_same_bits(dict(executor.measure(work)), expected)
    assert len(evaluator.attempts(marked)) == 2


@pytest.mark.parametrize(("trouble", "words"), [("raise", "RuntimeError: a bug"), ("memory", "out of memory")])
def test_a_batch_that_fails_twice_is_reported_and_the_others_go_on(
    panel, costs, work, expected, tmp_path, trouble, words
):
    marked = expected[1].sound[0]
    evaluator = TroubledEvaluator(folder=tmp_path, troubles={marked.hash: (trouble, 9)})
    with open_executor("threads", panel, costs, evaluator) as executor:
        outcomes = dict(executor.measure(work))
    failure = outcomes.pop(1)
    assert isinstance(failure, BatchFailure)
    assert words in failure.reason
    assert len(evaluator.attempts(marked)) == 2
    assert_same_bits(outcomes, {place: expected[place] for place in (0, 2, 3)})


def test_what_a_person_must_mend_is_raised_at_once(panel, costs, work, expected, tmp_path):
    marked = expected[0].sound[0]
    evaluator = TroubledEvaluator(folder=tmp_path, troubles={marked.hash: ("mend", 9)})
    with open_executor("threads", panel, costs, evaluator) as executor, pytest.raises(InputError, match="to mend"):
        list(executor.measure(work))
    assert len(evaluator.attempts(marked)) == 1


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("thread", {}, "unknown executor 'thread'"),
        ("threads", {"workers": 2}, "for Ray"),
        ("threads", {"batch_seconds": 2.0}, "for Ray"),
        ("ray", {"workers": 0}, "workers is 0"),
        ("ray", {"batch_seconds": 0.0}, "batch_seconds is 0"),
    ],
)
def test_impossible_executors_are_refused(panel, costs, evaluator, name, options, words):
    with pytest.raises(InputError, match=words), open_executor(name, panel, costs, evaluator, **options):
        pass
