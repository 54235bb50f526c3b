"""Backtests: costs, the execution model, the compiled population evaluator and its metrics.

What a strategy decides is the business of `strategies`; which strategy survives is that of `evolution`.
"""

from typing import TYPE_CHECKING, Any

from quant_organism.backtest.costs import Costs

if TYPE_CHECKING:
    from quant_organism.backtest.committees import CommitteeEvaluation
    from quant_organism.backtest.evaluation import Evaluation
    from quant_organism.backtest.evaluator import Evaluator
    from quant_organism.backtest.trades import TradeList

__all__ = ["CommitteeEvaluation", "Costs", "Evaluation", "Evaluator", "TradeList"]

_HOMES = {
    "CommitteeEvaluation": "committees",
    "Evaluation": "evaluation",
    "Evaluator": "evaluator",
    "TradeList": "trades",
}


def __getattr__(name: str) -> Any:
    # The evaluator brings a compiler with it, which `--help` and the reading of documents can do without.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"quant_organism.backtest.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")
