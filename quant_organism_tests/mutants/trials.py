"""A private copy of the checkout, and what the tests say of it after one change."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pytest

from quant_organism_tests.mutants.asking import ASKED, SERVED
from quant_organism_tests.mutants.changes import Change
from quant_organism_tests.mutants.choice import PACKAGE, TESTS, Seen

COMPILER: Final = Path(PACKAGE, "kernels", "compiled.py")
"""Where the decorator of all kernels is."""

Outcome = Literal["killed", "survived", "timed out", "stopped"]

_FROM_OUTSIDE: Final = frozenset({-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP})
"""How a process ends that the system or a person has ended: for want of memory, by `timeout`, by Ctrl-C."""
_SAYS_NOTHING: Final = _FROM_OUTSIDE | {pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED}

_BESIDES: Final = ("pyproject.toml", "README.md", "Makefile", "workspace.yaml", "docs", "benchmarks", "data/README.md")
_PATIENCE, _AT_LEAST_S, _COMPILING_S, _WATCHING_S = 3.0, 20.0, 240.0, 400.0
_STARTING_S = 60.0  # of a new process, until it has imported the tests: on a busy machine it is no sign of a change
_QUICK_S = 5.0
_INTERPRETED: Final = """


def compiled(function):
    return function
"""


@dataclass(frozen=True)
class Trial:
    """What the tests said of one change.

    Attributes
    ----------
    outcome
        A change that makes the tests hang counts as noticed; tests that were stopped from outside say nothing.
    seconds
        Of the run.
    by
        The first test that failed.
    """

    outcome: Outcome
    seconds: float
    by: str = ""


class Copy:
    """A private copy of the checkout in which sources are changed; the checkout itself is never written to.

    Parameters
    ----------
    root
        The checkout.
    folder
        An empty folder for the copy.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self._root, self._folder = root, folder
        self.clean = folder / "clean"
        """What it was copied to, without any change."""
        self._changed, self._plain = folder / "checkout", folder / "interpreted"
        for name in (PACKAGE, TESTS, *_BESIDES):
            source, target = root / name, self.clean / name
            if source.is_dir():
                shutil.copytree(source, target)
            elif source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        if (root.parent / "shared").is_dir():
            (folder / "shared").symlink_to(root.parent / "shared")
        self._files: list[str] = []
        self._served: dict[Path, _Served] = {}
        self._renew()

    def seen(self, file: Path, *, interpreted: bool = False) -> list[Seen]:
        """Run the quick tests of one file on unchanged sources; return what those that pass run and how long they take.

        Parameters
        ----------
        file
            One of those that were given to `collect`.
        interpreted
            Whether without compiled kernels; then those that take long so are left out.

        Raises
        ------
        RuntimeError
            If the tests hang or die.
        """
        said = self._asked(interpreted, {"watched": file.as_posix(), "limit": _WATCHING_S})
        if said["outcome"] != "watched":
            raise RuntimeError(f"{file}: its tests {said['outcome']} although nothing was changed")
        seen = [Seen(name, seconds, frozenset(ran)) for name, seconds, ran in said["tests"]]
        return [test for test in seen if not interpreted or test.seconds < _QUICK_S]

    def collect(self, files: Sequence[Path]) -> None:
        """Say which files may be asked; they are imported when the first is."""
        self._files = [path.as_posix() for path in files]

    def close(self) -> None:
        """End the processes that tests were imported into."""
        for served in self._served.values():
            served.end()
        self._served.clear()

    def tried(self, change: Change, tests: Sequence[Seen], interpreted: Sequence[Seen] = ()) -> Trial:
        """Make one change, run tests in their order until one fails, and take the change back.

        Parameters
        ----------
        change
            What to change.
        tests
            Whom to ask.
        interpreted
            Tests that are asked first, of kernels that are not compiled: most changes of a kernel end there.
        """
        began = time.monotonic()
        kernel = bool(interpreted)
        if kernel:
            trial = self._in_place(change, interpreted, interpreted=True)
            if trial is None:
                trial = self._anew(self._plain, change, interpreted, _STARTING_S)
            if trial.outcome == "survived":
                trial = self._anew(self._changed, change, tests, _COMPILING_S)
                self._renew()
        else:
            trial = self._in_place(change, tests) or self._anew(self._changed, change, tests, _STARTING_S)
        return Trial(trial.outcome, time.monotonic() - began, trial.by)

    def _in_place(self, change: Change, tests: Sequence[Seen], *, interpreted: bool = False) -> Trial | None:
        request = {
            "file": change.file,
            "within": change.within,
            "source": change.applied((self.clean / change.file).read_bytes()).decode(),
            "asked": [test.name for test in tests],
            "limit": _limit(tests),
        }
        said = self._asked(interpreted, request)
        if said["outcome"] == "timed out":
            # What a file makes once is paid by the test that asks first, which may be another one than was seen to.
            unchanged = _PATIENCE * self._seconds(interpreted, request["asked"])
            if unchanged > request["limit"]:
                said = self._asked(interpreted, request | {"limit": unchanged})
        return None if said["outcome"] == "not in place" else Trial(said["outcome"], 0.0, said.get("by", ""))

    def _seconds(self, interpreted: bool, names: Sequence[str]) -> float:
        said = self._asked(interpreted, {"timed": list(names), "limit": _WATCHING_S})
        if said["outcome"] != "survived":
            raise RuntimeError(f"{names[0]} and those after it {said['outcome']} although nothing was changed")
        return float(said["seconds"])

    def _asked(self, interpreted: bool, request: dict[str, Any]) -> dict[str, Any]:
        place = self._plain if interpreted else self.clean
        if place not in self._served:
            if interpreted:
                self._without_compiler()
            self._served[place] = _Served(place, self._files, self._folder / f"tmp-{place.name}")
        return self._served[place].answer(request | {"report": str(self._folder / "report.json")})

    def _anew(self, place: Path, change: Change, tests: Sequence[Seen], more: float) -> Trial:
        source = (place / change.file).read_bytes()
        changed, limit = change.applied(source), more + _limit(tests)
        done, took = self._run(place, change.file, changed, tests, limit)
        if done is None:
            # As above; and a line at the end is enough that everything that is kept for some sources is made anew.
            same, unchanged = self._run(place, change.file, source + b"\n", tests, _WATCHING_S)
            if same is None or same.returncode:
                raise RuntimeError(f"{change.file}: its tests do not pass although nothing was changed")
            if _PATIENCE * unchanged > limit:
                done, took = self._run(place, change.file, changed, tests, _PATIENCE * unchanged)
        if done is None:
            return Trial("timed out", took)
        if done.returncode == 0:
            return Trial("survived", took)
        if done.returncode in _SAYS_NOTHING or "! KeyboardInterrupt !" in done.stdout:
            return Trial("stopped", took)
        failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        return Trial("killed", took, failed[0].split(" - ")[0] if failed else "collection")

    def _run(
        self, place: Path, file: str, text: bytes, tests: Sequence[Seen], limit: float
    ) -> tuple[subprocess.CompletedProcess[str] | None, float]:
        path = place / file
        path.unlink()
        path.write_bytes(text)
        asked = self._folder / "asked.json"
        asked.write_text(json.dumps([test.name for test in tests]), encoding="utf-8")
        began = time.monotonic()
        files = list(dict.fromkeys(test.file for test in tests))
        done = _pytest(place, files, limit, {ASKED: str(asked)}, "--exitfirst")
        path.unlink()
        shutil.copy2(self.clean / file, path)
        return done, time.monotonic() - began

    def _without_compiler(self) -> None:
        shutil.copytree(self.clean, self._plain, copy_function=os.link)
        path = self._plain / COMPILER
        source = path.read_text(encoding="utf-8")
        path.unlink()
        path.write_text(source + _INTERPRETED, encoding="utf-8")

    def _renew(self) -> None:
        # Compiled kernels are kept beside their sources: after a change to one, all that was compiled is stale. Files
        # are linked, not copied: whoever writes to one here replaces it.
        shutil.rmtree(self._changed, ignore_errors=True)
        shutil.copytree(self.clean, self._changed, copy_function=os.link)


class _Served:
    # A process that has imported tests and answers about changes.
    def __init__(self, place: Path, files: Sequence[str], temporary: Path) -> None:
        asking, self._asking = os.pipe()
        self._answering, answering = os.pipe()
        command, environment = _command(place, {SERVED: f"{asking} {answering}"})
        self._process = subprocess.Popen(
            [*command, "--continue-on-collection-errors", f"--basetemp={temporary}", *files],
            cwd=place,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(asking, answering),
            start_new_session=True,
        )
        os.close(asking)
        os.close(answering)
        self._requests = os.fdopen(self._asking, "w", encoding="utf-8")
        self._answers = os.fdopen(self._answering, encoding="utf-8")

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        self._requests.write(json.dumps(request) + "\n")
        self._requests.flush()
        line = self._answers.readline()
        if not line:
            raise RuntimeError(f"the tests could not be imported; pytest ended with {self._process.wait()}")
        said: dict[str, Any] = json.loads(line)
        return said

    def end(self) -> None:
        self._requests.close()  # then it ends what it has begun, and itself
        self._answers.close()
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            _end_group(self._process.pid)
            self._process.wait()


def _limit(tests: Sequence[Seen]) -> float:
    return max(_AT_LEAST_S, _PATIENCE * sum(test.seconds for test in tests))


def _command(place: Path, said: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--tb=no",
        "--no-header",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
    ]
    command += ["-p", "quant_organism_tests.mutants.asking", "--hypothesis-seed=0", "--hypothesis-profile=mutants"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "MUTANTS_"))}
    return command, environment | {"PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1", **said}


def _pytest(
    place: Path, files: Sequence[str], limit: float, said: dict[str, str], *options: str
) -> subprocess.CompletedProcess[str] | None:
    command, environment = _command(place, said)
    with subprocess.Popen(
        [*command, *options, *files],
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            output = None
        finally:
            # Whatever a test has begun ends with it.
            _end_group(process.pid)
        process.wait()
    return None if output is None else subprocess.CompletedProcess(command, process.returncode, output)


def _end_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
