"""A private copy of the checkout, and what the tests say of it after one change."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from quant_organism_tests.mutants.changes import Change
from quant_organism_tests.mutants.choice import PACKAGE, TESTS

COMPILER: Final = Path(PACKAGE, "kernels", "compiled.py")
"""Where the decorator of all kernels is."""

Outcome = Literal["killed", "survived", "timed out", "stopped"]

_FROM_OUTSIDE: Final = frozenset({-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP})
"""How a process ends that the system or a person has ended: for want of memory, by `timeout`, by Ctrl-C."""

_BESIDES: Final = ("pyproject.toml", "README.md", "Makefile", "workspace.yaml", "docs", "benchmarks", "data/README.md")
_PATIENCE, _AT_LEAST_S, _COMPILING_S = 4.0, 60.0, 240.0
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
        self._clean, self._changed, self._plain = folder / "clean", folder / "checkout", folder / "interpreted"
        for name in (PACKAGE, TESTS, *_BESIDES):
            source, target = root / name, self._clean / name
            if source.is_dir():
                shutil.copytree(source, target)
            elif source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        if (root.parent / "shared").is_dir():
            (folder / "shared").symlink_to(root.parent / "shared")
        self._renew()

    def seconds_of(self, tests: Sequence[Path]) -> dict[Path, float]:
        """Run test files on unchanged sources and return how long each took.

        Raises
        ------
        RuntimeError
            If they fail: then they could say nothing of a change.
        """
        outcomes, said = self._outcomes(self._clean, tests)
        if not outcomes or not all(passed for _, _, passed in outcomes):
            raise RuntimeError(f"tests fail although nothing was changed:\n{said[-2000:]}")
        self._renew()
        seconds = dict.fromkeys(tests, 0.0)
        for name, took, _ in outcomes:
            seconds[Path(name.split("::")[0])] += took
        return seconds

    def interpreted(self, tests: Sequence[Path]) -> list[str]:
        """Return the names of the tests that pass quickly where no kernel is compiled."""
        if not self._plain.is_dir():
            shutil.copytree(self._clean, self._plain, copy_function=os.link)
            path = self._plain / COMPILER
            source = path.read_text(encoding="utf-8")
            path.unlink()
            path.write_text(source + _INTERPRETED, encoding="utf-8")
        outcomes, _ = self._outcomes(self._plain, tests)
        return [name for name, took, passed in outcomes if passed and took < _QUICK_S]

    def tried(self, change: Change, tests: Sequence[Path], seconds: float, interpreted: Sequence[str] = ()) -> Trial:
        """Make one change, run test files in their order until one fails, and take the change back.

        Parameters
        ----------
        change
            What to change.
        tests
            Relative to the repository.
        seconds
            How long they take on unchanged sources.
        interpreted
            Tests that are asked first, of kernels that are not compiled: most changes of a kernel end there.
        """
        began = time.monotonic()
        if interpreted:
            found = self._tried(self._plain, change, interpreted, _AT_LEAST_S)
            if found.outcome != "survived":
                return found
        limit = max(_AT_LEAST_S, _PATIENCE * seconds) + (_COMPILING_S if interpreted else 0.0)
        found = self._tried(self._changed, change, [str(path) for path in tests], limit)
        if interpreted:
            self._renew()
        return Trial(found.outcome, time.monotonic() - began, found.by)

    def _tried(self, place: Path, change: Change, tests: Sequence[str], limit: float) -> Trial:
        path = place / change.file
        source = path.read_bytes()
        path.unlink()
        path.write_bytes(change.applied(source))
        began = time.monotonic()
        done = self._pytest(place, tests, limit, "--exitfirst", dont_write_bytecode=True)
        took = time.monotonic() - began
        path.unlink()
        shutil.copy2(self._clean / change.file, path)
        if done is None:
            return Trial("timed out", took)
        if done.returncode == 0:
            return Trial("survived", took)
        if done.returncode in _FROM_OUTSIDE:
            return Trial("stopped", took)
        failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        return Trial("killed", took, failed[0].split(" - ")[0] if failed else "collection")

    def _outcomes(self, place: Path, tests: Sequence[Path]) -> tuple[list[tuple[str, float, bool]], str]:
        # Name, seconds and whether it passed (or skipped, which is never asked for by name), of each test.
        report = self._folder / "report.xml"
        report.unlink(missing_ok=True)
        done = self._pytest(place, [str(path) for path in tests], None, f"--junitxml={report}")
        said = "" if done is None else done.stdout
        if not report.is_file():
            return [], said
        files = {path.with_suffix("").as_posix().replace("/", "."): path for path in tests}
        outcomes = []
        for case in ElementTree.parse(report).iter("testcase"):
            path = files.get(case.get("classname", ""))
            if path is not None:
                passed = case.find("failure") is None and case.find("error") is None
                outcomes.append((f"{path.as_posix()}::{case.get('name')}", float(case.get("time", 0)), passed))
        return outcomes, said

    def _renew(self) -> None:
        # Compiled kernels are kept beside their sources: after a change to one, all that was compiled is stale. Files
        # are linked, not copied: whoever writes to one here replaces it.
        shutil.rmtree(self._changed, ignore_errors=True)
        shutil.copytree(self._clean, self._changed, copy_function=os.link)

    def _pytest(
        self, place: Path, tests: Sequence[str], limit: float | None, *options: str, dont_write_bytecode: bool = False
    ) -> subprocess.CompletedProcess[str] | None:
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
        command += ["--hypothesis-seed=0", "--hypothesis-profile=mutants", *options, *tests]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        environment["PYTHONPATH"] = str(place)
        if dont_write_bytecode:
            environment["PYTHONDONTWRITEBYTECODE"] = "1"
        with subprocess.Popen(
            command,
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
