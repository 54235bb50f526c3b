"""How a command shows what goes on: at once, line by line, where nobody looks at a terminal."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from quant_organism.cli.output import ProgressLog
from quant_organism_tests.program import Said

Call = Callable[..., Said]


def test_a_log_has_a_line_with_the_time_for_every_tenth() -> None:
    stream = io.StringIO()
    log = ProgressLog(stream)
    log("Start", 0, 1, "loading")
    assert stream.getvalue().count("\n") == 1  # at once, not at the end
    for done in range(731):
        log("Market data", done, 730, "")
    log("Start", 1, 1, "demo")
    lines = stream.getvalue().splitlines()
    assert all(re.match(r"timestamp=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ event=", line) for line in lines)
    assert len([line for line in lines if "Market data" in line]) == 11
    assert lines[-2].endswith("done=730 total=730")
    assert lines[-1].endswith("done=1 total=1 note=demo")


def test_wrong_input_is_refused_before_anything_is_loaded(call: Call, tmp_path: Path) -> None:
    (tmp_path / "candles").mkdir()
    cases = {
        ("run", "--path", "candels"): "did you mean candles?",
        ("evolve", "--families", "momentm"): "did you mean",
        ("data", "import", "candels"): "did you mean candles?",
        ("run", "--world", "atlantis"): "demo",
        ("run", "--gates", "hard"): "choose light, full, strict",
        ("run", "--interval", "3h"): "choose '1m'",
        ("run", "--profile", "smok"): "did you mean smoke?",
    }
    for arguments, remedy in cases.items():
        said = call(*arguments)
        assert said.code == 2
        assert "loading" not in said.err
        assert remedy in " ".join(said.err.replace("│", " ").split())


def test_options_with_few_values_name_them_and_complete(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = " ".join(call("run", "--help").out.replace("│", " ").split())
    assert "1m|5m|15m|30m|1h|2h|4h|8h|12h|1d" in shown.replace(" ", "")
    assert "--install-completion" in call("--help").out
