"""Waiting for processes, and finding those that are left."""

import time
from collections.abc import Callable
from pathlib import Path


def processes_with(variable: str) -> list[str]:
    """Return the command lines of the processes that have a variable (`NAME=value`) in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if variable.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Look again and again until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
