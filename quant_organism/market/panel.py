"""The panel: aligned arrays of one universe and interval, as strategies and backtests see a market."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quant_organism.errors import InputError
from quant_organism.market.schema import Interval, format_ms

_ARRAYS: Final = ("open", "high", "low", "close", "volume", "funding_rate", "funding_paid", "valid")
_PRICES: Final = ("open", "high", "low", "close")


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
        settlement; NaN before an asset's first one.
    funding_paid
        (T, N) float64, sum of the settlement fractions that a holder through the bar pays at stamps in (open, close].
    valid
        (T, N) bool; False before listing, after delisting and in gaps.
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

        Raises
        ------
        InputError
            Shapes that do not fit, repeated symbols, a time axis that is not a regular grid of `interval`, or a valid
            bar whose prices are not finite, positive and enclosed by low and high (symbol and bar are named).
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
        for array in (grid, usable, *arrays.values()):
            array.setflags(write=False)
        return cls(symbols=names, interval=interval, times=grid, valid=usable, market=market, **arrays)

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
        digest.update(f"panel-1\x1e{header}\x1e".encode())
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


def _canonical(name: str, values: ArrayLike, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Copy into one bit pattern per number: no negative zero, one NaN; otherwise equal data could hash apart."""
    array = np.array(values, dtype=np.float64, order="C")
    if array.shape != shape:
        raise InputError(f"{name} has shape {array.shape}, expected {shape} (bars, assets)")
    array += 0.0
    array[np.isnan(array)] = np.nan
    return array


def _check_bars(
    arrays: dict[str, NDArray[np.float64]], valid: NDArray[np.bool_], symbols: tuple[str, ...], times: NDArray[np.int64]
) -> None:
    low, high = arrays["low"], arrays["high"]
    body_low = np.minimum(arrays["open"], arrays["close"])
    body_high = np.maximum(arrays["open"], arrays["close"])
    sound = (low > 0) & (low <= body_low) & (high >= body_high) & (high < np.inf) & (arrays["volume"] >= 0)
    broken = np.argwhere(valid & ~sound)
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
