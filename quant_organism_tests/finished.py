"""Cycles on the tiny market that have run to their end, made once for all files and workers; look, do not touch."""

import hashlib
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import dagster as dg

from quant_organism_tests.kept import kept_folder
from quant_organism_tests.program import finish, start
from quant_organism_tests.tiny import EARLIER, FIRST, WORLD, Workshop, settings, write_world

MOMENTS: Final = ("candidates", "strategies/active")
"""Datasets and folders; a run is killed when there is the first file of one."""
_FAR_AWAY: Final = {"TZ": "Asia/Kathmandu"}
_OUT: Final = "out.txt"
_TORN: Final = "torn.json"


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

    folder = kept_with_world("finished", run)
    return Finished(folder, (folder / _OUT).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Resumed:
    """A run that was killed several times before it went through.

    Attributes
    ----------
    data_dir
        Its data folder.
    torn
        For each moment at which it was killed, the files that were then other than those of the finished run.
    """

    data_dir: Path
    torn: dict[str, list[str]]


def killed_far_away() -> Resumed:
    """Return the finished run as a service far away makes it, in another zone under umask 0077, killed on its way."""

    def run(folder: Path) -> None:
        command = ("run", "--world", write_world(folder), "--profile", "smoke", "--threads", "1")
        whole = contents(finished_run().data_dir)
        torn = {}
        for moment in MOMENTS:
            with start(*command, folder=folder, environment=_FAR_AWAY, umask=0o077) as process:
                wait_for(folder / "data", moment, process)
                process.kill()
            left = contents(folder / "data")
            torn[moment] = [name for name in left if name in whole and left[name] != whole[name]]
        said = finish(*command, folder=folder, environment=_FAR_AWAY, umask=0o077)
        assert said.code == 0, said.err
        (folder / _TORN).write_text(json.dumps(torn), encoding="utf-8")

    folder = kept_with_world("-".join(("killed", *MOMENTS)).replace("/", "-"), run)
    return Resumed(folder / "data", json.loads((folder / _TORN).read_text(encoding="utf-8")))


def contents(data_dir: Path) -> dict[str, bytes]:
    """Return everything that must not depend on when and how often it was computed."""
    folders = [data_dir / "lake", data_dir / "strategies", data_dir / "reports"]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    kept = [path for path in files if not path.name.endswith(".lock") and "holdout_openings" not in path.parts]
    return {str(path.relative_to(data_dir)): path.read_bytes() for path in kept}


def wait_for(data_dir: Path, name: str, process: subprocess.Popen[str]) -> None:
    """Return as soon as there is a file of that dataset or folder; a process that ends before is a failure."""
    folder = data_dir / name if "/" in name or name == "reports" else data_dir / "lake" / name
    while not any(path.is_file() for path in folder.rglob("*")):
        assert process.poll() is None, f"it ended before {name} appeared"
        time.sleep(0.01)


def data_of_an_earlier_day() -> Path:
    """Return the data folder of a cycle of an earlier day, without data after it."""

    def run(folder: Path) -> None:
        with dg.DagsterInstance.ephemeral() as instance:
            workshop = Workshop(settings(folder), instance)
            assert workshop.ingest(FIRST, EARLIER).success
            assert workshop.cycle(EARLIER).success

    return kept_with_world("earlier", run) / "data"


def kept_with_world(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder that `make` fills, made anew where the tiny world is another one."""
    return kept_folder(f"{name}-{hashlib.sha256(WORLD.encode()).hexdigest()[:8]}", make)
