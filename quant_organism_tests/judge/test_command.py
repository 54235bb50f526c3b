"""`quant-organism judge` as a person calls it."""

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from quant_organism_tests.program import Caller


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Caller:
    return Caller(tmp_path, monkeypatch, capfd)


def write_table(folder: Path) -> None:
    returns = 0.01 * np.random.default_rng(1).standard_normal((400, 3))
    days = [date(2023, 1, 1) + timedelta(days=day) for day in range(400)]
    pl.DataFrame({"day": days, **dict(zip("abc", returns.T, strict=True))}).write_csv(folder / "trials.csv")
    (folder / "judge.yaml").write_text("kind: table\ntable: trials.csv\nchosen: b\ntried: 70\n")


def test_a_table_is_judged_on_one_page(call: Caller, tmp_path: Path) -> None:
    write_table(tmp_path)
    said = call("judge", "judge.yaml")
    assert said.code == 0, said.err
    assert "deflated_sharpe" in said.out
    assert "look_ahead" in said.out
    assert "after 70 trials" in said.out


def test_options_stand_before_the_document(call: Caller, tmp_path: Path) -> None:
    write_table(tmp_path)
    assert "after 90 trials" in call("judge", "judge.yaml", "--tried", "90").out
    for option in (["--keep"], ["--copies", "19"]):
        refused = call("judge", "judge.yaml", *option)
        assert refused.code == 2
        assert "a table of trials holds no strategy" in refused.err
        assert option[0] in refused.err


def test_the_page_is_one_json_document(call: Caller, tmp_path: Path) -> None:
    write_table(tmp_path)
    page = json.loads(call("judge", "judge.yaml", "--json").out)
    assert page["kind"] == "table"
    assert page["trials"] == 70
    assert {verdict["gate"] for verdict in page["verdicts"]} >= {"deflated_sharpe", "haircut_sharpe"}


def test_a_missing_document_is_an_error_that_says_what_to_do(call: Caller) -> None:
    said = call("judge", "nowhere.yaml")
    assert said.code == 2
    assert "nowhere.yaml" in said.err


def test_only_a_file_of_freqtrade_is_compared_with_freqtrade(call: Caller, tmp_path: Path) -> None:
    write_table(tmp_path)
    refused = call("judge", "judge.yaml", "--freqtrade", "python")
    assert refused.code == 2
    assert "table: no file of freqtrade" in refused.err
    (tmp_path / "Dip.py").write_text("class Dip(IStrategy):\n    pass\n")
    refused = call("judge", "Dip.py", "--freqtrade", "nowhere/python")
    assert refused.code == 2
    assert "no Python that has freqtrade" in refused.err
