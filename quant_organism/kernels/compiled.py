"""How kernels are compiled: the one place that says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

from quant_organism.kernels import shortcuts
from quant_organism.kernels.closure import code_digest

shortcuts.take_all()

_OPTIONS: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy", **shortcuts.options()}

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """Compile a kernel: it releases the interpreter's lock, is kept on disk, and divides as the hardware does.

    Fast-math stays off: reordered sums would give other bits on another processor.
    """
    kernel: Any = numba.njit(**_OPTIONS)(function)
    shortcuts.reuse_parts(kernel)
    # Machine code holds the parts that it calls and the constants that it reads, but numba looks only at the kernel's
    # own file when it decides whether to take it from disk. What it rests on in other files must count too.
    # Numba compares its version before it reads further, and the rest may name classes that are no more.
    kept = kernel._cache._cache_file
    kept._version = kept._source_stamp = f"{numba.__version__} {code_digest(function.__module__)}"
    return cast(Kernel, kernel)
