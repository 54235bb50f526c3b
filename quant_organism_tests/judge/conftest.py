"""Worlds and strategies that the tests of the judge share."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from quant_organism.errors import InputError
from quant_organism.judge import SandboxLimits, StrategySource
from quant_organism.judge.sandbox import StrategyProcess
from quant_organism.market import Interval, Panel

HOUR_MS = 3_600_000
BARS, ASSETS = 24 * 130, 4

FOLLOW = """
    import numpy as np

    def signal(panel, bars=24):
        close = panel.close
        moved = np.zeros(close.shape)
        moved[bars:] = np.sign(close[bars:] - close[:-bars])
        return np.nan_to_num(moved)
"""
"""Stand with the last moves; reads nothing but NumPy, so that its process starts at once."""


def market(*, edge: float = 0.0, seed: int = 0, bars: int = BARS, ended: int = 0) -> Panel:
    """Return hourly bars whose drift keeps its direction for days; of the last `ended` assets the bars end early."""
    rng = np.random.default_rng(seed)
    trend = np.repeat(rng.choice([-1.0, 1.0], size=(bars // 72 + 1, ASSETS)), 72, axis=0)[:bars]
    close = 100.0 * np.exp(np.cumsum(0.006 * (rng.standard_normal((bars, ASSETS)) + edge * trend), axis=0))
    opens = np.vstack([np.full((1, ASSETS), 100.0), close[:-1]])
    valid = np.ones(close.shape, dtype=bool)
    valid[bars // 2 :, ASSETS - ended :] = False
    return Panel.from_arrays(
        symbols=[f"A{asset}" for asset in range(ASSETS)],
        interval=Interval.parse("1h"),
        times=1_640_995_200_000 + HOUR_MS * np.arange(bars),
        open=opens,
        high=np.maximum(opens, close) * 1.001,
        low=np.minimum(opens, close) / 1.001,
        close=close,
        volume=np.full(close.shape, 1e6),
        valid=valid,
        market="made",
    )


@cache
def walls() -> str:
    """Return why this machine lets no process be shut in; empty where it does."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nothing.py"
        path.write_text("def signal(panel):\n    return panel\n")
        try:
            StrategyProcess(StrategySource(path=path)).close()
        except InputError as error:
            return error.what
    return ""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., StrategySource]:
    """Return what writes a strategy's file: shut in where the machine allows it, else trusted."""

    def written(text: str, *, seconds: float = 120.0, memory_mb: int = 2_048) -> StrategySource:
        path = tmp_path / "strategy.py"
        path.write_text(dedent(text))
        limits = SandboxLimits(seconds=seconds, memory_mb=memory_mb)
        return StrategySource(path=path, limits=limits, trusted=bool(walls()))

    return written
