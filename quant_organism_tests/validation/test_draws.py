"""Draws are made in order, whatever the number of processes, and kept whole."""

import math
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from quant_organism.errors import IntegrityError, QuantOrganismError
from quant_organism.market.query import connect
from quant_organism.validation import draws
from quant_organism.validation.draws import DrawStore, Remembered, in_order
from quant_organism.validation.tables import NullDrawTable

IDENTITY = {"panel": "p", "seed": "0"}


def squared(draw: int) -> dict[str, float]:
    return {"squared": float(draw * draw)}


def whose(draw: int) -> dict[str, float]:
    return {"process": float(os.getpid())}


def killed(folder: Path, kills: int, draw: int) -> dict[str, float]:
    """Square a number, leaving a file for each try; the first tries of draw 1 end the process."""
    tries = len(list(folder.glob(f"{draw}-*")))
    (folder / f"{draw}-{tries}").touch()
    if draw == 1 and tries < kills:
        os.kill(os.getpid(), signal.SIGKILL)
    return squared(draw)


def first_after_fourth(folder: Path, draw: int) -> dict[str, float]:
    (folder / str(draw)).touch()
    deadline = time.monotonic() + 60
    while draw == 0 and not (folder / "3").exists():
        assert time.monotonic() < deadline, "the fourth was never begun"
        time.sleep(0.01)
    return {}


@pytest.mark.parametrize("processes", [1, 3])
def test_draws_come_in_their_order(processes: int):
    assert list(in_order(squared, range(6), processes)) == [(n, {"squared": float(n * n)}) for n in range(6)]


@pytest.mark.parametrize("processes", [1, 2])
def test_numbers_may_end_early_and_few_draws_are_begun_that_nobody_asks_for(processes: int):
    begun = []

    def numbers() -> Iterator[int]:
        for n in range(100):
            begun.append(n)
            yield n

    order = in_order(squared, numbers(), processes)
    assert [next(order)[0] for _ in range(3)] == [0, 1, 2]
    order.close()
    assert len(begun) <= 3 + 4 * processes


def test_one_long_draw_does_not_keep_the_others_waiting(tmp_path: Path):
    """The first waits for the fourth, which the other process has to reach meanwhile."""
    order = in_order(partial(first_after_fourth, tmp_path), range(6), 2)
    assert [number for number, _ in order] == [0, 1, 2, 3, 4, 5]


def test_a_killed_process_costs_what_was_under_way_and_nothing_else(tmp_path: Path):
    assert list(in_order(partial(killed, tmp_path, 1), range(9), 2)) == [(n, squared(n)) for n in range(9)]
    tries = [len(list(tmp_path.glob(f"{n}-*"))) for n in range(9)]
    assert tries[1] == 2
    assert set(tries) <= {1, 2}
    assert sum(tries) <= 9 + 2, "only what the killed pair of processes was at is made again"


def test_a_draw_that_kills_its_process_twice_is_said(tmp_path: Path):
    with pytest.raises(QuantOrganismError, match="killed"):
        list(in_order(partial(killed, tmp_path, 9), range(4), 2))
    assert len(list(tmp_path.glob("1-*"))) == 2


def test_what_is_kept_comes_back_to_the_bit(tmp_path: Path):
    store = DrawStore(tmp_path, "test", IDENTITY)
    assert store.read(3) is None
    store.write(3, {"a": 0.1 + 0.2, "b": math.nan})
    kept = store.read(3)
    assert kept is not None
    assert kept["a"] == 0.1 + 0.2
    assert math.isnan(kept["b"])
    assert DrawStore(tmp_path, "test", IDENTITY | {"seed": "1"}).read(3) is None


def test_a_draw_is_made_once(tmp_path: Path):
    made = []

    def make(draw: int) -> dict[str, float]:
        made.append(draw)
        return squared(draw)

    remembered = Remembered(make, DrawStore(tmp_path, "test", IDENTITY))
    assert remembered(2) == remembered(2) == squared(2)
    assert made == [2]


def test_a_damaged_draw_is_named(tmp_path: Path):
    store = DrawStore(tmp_path, "test", IDENTITY)
    store.write(0, squared(0))
    part = next(tmp_path.rglob("*.parquet"))
    part.write_bytes(b"no")
    with pytest.raises(IntegrityError, match="made again") as caught:
        store.read(0)
    assert caught.value.where == str(part)


def test_draws_are_a_table_of_the_lake(tmp_path: Path):
    store = DrawStore(tmp_path, "permutation", IDENTITY)
    for n in range(3):
        store.write(n, squared(n))
    found = connect(tmp_path, [NullDrawTable]).sql("select test, draw, value from null_draws order by draw").fetchall()
    assert found == [("permutation", 0, 0.0), ("permutation", 1, 1.0), ("permutation", 2, 4.0)]


def test_little_work_starts_no_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(draws, "ALONE_SECONDS", 60.0)
    assert [made["process"] for _, made in in_order(whose, range(3), 2)] == [float(os.getpid())] * 3


def test_what_one_process_began_others_go_on_with(monkeypatch: pytest.MonkeyPatch):
    seconds = iter([0.0, 1.0, 3.0, 5.0])
    monkeypatch.setattr(draws.time, "perf_counter", lambda: next(seconds))
    monkeypatch.setattr(draws, "ALONE_SECONDS", 4.0)
    made = dict(in_order(whose, range(4), 2))
    alone = [number for number, draw in made.items() if draw["process"] == os.getpid()]
    assert alone == [0, 1]
    assert list(made) == [0, 1, 2, 3]


def test_who_asks_works_on_until_others_have_come():
    made = dict(in_order(whose, range(40), 2))
    own = [number for number, draw in made.items() if draw["process"] == os.getpid()]
    assert own[0] == 2, "the first two are handed to others, which are starting"
    assert max(own) < 8, "who waits for the first of them begins no more than may be ahead"
