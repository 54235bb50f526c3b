"""Small candle and funding frames for the tests of this room."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from quant_organism.market.schema import CANDLE_SCHEMA, FUNDING_SCHEMA, Interval

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
                schema=CANDLE_SCHEMA,
            )
        )
    return pl.concat(frames).sort("timestamp", "symbol")


def funding(symbol: str, stamps: Sequence[datetime], rates: Sequence[float]) -> pl.DataFrame:
    """Return the settlements of one symbol."""
    return pl.DataFrame(
        {"symbol": [symbol] * len(stamps), "timestamp": list(stamps), "funding_rate": list(rates)},
        schema=FUNDING_SCHEMA,
    )
