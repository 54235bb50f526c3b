"""Group validation: candidates traded bar by bar, and on a testnet where there is one."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from quant_organism.cycle import Panels, Progress
from quant_organism.cycle.stages import judge_by_replay, judge_on_testnet
from quant_organism.market import Table
from quant_organism.orchestration.access import VenueRehearsals
from quant_organism.orchestration.failures import plainly
from quant_organism.orchestration.metadata import table
from quant_organism.orchestration.partitions import DAILY
from quant_organism.orchestration.resources import (
    LakeResource,
    MarketResource,
    SearchResource,
    SignificanceResource,
    open_cycle,
)
from quant_organism.orchestration.tables import outputs_of, table_outputs
from quant_organism.validation import ReplayTable, VerdictAfterReplayTable, looked_at, read_judgements


@dg.multi_asset(
    name="replay_validation",
    outs=table_outputs(
        [VerdictAfterReplayTable, ReplayTable],
        group="validation",
        kinds={"numba", "parquet"},
        description="""Are the trades the same when bars come in one by one?

        Candidates that the backtest has left, replayed. One row per candidate and gate, those of `backtest_validation`
        first. It is part of the look at the unseen days
        that was written down there.
        """,
    ),
    partitions_def=DAILY,
)
@plainly
def replays_of_the_day(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    evolved_population: pl.DataFrame,
    candidates: pl.DataFrame,
    candidate_metrics: pl.DataFrame,
    backtest_validation: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    significance: SignificanceResource,
    panels: dg.ResourceParam[Panels],
    progress: dg.ResourceParam[Progress],
) -> Iterator[dg.Output[pl.DataFrame]]:
    """Replay who is left."""
    cycle = open_cycle(market_panel, context.partition_key, market, lake, search, significance, panels)
    admitted = looked_at(candidate_metrics)
    grounds = cycle.grounds(candidates, evolved_population, admitted=admitted)
    judged = judge_by_replay(cycle, grounds, read_judgements(backtest_validation, cycle.plan.judged_by), progress)
    replays = judged.beside[ReplayTable]
    shown = {
        "candidates": len(admitted),
        "left": replays[ReplayTable.candidate].n_unique(),
        "replays": table(replays.drop(ReplayTable.difference)),
    }
    frames: dict[type[Table], pl.DataFrame] = {VerdictAfterReplayTable: judged.verdicts, **judged.beside}
    yield from outputs_of(frames, {VerdictAfterReplayTable: shown})


@dg.asset(group_name="validation", partitions_def=DAILY, kinds={"parquet"})
@plainly
def testnet_validation(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    evolved_population: pl.DataFrame,
    candidates: pl.DataFrame,
    candidate_metrics: pl.DataFrame,
    replay_validation: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    significance: SignificanceResource,
    panels: dg.ResourceParam[Panels],
    rehearsals: dg.ResourceParam[VenueRehearsals],
) -> pl.DataFrame:
    """How a venue carries out what candidates decided last, `not_run` where none is configured, and all three stages.

    One row per candidate and gate, those of `replay_validation` first.
    """
    cycle = open_cycle(market_panel, context.partition_key, market, lake, search, significance, panels, rehearsals)
    admitted = looked_at(candidate_metrics)
    grounds = cycle.grounds(candidates, evolved_population, admitted=admitted)
    verdicts = judge_on_testnet(cycle, grounds, read_judgements(replay_validation, cycle.plan.judged_by)).verdicts
    shown = verdicts.filter(stage="testnet").select("candidate", "gate", "status", "value", "reason")
    context.add_output_metadata({"candidates": len(admitted), "verdicts": table(shown)})
    return verdicts
