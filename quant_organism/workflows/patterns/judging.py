"""Patterns that judge and deploy, by the stages of a cycle: validation, deployment."""

from __future__ import annotations

import orjson
import polars as pl

from quant_organism.cycle import Cycle, SignificancePlan, judge_candidates
from quant_organism.cycle.stages import (
    LuckMeasured,
    ask_pretest,
    deploy_survivors,
    measure_luck,
    write_documents,
)
from quant_organism.deployment.tables import DecisionTable
from quant_organism.evolution.candidates import Candidate
from quant_organism.evolution.records import candidates_frame, read_candidates
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.evolution.tables import CandidateTable, PopulationTable
from quant_organism.market.lake import Lake
from quant_organism.market.table import Table
from quant_organism.validation.gauntlet import Review
from quant_organism.validation.profile import Profile
from quant_organism.validation.records import read_reviewed
from quant_organism.validation.significance_records import significance_frame
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.tables import PretestTable, StandingTable, VerdictTable
from quant_organism.workflows.checks import evolution_spec, gates_of
from quant_organism.workflows.inputs import PhaseInputs
from quant_organism.workflows.outcome import PhaseOutcome, PhaseWinner, result_rows
from quant_organism.workflows.plan import PhasePlan
from quant_organism.workflows.spec import PhaseSpec

_NOT_REPEATED = NotRun("a grid is not repeated where nothing can be found: only an evolution is")


def validation(inputs: PhaseInputs, spec: PhaseSpec) -> PhaseOutcome:
    """Judge strategies by the gates of a profile, as a cycle judges its candidates."""
    points = {point.committee.id: point for point in inputs.points()}
    candidates = [Candidate(point.committee, point.name) for point in points.values()]
    bred = inputs.parent is not None and _is_evolution(inputs.parent)
    cycle = _judging_cycle(inputs, spec, inputs.parent, inputs.key)
    source = inputs.outcomes[inputs.phase.needs[0]].cycle if bred else ""
    population = _stored(inputs, PopulationTable, source) if bred else PopulationTable.empty()
    pretested = _stored(inputs, PretestTable, source) if bred else ask_pretest(cycle, inputs.progress).table
    members = candidates_frame(candidates)
    cycle.write(PretestTable, pretested)
    cycle.write(CandidateTable, members)
    cycle.write(PopulationTable, population)
    judged = judge_candidates(
        cycle,
        members,
        population,
        pretested,
        lambda judgements: (
            measure_luck(cycle, pretested, judgements, inputs.progress)
            if bred
            else LuckMeasured(_NOT_REPEATED, significance_frame(_NOT_REPEATED))
        ),
        progress=inputs.progress,
    )
    standings = judged.decided.beside[StandingTable]
    rows, winners = [], []
    scores = dict(zip(standings["candidate"], standings["score"], strict=True))
    for rank, review in enumerate(sorted(judged.decided.reviews, key=_standing_first), 1):
        point, score = points[review.candidate.id], float(scores[review.candidate.id])
        passed = review.standing != "fallen"
        rows.append(
            inputs.row(
                point,
                _unseen_metrics(judged.metrics, review.candidate.id),
                rank=rank,
                objective=score,
                passed=passed,
                note=f"{review.standing}: {review.why}",
            )
        )
        if passed:
            winners.append(PhaseWinner(point, score))
    return PhaseOutcome(
        results=result_rows(rows),
        winners=tuple(winners),
        strategies=len(candidates),
        cycle=cycle.id,
        notes=(f"{len(winners)} of {len(candidates)} passed the gates of {spec.gates}",),
    )


def deployment(inputs: PhaseInputs, spec: PhaseSpec) -> PhaseOutcome:
    """Write documents of those that passed, and let the best that are not too alike into the shadow pool."""
    assert inputs.parent is not None
    judged = inputs.outcomes[inputs.parent.name]
    wanted = {winner.point.committee.id for winner in inputs.winners}
    cycle = _judging_cycle(inputs, inputs.parent.spec, None, inputs.parent_key)
    standings, verdicts = cycle.read(StandingTable), cycle.read(VerdictTable)
    reviewed = read_reviewed(read_candidates(cycle.read(CandidateTable)), standings, verdicts)
    chosen = [review for review in reviewed if review.candidate.id in wanted]
    documented = write_documents(cycle, chosen, inputs.progress)
    for table, frame in documented.tables.items():
        cycle.write(table, frame)
    deployed = deploy_survivors(cycle, inputs.repository, documented.documents, chosen)
    cycle.write(DecisionTable, deployed.table)
    points = {winner.point.committee.id: winner for winner in judged.winners}
    rows = []
    for rank, decision in enumerate(deployed.table.iter_rows(named=True), 1):
        if (winner := points.get(decision["id"])) is not None:
            entered = decision["action"] == "deploy"
            note = f"{decision['action']}, {decision['stage']}: {decision['reason']}"
            rows.append(inputs.row(winner.point, {}, rank=rank, objective=winner.score, passed=entered, note=note))
    entered = sum(bool(row["passed"]) for row in rows)
    return PhaseOutcome(
        results=result_rows(rows),
        strategies=len(chosen),
        cycle=cycle.id,
        notes=(f"{entered} of {len(chosen)} entered the shadow pool",),
    )


def _judging_cycle(inputs: PhaseInputs, spec: PhaseSpec, parent: PhasePlan | None, key: str) -> Cycle:
    bred = parent is not None and _is_evolution(parent)
    search = evolution_spec(parent.spec) if bred and parent is not None else EvolutionSpec.profile("smoke")
    said = parent.spec.significance if bred and parent is not None else spec.significance
    significance = SignificancePlan.profile("smoke", **said.model_dump(exclude_none=True))
    return inputs.cycle(key, search, Profile.load(gates_of(spec, inputs.plan.folder)), significance)


def _is_evolution(phase: PhasePlan) -> bool:
    return phase.spec.type == "optimization" and phase.spec.method == "evolution"


def _stored(inputs: PhaseInputs, table: type[Table], cycle: str) -> pl.DataFrame:
    stored = Lake(inputs.lake.root).table(table, cycle=cycle)
    return stored.read_day(inputs.day, market=inputs.market, interval=inputs.interval.name)


def _standing_first(review: Review) -> tuple[int, str]:
    return ("paper", "shadow", "fallen").index(review.standing), review.candidate.id


def _unseen_metrics(metrics: pl.DataFrame, candidate: str) -> dict[str, float]:
    """Return the metrics of a candidate's account on all unseen days; none where they were not looked at."""
    texts = metrics.filter(pl.col("candidate") == candidate)["metrics"].to_list()
    spans = orjson.loads(texts[0]) if texts else {}
    return {name: float(value) for name, value in spans.get("holdout", {}).items() if value is not None}
