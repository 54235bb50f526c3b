"""Group validation: candidates traded bar by bar, and on a testnet where there is one."""

import dagster as dg
import polars as pl

from quant_organism.orchestration.cycle import Cycle
from quant_organism.orchestration.metadata import table
from quant_organism.orchestration.partitions import DAILY
from quant_organism.orchestration.resources import LakeResource, MarketResource, Progress, SearchResource
from quant_organism.validation.case import Case
from quant_organism.validation.gauntlet import REPLAY, TESTNET, run_gauntlet
from quant_organism.validation.records import read_judgements, verdicts_frame
from quant_organism.validation.replay_records import modes_of, replays_frame


@dg.asset(group_name="validation", partitions_def=DAILY, kinds={"numba", "parquet"})
def replay_validation(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    backtest_validation: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    progress: dg.ResourceParam[Progress],
) -> pl.DataFrame:
    """Are the trades the same when bars come in one by one? Candidates that the backtest has left, replayed.

    One row per candidate and gate, those of `backtest_validation` first. It is part of the look at the unseen days that
    was written down there. Dataset beside it: `strategy_replays` (every replayed period, with the hash of its trades).
    """
    cycle = Cycle.open(market_panel, context.partition_key, market, lake)
    grounds, profile = cycle.grounds(search, looked_at=True), search.gates
    progress("Replay", 0, 1, f"{len(grounds.admitted)} candidates")
    before = read_judgements(backtest_validation, profile)
    reviews = run_gauntlet(grounds, profile, stages=REPLAY, before=before, every_gate=search.every_gate)
    shown = [review.candidate for review in reviews if search.every_gate or review.open_goals]
    left = [candidate for candidate in shown if candidate in grounds.admitted]
    replays = replays_frame((Case(candidate, grounds) for candidate in left), modes_of(profile))
    cycle.write("strategy_replays", replays)
    equal, compared = (int(replays.unique(["candidate", "mode"])[name].sum()) for name in ("equal", "compared"))
    progress("Replay", 1, 1, f"{equal} of {compared} replays made the backtest's trades")
    context.add_output_metadata(
        {"candidates": len(grounds.admitted), "left": len(left), "replays": table(replays.drop("difference"))}
    )
    return verdicts_frame(reviews, profile)


@dg.asset(group_name="validation", partitions_def=DAILY, kinds={"parquet"})
def testnet_validation(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    replay_validation: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
) -> pl.DataFrame:
    """What candidates earned on a testnet, `not_run` where no venue is configured, and what all three stages come to.

    One row per candidate and gate, those of `replay_validation` first.
    """
    cycle = Cycle.open(market_panel, context.partition_key, market, lake)
    grounds, profile = cycle.grounds(search, looked_at=True), search.gates
    before = read_judgements(replay_validation, profile)
    reviews = run_gauntlet(grounds, profile, stages=TESTNET, before=before, every_gate=search.every_gate)
    verdicts = verdicts_frame(reviews, profile)
    shown = verdicts.filter(stage="testnet").select("candidate", "gate", "status", "value", "reason")
    context.add_output_metadata({"candidates": len(grounds.admitted), "verdicts": table(shown)})
    return verdicts
