"""Hold a file's rows against the rules: strict, or repaired with every row accounted for. Nothing changes silently."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import polars as pl

from quant_organism.errors import InputError
from quant_organism.market.files.rules import (
    CANDLE_RULES,
    FUNDING_RULES,
    IN_ORDER,
    READABLE_TIME,
    TRADE_RULES,
    on_grid,
    once,
)
from quant_organism.market.files.table import INTERVALS, DataFile, FileTable, interval_of_length
from quant_organism.market.row_rules import RowRule
from quant_organism.market.schema import TIMESTAMP, Interval, format_ms
from quant_organism.market.tables import CandleTable, FundingTable, SetAsideTable

MAX_SET_ASIDE: Final = 0.05  # beyond it a file is broken, not blemished

TRADE_SCHEMA: Final = pl.Schema(
    {"symbol": pl.String(), "timestamp": TIMESTAMP, "price": pl.Float64(), "amount": pl.Float64()}
)

_REPAIR: Final = (
    "or import with --repair, which sets such rows aside, sorts, keeps the first of duplicates, and lists every one"
)
_RUNS_NAMED: Final = 20
_STEPS_THAT_TELL: Final = 5  # fewer may all be gaps


@dataclass(frozen=True)
class Judged:
    """The usable rows of a file in order of time, the rows set aside (`SetAsideTable`), and what was done."""

    frame: pl.DataFrame
    set_aside: pl.DataFrame
    notes: tuple[str, ...]


def judge_candles(table: FileTable, file: DataFile, *, repair: bool) -> tuple[Judged, Interval]:
    """Hold candles against the rules and find their interval.

    Raises
    ------
    InputError
        Strict: a row breaks a rule; the first is named. Repair: more than `MAX_SET_ASIDE` of the rows do. Always: the
        bars have an interval that the project does not know, or that the file's name denies.
    """
    good, bad = _part(table.frame, CANDLE_RULES)
    if good.is_empty():
        raise _refusal(bad, table, file, repair=repair)
    interval = _interval(good, file)
    good, off_grid = _part(good, [on_grid(interval)])
    good, doubles = _part(_with_first(good, "time"), [once("timestamp", table.unit)])
    return _settle(good, [bad, off_grid, doubles], table, file, schema=CandleTable.schema, repair=repair), interval


def judge_funding(table: FileTable, file: DataFile, *, repair: bool) -> Judged:
    """Hold funding rates against the rules; raises as `judge_candles`."""
    good, bad = _part(table.frame, FUNDING_RULES)
    good, doubles = _part(_with_first(good, "time"), [once("timestamp", table.unit)])
    return _settle(good, [bad, doubles], table, file, schema=FundingTable.schema, repair=repair)


def judge_trades(table: FileTable, file: DataFile, *, repair: bool) -> Judged:
    """Hold trades against the rules; raises as `judge_candles`. Trades share timestamps, but not ids."""
    good, bad = _part(table.frame, TRADE_RULES)
    first = pl.when(pl.col("trade_id").is_null()).then(pl.col("row")).otherwise(pl.col("first"))
    good, doubles = _part(_with_first(good, "trade_id").with_columns(first=first), [once("trade id", table.unit)])
    return _settle(good, [bad, doubles], table, file, schema=TRADE_SCHEMA, repair=repair)


def without_forming(judged: Judged, interval: Interval, as_of: datetime, file_name: str) -> Judged:
    """Set aside the bars that had not closed by `as_of`; that is no defect of the file."""
    closes = pl.col("timestamp") + pl.duration(milliseconds=interval.milliseconds)
    forming = judged.frame.filter(closes > as_of)
    if forming.is_empty():
        return judged
    rows = forming.select(
        "symbol",
        "timestamp",
        file=pl.lit(file_name),
        line=pl.lit(None, pl.Int64),
        reason=pl.lit("forming"),
        detail=pl.lit(f"the bar closes after {as_of:%Y-%m-%d %H:%M UTC}"),
    )
    return replace(judged, frame=judged.frame.filter(closes <= as_of), set_aside=pl.concat([judged.set_aside, rows]))


def _part(frame: pl.DataFrame, rules: Sequence[RowRule]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part the rows that meet all rules from the others, which get `reason`, `detail` and `remedy` of the first."""
    judged = frame.with_columns(reason=pl.coalesce(*[pl.when(rule.broken).then(pl.lit(rule.reason)) for rule in rules]))
    good = judged.filter(pl.col("reason").is_null()).drop("reason")
    # Rechunked, because polars 2.1 panics on pl.format over a column that has an empty chunk.
    bad = judged.filter(pl.col("reason").is_not_null()).rechunk()

    def of_its_rule(texts: Sequence[pl.Expr]) -> pl.Expr:
        chosen = [pl.when(pl.col("reason") == rule.reason).then(text) for rule, text in zip(rules, texts, strict=True)]
        return pl.coalesce(*chosen)

    return good, bad.with_columns(
        detail=of_its_rule([rule.detail for rule in rules]),
        remedy=of_its_rule([pl.lit(rule.remedy) for rule in rules]),
    )


def _with_first(frame: pl.DataFrame, key: str) -> pl.DataFrame:
    return frame.with_columns(first=pl.col("row").min().over("symbol", key))


def _settle(
    good: pl.DataFrame,
    bad: Sequence[pl.DataFrame],
    table: FileTable,
    file: DataFile,
    *,
    schema: pl.Schema,
    repair: bool,
) -> Judged:
    latest = pl.col("time").cum_max().shift(1).over("symbol")
    _, disordered = _part(good.with_columns(latest_before=latest), [IN_ORDER])
    refused = pl.concat(bad, how="diagonal").sort("row")
    if repair and not _repairable(refused, table):
        raise _refusal(refused, table, file, repair=True)
    if not repair and refused.height + disordered.height:
        raise _refusal(pl.concat([refused, disordered], how="diagonal").sort("row"), table, file, repair=False)
    notes = list(table.notes)
    if refused.height:
        counts = refused.group_by("reason").len().sort("len", "reason", descending=[True, False])
        reasons = ", ".join(f"{reason} {count}" for reason, count in counts.iter_rows())
        notes.append(f"{file.path.name}: {refused.height} of {table.frame.height} rows were set aside ({reasons}).")
    if disordered.height:
        rows = _runs(disordered["row"].sort().to_list())
        notes.append(
            f"{file.path.name}: {disordered.height} rows stood out of order and were sorted ({table.unit}s {rows})."
        )
    return Judged(
        frame=good.with_columns(timestamp=pl.col("time").cast(TIMESTAMP))
        .sort("timestamp", "symbol", maintain_order=True)
        .select(schema.names()),
        set_aside=refused.select(
            "symbol",
            timestamp=READABLE_TIME,
            file=pl.lit(file.path.name),
            line="row",
            reason="reason",
            detail="detail",
        ).cast(SetAsideTable.schema),
        notes=tuple(notes),
    )


def _refusal(problems: pl.DataFrame, table: FileTable, file: DataFile, *, repair: bool) -> InputError:
    """Return the error that names the first problem, and how many there are."""
    first = problems.sort("row").with_columns(timestamp=READABLE_TIME.dt.epoch("ms")).row(0, named=True)
    where = [str(file.path), f"{table.unit} {first['row']}"]
    if first["symbol"] is not None:
        where.append(f"symbol {first['symbol']}")
    if first["timestamp"] is not None:
        where.append(format_ms(first["timestamp"]))
    what, rows = first["detail"], f"{problems.height} of {table.frame.height} rows are not usable"
    if repair:
        return InputError(
            f"{rows}, more than the {MAX_SET_ASIDE:.0%} that a repair may set aside; the first: {what}",
            where=", ".join(where),
            remedy=f"{first['remedy']}; export or download the file again",
        )
    more = f" ({rows})" if problems.height > 1 else ""
    remedy = f"{first['remedy']}, {_REPAIR}" if _repairable(problems, table) else first["remedy"]
    return InputError(f"{what}{more}", where=", ".join(where), remedy=remedy)


def _repairable(problems: pl.DataFrame, table: FileTable) -> bool:
    to_set_aside = problems.filter(pl.col("reason") != IN_ORDER.reason).height
    return to_set_aside <= MAX_SET_ASIDE * table.frame.height


def _interval(good: pl.DataFrame, file: DataFile) -> Interval:
    """Return the interval that the name gives, or else the commonest step from bar to bar."""
    steps = _steps(good)
    if file.interval is not None:
        if sum(steps.values()) >= _STEPS_THAT_TELL and file.interval.milliseconds not in steps:
            raise InputError(
                f"the name says {file.interval}, but no bars are that far apart; most are {_length(next(iter(steps)))}",
                where=str(file.path),
                remedy="name the file after its real interval, or download it again",
            )
        return file.interval
    if not steps:
        raise InputError(
            "a single bar does not tell its interval",
            where=str(file.path),
            remedy="add bars, or put the interval into the name, as in BTC-1h.parquet",
        )
    commonest = next(iter(steps))
    interval = interval_of_length(commonest)
    if interval is None:
        raise InputError(
            f"most bars are {_length(commonest)} apart, which is no known interval",
            where=str(file.path),
            remedy=f"bring bars of one of {', '.join(known.name for known in INTERVALS)}",
        )
    return interval


def _steps(good: pl.DataFrame) -> dict[int, int]:
    """Return how often each step from bar to bar occurs, in milliseconds, the commonest first."""
    distinct = good.select("symbol", "time").unique().sort("symbol", "time")
    steps = distinct.select(step=pl.col("time").diff().over("symbol")).drop_nulls().group_by("step").len()
    return dict(steps.sort("len", "step", descending=[True, False]).iter_rows())


def _length(milliseconds: int) -> str:
    interval = interval_of_length(milliseconds)
    return interval.name if interval else f"{milliseconds / 1000:g} s"


def _runs(rows: Sequence[int]) -> str:
    """Write row numbers as runs: ``3-7, 12``."""
    runs: list[list[int]] = []
    for row in rows:
        if runs and row <= runs[-1][1] + 1:
            runs[-1][1] = row
        else:
            runs.append([row, row])
    named = [str(low) if low == high else f"{low}-{high}" for low, high in runs[:_RUNS_NAMED]]
    return ", ".join(named) + (f" and {len(runs) - _RUNS_NAMED} more runs" if len(runs) > _RUNS_NAMED else "")
