"""The panel: aligned arrays of one universe and interval, as strategies and backtests see a market."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from quant_organism.errors import InputError
from quant_organism.market.funding import align_funding
from quant_organism.market.lake import Lake
from quant_organism.market.schema import Interval, choose_symbols, day_start_ms, format_ms
from quant_organism.market.sentiment import MAX_AGE_HOURS, align_sentiment
from quant_organism.market.tables import CandleTable, FundingTable, SentimentTable

_ARRAYS: Final = ("open", "high", "low", "close", "volume", "funding_rate", "funding_paid", "valid", "fear_greed")
_PRICES: Final = ("open", "high", "low", "close")
MAX_LOOKBACK_DAYS: Final = 730
"""Days that a panel looks back at most, unless more are asked for."""

_INDEX_RUN_IN: Final = timedelta(hours=MAX_AGE_HOURS)
FUNDING_RUN_IN: Final = timedelta(days=2)
"""What is read of funding before a panel, for the rate in force, and its period, at the first bar."""


@dataclass(frozen=True, eq=False)
class Panel:
    """Aligned market data of N assets over T bars; make one with `from_arrays` or `build_panel`.

    All arrays are C-contiguous and read-only. Two panels hold the same data exactly when their `hash` is equal.

    Parameters
    ----------
    symbols
        N names, the columns of the arrays.
    interval
        Length of a bar.
    times
        (T,) int64, bar opens in UTC milliseconds on a regular grid.
    open, high, low, close, volume
        (T, N) float64; NaN where not valid. Volume in base units.
    funding_rate
        (T, N) float64, fraction per HOUR in force and known at the bar's close, carried forward from the last
        settlement, the mean of those in a bar that holds several; NaN where unknown: before an asset's first one, and
        where two that were due have not come.
    funding_paid
        (T, N) float64, sum of the settlement fractions that a holder through the bar pays at stamps in (open, close].
    valid
        (T, N) bool; False before listing, after delisting and in gaps.
    fear_greed
        (T,) float64, Fear & Greed index of the whole market, 0 to 100, known at the bar's close; NaN where unknown.
    market
        Name of the market in the lake; not part of the hash.
    """

    symbols: tuple[str, ...]
    interval: Interval
    times: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    funding_rate: NDArray[np.float64]
    funding_paid: NDArray[np.float64]
    valid: NDArray[np.bool_]
    fear_greed: NDArray[np.float64]
    market: str

    @classmethod
    def from_arrays(
        cls,
        *,
        symbols: Sequence[str],
        interval: Interval,
        times: ArrayLike,
        open: ArrayLike,
        high: ArrayLike,
        low: ArrayLike,
        close: ArrayLike,
        volume: ArrayLike,
        funding_rate: ArrayLike | None = None,
        funding_paid: ArrayLike | None = None,
        valid: ArrayLike | None = None,
        fear_greed: ArrayLike | None = None,
        market: str = "arrays",
    ) -> "Panel":
        """Copy arrays into a panel, checked and in canonical form.

        Parameters
        ----------
        symbols, interval, times, open, high, low, close, volume, market
            As in `Panel`.
        funding_rate, funding_paid
            As in `Panel`; left out: no funding (NaN and 0).
        valid
            (T, N) bool; left out: every bar with a finite close.
        fear_greed
            As in `Panel`; left out: unknown.

        Raises
        ------
        InputError
            Shapes that do not fit, repeated symbols, a time axis that is not a regular grid of `interval`, or a valid
            bar whose prices are not finite, positive and enclosed by low and high (symbol and bar are named), or an
            index outside 0 to 100.
        """
        grid = _check_grid(np.array(times, dtype=np.int64), interval)
        names = tuple(symbols)
        if not names or len(set(names)) != len(names):
            raise InputError("a panel needs at least one symbol, each once", where=", ".join(names) or None)
        shape = (grid.size, len(names))
        floats = {
            "open": open,
            "high": high,
            "low": low,
            "close": close,
            "volume": volume,
            "funding_rate": np.full(shape, np.nan) if funding_rate is None else funding_rate,
            "funding_paid": np.zeros(shape) if funding_paid is None else funding_paid,
        }
        arrays = {name: _canonical(name, values, shape) for name, values in floats.items()}
        usable = np.isfinite(arrays["close"]) if valid is None else np.array(valid, dtype=np.bool_, order="C")
        if usable.shape != shape:
            raise InputError(f"valid has shape {usable.shape}, expected {shape} (bars, assets)")
        for name in (*_PRICES, "volume"):
            arrays[name][~usable] = np.nan
        _check_bars(arrays, usable, names, grid)
        index = _check_index(np.full(grid.size, np.nan) if fear_greed is None else fear_greed, grid)
        for array in (grid, usable, index, *arrays.values()):
            array.setflags(write=False)
        return cls(
            symbols=names, interval=interval, times=grid, valid=usable, fear_greed=index, market=market, **arrays
        )

    @property
    def n_bars(self) -> int:
        """Number of bars T."""
        return int(self.times.size)

    @property
    def n_assets(self) -> int:
        """Number of assets N."""
        return len(self.symbols)

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) of symbols, interval, shape, times and all arrays."""
        digest = hashlib.sha256()
        header = "\x1f".join((self.interval.name, str(self.n_bars), *self.symbols))
        digest.update(f"panel-2\x1e{header}\x1e".encode())
        digest.update(self.times.data)
        for name in _ARRAYS:
            digest.update(getattr(self, name).data)
        return digest.hexdigest()

    def window(self, start: int, stop: int) -> "Panel":
        """Return the bars of rows `start` to `stop` (exclusive), without copying.

        Raises
        ------
        InputError
            Unless 0 <= start < stop <= T.
        """
        if not 0 <= start < stop <= self.n_bars:
            raise InputError(f"no window of rows {start} to {stop} in a panel of {self.n_bars} bars")
        rows = {name: getattr(self, name)[start:stop] for name in ("times", *_ARRAYS)}
        return Panel(symbols=self.symbols, interval=self.interval, market=self.market, **rows)

    def with_prices(self, prices: Mapping[str, ArrayLike]) -> "Panel":
        """Return the same market at other prices.

        Parameters
        ----------
        prices
            `open`, `high`, `low` and `close`, each (T, N).

        Raises
        ------
        InputError
            As `from_arrays`.
        """
        kept = {name: getattr(self, name) for name in ("times", *_ARRAYS)}
        return Panel.from_arrays(symbols=self.symbols, interval=self.interval, market=self.market, **{**kept, **prices})


def _check_grid(times: NDArray[np.int64], interval: Interval) -> NDArray[np.int64]:
    if times.ndim != 1 or times.size == 0:
        raise InputError(f"times has shape {times.shape}, expected (bars,) with at least one bar")
    steps = np.diff(times)
    broken = np.flatnonzero(steps != interval.milliseconds)
    if broken.size:
        raise InputError(
            f"the bars are not one {interval} apart",
            where=f"after {format_ms(int(times[broken[0]]))}",
            remedy="put the bars on a regular grid and mark the missing ones as not valid",
        )
    if times[0] % interval.milliseconds:
        raise InputError(f"bars of {interval} do not open at {format_ms(int(times[0]))}")
    return times


def _check_index(values: ArrayLike, grid: NDArray[np.int64]) -> NDArray[np.float64]:
    index = _canonical("fear_greed", values, (grid.size,))
    outside = np.flatnonzero((index < 0.0) | (index > 100.0))
    if outside.size:
        raise InputError(
            f"fear_greed is {index[outside[0]]}, expected 0 to 100", where=format_ms(int(grid[outside[0]]))
        )
    return index


def _canonical(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Copy into one bit pattern per number: no negative zero, one NaN; otherwise equal data could hash apart."""
    array = np.array(values, dtype=np.float64, order="C")
    if array.shape != shape:
        raise InputError(
            f"{name} has shape {array.shape}, expected {shape} ({'bars, assets' if len(shape) > 1 else 'bars'})"
        )
    array += 0.0
    array[np.isnan(array)] = np.nan
    return array


def _check_bars(
    arrays: dict[str, NDArray[np.float64]], valid: NDArray[np.bool_], symbols: tuple[str, ...], times: NDArray[np.int64]
) -> None:
    broken = np.argwhere(valid & ~_sound(arrays))
    if broken.size:
        bar, asset = (int(index) for index in broken[0])
        found = ", ".join(f"{name} {arrays[name][bar, asset]}" for name in (*_PRICES, "volume"))
        raise InputError(
            f"not a possible bar: {found}",
            where=f"{symbols[asset]} at {format_ms(int(times[bar]))}",
            remedy="mark it as not valid, or repair it at its source",
        )
    if not np.isfinite(arrays["funding_paid"]).all():
        raise InputError("funding_paid must be finite everywhere", remedy="use 0 where nothing is paid")


def _sound(arrays: dict[str, NDArray[np.float64]]) -> NDArray[np.bool_]:
    """Return which bars can have happened: finite, positive, low and high around open and close."""
    low, high = arrays["low"], arrays["high"]
    body_low = np.minimum(arrays["open"], arrays["close"])
    body_high = np.maximum(arrays["open"], arrays["close"])
    volume = arrays["volume"]
    return (low > 0) & (low <= body_low) & (high >= body_high) & (high < np.inf) & (volume >= 0) & (volume < np.inf)


def build_panel(
    lake: Lake,
    market: str,
    interval: Interval,
    end: date,
    lookback_days: int | None,
    symbols: Sequence[str] | None,
    max_lookback_days: int = MAX_LOOKBACK_DAYS,
) -> Panel:
    """Return the panel of whole UTC days that ends with the day `end`; nothing later is looked at.

    Parameters
    ----------
    lake, market, interval
        Where the candles, funding and sentiment are.
    end
        Last UTC day: the last bar closes at the midnight that ends it.
    lookback_days
        Number of days; None: all there are, at most `max_lookback_days`.
    symbols
        Columns; None: every symbol with a usable bar inside the window, also those that list or delist inside it.
        A bar that cannot have happened (low above high, price 0) is a gap, as is one that is missing.
    max_lookback_days
        Upper limit of the lookback.

    Raises
    ------
    InputError
        Nothing in the lake, `end` outside the data, a lookback longer than the history or the limit, an unknown
        symbol, or a symbol or window without a usable bar.
    IntegrityError
        A file of the lake is damaged.
    """
    start = _first_day(lake, market, interval, end, lookback_days, max_lookback_days)
    candles = lake.table(CandleTable).read(market=market, interval=interval.name, start=start, end=end)
    present = candles["symbol"].unique().to_list()
    names = _choose(lake, market, interval, symbols, present, start, end)
    n_bars = ((end - start).days + 1) * interval.bars_per_day
    times = day_start_ms(start) + np.arange(n_bars, dtype=np.int64) * interval.milliseconds
    arrays = _on_grid(candles, names, times, interval)
    usable = _sound(arrays)
    if symbols is None:
        kept = np.flatnonzero(usable.any(axis=0))
        names, usable = tuple(names[column] for column in kept), usable[:, kept]
        arrays = {name: values[:, kept] for name, values in arrays.items()}
    without = [name for column, name in enumerate(names) if not usable[:, column].any()]
    if without or not names:
        raise InputError(
            f"no usable bar of {', '.join(without) or 'any symbol'} from {start} to {end}",
            where=f"market {market} at {interval}",
            remedy="see what is wrong with the data: quant-organism data quality",
        )
    settlements, published = lake.table(FundingTable), lake.table(SentimentTable)
    held = [day for day in settlements.days(market=market) if start - FUNDING_RUN_IN <= day <= end]
    funding = settlements.read(market=market, start=held[0], end=held[-1]) if held else FundingTable.empty()
    rate, paid = align_funding(funding, names, times, interval, usable)
    index = [day for day in published.days(market=market) if start - _INDEX_RUN_IN <= day <= end]
    sentiment = published.read(market=market, start=index[0], end=index[-1]) if index else SentimentTable.empty()
    return Panel.from_arrays(
        symbols=names,
        interval=interval,
        times=times,
        funding_rate=rate,
        funding_paid=paid,
        valid=usable,
        fear_greed=align_sentiment(sentiment, times, interval),
        market=market,
        **arrays,
    )


def _first_day(
    lake: Lake, market: str, interval: Interval, end: date, lookback_days: int | None, max_lookback_days: int
) -> date:
    """Return the first day of the window, once `end` and the lookback are known to fit the history."""
    days = lake.table(CandleTable).days(market=market, interval=interval.name)
    where = f"market {market} at {interval}"
    if not days:
        lake.table(CandleTable).read(market=market, interval=interval.name)  # raises, and says what the lake does hold
    first, last = days[0], days[-1]
    if not first <= end <= last:
        side = "before the first" if end < first else "after the last"
        raise InputError(
            f"{end} is {side} day of the data",
            where=where,
            remedy=f"choose a date from {first} to {last}, or import more days",
        )
    available = (end - first).days + 1
    if lookback_days is None:
        return max(first, end - timedelta(days=max_lookback_days - 1))
    if not 1 <= lookback_days <= max_lookback_days:
        raise InputError(f"the lookback is {lookback_days} days", remedy=f"choose 1 to {max_lookback_days} days")
    if lookback_days > available:
        raise InputError(
            f"the lookback of {lookback_days} days is longer than the history: up to {end} there are {available} days,"
            f" the first is {first}",
            where=where,
            remedy=f"look back at most {available} days, or import earlier ones",
        )
    return end - timedelta(days=lookback_days - 1)


def _choose(
    lake: Lake,
    market: str,
    interval: Interval,
    wanted: Sequence[str] | None,
    present: Sequence[str],
    start: date,
    end: date,
) -> tuple[str, ...]:
    where = f"market {market} at {interval}"
    if wanted is None or set(wanted) <= set(present):
        return choose_symbols(wanted, present, where=where)
    history = lake.table(CandleTable).scan(market=market, interval=interval.name).group_by("symbol")
    spans = history.agg(first=pl.col("timestamp").min(), last=pl.col("timestamp").max()).collect()
    names = choose_symbols(wanted, spans["symbol"].to_list(), where=where)
    absent = next(name for name in names if name not in present)
    row = spans.row(by_predicate=pl.col("symbol") == absent, named=True)
    raise InputError(
        f"{absent} has no bars from {start} to {end}",
        where=where,
        remedy=f"choose a window within its bars ({row['first']:%Y-%m-%d} to {row['last']:%Y-%m-%d}), or leave it out",
    )


def _on_grid(
    candles: pl.DataFrame, symbols: tuple[str, ...], times: NDArray[np.int64], interval: Interval
) -> dict[str, NDArray[np.float64]]:
    columns = {symbol: column for column, symbol in enumerate(symbols)}
    rows = candles.filter(pl.col("symbol").is_in(symbols)).with_columns(
        bar=(pl.col("timestamp").dt.epoch("ms") - int(times[0])) // interval.milliseconds,
        column=pl.col("symbol").replace_strict(columns, return_dtype=pl.Int64),
    )
    bar, column = rows["bar"].to_numpy(), rows["column"].to_numpy()
    arrays = {}
    for name in (*_PRICES, "volume"):
        arrays[name] = np.full((times.size, len(symbols)), np.nan)
        arrays[name][bar, column] = rows[name].to_numpy()
    return arrays
