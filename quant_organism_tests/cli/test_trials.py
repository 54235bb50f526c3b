"""`quant-organism trials` over a ledger that is there, and over one that is not."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from quant_organism.evolution.budget import expected_luck
from quant_organism.evolution.ledger import TrialLedger
from quant_organism_tests.evolution.evaluations import IDENTITY, made_up
from quant_organism_tests.program import Said

Call = Callable[..., Said]


@pytest.fixture
def filled(tmp_path: Path) -> TrialLedger:
    """Return the ledger of the folder that commands are called from: 30 trials of two years, 12 met again."""
    ledger = TrialLedger(tmp_path / "data" / "lake")
    ledger.append([made_up(0, count=12, days=730), made_up(1, count=18, days=730)], IDENTITY)
    ledger.append([made_up(0, count=12, days=730)], replace(IDENTITY, cycle="2025-02-01"))
    return ledger


def test_the_summary_counts_families_and_says_what_luck_shows(call: Call, filled: TrialLedger) -> None:
    said = call("trials", "summary")
    assert said.code == 0, said.err
    assert "30 trials, 30 of which differ in behaviour. With 30 trials on 2.0 years, luck alone" in said.out
    assert all(word in said.out for word in ("world-demo", "all families", "rsi_filter", "came back to: 12"))


def test_the_summary_as_json_has_the_same_figures(call: Call, filled: TrialLedger) -> None:
    found = json.loads(call("trials", "summary", "--json").out)
    (market,) = found["markets"]
    assert (market["trials"], market["behaviours"], market["years"], found["met_again"]) == (30, 30, 2.0, 12)
    assert market["luck_sharpe"] == expected_luck(30, 2.0)
    assert sum(family["trials"] for family in found["families"]) == 30
    assert json.loads(call("trials", "summary", "--market", "elsewhere", "--json").out)["markets"] == []


@pytest.mark.parametrize("command", [("trials", "sql"), ("sql",)])
def test_the_ledger_answers_sql(call: Call, filled: TrialLedger, command: tuple[str, ...]) -> None:
    query = "select family, count(*) as trials from trials group by family order by family"
    rows = json.loads(call(*command, query, "--json").out)
    assert rows == [{"family": name, "trials": 10} for name in ("bollinger_bands", "ema_crossover", "rsi_filter")]
    assert call(*command, query, "--csv").out.splitlines()[0] == "family,trials"
    assert call(*command, "drop view trials", "--json").code == 2


def test_a_damaged_part_is_named(call: Call, filled: TrialLedger) -> None:
    part = next(filled.root.rglob("cycle=2025-01-31/*.parquet"))
    part.write_bytes(part.read_bytes()[:100])
    said = call("trials", "summary", "--json")
    assert said.code == 2
    error = json.loads(said.out)["error"]
    assert error["where"] == str(part)
    assert "delete it" in error["remedy"]


def test_an_empty_ledger_says_how_to_fill_it(call: Call) -> None:
    assert "quant-organism run" in call("trials", "summary").out
    said = call("trials", "sql", "select 1", "--json")
    assert said.code == 2
    assert "quant-organism run" in json.loads(said.out)["error"]["remedy"]
