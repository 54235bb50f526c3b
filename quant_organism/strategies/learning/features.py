"""The twenty features that models are fitted on, all free of units of price and volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.compiled import compiled

if TYPE_CHECKING:
    from quant_organism.strategies.bank import Workshop

Floats = NDArray[np.float64]

_NO_SCALE = 1e-10
"""A feature with a standard deviation up to this is constant but for rounding."""


def feature_rows(shop: Workshop) -> Floats:
    """Return all features in their fixed order, shape (20, n); NaN before each one's first bar."""
    bars = shop.bars
    close, span = bars.close, bars.high - bars.low

    def row(name: str, period: int) -> Floats:
        return np.asarray(shop.make(name, np.array([period]))[0])

    top, bottom = row("highest_high", 20), row("lowest_low", 20)
    return np.stack(
        [
            log_change(close, 1),
            log_change(close, 3),
            log_change(close, 6),
            log_change(close, 12),
            log_change(close, 24),
            row("rsi", 14) / 100.0 - 0.5,
            row("ema", 12) / row("ema", 26) - 1.0,
            row("z_score", 20),
            row("atr", 14) / close,
            row("log_return_deviation", 24),
            _ratio(bars.volume, row("mean_volume", 24)) - 1.0,
            row("stochastic_k", 14) / 100.0 - 0.5,
            _ratio(close - bottom, top - bottom) - 0.5,
            log_change(close, 48),
            log_change(close, 72),
            row("efficiency_ratio", 24),
            span / close,
            _ratio(close - bars.open, span),
            _ratio(row("log_return_deviation", 6), row("log_return_deviation", 24)),
            close / row("vwap", 24) - 1.0,
        ]
    )


def log_change(close: Floats, lag: int) -> Floats:
    """Return ln(close[t] / close[t - lag]), shape (n,); NaN before bar lag."""
    row = np.full(close.size, np.nan)
    row[lag:] = np.log(close[lag:] / close[:-lag])
    return row


def forward_returns(close: Floats, horizon: int) -> Floats:
    """Return ln(close[t + horizon] / close[t]), shape (n,); NaN on the last `horizon` bars."""
    row = np.full(close.size, np.nan)
    row[: max(close.size - horizon, 0)] = log_change(close, horizon)[horizon:]
    return row


@compiled
def standardise(features: Floats, count: int, begin: int, end: int) -> tuple[Floats, Floats]:
    """Centre and scale the first `count` features over the training rows `begin` to `end`.

    Parameters
    ----------
    features
        Shape (20, n).
    count, begin, end
        How many features, and the rows from which alone means and scales are taken.

    Returns
    -------
    The standardised rows, shape (end - begin, count), and means and scales, shape (2, count). The scale of a constant
    feature is infinite, which makes it 0.
    """
    rows = end - begin
    scaled = np.empty((rows, count))
    moments = np.empty((2, count))
    for j in range(count):
        values = features[j, begin:end]
        mean = 0.0
        for i in range(rows):
            mean += values[i]
        mean /= rows
        squares = 0.0
        for i in range(rows):
            squares += (values[i] - mean) ** 2
        scale = np.sqrt(squares / rows)
        if scale <= _NO_SCALE:
            scale = np.inf
        for i in range(rows):
            scaled[i, j] = (values[i] - mean) / scale
        moments[0, j] = mean
        moments[1, j] = scale
    return scaled, moments


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.zeros(above.size), where=below != 0.0)
