"""Processes that another program starts in its turn: a group of their own, which ends as a whole."""

import os
import signal
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

_LOOK_S: Final = 0.2


def members(group: int) -> list[int]:
    """Return the processes of a group; those that only wait to be buried are none."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, its_group = (process / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append(int(process.name))
    return sorted(found)


def end_group(group: int, patience_s: float, *, under_way: Collection[int] = ()) -> list[int]:
    """End a group: wait for some of its processes, interrupt the others, and kill what is there when patience is over.

    Parameters
    ----------
    group
        Whose leader was told to end already.
    patience_s
        For all of it; a wait that is interrupted is over at once.
    under_way
        Processes that were interrupted already and have something to finish.

    Returns
    -------
    list of int
        The processes that had to be killed.
    """
    deadline = time.monotonic() + patience_s
    try:
        _wait(lambda: not set(under_way) & set(members(group)), deadline)
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGINT)
        _wait(lambda: not members(group), deadline)
    finally:
        killed = members(group)
        if killed:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
    return killed


def _wait(condition: Callable[[], bool], deadline: float) -> None:
    while not condition() and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
