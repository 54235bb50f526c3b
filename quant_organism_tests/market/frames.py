"""Small candle and funding frames for the tests of this room."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from quant_organism.market.schema import Interval
from quant_organism.market.tables import CandleTable, FundingTable, SentimentTable, SetAsideTable

HOUR = Interval.parse("1h")


def at(day: date, hours: float = 0.0) -> datetime:
    """Return the moment that lies `hours` after the start of the UTC day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hours)


def candles(
    symbols: Sequence[str], start: date, n_days: int, *, seed: int = 0, interval: Interval = HOUR
) -> pl.DataFrame:
    """Return a random walk for each symbol over whole days, sorted by (timestamp, symbol)."""
    rng = np.random.default_rng(seed)
    n_bars = n_days * interval.bars_per_day
    frames = []
    for symbol in symbols:
        close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.01, n_bars))), 4)
        open_ = np.concatenate([[100.0], close[:-1]])
        frames.append(
            pl.DataFrame(
                {
                    "symbol": [symbol] * n_bars,
                    "timestamp": [at(start, interval.hours * bar) for bar in range(n_bars)],
                    "open": open_,
                    "high": np.maximum(open_, close) + 0.01,
                    "low": np.minimum(open_, close) - 0.01,
                    "close": close,
                    "volume": np.round(rng.random(n_bars), 3),
                },
                schema=CandleTable.schema,
            )
        )
    return pl.concat(frames).sort("timestamp", "symbol")


def funding(symbol: str, stamps: Sequence[datetime], rates: Sequence[float]) -> pl.DataFrame:
    """Return the settlements of one symbol."""
    return pl.DataFrame(
        {"symbol": [symbol] * len(stamps), "timestamp": list(stamps), "funding_rate": list(rates)},
        schema=FundingTable.schema,
    )


class FrameSource:
    """A source of given frames; implements `CandleSource`."""

    def __init__(
        self,
        bars: pl.DataFrame,
        settlements: pl.DataFrame | None = None,
        *,
        market: str = "frames",
        aside: pl.DataFrame | None = None,
        index: pl.DataFrame | None = None,
        seed: int = 0,
    ) -> None:
        self.market = market
        self.bars = bars
        self.settlements = FundingTable.empty() if settlements is None else settlements
        self.aside = SetAsideTable.empty() if aside is None else aside
        self.index = SentimentTable.empty() if index is None else index
        self.seed = seed

    def describe(self) -> dict[str, Any]:
        return {"kind": "frames", "seed": self.seed}

    def symbols(self) -> tuple[str, ...]:
        return tuple(sorted(self.bars["symbol"].unique()))

    def span(self, interval: Interval) -> tuple[date, date]:
        days = self.bars["timestamp"].dt.date()
        return days.min(), days.max()

    def candles(self, symbols: Sequence[str], interval: Interval, start: date, end: date) -> pl.DataFrame:
        return self._days(self.bars, symbols, start, end)

    def funding(self, symbols: Sequence[str], start: date, end: date) -> pl.DataFrame:
        return self._days(self.settlements, symbols, start, end)

    def sentiment(self, start: date, end: date) -> pl.DataFrame:
        return self.index.filter(pl.col("timestamp").dt.date().is_between(start, end))

    def set_aside(self) -> pl.DataFrame:
        return self.aside

    def _days(self, frame: pl.DataFrame, symbols: Sequence[str], start: date, end: date) -> pl.DataFrame:
        return frame.filter(pl.col("symbol").is_in(symbols), pl.col("timestamp").dt.date().is_between(start, end))
