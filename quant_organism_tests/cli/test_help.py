"""Help is quick because it loads nothing."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from quant_organism import __version__
from quant_organism_tests.program import Said

HEAVY = ("dagster", "numba", "polars", "pandas", "numpy", "duckdb", "matplotlib")

LOOK = f"""
import sys
sys.argv = ["quant-organism", *sys.argv[1:]]
from quant_organism.cli.main import main
try:
    main()
except SystemExit:
    pass
print("LOADED", *[name for name in {HEAVY!r} if name in sys.modules])
"""


@pytest.mark.parametrize(
    "command",
    [
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
    ],
)
def test_help_loads_nothing_heavy(command: list[str]) -> None:
    shown = subprocess.run([sys.executable, "-c", LOOK, *command, "--help"], capture_output=True, text=True, check=True)
    assert "Usage: quant-organism" in shown.stdout
    assert shown.stdout.splitlines()[-1] == "LOADED"


def test_version(call: Callable[..., Said]) -> None:
    assert call("--version") == Said(0, f"quant-organism {__version__}\n", "")
