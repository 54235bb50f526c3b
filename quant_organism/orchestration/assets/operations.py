"""Group operations: what people read about a cycle.

What draws is imported by the assets that do: matplotlib would take a second of every start.
"""

from collections.abc import Mapping
from datetime import date

import dagster as dg
import orjson
import polars as pl

from quant_organism.cycle import Panels, Progress
from quant_organism.deployment import mark_days, read_accounts
from quant_organism.deployment.day_summary import day_summary
from quant_organism.evolution import read_candidates
from quant_organism.evolution.tables import CycleTable
from quant_organism.judge import SandboxRunner
from quant_organism.monitoring import cycle_report as gather
from quant_organism.monitoring import shakes_frame, spans_of
from quant_organism.monitoring.runs import profile_of
from quant_organism.monitoring.sheet_trading import sheet_trading
from quant_organism.monitoring.tear_sheet import tear_sheet
from quant_organism.orchestration.failures import plainly
from quant_organism.orchestration.metadata import file, page, pictures, table
from quant_organism.orchestration.partitions import DAILY
from quant_organism.orchestration.resources import (
    LakeResource,
    MarketResource,
    ReportsResource,
    SearchResource,
    SignificanceResource,
    StrategiesResource,
    open_cycle,
)
from quant_organism.trading import trader_days
from quant_organism.validation import Subject, examine

_SHEETS = "tear_sheets"


@dg.asset(group_name="operations", partitions_def=DAILY, deps=["candles", "funding"], kinds={"numba", "parquet"})
@plainly
def evidence_days(
    context: dg.AssetExecutionContext,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    strategies: StrategiesResource,
) -> dg.MaterializeResult[None]:
    """What every watched strategy earned on each new day up to this one, its evidence, and the moves that this opens.

    Days that are booked stay as they are.
    """
    day, opened = date.fromisoformat(context.partition_key), lake.open()
    with SandboxRunner(strategies.open()) as runner:
        marked = mark_days(
            opened,
            strategies.open(),
            market=market.id,
            interval=market.bars,
            through=day,
            equity_usd=search.equity_usd,
            trader=trader_days(opened, market=market.id, interval=market.bars.name),
            runner=runner,
        )
    for id, why in marked.unmarked.items():
        context.log.error(f"not marked: {id}: {why}")
    rows = [
        {"day": when, "strategy": move.id, "from": move.start, "to": move.rule.end, "rule": move.rule.name}
        for when, move in marked.moves
    ]
    summary = day_summary(opened, market=market.id, interval=market.bars, day=day)
    archived = [] if summary is None else [dict(move) for move in summary.archived]
    return dg.MaterializeResult(
        metadata={
            "days": len(marked.days),
            "rows": marked.rows,
            "watched": "none" if summary is None else _in_words(summary.stages),
            "moves": table(pl.DataFrame(rows)) if rows else "none",
            "archived since Monday": table(pl.DataFrame(archived)) if archived else "none",
            "not marked": ", ".join(marked.unmarked) or "none",
        }
    )


def _in_words(stages: Mapping[str, int]) -> str:
    return ", ".join(f"{count} in {stage}" for stage, count in stages.items())


@dg.asset(name=_SHEETS, group_name="operations", partitions_def=DAILY, kinds={"numba", "html"})
@plainly
def tear_sheets_of_survivors(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    candidates: pl.DataFrame,
    candidate_returns: pl.DataFrame,
    validated_strategies: pl.DataFrame,
    validation_verdicts: pl.DataFrame,
    strategy_accounts: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    significance: SignificanceResource,
    reports: ReportsResource,
    panels: dg.ResourceParam[Panels],
    progress: dg.ResourceParam[Progress],
) -> pl.DataFrame:
    """One page about each survivor: what it earned and when, and how it bears being shaken in sample.

    One row per survivor and kind of change.
    """
    from quant_organism.monitoring import write_tear_sheets

    cycle = open_cycle(market_panel, context.partition_key, market, lake, search, significance, panels)
    survivors = set(validated_strategies.filter("passed")["candidate"])
    chosen = [candidate for candidate in read_candidates(candidates) if candidate.id in survivors]
    evaluator, accounts, sheets = cycle.compute.evaluator(), read_accounts(strategy_accounts), []
    for done, candidate in enumerate(chosen):
        progress("Tear sheets", done, len(chosen), candidate.id)
        subject = Subject.of(candidate.committee, cycle.panel, cycle.splits.in_sample, cycle.plan.costs, evaluator)
        sheets.append(
            tear_sheet(
                candidate,
                examine(subject, seed=cycle.plan.seed),
                provenance=cycle.provenance,
                interval=cycle.interval,
                spans=spans_of(cycle.splits, cycle.interval, cycle.day, market_panel),
                verdicts=validation_verdicts,
                validated=validated_strategies,
                returns=candidate_returns,
                account=accounts[candidate.id],
                seed=cycle.plan.seed,
                trading=sheet_trading(
                    candidate.committee, cycle.panel, cycle.splits, cycle.plan.costs, cycle.plan.equity_usd, evaluator
                ),
            )
        )
    written = write_tear_sheets(reports.of_cycle(cycle) / _SHEETS, sheets)
    progress("Tear sheets", 1, 1, f"{len(written)} written")
    shaken = shakes_frame(sheets)
    pages = {f"tear sheet of {name}": page(reports.address(path), "open") for name, path in written.items()}
    context.add_output_metadata({**pages, "survivors": len(written), "shaken": table(shaken)})
    return shaken


@dg.asset(group_name="operations", partitions_def=DAILY, kinds={"html", "json"})
@plainly
def cycle_report(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    edge_pretest: pl.DataFrame,
    evolved_population: pl.DataFrame,
    search_progress: pl.DataFrame,
    search_families: pl.DataFrame,
    candidates: pl.DataFrame,
    search_significance: pl.DataFrame,
    candidate_returns: pl.DataFrame,
    validated_strategies: pl.DataFrame,
    validation_verdicts: pl.DataFrame,
    strategy_accounts: pl.DataFrame,
    deployed_configs: pl.DataFrame,
    tear_sheets: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    significance: SignificanceResource,
    reports: ReportsResource,
    panels: dg.ResourceParam[Panels],
) -> dg.MaterializeResult[None]:
    """One page about the cycle, with its data as JSON and its plots: what was looked at, tried, judged and deployed."""
    from quant_organism.monitoring import write_link, write_report

    cycle = open_cycle(market_panel, context.partition_key, market, lake, search, significance, panels)
    report = gather(
        provenance=cycle.provenance,
        interval=cycle.interval,
        splits=cycle.splits,
        panel=market_panel,
        generations=search_progress,
        families=search_families,
        population=evolved_population,
        members=candidates,
        verdicts=validation_verdicts,
        validated=validated_strategies,
        returns=candidate_returns,
        accounts=read_accounts(strategy_accounts),
        decisions=deployed_configs,
        pretest=edge_pretest,
        significance=search_significance,
        tear_sheets={name: f"{_SHEETS}/{name}.html" for name in tear_sheets["candidate"].unique()},
        profile=profile_of(orjson.loads(cycle.record[0, CycleTable.plan])),
    )
    written = write_report(reports.of_cycle(cycle), report)
    here, drawn = reports.address(written.html), (written.equity, written.pareto, written.progress, written.families)
    if cycle.is_latest:
        write_link(written.html.parent.parent / written.html.name, f"{cycle.id}/{written.html.name}")
    return dg.MaterializeResult(
        metadata={
            "cycle": cycle.id,
            "summary": dg.MetadataValue.md("\n\n".join([f"**{report.title}**", *report.summary])),
            "report": page(here, "open the report"),
            "all cycles": page(f"{reports.site}/", "what changed, and every cycle"),
            "pictures": pictures({path.stem: reports.address(path) for path in drawn if path is not None}, here),
            "report file": file(written.html),
            "report data": file(written.json),
        }
    )
