"""Group evolution: the population of a cycle."""

import time

import dagster as dg
import polars as pl

from quant_organism.evolution.cycle import evolve
from quant_organism.orchestration.cycle import Cycle
from quant_organism.orchestration.metadata import number, table
from quant_organism.orchestration.partitions import DAILY
from quant_organism.orchestration.resources import LakeResource, MarketResource, Progress, SearchResource


@dg.asset(group_name="evolution", partitions_def=DAILY, kinds={"numba", "parquet"})
def evolved_population(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    progress: dg.ResourceParam[Progress],
) -> pl.DataFrame:
    """Every strategy that one search tried on the first 60 % of the panel, and what it puts forward.

    One row per trial: a unique genome with its in-sample metrics. Datasets beside it: `search_progress` (one row per
    generation), `candidates` (what is put forward for validation), `turned_away` (genomes that failed the birth
    checks) and `cycles` (hashes and seed of the search).
    """
    cycle, began = Cycle.open(market_panel, context.partition_key, market, lake), time.monotonic()

    def report(generation: int, generations: int, best: float) -> None:
        progress("Evolution", generation, generations, f"best in-sample Sharpe {best:.2f}")

    result = evolve(cycle.in_sample, search.spec, search.costs, search.evaluator(), seed=search.seed, progress=report)
    cycle.write("search_progress", result.generations)
    cycle.write("candidates", result.candidate_members)
    cycle.write("turned_away", result.turned_away)
    cycle.record(search)
    seconds = time.monotonic() - began
    context.add_output_metadata(
        {
            "trials": result.population.height,
            "feasible trials": int(result.population["feasible"].sum()),
            "best in-sample Sharpe ratio": number(result.population.filter("feasible")["sharpe"].max()),  # type: ignore[arg-type]
            "candidates": len(result.candidates),
            "failed the birth checks": table(result.turned_away["kind"].value_counts(sort=True)),
            "trials per second": round(result.population.height / seconds, 1),
            "search by generation": table(result.generations),
            "seed": search.seed,
        }
    )
    return result.population
