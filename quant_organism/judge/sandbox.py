"""A strategy's file in a process of its own: without network, files and neighbours, within limits, and by one wire."""

from __future__ import annotations

import hashlib
import io
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.judge.child import ARRAYS
from quant_organism.judge.confined import REFUSED
from quant_organism.judge.parameters import Parameters
from quant_organism.market import Panel

Floats = NDArray[np.float64]

Form = Literal["callable", "freqtrade"]
"""How a file says what it wants: by a function of a panel, or by a class as freqtrade has it."""

_HERE: Final = Path(__file__).parent
_CHILD: Final = ("child.py", "freqtrade_stand_in.py")
_START_SECONDS: Final = 120.0
_SIGNALS: Final = np.arange(16)
_LONGEST_ERROR: Final = 64 * 2**10
_PIECE: Final = 2**20
LONGEST_SOURCE: Final = 2**20
"""Bytes of the longest file that is a strategy."""
_SYSTEM: Final = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/null", "/dev/urandom", "/dev/zero")


class ForbiddenFile(InputError):
    """A strategy wanted to read a file that is no part of the panel."""


@dataclass(frozen=True, kw_only=True)
class SandboxLimits:
    """What a strategy may use.

    Parameters
    ----------
    seconds
        Wall clock of one call. It ends a run that would not end, and decides no figure.
    memory_mb
        Address space, libraries included.
    """

    seconds: float = 120.0
    memory_mb: int = 4_096


@dataclass(frozen=True, kw_only=True)
class StrategySource:
    """A strategy's file and what in it is called.

    Parameters
    ----------
    path
        The file.
    function
        `function(panel, **parameters)` returns targets in [-1, 1] of shape (bars, assets). Of a freqtrade file the name
        of the class; empty: its only one.
    form
        How the file says what it wants.
    limits
        What it may use.
    trusted
        Run it without walls, as the user who asks; limits hold all the same.
    """

    path: Path
    function: str = "signal"
    form: Form = "callable"
    limits: SandboxLimits = SandboxLimits()
    trusted: bool = False

    def read(self) -> bytes:
        """Return the file.

        Raises
        ------
        InputError
            It cannot be read, or is larger than any strategy.
        """
        try:
            with self.path.open("rb") as file:
                content = file.read(LONGEST_SOURCE + 1)
        except OSError as error:
            raise InputError(
                f"cannot be read: {error.strerror}", where=str(self.path), remedy="give the path of a Python file"
            ) from None
        if len(content) > LONGEST_SOURCE:
            raise InputError(
                f"more than {LONGEST_SOURCE} bytes",
                where=str(self.path),
                remedy="a strategy is rules, not data: leave tables out of it",
            )
        return content


class ClosedAtEnd(ABC):
    """What is closed where its `with` ends, however it ends."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """End what it holds; a second time is nothing."""


class StrategyProcess(ClosedAtEnd):
    """A strategy that is loaded and waits for calls; use it with `with`.

    Parameters
    ----------
    source
        The strategy.

    Raises
    ------
    InputError
        The kernel does not let it be shut in and it is not trusted, or its file cannot be loaded.

    Attributes
    ----------
    declared
        Rules that the class of a freqtrade file declares, by name.
    source_hash
        SHA-256 (hex) of the file as it was loaded.
    """

    def __init__(self, source: StrategySource) -> None:
        self._source = source
        content = source.read()
        self.source_hash = hashlib.sha256(content).hexdigest()
        self._folder = tempfile.TemporaryDirectory(prefix="judge-")
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._shape: tuple[int, int] | None = None
        place = Path(self._folder.name)
        (place / "root").mkdir()
        # A copy: what was hashed is what runs.
        own, inside = place / source.path.name, f"/strategy/{source.path.name}"
        own.write_bytes(content)
        if source.trusted:
            inside = str(own)
        program = _HERE if source.trusted else Path("/judge")
        command = [sys.executable, "-I", "-B", str(program / _CHILD[0]), inside, source.form, source.function]
        parts = {str(_HERE / name): str(program / name) for name in _CHILD}
        self._process = subprocess.Popen(
            confined(command, source, place / "root", shown_of(sys.executable) | {str(own): inside, **parts}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            start_new_session=True,
        )
        try:
            self.declared: dict[str, Any] = self._declared(self._reply(_START_SECONDS, None, b"R"))
        except BaseException:
            self.close()
            raise

    def show(self, panel: Panel) -> None:
        """Hand a panel in; calls that follow are about it."""
        self.show_stored(stored_panel(panel), (panel.n_bars, panel.n_assets))

    def show_stored(self, content: bytes, shape: tuple[int, int]) -> None:
        """Hand in what `stored_panel` returned of a panel of (bars, assets); it is read behind the walls alone."""
        self._shape = shape
        self._send(b"P", content)

    def answer(self, parameters: Parameters) -> Floats:
        """Return the answer for the panel that was shown last, float64 (T, N): targets, or signals of a freqtrade file.

        Raises
        ------
        InputError
            The strategy raised an error, answered something else than was asked, took too long, or was ended; where and
            why is said.
        """
        assert self._shape is not None
        self._send(b"C", json.dumps(dict(parameters)).encode())
        content = self._reply(self._source.limits.seconds, 8 * self._shape[0] * self._shape[1], b"T")
        answer = np.frombuffer(content, dtype="<f8").reshape(self._shape).astype(np.float64)
        if wrong := wrong_answer(answer, self._source.form):
            raise self._error(wrong)
        return answer

    def close(self) -> None:
        """End the process and all that it started; nothing of it stays."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._errors.close()
        self._folder.cleanup()

    def _send(self, letter: bytes, content: bytes) -> None:
        assert self._process.stdin is not None
        frame = memoryview(letter + len(content).to_bytes(8, "little") + content)
        pipe, until = self._process.stdin.fileno(), time.monotonic() + self._source.limits.seconds
        os.set_blocking(pipe, False)
        while frame:
            if not select.select([], [pipe], [], max(until - time.monotonic(), 0.0))[1]:
                raise self._error(self._late())
            try:
                frame = frame[os.write(pipe, frame[:_PIECE]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise self._error(self._ended()) from None

    def _reply(self, seconds: float, size: int | None, wanted: bytes) -> bytes:
        until = time.monotonic() + seconds
        head = self._take(9, until)
        letter, length = head[:1], int.from_bytes(head[1:], "little")
        if letter == wanted and (length == size or (size is None and length <= _LONGEST_ERROR)):
            return self._take(length, until)
        if letter != b"E" or length > _LONGEST_ERROR:
            raise self._error("it answered something that is no targets")
        raise self._told(self._take(length, until))

    def _take(self, size: int, until: float) -> bytes:
        assert self._process.stdout is not None
        pipe, pieces, missing = self._process.stdout.fileno(), [], size
        while missing:
            if not select.select([pipe], [], [], max(until - time.monotonic(), 0.0))[0]:
                raise self._error(self._late())
            piece = os.read(pipe, min(missing, _PIECE))
            if not piece:
                raise self._error(self._ended())
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def _declared(self, content: bytes) -> dict[str, Any]:
        try:
            declared = json.loads(content)
        except ValueError:
            declared = None
        if not isinstance(declared, dict):
            raise self._error("it answered something that is no rules")
        return declared

    def _told(self, content: bytes) -> InputError:
        try:
            document = json.loads(content)
            kind, text, line = str(document["type"]), str(document["text"]), document["line"]
        except (ValueError, KeyError, TypeError):
            return self._error("it answered something that is no error")
        if kind == ForbiddenFile.__name__:
            raise ForbiddenFile(
                text, where=str(self._source.path), remedy="leave the file out; the panel is all there is"
            )
        what = f"{kind}: {text}" if text else kind
        if kind == "NotExpressible":
            what = text
        elif kind == "ModuleNotFoundError":
            remedy = "install it into this environment (talib is in the package TA-Lib), or leave it out"
            if "'freqtrade" in text:
                remedy = "leave it out: freqtrade is not run here, and docs/judge.md lists what stands in for it"
            return InputError(text, where=self._place(line if isinstance(line, int) else None), remedy=remedy)
        elif kind == "MemoryError":
            what = f"it asks for more than the {self._source.limits.memory_mb:,} MB of memory that it may have"
        return self._error(what, line if isinstance(line, int) else None)

    def _late(self) -> str:
        return f"it did not come back within {self._source.limits.seconds:g} seconds"

    def _ended(self) -> str:
        status = self._process.wait(timeout=_START_SECONDS)
        self._errors.seek(0)
        said = self._errors.read(_LONGEST_ERROR).decode(errors="replace").strip()
        if status == REFUSED and not self._source.trusted:
            raise not_shut_in(said, self._source.path)
        lines = said.splitlines()
        return f"its process ended by itself or was killed{f': {lines[-1]}' if lines else f', status {status}'}"

    def _place(self, line: int | None) -> str:
        return f"{self._source.path}{f', line {line}' if line is not None else ''}"

    def _error(self, what: str, line: int | None = None) -> InputError:
        return InputError(what, where=self._place(line), remedy="mend the strategy; nothing was recorded of this run")


def stored_panel(panel: Panel) -> bytes:
    """Return a panel as a strategy's process reads it: an npz of plain arrays."""
    stored = io.BytesIO()
    arrays: dict[str, Any] = {name: getattr(panel, name) for name in (*ARRAYS, "times", "valid", "fear_greed")}
    np.savez(stored, symbols=np.array(panel.symbols), interval_hours=np.float64(panel.interval.hours), **arrays)
    return stored.getvalue()


def wrong_answer(answer: Floats, form: Form) -> str:
    """Return what is wrong with numbers that a strategy answered, float64 (T, N); empty: nothing."""
    if form == "callable" and not (np.abs(answer) <= 1.0).all():
        return "its targets are not all within -1 and 1"
    if form == "freqtrade" and not np.isin(answer, _SIGNALS).all():
        return "it answered something that is no signals"
    return ""


def not_shut_in(said: str, path: Path) -> InputError:
    """Return the error of a kernel that builds no walls."""
    return InputError(
        f"this machine does not let a process be shut in ({said})",
        where=str(path),
        remedy="allow user namespaces, or run code that you trust with --trusted",
    )


def confined(command: Sequence[str], source: StrategySource, root: Path, shown: Mapping[str, str]) -> list[str]:
    """Return the command that runs another one shut in, within the limits of a strategy; as the user if it is trusted.

    Parameters
    ----------
    command
        Program and arguments, as the child sees their paths.
    source
        Whose limits.
    root
        An empty folder.
    shown
        Files and folders by path on the machine, and their paths for the child.
    """
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    orders = {
        "command": list(command),
        "environment": dict.fromkeys(threads, "1") | {"HOME": "/tmp", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        "memory": source.limits.memory_mb * 2**20,
        "parent": os.getpid(),
        "trusted": source.trusted,
        "root": str(root),
        "shown": dict(shown),
    }
    return [sys.executable, "-I", "-S", str(_HERE / "confined.py"), json.dumps(orders)]


def shown_of(program: str, prefixes: Sequence[str] = (sys.prefix, sys.base_prefix)) -> dict[str, str]:
    """Return what a Python needs to see of the machine, each folder once and at its own place."""
    # The interpreter may be linked from one of them into another.
    wanted = [*map(Path, (*_SYSTEM, *prefixes)), Path(program).resolve().parent.parent]
    shown: list[Path] = []
    for path in sorted({path for path in wanted if path.exists()}, key=lambda path: len(path.parts)):
        if not any(path == other or path.is_relative_to(other) for other in shown):
            shown.append(path)
    return {str(path): str(path) for path in shown}
