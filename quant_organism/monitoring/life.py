"""The life of strategies over a span of days: births, moves, deaths and what was earned, from the records."""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from quant_organism.deployment import BirthTable, DecisionTable, EvidenceDayTable, MoveTable, PostmortemTable
from quant_organism.deployment.lifecycle import SEATED
from quant_organism.errors import InputError
from quant_organism.market import BY_INTERVAL, Interval, Lake, RegimeTable, Table, check_market_id
from quant_organism.monitoring.runs import stored_runs

LARGEST_SHARE: Final = 0.25
"""Most of the account that one strategy gets; of fewer than four the rest stays idle."""

LEAST_DAYS: Final = 20
"""Days in a regime from which on a result is shown."""

_MONTH: Final = re.compile(r"(\d{4})-(\d{2})", re.ASCII)


@dataclass(frozen=True)
class LifeSpan:
    """Days of a market whose life is told, both ends included."""

    market: str
    interval: Interval
    first: date
    last: date


def span_named(market: str, interval: str, name: str) -> LifeSpan:
    """Return the days that a name means: a month, ``YYYY-MM``, a day, or from one of them ``..`` to another.

    Raises
    ------
    InputError
        It names no days, or the market or interval cannot name a folder of the lake.
    """
    check_market_id(market)
    bars, (first, _, last) = Interval.parse(interval), name.partition("..")
    span = LifeSpan(market, bars, _days(first)[0], _days(last or first)[1])
    if span.first > span.last:
        raise InputError(f"{name!r} ends before it begins", remedy="exchange the two")
    return span


def _days(name: str) -> tuple[date, date]:
    """Return the first and last day of a month or a day."""
    month = _MONTH.fullmatch(name)
    try:
        if month is None:
            return (day := date.fromisoformat(name)), day
        year, number = int(month[1]), int(month[2])
        return date(year, number, 1), date(year, number, calendar.monthrange(year, number)[1])
    except (ValueError, calendar.IllegalMonthError):
        remedy = "write a month like 2024-05, days like 2024-05-01..2024-06-30"
        raise InputError(f"{name!r} names no days", remedy=remedy) from None


@dataclass(frozen=True, eq=False)
class LifeRecord:
    """What happened in a span of days.

    Attributes
    ----------
    span
        Which days of which market.
    cycles
        Cycles of these days, in order: `date`, `cycle`, `state`, and how many strategies it let in (`deployed`) and
        kept waiting (`waiting`); None where it has not decided.
    births
        By `BirthTable`, those that cycles of these days bore.
    moves
        Of these days, one row each: `at`, `id`, `start`, `end`, `rule`, `by`, `reason`.
    deaths
        By `PostmortemTable`, of those that had held a seat and were retired in these days.
    days
        One row per day with marks: `day`, strategies that were `watched`, those of them that were `seated`, and the
        net returns of two accounts: `account` gives each strategy on paper or beyond an equal part, a quarter at most,
        times its size factor of the day before; `shadow` gives equal parts to all that are watched without a seat.
    by_regime
        Of the account and of each strategy with a seat at the end: `strategy`, `module`, `label`, `days`, `mean_return`
        (a day) and `sharpe` (annual); as known when each day began, with at least 20 days.
    """

    span: LifeSpan
    cycles: Sequence[Mapping[str, Any]]
    births: pl.DataFrame
    moves: pl.DataFrame
    deaths: pl.DataFrame
    days: pl.DataFrame
    by_regime: pl.DataFrame

    @cached_property
    def months(self) -> list[dict[str, Any]]:
        """A row per month of the span: its counts, and what the two accounts earned, None without a day's marks."""
        first, last = self.span.first, self.span.last
        numbers = range(12 * first.year + first.month - 1, 12 * last.year + last.month)
        return [self._row(f"{number // 12:04d}-{number % 12 + 1:02d}") for number in numbers]

    @property
    def total(self) -> dict[str, Any]:
        """The same row of the whole span."""
        return self._row("")

    def _row(self, month: str) -> dict[str, Any]:
        days = self.days.filter(pl.col("day").dt.strftime("%Y-%m-%d").str.starts_with(month))
        ends = self.moves.filter(pl.col("at").str.starts_with(month))["end"].to_list()
        cycles = [cycle for cycle in self.cycles if str(cycle["date"]).startswith(month)]
        return {
            "month": month or f"{self.span.first} to {self.span.last}",
            "cycles": len(cycles),
            "born": self.births.filter(pl.col("day").dt.strftime("%Y-%m-%d").str.starts_with(month)).height,
            "waiting": sum(cycle["waiting"] or 0 for cycle in cycles),
            "to_paper": ends.count("paper"),
            "decayed": ends.count("decaying"),
            "retired": ends.count("retired"),
            "days": days.height,
            "account": _compounded(days["account"]),
            "account_sharpe": _sharpe(days["account"]),
            "account_drawdown": _drawdown(days["account"]),
            "shadow": _compounded(days["shadow"]),
        }

    def document(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        span = self.span
        return {
            "market": span.market,
            "interval": span.interval.name,
            "first": span.first,
            "last": span.last,
            "total": self.total,
            "months": self.months,
            "cycles": list(self.cycles),
            "births": self.births.to_dicts(),
            "moves": self.moves.to_dicts(),
            "deaths": self.deaths.to_dicts(),
            "days": self.days.to_dicts(),
            "by_regime": self.by_regime.to_dicts(),
        }


def life_of(data_dir: Path, span: LifeSpan) -> LifeRecord:
    """Gather what the records of a data folder say of a span of days."""
    first, last = span.first, span.last
    births = rows_of(data_dir, BirthTable, span, until=last).filter(pl.col("day") >= first)
    moves = rows_of(data_dir, MoveTable, span, until=last).filter(pl.col("day") >= first)
    names = [MoveTable.at, MoveTable.id, MoveTable.start, MoveTable.end, MoveTable.rule, MoveTable.by, MoveTable.reason]
    evidence = rows_of(data_dir, EvidenceDayTable, span, until=last)
    weighted, days = accounts_of(evidence)
    days = days.filter(pl.col("day") >= first)
    regimes = rows_of(data_dir, RegimeTable, span, until=last)
    return LifeRecord(
        span=span,
        cycles=_cycles(data_dir, span),
        births=births.sort("day", "id"),
        moves=moves.select(names).unique().sort("at", "id", "end"),
        deaths=rows_of(data_dir, PostmortemTable, span, until=last).filter(pl.col("day") >= first).sort("day", "id"),
        days=days,
        by_regime=_by_regime(weighted.filter(pl.col("day") >= first), days, regimes),
    )


def months_of(data_dir: Path) -> list[tuple[str, Interval, list[str]]]:
    """Return every market and length of bars of which something is booked, with its months, newest first."""
    lake, found = Lake(data_dir / "lake"), []
    for folder in sorted((lake.root / BirthTable.dataset).glob("market=*/interval=*")):
        market, name = (level.partition("=")[2] for level in folder.parts[-2:])
        days = {
            day
            for table in (BirthTable, EvidenceDayTable)
            for day in lake.table(table).days(market=market, interval=name)
        }
        found.append((market, Interval.parse(name), sorted({f"{day:%Y-%m}" for day in days}, reverse=True)))
    return found


def accounts_of(evidence: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return evidence days with the share that the account gives each, and the returns of the two accounts by day."""
    seated = pl.col(EvidenceDayTable.stage).is_in(list(SEATED))
    known = pl.col(EvidenceDayTable.recorded)
    weighted = (
        evidence.sort("day", EvidenceDayTable.id)
        .with_columns(size=pl.col(EvidenceDayTable.factor).shift(1, fill_value=1.0).over(EvidenceDayTable.id))
        .with_columns(
            seats=(seated & known).sum().over("day"),
            shadows=(~seated & known).sum().over("day"),
            net=pl.col(EvidenceDayTable.net_return).fill_null(0.0),
            seated=seated,
        )
        .with_columns(
            share=pl.when(seated & known)
            .then(pl.min_horizontal(1.0 / pl.col("seats"), LARGEST_SHARE) * pl.col("size"))
            .otherwise(0.0),
            part=pl.when(~seated & known).then(1.0 / pl.col("shadows")).otherwise(0.0),
        )
    )
    days = weighted.group_by("day").agg(
        watched=pl.len(),
        seated=pl.col("seated").sum(),
        account=(pl.col("share") * pl.col("net")).sum(),
        shadow=(pl.col("part") * pl.col("net")).sum(),
    )
    return weighted, days.sort("day")


def _by_regime(weighted: pl.DataFrame, days: pl.DataFrame, regimes: pl.DataFrame) -> pl.DataFrame:
    # A day is told by the regime of the day before: what was known when it began.
    known = regimes.select((pl.col("day") + timedelta(days=1)).alias("day"), RegimeTable.module, RegimeTable.label)
    seated_now = weighted.filter(pl.col("day") == pl.col("day").max(), pl.col("seated"))[EvidenceDayTable.id]
    own = weighted.filter(pl.col(EvidenceDayTable.id).is_in(seated_now.to_list()), pl.col(EvidenceDayTable.recorded))
    both = pl.concat(
        [
            days.filter(pl.col("seated") > 0).select(
                pl.lit("account").alias("strategy"), "day", pl.col("account").alias("net")
            ),
            own.select(pl.col(EvidenceDayTable.id).alias("strategy"), "day", "net"),
        ]
    )
    found = (
        both.join(known, on="day")
        .group_by("strategy", RegimeTable.module, RegimeTable.label)
        .agg(days=pl.len(), mean_return=pl.col("net").mean(), deviation=pl.col("net").std())
        .filter(pl.col("days") >= LEAST_DAYS)
    )
    sharpe = pl.when(pl.col("deviation") > 0).then(pl.col("mean_return") / pl.col("deviation") * math.sqrt(365.0))
    return found.with_columns(sharpe=sharpe).drop("deviation").sort("strategy", RegimeTable.module, RegimeTable.label)


def _cycles(data_dir: Path, span: LifeSpan) -> list[dict[str, Any]]:
    found = []
    for run in stored_runs(data_dir):
        if (run.market, run.interval) != (span.market, span.interval) or not span.first <= run.day <= span.last:
            continue
        actions = run.read(DecisionTable)[DecisionTable.action].to_list() if run.has(DecisionTable) else None
        found.append(
            {
                "date": run.day,
                "cycle": run.cycle,
                "state": run.state,
                "deployed": None if actions is None else actions.count("deploy"),
                "waiting": None if actions is None else actions.count("wait"),
            }
        )
    return found


def rows_of(data_dir: Path, table: type[Table], span: LifeSpan, *, until: date) -> pl.DataFrame:
    """Return all rows of a table of a market through a day, with the `day` that they lie under."""
    assert table.partitions == BY_INTERVAL
    stored, where = Lake(data_dir / "lake").table(table), {"market": span.market, "interval": span.interval.name}
    parts = [
        stored.read_day(day, **where).with_columns(day=pl.lit(day)) for day in stored.days(**where) if day <= until
    ]
    return pl.concat([table.empty().with_columns(day=pl.lit(None, dtype=pl.Date)), *parts])


def _compounded(returns: pl.Series) -> float | None:
    return None if returns.is_empty() else float(np.prod(1.0 + returns.to_numpy()) - 1.0)


def _drawdown(returns: pl.Series) -> float | None:
    if returns.is_empty():
        return None
    equity = np.cumprod(np.concatenate([[1.0], 1.0 + returns.to_numpy()]))
    return float((1.0 - equity / np.maximum.accumulate(equity)).max())


def _sharpe(returns: pl.Series) -> float | None:
    values = returns.to_numpy()
    if values.size < LEAST_DAYS or not values.std(ddof=1):
        return None
    return float(values.mean() / values.std(ddof=1) * math.sqrt(365.0))
