"""What an evaluation tells: arrays over genomes, assets and time, with named metrics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies import Genome


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Metrics and returns of G genomes on one panel under one set of costs.

    Parameters
    ----------
    genomes
        The genomes, in the order in which they were given.
    symbols
        The N assets of the panel.
    metrics
        Of each genome's portfolio, each of shape (G,): total_return, annual_return, volatility, sharpe, sortino,
        max_drawdown, calmar, consistency, beta and alpha against the mean of all assets, turnover_per_year, exposure,
        net_exposure, time_in_market, trades, win_rate, profit_factor, avg_holding_hours. NaN where undefined.
    asset_metrics
        Of each sleeve over its valid bars, each of shape (G, N): the same but consistency; beta and alpha are against
        the asset itself.
    days
        First millisecond of each UTC day, shape (D,).
    daily_returns
        Portfolio returns compounded per UTC day, shape (G, D).
    bar_returns
        Portfolio returns per bar of the window, shape (G, T'), when they were asked for.
    asset_daily_returns
        Returns of each sleeve on its own equity compounded per UTC day, 0 where the asset had no bar, shape (G, N, D),
        when they were asked for.
    behaviour
        Digest of what each genome's sleeves did, uint64 of shape (G,): genomes that held the same positions on all
        assets have the same, whatever their genes.
    """

    genomes: tuple[Genome, ...]
    symbols: tuple[str, ...]
    metrics: dict[str, NDArray[np.float64]]
    asset_metrics: dict[str, NDArray[np.float64]]
    days: NDArray[np.int64]
    daily_returns: NDArray[np.float64]
    bar_returns: NDArray[np.float64] | None
    asset_daily_returns: NDArray[np.float64] | None
    behaviour: NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class EquityPaths:
    """Equity of one genome at the closes of a window's T' bars, from 1 at its start.

    Parameters
    ----------
    times
        Open times of the bars, UTC milliseconds, shape (T',).
    symbols
        The N assets of the panel.
    portfolio
        Equity of the portfolio, shape (T',).
    sleeves
        Equity of each sleeve, shape (T', N); unchanged where the asset has no bar.
    """

    times: NDArray[np.int64]
    symbols: tuple[str, ...]
    portfolio: NDArray[np.float64]
    sleeves: NDArray[np.float64]
