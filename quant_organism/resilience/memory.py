"""Memory that a process no longer needs, given back: one that lives long holds what it uses, not what it ever used."""

import ctypes
import gc
from collections.abc import Callable
from typing import Final

_DROPPED: Final[list[Callable[[], None]]] = []


def when_memory_is_returned(drop: Callable[[], None]) -> None:
    """Have something called by `return_freed_memory` that drops what was only kept to be used again."""
    _DROPPED.append(drop)


def return_freed_memory() -> None:
    """Break up what only refers to itself, and give the operating system what was freed; the latter needs glibc.

    Runs and pictures leave rings of objects that refer to each other. Python looks for those among old objects only
    once a quarter of all that it holds is new, which of a program of a million objects is many runs' worth. And glibc
    keeps what lies between living blocks: after many large computations of different sizes a process holds several
    times what it uses.
    """
    gc.collect()
    for drop in _DROPPED:
        drop()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
