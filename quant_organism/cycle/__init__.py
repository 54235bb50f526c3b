"""One cycle in plain Python: panel, pretest, search, significance, verdicts, documents, pool.

Assets, the audit, tests and benchmarks call its stages. How a gate judges or a search moves belongs to the rooms below;
what people read of a cycle belongs to `monitoring`.
"""

from quant_organism.cycle.cycle import Cycle, Progress, no_progress
from quant_organism.cycle.panels import Panels, PanelTables, SplitPanel
from quant_organism.cycle.plan import Compute, CyclePlan, SignificancePlan
from quant_organism.cycle.run import CycleResult, JudgedCandidates, judge_candidates, run_cycle

__all__ = [
    "Compute",
    "Cycle",
    "CyclePlan",
    "CycleResult",
    "JudgedCandidates",
    "PanelTables",
    "Panels",
    "Progress",
    "SignificancePlan",
    "SplitPanel",
    "judge_candidates",
    "no_progress",
    "run_cycle",
]
