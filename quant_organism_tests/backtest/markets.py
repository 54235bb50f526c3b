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
) -> Panel:
    """Return a panel with price gaps and funding; with `holes`, also late listings, delistings and missing bars."""
    rng = np.random.default_rng(seed)
    shape = (bars, assets)
    jumps = rng.normal(0.0, overnight, shape) * (rng.random(shape) < 0.3)
    moves = rng.standard_t(3, shape) * volatility * np.repeat(rng.uniform(0.2, 1.5, (bars // 40 + 1, 1)), 40, 0)[:bars]
    moves = np.clip(moves, -0.4, 0.4)
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
    return Panel.from_arrays(
        symbols=[f"S{asset}" for asset in range(assets)],
        interval=step,
        times=MONDAY_MS + step.milliseconds * np.arange(bars),
        open=opens,
        high=high,
        low=low,
        close=close,
        volume=np.exp(rng.normal(5, 1, shape)),
        funding_paid=rng.normal(0, funding, shape) * (rng.random(shape) < 0.5),
        valid=valid,
    )
