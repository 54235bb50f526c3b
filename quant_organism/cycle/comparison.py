"""Compare a search that is at rest with other methods of search, on the same in-sample panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import polars as pl

from quant_organism.cycle.cycle import Cycle, Progress, no_progress
from quant_organism.evolution.baselines import Baseline, baseline_search
from quant_organism.evolution.candidates import choose_candidates
from quant_organism.evolution.comparison import ENGINE, Contender, Unseen, standings
from quant_organism.evolution.proposers import takes_part_in_cma_es
from quant_organism.evolution.records import read_candidates
from quant_organism.evolution.source import SCREENED, GenomeSource
from quant_organism.evolution.tables import CandidateTable, PopulationTable, RejectedTable
from quant_organism.market.source import CandleSource
from quant_organism.market.world.continuation import continued
from quant_organism.market.world.source import WorldSource

UNSEEN_DAYS: Final = 365
"""Days after the end of a simulated market on which searches are compared."""

_SIMULATED = (
    f"The unseen days are {UNSEEN_DAYS} that follow the end of the simulated market; those that validation reads stay "
    "unread."
)
_REAL = (
    "In-sample figures alone, and they favour who searched hardest: the unseen days of this market are for validation, "
    "which reads them once."
)


@dataclass(frozen=True)
class Comparison:
    """What several searches put forward.

    Attributes
    ----------
    rows
        As `evolution.comparison.standings` returns them, the engine's first.
    notes
        What a reader has to know.
    """

    rows: list[dict[str, Any]]
    notes: list[str]


def compare(
    cycle: Cycle, source: CandleSource, names: Sequence[Baseline], progress: Progress = no_progress
) -> Comparison:
    """Search by other methods with as many evaluations as the cycle's search took, and measure all of them.

    What they evaluate is entered in the trial ledger like all else.

    Parameters
    ----------
    cycle
        Whose search is at rest.
    source
        Of its market; a simulated one goes on after its end, and the searches are compared there.
    names
        The other methods.
    progress
        Told which one is at work.
    """
    spec, seen, costs, evaluator = (
        cycle.plan.spec,
        cycle.in_sample,
        cycle.plan.costs.of_sleeves,
        cycle.compute.evaluator(),
    )
    population = cycle.read(PopulationTable)
    # What was turned away on the short sample was no evaluation; random search turns away as much, beside its own.
    flawed = cycle.read(RejectedTable).filter(~pl.col("kind").is_in(SCREENED))
    evaluations = population.height + flawed.height
    feasible = int(population["feasible"].sum())
    contenders = [
        Contender.of(ENGINE, read_candidates(cycle.read(CandidateTable)), evaluations=evaluations, feasible=feasible)
    ]
    families = cycle.families
    notes = []
    with cycle.compute.open_executor(seen, costs) as executor:
        for place, name in enumerate(names):
            progress("Comparison", place, len(names), name)
            found = baseline_search(
                name,
                spec,
                families,
                executor,
                source=GenomeSource(seen, costs, evaluator),
                seed=np.random.SeedSequence(cycle.plan.seed),
                evaluations=evaluations,
                on_measured=partial(cycle.count_trials, baseline=name),
            )
            candidates = choose_candidates(found.trials, spec, seen, costs, evaluator)
            spent, traded = found.spent.evaluations, int(found.trials.feasible.sum())
            contenders.append(Contender.of(name, candidates, evaluations=spent, feasible=traded))
            if found.stopped_by:
                notes.append(f"{name} stopped early: {found.stopped_by}.")
    left_out = [family for family in families if not takes_part_in_cma_es(family)]
    if "cmaes" in names and left_out:
        notes.append(f"cmaes leaves out {', '.join(left_out)}: trees and documents are no coordinates.")
    progress("Comparison", len(names), len(names), "")
    if isinstance(source, WorldSource):
        more = continued(source, seen.symbols, days=UNSEEN_DAYS)
        return Comparison(
            standings(contenders, seen, Unseen(more.panel, more.start), costs, evaluator), [*notes, _SIMULATED]
        )
    return Comparison(standings(contenders, seen, None, costs, evaluator), [*notes, _REAL])
