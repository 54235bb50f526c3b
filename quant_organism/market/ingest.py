"""From a source into the lake, day by day: each day is whole or untouched, and the same input gives the same bytes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import polars as pl

from quant_organism.errors import InputError
from quant_organism.market.funding import settlement_day
from quant_organism.market.lake import Lake
from quant_organism.market.schema import Interval, check_market_id, choose_symbols, format_ms
from quant_organism.market.source import CandleSource
from quant_organism.market.table import Table, check_frame
from quant_organism.market.tables import CandleTable, FundingTable, SentimentTable, SetAsideTable
from quant_organism.resilience import alone_in

Progress = Callable[[int, int], None]
"""Called with (days done, days in all)."""

UNDATED: Final = date(1970, 1, 1)
"""The day under which the dataset `set_aside` keeps rows without a readable timestamp."""

_DAY_OF: Final[dict[type[Table], pl.Expr]] = {
    CandleTable: pl.col(CandleTable.timestamp).dt.date(),
    FundingTable: settlement_day(pl.col(FundingTable.timestamp)),
    SetAsideTable: pl.col(SetAsideTable.timestamp).dt.date().fill_null(UNDATED),
}
_IDENTITY: Final = ("kind", "path", "spec_hash", "seed")
_BARS_AT_ONCE: Final = 2_000_000
_DAYS_AT_ONCE: Final = 60
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class IngestReport:
    """What an ingestion brought into the lake.

    Parameters
    ----------
    market, interval, symbols
        What was ingested.
    start, end
        First and last day, after limiting the request to the days that the source has.
    bars, settlements, set_aside
        Rows that the source delivered: candles, funding, and rows that it could not use.
    sentiment
        Values of the Fear & Greed index that it delivered; 0 where it has none.
    files_written
        Files of the lake that changed; the others already held the same bytes.
    changed
        Days whose candles, funding or sentiment changed, in order.
    """

    market: str
    interval: Interval
    symbols: tuple[str, ...]
    start: date
    end: date
    bars: int
    settlements: int
    set_aside: int
    sentiment: int
    files_written: int
    changed: tuple[date, ...]


def ingest(
    source: CandleSource,
    lake: Lake,
    interval: Interval,
    start: date,
    end: date,
    symbols: Sequence[str] | None = None,
    *,
    progress: Progress | None = None,
    wait_seconds: float = 300.0,
) -> IngestReport:
    """Bring the days `start` to `end` (inclusive) of a source into the lake.

    For the symbols ingested, a day then holds what the source says and nothing else; other symbols stay as they are.
    Funding that settles at a midnight is kept with the day that it closes. Interrupted at any moment, the lake holds
    each day as it was before or as it is after, and the same call completes it.

    Parameters
    ----------
    source, lake, interval
        From where, to where, and which bars.
    start, end
        UTC days; those that the source does not have are left out.
    symbols
        None: all that the source has.
    progress
        Called after every batch of days.
    wait_seconds
        How long to wait while another process ingests the same market.

    Raises
    ------
    InputError
        No day of the source is within `start` to `end`, an unknown symbol, data that break the schema, or a market
        that was ingested from another source before.
    StorageError
        The lake cannot be written; days already written stay.
    BusyError
        Another process is still ingesting the same market.
    """
    where = f"market {check_market_id(source.market)} at {interval}"
    first, last = source.span(interval)
    if end < start or end < first or start > last:
        raise InputError(f"no data from {start} to {end}", where=where, remedy=f"choose days from {first} to {last}")
    names = choose_symbols(symbols, source.symbols(), where=where)
    doing = f"importing market {source.market}"
    with alone_in(lake.root / "markets", doing, name=source.market, patience_s=wait_seconds):
        _record(source, lake)
        return _Ingestion(source, lake, interval, names).run(max(start, first), min(end, last), progress)


class _Ingestion:
    """One call of `ingest`, while it is the only one of its market."""

    def __init__(self, source: CandleSource, lake: Lake, interval: Interval, symbols: tuple[str, ...]) -> None:
        self._source = source
        self._lake = lake
        self._interval = interval
        self._symbols = symbols
        self._files_written = 0
        self._changed: set[date] = set()

    def run(self, start: date, end: date, progress: Progress | None) -> IngestReport:
        n_days = (end - start).days + 1
        days_at_once = max(1, _BARS_AT_ONCE // (self._interval.bars_per_day * len(self._symbols)))
        bars = settlements = set_aside = sentiment = 0
        for begin, until in _spans(start, end, days_at_once):
            candles, funding = self._candles(begin, until), self._funding(begin, until)
            bars, settlements = bars + candles.height, settlements + funding.height
            set_aside = self._set_aside(start, end)
            sentiment += self._sentiment(begin, until)
            for first, last in _spans(begin, until, _DAYS_AT_ONCE):  # candles last: a day that has them is complete
                self._replace(FundingTable, funding, first, last)
                self._replace(CandleTable, candles, first, last, self._interval.name)
                if progress is not None:
                    progress((last - start).days + 1, n_days)
        return IngestReport(
            market=self._source.market,
            interval=self._interval,
            symbols=self._symbols,
            start=start,
            end=end,
            bars=bars,
            settlements=settlements,
            set_aside=set_aside,
            sentiment=sentiment,
            files_written=self._files_written,
            changed=tuple(sorted(self._changed)),
        )

    def _candles(self, start: date, end: date) -> pl.DataFrame:
        where = f"candles of {self._source.market}"
        delivered = self._source.candles(self._symbols, self._interval, start, end)
        frame = check_frame(delivered, CandleTable.schema, where=where)
        _refuse(frame, pl.any_horizontal(pl.all().is_null()), "a bar with a missing value", where)
        off_grid = pl.col("timestamp").dt.epoch("ms") % self._interval.milliseconds != 0
        _refuse(frame, off_grid, f"a bar that does not open on the grid of {self._interval}", where)
        _refuse(frame, pl.struct("symbol", "timestamp").is_duplicated(), "two bars at the same time", where)
        return frame

    def _funding(self, start: date, end: date) -> pl.DataFrame:
        where = f"funding of {self._source.market}"
        delivered = self._source.funding(self._symbols, start, end + _ONE_DAY)
        frame = check_frame(delivered, FundingTable.schema, where=where)
        unreadable = pl.any_horizontal(pl.all().is_null()) | ~pl.col("funding_rate").is_finite()
        _refuse(frame, unreadable, "a settlement with a missing value", where)
        _refuse(frame, pl.struct("symbol", "timestamp").is_duplicated(), "two settlements at the same time", where)
        return frame.filter(_DAY_OF[FundingTable].is_between(start, end))

    def _sentiment(self, start: date, end: date) -> int:
        where, market = f"sentiment of {self._source.market}", self._source.market
        frame = check_frame(self._source.sentiment(start, end), SentimentTable.schema, where=where).sort("timestamp")
        by_day = frame.with_columns(day=pl.col("timestamp").dt.date()).partition_by(
            "day", as_dict=True, include_key=False, maintain_order=True
        )
        held = [day for day in self._lake.table(SentimentTable).days(market=market) if start <= day <= end]
        frames = dict.fromkeys(held, frame.clear()) | {day: rows for (day,), rows in by_day.items()}
        self._count(self._lake.table(SentimentTable).replace_days(frames, market=market))
        return frame.height

    def _set_aside(self, start: date, end: date) -> int:
        """Keep the rows set aside with the days that they belong to, also those outside `start` to `end`."""
        where = f"rows set aside of {self._source.market}"
        frame = check_frame(self._source.set_aside(), SetAsideTable.schema, where=where)
        rows = frame.filter(pl.col("symbol").is_in(self._symbols))
        days = rows.select(_DAY_OF[SetAsideTable]).to_series()
        for day in sorted({*days} - {start + timedelta(days=n) for n in range((end - start).days + 1)}):
            self._replace(SetAsideTable, rows, day, day)
        self._replace(SetAsideTable, rows, start, end)
        return rows.height

    def _replace(
        self, table: type[Table], rows: pl.DataFrame, start: date, end: date, interval: str | None = None
    ) -> None:
        """Make the days from `start` to `end` hold, of these symbols, those of `rows` and nothing else."""
        stored, market, day_of = self._lake.table(table), self._source.market, _DAY_OF[table].alias("day")
        kept = [rows.with_columns(day_of).filter(pl.col("day").is_between(start, end))]
        held = [day for day in stored.days(market=market, interval=interval) if start <= day <= end]
        if held:
            before = stored.read(market=market, interval=interval, start=start, end=end)
            kept.append(before.filter(~pl.col("symbol").is_in(self._symbols)).with_columns(day_of))
        merged = pl.concat(kept).sort("timestamp", "symbol", maintain_order=True)
        by_day = merged.partition_by("day", as_dict=True, include_key=False, maintain_order=True)
        frames = dict.fromkeys(held, rows.clear()) | {day: frame for (day,), frame in by_day.items()}
        changed = stored.replace_days(frames, market=market, interval=interval)
        self._count(changed, of_the_day=table is not SetAsideTable)

    def _count(self, changed: Sequence[date], *, of_the_day: bool = True) -> None:
        self._files_written += len(changed)
        self._changed.update(changed if of_the_day else ())


def _spans(start: date, end: date, n_days: int) -> Iterator[tuple[date, date]]:
    while start <= end:
        last = min(end, start + timedelta(days=n_days - 1))
        yield start, last
        start = last + _ONE_DAY


def _refuse(frame: pl.DataFrame, broken: pl.Expr, what: str, where: str) -> None:
    rows = frame.filter(broken)
    if rows.height:
        stamp = rows["timestamp"].dt.epoch("ms")[0]
        at = "without a timestamp" if stamp is None else f"at {format_ms(stamp)}"
        raise InputError(
            f"{what}: {rows['symbol'][0]} {at} ({rows.height} such rows)",
            where=where,
            remedy="correct it at the source",
        )


def _record(source: CandleSource, lake: Lake) -> None:
    """Record where the market comes from; refuse to mix two sources under one name."""
    described = source.describe()
    before = lake.source_of(source.market)
    differing = [key for key in _IDENTITY if before is not None and before.get(key) != described.get(key)]
    if before is not None and differing:
        key = differing[0]
        raise InputError(
            f"this market was imported from {key} {before.get(key)!r} before, not from {described.get(key)!r}",
            where=f"market {source.market}",
            remedy="give the new one a market name of its own",
        )
    lake.record_source(source.market, described)
