"""`FileSource`: candles and funding from a folder of a person's own files, or from one file."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl

from quant_organism.errors import InputError
from quant_organism.market.files.any_table import Hints
from quant_organism.market.files.checks import Judged, judge_candles, judge_funding, judge_trades, without_forming
from quant_organism.market.files.headers import parse_columns
from quant_organism.market.files.recognise import find_files
from quant_organism.market.files.table import INTERVALS, DataFile, Kind
from quant_organism.market.files.tally import (
    FileTally,
    Wanted,
    of_candles,
    of_funding,
    of_parts,
    of_trades,
    per_symbol,
    tally,
)
from quant_organism.market.files.times import check_time_unit
from quant_organism.market.resample import divides, make_longer_bars, open_of_longer
from quant_organism.market.schema import Interval, check_market_id, choose_symbols, day_of, format_ms
from quant_organism.market.sentiment import read_sentiment
from quant_organism.market.tables import CandleTable, FundingTable, SentimentTable, SetAsideTable

_NOT_IN_AN_ID: Final = re.compile(r"[^a-z0-9_.-]+")


@dataclass(frozen=True)
class _Parsed:
    judged: Judged
    interval: Interval | None  # of candles
    read: Mapping[str, int]  # rows of each symbol
    repeated: Mapping[str, int]


class FileSource:
    """A market read from files in place; nothing is ever written to them. Implements `CandleSource`.

    A file is read once, when a question first needs it; `notes` and `set_aside` speak of the files read so far.

    Parameters
    ----------
    path
        A folder (its files, not the folders inside) or one file.
    market
        Name of the market in the lake; by default ``files-`` and the name of the folder or file.
    repair
        False: the first row that breaks a rule is an InputError. True: such rows are set aside, rows out of order are
        sorted, and of duplicates the first is kept, as long as at most 5 % of a file's rows are set aside.
    index
        File of a Fear & Greed index (see `market.sentiment.read_sentiment`); None: there is none.
    as_of
        Aware date-time; bars that close later are set aside as forming. None: every bar counts as closed.
    columns
        What columns are whose names do not tell, such as ``close=Last`` or, where columns have no names, ``close=5``.
    time_unit
        What timestamps count: s, ms, us or ns, or how dates are written (``%d/%m/%Y``); None: the data tell.

    Raises
    ------
    InputError
        Nothing readable is at `path`, `market` cannot name a market, or `as_of` has no time zone.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        market: str | None = None,
        repair: bool = False,
        index: Path | None = None,
        as_of: datetime | None = None,
        columns: Sequence[str] = (),
        time_unit: str | None = None,
    ) -> None:
        if as_of is not None and as_of.tzinfo is None:
            raise InputError(f"as_of {as_of} has no time zone", remedy="give it in UTC")
        self._path = Path(path).resolve()
        self._columns, self._time_unit = tuple(columns), time_unit
        hints = Hints(parse_columns(columns), check_time_unit(time_unit))
        self._files, self._folder_notes = find_files(self._path, hints)
        self._market = check_market_id(_default_market(self._path) if market is None else market)
        self._repair = repair
        self._sentiment = SentimentTable.empty() if index is None else read_sentiment(index)
        self._as_of = None if as_of is None else as_of.astimezone(UTC)
        self._parsed: dict[Path, _Parsed] = {}
        self._bars: dict[tuple[Path, Interval], Judged] = {}
        self._series: dict[Interval, dict[str, pl.DataFrame]] = {}
        self._funding: dict[str, pl.DataFrame] | None = None
        self._made: dict[tuple[str, Interval], tuple[Interval, pl.DataFrame]] = {}  # of which bars, and what lacks some

    @property
    def market(self) -> str:
        """Name of this market in the lake."""
        return self._market

    def describe(self) -> dict[str, Any]:
        """Return what was asked for, and the files that answer with their formats and sizes in bytes.

        `as_of` is left out: it is a clock's reading, and the same files stay the same market.
        """
        said: dict[str, Any] = {"columns": list(self._columns)} if self._columns else {}
        said |= {"time_unit": self._time_unit} if self._time_unit else {}
        return said | {
            "kind": "files",
            "path": str(self._path),
            "repair": self._repair,
            "files": [
                {"name": file.path.name, "format": file.format, "kind": file.kind, "bytes": file.path.stat().st_size}
                for file in self._files
            ],
        }

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols that there are candles or trades of, sorted."""
        found: set[str] = set()
        for file in self._of_kind("candles", "trades"):
            found |= set(self._read(file).judged.frame["symbol"]) if file.symbol is None else {file.symbol}
        return tuple(sorted(found))

    def intervals(self) -> tuple[Interval, ...]:
        """Return the intervals on offer, shortest first; trades offer every one."""
        if self._of_kind("trades"):
            return INTERVALS
        found = {file.interval or self._read(file).interval for file in self._of_kind("candles")}
        return tuple(interval for interval in INTERVALS if interval in found)

    def span(self, interval: Interval) -> tuple[date, date]:
        """Return the first UTC day with a bar, and the last day whose last bar is there for some symbol.

        Where no day is complete, the second is the last day with a bar.

        Raises
        ------
        InputError
            As `candles`.
        """
        stamps = pl.concat([frame["timestamp"] for frame in self._series_of(interval).values()]).dt.epoch("ms")
        first, last = int(stamps.min()), int(stamps.max())  # type: ignore[arg-type]
        last_complete = day_of(last + interval.milliseconds) - timedelta(days=1)
        return day_of(first), last_complete if last_complete >= day_of(first) else day_of(last)

    def candles(self, symbols: Sequence[str], interval: Interval, start: date, end: date) -> pl.DataFrame:
        """Return the candles that open on the UTC days `start` to `end` (inclusive), sorted by (timestamp, symbol).

        Raises
        ------
        InputError
            A file breaks the rules, a symbol is not on offer, no bars are of this interval, or two files hold the same
            bars.
        """
        wanted = choose_symbols(symbols, self.symbols(), where=str(self._path))
        return _days(self._series_of(interval), wanted, CandleTable.schema, start, end)

    def funding(self, symbols: Sequence[str], start: date, end: date) -> pl.DataFrame:
        """Return the funding stamped on the UTC days `start` to `end` (inclusive); a symbol without any has no rows.

        Raises
        ------
        InputError
            A file breaks the rules, a symbol is not on offer, or two files hold the same settlements.
        """
        wanted = choose_symbols(symbols, self.symbols(), where=str(self._path))
        if self._funding is None:
            self._funding = _joined((file, self._read(file).judged.frame) for file in self._of_kind("funding"))
        return _days(self._funding, wanted, FundingTable.schema, start, end)

    def sentiment(self, start: date, end: date) -> pl.DataFrame:
        """Return the index published on the UTC days `start` to `end` (inclusive); empty without a file of it."""
        return self._sentiment.filter(pl.col("timestamp").dt.date().is_between(start, end))

    def set_aside(self) -> pl.DataFrame:
        """Return the rows that could not be used and why, by `SetAsideTable`."""
        return pl.concat([SetAsideTable.empty(), *[judged.set_aside for judged in self._judged_so_far()]])

    def notes(self) -> tuple[str, ...]:
        """Return, in sentences, what was left aside in the folder and what was put right in the files."""
        alone = sorted(set(self._funding or ()) - set(self.symbols()))
        unused = [f"Funding of {', '.join(alone)} has no candles beside it and is not used."] if alone else []
        read = [note for judged in self._judged_so_far() for note in judged.notes]
        return (*self._folder_notes, *read, *unused, *self._longer_bars(), *self._other_intervals())

    def _longer_bars(self) -> list[str]:
        """Say which bars are made of shorter ones, and how many could not be."""
        notes = []
        for (symbol, interval), (shorter, incomplete) in sorted(self._made.items()):
            lacking = f"; {incomplete.height} lack some of them and were left aside" if incomplete.height else ""
            notes.append(f"{symbol}: {interval} bars are made of {shorter} bars{lacking}.")
        return notes

    def _other_intervals(self) -> list[str]:
        """Say which files hold bars of a length that nobody has asked for so far."""
        asked, others = set(self._series), []
        for file in self._of_kind("candles"):
            interval = file.interval or (self._parsed[file.path].interval if file.path in self._parsed else None)
            if asked and interval is not None and interval not in asked:
                others.append(f"{file.path.name} holds {interval} bars: import them with --interval {interval}.")
        return others

    def tally(self, symbols: Sequence[str] | None, interval: Interval, start: date, end: date) -> list[FileTally]:
        """Return what an import of these symbols and days at this interval makes of every row, file by file.

        A file whose name says another interval is not read for it, and has no tally; `notes` tell.

        Raises
        ------
        InputError
            As `candles` and `funding`.
        """
        wanted = Wanted(choose_symbols(symbols, self.symbols(), where=str(self._path)), start, end)
        self._series_of(interval)
        tallies: list[FileTally] = []
        for file in self._files:
            bases = {shorter for (_, longer), (shorter, _) in self._made.items() if longer == interval}
            if file.kind == "candles" and file.interval not in (None, interval, *bases):
                continue
            parsed = self._read(file)
            tallies += tally(
                file.path.name,
                file.kind,
                parsed.read,
                parsed.judged.set_aside,
                parsed.judged.frame,
                self._why_not(file, parsed, interval, wanted),
                parsed.repeated,
            )
        return tallies

    def _why_not(self, file: DataFile, parsed: _Parsed, interval: Interval, wanted: Wanted) -> pl.Expr:
        if file.kind == "candles":
            if parsed.interval == interval:
                return of_candles(wanted)
            bases = {symbol: base for symbol in wanted.symbols if (base := self._made.get((symbol, interval)))}
            parts = {
                symbol: incomplete for symbol, (shorter, incomplete) in bases.items() if shorter == parsed.interval
            }
            return of_parts(wanted, interval, parts)
        if file.kind == "funding":
            return of_funding(wanted, self.symbols())
        bars = self._bars.get((file.path, interval))
        forming = SetAsideTable.empty() if bars is None else bars.set_aside
        candles = [other for other in self._of_kind("candles") if other.interval in (None, interval)]
        with_candles = {
            symbol
            for other in candles
            if self._read(other).interval == interval
            for symbol in self._read(other).judged.frame["symbol"].unique()
        }
        return of_trades(wanted, open_of_longer(interval), forming, with_candles)

    def _of_kind(self, *kinds: Kind) -> list[DataFile]:
        return [file for file in self._files if file.kind in kinds]

    def _judged_so_far(self) -> list[Judged]:
        by_file = [self._parsed[file.path].judged for file in self._files if file.path in self._parsed]
        return [*by_file, *[self._bars[key] for key in sorted(self._bars)]]

    def _read(self, file: DataFile) -> _Parsed:
        if file.path not in self._parsed:
            self._parsed[file.path] = self._judge(file)
        return self._parsed[file.path]

    def _judge(self, file: DataFile) -> _Parsed:
        table = file.read(file)
        counts = (per_symbol(table.frame), table.repeated)
        if file.kind == "funding":
            return _Parsed(judge_funding(table, file, repair=self._repair), None, *counts)
        if file.kind == "trades":
            return _Parsed(judge_trades(table, file, repair=self._repair), None, *counts)
        judged, interval = judge_candles(table, file, repair=self._repair)
        if self._as_of is not None:
            judged = without_forming(judged, interval, self._as_of, file.path.name)
        return _Parsed(judged, interval, *counts)

    def _series_of(self, interval: Interval) -> dict[str, pl.DataFrame]:
        """Return the bars of each symbol: from candles, or from trades where there are no candles of this interval."""
        if interval not in self._series:
            candles = [file for file in self._of_kind("candles") if file.interval in (None, interval)]
            series = _joined(
                (file, self._read(file).judged.frame) for file in candles if self._read(file).interval == interval
            )
            of_trades = _joined((file, self._bars_of(file, interval)) for file in self._of_kind("trades"))
            self._series[interval] = (of_trades | series) or self._made_longer(interval)
        if not self._series[interval]:
            known = ", ".join(known.name for known in self.intervals())
            closed = "" if self._as_of is None else f" that closed by {self._as_of:%Y-%m-%d %H:%M UTC}"
            raise InputError(
                f"no {interval} bars here{closed}",
                where=str(self._path),
                remedy=f"there are {known} bars: choose with --interval {self.intervals()[-1]}"
                if self.intervals() and interval not in self.intervals()
                else "wait until one has closed, or bring older files",
            )
        return self._series[interval]

    def _made_longer(self, interval: Interval) -> dict[str, pl.DataFrame]:
        """Return bars made of the longest shorter ones that there are of each symbol."""
        made: dict[str, pl.DataFrame] = {}
        for shorter in reversed([known for known in self.intervals() if divides(known, interval)]):
            base = self._series_of(shorter)
            for symbol in sorted({*base} - {*made}):
                longer = make_longer_bars(base[symbol], shorter, interval)
                made[symbol] = longer.bars
                self._made[symbol, interval] = (shorter, longer.incomplete)
        return {symbol: bars for symbol, bars in made.items() if bars.height}

    def _bars_of(self, file: DataFile, interval: Interval) -> pl.DataFrame:
        key = (file.path, interval)
        if key not in self._bars:
            note = f"{file.path.name}: {interval} bars are made of trades; the first and the last may lack some."
            bars = bars_of_trades(self._read(file).judged.frame, interval)
            judged = Judged(bars, SetAsideTable.empty(), (note,))
            if self._as_of is not None:
                judged = without_forming(judged, interval, self._as_of, file.path.name)
            self._bars[key] = judged
        return self._bars[key].frame


def _default_market(path: Path) -> str:
    name = path.name if path.is_dir() else path.name.split(".", 1)[0]
    return f"files-{_NOT_IN_AN_ID.sub('-', name.lower()).strip('-') or 'data'}"[:80]


def _days(
    series: dict[str, pl.DataFrame], symbols: Sequence[str], schema: pl.Schema, start: date, end: date
) -> pl.DataFrame:
    within = pl.col("timestamp").dt.date().is_between(start, end)
    frames = [series[symbol].filter(within) for symbol in symbols if symbol in series]
    return pl.concat([schema.to_frame(), *frames]).sort("timestamp", "symbol")


def _joined(parts: Iterable[tuple[DataFile, pl.DataFrame]]) -> dict[str, pl.DataFrame]:
    """Put the files together by symbol; only files that their format splits by date may share one.

    Raises
    ------
    InputError
        Two files hold the same symbol, or the same time of it.
    """
    claims: dict[str, list[tuple[DataFile, pl.DataFrame]]] = {}
    for file, frame in parts:
        for (symbol,), rows in frame.partition_by("symbol", as_dict=True).items():
            earlier = claims.setdefault(str(symbol), [])
            for other, others in earlier:
                _refuse_overlap(str(symbol), other, others, file, rows)
            earlier.append((file, rows))
    return {symbol: pl.concat([rows for _, rows in claimed]).sort("timestamp") for symbol, claimed in claims.items()}


def _refuse_overlap(symbol: str, other: DataFile, others: pl.DataFrame, file: DataFile, rows: pl.DataFrame) -> None:
    both = f"{other.path.name} and {file.path.name} both hold {symbol}"
    if not (other.dated and file.dated):
        raise InputError(
            both,
            where=str(file.path.parent),
            remedy="move one of them out of the folder, or import each from a folder of its own with --market",
        )
    common = rows.join(others, on="timestamp", how="semi")["timestamp"].dt.epoch("ms")
    if common.len():
        raise InputError(
            f"{both} at {format_ms(common[0])}",
            where=str(file.path.parent),
            remedy="remove the file that the other one covers (a day's beside its month's)",
        )


def bars_of_trades(trades: pl.DataFrame, interval: Interval) -> pl.DataFrame:
    """Return the bars in which there were trades, by `CandleTable`, sorted by (timestamp, symbol).

    Parameters
    ----------
    trades
        symbol, timestamp, price, amount (base units); in order of time, trades of one millisecond in order of match.
    interval
        Length of the bars.
    """
    return (
        trades.with_columns(open_of_longer(interval))
        .group_by("timestamp", "symbol", maintain_order=True)
        .agg(
            open=pl.col("price").first(),
            high=pl.col("price").max(),
            low=pl.col("price").min(),
            close=pl.col("price").last(),
            volume=pl.col("amount").sum(),
        )
        .sort("timestamp", "symbol")
        .select(CandleTable.schema.names())
    )
