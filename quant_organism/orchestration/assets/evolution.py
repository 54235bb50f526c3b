"""Group evolution: the population of a cycle, and the archive that goes from day to day."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl

from quant_organism.cycle import Panels, Progress, stages
from quant_organism.evolution import (
    CandidateTable,
    EliteTable,
    EvolutionResult,
    EvolutionSpec,
    FamilyProgressTable,
    LostBatchTable,
    PopulationTable,
    ProgressTable,
    RejectedTable,
    summarise,
)
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

SEARCH_FACTS = ("evaluations per second", "search seconds", "search cost in USD", "ended by")
"""Metadata that say how a search went and are found nowhere in the lake: they are not the same the next time."""


@dg.multi_asset(
    name="evolved_population",
    outs=table_outputs(
        [
            PopulationTable,
            ProgressTable,
            FamilyProgressTable,
            CandidateTable,
            EliteTable,
            RejectedTable,
            LostBatchTable,
        ],
        group="evolution",
        kinds={"numba", "parquet"},
        description="""Every strategy that one search tried on the first 60 % of the panel, on all of it (short line).

        One row per trial: a unique genome with its origin and its in-sample metrics.

        The search is founded with the genomes of `strategy_archive` of the newest earlier cycle, whenever that was;
        their fitness is measured anew. The archive is read as data at rest, not as a dependency: it depends on this
        asset, and Dagster takes two assets that depend on each other for a circle even when their days differ.
        """,
    ),
    partitions_def=DAILY,
)
@plainly
def search_of_the_day(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    edge_pretest: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    significance: SignificanceResource,
    panels: dg.ResourceParam[Panels],
    progress: dg.ResourceParam[Progress],
) -> Iterator[dg.Output[pl.DataFrame]]:
    """Search, and make the final choice."""
    cycle = open_cycle(market_panel, context.partition_key, market, lake, search, significance, panels)
    searched = stages.search(cycle, edge_pretest, progress)
    result = searched.result
    shown = {
        **_metadata(result, cycle.plan.spec),
        "trials so far on this market": cycle.ledger.n_trials(market=cycle.market),
        "seed": cycle.plan.seed,
        "trial budget": cycle.trial_budget(),
        "founders at hand in the archive": len(cycle.founders),
        "founders from there": result.population.filter(pl.col(PopulationTable.operator) == "archive").height,
    }
    yield from outputs_of(searched.tables, {PopulationTable: shown})
    cycle.search_stored(result)


@dg.asset(group_name="evolution", partitions_def=DAILY, kinds={"parquet"})
@plainly
def strategy_archive(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    evolved_population: pl.DataFrame,
    elites: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    significance: SignificanceResource,
    panels: dg.ResourceParam[Panels],
) -> pl.DataFrame:
    """The best strategy for each way to behave, carried from cycle to cycle: what the next search is founded with.

    One row per filled cell of a grid over holding time, trades a month, net exposure and liking for volatility. A cell
    that this day's search reached holds its best; the others hold what the archive before it held, unless this day's
    search measured it again and found it elsewhere, or nowhere.
    """
    cycle = open_cycle(market_panel, context.partition_key, market, lake, search, significance, panels)
    archive = stages.carry_archive(cycle, elites, evolved_population)
    summary = summarise(archive)
    context.add_output_metadata(
        {
            "elites": summary.elites,
            "coverage": number(summary.coverage),
            "QD score": number(summary.qd_score),
            "from this day": elites.height,
            "families": table(archive["family"].value_counts(sort=True)),
        }
    )
    return archive


def _metadata(result: EvolutionResult, spec: EvolutionSpec) -> dict[str, Any]:
    """Return what a person wants to know of a search at a glance."""
    last, spent = result.generations.row(-1, named=True), result.search.spent
    survived = result.population.filter("survived")
    shares = survived.group_by("family").agg(share=pl.len() / survived.height).sort("share", "family", descending=True)
    objectives = {
        f"{what} {name}": number(last[f"{what}_{name}"]) for name in spec.objectives for what in ("best", "median")
    }
    cost = spent.cost_usd(spec)
    return {
        "trials": result.population.height,
        "feasible trials": int(result.population["feasible"].sum()),
        **objectives,
        "hypervolume": number(last["hypervolume"]),
        "distinct behaviours": int(last["behaviours"]),
        "share of each family": table(shares),
        "candidates": len(result.candidates),
        "evaluations per second": number(spent.evaluations_per_second),
        "search seconds": number(spent.seconds),
        "worker use": number(spent.worker_use),
        **({} if spec.hours is None else {"hours allowed": number(spec.hours)}),
        "workers": spent.workers,
        **({} if cost is None else {"search cost in USD": number(cost)}),
        **({} if (price := spec.cost_per_worker_hour_usd) is None else {"USD for a worker's hour": number(price)}),
        "ended by": result.search.ending,
        "turned away, by reason": table(result.rejected["kind"].value_counts(sort=True)),
        "lost batches": table(result.lost),
        "search by generation": table(result.generations),
    }
