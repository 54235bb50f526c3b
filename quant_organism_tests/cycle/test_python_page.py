"""The Python of docs/python.md runs as it stands, and does what the text says."""

import re
from pathlib import Path

import pytest

from quant_organism.market.lake import Lake
from quant_organism.validation.tables import VerdictTable
from quant_organism_tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs" / "python.md"


def test_a_cycle_in_plain_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names = {"__name__": "page", "folder": tmp_path}
    exec(compile(code, str(PAGE), "exec"), names)
    reviews, cycle = names["result"].reviews, names["cycle"]
    assert reviews
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        [review.candidate.id, review.standing] for review in reviews
    ]
    verdicts = Lake(tmp_path / "lake").table(VerdictTable).read_day(cycle.day, market=cycle.market, interval="1h")
    assert set(verdicts["candidate"]) == {review.candidate.id for review in reviews}


def test_the_stages_that_the_page_names_are_those_that_there_are() -> None:
    from quant_organism.cycle import stages

    listed = PAGE.read_text().split("`quant_organism.cycle.stages`: ")[1].split(". Each takes")[0]
    named = re.findall(r"`(\w+)`", listed)
    assert named == [name for name in vars(stages) if name in named]
    public = [
        name
        for name, value in vars(stages).items()
        if callable(value) and getattr(value, "__module__", "") == stages.__name__ and name.islower() and name[0] != "_"
    ]
    assert sorted(named) == sorted(public)
