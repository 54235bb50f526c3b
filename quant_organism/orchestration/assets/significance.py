"""Group validation, on both sides of the search: is there anything to find, and is what was found more than luck?"""

from functools import partial

import dagster as dg
import polars as pl

from quant_organism.evolution.nursery import default_families
from quant_organism.orchestration.cycle import Cycle
from quant_organism.orchestration.metadata import number, table
from quant_organism.orchestration.partitions import DAILY
from quant_organism.orchestration.resources import (
    LakeResource,
    MarketResource,
    Progress,
    SearchResource,
    SignificanceResource,
)
from quant_organism.validation.draws import DrawStore, Remembered
from quant_organism.validation.gauntlet import anybody_left
from quant_organism.validation.permutation import SearchSignificance, frozen_spec, search_significance
from quant_organism.validation.pretest import PretestResult, RandomStrategies, pretest, rule_families
from quant_organism.validation.records import read_judgements
from quant_organism.validation.significance_records import pretest_frame, read_evidence, significance_frame
from quant_organism.validation.statistics.evidence import NotRun


@dg.asset(group_name="validation", partitions_def=DAILY, kinds={"numba", "parquet"})
def edge_pretest(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    significance: SignificanceResource,
    progress: dg.ResourceParam[Progress],
) -> pl.DataFrame:
    """Is there anything to find? Random strategies on the market, and on copies of it in which nothing can be found.

    One row: status (`passed` if there may be something, `failed` if not), p-values, and the answer in a sentence. The
    search's final choice reads where the edge sits, on all assets or on single ones. Draws are kept in `null_draws`.
    """
    cycle = Cycle.open(market_panel, context.partition_key, market, lake)
    spec = search.spec
    strategies = RandomStrategies(
        panel=cycle.in_sample,
        families=rule_families(spec.families or default_families(cycle.in_sample)),
        costs=search.costs,
        threads=max(1, search.threads // search.processes),
        genomes=significance.strategies,
        min_trades=spec.min_trades,
        seed=search.seed,
    )
    result = pretest(
        strategies,
        draws=significance.copies,
        make=Remembered(strategies, DrawStore(cycle.lake.root, "pretest", strategies.identity)),
        processes=search.processes,
        progress=partial(_report, progress, "Pretest"),
    )
    frame = pretest_frame(result)
    done = significance.copies + 1
    progress("Pretest", done, done, "not run" if isinstance(result, NotRun) else f"p = {result.p_value:.3g}")
    context.add_output_metadata({"answer": frame["sentence"][0], **_pretest_metadata(result)})
    return frame


@dg.asset(
    name="search_significance",
    group_name="validation",
    partitions_def=DAILY,
    kinds={"numba", "parquet"},
)
def significance_of_search(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    edge_pretest: pl.DataFrame,
    backtest_validation: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    significance: SignificanceResource,
    progress: dg.ResourceParam[Progress],
) -> pl.DataFrame:
    """Is what was found more than luck? The whole search and its final choice, repeated where nothing can be found.

    One row per statistic: the committee, then the best single strategies by rank, each with its in-sample Sharpe ratio,
    what the same search shows by luck alone, and the p-value. Families that fit models are left out and named. Unless
    every gate is wanted, nothing is repeated where the test before the search found nothing, or where the backtest has
    left nobody. Every repetition is kept in `null_draws`, so that another run with more minutes goes on from there.
    """
    cycle = Cycle.open(market_panel, context.partition_key, market, lake)
    result: SearchSignificance | NotRun
    if edge_pretest["status"][0] == "failed" and not search.every_gate:
        result = NotRun(
            f"nothing to find before the search (p = {edge_pretest['p_value'][0]:.3g}), so none was repeated"
        )
    elif not (search.every_gate or anybody_left(read_judgements(backtest_validation, search.gates), search.gates)):
        result = NotRun("no candidate is left that it could help, so none was repeated")
    else:
        spec, left_out = frozen_spec(search.spec, cycle.in_sample, evidence=read_evidence(edge_pretest))
        searched = search.on_nulls(cycle.in_sample, spec)
        result = search_significance(
            searched,
            draws=significance.searches,
            minutes=significance.minutes,
            make=Remembered(searched, DrawStore(cycle.lake.root, "search", searched.identity)),
            left_out=left_out,
            processes=search.processes,
            progress=partial(_report, progress, "Significance"),
        )
    done = 1 if isinstance(result, NotRun) else result.draws + 1
    progress("Significance", done, done, "not run" if isinstance(result, NotRun) else f"p = {result.p_value:.3g}")
    context.add_output_metadata(_metadata(result))
    return significance_frame(result)


def _report(progress: Progress, what: str, done: int, most: int) -> None:
    progress(what, done, most, "")


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


def _metadata(result: SearchSignificance | NotRun) -> dict[str, object]:
    if isinstance(result, NotRun):
        return {"answer": f"Not run: {result.reason}"}
    return {
        "answer": result.sentence,
        "p-value": number(result.p_value),
        "smallest p-value that so many copies can show": number(result.smallest_possible),
        "copies searched": result.draws,
        "copies wanted": result.wanted,
        "copies without a committee": result.undefined,
        "batches lost": result.lost_batches,
        "seconds a copy": number(result.seconds_per_draw),
        "statistics": table(significance_frame(result).drop("sentence", "left_out")),
        "families left out": ", ".join(result.left_out) or "none",
    }
