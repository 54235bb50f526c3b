"""Strategies made elsewhere before the same court: tables of trials, callables, freqtrade files, searches, documents.

What a gate measures belongs to `validation`, what an account trades to `backtest`; nothing here is bred.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quant_organism.judge.code_server import CodeServer
    from quant_organism.judge.court import Court
    from quant_organism.judge.freqtrade_trades import FreqtradePython
    from quant_organism.judge.hearing import judge_strategy
    from quant_organism.judge.keeping import KeptStrategy, keep_survivor
    from quant_organism.judge.outside import CallableStrategy, DocumentStrategy
    from quant_organism.judge.page import JudgedPage
    from quant_organism.judge.parameters import ParameterRange, trials_of
    from quant_organism.judge.points import CallableSpace
    from quant_organism.judge.proof import ended_assets
    from quant_organism.judge.running import CLOSE_SECONDS, SandboxRunner
    from quant_organism.judge.sandbox import SandboxLimits, StrategySource
    from quant_organism.judge.served import ServedRunner
    from quant_organism.judge.spec import (
        CallableSpec,
        DocumentSpec,
        FreqtradeSpec,
        JudgeSpec,
        ProposalsSpec,
        TableSpec,
        load_spec,
        with_space,
    )
    from quant_organism.judge.trial_table import TrialReturns, judge_trials

__all__ = [
    "CLOSE_SECONDS",
    "CallableSpace",
    "CallableSpec",
    "CallableStrategy",
    "CodeServer",
    "Court",
    "DocumentSpec",
    "DocumentStrategy",
    "FreqtradePython",
    "FreqtradeSpec",
    "JudgeSpec",
    "JudgedPage",
    "KeptStrategy",
    "ParameterRange",
    "ProposalsSpec",
    "SandboxLimits",
    "SandboxRunner",
    "ServedRunner",
    "StrategySource",
    "TableSpec",
    "TrialReturns",
    "ended_assets",
    "judge_strategy",
    "judge_trials",
    "keep_survivor",
    "load_spec",
    "trials_of",
    "with_space",
]

_HOMES = {
    "CLOSE_SECONDS": "running",
    "CallableSpace": "points",
    "CallableSpec": "spec",
    "CallableStrategy": "outside",
    "CodeServer": "code_server",
    "Court": "court",
    "DocumentSpec": "spec",
    "DocumentStrategy": "outside",
    "FreqtradePython": "freqtrade_trades",
    "FreqtradeSpec": "spec",
    "JudgeSpec": "spec",
    "JudgedPage": "page",
    "KeptStrategy": "keeping",
    "ParameterRange": "parameters",
    "ProposalsSpec": "spec",
    "SandboxLimits": "sandbox",
    "SandboxRunner": "running",
    "ServedRunner": "served",
    "StrategySource": "sandbox",
    "TableSpec": "spec",
    "TrialReturns": "trial_table",
    "ended_assets": "proof",
    "judge_strategy": "hearing",
    "judge_trials": "trial_table",
    "keep_survivor": "keeping",
    "load_spec": "spec",
    "trials_of": "parameters",
    "with_space": "spec",
}

# Help loads neither the statistics nor the kernels beneath them.
if not TYPE_CHECKING:  # so that mypy knows the names above and no others

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            from importlib import import_module

            return getattr(import_module(f"quant_organism.judge.{_HOMES[name]}"), name)
        raise AttributeError(f"module {__name__} has no attribute {name}")
