"""Processes of another user than the one who runs the tests: really another one, so that only root can start them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

import quant_organism

NOBODY: Final = 65_534
"""The user that every Linux has to own nothing."""

_REPOSITORY: Final = Path(quant_organism.__file__).parents[1]
_COMMAND: Final = "from quant_organism.cli.main import main; main()"
_BECOME: Final = f"setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups"

# An interpreter in a folder that is closed to others, as root's home is, is shown at its place, and nothing else of it.
_SHOW: Final = f"""
set -e
kept=$3/interpreter; mkdir -p "$kept"; mount --bind "$2" "$kept"
mount -t tmpfs -o mode=0755 tmpfs "$1"; mkdir -p "$2"; mount --bind "$kept" "$2"
shift 3; exec {_BECOME} "$@"
"""


@cache
def no_other_user() -> str:
    """Return why nothing can be run as another user here; empty: it can."""
    if os.geteuid() != 0:
        return "only root can start a process of another user"
    if missing := [name for name in ("setpriv", "unshare") if shutil.which(name) is None]:
        return f"there is no {missing[0]}"
    with folder_of_nobody() as folder:
        ran = subprocess.run(_as_nobody(folder, [sys.executable, "-I", "-c", ""]), capture_output=True, text=True)
    return "" if ran.returncode == 0 else f"another user cannot run this Python: {ran.stderr.strip()[-200:]}"


@contextmanager
def folder_of_nobody() -> Iterator[Path]:
    """Make a folder that the other user owns and everybody can reach."""
    folder = Path(tempfile.mkdtemp(prefix="nobody-"))
    try:
        folder.chmod(0o755)
        os.chown(folder, NOBODY, NOBODY)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def nobodys(folder: Path, *command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command as the other user."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(_REPOSITORY), "NUMBA_CACHE_DIR": str(folder / "cache")}
    process = subprocess.Popen(_as_nobody(folder, [str(part) for part in command]), env=environment, cwd="/")
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def code_server(folder: Path, asker: int = 0) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """Run the server of code as the other user; the socket, and its process."""
    path = folder / "code.sock"
    command = ("trade", "code-server", path, "--asker", str(asker))
    with nobodys(folder, sys.executable, "-c", _COMMAND, *command) as process:
        listens(path, process)
        yield path, process


def listens(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until somebody listens at a socket."""
    end = time.monotonic() + 120.0
    while not _answers(path):
        assert process.poll() is None, f"it ended with {process.returncode}"
        assert time.monotonic() < end, f"nobody listens at {path}"
        time.sleep(0.05)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        return asking.connect_ex(str(path)) == 0


def _as_nobody(folder: Path, command: list[str]) -> list[str]:
    closed = [each for each in Path(sys.base_prefix).parents if not each.stat().st_mode & 0o001]
    if not closed:
        return [*_BECOME.split(), *command]
    return ["unshare", "--mount", "sh", "-c", _SHOW, "sh", str(closed[0]), sys.base_prefix, str(folder), *command]
