"""The weather of a market: how far it moves beside its usual, and how much its assets move as one, from bars alone.

Looked at once an hour, or at each close where bars are longer. Two breakers of it halve what an account wants; being a
function of the bars, they halve it in a backtest as they do live.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.account.breaker import BreakerRule, BreakerState
from quant_organism.backtest.account.risk import Restraint
from quant_organism.kernels.compiled import compiled
from quant_organism.market.panel import Panel
from quant_organism.market.schema import MS_PER_DAY, MS_PER_HOUR

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

USUAL_DAYS: Final = 30
LEAST_USUAL_DAYS: Final = 10
"""Days that the usual is the median of, and the fewest."""

LEAST_RETURNS: Final = 6
"""Fewest returns of a day that say anything: bars longer than four hours have no weather."""

CORRELATION_JUMP: Final = 0.25
"""A market whose assets move as one is in a storm only where they usually do so much less."""

_HALF: Final = Restraint(0.5, 0.5)

MARKET_VOLATILITY: Final = BreakerRule(
    name="market volatility",
    unit="times its median of 30 days",
    bound=4.0,
    release=2.0,
    trial_ms=MS_PER_DAY,
    restraint=_HALF,
    trial=_HALF,
)
MARKET_CORRELATION: Final = BreakerRule(
    name="market correlation",
    unit="mean of all pairs in 24 hours",
    bound=0.85,
    release=0.75,
    trial_ms=3 * MS_PER_HOUR,
    checks=3,
    restraint=_HALF,
    trial=_HALF,
)


class WeatherReading(NamedTuple):
    """A look at a market; what is not known is none.

    Parameters
    ----------
    volatility
        Of a day, over its usual.
    correlation, usual_correlation
        Mean of all pairs over a day, and its median of 30 days.
    """

    volatility: float | None = None
    correlation: float | None = None
    usual_correlation: float | None = None


class WeatherWindow(NamedTuple):
    """The latest looks at a market of N assets, S of them a day, H in the days that the usual is taken from.

    Parameters
    ----------
    last
        Latest close of each asset, 0 where the last look saw none, shape (N,).
    returns, market
        Of the last day, shapes (S, N) and (S,).
    volatilities, correlations
        In the order in which they came, and in rising order, shapes (2, H).
    counts
        Looks, volatilities and correlations so far, shape (3,).
    """

    last: Floats
    returns: Floats
    market: Floats
    volatilities: Floats
    correlations: Floats
    counts: Ints

    @classmethod
    def empty(cls, assets: int, looks: int) -> WeatherWindow:
        """Return a window that has seen nothing."""
        return cls(
            np.zeros(assets),
            np.full((looks, assets), np.nan),
            np.full(looks, np.nan),
            np.zeros((2, USUAL_DAYS * looks)),
            np.zeros((2, USUAL_DAYS * looks)),
            np.zeros(3, dtype=np.int64),
        )


def window_restraints(panel: Panel, start: int, stop: int) -> Floats:
    """Return what the weather of a panel holds back at the close before each bar of a window, and at its last.

    Parameters
    ----------
    panel
        From its first bar on it is followed.
    start, stop
        Rows of the window, T of them.

    Returns
    -------
    Shape (T + 1, 3).
    """
    held = MarketWeather(panel.symbols, panel.interval.milliseconds).follow(panel, stop)
    before = held[start - 1 : start] if start else np.ones((1, held.shape[1]))
    return np.concatenate([before, held[start:stop]])


class MarketWeather:
    """Follows a market bar by bar.

    Parameters
    ----------
    symbols
        Of its N assets; they are looked at in rising order, whatever order they are handed in.
    interval_ms
        Length of a bar.
    """

    def __init__(self, symbols: Sequence[str], interval_ms: int) -> None:
        self._interval = interval_ms
        self._order = sorted(range(len(symbols)), key=symbols.__getitem__)
        looks = MS_PER_DAY // max(interval_ms, MS_PER_HOUR)
        self._window = WeatherWindow.empty(len(symbols), looks) if looks >= LEAST_RETURNS else None
        self.volatility, self.correlation = BreakerState(), BreakerState()
        """Where the two breakers stand."""
        self.reading = WeatherReading()
        """The last look."""

    @property
    def restraint(self) -> Restraint:
        """What is held back at the last close."""
        one = self.volatility.restraint(MARKET_VOLATILITY)
        return one.also(self.correlation.restraint(MARKET_CORRELATION))

    def advance(self, time: int, close: Floats, valid: NDArray[np.bool_]) -> Restraint:
        """Take a bar in, and return what is held back at its close.

        Parameters
        ----------
        time
            Its open time, UTC milliseconds.
        close, valid
            Of each asset, shape (N,); anything where not valid.
        """
        if self._window is not None:
            times = np.array([time + self._interval])
            readings = _follow(self._window, times, close[None, self._order], valid[None, self._order])
            self._move(time + self._interval, *readings[0].tolist())
            self._read(readings)
        return self.restraint

    def follow(self, panel: Panel, stop: int) -> Floats:
        """Take the first bars of a panel in, and return what is held back at the close of each, shape (stop, 3)."""
        held = np.ones((stop, len(Restraint._fields)))
        if self._window is None or stop == 0:
            return held
        times = panel.times[:stop] + self._interval
        close, valid = panel.close[:stop][:, self._order], panel.valid[:stop][:, self._order]
        readings = _follow(self._window, times, close, valid)
        beyond = (readings[:, 1] >= MARKET_VOLATILITY.bound) | (readings[:, 2] >= MARKET_CORRELATION.bound)
        stormy, row = np.append(np.flatnonzero(beyond), stop), 0
        while True:
            if self._is_closed:  # nothing moves before the next storm
                row = int(stormy[np.searchsorted(stormy, row)])
            if row == stop:
                break
            self._move(int(times[row]), *readings[row].tolist())
            if not self._is_closed:
                held[row] = self.restraint
            row += 1
        self._read(readings)
        return held

    @property
    def _is_closed(self) -> bool:
        states = (self.volatility, self.correlation)
        return all(state.phase == "closed" and state.beyond == 0 for state in states)

    def _read(self, readings: Floats) -> None:
        looks = np.flatnonzero(readings[:, 0])
        if looks.size:
            known = (None if value != value else value for value in readings[looks[-1], 1:].tolist())
            self.reading = WeatherReading(*known)

    def _move(self, time: int, looked: float, ratio: float, correlation: float, usual: float) -> None:
        is_calm = not (ratio >= MARKET_VOLATILITY.bound or correlation >= MARKET_CORRELATION.bound)
        if not looked or (is_calm and self._is_closed):
            return
        self.volatility = self.volatility.after(MARKET_VOLATILITY, ratio if ratio == ratio else None, time)
        seen = correlation if correlation == correlation else None
        if seen is not None and self.correlation.phase == "closed" and not correlation - usual >= CORRELATION_JUMP:
            seen = 0.0
        self.correlation = self.correlation.after(MARKET_CORRELATION, seen, time)


@compiled
def _follow(window: WeatherWindow, times: Ints, close: Floats, valid: NDArray[np.bool_]) -> Floats:
    # Per bar: whether it was looked at, volatility over its usual, mean correlation, and the usual one; shape (T, 4).
    readings = np.full((times.size, 4), np.nan)
    for row in range(times.size):
        readings[row, 0] = 1.0 if times[row] % MS_PER_HOUR == 0 else 0.0
        if readings[row, 0] == 1.0:
            _look(window, close[row], valid[row], readings[row])
    return readings


@compiled
def _look(window: WeatherWindow, close: Floats, valid: NDArray[np.bool_], reading: Floats) -> None:
    looks, assets = window.returns.shape
    slot, total, known = window.counts[0] % looks, 0.0, 0
    for asset in range(assets):
        window.returns[slot, asset] = np.nan
        if valid[asset] and window.last[asset] > 0.0:
            moved = np.log(close[asset] / window.last[asset])
            window.returns[slot, asset] = moved
            total += moved
            known += 1
        window.last[asset] = close[asset] if valid[asset] else 0.0
    window.market[slot] = total / known if known > 0 else np.nan
    window.counts[0] += 1
    if window.counts[0] < looks:
        return
    least = LEAST_USUAL_DAYS * looks
    squares, seen = 0.0, 0
    for place in range(looks):
        if window.market[place] == window.market[place]:
            squares += window.market[place] * window.market[place]
            seen += 1
    if seen >= LEAST_RETURNS:
        volatility = np.sqrt(squares / seen)
        _remember(window.volatilities, window.counts, 1, volatility)
        usual = _median(window.volatilities[1], window.counts[1])
        if window.counts[1] >= least and usual > 0.0:
            reading[1] = volatility / usual
    correlation = _mean_correlation(window.returns)
    if correlation == correlation:
        _remember(window.correlations, window.counts, 2, correlation)
        reading[2] = correlation
        if window.counts[2] >= least:
            reading[3] = _median(window.correlations[1], window.counts[2])


@compiled
def _mean_correlation(returns: Floats) -> float:
    # Of all pairs of assets that moved and have every return of the day: from the sums of their standard scores.
    looks, assets = returns.shape
    sums, count = np.zeros(looks), 0
    for asset in range(assets):
        mean, squares = 0.0, 0.0
        for place in range(looks):
            mean += returns[place, asset]
        mean /= looks
        for place in range(looks):
            squares += (returns[place, asset] - mean) * (returns[place, asset] - mean)
        if squares > 0.0:  # nan is not
            deviation = np.sqrt(squares / looks)
            for place in range(looks):
                sums[place] += (returns[place, asset] - mean) / deviation
            count += 1
    if count < 2:
        return np.nan
    total = 0.0
    for place in range(looks):
        total += sums[place] * sums[place]
    return float((total / looks - count) / (count * (count - 1)))


@compiled
def _remember(series: Floats, counts: Ints, which: int, value: float) -> None:
    # Row 0 in the order of coming, row 1 rising; the oldest leaves both.
    room = series.shape[1]
    slot, known = counts[which] % room, min(counts[which], room)
    ranked = series[1]
    if known == room:
        place = np.searchsorted(ranked, series[0, slot])
        for at in range(place, room - 1):
            ranked[at] = ranked[at + 1]
        known -= 1
    place = np.searchsorted(ranked[:known], value)
    for at in range(known, place, -1):
        ranked[at] = ranked[at - 1]
    ranked[place] = value
    series[0, slot] = value
    counts[which] += 1


@compiled
def _median(ranked: Floats, count: int) -> float:
    known = min(count, ranked.size)
    return float((ranked[(known - 1) // 2] + ranked[known // 2]) / 2.0)
