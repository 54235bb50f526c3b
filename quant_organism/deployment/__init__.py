"""What becomes of a strategy that survived: its document, the folder of documents, its stages, the shadow pool.

Judging strategies belongs to `validation`, sending orders to `trading`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quant_organism.deployment.birth import born_documents, earned, scored_returns
    from quant_organism.deployment.config import StrategyConfig
    from quant_organism.deployment.deploy import DeploymentResult, all_documents, pool_at
    from quant_organism.deployment.effects import DecisionType, acted_upon, acting_decision, book_action
    from quant_organism.deployment.executed import (
        ExecutedStrategy,
        accounts_frame,
        birth_panel,
        execute_strategy,
        read_accounts,
    )
    from quant_organism.deployment.marks import Marked, mark_all, mark_days
    from quant_organism.deployment.records import Provenance
    from quant_organism.deployment.repository import StrategyRepository
    from quant_organism.deployment.stages import DEPLOYED, STAGES, timestamp
    from quant_organism.deployment.tables import (
        TABLES,
        AccountTable,
        BirthTable,
        DecisionTable,
        DocumentTable,
        EvidenceDayTable,
        MoveTable,
        PostmortemTable,
    )
    from quant_organism.deployment.trader_days import TraderDay, TraderDays

__all__ = [
    "DEPLOYED",
    "STAGES",
    "TABLES",
    "AccountTable",
    "BirthTable",
    "DecisionTable",
    "DecisionType",
    "DeploymentResult",
    "DocumentTable",
    "EvidenceDayTable",
    "ExecutedStrategy",
    "Marked",
    "MoveTable",
    "PostmortemTable",
    "Provenance",
    "StrategyConfig",
    "StrategyRepository",
    "TraderDay",
    "TraderDays",
    "accounts_frame",
    "acted_upon",
    "acting_decision",
    "all_documents",
    "birth_panel",
    "book_action",
    "born_documents",
    "earned",
    "execute_strategy",
    "mark_all",
    "mark_days",
    "pool_at",
    "read_accounts",
    "scored_returns",
    "timestamp",
]

_HOMES = {
    "DEPLOYED": "stages",
    "STAGES": "stages",
    "TABLES": "tables",
    "AccountTable": "tables",
    "BirthTable": "tables",
    "DecisionTable": "tables",
    "DecisionType": "effects",
    "DeploymentResult": "deploy",
    "DocumentTable": "tables",
    "EvidenceDayTable": "tables",
    "ExecutedStrategy": "executed",
    "Marked": "marks",
    "MoveTable": "tables",
    "PostmortemTable": "tables",
    "Provenance": "records",
    "StrategyConfig": "config",
    "StrategyRepository": "repository",
    "TraderDay": "trader_days",
    "TraderDays": "trader_days",
    "accounts_frame": "executed",
    "acted_upon": "effects",
    "acting_decision": "effects",
    "all_documents": "deploy",
    "birth_panel": "executed",
    "book_action": "effects",
    "born_documents": "birth",
    "earned": "birth",
    "execute_strategy": "executed",
    "mark_all": "marks",
    "mark_days": "marks",
    "pool_at": "deploy",
    "read_accounts": "executed",
    "scored_returns": "birth",
    "timestamp": "stages",
}

# Commands that read documents shall not load what judged them.
if not TYPE_CHECKING:  # so that mypy knows the names above and no others

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            from importlib import import_module

            return getattr(import_module(f"quant_organism.deployment.{_HOMES[name]}"), name)
        raise AttributeError(f"module {__name__} has no attribute {name}")
