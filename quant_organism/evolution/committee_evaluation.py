"""Measure committees: the weighted mean of their members' returns, each with its own stops; orders are not netted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import Costs, Evaluation, Evaluator
from quant_organism.backtest.metrics import path_metrics
from quant_organism.backtest.sleeves import HOURS_PER_YEAR
from quant_organism.evolution.committee import Committee
from quant_organism.market.panel import Panel
from quant_organism.market.schema import MS_PER_DAY


@dataclass(frozen=True)
class CommitteeEvaluation:
    """What committees did over a span.

    Attributes
    ----------
    metrics
        Per committee (C,): `total_return`, `annual_return`, `volatility`, `sharpe`, `sortino`, `max_drawdown`,
        `consistency` of the committee's own returns; `trades` summed and `win_rate` pooled over members;
        `turnover_per_year` and `exposure` as weighted means.
    days
        int64 (D,): UTC days in milliseconds.
    daily_returns, bar_returns
        float64 (C, D) and (C, bars), net.
    """

    metrics: dict[str, NDArray[np.float64]]
    days: NDArray[np.int64]
    daily_returns: NDArray[np.float64]
    bar_returns: NDArray[np.float64]


def evaluate_committees(
    committees: Sequence[Committee],
    panel: Panel,
    costs: Costs,
    evaluator: Evaluator,
    *,
    start: int = 0,
    stop: int | None = None,
) -> CommitteeEvaluation:
    """Evaluate committees over bars [start, stop) of a panel; earlier bars only warm the signals up.

    Parameters
    ----------
    committees
        At least one; genomes that several share are evaluated once.
    panel, costs, evaluator
        Market, trading costs, and who measures.
    start, stop
        Span of bars that is traded and scored.
    """
    genomes = list({genome.hash: genome for committee in committees for genome in committee.genomes}.values())
    position = {genome.hash: i for i, genome in enumerate(genomes)}
    measured = evaluator.evaluate(genomes, panel, costs, start=start, stop=stop, bar_returns=True)
    assert measured.bar_returns is not None
    shares = np.zeros((len(committees), len(genomes)))
    for row, committee in enumerate(committees):
        shares[row, [position[genome.hash] for genome in committee.genomes]] = committee.weights
    bar_returns = _weighted_sum(shares, measured.bar_returns)
    metrics = path_metrics(bar_returns, HOURS_PER_YEAR / panel.interval.hours)
    metrics.update(_trading_metrics(shares, measured))
    daily = _compounded_by_day(bar_returns, panel.times[start:stop])
    return CommitteeEvaluation(metrics, measured.days, daily, bar_returns)


def _weighted_sum(shares: NDArray[np.float64], returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Multiply in a fixed order (a BLAS product may depend on the machine's threads)."""
    total = np.zeros((shares.shape[0], returns.shape[1]))
    for genome in range(shares.shape[1]):
        for committee in np.flatnonzero(shares[:, genome]):
            total[committee] += shares[committee, genome] * returns[genome]
    return total


def _compounded_by_day(bar_returns: NDArray[np.float64], times: NDArray[np.int64]) -> NDArray[np.float64]:
    first_of_day = np.flatnonzero(np.diff(times // MS_PER_DAY, prepend=-1))
    return np.multiply.reduceat(1.0 + bar_returns, first_of_day, axis=1) - 1.0


def _trading_metrics(shares: NDArray[np.float64], measured: Evaluation) -> dict[str, NDArray[np.float64]]:
    trades = np.sum((shares > 0) * measured.metrics["trades"], axis=1)
    wins = np.sum((shares > 0) * np.nan_to_num(measured.metrics["win_rate"] * measured.metrics["trades"]), axis=1)
    return {
        "trades": trades,
        "win_rate": np.divide(wins, trades, out=np.full(len(trades), np.nan), where=trades > 0),
        "turnover_per_year": np.sum(shares * measured.metrics["turnover_per_year"], axis=1),
        "exposure": np.sum(shares * measured.metrics["exposure"], axis=1),
    }
