"""What an evaluation tells of genomes and of committees: arrays over them, assets and time, with named metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.metrics import reduce_paths
from quant_organism.backtest.sleeves import EvaluationWindow
from quant_organism.strategies import Committee, Genome


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

    def rows(self, chosen: Sequence[int]) -> Evaluation:
        """Return the evaluation of some of the genomes, by their places."""
        rows = list(chosen)
        return replace(
            self,
            genomes=tuple(self.genomes[row] for row in rows),
            metrics={name: values[rows] for name, values in self.metrics.items()},
            asset_metrics={name: values[rows] for name, values in self.asset_metrics.items()},
            daily_returns=self.daily_returns[rows],
            bar_returns=None if self.bar_returns is None else self.bar_returns[rows],
            asset_daily_returns=None if self.asset_daily_returns is None else self.asset_daily_returns[rows],
            behaviour=self.behaviour[rows],
        )


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


@dataclass(frozen=True, eq=False)
class CommitteeEvaluation:
    """Metrics and returns of C committees on one panel under one set of costs.

    Parameters
    ----------
    committees
        The committees, in the order in which they were given.
    metrics
        Of each committee, each of shape (C,): those of its own returns (total_return, annual_return, volatility,
        sharpe, sortino, max_drawdown, calmar, consistency, beta, alpha); trades summed and win_rate pooled over its
        members; turnover_per_year, exposure and net_exposure as weighted means.
    days
        First millisecond of each UTC day, shape (D,).
    daily_returns, bar_returns
        Net returns, shapes (C, D) and (C, T').
    market_returns
        Mean return of all assets per bar, which beta and alpha are against, shape (T',).
    """

    committees: tuple[Committee, ...]
    metrics: dict[str, NDArray[np.float64]]
    days: NDArray[np.int64]
    daily_returns: NDArray[np.float64]
    bar_returns: NDArray[np.float64]
    market_returns: NDArray[np.float64]


def committee_evaluation(
    committees: Sequence[Committee], shares: NDArray[np.float64], measured: Evaluation, window: EvaluationWindow
) -> CommitteeEvaluation:
    """Return the weighted mean of what the members' genomes did; orders are not netted (rule 13).

    Parameters
    ----------
    committees
        C committees.
    shares
        Weight of each of G members in each committee, shape (C, G).
    measured
        Evaluation of the members' genomes, each on the assets of its member, with returns per bar.
    window
        What they were evaluated on.
    """
    assert measured.bar_returns is not None
    returns = np.zeros((len(committees), window.n_bars))
    # In a fixed order: a matrix product may depend on the machine's threads.
    for member in range(shares.shape[1]):
        for committee in np.flatnonzero(shares[:, member]):
            returns[committee] += shares[committee, member] * measured.bar_returns[member]
    metrics, daily = reduce_paths(returns, window.bars_per_year, window.market_returns, window.day_starts)
    metrics |= _trading_metrics(shares, measured)
    return CommitteeEvaluation(tuple(committees), metrics, measured.days, daily, returns, window.market_returns)


def _trading_metrics(shares: NDArray[np.float64], measured: Evaluation) -> dict[str, NDArray[np.float64]]:
    trades, won = measured.metrics["trades"], measured.metrics["win_rate"] * measured.metrics["trades"]
    count = np.sum((shares > 0) * trades, axis=1)
    wins = np.sum((shares > 0) * np.nan_to_num(won), axis=1)
    return {
        "trades": count,
        "win_rate": np.divide(wins, count, out=np.full(len(count), np.nan), where=count > 0),
        **{
            name: np.sum(shares * measured.metrics[name], axis=1)
            for name in ("turnover_per_year", "exposure", "net_exposure")
        },
    }
