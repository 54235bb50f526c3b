"""Memory that a long process no longer needs."""

from __future__ import annotations

import ctypes


def return_freed_memory() -> None:
    """Give the operating system the memory that was freed; without glibc this does nothing.

    glibc keeps what lies between living blocks: after many large computations of different sizes a process holds
    several times what it uses.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
