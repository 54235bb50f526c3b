"""Bars on which indicators are compared with pandas."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quant_organism_tests.strategies.scenarios import noisy

Frames = list[pd.DataFrame]


def random_frames() -> Frames:
    """Return wild random bars; in the last of them, volume and price rest for a while."""
    frames = [pd.DataFrame(noisy(seed)) for seed in range(3)]
    frames[-1].loc[100:170, "volume"] = 0.0
    frames[-1].loc[120:160, ["open", "high", "low", "close"]] = 97.3
    return frames


def real_frames(market: Path) -> Frames:
    """Return real hours: after a late listing, across outages, with bars at rest without volume."""
    names = ["hl_perp_1h/HYPE", "binance_spot_1h/LTC", "binance_perp_1h_long/BTC", "gemini_spot_1h/BTC"]
    return [pd.read_parquet(market / f"{name}.parquet").head(1200) for name in names]


def values(frame: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """Return a column as banks hand it to the kernels: to be written to, or each would be compiled once more."""
    return np.array(frame[column], dtype=np.float64)


def rolling_mean(x: pd.Series, period: int) -> pd.Series:
    """Return the mean of each window for itself: the running sums of pandas drift."""
    return x.rolling(period).apply(np.mean, raw=True)


def assert_row(row: NDArray[np.float64], expected: pd.Series, first: int, atol: float = 0.0) -> None:
    """Compare a row with pandas from its first bar on; before it there is nothing."""
    assert np.isnan(row[:first]).all()
    np.testing.assert_allclose(row[first:], expected.to_numpy()[first:], rtol=1e-10, atol=atol)
