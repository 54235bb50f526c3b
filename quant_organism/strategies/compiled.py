"""How kernels are compiled, here and in the backtest: the one place that says so."""

from __future__ import annotations

import atexit
import gc
import hashlib
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba import types
from numba.core import codegen, event
from numba.np import linalg

_PACKAGE = Path(__file__).resolve().parent.parent


def _spare_linear_algebra() -> None:
    # Before its first kernel numba loads SciPy's linear algebra to see whether it is there, which takes as long as
    # loading our kernels. None of them multiplies matrices, and one that did would look for it when it is compiled.
    look, linalg.ensure_blas = linalg.ensure_blas, lambda: None
    try:
        import_module("numba.np.arraymath")
    finally:
        linalg.ensure_blas = look


_spare_linear_algebra()


class _Compilation(event.Listener):
    # One kernel at a time is compiled, with the parts that it calls. Meanwhile the collector rests: numba makes
    # millions of small objects that stay, and to look through them again and again for garbage takes a tenth of the
    # time.
    is_ours = False
    _depth = 0
    _was_enabled = False

    def on_start(self, event: event.Event) -> None:
        if self._depth == 0:
            self._was_enabled = gc.isenabled()
            gc.disable()
            self.is_ours = event.data["dispatcher"].py_func.__module__.startswith(f"{_PACKAGE.name}.")
        self._depth += 1

    def on_end(self, event: event.Event) -> None:
        self._depth -= 1
        if self._depth == 0 and self._was_enabled:
            gc.enable()


_compilation = _Compilation()
event.register("numba:compile", _compilation)


def _optimise_once() -> None:
    # Numba optimises each function by itself before it optimises a kernel with all its parts as a whole. Our kernels
    # are as fast without the former, which takes a seventh of the time of compiling them; those of others stay theirs.
    optimise = codegen.CPUCodeLibrary._optimize_functions

    def optimise_others(library: Any, module: Any) -> None:
        if _compilation.is_ours:
            module.data_layout = library._codegen._data_layout
        else:
            optimise(library, module)  # type: ignore[no-untyped-call]

    codegen.CPUCodeLibrary._optimize_functions = optimise_others  # type: ignore[method-assign]


_optimise_once()


def _end_quickly() -> None:
    # A process that ends has nothing to look for among these objects, which takes a quarter of the time of a short one.
    # Where DuckDB is loaded it must look, or DuckDB lists everything that is left as leaked.
    if "_duckdb" not in sys.modules:
        gc.freeze()


atexit.register(_end_quickly)

# Nobody calls kernels from C, and to compile an entrance for that takes time.
_OPTIONS: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy", "no_cfunc_wrapper": True}

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """Compile a kernel: it releases the interpreter's lock, is kept on disk, and divides as the hardware does.

    Fast-math stays off: reordered sums would give other bits on another processor.
    """
    kernel: Any = numba.njit(**_OPTIONS)(function)
    # Numba would compile a part once more for every constant that other kernels hand to it.
    template = kernel.get_call_template
    kernel.get_call_template = lambda args, kws: template([types.unliteral(kind) for kind in args], kws)
    # Machine code holds the parts that it calls, but numba looks only at the kernel's own file when it decides
    # whether to take it from disk. A changed part in another file must count too.
    kernel._cache._cache_file._source_stamp = kernel_stamp(Path(function.__code__.co_filename))
    return cast(Kernel, kernel)


def kernel_stamp(path: Path) -> str:
    """Return the SHA-256 (hex) of all kernel sources in the room of a file, and in this one, whose parts all use."""
    return _room_stamp(_PACKAGE / path.resolve().relative_to(_PACKAGE).parts[0])


@cache
def _room_stamp(room: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted({*room.rglob("*.py"), *Path(__file__).parent.rglob("*.py")}):
        source = path.read_bytes()
        if b"import compiled\n" in source or b"from numba" in source:
            digest.update(source)
    return digest.hexdigest()
