"""The trial ledger: every unique (genome, panel, costs) that was ever evaluated, one row each, for ever.

Judging the winner of a search means knowing how many were tried, also in earlier cycles and in those that were given
up. The ledger is the dataset `trials` of the lake: one immutable Parquet file per append, under
`trials/panel_hash=<hash>/costs_hash=<hash>/cycle=<cycle>/`, so that only trials of the same panel are read to find out
what is new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quant_organism.backtest import Evaluation
from quant_organism.errors import IntegrityError
from quant_organism.evolution.ledger_rows import LedgerIdentity, day_of, trial_rows
from quant_organism.evolution.tables import TrialTable
from quant_organism.market import encode
from quant_organism.resilience import StoragePath, alone_in, contents_of, located, write_file

_KNOWN: Final = "known"
"""Name in a file's metadata of how many genomes of the append were trials already."""


@dataclass(frozen=True)
class AppendResult:
    """How many of the genomes that were handed in are new trials, and how many were known or came twice."""

    new: int
    known: int


class TrialLedger:
    """The trials of a lake.

    Any number of processes may append and read. What an append wrote is never written again, and appending the same
    batch again changes nothing and returns the same result: a search that is resumed may repeat its last append.

    Parameters
    ----------
    root
        The lake's folder; made on the first append.
    """

    def __init__(self, root: StoragePath) -> None:
        self.root = located(root)
        self._folder = self.root / TrialTable.dataset
        self._known: dict[StoragePath, _Known] = {}

    def append(self, evaluations: Sequence[Evaluation], identity: LedgerIdentity) -> AppendResult:
        """Record what was evaluated; genomes that the ledger has for this panel and these costs are counted only.

        Parameters
        ----------
        evaluations
            All of one panel. Hand in a whole generation at once: each append makes a file.
        identity
            Where they come from.

        Raises
        ------
        InputError
            A return is not a number, or the evaluations are not of the same days.
        IntegrityError
            A file of this panel is damaged; it is named.
        BusyError, StorageError
            Another process kept writing, or the folder cannot be written; the ledger is as it was.
        """
        if not evaluations:
            return AppendResult(0, 0)
        hashes = [genome.hash for evaluation in evaluations for genome in evaluation.genomes]
        return self.append_rows(trial_rows(evaluations, identity), hashes, identity)

    def append_rows(self, rows: pl.DataFrame, hashes: Sequence[str], identity: LedgerIdentity) -> AppendResult:
        """Record trials that are rows already; otherwise as `append`.

        Parameters
        ----------
        rows
            By `TrialTable`, one for each trial, in the order of their hashes.
        hashes
            Of all that was handed in, repetitions included.
        identity
            Where they come from.
        """
        folder = self._folder / f"panel_hash={identity.panel_hash}" / f"costs_hash={identity.costs_hash}"
        part = folder / f"cycle={identity.cycle}" / _part_name(hashes, identity)
        with alone_in(folder, "appending trials"):
            if part.exists():
                recorded = read_parts([part], ["genome_hash"]).height
                return AppendResult(recorded, len(hashes) - recorded)
            known = self._known.setdefault(folder, _Known(folder))
            there = known.among(hashes)
            new = rows.filter(~pl.col("genome_hash").is_in(there)) if there else rows
            result = AppendResult(new.height, len(hashes) - new.height)
            write_file(part, encode(TrialTable, new, {_KNOWN: str(result.known)}))
            known.add(part, new["genome_hash"])
        return result

    def frame(
        self,
        columns: Sequence[str] | None = None,
        *,
        market: str | None = None,
        panel_hash: str | None = None,
        cycle: str | None = None,
        overlapping: tuple[int, int] | None = None,
        until: int | None = None,
    ) -> pl.DataFrame:
        """Return trials, those of one append together, in no other order.

        Parameters
        ----------
        columns
            Of `TrialTable`; all by default.
        market, panel_hash, cycle
            Only of this market, of this panel, first tried by the run of this name.
        overlapping
            Only of panels with a day in this span: first and last moment, UTC milliseconds.
        until
            Only of panels that end on the day of this moment or before.

        Raises
        ------
        IntegrityError
            A file is damaged; it is named.
        """
        chosen = pl.lit(True)
        if market is not None:
            chosen &= pl.col("market") == market
        if overlapping is not None:
            chosen &= (pl.col("first_day") <= day_of(overlapping[1])) & (pl.col("last_day") >= day_of(overlapping[0]))
        if until is not None:
            chosen &= pl.col("last_day") <= day_of(until)
        return read_parts(self._parts(panel_hash, cycle), columns or TrialTable.schema.names(), chosen)

    def n_trials(
        self,
        *,
        market: str | None = None,
        panel_hash: str | None = None,
        overlapping: tuple[int, int] | None = None,
        until: int | None = None,
    ) -> int:
        """Count trials; arguments and errors as in `frame`."""
        return self.frame(["n_days"], market=market, panel_hash=panel_hash, overlapping=overlapping, until=until).height

    def n_behaviours(
        self,
        *,
        market: str | None = None,
        panel_hash: str | None = None,
        overlapping: tuple[int, int] | None = None,
        until: int | None = None,
    ) -> int:
        """Count trials that differ in behaviour: what N means wherever luck is judged; arguments as in `frame`."""
        columns = ["panel_hash", "costs_hash", "behaviour"]
        return self.frame(
            columns, market=market, panel_hash=panel_hash, overlapping=overlapping, until=until
        ).n_unique()

    def behaviours(self, panel_hash: str) -> NDArray[np.uint64]:
        """Return the digests of all behaviours on a panel, each once, ascending; errors as in `frame`."""
        return self.frame(["behaviour"], panel_hash=panel_hash)["behaviour"].unique().sort().to_numpy()

    def n_met_again(self) -> int:
        """Count how often a search came back to a genome that was a trial already.

        Raises
        ------
        IntegrityError
            A file is damaged; it is named.
        """
        return sum(_met_again(part) for part in self._parts(None))

    def _parts(self, panel_hash: str | None, cycle: str | None = None) -> list[StoragePath]:
        pattern = f"panel_hash={panel_hash or '*'}/costs_hash=*/cycle={cycle or '*'}/*.parquet"
        return sorted(self._folder.glob(pattern))


class _Known:
    """The genomes that a panel and costs have trials of; reads each file once."""

    def __init__(self, folder: StoragePath) -> None:
        self._folder = folder
        self._parts: set[StoragePath] = set()
        self._genomes = pl.Series(dtype=pl.String)

    def among(self, hashes: Sequence[str]) -> list[str]:
        """Return those of the hashes that are known."""
        there = set(self._folder.glob("cycle=*/*.parquet"))
        if not self._parts <= there:  # somebody deleted a damaged one
            self._parts, self._genomes = set(), pl.Series(dtype=pl.String)
        unread = there - self._parts
        if unread:
            self._genomes = pl.concat([self._genomes, read_parts(sorted(unread), ["genome_hash"])["genome_hash"]])
            self._parts = there
        return [] if self._genomes.is_empty() else self._genomes.filter(self._genomes.is_in(list(hashes))).to_list()

    def add(self, part: StoragePath, genomes: pl.Series) -> None:
        """Note what a file that was just written holds."""
        self._parts.add(part)
        self._genomes = pl.concat([self._genomes, genomes])


def read_parts(parts: Sequence[StoragePath], columns: Sequence[str], chosen: pl.Expr | None = None) -> pl.DataFrame:
    """Return the chosen rows of some files of the ledger.

    Raises
    ------
    IntegrityError
        A file is damaged, or is no part of a ledger; it is named.
    """
    if not parts:
        return pl.DataFrame(schema={name: TrialTable.schema[name] for name in columns})
    try:
        lazy = pl.scan_parquet(contents_of(parts), glob=False, hive_partitioning=False, schema=TrialTable.schema)
        return (lazy if chosen is None else lazy.filter(chosen)).select(columns).collect()
    except pl.exceptions.PolarsError as error:
        raise _damaged(parts, columns, error) from error


def _damaged(parts: Sequence[StoragePath], columns: Sequence[str], error: pl.exceptions.PolarsError) -> IntegrityError:
    for part in parts:
        try:
            content = contents_of([part])[0]
            pl.scan_parquet(content, glob=False, hive_partitioning=False, schema=TrialTable.schema).select(
                columns
            ).collect()
        except pl.exceptions.PolarsError as alone:
            return _unreadable(part, alone)
    return _unreadable(parts[0].parent, error)


def _unreadable(where: StoragePath, error: Exception) -> IntegrityError:
    return IntegrityError(
        f"a part of the trial ledger cannot be read: {(str(error).splitlines() or [type(error).__name__])[0]}",
        where=str(where),
        remedy="delete it and run its cycle again; until then its trials are missing in every count",
    )


def _met_again(part: StoragePath) -> int:
    try:
        return int(pl.read_parquet_metadata(contents_of([part])[0])[_KNOWN])
    except (pl.exceptions.PolarsError, KeyError, ValueError) as error:
        raise _unreadable(part, error) from error


def _part_name(hashes: Sequence[str], identity: LedgerIdentity) -> str:
    """Name a part after what was handed in, so that the same batch has the same file whenever it comes."""
    content = "\n".join([identity.spec_hash, identity.market, *sorted(hashes)])
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    return f"generation-{identity.generation:04d}-{digest}.parquet"
