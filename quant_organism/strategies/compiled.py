"""How kernels are compiled, here and in the backtest: the one place that says so."""

from __future__ import annotations

import numba

compiled = numba.njit(nogil=True, cache=True, error_model="numpy")
"""Release the interpreter's lock, keep the machine code on disk, and divide as the hardware does.

Fast-math stays off: reordered sums would give other bits on another processor.
"""
