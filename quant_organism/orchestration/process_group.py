"""Processes that another program starts in its turn: a group of their own, which ends as a whole."""

import os
import signal
import time
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


def end_group(group: int, patience_s: float) -> list[int]:
    """Wait until a group is empty, and kill what is still there after so many seconds, or once the wait is interrupted.

    Returns
    -------
    list of int
        The processes that had to be killed.
    """
    deadline = time.monotonic() + patience_s
    try:
        while members(group) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
    finally:
        killed = members(group)
        if killed:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
    return killed
