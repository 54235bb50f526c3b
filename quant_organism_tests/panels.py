"""Small markets made by hand."""

import numpy as np

from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval

DAYS, ASSETS = 120, 3


def trending_panel(seed: int = 7, days: int = DAYS, assets: int = ASSETS, drift: float = 0.0008) -> Panel:
    """Return hourly bars whose drift, and with it the funding rate, keeps its sign for about four days at a time."""
    rng = np.random.default_rng(seed)
    bars = days * 24
    direction = np.repeat(rng.choice([-1.0, 1.0], size=(bars // 96 + 1, assets)), 96, axis=0)[:bars]
    close = 100 * np.exp(np.cumsum(drift * direction + 0.004 * rng.standard_normal((bars, assets)), axis=0))
    open_ = np.vstack([np.full((1, assets), 100.0), close[:-1]])
    spread = np.exp(np.abs(0.001 * rng.standard_normal((bars, assets))))
    return Panel.from_arrays(
        symbols=[f"S{i}" for i in range(assets)],
        interval=Interval.parse("1h"),
        times=1_700_006_400_000 + 3_600_000 * np.arange(bars),
        open=open_,
        high=np.maximum(open_, close) * spread,
        low=np.minimum(open_, close) / spread,
        close=close,
        volume=65_536.0 * np.exp(rng.standard_normal((bars, assets))),
        funding_rate=5e-5 * direction,
        funding_paid=5e-5 * direction,
    )
