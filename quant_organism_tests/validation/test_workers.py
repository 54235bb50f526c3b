"""Processes are started once for all that is asked of them, and what is begun ahead is what is asked for later."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from quant_organism.validation.draws import DrawStore, Remembered, in_order
from quant_organism.validation.workers import Workers, shipped, workers_at_hand, workers_now


def whose(draw: int) -> dict[str, float]:
    return {"process": float(os.getpid())}


def squared(folder: Path, draw: int) -> dict[str, float]:
    (folder / f"{draw}-{os.getpid()}").touch()
    return {"squared": float(draw * draw)}


def killed_once(folder: Path, draw: int) -> dict[str, float]:
    if draw == 1 and not (folder / "killed").exists():
        (folder / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"number": float(draw)}


def until(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def workers() -> Iterator[Workers]:
    with workers_at_hand(2) as opened:
        assert opened is not None
        opened.start().result()
        yield opened


def others(processes: int = 2, draws: int = 24) -> set[float]:
    made = [found["process"] for _, found in in_order(whose, range(draws), processes)]
    return {process for process in made if process != os.getpid()}


def test_stages_share_the_processes_that_are_at_hand(workers: Workers):
    first, second = others(), others()
    assert len(first | second) <= workers.count


def test_processes_that_have_started_are_asked_at_once(workers: Workers):
    """A process that works alone for seconds first would make these few draws by itself."""
    assert others(draws=4)


def test_who_wants_more_than_are_at_hand_has_its_own(workers: Workers):
    assert not others() & others(processes=3)


def test_none_are_open_within_one_process_nor_afterwards():
    with workers_at_hand(1) as opened:
        assert opened is None
    with workers_at_hand(2) as outer, workers_at_hand(3) as inner:
        assert inner is outer is workers_now()
    assert workers_now() is None


def test_processes_end_with_whoever_opened_them():
    with workers_at_hand(2) as opened:
        assert opened is not None
        process = opened.start().result()
        os.kill(process, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_killed_process_costs_the_stages_after_it_nothing(workers: Workers, tmp_path: Path):
    for _ in range(2):
        made = list(in_order(partial(killed_once, tmp_path), range(6), 2))
        assert made == [(n, {"number": float(n)}) for n in range(6)]


def test_what_was_begun_ahead_is_not_made_again(workers: Workers, tmp_path: Path):
    folder = tmp_path / "made"
    folder.mkdir()
    make = Remembered(partial(squared, folder), DrawStore(tmp_path, "test", {"seed": "0"}))
    workers.begin_ahead(make, range(6))
    until(lambda: len(list(folder.iterdir())) == 6)
    workers.end_ahead()
    assert list(in_order(make, range(8), 2)) == [(n, {"squared": float(n * n)}) for n in range(8)]
    assert sorted(int(path.name.partition("-")[0]) for path in folder.iterdir()) == list(range(8))


def test_nothing_is_begun_ahead_while_somebody_waits_for_pieces(workers: Workers, tmp_path: Path):
    with workers.asked():
        workers.begin_ahead(partial(squared, tmp_path), range(6))
        assert len(list(in_order(whose, range(24), 2))) == 24
        assert not list(tmp_path.iterdir())
    until(lambda: len(list(tmp_path.iterdir())) == 6)


def test_what_is_ended_begins_nothing_more(workers: Workers, tmp_path: Path):
    with workers.asked():
        workers.begin_ahead(partial(squared, tmp_path), range(100))
        workers.end_ahead()
    assert not list(tmp_path.iterdir())
    workers.begin_ahead(partial(squared, tmp_path), range(100_000))
    until(lambda: len(list(tmp_path.iterdir())) > 2)
    workers.end_ahead()
    made = len(list(tmp_path.iterdir()))
    assert made < 100_000
    others()
    assert len(list(tmp_path.iterdir())) == made


def test_what_fails_ahead_fails_when_it_is_asked_for(workers: Workers, tmp_path: Path):
    workers.begin_ahead(partial(squared, tmp_path / "nowhere"), range(3))
    workers.end_ahead()
    with pytest.raises(FileNotFoundError):
        list(in_order(partial(squared, tmp_path / "nowhere"), range(3), 2))
    assert others()


def test_what_makes_pieces_is_shipped_in_a_file_that_does_not_stay(workers: Workers):
    with shipped(whose) as maker:
        assert workers.submit(maker, 0).result()["process"] != os.getpid()
        assert maker.exists()
    assert not maker.exists()
