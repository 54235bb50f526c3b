"""What a person can get wrong on the command line: named, with the place and the remedy, and nothing is lost."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from quant_organism_tests.program import Said
from quant_organism_tests.tiny import WORLD, write_world

CASES = {
    "unknown symbol": (["--symbols", "SIM-ONE,SIM-NINE"], ["no symbol 'SIM-NINE'", "SIM-ONE"]),
    "empty list of symbols": (["--symbols", ","], ["list of symbols is empty"]),
    "date before the data": (["--date", "2023-12-31"], ["2023-12-31", "from 2024-01-01 to 2024-04-29"]),
    "date after the data": (["--date", "2024-04-30"], ["2024-04-30", "from 2024-01-01 to 2024-04-29"]),
    "not a date": (["--date", "2024-02-30"], ["'2024-02-30'", "--date", "YYYY-MM-DD"]),
    "lookback too long": (["--lookback-days", "121"], ["121 days", "begin on 2024-01-01", "--lookback-days 120"]),
    "lookback beyond the limit": (["--lookback-days", "731"], ["--lookback-days", "730"]),
    "lookback too short": (["--lookback-days", "20"], ["20 days", "at least 90"]),
    "unknown interval": (["--interval", "7h"], ["--interval", "'7h'"]),
    "interval that the market does not have": (["--interval", "30m"], ["1h", "30m"]),
    "unknown profile": (["--profile", "huge"], ["--profile", "'huge'", "smoke"]),
    "unknown family": (["--families", "ema_crossover,ema_cros"], ["unknown families ema_cros", "ema_crossover"]),
    "unknown source": (["--source", "ftp"], ["--source", "'ftp'"]),
    "files without a path": (["--source", "files"], ["world and files"]),
    "negative seed": (["--seed", "-1"], ["--seed", "-1"]),
    "gates that are nowhere": (["--gates", "nowhere.yaml"], ["nowhere.yaml", "light, full, strict"]),
    "gates that are no profile": (["--gates", "tiny.yaml"], ["tiny.yaml", "unknown field", "shadow"]),
    "neither continue nor stop": (
        ["--when-nothing-to-find", "perhaps"],
        ["--when-nothing-to-find", "'perhaps'", "'stop'"],
    ),
    "a limit for what is to be finished": (["--resume-copies", "--budget", "1"], ["--resume-copies", "--budget"]),
    "data folder below a file": (["--data-dir", "tiny.yaml/data"], ["cannot be written", "--data-dir"]),
}


@pytest.mark.parametrize("case", CASES)
def test_run_says_what_is_wrong_and_what_to_do(case: str, call: Callable[..., Said], tmp_path: Path) -> None:
    arguments, expected = CASES[case]
    said = call("run", "--world", write_world(tmp_path), "--json", *arguments)
    assert said.code == 2
    error = json.loads(said.out)["error"]
    assert error["remedy"] or error["where"]
    told = " ".join(str(part) for part in error.values())
    assert [part for part in expected if part not in told] == []


def test_an_unknown_key_of_a_world_is_named(call: Callable[..., Said], tmp_path: Path) -> None:
    (tmp_path / "typo.yaml").write_text(WORLD.replace("days:", "dayz:"), encoding="utf-8")
    said = call("run", "--world", "typo.yaml")
    assert said.code == 2
    assert "dayz" in said.err
    assert "typo.yaml" in said.err


def test_an_error_is_a_panel_without_a_traceback(call: Callable[..., Said]) -> None:
    said = call("run", "--world", "atlantis")
    assert said.code == 2
    assert said.out == ""
    assert all(word in said.err for word in ("atlantis", "where", "remedy", "demo"))
    assert "Traceback" not in said.err


def test_debug_shows_the_traceback(call: Callable[..., Said]) -> None:
    from quant_organism.errors import InputError

    with pytest.raises(InputError, match="atlantis"):
        call("--debug", "run", "--world", "atlantis")


def test_poor_data_are_refused_with_the_reasons_and_the_lake_keeps_them(
    call: Callable[..., Said], tmp_path: Path
) -> None:
    gap = "gaps:\n  - {symbol: SIM-ONE, start: 2024-02-01 00:00:00, bars: 400}\n"
    said = call("run", "--world", write_world(tmp_path, gap), "--profile", "smoke", "--json")
    assert said.code == 2
    error = json.loads(said.out)["error"]
    assert error["kind"] == "DataQualityError"
    assert "SIM-ONE scores 86.11%" in error["what"]
    assert "market_panel" in error["where"]
    assert "data quality" in error["remedy"]
    assert "gap 400" in call("data", "quality").out


@pytest.mark.parametrize("variable", ["QUANT_ORGANISM_SEDE", "QUANT_ORGANISM_MARKET__INTERVALL"])
def test_a_misspelt_environment_variable_is_named(
    variable: str, call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "1")
    said = call("run")
    assert said.code == 2
    assert variable in said.err


def test_a_broken_document_is_named_before_anything_is_computed_and_is_left_as_it_is(
    call: Callable[..., Said], tmp_path: Path
) -> None:
    broken = tmp_path / "data" / "strategies" / "active" / "rsi_filter_1_0f1e2d3c.json"
    broken.parent.mkdir(parents=True)
    (tmp_path / "data" / "strategies" / "archive").mkdir()
    broken.write_text('{"schema_version": "1"', encoding="utf-8")
    said = call("run", "--world", write_world(tmp_path), "--profile", "smoke", "--json")
    assert said.code == 2
    assert not (tmp_path / "data" / "lake").exists()
    assert f"data/strategies/active/{broken.name}" in json.loads(said.out)["error"]["what"]
    assert broken.read_text(encoding="utf-8") == '{"schema_version": "1"'
