"""Research flows written in YAML: typed spec, plan, patterns, runs that are resumed to the same bytes.

How a search moves or a gate judges belongs to the rooms below: a phase calls what they offer, and adds nothing.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quant_organism.workflows.inputs import PhaseInputs
    from quant_organism.workflows.kinds import KINDS
    from quant_organism.workflows.outcome import PhaseOutcome
    from quant_organism.workflows.plan import PhasePlan, WorkflowPlan, plan_workflow
    from quant_organism.workflows.run import WorkflowRun, Workplace, run_workflow
    from quant_organism.workflows.spec import WorkflowSpec, parse_workflow, read_workflow
    from quant_organism.workflows.store import WorkflowStore, choose_workflow, correlation_id, stored_workflows
    from quant_organism.workflows.tables import (
        TABLES,
        MinedPatternTable,
        WorkflowCheckTable,
        WorkflowPhaseTable,
        WorkflowResultTable,
        WorkflowRunTable,
        WorkflowSignalTable,
    )

__all__ = [
    "KINDS",
    "TABLES",
    "MinedPatternTable",
    "PhaseInputs",
    "PhaseOutcome",
    "PhasePlan",
    "WorkflowCheckTable",
    "WorkflowPhaseTable",
    "WorkflowPlan",
    "WorkflowResultTable",
    "WorkflowRun",
    "WorkflowRunTable",
    "WorkflowSignalTable",
    "WorkflowSpec",
    "WorkflowStore",
    "Workplace",
    "choose_workflow",
    "correlation_id",
    "parse_workflow",
    "plan_workflow",
    "read_workflow",
    "run_workflow",
    "stored_workflows",
]

_HOMES = {
    "KINDS": "kinds",
    "TABLES": "tables",
    "MinedPatternTable": "tables",
    "PhaseInputs": "inputs",
    "PhaseOutcome": "outcome",
    "PhasePlan": "plan",
    "WorkflowCheckTable": "tables",
    "WorkflowPhaseTable": "tables",
    "WorkflowPlan": "plan",
    "WorkflowResultTable": "tables",
    "WorkflowRun": "run",
    "WorkflowRunTable": "tables",
    "WorkflowSignalTable": "tables",
    "WorkflowSpec": "spec",
    "WorkflowStore": "store",
    "Workplace": "run",
    "choose_workflow": "store",
    "correlation_id": "store",
    "parse_workflow": "spec",
    "plan_workflow": "plan",
    "read_workflow": "spec",
    "run_workflow": "run",
    "stored_workflows": "store",
}

# Whoever needs a table or the spec of a workflow shall not load the kernels beneath its patterns.
if not TYPE_CHECKING:  # so that mypy knows the names above and no others

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            from importlib import import_module

            return getattr(import_module(f"quant_organism.workflows.{_HOMES[name]}"), name)
        raise AttributeError(f"module {__name__} has no attribute {name}")
