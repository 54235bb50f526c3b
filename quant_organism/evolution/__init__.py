"""The genetic search and its final choice: which genomes to try, which to keep, which to put forward together.

Judging whether what was found is more than luck belongs to `validation`; simulating a genome belongs to `backtest`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quant_organism.evolution.archive import AXES, Axis, archive_hash, founders_from, merge, summarise
    from quant_organism.evolution.baselines import Baseline, baseline_search, baselines_named
    from quant_organism.evolution.budget import expected_luck, expected_maximum, luck_sentence, trial_budget
    from quant_organism.evolution.candidates import ORIGINS, Candidate, EdgeEvidence, choose_candidates, composition
    from quant_organism.evolution.checkpoint import Checkpoint
    from quant_organism.evolution.comparison import ENGINE, Contender, Unseen, standings
    from quant_organism.evolution.cycle import EvolutionResult, evolve, without_search
    from quant_organism.evolution.executors import open_executor
    from quant_organism.evolution.genetic import GeneticSearch
    from quant_organism.evolution.ledger import TrialLedger
    from quant_organism.evolution.ledger_rows import LedgerIdentity
    from quant_organism.evolution.measuring import Executor
    from quant_organism.evolution.nursery import default_families
    from quant_organism.evolution.progress import Standing
    from quant_organism.evolution.proposals import (
        FileProposals,
        MeasuredGenomes,
        ProposalResult,
        Proposer,
        listen,
    )
    from quant_organism.evolution.proposers import takes_part_in_cma_es
    from quant_organism.evolution.records import read_candidates
    from quant_organism.evolution.source import GenomeSource
    from quant_organism.evolution.spec import EvolutionSpec, Profile
    from quant_organism.evolution.tables import (
        TABLES,
        ArchiveTable,
        CandidateTable,
        CycleTable,
        EliteTable,
        FamilyProgressTable,
        LostBatchTable,
        PopulationTable,
        ProgressTable,
        RejectedTable,
        TrialTable,
    )
    from quant_organism.evolution.trial_summary import DAYS_A_YEAR, summarise_trials
    from quant_organism.evolution.trials import Trials

__all__ = [
    "AXES",
    "DAYS_A_YEAR",
    "ENGINE",
    "ORIGINS",
    "TABLES",
    "ArchiveTable",
    "Axis",
    "Baseline",
    "Candidate",
    "CandidateTable",
    "Checkpoint",
    "Contender",
    "CycleTable",
    "EdgeEvidence",
    "EliteTable",
    "EvolutionResult",
    "EvolutionSpec",
    "Executor",
    "FamilyProgressTable",
    "FileProposals",
    "GeneticSearch",
    "GenomeSource",
    "LedgerIdentity",
    "LostBatchTable",
    "MeasuredGenomes",
    "PopulationTable",
    "Profile",
    "ProgressTable",
    "ProposalResult",
    "Proposer",
    "RejectedTable",
    "Standing",
    "TrialLedger",
    "TrialTable",
    "Trials",
    "Unseen",
    "archive_hash",
    "baseline_search",
    "baselines_named",
    "choose_candidates",
    "composition",
    "default_families",
    "evolve",
    "expected_luck",
    "expected_maximum",
    "founders_from",
    "listen",
    "luck_sentence",
    "merge",
    "open_executor",
    "read_candidates",
    "standings",
    "summarise",
    "summarise_trials",
    "takes_part_in_cma_es",
    "trial_budget",
    "without_search",
]

_HOMES = {
    "AXES": "archive",
    "DAYS_A_YEAR": "trial_summary",
    "ENGINE": "comparison",
    "ORIGINS": "candidates",
    "TABLES": "tables",
    "ArchiveTable": "tables",
    "Axis": "archive",
    "Baseline": "baselines",
    "Candidate": "candidates",
    "CandidateTable": "tables",
    "Checkpoint": "checkpoint",
    "Contender": "comparison",
    "CycleTable": "tables",
    "EdgeEvidence": "candidates",
    "EliteTable": "tables",
    "EvolutionResult": "cycle",
    "EvolutionSpec": "spec",
    "Executor": "measuring",
    "FamilyProgressTable": "tables",
    "FileProposals": "proposals",
    "GeneticSearch": "genetic",
    "GenomeSource": "source",
    "LedgerIdentity": "ledger_rows",
    "LostBatchTable": "tables",
    "MeasuredGenomes": "proposals",
    "PopulationTable": "tables",
    "Profile": "spec",
    "ProgressTable": "tables",
    "ProposalResult": "proposals",
    "Proposer": "proposals",
    "RejectedTable": "tables",
    "Standing": "progress",
    "TrialLedger": "ledger",
    "TrialTable": "tables",
    "Trials": "trials",
    "Unseen": "comparison",
    "archive_hash": "archive",
    "baseline_search": "baselines",
    "baselines_named": "baselines",
    "choose_candidates": "candidates",
    "composition": "candidates",
    "default_families": "nursery",
    "evolve": "cycle",
    "expected_luck": "budget",
    "expected_maximum": "budget",
    "founders_from": "archive",
    "listen": "proposals",
    "luck_sentence": "budget",
    "merge": "archive",
    "open_executor": "executors",
    "read_candidates": "records",
    "standings": "comparison",
    "summarise": "archive",
    "summarise_trials": "trial_summary",
    "takes_part_in_cma_es": "proposers",
    "trial_budget": "budget",
    "without_search": "cycle",
}

# Whoever needs a table or the spec of a search shall not load its kernels.
if not TYPE_CHECKING:  # so that mypy knows the names above and no others

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            from importlib import import_module

            return getattr(import_module(f"quant_organism.evolution.{_HOMES[name]}"), name)
        raise AttributeError(f"module {__name__} has no attribute {name}")
