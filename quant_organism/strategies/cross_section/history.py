"""What a cross-section knows of its assets' bars: running sums, from which any window ending at any bar is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled
from quant_organism.market import Panel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

BETA_HOURS: Final = 720
"""Own bars that an asset must have, the window of its beta and of its usual volume."""

VOLATILITY_HOURS: Final = 336
LIQUIDITY_HOURS: Final = 168

_FIRST_ROOM: Final = 1024


class Summed(IntEnum):
    """What is summed over an asset's own bars.

    `RETURN` is the logarithmic return since its bar before; `MARKET` the mean of those that the assets with a bar here
    and one step before had; `VOLUME` is in USD; `IDLE` counts bars without volume, `UNRATED` those without a funding
    rate.
    """

    RETURN_SQUARES = 0
    PRODUCTS = 1
    MARKET_SQUARES = 2
    MARKET = 3
    VOLUME = 4
    IDLE = 5
    FUNDING = 6
    UNRATED = 7


class CrossSectionHistory:
    """The bars of N assets so far, as running sums over each asset's own bars.

    Fed with one bar after the other it holds the same bits as fed with all at once.

    Parameters
    ----------
    n_assets
        Number of assets N; their order is that of all sums over assets.
    bar_hours
        Length of a bar in hours.

    Attributes
    ----------
    counts
        How many bars each asset has, shape (N,).
    log_close
        Logarithm of the close of each own bar, numbered from 1, shape (N, room).
    sums
        Of each `Summed` over the first e own bars at place e, shape (8, N, room).
    """

    def __init__(self, n_assets: int, bar_hours: float) -> None:
        self.bar_hours = bar_hours
        self.counts = np.zeros(n_assets, dtype=np.int64)
        self.log_close = np.zeros((n_assets, _FIRST_ROOM))
        self.sums = np.zeros((len(Summed), n_assets, _FIRST_ROOM))
        self._latest = np.full(n_assets, np.iinfo(np.int64).min // 2)

    def extend(
        self, numbers: Ints, close: Floats, volume: Floats, funding_rate: Floats, funding_paid: Floats, valid: Flags
    ) -> Ints:
        """Append rows of the time grid, and return how many bars each asset has had at each, shape (T, N).

        Parameters
        ----------
        numbers
            Absolute number of each row (open time over bar length), ascending, shape (T,).
        close, volume, funding_rate, funding_paid, valid
            As in a panel, shape (T, N); anything where not valid.
        """
        self._make_room(int(self.counts.max(initial=0)) + numbers.size + 1)
        ends = np.empty(valid.shape, dtype=np.int64)
        bars = close, volume, funding_rate, funding_paid, valid
        _extend(numbers, *bars, self.counts, self._latest, self.log_close, self.sums, ends)
        return ends

    def bars_of(self, hours: float) -> int:
        """Return how many bars cover so many hours, at least one."""
        return max(1, math.ceil(hours / self.bar_hours))

    def _make_room(self, places: int) -> None:
        room = self.log_close.shape[1]
        if places <= room:
            return
        wider = max(places, 2 * room)
        log_close, sums = self.log_close, self.sums
        self.log_close = np.zeros((log_close.shape[0], wider))
        self.sums = np.zeros((*sums.shape[:2], wider))
        self.log_close[:, :room], self.sums[:, :, :room] = log_close, sums


@dataclass(frozen=True, eq=False)
class CrossSectionView:
    """Windows of own bars that end at D chosen rows; what is too short for a window reads what there is.

    Parameters
    ----------
    history
        The bars.
    ends
        How many bars each asset has had at each row, shape (N, D).
    present
        Whether it has a bar there, shape (N, D).
    """

    history: CrossSectionHistory
    ends: Ints
    present: Flags

    def total(self, what: Summed, hours: float) -> Floats:
        """Return the sum over the last bars that cover so many hours, shape (N, D)."""
        return self._difference(self.history.sums[what], self.ends, self.history.bars_of(hours), least=0)

    def mean(self, what: Summed, hours: float) -> Floats:
        """Return the mean over the last bars that cover so many hours, shape (N, D)."""
        return np.asarray(self.total(what, hours) / self.history.bars_of(hours))

    def change(self, hours: float, skip_hours: float = 0.0) -> Floats:
        """Return the logarithmic return over so many hours that ended `skip_hours` ago, shape (N, D)."""
        ends = self.ends - (self.history.bars_of(skip_hours) if skip_hours else 0)
        return self._difference(self.history.log_close, ends, self.history.bars_of(hours), least=1)

    def market(self, hours: float, skip_hours: float = 0.0) -> Floats:
        """Return the market's return in the same bars, shape (N, D)."""
        ends = self.ends - (self.history.bars_of(skip_hours) if skip_hours else 0)
        return self._difference(self.history.sums[Summed.MARKET], ends, self.history.bars_of(hours), least=0)

    def volatility(self, hours: float) -> Floats:
        """Return the root of the mean squared return per bar, shape (N, D)."""
        return np.asarray(np.sqrt(np.maximum(self.mean(Summed.RETURN_SQUARES, hours), 0.0)))

    def beta(self) -> Floats:
        """Return the beta against the market, drawn half way to 1 and kept in [0.2, 3], shape (N, D)."""
        products, squares = self.total(Summed.PRODUCTS, BETA_HOURS), self.total(Summed.MARKET_SQUARES, BETA_HOURS)
        raw = np.divide(products, squares, out=np.ones_like(products), where=squares > 0.0)
        return shrunk_beta(raw)

    def _difference(self, values: Floats, ends: Ints, bars: int, *, least: int) -> Floats:
        assets = np.arange(ends.shape[0])[:, None]
        last, first = np.maximum(ends, least), np.maximum(ends - bars, least)
        return np.asarray(values[assets, last] - values[assets, first])


@dataclass(frozen=True, eq=False)
class CrossSectionBars:
    """All rows of a panel before one of them, ready for views; its assets are in the order of their symbols.

    Parameters
    ----------
    history
        The bars.
    numbers
        Absolute number of each row, shape (T,).
    ends
        How many bars each asset has had at each row, shape (T, N).
    present
        Whether it has a bar there, shape (T, N).
    """

    history: CrossSectionHistory
    numbers: Ints
    ends: Ints
    present: Flags

    @classmethod
    def of(cls, panel: Panel, stop: int | None = None) -> CrossSectionBars:
        """Read the rows of a panel before `stop`; default: all."""
        rows, order = slice(0, stop), sorted(range(panel.n_assets), key=panel.symbols.__getitem__)
        history = CrossSectionHistory(panel.n_assets, panel.interval.hours)
        numbers = panel.times[rows] // panel.interval.milliseconds
        close, volume, rate, paid = (
            np.ascontiguousarray(values[rows][:, order])
            for values in (panel.close, panel.volume, panel.funding_rate, panel.funding_paid)
        )
        valid = np.ascontiguousarray(panel.valid[rows][:, order])
        return cls(history, numbers, history.extend(numbers, close, volume, rate, paid, valid), valid)

    def view(self, rows: Ints) -> CrossSectionView:
        """Return the windows that end at some rows, shape (D,)."""
        return CrossSectionView(
            self.history, np.ascontiguousarray(self.ends[rows].T), np.ascontiguousarray(self.present[rows].T)
        )


def shrunk_beta(raw: Floats) -> Floats:
    """Return measured betas drawn half way to 1 and kept in [0.2, 3]."""
    return np.asarray(np.clip(0.5 + 0.5 * raw, 0.2, 3.0))


@compiled
def _extend(
    numbers: Ints,
    close: Floats,
    volume: Floats,
    funding_rate: Floats,
    funding_paid: Floats,
    valid: Flags,
    counts: Ints,
    latest: Ints,
    log_close: Floats,
    sums: Floats,
    ends: Ints,
) -> None:
    for t in range(numbers.size):
        total, listed = 0.0, 0
        for asset in range(counts.size):
            if valid[t, asset] and latest[asset] == numbers[t] - 1:
                total += math.log(close[t, asset]) - log_close[asset, counts[asset]]
                listed += 1
        market = total / listed if listed > 0 else 0.0
        for asset in range(counts.size):
            if valid[t, asset]:
                e = counts[asset]
                price = math.log(close[t, asset])
                step = price - log_close[asset, e] if e > 0 else 0.0
                own = sums[:, asset]
                own[0, e + 1] = own[0, e] + step * step
                own[1, e + 1] = own[1, e] + step * market
                own[2, e + 1] = own[2, e] + market * market
                own[3, e + 1] = own[3, e] + market
                own[4, e + 1] = own[4, e] + close[t, asset] * volume[t, asset]
                own[5, e + 1] = own[5, e] + (1.0 if volume[t, asset] == 0.0 else 0.0)
                own[6, e + 1] = own[6, e] + funding_paid[t, asset]
                own[7, e + 1] = own[7, e] + (0.0 if np.isfinite(funding_rate[t, asset]) else 1.0)
                log_close[asset, e + 1] = price
                counts[asset], latest[asset] = e + 1, numbers[t]
            ends[t, asset] = counts[asset]
