"""Memory that a process no longer needs, given back: one that lives long holds what it uses, not what it ever used."""

import ctypes
import gc


def return_freed_memory() -> None:
    """Break up what only refers to itself, and give the operating system what was freed; the latter needs glibc.

    Runs and pictures leave rings of objects that refer to each other. Python looks for those among old objects only
    once a quarter of all that it holds is new, which of a program of a million objects is many runs' worth. And glibc
    keeps what lies between living blocks: after many large computations of different sizes a process holds several
    times what it uses.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
