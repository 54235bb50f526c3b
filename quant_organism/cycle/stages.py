"""The stages of a cycle, one function each: tables of earlier stages in, a result and its tables out.

Nothing here stores a table: whoever runs the stages does, an asset through its IO manager, `run_cycle` by itself. What
outlives a cycle is written where it arises: trials in the ledger, looks at unseen days in the register, draws and
replays in their stores, documents in their repository.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import polars as pl

from quant_organism.cycle.cycle import Cycle, Progress, no_progress
from quant_organism.cycle.documents import documents_frame
from quant_organism.deployment.birth import birth_rows, born_documents, earned, kept_share, pool_returns, survivors
from quant_organism.deployment.booking import book_births, book_moves
from quant_organism.deployment.config import StrategyConfig
from quant_organism.deployment.deploy import DeploymentResult, dead_lately, deploy, judged_lately, pool_at
from quant_organism.deployment.effects import closed_seats
from quant_organism.deployment.executed import ExecutedStrategy, accounts_frame, execute_strategy
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.deployment.selection import nearest_of
from quant_organism.deployment.tables import AccountTable, DecisionTable, DocumentTable
from quant_organism.evolution.archive import merge
from quant_organism.evolution.candidates import EdgeEvidence
from quant_organism.evolution.cycle import EvolutionResult, evolve, without_search
from quant_organism.evolution.progress import Standing
from quant_organism.evolution.tables import (
    ArchiveTable,
    CandidateTable,
    EliteTable,
    FamilyProgressTable,
    LostBatchTable,
    PopulationTable,
    ProgressTable,
    RejectedTable,
)
from quant_organism.market.lines import has_unseen, promised
from quant_organism.market.schema import day_of
from quant_organism.market.table import Table
from quant_organism.validation.case import Case, Grounds
from quant_organism.validation.draws import Remembered, derived_seed
from quant_organism.validation.gates.replay import LookAhead
from quant_organism.validation.gauntlet import (
    BACKTEST,
    DECISION,
    REPLAY,
    TESTNET,
    Judgement,
    Review,
    anybody_left,
    run_gauntlet,
)
from quant_organism.validation.holdout import HoldoutRegister
from quant_organism.validation.permutation import SearchOnNulls, SearchSignificance, frozen_spec, search_significance
from quant_organism.validation.pretest import PretestResult, RandomStrategies, pretest, rule_families
from quant_organism.validation.records import (
    ReviewedCandidate,
    metrics_frame,
    returns_frame,
    summary_frame,
    verdicts_frame,
)
from quant_organism.validation.replay_evidence import make_replays
from quant_organism.validation.replay_records import modes_of, replays_frame
from quant_organism.validation.significance_records import pretest_frame, read_evidence, significance_frame
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.tables import (
    CandidateMetricTable,
    CandidateReturnTable,
    ReplayTable,
    SignificanceTable,
    StandingTable,
)
from quant_organism.validation.verdict import Stage
from quant_organism.validation.workers import workers_now

Judgements = Mapping[str, Sequence[Judgement]]
"""Judgements of earlier stages, by the identity of the candidate."""


@dataclass(frozen=True, eq=False)
class Pretested:
    """Whether there is anything to find: the result, and its table `edge_pretest`."""

    result: PretestResult | NotRun
    table: pl.DataFrame


@dataclass(frozen=True, eq=False)
class Searched:
    """What the search found."""

    result: EvolutionResult

    @property
    def tables(self) -> dict[type[Table], pl.DataFrame]:
        """All frames, by their table."""
        return {
            PopulationTable: self.result.population,
            ProgressTable: self.result.generations,
            FamilyProgressTable: self.result.families,
            CandidateTable: self.result.candidate_members,
            EliteTable: self.result.elites,
            RejectedTable: self.result.rejected,
            LostBatchTable: self.result.lost,
        }


@dataclass(frozen=True, eq=False)
class StageReviews:
    """What gates said of the candidates so far.

    Attributes
    ----------
    reviews
        One per candidate.
    verdicts
        One row per candidate and gate.
    beside
        Further frames of the stage, by their table.
    """

    reviews: list[Review]
    verdicts: pl.DataFrame
    beside: Mapping[type[Table], pl.DataFrame]

    @property
    def judgements(self) -> dict[str, Sequence[Judgement]]:
        """All judgements, by candidate."""
        return {review.candidate.id: review.judgements for review in self.reviews}


@dataclass(frozen=True, eq=False)
class LuckMeasured:
    """How good the search looks by luck alone: the result, and its table `search_significance`."""

    result: SearchSignificance | NotRun
    table: pl.DataFrame


@dataclass(frozen=True, eq=False)
class Deployed:
    """Who entered the pool: the result, and its table `deployed_configs`."""

    result: DeploymentResult
    table: pl.DataFrame


def ask_pretest(cycle: Cycle, progress: Progress = no_progress) -> Pretested:
    """Ask whether there is anything to find: random strategies on the market, and on copies where nothing can be."""
    plan, compute, costs = cycle.plan, cycle.compute, cycle.plan.costs.of_sleeves
    strategies = RandomStrategies(
        panel=cycle.in_sample,
        families=rule_families(cycle.families),
        costs=costs,
        threads=1,
        genomes=plan.significance.strategies,
        min_trades=plan.spec.min_trades,
        seed=derived_seed("pretest", cycle.in_sample.hash, costs.hash),
    )
    result = pretest(
        strategies,
        draws=plan.significance.copies,
        make=Remembered(strategies, cycle.draw_store("pretest", strategies.identity)),
        processes=compute.processes,
        executor=compute.executor,
        progress=partial(_report, progress, "Pretest"),
    )
    done = plan.significance.copies + 1
    progress("Pretest", done, done, "not run" if isinstance(result, NotRun) else f"p = {result.p_value:.3g}")
    return Pretested(result, pretest_frame(result))


def search(cycle: Cycle, pretest: pl.DataFrame, progress: Progress = no_progress) -> Searched:
    """Search the in-sample days and make the final choice; founded with the archive of the newest earlier cycle.

    Parameters
    ----------
    cycle
        The cycle.
    pretest
        Table `edge_pretest`: the final choice reads where the edge sits.
    progress
        Told how far it is.
    """
    evidence = read_evidence(pretest)
    if cycle.plan.stop_without_edge and pretest["status"][0] == "failed":
        result = without_search(cycle.plan.spec, cycle.in_sample, why="nothing to find before the search")
        progress("Evolution", 1, 1, "not searched: nothing to find")
    else:
        _begin_repetitions(cycle, pretest)
        result = _evolve(cycle, evidence, progress)
    return Searched(result)


def _evolve(cycle: Cycle, evidence: EdgeEvidence | None, progress: Progress) -> EvolutionResult:
    plan, compute, panel, checkpoint = cycle.plan, cycle.compute, cycle.in_sample, cycle.checkpoint()

    def report(standing: Standing) -> None:
        done = standing.generation * plan.spec.islands + standing.batches_done
        progress("Evolution", done, (plan.spec.generations + 1) * plan.spec.islands, standing.note)

    if checkpoint is not None and not compute.resume:
        checkpoint.remove()
    costs = plan.costs.of_sleeves
    with compute.open_executor(panel, costs) as executor:
        return evolve(
            panel,
            plan.spec,
            costs,
            compute.evaluator(),
            seed=plan.seed,
            founders=cycle.founders,
            evidence=evidence,
            executor=executor,
            saved=None if checkpoint is None else checkpoint.load(),
            on_measured=cycle.count_trials,
            on_generation=None if checkpoint is None else checkpoint.save,
            progress=report,
        )


def carry_archive(cycle: Cycle, elites: pl.DataFrame, population: pl.DataFrame) -> pl.DataFrame:
    """Return the archive after this cycle: its elites among those of the one before, table `strategy_archive`."""
    before = cycle.archive_before
    nothing = ArchiveTable.empty()
    return merge(nothing if before is None else before, elites, tried=population["hash"])


def judge_by_backtest(cycle: Cycle, grounds: Grounds, progress: Progress = no_progress) -> StageReviews:
    """Judge what each candidate shows by the backtest; the unseen days are opened once, for all who are left.

    Where there are none, what they would have shown is not applicable. In a cycle that is exploratory they stay sealed,
    and nobody is put forward.

    Returns
    -------
    StageReviews
        Beside the verdicts: `candidate_metrics` (by span) and `candidate_returns` (net, by day).
    """
    progress("Validation", 0, 1, f"{len(grounds.candidates)} candidates")
    judged = _judged(cycle, grounds, BACKTEST)
    left = sum(bool(review.open_goals) for review in judged.reviews)
    progress("Validation", 1, 1, f"{left} of {len(judged.reviews)} left after the backtest")
    beside = {CandidateMetricTable: metrics_frame(grounds), CandidateReturnTable: returns_frame(grounds)}
    return StageReviews(judged.reviews, judged.verdicts, beside)


def judge_by_replay(
    cycle: Cycle, grounds: Grounds, before: Judgements, progress: Progress = no_progress
) -> StageReviews:
    """Judge whether the trades are the same when bars come in one by one.

    Returns
    -------
    StageReviews
        Beside the verdicts, those from before among them: `strategy_replays` (every replayed period).
    """
    progress("Replay", 0, 1, f"{len(grounds.admitted)} candidates")
    profile, modes = cycle.plan.judged_by, modes_of(cycle.plan.judged_by)
    alive = [c for c in grounds.candidates if _asks_every_gate(cycle) or anybody_left({c.id: before[c.id]}, profile)]
    proves = any(isinstance(gate, LookAhead) for gate in profile.gates)
    report = partial(_report, progress, "Replay")
    pieces = make_replays(grounds, alive, modes, decisions=proves, progress=report) or 1
    judged = _judged(cycle, grounds, REPLAY, before)
    shown = [review.candidate for review in judged.reviews if _asks_every_gate(cycle) or review.open_goals]
    left = [candidate for candidate in shown if candidate in grounds.admitted]
    replays = replays_frame((Case(candidate, grounds) for candidate in left), modes)
    equal, compared = (int(replays.unique(["candidate", "mode"])[name].sum()) for name in ("equal", "compared"))
    progress("Replay", pieces, pieces, f"{equal} of {compared} replays made the backtest's trades")
    return StageReviews(judged.reviews, judged.verdicts, {ReplayTable: replays})


def judge_on_testnet(cycle: Cycle, grounds: Grounds, before: Judgements) -> StageReviews:
    """Judge how a venue carries out what candidates decided last, `not_run` where none is configured."""
    return _judged(cycle, grounds, TESTNET, before)


def measure_luck(
    cycle: Cycle, pretest: pl.DataFrame, before: Judgements, progress: Progress = no_progress
) -> LuckMeasured:
    """Repeat the whole search and its final choice where nothing can be found.

    Unless every gate is wanted, nothing is repeated where the test before the search found nothing, or where nobody is
    left that it could help. Every repetition is kept, so that one cut short by a time
    limit goes on from there.

    Parameters
    ----------
    cycle
        The cycle.
    pretest
        Table `edge_pretest`.
    before
        Judgements so far.
    progress
        Told how many copies are made.
    """
    plan, compute = cycle.plan, cycle.compute
    if (workers := workers_now()) is not None:
        workers.end_ahead()
    result: SearchSignificance | NotRun
    if pretest["status"][0] == "failed" and not plan.every_gate:
        p_value = pretest["p_value"][0]
        result = NotRun(f"nothing to find before the search (p = {p_value:.3g}), so none was repeated")
    elif not (plan.every_gate or anybody_left(before, plan.judged_by)):
        result = NotRun("no candidate is left that it could help, so none was repeated")
    else:
        repeated, make, left_out = _repetitions(cycle, pretest)
        result = search_significance(
            repeated,
            draws=plan.significance.searches,
            minutes=plan.significance.minutes,
            make=make,
            left_out=left_out,
            processes=compute.processes,
            executor=compute.executor,
            progress=partial(_report, progress, "Significance"),
        )
    done = 1 if isinstance(result, NotRun) else result.draws + 1
    progress("Significance", done, done, "no p-value" if isinstance(result, NotRun) else f"p = {result.p_value:.3g}")
    return LuckMeasured(result, significance_frame(result))


def _begin_repetitions(cycle: Cycle, pretest: pl.DataFrame) -> None:
    """Have workers that have started repeat the search while this process searches and judges.

    Only where the test before the search found something, and no limit of time counts what is made. Each repetition is
    kept where `measure_luck` looks first, and it begins no more of them where nobody is left that they could help.
    """
    workers, significance = workers_now(), cycle.plan.significance
    if workers is None or not workers.have_started or significance.minutes is not None:
        return
    if pretest["status"][0] == "passed":
        workers.begin_ahead(_repetitions(cycle, pretest)[1], range(significance.searches + 1))


def _repetitions(cycle: Cycle, pretest: pl.DataFrame) -> tuple[SearchOnNulls, Remembered, tuple[str, ...]]:
    """Return the search to be repeated, how its repetitions are made and kept, and the families that it leaves out."""
    spec, left_out = frozen_spec(cycle.plan.spec, cycle.in_sample, evidence=read_evidence(pretest))
    # Of panel, spec and costs, never of the cycle's seed: whoever searches again adds copies and redraws none.
    costs = cycle.plan.costs.of_sleeves
    pool = derived_seed("search", cycle.in_sample.hash, spec.hash, costs.hash)
    repeated = cycle.compute.on_nulls(cycle.in_sample, spec, costs, pool)
    return repeated, Remembered(repeated, cycle.draw_store("search", repeated.identity)), left_out


def decide(cycle: Cycle, grounds: Grounds, metrics: pl.DataFrame, before: Judgements) -> StageReviews:
    """Decide what each candidate has earned by all evidence together.

    Parameters
    ----------
    cycle, grounds, before
        The cycle, what is known, and the judgements so far.
    metrics
        Table `candidate_metrics`.

    Returns
    -------
    StageReviews
        Beside the verdicts, all gates' now: `validated_strategies` (one row per candidate).
    """
    judged = _judged(cycle, grounds, DECISION, before)
    return StageReviews(judged.reviews, judged.verdicts, {StandingTable: summary_frame(judged.reviews, metrics)})


@dataclass(frozen=True, eq=False)
class Documented:
    """The survivors' documents at birth, best fitness first, and what accounts execute of them, by identity."""

    documents: list[StrategyConfig]
    executed: Mapping[str, ExecutedStrategy]

    @property
    def tables(self) -> dict[type[Table], pl.DataFrame]:
        """Both as frames, by their table."""
        return {DocumentTable: documents_frame(self.documents), AccountTable: accounts_frame(self.executed)}


def write_documents(
    cycle: Cycle, reviewed: Sequence[ReviewedCandidate], progress: Progress = no_progress
) -> Documented:
    """Give each survivor an account of its own, at several sizes, and return its document with what that executes.

    Parameters
    ----------
    cycle
        The cycle.
    reviewed
        Its candidates, judged by all gates.
    progress
        Told how far it is.
    """
    plan, evaluator, executed = cycle.plan, cycle.compute.evaluator(), dict[str, ExecutedStrategy]()
    chosen = survivors(reviewed)
    for done, review in enumerate(chosen):
        progress("Accounts", done, len(chosen), review.candidate.id)
        executed[review.candidate.id] = execute_strategy(
            review.candidate.committee, cycle.panel, cycle.splits, plan.costs, plan.equity_usd, evaluator
        )
    progress("Accounts", 1, 1, f"{len(chosen)} survivors at {plan.equity_usd:,.0f} USD and other sizes")
    at, provenance = cycle.day.isoformat(), cycle.provenance
    return Documented(born_documents(reviewed, executed, panel=cycle.panel, provenance=provenance, at=at), executed)


def deploy_survivors(
    cycle: Cycle,
    repository: StrategyRepository,
    documents: Sequence[StrategyConfig],
    reviewed: Sequence[ReviewedCandidate],
) -> Deployed:
    """Save the survivors' documents, and let the best that are not too alike into the shadow pool, the proven on paper.

    Parameters
    ----------
    cycle
        The cycle.
    repository
        Where the documents are.
    documents
        The survivors', as `write_documents` returns them.
    reviewed
        The cycle's candidates, judged by all gates.
    """
    at, interval, costs, provenance = cycle.day.isoformat(), cycle.interval.name, cycle.plan.costs, cycle.provenance
    with repository.writing():
        pool = pool_at(repository, provenance, interval, at=at)
        dead = dead_lately(repository, provenance, interval, at=at)
        judged = judged_lately(cycle.lake, cycle.market, interval, cycle.day)
        known = judged | {d.id: d for d in [*documents, *pool, *dead]}
        returns = pool_returns(cycle.lake, known, cycle.panel, cycle.splits, costs, cycle.compute.evaluator())
        register, panel_hash = HoldoutRegister(cycle.lake.root), cycle.panel.hash
        if documents and not has_unseen(cycle.splits):
            register.offer(cycle.panel, [d.id for d in documents], reason=f"births of {cycle.day} on the short line")
        look_at = partial(register.opening_of, cycle.market, panel_hash)
        gone = {d.id for d in dead}
        near = {d.id: nearest_of(d.id, gone - {d.id}, returns) for d in documents}
        how_far = earned(reviewed, look_at, near)
        result = deploy(
            repository,
            documents,
            returns,
            cycle=provenance,
            interval=interval,
            at=at,
            earned=how_far,
            judged=judged,
            closed_seats=closed_seats(
                cycle.lake,
                cycle.day,
                market=cycle.market,
                interval=cycle.interval,
                by=f"deployment of {cycle.day} {cycle.id}",
            ),
        )
        significance, born = cycle.read(SignificanceTable), cycle.day + timedelta(days=1)
        shown, by_luck = (significance[0, name] for name in (SignificanceTable.sharpe, SignificanceTable.luck_sharpe))
        births = birth_rows(
            result.documents,
            how_far,
            cycle.read(CandidateReturnTable),
            promised_from=day_of(int(cycle.panel.times[promised(cycle.splits).start])),
            first_day=born,
            search_copies=int(significance[0, SignificanceTable.draws] or 0),
            opening_of=look_at,
            nearest_dead=near,
            from_first_trade=not has_unseen(cycle.splits),
            kept=1.0 if has_unseen(cycle.splits) else kept_share(shown, by_luck),
        )
        book_births(cycle.lake, births, day=cycle.day, market=cycle.market, interval=cycle.interval)
        book_moves(cycle.lake, result.documents, market=cycle.market, interval=cycle.interval)
        stages = {decision.id: repository.load(decision.id).stage for decision in result.decisions}
    return Deployed(result, DecisionTable.frame([(d.id, d.action, stages[d.id], d.reason) for d in result.decisions]))


def _judged(cycle: Cycle, grounds: Grounds, stages: Sequence[Stage], before: Judgements | None = None) -> StageReviews:
    plan = cycle.plan
    reviews = run_gauntlet(
        grounds,
        plan.judged_by,
        stages=stages,
        before=before,
        every_gate=_asks_every_gate(cycle),
        sealed=cycle.take_place().sealed,
        clock=cycle.compute.clock,
    )
    return StageReviews(reviews, verdicts_frame(reviews, plan.judged_by), {})


def _asks_every_gate(cycle: Cycle) -> bool:
    """Tell whether candidates meet gates when they have fallen; nobody does on unseen days that stay sealed."""
    return cycle.plan.every_gate and not cycle.take_place().sealed


def _report(progress: Progress, what: str, done: int, most: int) -> None:
    progress(what, done, most, "")
