"""What the doctor looks at, one finding each."""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final, Literal

from packaging.requirements import Requirement

from quant_organism.deployment.repository import StrategyRepository
from quant_organism.errors import QuantOrganismError
from quant_organism.market.lake import Lake
from quant_organism.orchestration.home import INSTANCE_YAML
from quant_organism.orchestration.web import is_free
from quant_organism.settings import Settings

LEAST_FREE_BYTES: Final = 1_000_000_000
WANTED_MEMORY_BYTES: Final = 2_000_000_000

State = Literal["ok", "note", "broken"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    what, found
        What was looked at, and how it is.
    state
        `ok`; `note`: works, but worth knowing; `broken`: something will not work.
    remedy
        What to do; empty when nothing is to be done.
    """

    what: str
    found: str
    state: State = "ok"
    remedy: str = ""


def examine(settings: Settings, host: str, port: int) -> list[Finding]:
    """Return all findings; nothing that people made is changed."""
    return [
        *_environment(),
        *_data_folder(settings.data_dir.resolve()),
        _strategies(settings.data_dir / "strategies"),
        _markets(settings.data_dir / "lake"),
        _dagster(settings.data_dir / "dagster_home" / "dagster.yaml"),
        _port(host, port),
    ]


def _environment() -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    supported = (3, 11) <= sys.version_info[:2] < (3, 13)
    yield _judged("Python", python, supported, "broken", "install Python 3.11 or 3.12, then: make setup")
    yield _packages()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0))
    yield _judged(
        "machine",
        f"{cores} cores, {memory / 1e9:.1f} GB of memory",
        memory >= WANTED_MEMORY_BYTES,
        "note",
        "large markets need 2 GB: use fewer --symbols or a shorter --lookback-days",
    )


def _packages() -> Finding:
    """Compare what is installed with what this version of the program requires."""
    wrong, needed = [], [Requirement(text) for text in requires("quant-organism") or ()]
    needed = [requirement for requirement in needed if requirement.marker is None]
    for requirement in needed:
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if found not in requirement.specifier:
            wrong.append(f"{requirement.name} {found}, needs {requirement.specifier}")
    found = "; ".join(wrong) or f"quant-organism {version('quant-organism')}, {len(needed)} required ones fit"
    return _judged("packages", found, not wrong, "broken", "make setup")


def _data_folder(folder: Path) -> Iterator[Finding]:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    writable = existing.is_dir() and os.access(existing, os.W_OK)
    state = str(folder) if existing == folder else f"{folder} (not there yet)"
    yield _judged("data folder", state, writable, "broken", f"make {existing} writable, or choose --data-dir")
    free = shutil.disk_usage(existing).free
    yield _judged(
        "disk", f"{free / 1e9:.1f} GB free", free >= LEAST_FREE_BYTES, "broken", "free some space: 1 GB is needed"
    )


def _strategies(folder: Path) -> Finding:
    if not folder.exists():
        return Finding("strategies", "none yet")
    check = StrategyRepository(folder).check()
    problems = "; ".join(f"{problem.path}: {problem.what}" for problem in check.problems)
    found = f"readable documents: {check.documents}" + (f"; {problems}" if problems else "")
    remedies = "; ".join(sorted({problem.remedy for problem in check.problems if problem.remedy}))
    return _judged("strategies", found, check.writable and not check.problems, "broken", remedies)


def _markets(folder: Path) -> Finding:
    try:
        markets = Lake(folder).markets()
    except QuantOrganismError as error:
        return Finding("lake", str(error.what), "broken", error.remedy or "")
    return Finding("lake", f"markets: {len(markets)}" if markets else "empty")


def _dagster(settings: Path) -> Finding:
    if not settings.exists():
        return Finding("Dagster instance", "not there yet")
    if settings.read_text(encoding="utf-8") == INSTANCE_YAML:
        return Finding("Dagster instance", "settings as shipped, telemetry off")
    return Finding(
        "Dagster instance", "settings were edited", "note", f"to have the shipped ones back, remove {settings}"
    )


def _port(host: str, port: int) -> Finding:
    return _judged("web UI", f"port {port} on {host}", is_free(host, port), "note", f"port {port} is taken: use --port")


def _judged(what: str, found: str, good: bool, otherwise: State, remedy: str) -> Finding:
    return Finding(what, found) if good else Finding(what, found, otherwise, remedy)
