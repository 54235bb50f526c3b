"""Group operations: what people read about a cycle."""

import dagster as dg
import polars as pl

from quant_organism.monitoring.cycle import cycle_report as gather
from quant_organism.monitoring.report import write_report
from quant_organism.orchestration.cycle import Cycle
from quant_organism.orchestration.metadata import file
from quant_organism.orchestration.partitions import DAILY
from quant_organism.orchestration.resources import LakeResource, MarketResource, ReportsResource


@dg.asset(group_name="operations", partitions_def=DAILY, kinds={"html", "json"})
def cycle_report(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    edge_pretest: pl.DataFrame,
    evolved_population: pl.DataFrame,
    search_significance: pl.DataFrame,
    validated_strategies: pl.DataFrame,
    deployed_configs: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    reports: ReportsResource,
) -> dg.MaterializeResult[None]:
    """One page about the cycle, with its data as JSON and its plots: what was looked at, tried, judged and deployed."""
    cycle = Cycle.open(market_panel, context.partition_key, market, lake)
    report = gather(
        provenance=cycle.provenance(),
        interval=cycle.interval,
        splits=cycle.splits,
        panel=market_panel,
        generations=cycle.read("search_progress"),
        families=cycle.read("search_families"),
        population=evolved_population,
        members=cycle.read("candidates"),
        verdicts=cycle.read("validation_verdicts"),
        validated=validated_strategies,
        returns=cycle.read("candidate_returns"),
        decisions=deployed_configs,
        pretest=edge_pretest,
        significance=search_significance,
    )
    written = write_report(reports.of_cycle(cycle.market, cycle.interval, cycle.day), report)
    return dg.MaterializeResult(
        metadata={
            "summary": dg.MetadataValue.md("\n\n".join([f"**{report.title}**", *report.summary])),
            "report": file(written.html),
            "report data": file(written.json),
            "equity plot": file(written.equity),
            "Pareto plot": file(written.pareto),
            "progress plot": file(written.progress),
            "families plot": file(written.families),
            "genealogy plot": file(written.genealogy),
        }
    )
