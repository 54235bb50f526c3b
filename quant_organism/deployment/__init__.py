"""What becomes of a strategy that survived: its document, the folder of documents, its stages, the shadow pool.

Judging strategies belongs to `validation`, sending orders to `trading`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quant_organism.deployment.birth import born_documents, earned, pool_returns, promised_sharpe
    from quant_organism.deployment.config import StrategyConfig
    from quant_organism.deployment.deploy import DeploymentResult, all_documents, pool_at
    from quant_organism.deployment.effects import DecisionType, acted_upon, acting_decision, book_action
    from quant_organism.deployment.executed import (
        ExecutedStrategy,
        accounts_frame,
        birth_costs,
        birth_panel,
        birth_splits,
        execute_strategy,
        read_accounts,
    )
    from quant_organism.deployment.external import (
        ExternalAnswer,
        ExternalRunner,
        NobodyRuns,
        account_run,
        restrained,
    )
    from quant_organism.deployment.marks import Marked, mark_all, mark_days
    from quant_organism.deployment.records import ExternalStrategy, Provenance, external_hash, external_id
    from quant_organism.deployment.repository import StrategyRepository
    from quant_organism.deployment.signatures import DocumentSignatures, DocumentSigner
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
    "DocumentSignatures",
    "DocumentSigner",
    "DocumentTable",
    "EvidenceDayTable",
    "ExecutedStrategy",
    "ExternalAnswer",
    "ExternalRunner",
    "ExternalStrategy",
    "Marked",
    "MoveTable",
    "NobodyRuns",
    "PostmortemTable",
    "Provenance",
    "StrategyConfig",
    "StrategyRepository",
    "TraderDay",
    "TraderDays",
    "account_run",
    "accounts_frame",
    "acted_upon",
    "acting_decision",
    "all_documents",
    "birth_costs",
    "birth_panel",
    "birth_splits",
    "book_action",
    "born_documents",
    "earned",
    "execute_strategy",
    "external_hash",
    "external_id",
    "mark_all",
    "mark_days",
    "pool_at",
    "pool_returns",
    "promised_sharpe",
    "read_accounts",
    "restrained",
    "timestamp",
]

_HOMES = {
    "AccountTable": "tables",
    "BirthTable": "tables",
    "DEPLOYED": "stages",
    "DecisionTable": "tables",
    "DecisionType": "effects",
    "DeploymentResult": "deploy",
    "DocumentSignatures": "signatures",
    "DocumentSigner": "signatures",
    "DocumentTable": "tables",
    "EvidenceDayTable": "tables",
    "ExecutedStrategy": "executed",
    "ExternalAnswer": "external",
    "ExternalRunner": "external",
    "ExternalStrategy": "records",
    "Marked": "marks",
    "MoveTable": "tables",
    "NobodyRuns": "external",
    "PostmortemTable": "tables",
    "Provenance": "records",
    "STAGES": "stages",
    "StrategyConfig": "config",
    "StrategyRepository": "repository",
    "TABLES": "tables",
    "TraderDay": "trader_days",
    "TraderDays": "trader_days",
    "account_run": "external",
    "accounts_frame": "executed",
    "acted_upon": "effects",
    "acting_decision": "effects",
    "all_documents": "deploy",
    "birth_costs": "executed",
    "birth_panel": "executed",
    "birth_splits": "executed",
    "book_action": "effects",
    "born_documents": "birth",
    "earned": "birth",
    "execute_strategy": "executed",
    "external_hash": "records",
    "external_id": "records",
    "mark_all": "marks",
    "mark_days": "marks",
    "pool_at": "deploy",
    "pool_returns": "birth",
    "promised_sharpe": "birth",
    "read_accounts": "executed",
    "restrained": "external",
    "timestamp": "stages",
}

# Commands that read documents shall not load what judged them.
if not TYPE_CHECKING:  # so that mypy knows the names above and no others

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            from importlib import import_module

            return getattr(import_module(f"quant_organism.deployment.{_HOMES[name]}"), name)
        raise AttributeError(f"module {__name__} has no attribute {name}")
