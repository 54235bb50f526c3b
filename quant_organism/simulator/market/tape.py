"""Bars to replay, in the venue's own numbers."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.market import MS_PER_HOUR, CandleSource, Interval, day_start_ms
from quant_organism.venue.protocol import Instrument, MarginTier, nearest_price, number_coins, single_tier, tiers_of

RATE_DECIMALS: Final = 10
_DEX: Final = re.compile(r"[a-z0-9]{1,6}")
MIN_LOTS: Final = 4
"""Least volume of a bar with trades: one for each of open, high, low and close."""

_TIERED: Final = (
    (56, tiers_of([(0, 40), (150_000_000, 20)])),
    (55, tiers_of([(0, 25), (100_000_000, 15)])),
    (52, tiers_of([(0, 20), (40_000_000, 10)])),
)
_OTHERS: Final = 10


@dataclass(frozen=True, eq=False)
class Tape:
    """Aligned bars of some instruments.

    Parameters
    ----------
    instruments
        N assets; those named `dex:COIN` belong to a builder-deployed dex.
    interval
        Length of a bar.
    times
        (T,) int64: open of each bar in ms, without gaps.
    open, high, low, close
        (T, N) int64: scaled legal prices; 0 where there is no bar.
    volume
        (T, N) int64: scaled sizes; 0 where nothing was traded.
    rate_e10
        (T, N) int64: funding rate of one hour, settled at the bar's close, in 1e-10.
    has_rate
        (T, N) bool: whether the rate was recorded.
    """

    instruments: tuple[Instrument, ...]
    interval: Interval
    times: NDArray[np.int64]
    open: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    close: NDArray[np.int64]
    volume: NDArray[np.int64]
    rate_e10: NDArray[np.int64]
    has_rate: NDArray[np.bool_]

    @cached_property
    def assets(self) -> list[int]:
        """Asset ids of the instruments; each dex counts its own."""
        return number_coins([instrument.name for instrument in self.instruments])

    def shifted(self, milliseconds: int) -> "Tape":
        """Return the same bars at other times."""
        return replace(self, times=self.times + milliseconds)

    def deployed(self, dexs: Mapping[str, str]) -> "Tape":
        """Return the same bars with some coins listed on builder-deployed dexs, with isolated margin only.

        Parameters
        ----------
        dexs
            Dex by coin; `{"GOLD": "xyz"}` makes GOLD `xyz:GOLD`.

        Raises
        ------
        InputError
            No instrument of that name, or a dex's name that is not 1 to 6 letters or digits.
        """
        unknown = dexs.keys() - {instrument.name for instrument in self.instruments}
        bad = sorted({dex for dex in dexs.values() if not _DEX.fullmatch(dex)})
        if unknown or bad:
            raise InputError(
                f"no bars of {', '.join(sorted(unknown))}" if unknown else f"no dex can be called {', '.join(bad)}",
                where="dex",
                remedy="name coins of the source, and a dex of 1 to 6 lower-case letters or digits",
            )
        listed = tuple(
            replace(each, name=f"{dexs[each.name]}:{each.name}", only_isolated=True) if each.name in dexs else each
            for each in self.instruments
        )
        return replace(self, instruments=listed)


def read_tape(
    source: CandleSource,
    interval: Interval,
    symbols: Sequence[str] | None = None,
    days: tuple[date, date] | None = None,
) -> Tape:
    """Return the bars of a source as a tape.

    Parameters
    ----------
    source
        Files, a simulated market, any other.
    interval
        Length of a bar, an hour at most where funding is to be settled as recorded.
    symbols
        None: all.
    days
        First and last UTC day; None: all.

    Raises
    ------
    InputError
        There are no bars.
    """
    names = tuple(source.symbols() if symbols is None else symbols)
    first, last = source.span(interval) if days is None else days
    candles = source.candles(names, interval, first, last)
    if candles.is_empty():
        raise InputError(
            f"no {interval} bars from {first} to {last}", where=source.market, remedy="choose other days or symbols"
        )
    length = ((last - first).days + 1) * interval.bars_per_day
    times = day_start_ms(first) + np.arange(length, dtype=np.int64) * interval.milliseconds
    prices = {name: _first_price(candles, name) for name in names}
    instruments = list_instruments(prices)
    grids = {
        column: _grid(candles, column, names, times, interval) for column in ("open", "high", "low", "close", "volume")
    }
    scaled = {column: _scale(grids[column], instruments, column) for column in grids}
    scaled["high"] = np.maximum.reduce([scaled[c] for c in ("open", "high", "close")])
    scaled["low"] = np.minimum.reduce([scaled[c] for c in ("open", "low", "close")])
    rates = _rates(source, names, first, last, times, interval)
    return Tape(
        instruments=instruments,
        interval=interval,
        times=times,
        rate_e10=np.round(np.nan_to_num(rates) * 10.0**RATE_DECIMALS).astype(np.int64),
        has_rate=np.isfinite(rates),
        **scaled,
    )


def list_instruments(prices: dict[str, float]) -> tuple[Instrument, ...]:
    """Return instruments for coins and their prices in USD: a lot is worth about a dollar, the first have tiers."""
    listed = []
    for i, (name, price) in enumerate(prices.items()):
        table, tiers = _TIERED[i] if i < len(_TIERED) else (_OTHERS, single_tier(_OTHERS))
        listed.append(_instrument(name, price, table, tiers))
    return tuple(listed)


def _instrument(name: str, price: float, table: int, tiers: tuple[MarginTier, ...]) -> Instrument:
    return Instrument(name, min(5, max(0, math.ceil(math.log10(price)))), tiers, table)


def _first_price(candles: pl.DataFrame, name: str) -> float:
    rows = candles.filter(pl.col("symbol") == name)
    if rows.is_empty():
        raise InputError(f"no bars of {name}", where="replay", remedy="leave it out of the symbols")
    return float(rows["close"][0])


def _grid(
    frame: pl.DataFrame, column: str, names: Sequence[str], times: NDArray[np.int64], interval: Interval
) -> NDArray[np.float64]:
    grid = np.full((len(times), len(names)), np.nan)
    stamps = frame["timestamp"].cast(pl.Int64).to_numpy()
    rows = (stamps - times[0]) // interval.milliseconds
    columns = frame["symbol"].replace_strict({name: i for i, name in enumerate(names)}).to_numpy()
    inside = (rows >= 0) & (rows < len(times))
    grid[rows[inside], columns[inside]] = frame[column].to_numpy()[inside]
    return grid


def _scale(grid: NDArray[np.float64], instruments: Sequence[Instrument], column: str) -> NDArray[np.int64]:
    scaled = np.zeros(grid.shape, dtype=np.int64)
    for i, instrument in enumerate(instruments):
        there = np.isfinite(grid[:, i])
        values = grid[there, i]
        if column == "volume":
            lots = np.round(values * 10.0**instrument.sz_decimals).astype(np.int64)
            scaled[there, i] = np.where(values > 0, np.maximum(lots, MIN_LOTS), 0)
        else:
            scaled[there, i] = [nearest_price(value, instrument.px_decimals) for value in values.tolist()]
    return scaled


def _rates(
    source: CandleSource,
    names: Sequence[str],
    first: date,
    last: date,
    times: NDArray[np.int64],
    interval: Interval,
) -> NDArray[np.float64]:
    """Return the rate settled at each bar's close: stamps lie a little after the hour."""
    frame = source.funding(names, first, last)
    if frame.is_empty():
        return np.full((len(times), len(names)), np.nan)
    early = frame.with_columns(
        (pl.col("timestamp").cast(pl.Int64) // MS_PER_HOUR * MS_PER_HOUR - interval.milliseconds)
        .cast(frame.schema["timestamp"])
        .alias("timestamp")
    )
    return _grid(early, "funding_rate", names, times, interval)
