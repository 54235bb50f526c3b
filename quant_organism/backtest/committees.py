"""What committees did: the weighted mean of their members' returns; orders are not netted (rule 13)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.evaluation import Evaluation
from quant_organism.backtest.metrics import reduce_paths
from quant_organism.backtest.sleeves import Window
from quant_organism.strategies import Committee


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
    """

    committees: tuple[Committee, ...]
    metrics: dict[str, NDArray[np.float64]]
    days: NDArray[np.int64]
    daily_returns: NDArray[np.float64]
    bar_returns: NDArray[np.float64]


def committee_evaluation(
    committees: Sequence[Committee], shares: NDArray[np.float64], measured: Evaluation, window: Window
) -> CommitteeEvaluation:
    """Combine what genomes did.

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
    return CommitteeEvaluation(tuple(committees), metrics, measured.days, daily, returns)


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
