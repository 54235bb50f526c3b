"""Help is quick because it loads nothing."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Final

import pytest

from quant_organism import __version__
from quant_organism_tests.program import Said

HEAVY = ("dagster", "numba", "polars", "pandas", "numpy", "duckdb", "matplotlib")

COMMANDS: Final[list[list[str]]] = [
    [],
    ["run"],
    ["audit"],
    ["data"],
    ["data", "import"],
    ["strategies"],
    ["families"],
    ["archive", "show"],
    ["trials", "summary"],
    ["replay"],
    ["sql"],
    ["ui"],
    ["keys"],
    ["venue"],
    ["exchange", "serve"],
    ["follow"],
]

LOOK = f"""
import contextlib, io, json, sys
from quant_organism.cli.main import main
for command in json.loads(sys.argv[1]):
    sys.argv = ["quant-organism", *command, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
        main()
    print(json.dumps([shown.getvalue(), [name for name in {HEAVY!r} if name in sys.modules]]))
"""


@pytest.fixture(scope="module")
def shown() -> list[tuple[str, list[str]]]:
    """Return the help of every command, asked one after the other, and what heavy had been loaded by then."""
    asked = [sys.executable, "-c", LOOK, json.dumps(COMMANDS)]
    answers = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in answers.splitlines()]


@pytest.mark.parametrize("place", range(len(COMMANDS)), ids=[" ".join(command) for command in COMMANDS])
def test_help_loads_nothing_heavy(shown: list[tuple[str, list[str]]], place: int) -> None:
    text, loaded = shown[place]
    assert text.lstrip().startswith(" ".join(["Usage: quant-organism", *COMMANDS[place]]))
    assert loaded == []


def test_version(call: Callable[..., Said]) -> None:
    assert call("--version") == Said(0, f"quant-organism {__version__}\n", "")
