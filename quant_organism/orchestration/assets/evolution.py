"""Group evolution: the population of a cycle, and the archive that goes from day to day."""

from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from quant_organism.evolution.cycle import EvolutionResult, evolve
from quant_organism.evolution.progress import Standing
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.orchestration.cycle import Cycle
from quant_organism.orchestration.metadata import number, table
from quant_organism.orchestration.partitions import DAILY
from quant_organism.orchestration.resources import LakeResource, MarketResource, Progress, SearchResource

SEARCH_FACTS = ("evaluations per second", "search seconds", "search cost in USD", "ended by")
"""Metadata that say how a search went and are found nowhere in the lake: they are not the same the next time."""


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

    One row per trial: a unique genome with its origin and its in-sample metrics. Datasets beside it: `search_progress`
    (one row per generation), `search_families` (who sits on which island), `candidates` (what is put forward for
    validation), `turned_away` (genomes that failed the birth checks), `lost_batches` (what could not be measured) and
    `cycles` (hashes and seed of the search).
    """
    cycle = Cycle.open(market_panel, context.partition_key, market, lake)
    result = _search(cycle, search, progress)
    cycle.write("search_progress", result.generations)
    cycle.write("search_families", result.families)
    cycle.write("candidates", result.candidate_members)
    cycle.write("elites", result.elites)
    cycle.write("turned_away", result.turned_away)
    cycle.write("lost_batches", result.lost)
    cycle.record(search)
    cycle.checkpoint(search).remove()
    context.add_output_metadata(
        {
            **_metadata(result, search.spec),
            "trials so far on this market": cycle.ledger.n_trials(market=cycle.market),
            "seed": search.seed,
            "founders at hand in the archive of the day before": len(founders),
        }
    )
    return result.population


def _search(cycle: Cycle, search: SearchResource, progress: Progress) -> EvolutionResult:
    panel, spec, checkpoint = cycle.in_sample, search.spec, cycle.checkpoint(search)

    def report(standing: Standing) -> None:
        done = standing.generation * spec.islands + standing.batches_done
        progress("Evolution", done, (spec.generations + 1) * spec.islands, standing.note)

    if not search.resume:
        checkpoint.remove()
    with search.open_executor(panel) as executor:
        return evolve(
            panel,
            spec,
            search.costs,
            search.evaluator(),
            seed=search.seed,
            executor=executor,
            saved=checkpoint.load(),
            on_measured=partial(cycle.count_trials, search),
            on_generation=checkpoint.save,
            progress=report,
        )


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
        **({} if cost is None else {"search cost in USD": number(cost)}),
        "ended by": result.search.stopped_by or "its last generation",
        "failed the birth checks": table(result.turned_away["kind"].value_counts(sort=True)),
        "lost batches": table(result.lost),
        "search by generation": table(result.generations),
    }
