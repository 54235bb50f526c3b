"""A whole cycle in plain Python: every stage in its order, every table stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import polars as pl

from quant_organism.cycle.cycle import Cycle, Progress, no_progress
from quant_organism.cycle.stages import (
    Deployed,
    Documented,
    Judgements,
    LuckMeasured,
    Pretested,
    Searched,
    StageReviews,
    ask_pretest,
    carry_archive,
    decide,
    deploy_survivors,
    judge_by_backtest,
    judge_by_replay,
    judge_on_testnet,
    measure_luck,
    search,
    write_documents,
)
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.deployment.tables import DecisionTable
from quant_organism.evolution.candidates import Candidate
from quant_organism.evolution.tables import ArchiveTable
from quant_organism.validation.gauntlet import Review
from quant_organism.validation.records import read_reviewed
from quant_organism.validation.tables import (
    CandidateMetricTable,
    PretestTable,
    SignificanceTable,
    StandingTable,
    VerdictAfterBacktestTable,
    VerdictAfterReplayTable,
    VerdictAfterTestnetTable,
    VerdictTable,
)
from quant_organism.validation.workers import workers_at_hand


@dataclass(frozen=True, eq=False)
class CycleResult:
    """What a cycle came to, stage by stage.

    Attributes
    ----------
    pretested, searched, archive, judged, luck, documented, deployed
        As the stages return them; `judged` is the decision, with all gates' verdicts.
    """

    pretested: Pretested
    searched: Searched
    archive: pl.DataFrame
    judged: StageReviews
    luck: LuckMeasured
    documented: Documented
    deployed: Deployed

    @property
    def reviews(self) -> list[Review]:
        """Every candidate with all judgements on it."""
        return self.judged.reviews


def run_cycle(
    cycle: Cycle,
    repository: StrategyRepository,
    *,
    progress: Progress = no_progress,
    during: Callable[[str], AbstractContextManager[None]] = lambda stage: nullcontext(),
) -> CycleResult:
    """Live through a cycle on its panel: pretest, search, archive, gates, significance, decision, documents, pool.

    The assets of the web UI call the same stages in the same order and leave the same tables.

    Parameters
    ----------
    cycle
        Where, on what, and how.
    repository
        Where the documents are.
    progress
        Told what is going on.
    during
        Returns a context that is entered for each stage, by its name: `pretest`, `search`, `gates`, `repetitions`,
        `deployment`.

    Raises
    ------
    QuantOrganismError
        What a stage raised; tables of the stages before it are stored.
    """
    with workers_at_hand(cycle.compute.processes_here):
        return _lived_through(cycle, repository, progress, during)


def _lived_through(
    cycle: Cycle,
    repository: StrategyRepository,
    progress: Progress,
    during: Callable[[str], AbstractContextManager[None]],
) -> CycleResult:
    cycle.begin()
    with during("pretest"):
        pretested = ask_pretest(cycle, progress)
    cycle.write(PretestTable, pretested.table)
    with during("search"):
        searched = search(cycle, pretested.table, progress)
        archive = carry_archive(cycle, searched.result.elites, searched.result.population)
    for table, frame in searched.tables.items():
        cycle.write(table, frame)
    cycle.write(ArchiveTable, archive)
    cycle.search_stored(searched.result)

    judged = judge_candidates(
        cycle,
        searched.result.candidate_members,
        searched.result.population,
        pretested.table,
        lambda judgements: measure_luck(cycle, pretested.table, judgements, progress),
        progress=progress,
        during=during,
    )
    decided = judged.decided
    validated = decided.beside[StandingTable]
    with during("deployment"):
        reviewed = read_reviewed(judged.candidates, validated, decided.verdicts)
        documented = write_documents(cycle, reviewed, progress)
        for table, frame in documented.tables.items():
            cycle.write(table, frame)
        deployed = deploy_survivors(cycle, repository, documented.documents, reviewed)
    cycle.write(DecisionTable, deployed.table)
    return CycleResult(pretested, searched, archive, decided, judged.luck, documented, deployed)


@dataclass(frozen=True, eq=False)
class JudgedCandidates:
    """What the gates said of candidates.

    Attributes
    ----------
    candidates
        Who was judged.
    metrics
        Their figures on each span.
    decided
        All gates' verdicts, and who stands where.
    luck
        What the repetitions of the search showed.
    """

    candidates: Sequence[Candidate]
    metrics: pl.DataFrame
    decided: StageReviews
    luck: LuckMeasured


def judge_candidates(
    cycle: Cycle,
    members: pl.DataFrame,
    population: pl.DataFrame,
    pretest: pl.DataFrame,
    measure: Callable[[Judgements], LuckMeasured],
    *,
    progress: Progress = no_progress,
    during: Callable[[str], AbstractContextManager[None]] = lambda stage: nullcontext(),
) -> JudgedCandidates:
    """Judge candidates by backtest, replay and testnet, measure luck, decide; store the verdicts of every stage.

    Parameters
    ----------
    cycle
        Where, on what, and how.
    members, population, pretest
        As the search and the test before it store them.
    measure
        Measures luck for those who stand after the backtest.
    progress, during
        As for `run_cycle`: `gates` and `repetitions`.
    """
    measured: list[LuckMeasured] = []
    grounds = cycle.grounds(members, population, pretest=pretest, significance=lambda: measured[0].table)
    with during("gates"):
        backtest = judge_by_backtest(cycle, grounds, progress)
        replay = judge_by_replay(cycle, grounds, backtest.judgements, progress)
        testnet = judge_on_testnet(cycle, grounds, replay.judgements)
    for verdict_table, judged in (
        (VerdictAfterBacktestTable, backtest),
        (VerdictAfterReplayTable, replay),
        (VerdictAfterTestnetTable, testnet),
    ):
        cycle.write(verdict_table, judged.verdicts)
        for table, frame in judged.beside.items():
            cycle.write(table, frame)
    with during("repetitions"):
        measured.append(measure(backtest.judgements))
    cycle.write(SignificanceTable, measured[0].table)
    metrics = backtest.beside[CandidateMetricTable]
    with during("gates"):
        decided = decide(cycle, grounds, metrics, testnet.judgements)
    cycle.write(VerdictTable, decided.verdicts)
    cycle.write(StandingTable, decided.beside[StandingTable])
    return JudgedCandidates(grounds.candidates, metrics, decided, measured[0])
