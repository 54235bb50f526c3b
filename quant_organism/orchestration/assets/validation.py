"""Group validation: what candidates show by the backtest, and what they have earned by all evidence together."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import dagster as dg
import polars as pl

from quant_organism.cycle import Panels, Progress
from quant_organism.cycle.stages import decide, judge_by_backtest
from quant_organism.market import Table, has_unseen
from quant_organism.orchestration.failures import plainly
from quant_organism.orchestration.metadata import number, table
from quant_organism.orchestration.partitions import DAILY
from quant_organism.orchestration.resources import (
    LakeResource,
    MarketResource,
    SearchResource,
    SignificanceResource,
    open_cycle,
)
from quant_organism.orchestration.tables import outputs_of, table_outputs
from quant_organism.validation import (
    CandidateMetricTable,
    CandidateReturnTable,
    Grounds,
    Review,
    StandingTable,
    VerdictAfterBacktestTable,
    VerdictTable,
    looked_at,
    read_judgements,
)


@dg.multi_asset(
    name="backtest_validation",
    outs=table_outputs(
        [VerdictAfterBacktestTable, CandidateMetricTable, CandidateReturnTable],
        group="validation",
        kinds={"numba", "parquet"},
        description="""What each candidate shows by the backtest, on days that its search has and has not seen.

        One row per candidate and gate. Gates stand in the order of what they cost: those that nothing is open to any
        more are not looked at further, and the unseen days are opened once, for all who are left. A second cycle of a
        week is exploratory and opens nothing, unless it is offered.
        """,
    ),
    partitions_def=DAILY,
)
@plainly
def gates_of_the_backtest(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    evolved_population: pl.DataFrame,
    candidates: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    significance: SignificanceResource,
    panels: dg.ResourceParam[Panels],
    progress: dg.ResourceParam[Progress],
) -> Iterator[dg.Output[pl.DataFrame]]:
    """Judge by the gates of the backtest."""
    cycle = open_cycle(market_panel, context.partition_key, market, lake, search, significance, panels)
    grounds = cycle.grounds(candidates, evolved_population)
    judged = judge_by_backtest(cycle, grounds, progress)
    shown = {
        "candidates": len(judged.reviews),
        "left": sum(bool(review.open_goals) for review in judged.reviews),
        "unseen days": _opened(grounds, cycle.take_place().sealed),
        "profile": cycle.plan.judged_by.name,
        "gates": table(_costs(judged.reviews)),
    }
    frames: dict[type[Table], pl.DataFrame] = {VerdictAfterBacktestTable: judged.verdicts, **judged.beside}
    yield from outputs_of(frames, {VerdictAfterBacktestTable: shown})


@dg.multi_asset(
    name="validated_strategies",
    outs=table_outputs(
        [StandingTable, VerdictTable],
        group="validation",
        kinds={"parquet"},
        description="""What each candidate has earned by all evidence: `paper`, `shadow` (unproven) or nothing.

        One row per candidate, with the reason in a sentence.
        """,
    ),
    partitions_def=DAILY,
)
@plainly
def decision_of_the_day(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    evolved_population: pl.DataFrame,
    candidates: pl.DataFrame,
    candidate_metrics: pl.DataFrame,
    edge_pretest: pl.DataFrame,
    testnet_validation: pl.DataFrame,
    search_significance: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    significance: SignificanceResource,
    panels: dg.ResourceParam[Panels],
) -> Iterator[dg.Output[pl.DataFrame]]:
    """Decide by all evidence together."""
    cycle = open_cycle(market_panel, context.partition_key, market, lake, search, significance, panels)
    grounds = cycle.grounds(
        candidates,
        evolved_population,
        pretest=edge_pretest,
        significance=lambda: search_significance,
        admitted=looked_at(candidate_metrics),
    )
    judged = decide(cycle, grounds, candidate_metrics, read_judgements(testnet_validation, cycle.plan.judged_by))
    verdicts, summary = judged.verdicts, judged.beside[StandingTable]
    stopped = verdicts.filter(
        pl.col(VerdictTable.status).is_in(["failed", "not_run"]), pl.col(VerdictTable.needed_for).list.len() > 0
    ).select(
        VerdictTable.candidate,
        VerdictTable.stage,
        VerdictTable.gate,
        VerdictTable.needed_for,
        VerdictTable.status,
        VerdictTable.reason,
    )
    shown = {
        "candidates": len(judged.reviews),
        "survivors": int(summary[StandingTable.passed].sum()),
        "proven": summary.filter(pl.col(StandingTable.standing) == "paper").height,
        "profile": f"{cycle.plan.judged_by.name} {cycle.plan.judged_by.hash[:8]}",
        "best unseen Sharpe ratio": number(summary[StandingTable.score].fill_nan(None).max()),  # type: ignore[arg-type]
        "candidates and what they have earned": table(summary.drop(StandingTable.metrics)),
        "gates that stopped someone": table(stopped),
    }
    yield from outputs_of({StandingTable: summary, VerdictTable: verdicts}, {StandingTable: shown})


def _opened(grounds: Grounds, sealed: str) -> str:
    if sealed:
        return sealed
    if not has_unseen(grounds.splits):
        return "none: the search saw all days"
    return grounds.opening.sentence if grounds.admitted else "not opened"


def _costs(reviews: Sequence[Review]) -> pl.DataFrame:
    """Return one row per gate: how many it stopped, and what it took."""
    rows: dict[tuple[str, str, str], list[float]] = defaultdict(lambda: [0, 0, 0.0])
    for review in reviews:
        for judgement in review.judgements:
            verdict = judgement.verdict
            row = rows[verdict.stage, verdict.gate, ", ".join(judgement.goals) or "information"]
            row[0] += verdict.status == "passed"
            row[1] += verdict.status in ("failed", "not_run")
            row[2] += judgement.seconds
    return pl.DataFrame(
        [(*key, int(passed), int(stopped), round(seconds, 3)) for key, (passed, stopped, seconds) in rows.items()],
        schema=["stage", "gate", "needed for", "passed", "stopped", "seconds"],
        orient="row",
    )
