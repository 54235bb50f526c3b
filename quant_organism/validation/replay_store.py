"""Replays of members at rest: one file each, written once, so that an interrupted replay goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quant_organism.errors import IntegrityError
from quant_organism.market import encode
from quant_organism.resilience import StoragePath, contents_of, located, write_file
from quant_organism.validation.account_replay import HeldVirtually
from quant_organism.validation.tables import MemberReplayTable


@dataclass(frozen=True, eq=False)
class PeriodReplay:
    """One genome in one period.

    Attributes
    ----------
    trades
        How many it made.
    trade_hash, backtest_hash
        Of its trades, bar by bar and by the population evaluator.
    difference
        The first trade that differs, in words.
    returns
        Net return of its portfolio in each bar, float64 (bars,).
    held
        What its sleeves held.
    before
        Net return of its portfolio in each bar of the days before, by the population evaluator, float64 (any,).
    held_difference
        Where it held something else than in the backtest, in words.
    """

    trades: int
    trade_hash: str
    backtest_hash: str
    difference: str
    returns: NDArray[np.float64]
    held: HeldVirtually
    before: NDArray[np.float64]
    held_difference: str


@dataclass(frozen=True, eq=False)
class MemberReplay:
    """One genome in all periods."""

    periods: tuple[PeriodReplay, ...]


class ReplayStore:
    """Replays in the lake: `member_replays/<digest>.parquet`, one row per period.

    Parameters
    ----------
    root
        The lake's folder.
    """

    def __init__(self, root: StoragePath) -> None:
        self._folder = located(root) / MemberReplayTable.dataset

    def read(self, identity: Mapping[str, str]) -> MemberReplay | None:
        """Return the replay that is a function of all this; None if it has not been made.

        Raises
        ------
        IntegrityError
            Its file is damaged.
        """
        path = self._path(identity)
        if not path.exists():
            return None
        try:
            frame = pl.read_parquet(
                contents_of([path])[0], glob=False, hive_partitioning=False, schema=MemberReplayTable.schema
            )
        except pl.exceptions.PolarsError as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            remedy = "delete it: the replay is made again"
            raise IntegrityError(f"a replay cannot be read: {first}", where=str(path), remedy=remedy) from error
        return MemberReplay(tuple(_period(row) for row in frame.iter_rows(named=True)))

    def write(self, identity: Mapping[str, str], replay: MemberReplay) -> None:
        """Keep a replay.

        Raises
        ------
        StorageError
            The folder cannot be written.
        """
        rows = [
            (
                part.trades,
                part.trade_hash,
                part.backtest_hash,
                part.difference,
                part.returns.tolist(),
                part.held.units.ravel().tolist(),
                part.held.stops.ravel().tolist(),
                part.held.targets.ravel().tolist(),
                part.held.returns.tolist(),
                part.before.tolist(),
                part.held_difference,
            )
            for part in replay.periods
        ]
        write_file(self._path(identity), encode(MemberReplayTable, MemberReplayTable.frame(rows), identity))

    def _path(self, identity: Mapping[str, str]) -> StoragePath:
        text = json.dumps(dict(identity), sort_keys=True)
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.parquet"


def _period(row: Mapping[str, Any]) -> PeriodReplay:
    arrays = {
        name: np.array(row[name], dtype=np.float64)
        for name in ("returns", "units", "stops", "targets", "virtual_returns", "before")
    }
    assets = arrays["units"].size - arrays["stops"].size
    units, stops, targets = (arrays[name].reshape(-1, assets) for name in ("units", "stops", "targets"))
    held = HeldVirtually(units, stops, targets, arrays["virtual_returns"])
    words = {name: row[name] for name in ("trades", "trade_hash", "backtest_hash", "difference", "held_difference")}
    return PeriodReplay(**words, returns=arrays["returns"], held=held, before=arrays["before"])
