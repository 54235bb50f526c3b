"""Where numba lacks a private part that spares time, kernels are compiled all the same, and it is said what is lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quant_organism.kernels import shortcuts

COMPILED = """
import warnings
import numba, numba.np.arraymath, numba.core.event, numba.core.codegen, numba.core.options
{removal}
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    from quant_organism.strategies.indicators.extremes import greatest_of
import numpy as np
print(greatest_of(np.array([3, 7, 5])))
print(*{{str(one.message) for one in said if one.category is RuntimeWarning}}, sep="\\n")
"""

REMOVALS = {
    "del numba.np.linalg.ensure_blas": "SciPy's linear algebra",
    "import sys, types; sys.modules['numba.core.event'] = types.SimpleNamespace()": "the collector looks for garbage",
    "del numba.core.codegen.CPUCodeLibrary": "a seventh longer",
    "del numba.core.options.DefaultOptions.no_cfunc_wrapper": "an entrance for C",
}


def compiled_after(removal: str, folder: Path) -> list[str]:
    """Return what a process says that compiles a kernel after something was removed from numba."""
    done = subprocess.run(
        [sys.executable, "-c", COMPILED.format(removal=removal)],
        capture_output=True,
        check=True,
        text=True,
        env=os.environ | {"NUMBA_CACHE_DIR": str(folder)},
    )
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize(("removal", "loss"), REMOVALS.items())
def test_a_part_that_is_gone_is_named_and_kernels_are_compiled(removal: str, loss: str, tmp_path: Path) -> None:
    result, *said = compiled_after(removal, tmp_path)
    assert result == "7"
    assert len(said) == 1
    assert loss in said[0]
    assert "results are the same" in said[0]


def test_with_all_parts_nothing_is_said(tmp_path: Path) -> None:
    assert compiled_after("", tmp_path) == ["7", ""]


def test_a_kernel_without_the_template_of_a_call_stays_as_it_is() -> None:
    with pytest.warns(RuntimeWarning, match="compiled once more for every constant"):
        shortcuts.reuse_parts(object())
