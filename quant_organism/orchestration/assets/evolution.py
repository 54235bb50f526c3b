"""Group evolution: the population of a cycle, and the archive that goes from day to day."""

from datetime import date
from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from quant_organism.evolution.archive import SCHEMA, merge, summarise
from quant_organism.evolution.candidates import Evidence
from quant_organism.evolution.cycle import EvolutionResult, evolve, without_search
from quant_organism.evolution.progress import Standing
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.orchestration.cycle import Cycle, archive_before
from quant_organism.orchestration.metadata import number, table
from quant_organism.orchestration.partitions import DAILY
from quant_organism.orchestration.resources import LakeResource, MarketResource, Progress, SearchResource
from quant_organism.strategies import Genome
from quant_organism.validation.significance_records import read_evidence

SEARCH_FACTS = ("evaluations per second", "search seconds", "search cost in USD", "ended by")
"""Metadata that say how a search went and are found nowhere in the lake: they are not the same the next time."""


@dg.asset(group_name="evolution", partitions_def=DAILY, kinds={"numba", "parquet"})
def evolved_population(
    context: dg.AssetExecutionContext,
    market_panel: pl.DataFrame,
    edge_pretest: pl.DataFrame,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    progress: dg.ResourceParam[Progress],
) -> pl.DataFrame:
    """Every strategy that one search tried on the first 60 % of the panel, and what it puts forward.

    One row per trial: a unique genome with its origin and its in-sample metrics. Datasets beside it: `search_progress`
    (one row per generation), `search_families` (who sits on which island), `candidates` (what is put forward for
    validation), `elites` (the best of each way to behave), `turned_away` (genomes that failed the birth checks),
    `lost_batches` (what could not be measured) and `cycles` (hashes and seed of the search).

    The search is founded with the genomes of `strategy_archive` of the day before, where the lake has that day; their
    fitness is measured anew. The archive is read as data at rest, not as a dependency: it depends on this asset, and
    Dagster takes two assets that depend on each other for a circle even when their days differ.
    """
    cycle = Cycle.open(market_panel, context.partition_key, market, lake)
    founders = cycle.founders(search)
    evidence = read_evidence(edge_pretest)
    if search.stop_without_edge and edge_pretest["status"][0] == "failed":
        result = without_search(search.spec, cycle.in_sample, why="nothing to find before the search")
        progress("Evolution", 1, 1, "not searched: nothing to find")
    else:
        result = _search(cycle, search, founders, evidence, progress)
    cycle.write("search_progress", result.generations)
    cycle.write("search_families", result.families)
    cycle.write("candidates", result.candidate_members)
    cycle.write("elites", result.elites)
    cycle.write("turned_away", result.turned_away)
    cycle.write("lost_batches", result.lost)
    cycle.record(search, evidence)
    cycle.checkpoint(search).remove()
    context.add_output_metadata(
        {
            **_metadata(result, search.spec),
            "trials so far on this market": cycle.ledger.n_trials(market=cycle.market),
            "seed": search.seed,
            "trial budget": cycle.trial_budget(),
            "founders at hand in the archive of the day before": len(founders),
            "founders from there": result.population.filter(pl.col("operator") == "archive").height,
        }
    )
    return result.population


@dg.asset(group_name="evolution", partitions_def=DAILY, kinds={"parquet"})
def strategy_archive(
    context: dg.AssetExecutionContext, evolved_population: pl.DataFrame, market: MarketResource, lake: LakeResource
) -> pl.DataFrame:
    """The best strategy for each way to behave, carried from day to day: what the next search is founded with.

    One row per filled cell of a grid over holding time, trades a month, net exposure and liking for volatility. A cell
    that this day's search reached holds its best; the others hold what the archive of the day before held, unless this
    day's search measured it again and found it elsewhere, or nowhere.
    """
    store, day = lake.open(), date.fromisoformat(context.partition_key)
    now = store.read("elites", market=market.id, interval=market.interval, start=day, end=day)
    before = archive_before(store, market=market.id, interval=market.bars, day=day)
    nothing = pl.DataFrame(schema=SCHEMA)
    archive = merge(nothing if before is None else before, now, tried=evolved_population["hash"])
    found = summarise(archive)
    context.add_output_metadata(
        {
            "elites": found.elites,
            "coverage": number(found.coverage),
            "QD score": number(found.qd_score),
            "from this day": now.height,
            "families": table(archive["family"].value_counts(sort=True)),
        }
    )
    return archive


def _search(
    cycle: Cycle, search: SearchResource, founders: list[Genome], evidence: Evidence | None, progress: Progress
) -> EvolutionResult:
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
            founders=founders,
            evidence=evidence,
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
