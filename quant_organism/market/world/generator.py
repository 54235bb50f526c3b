"""Draw a world: shocks from independent streams, returns from the compiled walk, bars around them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from quant_organism.market.panel import Panel
from quant_organism.market.schema import MS_PER_HOUR, Interval, day_start_ms
from quant_organism.market.world.kernel import (
    BASE_SD,
    BREAKOUT,
    CARRY,
    MOMENTUM,
    RELATIVE_CARRY,
    RELATIVE_MOMENTUM,
    REVERSION,
    simulate,
)
from quant_organism.market.world.spec import Plant, WorldSpec

BURN_IN_BARS = 2_000
_TAIL = 4.5
_BRIDGE_STEPS = 12
_BRIDGE_SD = 1.15
_HALF_LIFE_BARS = 48.0
_RELATIVE_HALF_LIFE_BARS = 240.0
_MOOD_DAYS = 30

# Streams: each has its own numbers, so that what one component draws never shifts another's. A new one goes last.
_FACTOR, _OWN, _JUMPS, _COMMON_JUMP, _LEVEL, _PREMIUM, _MOMENTUM, _REVERSION, _BRIDGE, _VOLUME, _RELATIVE = range(11)

_ROWS = {
    "momentum": MOMENTUM,
    "breakout": BREAKOUT,
    "carry": CARRY,
    "reversion": REVERSION,
    "relative_momentum": RELATIVE_MOMENTUM,
    "relative_carry": RELATIVE_CARRY,
}

Floats = NDArray[np.float64]
_Draw = Callable[[np.random.Generator, int], Floats]


@dataclass(frozen=True, eq=False)
class WorldBars:
    """What the market shows, arrays of (T, N) unless said otherwise.

    Attributes
    ----------
    symbols
        N names.
    times
        (T,) int64, opens of the one-hour bars in UTC milliseconds.
    open, high, low, close, volume
        float64; volume in base units.
    funding_rate
        float64, fraction paid by longs at the close of each bar for the hour before.
    present
        bool; False before listing, after delisting and in gaps.
    fear_greed
        (days,) float64, index published at the midnight that begins each day; NaN in the first month.
    """

    symbols: tuple[str, ...]
    times: NDArray[np.int64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    funding_rate: Floats
    present: NDArray[np.bool_]
    fear_greed: Floats

    def panel(self) -> Panel:
        """Return the hours as a panel, without the mood: what a search sees where nobody stores the days."""
        return Panel.from_arrays(
            symbols=self.symbols,
            interval=Interval.parse("1h"),
            times=self.times,
            open=self.open,
            high=self.high,
            low=self.low,
            close=self.close,
            volume=self.volume,
            funding_rate=self.funding_rate,
            funding_paid=self.funding_rate,
            valid=self.present,
        )


@dataclass(frozen=True, eq=False)
class WorldTruth:
    """What no strategy can see: conditional mean, its planted part, and standard deviation of each return, (T, N)."""

    mean: Floats
    edge: Floats
    sd: Floats


def generate(spec: WorldSpec, seed: int) -> tuple[WorldBars, WorldTruth]:
    """Draw a world; equal spec and seed give equal bits on any machine with the same libraries.

    Parameters
    ----------
    spec
        What it is made of.
    seed
        Source of all randomness.

    Returns
    -------
    WorldBars, WorldTruth
        Over `spec.days` days of one-hour bars, after a burn-in that is thrown away.
    """
    n_bars, n_assets = BURN_IN_BARS + 24 * spec.days, len(spec.assets)
    times = day_start_ms(spec.start) + MS_PER_HOUR * np.arange(-BURN_IN_BARS, 24 * spec.days, dtype=np.int64)

    def common(component: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(component,)))

    def each(component: int, draw: _Draw) -> Floats:
        streams = [np.random.SeedSequence(seed, spawn_key=(component, asset)) for asset in range(n_assets)]
        return np.column_stack([draw(np.random.default_rng(stream), n_bars) for stream in streams])

    multiplier = np.array([asset.volatility for asset in spec.assets])
    returns, sd, mean, funding, edge = simulate(
        multiplier,
        _season(times),
        _student(common(_FACTOR), n_bars),
        each(_OWN, _student),
        each(_JUMPS, _own_jumps),
        _common_jumps(common(_COMMON_JUMP), n_bars),
        common(_LEVEL).standard_normal(n_bars),
        each(_PREMIUM, _normal),
        each(_MOMENTUM, _latent),
        each(_REVERSION, _normal),
        _beside_the_others(each(_RELATIVE, _slow_latent))
        if any(plant.family == "relative_momentum" for plant in spec.plants)
        else np.zeros((n_bars, n_assets)),
        _strengths(spec, times),
    )
    kept = slice(BURN_IN_BARS, None)
    close = np.array([asset.price for asset in spec.assets]) * np.cumprod(1.0 + returns[kept], axis=0)
    opened = np.vstack([[asset.price for asset in spec.assets], close[:-1]])
    high, low = _extremes(opened, close, sd[kept], seed)
    size = np.log(np.abs(returns) / sd + 0.25)
    volume = 1_000.0 * np.exp(0.6 * size + 0.9 * np.log(sd / (BASE_SD * multiplier)) + 0.35 * each(_VOLUME, _normal))
    bars = WorldBars(
        symbols=tuple(asset.symbol for asset in spec.assets),
        times=times[kept],
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=volume[kept],
        funding_rate=funding[kept],
        present=_present(spec, times[kept]),
        fear_greed=_mood(returns[kept]),
    )
    _silence(spec, bars)
    return bars, WorldTruth(mean=mean[kept], edge=edge[kept], sd=sd[kept])


def _normal(rng: np.random.Generator, bars: int) -> Floats:
    return rng.standard_normal(bars)


def _student(rng: np.random.Generator, bars: int) -> Floats:
    """Draw Student's t scaled to unit variance."""
    shocks: Floats = rng.standard_t(_TAIL, bars) * np.sqrt((_TAIL - 2.0) / _TAIL)
    return shocks


def _own_jumps(rng: np.random.Generator, bars: int) -> Floats:
    chance, size = _pairs(rng, bars)
    return (chance < 1.0 / 400.0) * 5.0 * size


def _common_jumps(rng: np.random.Generator, bars: int) -> Floats:
    chance, size = _pairs(rng, bars)
    return (chance < 1.0 / 900.0) * 5.0 * (size - 0.2)


def _pairs(rng: np.random.Generator, bars: int) -> tuple[Floats, Floats]:
    """Draw a uniform and a normal for each bar, bar by bar, so that a longer world begins with the shorter one."""
    uniform = rng.random((bars, 2))
    return uniform[:, 0], ndtri(uniform[:, 1])


def _beside_the_others(states: Floats) -> Floats:
    """Return states less their mean over the assets in each bar, (B, N)."""
    return np.asarray(states - states.mean(axis=1, keepdims=True))


def _slow_latent(rng: np.random.Generator, bars: int) -> Floats:
    """Draw an AR(1) of unit variance whose memory halves in ten days."""
    return _latent(rng, bars, _RELATIVE_HALF_LIFE_BARS)


def _latent(rng: np.random.Generator, bars: int, half_life: float = _HALF_LIFE_BARS) -> Floats:
    """Draw an AR(1) of unit variance whose memory halves in so many bars."""
    keeps = 2.0 ** (-1.0 / half_life)
    state, path = rng.standard_normal(), np.empty(bars)
    noise = np.sqrt(1.0 - keeps**2) * rng.standard_normal(bars)
    for t in range(bars):
        state = keeps * state + noise[t]
        path[t] = state
    return path


def _season(times: NDArray[np.int64]) -> Floats:
    hour = times // MS_PER_HOUR % 24
    weekend = (times // (24 * MS_PER_HOUR) + 3) % 7 >= 5  # the epoch was a Thursday
    daily = 1.0 + 0.22 * np.cos(2.0 * np.pi * (hour - 15) / 24.0)
    result: Floats = daily / np.sqrt(1.0 + 0.22**2 / 2.0) * np.where(weekend, 0.75, 1.08)
    return result


def _strengths(spec: WorldSpec, times: NDArray[np.int64]) -> Floats:
    strengths = np.zeros((len(_ROWS), len(times), len(spec.assets)))
    for plant in spec.plants:
        chosen = [plant.symbols is None or asset.symbol in plant.symbols for asset in spec.assets]
        strengths[_ROWS[plant.family]] += plant.strength * np.outer(_active(plant, times), chosen)
    return strengths


def _active(plant: Plant, times: NDArray[np.int64]) -> NDArray[np.bool_]:
    return _between(times, plant.start, plant.end)


def _between(times: NDArray[np.int64], first: date | None, after: date | None) -> NDArray[np.bool_]:
    inside = np.ones(len(times), dtype=bool)
    if first is not None:
        inside &= times >= day_start_ms(first)
    if after is not None:
        inside &= times < day_start_ms(after)
    return inside


def _extremes(opened: Floats, close: Floats, sd: Floats, seed: int) -> tuple[Floats, Floats]:
    """Return high and low of a Brownian bridge from open to close in logs; both enclose open and close."""
    steps = np.arange(1, _BRIDGE_STEPS) / _BRIDGE_STEPS
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    for asset in range(close.shape[1]):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_BRIDGE, asset)))
        walk = np.cumsum(rng.standard_normal((len(close), _BRIDGE_STEPS)), axis=1) / np.sqrt(_BRIDGE_STEPS)
        bridge = _BRIDGE_SD * sd[:, asset, None] * (walk[:, :-1] - steps * walk[:, -1:])
        start, end = np.log(opened[:, asset, None]), np.log(close[:, asset, None])
        path = np.exp(start + steps * (end - start) + bridge)
        high[:, asset] = np.maximum(high[:, asset], path.max(axis=1))
        low[:, asset] = np.minimum(low[:, asset], path.min(axis=1))
    return high, low


def _mood(returns: Floats) -> Floats:
    """Return an index of fear and greed: how far the mean asset moved in 30 days, against its usual daily moves.

    It is made of past prices alone, so that it adds nothing that a strategy could not know.
    """
    daily = np.log1p(returns.mean(axis=1)).reshape(-1, 24).sum(axis=1)
    mood = np.full(len(daily), np.nan)
    for day in range(_MOOD_DAYS, len(daily)):
        month = daily[day - _MOOD_DAYS : day]
        mood[day] = np.round(100.0 * ndtr(month.sum() / (month.std() * np.sqrt(_MOOD_DAYS))))
    return mood


def _rows(times: NDArray[np.int64], start_ms: int, bars: int) -> NDArray[np.bool_]:
    return (times > start_ms - MS_PER_HOUR) & (times <= start_ms + MS_PER_HOUR * (bars - 1))


def _present(spec: WorldSpec, times: NDArray[np.int64]) -> NDArray[np.bool_]:
    present = np.column_stack([_between(times, asset.listed, asset.delisted) for asset in spec.assets])
    column = {asset.symbol: i for i, asset in enumerate(spec.assets)}
    for gap in spec.gaps:
        present[_rows(times, int(gap.start.timestamp() * 1000), gap.bars), column[gap.symbol]] = False
    return present


def _silence(spec: WorldSpec, bars: WorldBars) -> None:
    """Stop trading in the named stretches: no volume, and the price of the bar before."""
    column = {symbol: i for i, symbol in enumerate(bars.symbols)}
    for stretch in spec.zero_volume:
        rows, asset = _rows(bars.times, int(stretch.start.timestamp() * 1000), stretch.bars), column[stretch.symbol]
        for row in np.flatnonzero(rows):
            still = bars.close[row - 1, asset] if row else bars.open[row, asset]
            for prices in (bars.open, bars.high, bars.low, bars.close):
                prices[row, asset] = still
            bars.volume[row, asset] = 0.0
