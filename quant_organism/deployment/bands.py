"""What luck alone makes of a kept promise: recent sums and drawdowns of bootstrapped paths of a backtest."""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.deployment.live_evidence import Promise
from quant_organism.validation.statistics.decay import RECENT_HALF_LIFE_DAYS
from quant_organism.validation.statistics.resampling import politis_white_length
from quant_organism.validation.statistics.sequential import FLOOR, HALF_LIFE_DAYS

PATHS: Final = 1_000
LONGEST_DAYS: Final = 1_095
"""Days of a path at most: the recent sum of a longer one is spread alike, and a drawdown's bound only too tight."""

DRAWDOWN_QUANTILE: Final = 0.99

ALARM_DAYS: Final = 365
"""Days within which an alarm at the quantile above is false once in a hundred: it is looked at every night, and the
quantile of each night's own number of days is passed by one in twelve of those that keep their promise, most in the
first weeks."""

Floats = NDArray[np.float64]


class ReturnBand:
    """Paths of a strategy that keeps its promise: stationary bootstrap of its backtest's daily returns.

    A path of n days is the beginning of the path of n + 1 days, so that the band of a day is the same whenever it is
    asked for.

    Parameters
    ----------
    id
        Identity of the strategy: the seed of its paths.
    returns
        Net daily returns of its backtest on the days that judged it, float64 (T,).
    promise
        What its own days are standardised by.

    Raises
    ------
    InputError
        A return is not a number.

    Notes
    -----
    Politis, Romano 1994 (JASA 89); the mean block by `politis_white_length`.
    """

    def __init__(self, id: str, returns: Floats, promise: Promise) -> None:
        self._returns, self._promise = returns, promise
        self._ends = 1.0 / politis_white_length(returns)
        self._rng = np.random.default_rng(int.from_bytes(hashlib.sha256(f"band of {id}".encode()).digest()[:8]))
        self._rows = np.zeros(PATHS, dtype=np.int64)
        self._square = np.full(PATHS, promise.deviation**2)
        self._total, self._drawdown = np.zeros(PATHS), np.zeros(PATHS)
        self._equity, self._peak = np.ones(PATHS), np.ones(PATHS)
        self._totals: list[Floats] = []
        self._drawdowns: list[float] = []

    def rank(self, recent_sum: float, days: int) -> float:
        """Return the share of paths whose recent sum after so many days, at least 1, is no larger."""
        self._reach(days)
        return float(np.mean(self._totals[min(days, LONGEST_DAYS) - 1] <= recent_sum))

    def drawdown_alarm(self, days: int) -> float:
        """Return the drawdown beyond which a promise is not kept, as one may look every day; a fraction.

        The 99 % quantile of the largest one within a year, or within the days lived where they are more.
        """
        return self.largest_drawdown(max(days, ALARM_DAYS))

    def largest_drawdown(self, days: int) -> float:
        """Return the 99 % quantile of the largest drawdown within so many days, at least 1; a fraction."""
        self._reach(days)
        return self._drawdowns[min(days, LONGEST_DAYS) - 1]

    def _reach(self, days: int) -> None:
        keep, recent = 0.5 ** (1 / HALF_LIFE_DAYS), 0.5 ** (1 / RECENT_HALF_LIFE_DAYS)
        while len(self._totals) < min(days, LONGEST_DAYS):
            begins = self._rng.random(PATHS) < self._ends
            origin = self._rng.integers(0, self._returns.size, PATHS)
            if not self._totals:
                begins[:] = True
            self._rows = np.where(begins, origin, (self._rows + 1) % self._returns.size)
            values = self._returns[self._rows]
            deviation = np.maximum(np.sqrt(self._square), FLOOR * self._promise.deviation)
            self._square = keep * self._square + (1 - keep) * values**2
            self._total = recent * self._total + values / deviation
            self._equity = self._equity * np.maximum(0.0, 1.0 + values)
            self._peak = np.maximum(self._peak, self._equity)
            self._drawdown = np.maximum(self._drawdown, 1.0 - self._equity / self._peak)
            self._totals.append(self._total)
            self._drawdowns.append(float(np.quantile(self._drawdown, DRAWDOWN_QUANTILE)))
