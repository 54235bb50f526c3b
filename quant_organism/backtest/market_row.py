"""One bar of all assets, as it comes in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.kernels.compiled import compiled
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval, format_ms
from quant_organism.market.sentiment import beyond

_PRICES = ("open", "high", "low", "close", "volume", "funding_rate")


@dataclass(frozen=True, eq=False)
class MarketRow:
    """One bar of N assets, complete at its close.

    Parameters
    ----------
    time
        Open time, UTC milliseconds.
    open, high, low, close, volume
        Shape (N,); volume in base units. Anything where not valid.
    funding_rate
        Fraction per hour in force and known at the close, shape (N,); NaN where there is none.
    funding_paid
        Sum of the settlement fractions that a holder through the bar pays, shape (N,).
    valid
        Which assets have this bar, shape (N,).
    fear_greed
        Fear & Greed index of the whole market, 0 to 100, known at the close; NaN where unknown.
    """

    time: int
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    funding_rate: NDArray[np.float64]
    funding_paid: NDArray[np.float64]
    valid: NDArray[np.bool_]
    fear_greed: float = float("nan")

    @classmethod
    def of(cls, panel: Panel, row: int) -> MarketRow:
        """Return a row of a panel."""
        arrays = {name: getattr(panel, name)[row] for name in (*_PRICES, "funding_paid", "valid")}
        return cls(time=int(panel.times[row]), fear_greed=float(panel.fear_greed[row]), **arrays)

    @cached_property
    def columns(self) -> NDArray[np.float64]:
        """Open, high, low, close, volume and funding rate, shape (6, N)."""
        return np.array([getattr(self, name) for name in _PRICES])

    @cached_property
    def mood(self) -> tuple[float, float]:
        """How far the index is beyond greed and beyond fear (`market.sentiment.beyond`)."""
        greed, fear = beyond(self.fear_greed)
        return float(greed), float(fear)

    def check(self, symbols: Sequence[str]) -> None:
        """Refuse a bar that the rules are not defined on.

        Raises
        ------
        InputError
            An index outside 0 to 100; arrays of another shape than (N,);
            or a valid bar whose prices are not finite, positive and enclosed by
            low and high, or whose volume or funding is not finite.
        """
        if self.fear_greed < 0.0 or self.fear_greed > 100.0:
            raise InputError(f"fear_greed is {self.fear_greed}, expected 0 to 100", where=format_ms(self.time))
        for name in (*_PRICES, "funding_paid", "valid"):
            shape = np.shape(getattr(self, name))
            if shape != (len(symbols),):
                raise InputError(f"{name} has shape {shape}, expected ({len(symbols)},)", where=format_ms(self.time))
        asset = _first_unsound(self.columns, self.funding_paid, self.valid)
        if asset >= 0:
            found = ", ".join(f"{name} {getattr(self, name)[asset]}" for name in (*_PRICES[:5], "funding_paid"))
            raise InputError(
                f"not a possible bar: {found}",
                where=f"{symbols[asset]} at {format_ms(self.time)}",
                remedy="mark it as not valid, or repair it at its source",
            )


def bar_number(row: MarketRow, symbols: Sequence[str], interval: Interval) -> int:
    """Return the number of a bar, counted from 1970, after it was checked.

    Parameters
    ----------
    row, symbols, interval
        The bar, and what it should be of.

    Raises
    ------
    InputError
        The bar is not on the time grid, or not a possible one.
    """
    row.check(symbols)
    number, rest = divmod(row.time, interval.milliseconds)
    if rest:
        raise InputError(f"bars of {interval} do not open at this time", where=format_ms(row.time))
    return number


def next_number(number: int, interval: Interval, last: int | None) -> int:
    """Return the number of a bar that a stream is fed, after it was held against the last.

    Parameters
    ----------
    number, interval
        The bar, as `bar_number` returned it, and its length.
    last
        Number of the bar before; none: it is the first.

    Raises
    ------
    InputError
        The bar is not later than the last.
    """
    if last is not None and number <= last:
        raise InputError(
            f"the bar is not later than the last, {format_ms(last * interval.milliseconds)}",
            where=format_ms(number * interval.milliseconds),
            remedy="feed each bar once, in order",
        )
    return number


def check_history(history: Panel, symbols: Sequence[str], interval: Interval) -> None:
    """Refuse bars before the first of a stream that are of other assets or another interval."""
    if history.symbols != tuple(symbols) or history.interval != interval:
        raise InputError(
            f"the history holds {', '.join(history.symbols)} at {history.interval}, expected "
            f"{', '.join(symbols)} at {interval}",
            where="history of a stream",
        )


@compiled
def _first_unsound(columns: NDArray[np.float64], funding_paid: NDArray[np.float64], valid: NDArray[np.bool_]) -> int:
    # Number of the first valid asset whose bar is not possible, -1 without any; nothing is enclosed by NaN.
    opens, high, low, close, volume = columns[0], columns[1], columns[2], columns[3], columns[4]
    for asset in range(valid.size):
        below = 0.0 < low[asset] <= opens[asset] and low[asset] <= close[asset]
        above = opens[asset] <= high[asset] < np.inf and close[asset] <= high[asset]
        sound = below and above and 0.0 <= volume[asset] < np.inf and np.isfinite(funding_paid[asset])
        if valid[asset] and not sound:
            return asset
    return -1
