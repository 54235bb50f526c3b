"""The hunt for what tests miss: which changes it makes, whom it asks, and what it says of them."""

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

from quant_organism_tests.mutants import trials
from quant_organism_tests.mutants.__main__ import ROOT, Record, Records, equivalents, hunt, print_table
from quant_organism_tests.mutants.changes import Change, changes_of
from quant_organism_tests.mutants.choice import Seen, asked_about, draw, in_order
from quant_organism_tests.mutants.trials import Copy, Outcome, Trial

SOURCE = '''"""Words 1 < 2."""
__all__ = ["f"]
LIMIT: int = 3


@decorated(slots=True)
def f(x: "int < 2", y=0.5, *, strict=True):
    """Return 1."""
    log.info("x", 1)
    if not x or y >= LIMIT:
        raise ValueError(f"{x + 1} is more than 2")
    total = 0
    for _ in range(x):
        total += min(x, y)
    return g(x, y, key=-1) if total == 1 else abs(total) - 2
'''


def test_what_is_changed_and_what_is_left_alone() -> None:
    found = [(change.line, change.within, change.text) for change in changes_of("f.py", SOURCE.encode())]
    assert found == [
        (3, "module", "3 | 4"),
        (7, "f", "0.5 | 0.75"),
        (7, "f", "True | False"),
        (10, "f", "not x | no not"),
        (10, "f", "not x or y >= LIMIT | flipped"),
        (10, "f", "not x or y >= LIMIT | or -> and"),
        (10, "f", "y >= LIMIT | >= -> >"),
        (10, "f", "y >= LIMIT | >= -> <="),
        (11, "f", "raise ValueError(f'{x + 1} is more than 2') | the error is not raised"),
        (12, "f", "0 | 1"),
        (14, "f", "total += min(x, y) | += -> -="),
        (14, "f", "min(x, y) | min -> max"),
        (15, "f", "g(x, y, key=-1) | arguments exchanged"),
        (15, "f", "-1 | no sign"),
        (15, "f", "1 | 2"),
        (15, "f", "total == 1 | == -> !="),
        (15, "f", "1 | 2 #2"),
        (15, "f", "abs(total) | no abs"),
        (15, "f", "abs(total) - 2 | - -> +"),
        (15, "f", "2 | 3"),
    ]


def test_each_change_changes_its_place_and_nothing_else() -> None:
    source = SOURCE.encode()
    for change in changes_of("f.py", source):
        changed = change.applied(source)
        compile(changed, "f.py", "exec")
        assert changed != source
        assert changed.splitlines()[: change.line - 1] == source.splitlines()[: change.line - 1]


def test_a_draw_is_repeated_and_more_draws_begin_with_those_of_fewer() -> None:
    drawn = draw(ROOT, "validation/statistics", 1)
    assert drawn == draw(ROOT, "validation/statistics", 1) != draw(ROOT, "validation/statistics", 2)
    assert len({change.name for change in drawn}) == len(drawn) > 1_000
    with pytest.raises(FileNotFoundError, match="neither a folder nor a file"):
        draw(ROOT, "nowhere/at/all", 1)


def test_those_are_asked_that_import_a_source_and_then_those_that_reach_it() -> None:
    asked = asked_about(ROOT, Path("quant_organism/backtest/margin.py"))
    folder = Path("quant_organism_tests/backtest")
    assert asked.own == (folder / "test_margin.py",)
    assert {folder / "test_step.py", folder / "test_against_reference.py"} <= set(asked.others)
    assert folder / "test_costs.py" not in asked.files
    assert asked.only("test_step.py").files == [folder / "test_step.py"]
    assert asked.only("test_(margin|step)[.]py").files == [folder / "test_margin.py", folder / "test_step.py"]


def test_of_a_rooms_face_those_are_asked_that_take_a_name_from_it() -> None:
    asked = asked_about(ROOT, Path("quant_organism/trading/orders/__init__.py"))
    folder = Path("quant_organism_tests/trading")
    assert {folder / "test_order_states.py", folder / "test_exits.py"} <= set(asked.own)
    assert folder / "test_order_answers.py" not in asked.files


PRODUCT = '''"""A room."""

import time

LIMIT = 10


def wait(n):
    while n > 0:
        time.sleep(0.01)
        n -= 1
    return n


class Pair:
    @property
    def larger(self):
        return self.x > self.y

    def __init__(self, x, y):
        self.x, self.y = x, y

    def distance(self):
        return abs(self.x - self.y) + 1


def small(x):
    return x < LIMIT


def even(x):
    return x % 2 == 0
'''
TESTS = """import os
import signal
import time
from functools import cache

import pytest

from quant_organism.room.thing import Pair, even, small, wait

@cache
def three():  # takes long, once
    end = time.process_time() + 1.5
    while time.process_time() < end:
        pass
    return 3

@pytest.fixture(scope="module")
def pair():
    return Pair(2, 1)

def test_larger(pair):
    assert pair.larger and not Pair(1, 2).larger

def test_distance(pair):
    assert Pair(1, 4).distance() == 4

def test_small():
    if not small(5):  # as the system ends what takes too much memory
        os.kill(os.getpid(), signal.SIGKILL)
    assert not small(10)

def test_wait():
    assert wait(3) == 0

def test_even():
    assert even(three() + 1)

def test_odd():
    assert not even(three())

def test_always_fails():
    assert wait(0) == 1

@pytest.mark.slow
def test_slow():
    assert not Pair(1, 1).larger
"""


def checkout_at(folder: Path) -> Path:
    """Write a product of one room, its tests, and the hunt."""
    texts = {"quant_organism/room/thing.py": PRODUCT, "quant_organism_tests/room/test_thing.py": TESTS}
    own = ("conftest.py", *(f"mutants/{path.name}" for path in Path(trials.__file__).parent.glob("*.py")))
    texts |= {f"quant_organism_tests/{name}": (ROOT / "quant_organism_tests" / name).read_text("utf-8") for name in own}
    empty = ("quant_organism/", "quant_organism/room/", "quant_organism_tests/", "quant_organism_tests/room/")
    texts |= {f"{place}__init__.py": "" for place in empty}
    texts["quant_organism_tests/equivalent_mutants.yaml"] = EXCUSED
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


EXCUSED = """
- change: "quant_organism/room/thing.py::Pair.larger: self.x > self.y | > -> >="
  reason: a pair of two that are alike is in no test, which serves this one
"""


@pytest.mark.slow
def test_killed_survived_timed_out_and_stopped_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "_AT_LEAST_S", 1.0)
    checkout = checkout_at(tmp_path / "checkout")
    changes = {change.text: change for change in draw(checkout, "room/thing", 0)}
    files = asked_about(checkout, Path("quant_organism/room/thing.py")).files
    with closing(Copy(checkout, tmp_path / "copy")) as private:
        private.collect(files)
        (file,) = files
        seen = private.seen(file)
        assert [test.name.split("::")[1] for test in seen] == [
            "test_larger",
            "test_distance",
            "test_small",
            "test_wait",
            "test_even",
            "test_odd",
        ]
        room = "quant_organism/room/thing.py::"
        assert [{name.removeprefix(room) for name in test.ran} for test in seen] == [
            {"Pair.__init__", "Pair.larger"},
            {"Pair.__init__", "Pair.distance"},
            {"small", "Pair.__init__"},  # by a fixture of the whole file
            {"wait", "Pair.__init__"},
            {"even", "Pair.__init__"},
            {"even", "Pair.__init__"},
        ]

        def outcome(text: str, within_s: float = 60.0) -> tuple[str, str]:
            trial = private.tried(changes[text], in_order(changes[text], seen, files, within_s))
            return trial.outcome, trial.by.removeprefix("FAILED quant_organism_tests/room/test_thing.py::")

        assert outcome("self.x > self.y | > -> <") == ("killed", "test_larger")
        assert outcome("self.x > self.y | > -> >=") == ("survived", "")  # only a slow test would notice
        assert outcome("n -= 1 | -= -> +=", 0.0) == ("timed out", "")
        # Another was seen to make what both need, and is not asked: that this one takes long is no sign of a change.
        assert outcome("x % 2 == 0 | == -> !=", 0.0) == ("killed", "test_odd")
        assert outcome("x < LIMIT | < -> >") == ("stopped", "")
        assert outcome("10 | 11") == ("killed", "test_small")  # in a new process
        assert (checkout / "quant_organism/room/thing.py").read_text("utf-8") == PRODUCT


@pytest.mark.slow
def test_a_hunt_that_is_killed_goes_on_and_prints_the_table_of_all(tmp_path: Path) -> None:
    checkout = checkout_at(tmp_path / "checkout")
    command = [sys.executable, "-m", "quant_organism_tests.mutants", "room/thing", "--n", "9", "--only", "Pair."]
    environment = os.environ | {"PYTHONPATH": str(checkout), "COLUMNS": "200"}

    def run() -> subprocess.Popen[str]:
        return subprocess.Popen(command, cwd=checkout, env=environment, stdout=subprocess.PIPE, text=True)

    with run() as first:
        assert first.stdout is not None
        assert first.stdout.readline().startswith("1/5 killed in ")
        first.kill()
    (path,) = (checkout / "data" / "mutants").glob("*.jsonl")
    kept = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text(kept[0] + kept[0][:40], encoding="utf-8")  # killed after the first, while it wrote of the second
    with run() as second:
        said, kept = second.communicate()[0].splitlines(), path.read_text("utf-8").splitlines()
    assert [line.split(" in ")[0] for line in said[:-1]] == ["1/4 killed", "2/4 killed", "3/4 killed", "4/4 killed"]
    assert len({json.loads(line)["change"] for line in kept}) == 5
    with run() as third:  # nothing is left to try
        assert third.communicate()[0].splitlines() == [
            "room/thing: 6 drawn; 5 of 5 noticed (100.0%), 0 of them because the tests hung; "
            "1 more are listed as equivalent."
        ]
    assert third.returncode == 0


def test_the_table_names_what_lived_and_counts_each_once(capsys: pytest.CaptureFixture[str]) -> None:
    drawn = changes_of("f.py", SOURCE.encode())[:6]
    outcomes: list[Outcome] = ["killed", "killed", "timed out", "survived", "stopped"]
    found: dict[Change, Trial | None] = {c: Trial(o, 1.0) for c, o in zip(drawn, outcomes, strict=False)}
    assert print_table("room", found | {drawn[5]: None}, Console(width=200)) == 2
    assert capsys.readouterr().out.splitlines() == [
        "No test noticed:",
        "f.py:10  f: not x | no not",
        "room: 6 drawn; 3 of 4 noticed (75.0%), 1 of them because the tests hung; 1 more are listed as equivalent. "
        "Of 1 nothing is known: their tests were stopped from outside.",
    ]


def test_those_are_asked_first_that_run_the_function_and_of_them_the_quickest() -> None:
    def seen(name: str, seconds: float, *ran: str) -> Seen:
        return Seen(f"{name}.py::test", seconds, frozenset(f"f.py::{function}" for function in ran))

    slow, quick, own, other = seen("a", 3.0, "f"), seen("b", 0.5, "f"), seen("c", 0.5, "f"), seen("d", 0.1, "g")
    (change,) = (change for change in changes_of("f.py", SOURCE.encode()) if change.text == "y >= LIMIT | >= -> >")
    assert in_order(change, [slow, quick, own, other], [Path("c.py")], 60.0) == [own, quick, slow, other]
    assert in_order(change, [slow, quick, own, other], [], 1.0) == [quick, own]
    assert in_order(change, [slow], [], 1.0) == [slow]  # somebody is always asked
    outside = next(change for change in changes_of("f.py", SOURCE.encode()) if change.within == "module")
    assert in_order(outside, [slow, seen("e", 0.0)], [], 60.0) == [slow, seen("e", 0.0)]


def test_what_survived_is_tried_again_by_other_tests_and_what_was_noticed_is_not(tmp_path: Path) -> None:
    killed, survived = changes_of("f.py", SOURCE.encode())[:2]
    records = Records(tmp_path / "deeper" / "records.jsonl")
    records.add(Record(killed.name, "these tests", Trial("killed", 1.0, "test_it")))
    records.add(Record(survived.name, "these tests", Trial("survived", 1.0)))
    again = Records(tmp_path / "deeper" / "records.jsonl")
    assert again.of(killed, "other tests") == Trial("killed", 1.0, "test_it")
    assert again.of(survived, "these tests") == Trial("survived", 1.0)
    assert again.of(survived, "other tests") is None


def test_every_change_that_is_excused_exists_and_has_a_reason() -> None:
    for name, reason in equivalents().items():
        path = ROOT / name.split("::")[0]
        assert name in {change.name for change in changes_of(name.split("::")[0], path.read_bytes())}, name
        assert len(reason) > 20


@pytest.mark.slow
def test_the_haircut_of_a_sharpe_ratio_cannot_change_unnoticed() -> None:
    # Three fixed draws: the hunt itself, on the real product.
    assert hunt("validation/statistics/annualised", 3, 0, Console(quiet=True), only="haircut_sharpe") == 0
