"""The health of an installation: environment, folders, disk and documents, one finding each; nothing is changed."""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final, Literal

import polars as pl
from packaging.requirements import Requirement

from quant_organism.deployment import StrategyRepository
from quant_organism.errors import QuantOrganismError
from quant_organism.market import Lake
from quant_organism.market.stored import read_parts
from quant_organism.resilience import contents_of, damage_of, located
from quant_organism.validation import HoldoutRegister
from quant_organism.validation.tables import CandidateMetricTable, OpeningTable

LEAST_FREE_BYTES: Final = 1_000_000_000
WANTED_MEMORY_BYTES: Final = 2_000_000_000
_SHOWN: Final = 3

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


def examine(data_dir: Path) -> list[Finding]:
    """Return the findings on this machine and a data folder."""
    return [
        *_environment(),
        *_data_folder(data_dir.resolve()),
        _strategies(data_dir / "strategies"),
        _markets(data_dir / "lake"),
        _files(data_dir / "lake"),
        _databases(data_dir / "trader"),
        _looks(data_dir),
    ]


def _environment() -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    supported = (3, 11) <= sys.version_info[:2] < (3, 13)
    yield judged("Python", python, supported, "broken", "install Python 3.11 or 3.12, then: make setup")
    yield _packages()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0))
    yield judged(
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
            installed = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if installed not in requirement.specifier:
            wrong.append(f"{requirement.name} {installed}, needs {requirement.specifier}")
    summary = "; ".join(wrong) or f"quant-organism {version('quant-organism')}, {len(needed)} required ones fit"
    return judged("packages", summary, not wrong, "broken", "make setup")


def _data_folder(folder: Path) -> Iterator[Finding]:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    writable = existing.is_dir() and os.access(existing, os.W_OK)
    state = str(folder) if existing == folder else f"{folder} (not there yet)"
    yield judged("data folder", state, writable, "broken", f"make {existing} writable, or choose --data-dir")
    free = shutil.disk_usage(existing).free
    yield judged(
        "disk", f"{free / 1e9:.1f} GB free", free >= LEAST_FREE_BYTES, "broken", "free some space: 1 GB is needed"
    )


def _strategies(folder: Path) -> Finding:
    if not folder.exists():
        return Finding("strategies", "none yet")
    check = StrategyRepository(folder).check()
    problems = "; ".join(f"{problem.path}: {problem.what}" for problem in check.problems)
    summary = f"readable documents: {check.documents}" + (f"; {problems}" if problems else "")
    remedies = "; ".join(sorted({problem.remedy for problem in check.problems if problem.remedy}))
    return judged("strategies", summary, check.writable and not check.problems, "broken", remedies)


def _markets(folder: Path) -> Finding:
    try:
        markets = Lake(folder).markets()
    except QuantOrganismError as error:
        return Finding("lake", str(error.what), "broken", error.remedy or "")
    return Finding("lake", f"markets: {len(markets)}" if markets else "empty")


def _files(folder: Path) -> Finding:
    """Read the end of every file of the lake, where Parquet says what is in it: a file that was cut off has none."""
    from pyarrow import ArrowException, BufferReader
    from pyarrow.parquet import read_metadata

    damaged, count = [], 0
    try:
        paths = sorted(located(folder).rglob("*.parquet"))
    except QuantOrganismError as error:
        return Finding("files of the lake", str(error.what), "broken", error.remedy or "")
    for path in paths:
        count += 1
        try:
            content = contents_of([path])[0]
            read_metadata(BufferReader(content) if isinstance(content, bytes) else content)
        except (ArrowException, OSError) as error:
            damaged.append(f"{path}: {str(error).splitlines()[0]}")
    return judged(
        "files of the lake",
        _some(damaged) or f"whole: {count}",
        not damaged,
        "broken",
        "delete what is damaged; import candles, funding and sentiment of these days again, and repeat the cycle",
    )


def _databases(folder: Path) -> Finding:
    """Read every page of the trader's ledgers and journals of orders."""
    paths = sorted(folder.rglob("*.sqlite"))
    damaged = "; ".join(f"{path}: {damage}" for path in paths if (damage := damage_of(path)))
    return judged(
        "trader's files",
        damaged or (f"whole: {len(paths)}" if paths else "none yet"),
        not damaged,
        "broken",
        "keep what is damaged, and bring it back from a backup (quant-organism restore): what the venue did since is "
        "asked of it by the next session of: quant-organism trade",
    )


def _looks(data_dir: Path) -> Finding:
    """Compare the register of looks at unseen days with itself, with what was looked at, and with strategies."""
    lost: list[str] = []
    try:
        lake = located(data_dir / "lake")
        register = HoldoutRegister(lake)
        for folder in sorted((lake / CandidateMetricTable.dataset).glob("market=*")):
            market = folder.name.removeprefix("market=")
            # Of the short line nobody is looked at on unseen days: there are none.
            looked_at = read_parts(CandidateMetricTable, sorted(folder.rglob("*.parquet"))).filter(
                pl.col("looked_at") & pl.col("metrics").str.contains('"holdout"', literal=True)
            )
            named = register.frame(market)["candidates"].explode()
            seen = looked_at.filter(~pl.col("candidate").is_in(named.implode()))["candidate"].unique().sort()
            lost += [f"the look that judged {candidate}" for candidate in seen]
        for folder in sorted((lake / OpeningTable.dataset).glob("market=*")):
            market = folder.name.removeprefix("market=")
            opened = register.frame(market).filter(pl.col("event") != "read")["opening"].sort().to_list()
            lost += [f"opening {n} of {market}" for n in range(1, max(opened, default=0) + 1) if n not in opened]
        if (data_dir / "strategies").exists():
            for document in StrategyRepository(data_dir / "strategies").load_all(archived=True).documents:
                born = document.provenance
                known = register.opening_of(born.market, born.panel_hash, document.id)
                if known is None and (look := f"the look that judged {document.id}") not in lost:
                    lost.append(look)
    except QuantOrganismError as error:
        return Finding("register of looks", f"{error.where}: {error.what}", "broken", error.remedy or "")
    return judged(
        "register of looks",
        f"missing: {_some(lost)}" if lost else "complete",
        not lost,
        "broken",
        f"bring {data_dir / 'lake' / OpeningTable.dataset} back from a backup: without it nobody knows how often "
        "unseen days were looked at",
    )


def _some(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    more = f"; and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return "; ".join(names[:_SHOWN]) + more


def judged(what: str, found: str, good: bool, otherwise: State, remedy: str) -> Finding:
    """Return a finding that is `ok` or otherwise, then with what to do."""
    return Finding(what, found) if good else Finding(what, found, otherwise, remedy)
