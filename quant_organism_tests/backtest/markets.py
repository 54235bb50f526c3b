"""Small random markets for the tests of this room."""

from __future__ import annotations

import numpy as np

from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval

MONDAY_MS = 1_704_067_200_000


def random_panel(
    seed: int,
    bars: int = 400,
    assets: int = 3,
    *,
    interval: str = "1h",
    volatility: float = 0.01,
    overnight: float = 0.004,
    holes: bool = True,
    funding: float = 1e-4,
    settled_every_hours: float = 0.0,
    shocks: float = 0.0,
    moods: bool = False,
) -> Panel:
    """Return a panel with price gaps and funding; with `holes`, also late listings, delistings and missing bars.

    Funding is settled on every other bar or so, or every `settled_every_hours`; `shocks` is the size of a few
    overnight jumps in the logarithm of prices, up or down, each of which comes with a burst of funding. With `moods`
    there is a Fear & Greed index that visits both extremes.
    """
    rng, extra = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    shape = (bars, assets)
    jumps = rng.normal(0.0, overnight, shape) * (rng.random(shape) < 0.3)
    moves = rng.standard_t(3, shape) * volatility * np.repeat(rng.uniform(0.2, 1.5, (bars // 40 + 1, 1)), 40, 0)[:bars]
    moves = np.clip(moves, -0.4, 0.4)
    shocked = extra.random(shape) < 0.01
    jumps += shocks * shocked * extra.choice([-1.0, 1.0], shape)
    log_open = np.log(rng.uniform(0.1, 30_000, assets)) + np.cumsum(
        jumps + np.vstack([np.zeros(assets), moves[:-1]]), 0
    )
    opens, close = np.exp(log_open), np.exp(log_open + moves)
    high = np.maximum(opens, close) * (1 + np.abs(rng.normal(0, volatility / 2, shape)))
    low = np.minimum(opens, close) * (1 - np.minimum(np.abs(rng.normal(0, volatility / 2, shape)), 0.5))
    valid = np.ones(shape, dtype=bool)
    if holes:
        for asset in range(assets):
            first, last = rng.integers(0, bars // 3), rng.integers(bars // 2, 2 * bars)
            valid[:first, asset] = False
            valid[last:, asset] = False
            for _ in range(rng.integers(0, 4)):
                hole = rng.integers(0, bars)
                valid[hole : hole + rng.integers(1, 12), asset] = False
    step = Interval.parse(interval)
    times = MONDAY_MS + step.milliseconds * np.arange(bars)
    volume = np.exp(rng.normal(5, 1, shape))
    paid = rng.normal(0, funding, shape) * (rng.random(shape) < 0.5)
    if settled_every_hours:
        hours = (times - MONDAY_MS) / 3_600_000
        paid = funding * extra.normal(0, 1, shape) * (hours % settled_every_hours == 0)[:, None]
    paid = np.where(shocked & (shocks > 0), 30 * funding, paid)
    swing = np.sin(2 * np.pi * (np.arange(bars)[:, None] / 75 + extra.random(assets)))
    mood = np.clip(50 + 4 * np.cumsum(extra.normal(0, 1, bars)), 0, 100)
    fear_greed = np.where(extra.random(bars) < 0.05, np.nan, mood)
    return Panel.from_arrays(
        symbols=[f"S{asset}" for asset in range(assets)],
        interval=step,
        times=times,
        open=opens,
        high=high,
        low=low,
        close=close,
        volume=volume,
        funding_rate=1e-4 * swing,
        funding_paid=paid,
        valid=valid,
        fear_greed=fear_greed if moods else None,
    )
