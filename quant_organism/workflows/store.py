"""Runs of workflows at rest: tables in the lake under a correlation id, and checkpoints of phases in a folder."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import orjson
import polars as pl

from quant_organism.errors import InputError, IntegrityError
from quant_organism.market.stored import encode, parquet_bytes, read_parts
from quant_organism.market.table import Table
from quant_organism.resilience import StoragePath, located, write_file, write_files
from quant_organism.workflows.outcome import PhaseOutcome, canonical, digest_of
from quant_organism.workflows.spec import nearest
from quant_organism.workflows.tables import (
    WorkflowCheckTable,
    WorkflowResultTable,
    WorkflowRunTable,
    WorkflowSignalTable,
)

SPEC: Final = "workflow.yaml"

KEPT_AFTER_S: Final = 5.0
"""Seconds of work on the batches of a phase that a killed run may lose; a file of them is written no oftener."""

_ID: Final = re.compile(r"workflow_(\d{4})(\d{2})(\d{2})_(\d{6})_[0-9a-f]{8}")
_BY_PHASE: Final = (WorkflowResultTable, WorkflowSignalTable, WorkflowCheckTable)
_WHOLE: Final = "part"
_BATCH: Final = "batch"
_NEWEST: Final = 3
_ANEW: Final = "run the workflow anew: quant-organism workflow run FILE"


def correlation_id(moment: datetime, entropy: bytes) -> str:
    """Return the correlation id of a run: ``workflow_YYYYMMDD_HHMMSS_<8 hex>``; no result depends on it.

    Examples
    --------
    >>> correlation_id(datetime(2025, 5, 31, 12, 0, 5, tzinfo=UTC), bytes.fromhex("c0ffee01"))
    'workflow_20250531_120005_c0ffee01'
    """
    return f"workflow_{moment.astimezone(UTC):%Y%m%d_%H%M%S}_{entropy[:4].hex()}"


def day_of_run(id: str) -> date:
    """Return the day that a correlation id names.

    Raises
    ------
    InputError
        It is none.
    """
    match = _ID.fullmatch(id)
    try:
        if match is not None:
            return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        pass
    raise InputError(f"{id!r} is no run of a workflow", remedy="see them with: quant-organism workflow list")


class BatchKeeper:
    """Keeps the batches of a phase, so that a run that was killed need not make all of them again.

    What took less than `KEPT_AFTER_S` seconds is not worth a file. No result depends on what was kept.

    Parameters
    ----------
    folder
        Where they lie.
    clock
        Seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._folder, self._clock, self._since = folder, clock, clock()
        self._made: dict[int, pl.DataFrame] = {}

    def batch(self, number: int, make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """Return a batch by its number: what was kept of it, or what is made now."""
        if number in self._kept:
            return self._kept.pop(number)
        if self._clock() - self._since > KEPT_AFTER_S:
            self.write()
        self._made[number] = make()
        return self._made[number]

    def write(self) -> None:
        """Keep what was made since this was called last."""
        if self._made:
            rows = pl.concat(frame.with_columns(pl.lit(n).alias(_BATCH)) for n, frame in self._made.items())
            write_file(self._folder / f"{min(self._made):06d}.parquet", parquet_bytes(rows, {}))
        self._made, self._since = {}, self._clock()

    @cached_property
    def _kept(self) -> dict[int, pl.DataFrame]:
        files = [pl.read_parquet(io.BytesIO(path.read_bytes())) for path in sorted(self._folder.glob("*.parquet"))]
        return {part[0, _BATCH]: part.drop(_BATCH) for rows in files for part in rows.partition_by(_BATCH)}


class WorkflowStore:
    """One run of a workflow at rest.

    Parameters
    ----------
    root
        The lake's folder.
    folder
        Folder of checkpoints, of all runs.
    id
        Correlation id of the run.
    """

    def __init__(self, root: StoragePath, folder: Path, id: str) -> None:
        self._day = day_of_run(id)
        self.id, self._root, self._folder = id, located(root), folder / id

    @property
    def spec_path(self) -> Path:
        """The run's copy of its file."""
        return self._folder / SPEC

    def write(
        self, frames: Mapping[type[Table], pl.DataFrame], before: Sequence[tuple[StoragePath, bytes]] = ()
    ) -> None:
        """Store tables of the whole run, and before them whatever files have to be there first."""
        write_files([*before, *((self._path(table, _WHOLE), encode(table, frame)) for table, frame in frames.items())])

    def read(self, table: type[Table]) -> pl.DataFrame:
        """Return a table of the run; phases one after the other, empty where there is none."""
        folder = self._path(table, _WHOLE).parent
        return read_parts(table, sorted(folder.glob("*.parquet")))

    def encoded(
        self, phase: str, identity: Mapping[str, Any], outcome: PhaseOutcome
    ) -> tuple[str, list[tuple[StoragePath, bytes]]]:
        """Return the hash of what a phase gave, and the files that keep it, its checkpoint last."""
        encoded, document = outcome.encoded(), orjson.Fragment(canonical(outcome.document))  # which may be large
        files = {table.dataset: hashlib.sha256(content).hexdigest() for table, content in encoded.items()}
        outputs = digest_of([document, files])
        body = {"identity": dict(identity), "outputs": outputs, "outcome": document, "files": files}
        text = canonical(body)
        checkpoint = b'{"body":%b,"sha256":"%b"}' % (text, hashlib.sha256(text).hexdigest().encode())
        tables = [(self._path(table, phase), content) for table, content in encoded.items()]
        return outputs, [*tables, (self._checkpoint(phase), checkpoint)]

    def load(self, phase: str, identity: Mapping[str, Any]) -> tuple[PhaseOutcome, str] | None:
        """Return what came of a phase and its hash, if a run with the same inputs has finished it.

        Raises
        ------
        InputError
            The checkpoint is of another workflow, panel, code or seed; the first key that differs is named.
        IntegrityError
            A file is damaged.
        """
        path = self._checkpoint(phase)
        if not path.exists():
            return None
        try:
            document = orjson.loads(path.read_bytes())
            body, intact = document["body"], document["sha256"] == digest_of(document["body"])
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise IntegrityError(f"not a checkpoint: {error}", where=str(path), remedy=_ANEW) from error
        if not intact:
            raise IntegrityError("altered after it was written", where=str(path), remedy=_ANEW)
        stored, ours = _flat(body["identity"]), _flat(identity)
        differing = sorted(key for key in stored.keys() | ours.keys() if stored.get(key) != ours.get(key))
        if elsewhere := [key for key in differing if not key.startswith("needs.")]:
            key = elsewhere[0]
            raise InputError(
                f"the checkpoint of phase {phase} is of another {key}: there {stored.get(key, 'nothing')!r:.80}, "
                f"here {ours.get(key, 'nothing')!r:.80}",
                where=str(path),
                remedy=_ANEW,
            )
        if differing:
            return None  # a phase before it gives something else now
        frames: dict[type[Table], pl.DataFrame] = {}
        for table in (table for table in _BY_PHASE if table.dataset in body["files"]):
            part = self._path(table, phase)
            if not part.exists() or hashlib.sha256(part.read_bytes()).hexdigest() != body["files"][table.dataset]:
                return None
            frames[table] = read_parts(table, [part])
        return PhaseOutcome.read(body["outcome"], frames), body["outputs"]

    def keeper(self, phase: str, key: str, clock: Callable[[], float]) -> BatchKeeper:
        """Return what keeps the batches of a phase until it ends, bound to all that it is a function of."""
        return BatchKeeper(self._batches(phase, key), clock)

    def forget_batches(self, phase: str, key: str) -> None:
        """Remove the batches of a phase that has ended."""
        folder = self._batches(phase, key)
        if folder.exists():
            for path in folder.glob("*"):
                path.unlink()
            folder.rmdir()

    def _batches(self, phase: str, key: str) -> Path:
        return self._folder / f"{phase}-{key[:16]}"

    def _path(self, table: type[Table], name: str) -> StoragePath:
        return self._root / table.dataset / f"date={self._day.isoformat()}" / f"workflow={self.id}" / f"{name}.parquet"

    def _checkpoint(self, phase: str) -> Path:
        return self._folder / f"{phase}.json"


def stored_workflows(root: StoragePath) -> pl.DataFrame:
    """Return all runs of a lake, the newest last, by `WorkflowRunTable` and the column `workflow`."""
    parts = sorted((located(root) / WorkflowRunTable.dataset).glob("date=*/workflow=*/*.parquet"))
    ids = [part.parent.name.removeprefix("workflow=") for part in parts]
    return read_parts(WorkflowRunTable, parts).insert_column(0, pl.Series("workflow", ids, dtype=pl.String()))


def choose_workflow(root: StoragePath, name: str) -> str:
    """Return the correlation id of a run, by how it begins, or by the name of a workflow: its latest run.

    Raises
    ------
    InputError
        None or several are meant; the nearest, or the newest, are named.
    """
    runs = stored_workflows(root)
    ids = runs["workflow"].to_list()
    named = runs.filter(pl.col("name") == name)["workflow"].to_list()
    found = [id for id in ids if id.startswith(name)] or named[-1:]
    if len(found) > 1:
        raise InputError(
            f"{len(found)} runs begin with {name!r}",
            where=str(root),
            remedy=f"write more of one; the newest are {', '.join(found[-_NEWEST:])}",
        )
    if not found:
        known = nearest(name, runs["name"].unique().sort().to_list(), "workflows that were run")
        remedy = "run one with: quant-organism workflow run breakouts" if runs.is_empty() else known
        raise InputError(f"no run is called {name!r}", where=str(root), remedy=remedy)
    return str(found[0])


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return nested mappings as one, keys joined by dots."""
    if not isinstance(value, Mapping):
        return {path: value}
    parts = [_flat(inner, f"{path}.{key}" if path else str(key)) for key, inner in value.items()]
    return {key: inner for part in parts for key, inner in part.items()}
