"""Rules 13 and 14 in plain pandas: what each asset may be given at each close, and when nothing new is entered."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from quant_organism.market.panel import Panel
from quant_organism.strategies import Genome

UNKNOWN = 0.5
"""Rank of an asset whose figure is not known yet."""


def liquidity(bars: pd.DataFrame, bar_hours: float) -> pd.Series:
    """Return the median notional volume of 24 hours."""
    return (bars["close"] * bars["volume"]).rolling(bars_in(24, bar_hours)).median()


def relative_range(bars: pd.DataFrame) -> pd.Series:
    """Return ATR(14) over the close; Wilder's average begins with the plain mean of the true ranges 1 to 14."""
    before = bars["close"].shift()
    spans = [bars["high"] - bars["low"], (bars["high"] - before).abs(), (bars["low"] - before).abs()]
    true_range = pd.concat(spans, axis=1).max(axis=1).to_numpy()
    average = np.full(len(bars), np.nan)
    if len(bars) > 14:
        average[14] = true_range[1:15].mean()
        for t in range(15, len(bars)):
            average[t] = average[t - 1] + (true_range[t] - average[t - 1]) / 14
    return average / bars["close"]


def momentum(bars: pd.DataFrame) -> pd.Series:
    """Return the size of the move over 30 bars in units of the deviation of their returns."""
    moved = np.log(bars["close"] / bars["close"].shift(30)).abs()
    deviation = deviation_of_returns(bars, 30)
    return (moved / deviation).mask(deviation == 0, 0.0)


def deviation_of_returns(bars: pd.DataFrame, count: int) -> pd.Series:
    """Return the population deviation of the last `count` log returns; the same return repeated has none."""
    returns = np.log(bars["close"] / bars["close"].shift())
    deviation = pd.Series(np.nan, index=bars.index)
    if len(bars) >= count:
        deviation.iloc[count - 1 :] = np.lib.stride_tricks.sliding_window_view(returns.to_numpy(), count).std(axis=1)
    return deviation.mask(deviation < 1e-12 * returns.rolling(count).mean().abs(), 0.0)


def bars_in(hours: float, bar_hours: float) -> int:
    """Return how many bars cover some hours, two at least."""
    return max(2, math.ceil(hours / bar_hours))


def asset_bars(panel: Panel, asset: int, stop: int) -> pd.DataFrame:
    """Return the valid bars of an asset before row `stop`, indexed by row."""
    rows = np.flatnonzero(panel.valid[:stop, asset])
    names = ("open", "high", "low", "close", "volume")
    return pd.DataFrame({name: getattr(panel, name)[rows, asset] for name in names}, index=rows)


def ranks(figures: pd.DataFrame, valid: pd.DataFrame) -> pd.DataFrame:
    """Rank the known figures of each row from 0 to 1, ties by their average.

    A figure that is the only one known ranks 1; where there is a bar but no figure the rank is 0.5.
    """
    known = figures.notna()
    rank = (figures.rank(axis=1) - 1).div(known.sum(axis=1) - 1, axis=0)
    return rank.mask(known & rank.isna(), 1.0).where(known, UNKNOWN).where(valid)


_latest: list[tuple[Panel, int, dict[str, pd.DataFrame]]] = []


def figure_table(panel: Panel, stop: int) -> dict[str, pd.DataFrame]:
    """Return each figure as a table of rows by assets, NaN where it is not known.

    All sleeves of a panel rank by the same figures, and one comes after the other: the latest table is kept.
    """
    if not (_latest and _latest[0][0] is panel and _latest[0][1] == stop):
        _latest[:] = [(panel, stop, _figure_table(panel, stop))]
    return _latest[0][2]


def _figure_table(panel: Panel, stop: int) -> dict[str, pd.DataFrame]:
    bars = {asset: asset_bars(panel, asset, stop) for asset in range(panel.n_assets)}
    hours = panel.interval.hours

    def table(figure: dict[int, pd.Series]) -> pd.DataFrame:
        return pd.DataFrame(figure, index=range(stop), columns=range(panel.n_assets)).astype(float)

    return {
        "liquidity": table({asset: liquidity(found, hours) for asset, found in bars.items()}),
        "range": table({asset: relative_range(found) for asset, found in bars.items()}),
        "momentum": table({asset: momentum(found) for asset, found in bars.items()}),
    }


def score_table(genome: Genome, panel: Panel, stop: int) -> pd.DataFrame:
    """Return the allocation score of every asset with a bar at each row before `stop`, NaN for the others."""
    genes, figures = genome.genes, figure_table(panel, stop)
    valid = pd.DataFrame(panel.valid[:stop])
    parts = [
        (genes["liquidity_weight"], ranks(figures["liquidity"], valid)),
        (genes["volatility_weight"], ranks(-figures["range"], valid)),  # the calmest ranks first
        (genes["momentum_weight"], ranks(figures["momentum"], valid)),
    ]
    total = sum(weight for weight, _ in parts)
    if total == 0:
        parts, total = [(1.0, part) for _, part in parts], 3.0
    score = sum(weight * part for weight, part in parts) / total
    alone = valid.sum(axis=1) == 1
    return score.mask(valid.mul(alone, axis=0), 1.0)


def weight_table(genome: Genome, panel: Panel, stop: int) -> np.ndarray:
    """Return the weight of an entry decided at each row (stop, N); 0 where the asset is allotted nothing."""
    size, limit = genome.genes["position_size"], genome.genes["position_size_limit"]
    score = score_table(genome, panel, stop)
    allotment = np.minimum(score * limit, 0.15).where(score > 0.1, 0.0)
    gross = np.minimum(panel.valid[:stop].sum(axis=1) * size, limit * score.sum(axis=1))
    share = np.minimum(1.0, 1.0 / gross.where(gross > 0, 1.0))
    return np.minimum(size, allotment).mul(share, axis=0).to_numpy()


def turbulence(panel: Panel, asset: int, stop: int) -> np.ndarray:
    """Return the volatility of 24 hours over its median of the 30 days before, shape (stop,); 0 where unknown."""
    bars = asset_bars(panel, asset, stop)
    hours = panel.interval.hours
    deviation = deviation_of_returns(bars, bars_in(24, hours))
    usual = deviation.shift().rolling(bars_in(720, hours)).median()
    ratio = (deviation / usual).mask(usual == 0, 0.0).fillna(0.0)
    return ratio.reindex(range(stop), fill_value=0.0).to_numpy()
