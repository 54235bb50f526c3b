"""Group validation: what candidates show by the backtest, and what they have earned by all evidence together."""

from collections import defaultdict
from collections.abc import Sequence

import dagster as dg
import polars as pl

from quant_organism.orchestration.cycle import Cycle
from quant_organism.orchestration.metadata import number, table
from quant_organism.orchestration.partitions import DAILY
from quant_organism.orchestration.resources import LakeResource, MarketResource, Progress, SearchResource
from quant_organism.validation.gauntlet import BACKTEST, DECISION, Review, run_gauntlet
from quant_organism.validation.records import (
    metrics_frame,
    read_judgements,
    returns_frame,
    summary_frame,
    verdicts_frame,
)


@dg.asset(group_name="validation", partitions_def=DAILY, deps=["evolved_population"], kinds={"numba", "parquet"})
def backtest_validation(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    progress: dg.ResourceParam[Progress],
) -> pl.DataFrame:
    """What each candidate shows by the backtest: on days that its search has and has not seen, and among all it tried.

    One row per candidate and gate. Gates stand in the order of what they cost: those that nothing is open to any more
    are not looked at further, and the unseen days are opened once, for all who are left. Datasets beside it:
    `candidate_metrics` (by span) and `candidate_returns` (net, by day).
    """
    cycle = Cycle.open(market_panel, context.partition_key, market, lake)
    grounds, profile = cycle.grounds(search), search.gates
    progress("Validation", 0, 1, f"{len(grounds.candidates)} candidates")
    reviews = run_gauntlet(grounds, profile, stages=BACKTEST, every_gate=search.every_gate)
    cycle.write("candidate_metrics", metrics_frame(grounds))
    cycle.write("candidate_returns", returns_frame(grounds))
    left = [review for review in reviews if review.open_goals]
    progress("Validation", 1, 1, f"{len(left)} of {len(reviews)} left after the backtest")
    context.add_output_metadata(
        {
            "candidates": len(reviews),
            "left": len(left),
            "unseen days": grounds.opening.sentence if grounds.admitted else "not opened",
            "profile": profile.name,
            "gates": table(_costs(reviews)),
        }
    )
    return verdicts_frame(reviews, profile)


@dg.asset(group_name="validation", partitions_def=DAILY, kinds={"parquet"})
def validated_strategies(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    edge_pretest: pl.DataFrame,
    testnet_validation: pl.DataFrame,
    search_significance: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
) -> pl.DataFrame:
    """What each candidate has earned: `paper`, `shadow` (unproven), or nothing, by all evidence together.

    One row per candidate, with the reason in a sentence. Dataset beside it: `validation_verdicts` (every gate with its
    number, bound and reason, and the profile that asked for it).
    """
    cycle = Cycle.open(market_panel, context.partition_key, market, lake)
    grounds = cycle.grounds(search, pretest=edge_pretest, significance=search_significance, looked_at=True)
    profile = search.gates
    before = read_judgements(testnet_validation, profile)
    reviews = run_gauntlet(grounds, profile, stages=DECISION, before=before, every_gate=search.every_gate)
    verdicts, summary = verdicts_frame(reviews, profile), summary_frame(reviews, cycle.read("candidate_metrics"))
    cycle.write("validation_verdicts", verdicts)
    context.add_output_metadata(
        {
            "candidates": len(reviews),
            "survivors": int(summary["passed"].sum()),
            "proven": summary.filter(standing="paper").height,
            "profile": f"{profile.name} {profile.hash[:8]}",
            "best unseen Sharpe ratio": number(summary["score"].fill_nan(None).max()),  # type: ignore[arg-type]
            "candidates and what they have earned": table(summary.drop("metrics")),
            "gates that stopped someone": table(
                verdicts.filter(pl.col("status") != "passed", pl.col("needed_for").list.len() > 0).select(
                    "candidate", "stage", "gate", "needed_for", "status", "reason"
                )
            ),
        }
    )
    return summary


def _costs(reviews: Sequence[Review]) -> pl.DataFrame:
    """Return one row per gate: how many it stopped, and what it took."""
    rows: dict[tuple[str, str, str], list[float]] = defaultdict(lambda: [0, 0, 0.0])
    for review in reviews:
        for judgement in review.judgements:
            verdict = judgement.verdict
            row = rows[verdict.stage, verdict.gate, ", ".join(judgement.goals) or "information"]
            row[0] += verdict.status == "passed"
            row[1] += verdict.status != "passed"
            row[2] += judgement.seconds
    return pl.DataFrame(
        [(*key, int(passed), int(stopped), round(seconds, 3)) for key, (passed, stopped, seconds) in rows.items()],
        schema=["stage", "gate", "needed for", "passed", "stopped", "seconds"],
        orient="row",
    )
