"""The `quant-organism` command, started as a person would or called in this process, which has loaded what it needs."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pytest

from quant_organism.cli.main import main

_OF_A_TERMINAL: Final = ("COLUMNS", "LINES")
"""Readline leaves the size of a terminal to the processes of a test run; no test stands at one."""

_LOOKS: Final = 20

PROGRAM: Final = Path(sys.executable).with_name("quant-organism")


@dataclass(frozen=True)
class Said:
    """What a command ended with."""

    code: int
    out: str
    err: str


def activated() -> dict[str, str]:
    """Return this process's environment with the program on the path, and one thread for it: tests run side by side."""
    path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
    inherited = {name: value for name, value in os.environ.items() if name not in _OF_A_TERMINAL}
    return {"QUANT_ORGANISM_THREADS": "1", **inherited, "PATH": path}


def start(
    *arguments: str | Path, folder: Path, environment: Mapping[str, str] = MappingProxyType({}), umask: int = -1
) -> subprocess.Popen[str]:
    """Start the program in a folder, with more in its environment and another umask if said so."""
    command = [str(PROGRAM), *map(str, arguments)]
    pipe = subprocess.PIPE
    around = {**activated(), **environment}
    return subprocess.Popen(command, cwd=folder, env=around, umask=umask, stdout=pipe, stderr=pipe, text=True)


def first_line(process: subprocess.Popen[str], seconds: float = 120.0) -> str:
    """Return the first line that a program prints; one that has printed none after so long is killed."""
    assert process.stdout is not None
    deadline = threading.Timer(seconds, process.kill)
    deadline.start()
    try:
        line = process.stdout.readline().strip()
    finally:
        deadline.cancel()
    assert line, f"no line within {seconds:.0f} s; it ended with {process.poll()}"
    return line


def finish(
    *arguments: str | Path,
    folder: Path,
    environment: Mapping[str, str] = MappingProxyType({}),
    umask: int = -1,
    seconds: float = 300.0,
) -> Said:
    """Run the program in a folder to its end, started by `start`; one that takes longer than so many seconds fails."""
    with start(*arguments, folder=folder, environment=environment, umask=umask) as process:
        out, err = process.communicate(timeout=seconds)
        return Said(process.returncode, out, err)


@contextmanager
def taking_ctrl_c() -> Iterator[None]:
    """Have what is started in the block take Ctrl-C, which everything in the background of a shell ignores."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def wait_until_idle(process: subprocess.Popen[Any], seconds: float = 60.0) -> None:
    """Return once a program's main thread has slept at each of many looks: it waits for whatever ends it."""
    looks, deadline = 0, time.monotonic() + seconds
    while looks < _LOOKS:
        state = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        looks = looks + 1 if state == "S" else 0
        assert time.monotonic() < deadline, "it never waits"
        time.sleep(0.05)


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Caller:
    """Calls the command line in this process, from a folder."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[str]) -> None:
        self._patch, self._captured = patch, captured
        patch.chdir(folder)
        for name in ("PATH", "QUANT_ORGANISM_THREADS"):
            patch.setenv(name, activated()[name])
        for name in _OF_A_TERMINAL:
            patch.delenv(name, raising=False)
        for name in ("DAGSTER_HOME", "DAGSTER_DISABLE_TELEMETRY", "DAGSTER_EVENT_BATCH_SIZE"):
            patch.setenv(name, "")

    def __call__(self, *arguments: str | Path) -> Said:
        """Call it, and return what it ended with."""
        self._patch.setattr(sys, "argv", ["quant-organism", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = self._captured.readouterr()
        return Said(code, out, err)
