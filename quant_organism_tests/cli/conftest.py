"""The command line, called in this process; one finished run for those who only look."""

from collections.abc import Callable
from pathlib import Path

import pytest

from quant_organism_tests import finished
from quant_organism_tests.finished import Finished
from quant_organism_tests.program import PROGRAM, Caller, Said, finish, start

__all__ = ["PROGRAM", "Finished", "Said", "finish", "start"]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Return a function that calls the command line in this process, from an empty folder."""
    return Caller(tmp_path, monkeypatch, capfd)


@pytest.fixture(scope="session")
def finished_run() -> Finished:
    """Return a run on the tiny world, as a person sees it; look, do not touch."""
    return finished.finished_run()
