"""The pattern optimization: a grid, random points, or an evolution, on the days that a search may see."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quant_organism.cycle import Cycle, SignificancePlan
from quant_organism.cycle.stages import ask_pretest, search
from quant_organism.evolution.tables import CandidateTable, PopulationTable
from quant_organism.strategies import Genome
from quant_organism.validation.profile import Profile
from quant_organism.validation.tables import PretestTable
from quant_organism.workflows.checks import evolution_spec
from quant_organism.workflows.inputs import BATCH, PhaseInputs, best_first, each_once
from quant_organism.workflows.mining.founders import drawn_in
from quant_organism.workflows.outcome import MOST_WINNERS, PhaseOutcome, PhaseWinner, result_rows
from quant_organism.workflows.spec import PhaseSpec
from quant_organism.workflows.strategies import TradedPoint
from quant_organism.workflows.tables import WorkflowResultTable

_GENOMES = "genomes"


def optimization(inputs: PhaseInputs, spec: PhaseSpec) -> PhaseOutcome:
    """Try strategies on the days that a search may see, and rank them by the objective."""
    return _evolved(inputs, spec) if spec.method == "evolution" else _tried(inputs, spec)


def _tried(inputs: PhaseInputs, spec: PhaseSpec) -> PhaseOutcome:
    began, stopped_by = inputs.clock(), ""
    frames: list[pl.DataFrame] = []
    expected = inputs.phase.points * max(1, len(inputs.winners))
    for number, batch in enumerate(inputs.batches()):
        if inputs.phase.hours is not None and number and inputs.clock() - began > 3_600.0 * inputs.phase.hours:
            stopped_by = f"hours: {number * BATCH:,} of {expected:,} points were tried"
            inputs.keep.write()
            break
        frames.append(inputs.keep.batch(number, partial(_measured, inputs, spec, batch)))
        inputs.progress(inputs.phase.name, sum(f.height for f in frames), expected, "")
    rows = pl.concat(frames)
    if not stopped_by and inputs.phase.evaluations is not None and rows.height < expected:
        stopped_by = f"evaluations: {rows.height:,} of {expected:,} points were tried"
    scores, feasible = rows["objective"].fill_null(math.nan).to_numpy().copy(), rows["feasible"].to_numpy()
    if spec.optimization.objective.neighbours:
        scores = _smoothed(inputs, rows, scores, spec.optimization.objective.neighbours)
    order = best_first(scores, feasible, rows["strategy"].to_list())
    results = rows[order].with_columns(
        pl.Series("rank", range(1, len(order) + 1)), pl.Series("objective", scores[order], nan_to_null=True)
    )
    return PhaseOutcome(
        results=results.select(WorkflowResultTable.schema.names()),
        winners=_winners(inputs, order, scores, feasible),
        strategies=rows.height,
        trials=int(rows[_GENOMES].sum()),
        stopped_by=stopped_by,
    )


def _measured(inputs: PhaseInputs, spec: PhaseSpec, batch: Sequence[TradedPoint]) -> pl.DataFrame:
    span, before = inputs.span, inputs.trials
    found = inputs.measure(batch, span.start, span.stop)
    scores, feasible = inputs.ranked(found.metrics, spec.optimization.objective)
    unranked = np.zeros(len(batch), dtype=np.int64)
    rows = inputs.rows(batch, found.metrics, ranks=unranked, scores=scores, feasible=feasible)
    # Each row bears its share, so that batches that were kept still say how many genomes they took.
    share = np.zeros(len(batch), dtype=np.int64)
    share[0] = inputs.trials - before
    return rows.with_columns(pl.Series(_GENOMES, share))


def _winners(
    inputs: PhaseInputs, order: Sequence[int], scores: NDArray[np.float64], feasible: NDArray[np.bool_]
) -> tuple[PhaseWinner, ...]:
    """Make the best points again, rather than keep all of them: a grid may be large."""
    wanted = {place for place in order[: 2 * MOST_WINNERS] if feasible[place]}
    last = max(wanted, default=-1) + 1
    chosen = {place: point for place, point in enumerate(itertools.islice(inputs.points(), last)) if place in wanted}
    return each_once(PhaseWinner(chosen[place], float(scores[place])) for place in order if place in chosen)


def _smoothed(inputs: PhaseInputs, rows: pl.DataFrame, scores: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Return the mean score over each point and those at most so many steps away along one axis; nan is left out."""
    places: dict[tuple[Any, ...], int] = {}
    at: list[tuple[Any, ...]] = []
    for place, point in enumerate(itertools.islice(inputs.points(), rows.height)):
        own = inputs.phase.axes.get(point.name, {})
        key = (point.name, point.sizer, *(values.index(point.parameters[name]) for name, values in own.items()))
        at.append(key)
        places[key] = place
    smoothed = np.empty_like(scores)
    for place, key in enumerate(at):
        near = [scores[places[other]] for other in _around(key, steps) if other in places]
        finite = [score for score in near if math.isfinite(score)]
        smoothed[place] = math.fsum(finite) / len(finite) if finite else math.nan
    return smoothed


def _around(key: tuple[Any, ...], steps: int) -> Iterator[tuple[Any, ...]]:
    yield key
    for axis in range(2, len(key)):
        for step in (s for s in range(-steps, steps + 1) if s):
            yield (*key[:axis], key[axis] + step, *key[axis + 1 :])


def _founders(inputs: PhaseInputs, spec: PhaseSpec, cycle: Cycle) -> tuple[Genome, ...]:
    """Draw the share of the founders that lies in regions; those that the search draws itself know nothing of them."""
    search = cycle.plan.spec
    count = int(spec.founders_in_regions * search.islands * search.population)
    if not count or not inputs.regions:
        return ()
    return tuple(drawn_in(inputs.regions, cycle.in_sample, inputs.phase.costs, count, inputs.plan.spec.seed))


def _evolved(inputs: PhaseInputs, spec: PhaseSpec) -> PhaseOutcome:
    significance = SignificancePlan.profile("smoke", **spec.significance.model_dump(exclude_none=True))
    evolution = evolution_spec(spec, hours=inputs.phase.hours)
    if inputs.phase.evaluations is not None:
        evolution = evolution.model_copy(update={"max_evaluations": inputs.phase.evaluations})
    cycle = inputs.cycle(inputs.key, evolution, Profile.load("light"), significance)
    cycle = replace(cycle, invited=_founders(inputs, spec, cycle))
    pretested = ask_pretest(cycle, inputs.progress)
    cycle.write(PretestTable, pretested.table)
    found = search(cycle, pretested.table, inputs.progress).result
    cycle.write(PopulationTable, found.population)
    cycle.write(CandidateTable, found.candidate_members)
    points = [
        TradedPoint(candidate.origin.replace(" ", "_"), {}, "", candidate.committee) for candidate in found.candidates
    ]
    rows, winners = [], []
    if points:
        span = inputs.span
        measured = inputs.evaluator.evaluate_committees(
            [point.committee for point in points],
            inputs.data.panel.window(0, span.stop),
            inputs.phase.costs,
            start=span.start,
            stop=span.stop,
        )
        scores, _ = inputs.ranked(measured.metrics, spec.optimization.objective)
        for place, point in enumerate(points):  # in the order of the search's own final choice
            metrics = {name: float(values[place]) for name, values in measured.metrics.items()}
            rows.append(inputs.row(point, metrics, rank=place + 1, objective=float(scores[place])))
            winners.append(PhaseWinner(point, float(scores[place])))
    return PhaseOutcome(
        results=result_rows(rows),
        winners=tuple(winners),
        strategies=found.population.height + found.rejected.height,
        trials=found.population.height,
        cycle=cycle.id,
        stopped_by=found.search.stopped_by or "",
        notes=(
            str(pretested.table["sentence"][0]),
            *([f"{len(cycle.invited)} founders of {len(inputs.regions)} regions"] if spec.founders_in_regions else []),
        ),
    )
