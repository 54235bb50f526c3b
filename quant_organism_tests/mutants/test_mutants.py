"""The hunt for what tests miss: which changes it makes, whom it asks, and what it says of them."""

from pathlib import Path

import pytest
from rich.console import Console

from quant_organism_tests.mutants import trials
from quant_organism_tests.mutants.__main__ import ROOT, Record, Records, equivalents, hunt
from quant_organism_tests.mutants.changes import Change, changes_of
from quant_organism_tests.mutants.choice import asked_about, draw
from quant_organism_tests.mutants.trials import Copy, Trial

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


PRODUCT = '''"""A room."""

import time


def wait(n):
    while n > 0:
        time.sleep(0.01)
        n -= 1
    return n


def larger(x, y):
    return x > y


def small(x):
    return x < 10
'''
TESTS = """import os
import signal

from quant_organism.room.thing import larger, small, wait

def test_larger():
    assert larger(2, 1) and not larger(1, 2)

def test_small():
    if not small(5):  # as the system ends what takes too much memory
        os.kill(os.getpid(), signal.SIGKILL)

def test_wait():
    assert wait(3) == 0
"""


@pytest.mark.slow
def test_killed_survived_timed_out_and_stopped_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "_AT_LEAST_S", 20.0)
    checkout, copy = tmp_path / "checkout", tmp_path / "copy"
    files = {
        "quant_organism/__init__.py": "",
        "quant_organism/room/__init__.py": "",
        "quant_organism/room/thing.py": PRODUCT,
        "quant_organism_tests/__init__.py": "",
        "quant_organism_tests/conftest.py": (ROOT / "quant_organism_tests" / "conftest.py").read_text("utf-8"),
        "quant_organism_tests/room/__init__.py": "",
        "quant_organism_tests/room/test_thing.py": TESTS,
    }
    for name, text in files.items():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text(text, encoding="utf-8")
    changes = {change.text: change for change in draw(checkout, "room/thing", 0)}
    tests = asked_about(checkout, Path("quant_organism/room/thing.py")).files
    private = Copy(checkout, copy)
    seconds = sum(private.seconds_of(tests).values())

    def outcome(change: Change) -> Trial:
        return private.tried(change, tests, seconds)

    killed = outcome(changes["x > y | > -> <"])
    assert (killed.outcome, killed.by) == ("killed", "FAILED quant_organism_tests/room/test_thing.py::test_larger")
    assert outcome(changes["x > y | > -> >="]).outcome == "survived"
    assert outcome(changes["n -= 1 | -= -> +="]).outcome == "timed out"
    assert outcome(changes["x < 10 | < -> >"]).outcome == "stopped"
    assert (checkout / "quant_organism/room/thing.py").read_text("utf-8") == PRODUCT


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
