"""Trading: from strategies' documents to orders, their fills and the ledger of both; `orders` brings orders to an end.

How requests travel belongs to `venue`, which strategies are worth trading to `deployment`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quant_organism.trading.execution import Execution, LevelsAtOpen, ModelledExecution
    from quant_organism.trading.follower import (
        AccountFollower,
        AccountSnapshot,
        BooksDiffer,
        CashMoved,
        FillHeard,
        FollowerEvent,
        FollowerSpec,
        LineLost,
        LineRestored,
        OrderEnded,
    )
    from quant_organism.trading.ledger import TraderLedger, ledger_path
    from quant_organism.trading.lines import LineKeeper, LinesAtRest, lines_file, read_lines
    from quant_organism.trading.live import LiveExecution
    from quant_organism.trading.performing import trader_days
    from quant_organism.trading.pipeline import Allowance, CloseStanding, Pipeline, PipelineStep
    from quant_organism.trading.reading import MICRO_USD, HeldPosition, LedgerReader, TraderStatus, held_positions
    from quant_organism.trading.records import (
        RECORDS,
        LedgerBar,
        LedgerBreaker,
        LedgerEquity,
        LedgerEvent,
        LedgerFill,
        LedgerFlow,
        LedgerOrder,
        LedgerOutsideSignal,
        LedgerPlan,
        LedgerProfit,
        LedgerReading,
        LedgerRecord,
        LedgerSession,
        LedgerSessionEnd,
        LedgerStrategy,
        Mode,
        StepVerdict,
        StrategySignal,
        TradeDecision,
    )

__all__ = [
    "MICRO_USD",
    "RECORDS",
    "AccountFollower",
    "AccountSnapshot",
    "Allowance",
    "BooksDiffer",
    "CashMoved",
    "CloseStanding",
    "Execution",
    "FillHeard",
    "FollowerEvent",
    "FollowerSpec",
    "HeldPosition",
    "LedgerBar",
    "LedgerBreaker",
    "LedgerEquity",
    "LedgerEvent",
    "LedgerFill",
    "LedgerFlow",
    "LedgerOrder",
    "LedgerOutsideSignal",
    "LedgerPlan",
    "LedgerProfit",
    "LedgerReader",
    "LedgerReading",
    "LedgerRecord",
    "LedgerSession",
    "LedgerSessionEnd",
    "LedgerStrategy",
    "LevelsAtOpen",
    "LineKeeper",
    "LineLost",
    "LineRestored",
    "LinesAtRest",
    "LiveExecution",
    "Mode",
    "ModelledExecution",
    "OrderEnded",
    "Pipeline",
    "PipelineStep",
    "StepVerdict",
    "StrategySignal",
    "TradeDecision",
    "TraderLedger",
    "TraderStatus",
    "held_positions",
    "ledger_path",
    "lines_file",
    "read_lines",
    "trader_days",
]

_HOMES = {
    "LineKeeper": "lines",
    "LinesAtRest": "lines",
    "lines_file": "lines",
    "read_lines": "lines",
    "LiveExecution": "live",
    "AccountFollower": "follower",
    "AccountSnapshot": "follower",
    "BooksDiffer": "follower",
    "CashMoved": "follower",
    "FillHeard": "follower",
    "FollowerEvent": "follower",
    "FollowerSpec": "follower",
    "LineLost": "follower",
    "LineRestored": "follower",
    "OrderEnded": "follower",
    "Allowance": "pipeline",
    "CloseStanding": "pipeline",
    "Execution": "execution",
    "HeldPosition": "reading",
    "LedgerBar": "records",
    "LedgerBreaker": "records",
    "LedgerEquity": "records",
    "LedgerEvent": "records",
    "LedgerFill": "records",
    "LedgerFlow": "records",
    "LedgerOrder": "records",
    "LedgerOutsideSignal": "records",
    "LedgerPlan": "records",
    "LedgerProfit": "records",
    "LedgerReader": "reading",
    "LedgerReading": "records",
    "LedgerRecord": "records",
    "LedgerSession": "records",
    "LedgerSessionEnd": "records",
    "LedgerStrategy": "records",
    "LevelsAtOpen": "execution",
    "MICRO_USD": "reading",
    "Mode": "records",
    "ModelledExecution": "execution",
    "Pipeline": "pipeline",
    "PipelineStep": "pipeline",
    "RECORDS": "records",
    "StepVerdict": "records",
    "StrategySignal": "records",
    "TradeDecision": "records",
    "TraderLedger": "ledger",
    "TraderStatus": "reading",
    "held_positions": "reading",
    "ledger_path": "ledger",
    "trader_days": "performing",
}

# A look at the ledger shall not load what trades.
if not TYPE_CHECKING:  # so that mypy knows the names above and no others

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            from importlib import import_module

            return getattr(import_module(f"quant_organism.trading.{_HOMES[name]}"), name)
        raise AttributeError(f"module {__name__} has no attribute {name}")
