"""Regimes of a market: what kind of day it was, told by that day and those before it alone.

Each module looks at one factor, such as volatility, and gives every day a label. Cut-offs come from the past only, and
a label changes no sooner than its number has left the band around the cut-off (hysteresis), so that it does not
flicker. The rows of a day are the same whatever came after it. What a regime is good for is for others to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quant_organism.market.lake import Lake
from quant_organism.market.schema import MS_PER_DAY, Interval, day_start_ms
from quant_organism.market.sentiment import FEAR, GREED, align_sentiment
from quant_organism.market.tables import CandleTable, RegimeTable, SentimentTable

Floats = NDArray[np.float64]

WINDOW_DAYS: Final = 30
"""Days that volatility, trend, correlation and dominance are measured over."""

USUAL_DAYS, LEAST_DAYS = 365, 60
"""What is usual is the median of so many days before the day; of fewer than the second it is not known."""

LATEST_DAYS: Final = 2
"""Days after which a regime says nothing of the present any more."""


@dataclass(frozen=True, eq=False)
class DailyMarket:
    """A market day by day, D days without a gap and N symbols.

    Attributes
    ----------
    days
        In order.
    symbols
        In order.
    returns
        Close over close of the day before, less 1, float64 (D, N); NaN where either is missing.
    traded
        Sum of close times volume of the day's bars, float64 (D, N); NaN without any.
    mood
        Fear & Greed index known at the end of the day, float64 (D,); NaN where none is younger than two days.
    """

    days: Sequence[date]
    symbols: Sequence[str]
    returns: Floats
    traded: Floats
    mood: Floats

    @property
    def mean_returns(self) -> Floats:
        """Mean return of all symbols that have one, float64 (D,)."""
        return _mean(self.returns)


@dataclass(frozen=True)
class RegimeModule:
    """One factor of a market.

    Parameters
    ----------
    name
        What it looks at.
    labels
        From the lowest numbers to the highest.
    bands
        Between each label and the next: the number at or below which it goes down, and at or above which it goes up.
    measure
        Gives every day its number, float64 (D,), of that day and earlier ones; NaN where it is not known.
    version
        Goes up with every change of meaning.
    """

    name: str
    labels: tuple[str, ...]
    bands: tuple[tuple[float, float], ...]
    measure: Callable[[DailyMarket], Floats]
    version: int = 1

    def places(self, numbers: Floats) -> NDArray[np.int64]:
        """Return the place of each day's label, int64 (D,), -1 where its number is NaN."""
        found = np.full(numbers.size, -1, dtype=np.int64)
        place: int | None = None
        for day in np.flatnonzero(np.isfinite(numbers)).tolist():
            value = float(numbers[day])
            if place is None:
                place = sum(value > (down + up) / 2 for down, up in self.bands)
            while place < len(self.bands) and value >= self.bands[place][1]:
                place += 1
            while place > 0 and value <= self.bands[place - 1][0]:
                place -= 1
            found[day] = place
        return found


def _volatility(market: DailyMarket) -> Floats:
    """Deviation of the mean return over its usual one."""
    deviation = _rolling(market.mean_returns, np.std)
    return deviation / _usual(deviation)


def _trend(market: DailyMarket) -> Floats:
    """Sum of the mean returns in deviations of a sum of as many."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = _rolling(market.mean_returns, np.sum) / (
            _rolling(market.mean_returns, np.std) * np.sqrt(float(WINDOW_DAYS))
        )
    return np.where(np.isfinite(found), found, np.nan)


def _correlation(market: DailyMarket) -> Floats:
    """Mean correlation of all pairs, less its usual one."""
    found = np.full(len(market.days), np.nan)
    for day in range(WINDOW_DAYS, len(market.days)):
        window = market.returns[day - WINDOW_DAYS + 1 : day + 1]
        deviations = window.std(axis=0)
        known = np.isfinite(deviations) & (deviations > 0)
        pairs = int(known.sum()) * (int(known.sum()) - 1)
        if pairs:
            scores = (window[:, known] - window[:, known].mean(axis=0)) / deviations[known]
            found[day] = (float((scores.sum(axis=1) ** 2).mean()) - int(known.sum())) / pairs
    return found - _usual(found)


def _volume(market: DailyMarket) -> Floats:
    """What was traded in a week over what is usual."""
    weekly = _rolling(_sum(market.traded), np.mean, days=7)
    return weekly / _usual(weekly)


def _dominance(market: DailyMarket) -> Floats:
    """Share of bitcoin in what was traded, less its usual one; not known without bitcoin or with nothing else."""
    own = [symbol.upper().startswith(("BTC", "XBT")) for symbol in market.symbols]
    if all(own) or not any(own):
        return np.full(len(market.days), np.nan)
    all_traded = _rolling(_sum(market.traded), np.sum)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = _rolling(_sum(market.traded[:, own]), np.sum) / all_traded
    share = np.where(all_traded > 0, share, np.nan)
    return share - _usual(share)


def _mood(market: DailyMarket) -> Floats:
    """The Fear & Greed index."""
    return market.mood


_OVER_USUAL: Final = ((0.9, 1.1),)

MODULES: Final[tuple[RegimeModule, ...]] = (
    RegimeModule("volatility", ("calm", "turbulent"), _OVER_USUAL, _volatility),
    RegimeModule("trend", ("falling", "rising"), ((-0.2, 0.2),), _trend),
    RegimeModule("correlation", ("apart", "together"), ((-0.05, 0.05),), _correlation),
    RegimeModule("volume", ("quiet", "busy"), _OVER_USUAL, _volume),
    RegimeModule("dominance", ("altcoins", "bitcoin"), ((-0.02, 0.02),), _dominance),
    RegimeModule("mood", ("fear", "neutral", "greed"), ((FEAR, 1.2 * FEAR), (100 - 1.2 * (100 - GREED), GREED)), _mood),
)
"""Every factor, in the order in which a regime names them; each can be taken out or added by itself."""


def regime_frame(market: DailyMarket, modules: Sequence[RegimeModule] = MODULES) -> pl.DataFrame:
    """Return `date` and the columns of `RegimeTable`: a row per day and module that is known on it.

    Parameters
    ----------
    market
        From its first day on: what is usual, and what held before, depend on where it begins.
    modules
        What is looked at.
    """
    rows: list[dict[str, Any]] = []
    for module in modules:
        numbers = module.measure(market)
        places, held = module.places(numbers), 0
        for day, place in enumerate(places.tolist()):
            held = 0 if place < 0 else held + 1 if day and places[day - 1] == place else 1
            if held:
                rows.append(
                    {
                        "date": market.days[day],
                        RegimeTable.module: module.name,
                        RegimeTable.label: module.labels[place],
                        RegimeTable.value: float(numbers[day]),
                        RegimeTable.days: held,
                        RegimeTable.module_version: module.version,
                    }
                )
    return pl.DataFrame(rows, schema={"date": pl.Date(), **RegimeTable.schema}).sort("date", maintain_order=True)


def daily_market(lake: Lake, market: str, interval: Interval, through: date) -> DailyMarket:
    """Return a market of the lake day by day, from its first day through a last one.

    Raises
    ------
    InputError
        The lake holds nothing of it up to then.
    """
    candles = lake.table(CandleTable).scan(market=market, interval=interval.name, end=through)
    daily = (
        candles.sort(CandleTable.timestamp)
        .group_by(pl.col(CandleTable.timestamp).dt.date().alias("day"), CandleTable.symbol)
        .agg(
            close=pl.col(CandleTable.close).last(),
            traded=(pl.col(CandleTable.close) * pl.col(CandleTable.volume)).sum(),
        )
        .collect()
    )
    first, symbols = daily["day"].min(), sorted(daily[CandleTable.symbol].unique())
    assert isinstance(first, date)
    days = [first + timedelta(days=n) for n in range((through - first).days + 1)]
    rows = (daily["day"].to_physical().to_numpy() - (first - date(1970, 1, 1)).days).astype(np.int64)
    columns = np.searchsorted(symbols, daily[CandleTable.symbol].to_numpy().astype(str))
    close, traded = (np.full((len(days), len(symbols)), np.nan) for _ in range(2))
    close[rows, columns], traded[rows, columns] = daily["close"].to_numpy(), daily["traded"].to_numpy()
    returns = np.full_like(close, np.nan)
    returns[1:] = close[1:] / close[:-1] - 1.0
    return DailyMarket(days, symbols, returns, traded, _daily_mood(lake, market, days))


def store_regimes(lake: Lake, market: str, interval: Interval, through: date) -> pl.DataFrame:
    """Store the regimes of a day, and of earlier days of its lake that have none; return all rows with their `date`.

    Raises
    ------
    InputError
        The lake holds nothing of the market up to then.
    """
    stored, where = lake.table(RegimeTable), {"market": market, "interval": interval.name}
    frame = regime_frame(daily_market(lake, market, interval, through))
    held = {day for day in stored.days(**where) if day != through}
    quoted = [day for day in lake.table(CandleTable).days(**where) if day <= through and day not in held]
    by_day = {key[0]: rows.drop("date") for key, rows in frame.partition_by("date", as_dict=True).items()}
    stored.write_days({day: by_day.get(day, RegimeTable.empty()) for day in quoted}, **where)
    return frame


class StoredRegimes:
    """The regime at each close, as the lake has it: what was known when the day of the close began.

    Parameters
    ----------
    lake, market, interval
        Whose regimes.
    """

    def __init__(self, lake: Lake, market: str, interval: Interval) -> None:
        self._stored, self._where = lake.table(RegimeTable), {"market": market, "interval": interval.name}
        self._day, self._said = date.min, ""

    def __call__(self, close_ms: int) -> str:
        """Return the labels of the last whole day before a close, such as `calm, rising, together, busy`.

        Empty where none of the two days before is known. The close at midnight ends its day.
        """
        day = datetime.fromtimestamp(close_ms // MS_PER_DAY * MS_PER_DAY / 1000, UTC).date() - timedelta(days=1)
        if day != self._day:
            self._day, self._said = day, self._of(day)
        return self._said

    def _of(self, day: date) -> str:
        for age in range(LATEST_DAYS):
            when = day - timedelta(days=age)
            if self._stored.path(day=when, **self._where).exists():
                rows = self._stored.read_day(when, **self._where)
                return ", ".join(rows[RegimeTable.label])
        return ""


def _daily_mood(lake: Lake, market: str, days: Sequence[date]) -> Floats:
    stored = lake.table(SentimentTable)
    held = [day for day in stored.days(market=market) if day <= days[-1]]
    if not held:
        return np.full(len(days), np.nan)
    # What is published at midnight lies under the next day, and is not known on this one.
    opens = np.array([day_start_ms(day) for day in days], dtype=np.int64) - 1
    return align_sentiment(stored.read(market=market, end=days[-1]), opens, Interval.parse("1d"))


def _mean(values: Floats) -> Floats:
    known = np.isfinite(values)
    count = known.sum(axis=1)
    sums = np.where(known, values, 0.0).sum(axis=1)
    return np.where(count > 0, sums / np.maximum(count, 1), np.nan)


def _sum(values: Floats) -> Floats:
    known = np.isfinite(values)
    return np.where(known.any(axis=1), np.where(known, values, 0.0).sum(axis=1), np.nan)


def _rolling(values: Floats, of: Callable[..., Any], days: int = WINDOW_DAYS) -> Floats:
    """Return a figure of each day and those before it, NaN where one of so many days is missing."""
    found = np.full(values.size, np.nan)
    if values.size >= days:
        found[days - 1 :] = of(np.lib.stride_tricks.sliding_window_view(values, days), axis=1)
    return found


def _usual(values: Floats) -> Floats:
    """Return the median of the days before each day, NaN where too few are known, or where it is zero."""
    found = np.full(values.size, np.nan)
    for day in range(LEAST_DAYS, values.size):
        before = values[max(0, day - USUAL_DAYS) : day]
        before = before[np.isfinite(before)]
        if before.size >= LEAST_DAYS and (median := float(np.median(before))) != 0.0:
            found[day] = median
    return found
