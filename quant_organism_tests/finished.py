"""Cycles on the tiny market that have run to their end, made once for all files and workers; look, do not touch."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import dagster as dg

from quant_organism_tests.kept import kept_folder
from quant_organism_tests.program import finish
from quant_organism_tests.tiny import EARLIER, FIRST, WORLD, Workshop, settings, write_world

_OUT: Final = "out.txt"


@dataclass(frozen=True)
class Finished:
    """A run of the program that went through.

    Attributes
    ----------
    folder
        Where it ran: its data are in `data`, its world in `tiny.yaml`.
    out
        What it printed.
    """

    folder: Path
    out: str

    @property
    def data_dir(self) -> Path:
        """Return its data folder."""
        return self.folder / "data"

    @property
    def world(self) -> Path:
        """Return the document of its world."""
        return self.folder / "tiny.yaml"


def finished_run() -> Finished:
    """Return the run of the last day, by the program as a person starts it."""

    def run(folder: Path) -> None:
        said = finish("run", "--world", write_world(folder), "--profile", "smoke", folder=folder)
        assert said.code == 0, said.err
        (folder / _OUT).write_text(said.out, encoding="utf-8")

    folder = _kept("finished", run)
    return Finished(folder, (folder / _OUT).read_text(encoding="utf-8"))


def data_of_an_earlier_day() -> Path:
    """Return the data folder of a cycle of an earlier day, without data after it."""

    def run(folder: Path) -> None:
        with dg.DagsterInstance.ephemeral() as instance:
            workshop = Workshop(settings(folder), instance)
            assert workshop.ingest(FIRST, EARLIER).success
            assert workshop.cycle(EARLIER).success

    return _kept("earlier", run) / "data"


def _kept(name: str, make: Callable[[Path], None]) -> Path:
    return kept_folder(f"{name}-{hashlib.sha256(WORLD.encode()).hexdigest()[:8]}", make)
