"""Group validation, on both sides of the search: is there anything to find, and is what was found more than luck?"""

import dagster as dg
import polars as pl

from quant_organism.cycle import Panels, Progress
from quant_organism.cycle.stages import ask_pretest, measure_luck
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
from quant_organism.validation import NotRun, PretestResult, SearchSignificance, read_judgements


@dg.asset(group_name="validation", partitions_def=DAILY, kinds={"numba", "parquet"})
@plainly
def edge_pretest(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    significance: SignificanceResource,
    panels: dg.ResourceParam[Panels],
    progress: dg.ResourceParam[Progress],
) -> pl.DataFrame:
    """Is there anything to find? Random strategies on the market, and on copies of it in which nothing can be found.

    One row: status (`passed` if there may be something, `failed` if not), p-values, and the answer in a sentence. The
    search's final choice reads where the edge sits, on all assets or on single ones. Draws are kept in `null_draws`.
    """
    cycle = open_cycle(market_panel, context.partition_key, market, lake, search, significance, panels)
    pretested = ask_pretest(cycle, progress)
    answer = pretested.table["sentence"][0]
    context.add_output_metadata({"answer": answer, **_pretest_metadata(pretested.result)})
    return pretested.table


@dg.asset(
    name="search_significance",
    group_name="validation",
    partitions_def=DAILY,
    kinds={"numba", "parquet"},
)
@plainly
def significance_of_search(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    edge_pretest: pl.DataFrame,
    backtest_validation: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    significance: SignificanceResource,
    panels: dg.ResourceParam[Panels],
    progress: dg.ResourceParam[Progress],
) -> pl.DataFrame:
    """Is what was found more than luck? The whole search and its final choice, repeated where nothing can be found.

    One row per statistic: the committee, then the best single strategies by rank, each with its in-sample Sharpe ratio,
    what the same search shows by luck alone, and the p-value. Families that fit models are left out and named. Unless
    every gate is wanted, nothing is repeated where the test before the search found nothing, or where the backtest has
    left nobody. Every repetition is kept in `null_draws`: where a time limit has cut them short, the status is
    `incomplete`, those that are missing count against the search, and another run goes on to the same bytes.
    """
    cycle = open_cycle(market_panel, context.partition_key, market, lake, search, significance, panels)
    before = read_judgements(backtest_validation, cycle.plan.judged_by)
    luck = measure_luck(cycle, edge_pretest, before, progress)
    context.add_output_metadata(_metadata(luck.result, luck.table))
    return luck.table


def _pretest_metadata(result: PretestResult | NotRun) -> dict[str, object]:
    if isinstance(result, NotRun):
        return {}
    families = pl.DataFrame(
        {"family": list(result.ensemble_sharpe), "ensemble Sharpe": list(result.ensemble_sharpe.values())}
    )
    return {
        "p-value": number(result.p_value),
        "p-value on all assets together": number(result.pooled_p),
        "p-value on assets one by one": number(result.per_asset_p),
        "copies of the market": result.draws,
        "random strategies": result.genomes,
        "families on the market itself": table(families.sort("ensemble Sharpe", descending=True, nulls_last=True)),
    }


def _metadata(result: SearchSignificance | NotRun, statistics: pl.DataFrame) -> dict[str, object]:
    if isinstance(result, NotRun):
        return {"answer": f"Not run: {result.reason}"}
    return {
        "answer": result.sentence,
        "p-value": number(result.p_value),
        "smallest p-value that so many copies can show": number(result.smallest_possible),
        "copies searched": result.draws,
        "copies wanted": result.wanted,
        "copies without a committee": result.undefined,
        "seconds a copy": number(result.seconds_per_draw),
        "statistics": table(statistics.drop("sentence", "left_out")),
        "families left out": ", ".join(result.left_out) or "none",
    }
