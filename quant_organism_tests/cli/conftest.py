"""The command line, called in this process or started as a person would; one finished run for those who only look."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from quant_organism.cli.main import main
from quant_organism_tests.tiny import write_world

PROGRAM = Path(sys.executable).with_name("quant-organism")


@dataclass(frozen=True)
class Said:
    """What a command ended with."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Finished:
    """A run that went through."""

    folder: Path
    world: Path
    out: str

    @property
    def data_dir(self) -> Path:
        """Return its data folder."""
        return self.folder / "data"


def activated() -> dict[str, str]:
    """Return this process's environment with the program on the path."""
    return {**os.environ, "PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"}


def start(*arguments: str | Path, folder: Path) -> subprocess.Popen[str]:
    """Start the program in a folder."""
    command = [str(PROGRAM), *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=activated(), stdout=pipe, stderr=pipe, text=True)


def finish(*arguments: str | Path, folder: Path) -> Said:
    """Run the program in a folder to its end."""
    with start(*arguments, folder=folder) as process:
        out, err = process.communicate(timeout=300)
        return Said(process.returncode, out, err)


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Return a function that calls the command line in this process, from an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", activated()["PATH"])
    for name in ("DAGSTER_HOME", "DAGSTER_DISABLE_TELEMETRY", "DAGSTER_EVENT_BATCH_SIZE"):
        monkeypatch.setenv(name, "")

    def command(*arguments: str | Path) -> Said:
        monkeypatch.setattr(sys, "argv", ["quant-organism", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capfd.readouterr()
        return Said(code, out, err)

    return command


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Return a run on the tiny world, as a person sees it; look, do not touch."""
    folder = tmp_path_factory.mktemp("run")
    world = write_world(folder)
    said = finish("run", "--world", world, "--profile", "smoke", folder=folder)
    assert said.code == 0, said.err
    return Finished(folder, world, said.out)
