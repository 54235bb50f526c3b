"""Strategies made elsewhere before the same court: tables of trials, callables, searches, documents.

What a gate measures belongs to `validation`, what an account trades to `backtest`; nothing here is bred.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quant_organism.judge.page import JudgedPage
    from quant_organism.judge.spec import JudgeSpec, TableSpec, load_spec
    from quant_organism.judge.trial_table import TrialReturns, judge_trials

__all__ = ["JudgeSpec", "JudgedPage", "TableSpec", "TrialReturns", "judge_trials", "load_spec"]

_HOMES = {
    "JudgeSpec": "spec",
    "JudgedPage": "page",
    "TableSpec": "spec",
    "TrialReturns": "trial_table",
    "judge_trials": "trial_table",
    "load_spec": "spec",
}

# Help loads neither the statistics nor the kernels beneath them.
if not TYPE_CHECKING:  # so that mypy knows the names above and no others

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            from importlib import import_module

            return getattr(import_module(f"quant_organism.judge.{_HOMES[name]}"), name)
        raise AttributeError(f"module {__name__} has no attribute {name}")
