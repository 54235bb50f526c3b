"""Group validation: which candidates hold up on days that their search never saw."""

import dagster as dg
import polars as pl

from quant_organism.orchestration.cycle import Cycle
from quant_organism.orchestration.metadata import number, table
from quant_organism.orchestration.partitions import DAILY
from quant_organism.orchestration.resources import LakeResource, MarketResource, Progress, SearchResource
from quant_organism.validation.records import returns_frame, summary_frame, verdicts_frame
from quant_organism.validation.stages import validate


@dg.asset(group_name="validation", partitions_def=DAILY, deps=["evolved_population"], kinds={"numba", "parquet"})
def validated_strategies(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    progress: dg.ResourceParam[Progress],
) -> pl.DataFrame:
    """Each candidate and whether it passed every gate, on spans that its search has and has not seen.

    One row per candidate. Datasets beside it: `validation_verdicts` (every gate with its number, bound and reason)
    and `candidate_returns` (net returns by day).
    """
    cycle = Cycle.open(market_panel, context.partition_key, market, lake)
    progress("Validation", 0, 1, "")
    result = validate(
        cycle.candidates(),
        cycle.panel,
        cycle.splits,
        search.gates,
        search.costs,
        search.evaluator(),
        cycle.register,
        reason=f"validation of {cycle.day} at {cycle.interval}, seed {search.seed}",
    )
    verdicts, summary = verdicts_frame(result), summary_frame(result)
    cycle.write("validation_verdicts", verdicts)
    cycle.write("candidate_returns", returns_frame(result))
    progress("Validation", 1, 1, f"{len(result.survivors)} of {len(result.reviews)} passed")
    context.add_output_metadata(
        {
            "candidates": len(result.reviews),
            "survivors": len(result.survivors),
            "unseen days": "not opened" if result.opening is None else result.opening.sentence,
            "best unseen Sharpe ratio": number(summary["score"].max()),  # type: ignore[arg-type]
            "candidates and verdicts": table(summary.drop("metrics")),
            "gates that stopped someone": table(
                verdicts.filter(pl.col("status") != "passed").select("candidate", "stage", "gate", "status", "reason")
            ),
        }
    )
    return summary
