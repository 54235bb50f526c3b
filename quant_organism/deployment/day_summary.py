"""What a day brought the watched strategies of a market, and whom evidence has had archived since its week began.

All of it is read from booked days and moves, which never change: summed up again, a day says the same. Whoever a rule
of the table of moves retires is archived in that night, with the numbers; of all of a week one reads here together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl

from quant_organism.deployment.booking import read_rows
from quant_organism.deployment.stages import STAGES, timestamp
from quant_organism.deployment.tables import EvidenceDayTable, MoveTable
from quant_organism.market.lake import Lake
from quant_organism.market.schema import Interval

_SAID_OF_A_MOVE = (MoveTable.id, MoveTable.at, MoveTable.start, MoveTable.end, MoveTable.rule, MoveTable.by)


@dataclass(frozen=True, kw_only=True)
class DaySummary:
    """A day of a market.

    Attributes
    ----------
    market, interval, day
        Which day it is.
    stages
        Strategies that were watched, by the stage in which the day was booked.
    unrecorded
        How many of them have no return of the day.
    net_returns
        Returns of the others, by strategy, the best first; fractions.
    moves
        Moves after the 00:00 UTC that the day began with, up to the one that it ended with: identity, time, stages,
        rule, who, and the reason.
    archived
        Those that were retired since the Monday 00:00 UTC of the day's ISO week, in the same form.
    """

    market: str
    interval: str
    day: date
    stages: Mapping[str, int]
    unrecorded: int
    net_returns: Mapping[str, float]
    moves: tuple[Mapping[str, str], ...]
    archived: tuple[Mapping[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as values of JSON."""
        return {**asdict(self), "day": self.day.isoformat()}


def day_summary(lake: Lake, *, market: str, interval: Interval, day: date | None = None) -> DaySummary | None:
    """Sum up a day.

    Parameters
    ----------
    lake, market, interval
        Whose days.
    day
        None: the newest that is booked.

    Returns
    -------
    DaySummary or None
        None where the day is not booked.
    """
    where = {"market": market, "interval": interval.name}
    stored = lake.table(EvidenceDayTable)
    days = stored.days(**where)
    day = day or max(days, default=None)
    if day is None or day not in days:
        return None
    booked = stored.read_day(day, **where)
    counted = Counter(booked[EvidenceDayTable.stage])
    earned = booked.filter(EvidenceDayTable.recorded).sort(
        EvidenceDayTable.net_return, EvidenceDayTable.id, descending=[True, False]
    )
    moves = read_rows(lake, MoveTable, **where)
    monday = day - timedelta(days=day.weekday())
    return DaySummary(
        market=market,
        interval=interval.name,
        day=day,
        stages={stage: counted[stage] for stage in STAGES if counted[stage]},
        unrecorded=booked.height - earned.height,
        net_returns=dict(earned.select(EvidenceDayTable.id, EvidenceDayTable.net_return).iter_rows()),
        moves=_moves(moves, day, day),
        archived=tuple(move for move in _moves(moves, monday, day) if move[MoveTable.end] == "retired"),
    )


def _moves(moves: pl.DataFrame, first: date, last: date) -> tuple[Mapping[str, str], ...]:
    # What the marks of a day decide is stamped with the 00:00 UTC that ends it.
    after, until = timestamp(first), timestamp(last + timedelta(days=1))
    within = moves.filter(pl.col(MoveTable.at) > after, pl.col(MoveTable.at) <= until)
    chosen = within.select(*_SAID_OF_A_MOVE, MoveTable.reason).unique().sort(MoveTable.at, MoveTable.id, MoveTable.end)
    return tuple(chosen.iter_rows(named=True))
