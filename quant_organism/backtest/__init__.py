"""Backtests: costs, the execution model, the compiled population evaluator and its metrics, and the same bar by bar.

What a strategy decides is the business of `strategies`; which strategy survives is that of `evolution`.
"""

from quant_organism.backtest.allocation import LEAST_SCORE, allocate
from quant_organism.backtest.costs import Costs
from quant_organism.backtest.evaluation import CommitteeEvaluation, EquityPaths, Evaluation
from quant_organism.backtest.evaluator import Evaluator
from quant_organism.backtest.exposure import Exposures
from quant_organism.backtest.market_row import MarketRow
from quant_organism.backtest.metrics import path_metrics, reduce_paths
from quant_organism.backtest.sleeve_walk import SleeveWindow
from quant_organism.backtest.sleeves import HOURS_PER_YEAR, signal_bars
from quant_organism.backtest.stream import GenomeStream, open_stream
from quant_organism.backtest.target_stream import streamed_targets
from quant_organism.backtest.trades import TradeList

__all__ = [
    "HOURS_PER_YEAR",
    "LEAST_SCORE",
    "CommitteeEvaluation",
    "Costs",
    "EquityPaths",
    "Evaluation",
    "Evaluator",
    "Exposures",
    "GenomeStream",
    "MarketRow",
    "SleeveWindow",
    "TradeList",
    "allocate",
    "open_stream",
    "path_metrics",
    "reduce_paths",
    "signal_bars",
    "streamed_targets",
]
