"""Time spared while kernels are loaded and compiled, by parts of numba that are its own affair.

Results do not hang on any of them. Where numba no longer has a part as it is known here, its own slower way is taken,
and a warning says what is lost.
"""

from __future__ import annotations

import atexit
import gc
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numba

_PACKAGE = __name__.split(".")[0]


def take_all() -> None:
    """Take every shortcut that belongs to the process; those of a single kernel are in `reuse_parts` and `options`."""
    _try("linear algebra", "the first kernel of a process loads SciPy's linear algebra", _spare_linear_algebra)
    _try("the listener to compilations", "the collector looks for garbage while kernels are compiled", _rest_collector)
    _try("the optimisation of functions", "kernels take a seventh longer to compile", _optimise_once)
    atexit.register(_end_quickly)


def options() -> dict[str, Any]:
    """Return the options of numba that leave out the entrance of a kernel for C, from where nobody calls."""
    found: dict[str, Any] = {}

    def look() -> None:
        _ = import_module("numba.core.options").DefaultOptions.no_cfunc_wrapper
        found["no_cfunc_wrapper"] = True

    _try("the option no_cfunc_wrapper", "kernels are compiled with an entrance for C that nobody uses", look)
    return found


def reuse_parts(kernel: Any) -> None:
    """Let a kernel be one part for all constants that others hand to it; numba would compile it once more for each."""

    def replace() -> None:
        template, unliteral = kernel.get_call_template, import_module("numba.core.types").unliteral
        kernel.get_call_template = lambda args, kws: template([unliteral(kind) for kind in args], kws)

    _try("the template of a call", "parts are compiled once more for every constant handed to them", replace)


def _try(part: str, loss: str, shortcut: Callable[[], None]) -> None:
    try:
        shortcut()
    except (AttributeError, ImportError) as error:
        found = f"numba {numba.__version__} does not have {part} as it is known here ({error})"
        warnings.warn(f"{found}: {loss}; results are the same", RuntimeWarning, stacklevel=3)


def _spare_linear_algebra() -> None:
    # Before its first kernel numba loads SciPy's linear algebra to see whether it is there, which takes as long as
    # loading our kernels. None of them multiplies matrices, and one that did would look for it when it is compiled.
    linalg: Any = import_module("numba.np.linalg")
    look, linalg.ensure_blas = linalg.ensure_blas, lambda: None
    try:
        import_module("numba.np.arraymath")
    finally:
        linalg.ensure_blas = look


class _Compilation:
    # One kernel at a time is compiled, with the parts that it calls. Meanwhile the collector rests: numba makes
    # millions of small objects that stay, and to look through them again and again for garbage takes a tenth of the
    # time.
    is_ours = False
    _depth = 0
    _was_enabled = False

    def start(self, function: Callable[..., Any]) -> None:
        if self._depth == 0:
            self._was_enabled = gc.isenabled()
            gc.disable()
            self.is_ours = function.__module__.startswith(f"{_PACKAGE}.")
        self._depth += 1

    def end(self) -> None:
        self._depth -= 1
        if self._depth == 0 and self._was_enabled:
            gc.enable()


_compilation = _Compilation()


def _rest_collector() -> None:
    event: Any = import_module("numba.core.event")

    class Listener(event.Listener):  # type: ignore[misc]
        def on_start(self, event: Any) -> None:
            _compilation.start(event.data["dispatcher"].py_func)

        def on_end(self, event: Any) -> None:
            _compilation.end()

    event.register("numba:compile", Listener())


def _optimise_once() -> None:
    # Numba optimises each function by itself before it optimises a kernel with all its parts as a whole. Our kernels
    # are as fast without the former, which takes a seventh of the time of compiling them; those of others stay theirs.
    library_type: Any = import_module("numba.core.codegen").CPUCodeLibrary
    optimise = library_type._optimize_functions

    def optimise_others(library: Any, module: Any) -> None:
        layout = getattr(getattr(library, "_codegen", None), "_data_layout", None)
        if _compilation.is_ours and layout is not None:
            module.data_layout = layout
        else:
            optimise(library, module)

    library_type._optimize_functions = optimise_others


def _end_quickly() -> None:
    # A process that ends has nothing to look for among these objects, which takes a quarter of the time of a short one.
    # Where DuckDB is loaded it must look, or DuckDB lists everything that is left as leaked.
    if "_duckdb" not in sys.modules:
        gc.freeze()
