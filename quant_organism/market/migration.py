"""The lake's form and the steps from older forms to the newest: `lake/layout.json` says which form a lake has.

A step is small, may be repeated after a crash in the middle of it, and changes nothing in a lake that has its result
already. A new form is a new step at the end of `STEPS`.
"""

from __future__ import annotations

import html
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
import polars as pl

from quant_organism.errors import InputError, IntegrityError
from quant_organism.market.cycles import cycle_id
from quant_organism.market.stored import VERSION, encode, index_of_day, parquet_bytes
from quant_organism.market.tables import CycleIndexTable
from quant_organism.resilience.files import flush_folders, storage_error, write_file
from quant_organism.resilience.locks import alone_in
from quant_organism.resilience.objects import StoragePath, located

UNRECORDED: Final = "unrecorded"
"""Identity of what an earlier version left without a record of the cycle that it belongs to."""

_STAMP: Final = "layout.json"
_PART: Final = "part.parquet"
_RECORD: Final = "cycles"
_LINK: Final = b'<!doctype html>\n<meta charset="utf-8">\n<meta http-equiv="refresh" content="0; url='
"""How a page begins that only leads to another one."""

_OF_A_CYCLE: Final = (
    "candle_quality",
    "market_panel",
    "edge_pretest",
    "evolved_population",
    "search_progress",
    "search_families",
    "rejected",
    "lost_batches",
    "candidates",
    "elites",
    "strategy_archive",
    "backtest_validation",
    "candidate_metrics",
    "candidate_returns",
    "replay_validation",
    "strategy_replays",
    "testnet_validation",
    "search_significance",
    "validation_verdicts",
    "validated_strategies",
    "strategy_configs",
    "deployed_configs",
    "tear_sheets",
)
"""Datasets that lay by day until form 2, beside the record of their cycle."""


@dataclass(frozen=True)
class MigrationStep:
    """One change of a lake's form.

    Parameters
    ----------
    what
        What it does, in the imperative.
    apply
        Does it to the lake whose folder it is given.
    """

    what: str
    apply: Callable[[Path], None]


def migrate(root: StoragePath) -> list[str]:
    """Bring a lake to the newest form and say what was done; a lake that has it already costs one small read.

    Parameters
    ----------
    root
        The lake's folder. One that is not there yet, or empty, is stamped with the newest form.

    Returns
    -------
    list of str
        What each step did, in order; empty where nothing was to be done.

    Raises
    ------
    IntegrityError
        The lake has a form that this program does not know, or the stamp cannot be read.
    BusyError, StorageError
        Another process kept the lake, or it cannot be written; what was done so far is whole.
    """
    root = located(root)
    if layout_of(root) == NEWEST:
        return []
    with alone_in(root, "bringing the lake up to date", name="layout"):
        steps = STEPS[layout_of(root) - 1 :]
        if not any(root.glob("*/")):
            steps = ()
        elif not isinstance(root, Path):
            raise InputError(
                "an earlier version's lake cannot be brought up to date on an object store",
                where=str(root),
                remedy="do it in a folder: quant-organism data migrate; then copy the files",
            )
        for step in steps:
            assert isinstance(root, Path)
            try:
                step.apply(root)
            except OSError as error:
                raise storage_error(error, root) from error
        write_file(root / _STAMP, orjson.dumps({"layout": NEWEST}, option=orjson.OPT_APPEND_NEWLINE))
    return [step.what for step in steps]


def layout_of(root: StoragePath) -> int:
    """Return the form of a lake; 1 where nothing says so.

    Raises
    ------
    IntegrityError
        The lake has a form that this program does not know, or the stamp cannot be read.
    """
    path = located(root) / _STAMP
    if not path.exists():
        return 1
    try:
        layout = int(orjson.loads(path.read_bytes())["layout"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"the stamp of the lake's form cannot be read: {error}", where=str(path), remedy="bring it from a backup"
        ) from error
    if not 1 <= layout <= NEWEST:
        raise IntegrityError(
            f"the lake has form {layout}, but this program knows forms 1 to {NEWEST}",
            where=str(path),
            remedy="use the program that wrote it, or a newer one",
        )
    return layout


def rename_dataset(root: Path, old: str, new: str) -> None:
    """Give a dataset another name; a file that lies under the new one already is the newer one, and stays."""
    for path in sorted((root / old).rglob("*.parquet")):
        target = root / new / path.relative_to(root / old)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            path.unlink()
        else:
            os.replace(path, target)
            flush_folders([target.parent])
    folders = sorted((path for path in (root / old).rglob("*") if path.is_dir()), reverse=True)
    for folder in [*folders, *([root / old] if (root / old).exists() else [])]:
        if not any(folder.iterdir()):
            folder.rmdir()


def rename_column(root: Path, dataset: str, old: str, new: str, *, version: int) -> None:
    """Give a column another name in every file of a dataset that has it, and the file the version of that form."""
    for path in sorted((root / dataset).rglob("*.parquet")):
        frame = pl.read_parquet(path, glob=False, hive_partitioning=False)
        if old not in frame.columns:
            continue
        kept = {name: text for name, text in pl.read_parquet_metadata(path).items() if not name.startswith("ARROW:")}
        write_file(path, parquet_bytes(frame.rename({old: new}), {**kept, VERSION: str(version)}))


def _turned_away_becomes_rejected(root: Path) -> None:
    rename_dataset(root, "turned_away", "rejected")
    rename_column(root, "search_progress", "turned_away", "rejected", version=2)


def _records_lie_by_cycle(root: Path) -> None:
    """Move what depends on how was searched and judged from its day's folder to that of its cycle; the record last."""
    beside = (root.parent / "reports", root.parent / "checkpoints")
    of_days: dict[Path, list[str]] = {}
    for dataset in (*_OF_A_CYCLE, _RECORD):
        for part in sorted((root / dataset).glob(f"market=*/interval=*/date=*/{_PART}")):
            of_days.setdefault(part.parent.relative_to(root / dataset), []).append(dataset)
    for day, datasets in sorted(of_days.items()):
        index = root / CycleIndexTable.dataset / day / _PART
        record = root / _RECORD / day / _PART
        cycle, seed = _cycle_of(record) if record.exists() else (UNRECORDED, None)
        if cycle not in (rows := index_of_day(index))[CycleIndexTable.cycle]:
            row = CycleIndexTable.frame([(cycle, "", seed, rows.filter("latest").is_empty())])
            write_file(index, encode(CycleIndexTable, pl.concat([rows, row])))
        for place in beside:
            _move_beneath(place.joinpath(*(level.partition("=")[2] for level in day.parts)), cycle)
        for dataset in datasets:
            _move(root / dataset / day / _PART, root / dataset / day / f"cycle={cycle}" / _PART)
    for folder in (day for place in beside for day in sorted(place.glob("*/*/*"))):
        _move_beneath(folder, UNRECORDED)


def _days_may_lie_joined(root: Path) -> None:
    """Change nothing: a program that knows no joined days would not see them, and refuses this form by name."""


def _cycle_of(record: Path) -> tuple[str, int]:
    """Return the identity that a cycle's own record gives it, which is that of the documents that it wrote."""
    row = pl.read_parquet(record, glob=False, hive_partitioning=False).row(0, named=True)
    return cycle_id(row["panel_hash"], row["spec_hash"], row["seed"]), row["seed"]


def _move_beneath(folder: Path, cycle: str) -> None:
    """Move the files of a day, and its tear sheets, to a folder of its cycle; where a page was, one leads to it now."""
    pages = [*folder.glob("*.html"), *folder.glob("tear_sheets/*.html")]
    files = sorted({*pages, *(path for path in folder.glob("*") if path.is_file())})
    for path in files:
        target = folder / cycle / path.relative_to(folder)
        if path.suffix != ".html":
            _move(path, target)
        elif not (page := path.read_bytes()).startswith(_LINK):
            write_file(target, page)
            to = html.escape(os.path.relpath(target, path.parent))
            write_file(path, _LINK + f'{to}">\n<title>Moved</title>\n<p>It is <a href="{to}">here</a>.</p>\n'.encode())


def _move(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(path, target)
    flush_folders([target.parent, path.parent])


STEPS: Final = (
    MigrationStep("call genomes that failed the birth checks rejected", _turned_away_becomes_rejected),
    MigrationStep("keep the records and reports of each cycle under its own identity", _records_lie_by_cycle),
    MigrationStep("let days of market data lie joined", _days_may_lie_joined),
)
"""From form 1 on: the first makes form 2 of form 1, and so on."""

NEWEST: Final = 1 + len(STEPS)
"""The form that this program reads and writes."""
