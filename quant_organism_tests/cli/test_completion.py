"""The shell completes what there is: names that come with the program, and those of the data folder at hand."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from quant_organism.market import encode
from quant_organism.resilience import write_file
from quant_organism.workflows import WorkflowRunTable
from quant_organism_tests.program import start

ID = "workflow_20260102_030405_0000abcd"


def completed(folder: Path, *words: str) -> list[str]:
    """Return what bash is told when Tab is pressed after these words, the last of which may be empty."""
    around = {
        "_QUANT_ORGANISM_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(("quant-organism", *words)),
        "COMP_CWORD": str(len(words)),
    }
    out, _ = start(folder=folder, environment=around).communicate(timeout=120)
    return out.split()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two documents of YAML or not, a strategy's document, and a run of a workflow."""
    (tmp_path / "own.yaml").touch()
    (tmp_path / "own.txt").touch()
    (tmp_path / "other" / "strategies" / "active").mkdir(parents=True)
    (tmp_path / "other" / "strategies" / "active" / "rsi_filter_0_12345678.json").touch()
    blank = {pl.String(): "", pl.Int64(): 0, pl.Float64(): 0.0, pl.Date(): date(2026, 1, 2)}
    row = {name: blank.get(kind, datetime(2026, 1, 2, tzinfo=UTC)) for name, kind in WorkflowRunTable.schema.items()}
    row["name"] = "small"
    part = tmp_path / "other" / "lake" / "workflow_runs" / "date=2026-01-02" / f"workflow={ID}" / "part.parquet"
    write_file(part, encode(WorkflowRunTable, WorkflowRunTable.frame([row])))
    return tmp_path


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("families", "show", "donch"), ["donchian_breakout"]),
        (("run", "--gates", ""), ["light", "full", "strict", "other/", "own.yaml"]),
        (("workflow", "run", "o"), ["other/", "own.yaml"]),
        (("workflow", "validate", "le"), ["left_out"]),
        (("workflow", "show", "--data-dir", "other", ""), ["small", ID]),
        (("workflow", "resume", "--data-dir", "nothing", ""), []),
        (("strategies", "show", "--data-dir", "other", "rsi"), ["rsi_filter_0_12345678"]),
    ],
)
def test_names_are_completed(folder: Path, words: tuple[str, ...], expected: list[str]) -> None:
    assert completed(folder, *words) == expected
