"""Cycles at rest: what tells them apart, and which of them a day means."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date

import orjson
import polars as pl

from quant_organism.market.schema import Interval
from quant_organism.market.stored import StoredTable, index_of_day
from quant_organism.market.tables import CycleIndexTable
from quant_organism.resilience import StoragePath, alone_in


def cycle_id(panel_hash: str, spec_hash: str, seed: int) -> str:
    """Return the identity of a cycle among those of its market, interval and day: ``<hash8>-seed<seed>``.

    Parameters
    ----------
    panel_hash, spec_hash
        Content hashes of the data, and of how they are searched and judged.
    seed
        Seed of the search.
    """
    digest = hashlib.sha256(orjson.dumps([panel_hash, spec_hash, seed])).hexdigest()
    return f"{digest[:8]}-seed{seed}"


class CycleIndex:
    """The cycles of each day of one market and interval, and which of them is meant.

    A day means its latest cycle, the one whose search was stored last. A plan with its seed means the cycle that was
    begun last by them: it is another one when the data, or the archive that founds it, have changed since. Any number
    of processes may read and write.

    Parameters
    ----------
    root
        The lake's folder.
    market, interval
        Whose days.
    """

    def __init__(self, root: StoragePath, market: str, interval: Interval) -> None:
        self._root, self._market, self._interval = root, market, interval
        self._stored = StoredTable(root, CycleIndexTable)

    def rows(self, day: date) -> pl.DataFrame:
        """Return the cycles of a day in the order in which they were begun last; see `CycleIndexTable`."""
        return index_of_day(self._stored.path(market=self._market, interval=self._interval.name, day=day))

    def latest(self, day: date, among: Callable[[str], bool] = lambda cycle: True) -> str | None:
        """Return the cycle that a day means; None where it has none.

        Parameters
        ----------
        day
            The day.
        among
            Tells of a cycle whether it may be meant. Where the latest of all may not, it is the one that was begun
            last among those that may.
        """
        rows = self.rows(day)
        in_order = [*rows.filter(~pl.col("latest"))["cycle"], *rows.filter("latest")["cycle"]]
        return next((cycle for cycle in reversed(in_order) if among(cycle)), None)

    def of_plan(self, day: date, plan_hash: str, seed: int) -> str | None:
        """Return the cycle that a plan and seed mean on a day; None where none was begun by them."""
        return _last(self.rows(day).filter(plan_hash=plan_hash, seed=seed))

    def begin(self, day: date, cycle: str, plan_hash: str, seed: int) -> None:
        """Make a cycle the one that a plan and seed mean on a day; the first cycle of a day is its latest at once.

        Raises
        ------
        BusyError, StorageError
            Another process kept the index, or it cannot be written; it is as it was.
        """

        def begun(rows: pl.DataFrame) -> pl.DataFrame:
            latest = rows.is_empty() or not rows.filter(pl.col("latest") & (pl.col("cycle") == cycle)).is_empty()
            row = CycleIndexTable.frame([(cycle, plan_hash, seed, latest)])
            return pl.concat([rows.filter(pl.col("cycle") != cycle), row])

        self._change(day, begun)

    def make_latest(self, day: date, cycle: str) -> None:
        """Make a cycle that was begun the one that its day means; errors as `begin`."""
        self._change(day, lambda rows: rows.with_columns(latest=pl.col("cycle") == cycle))

    def _change(self, day: date, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        where = {"market": self._market, "interval": self._interval.name}
        folder = self._stored.path(**where, day=day).parent.parent
        with alone_in(folder, "writing the index of cycles"):
            self._stored.write(change(self.rows(day)), **where, day=day)


def _last(rows: pl.DataFrame) -> str | None:
    return None if rows.is_empty() else str(rows[-1, CycleIndexTable.cycle])
