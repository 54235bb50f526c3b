"""Prices inside a bar, the mark that follows them, and what funding is made of."""

import math
from dataclasses import dataclass
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.simulator.core.book import BookSide
from quant_organism.venue.protocol import price_step

BASIS_SECONDS: Final = 150.0
MID_SECONDS: Final = 30.0
INTEREST_E10: Final = 10**6
"""Interest of eight hours, 0.01 %, in 1e-10."""

_CLAMP_E10: Final = 5 * 10**6


def bar_path(rng: np.random.Generator, bar: tuple[int, int, int, int], ticks: int, decimals: int) -> NDArray[np.int64]:
    """Return scaled legal prices that begin at the open, touch high and low, and end at the close.

    Parameters
    ----------
    rng
        Draws when the extremes are touched, and the noise between.
    bar
        Scaled open, high, low and close; a rising bar touches its low first.
    ticks
        How many prices, at least 4.
    decimals
        Decimals of the asset's prices.
    """
    start, high, low, end = bar
    first, second = (low, high) if end >= start else (high, low)
    early = 1 + int(rng.integers(0, max(1, ticks // 2 - 1)))
    late = early + 1 + int(rng.integers(0, max(1, ticks - early - 2)))
    knots = [0, early, late, ticks - 1]
    path = np.interp(np.arange(ticks), knots, [start, first, second, end])
    path += rng.normal(0.0, 0.15 * max(high - low, 1) / np.sqrt(ticks), ticks)
    step = price_step(start, decimals)
    legal = np.round(path / step).astype(np.int64) * step
    legal = np.clip(legal, low, high)
    legal[knots] = (start, first, second, end)
    return legal


def split_volume(rng: np.random.Generator, volume: int, ticks: int) -> NDArray[np.int64]:
    """Return scaled sizes of trades that add up to a bar's volume; none is empty where there is enough for all."""
    if volume < ticks:
        edges = np.floor(np.linspace(0, volume, ticks + 1)).astype(np.int64)
        return np.asarray(edges[1:] - edges[:-1], dtype=np.int64)
    weights = rng.exponential(1.0, ticks)
    cuts = np.floor(np.cumsum(weights) / weights.sum() * (volume - ticks)).astype(np.int64)
    cuts[-1] = volume - ticks
    return np.asarray(cuts - np.concatenate(([0], cuts[:-1])) + 1, dtype=np.int64)


@dataclass(slots=True)
class PriceTracker:
    """Moving averages of one asset, and the premiums of the present hour.

    Parameters
    ----------
    basis, mid
        Moving averages of mid less oracle over 150 s, and of the mid over 30 s; scaled prices.
    at_ms
        Time of the last price.
    premium_sum_e10, premiums
        Premiums of this hour, in 1e-10.
    """

    basis: float = 0.0
    mid: float = 0.0
    at_ms: int = 0
    premium_sum_e10: int = 0
    premiums: int = 0

    def mark(self, now_ms: int, oracle: int, bid: int | None, ask: int | None, last: int) -> int:
        """Return the scaled mark: the median of oracle plus basis, of bid, ask and last trade, and of the mid.

        The mean of other exchanges' perpetuals, which the venue takes as its third price, is not to be had here; the
        moving average of the mid stands for it.
        """
        middle = (bid + ask) / 2 if bid is not None and ask is not None else float(oracle)
        if self.at_ms == 0:
            self.basis, self.mid = middle - oracle, middle
        else:
            passed = max(0.0, (now_ms - self.at_ms) / 1000)
            self.basis += (1 - math.exp(-passed / BASIS_SECONDS)) * (middle - oracle - self.basis)
            self.mid += (1 - math.exp(-passed / MID_SECONDS)) * (middle - self.mid)
        self.at_ms = now_ms
        book = median([bid, ask, last or middle]) if bid is not None and ask is not None else middle
        return max(1, round(median([oracle + self.basis, book, self.mid])))

    def sample(self, premium_e10: int) -> None:
        """Take in a premium."""
        self.premium_sum_e10 += premium_e10
        self.premiums += 1

    def hourly_rate_e10(self) -> int:
        """Return the funding rate of the hour so far, in 1e-10."""
        mean = self.premium_sum_e10 // self.premiums if self.premiums else 0
        return (mean + min(max(INTEREST_E10 - mean, -_CLAMP_E10), _CLAMP_E10)) // 8

    def next_hour(self) -> None:
        """Forget the premiums of the hour that has ended."""
        self.premium_sum_e10, self.premiums = 0, 0


def premium_e10(oracle: int, impact_bid: int, impact_ask: int) -> int:
    """Return how far the book stands from the oracle, in 1e-10 of it."""
    return (max(impact_bid - oracle, 0) - max(oracle - impact_ask, 0)) * 10**10 // oracle


def impact_price(side: BookSide, notional: int) -> int | None:
    """Return the mean scaled price at which a notional in micro-USD could be traded, or None without enough depth."""
    spent, size = 0, 0
    for order in side:
        take = min(order.sz, -(-(notional - spent) // order.px))
        spent, size = spent + take * order.px, size + take
        if spent >= notional:
            return spent // size
    return None
