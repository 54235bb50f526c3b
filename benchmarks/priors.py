"""What priors are worth: random genomes by priors beside uniform ones, after the sample and in the pretest.

Each world is a file of its own under `benchmarks/results/priors/`, in a folder named after size and code: a study that
was interrupted goes on where it was. All worlds are of the audit's tuning seeds.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant_organism.audit.edges import edges
from quant_organism.audit.worlds import RANGES, Market, World
from quant_organism.backtest import Costs, Evaluator
from quant_organism.evolution.baselines import baseline_search
from quant_organism.evolution.candidates import choose_candidates
from quant_organism.evolution.executors.threads import ThreadExecutor
from quant_organism.evolution.search import SearchResult, search
from quant_organism.evolution.source import GenomeSource, Screened
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.kernels.closure import code_identity
from quant_organism.market.panel import Panel
from quant_organism.resilience.files import write_file
from quant_organism.strategies import Genome, evolving_families, get_family, random_genome
from quant_organism.validation.nulls import draw_null
from quant_organism.validation.pretest import PretestResult, compared, statistics
from quant_organism.validation.statistics.evidence import NotRun

FOLDER = Path(__file__).resolve().parent / "results" / "priors"
TREES = ("composite", "conditions")
FAMILIES = tuple(name for name in evolving_families() if not get_family(name).model_genes and name not in TREES)

FORMER_HIGHEST = {
    "atr_period": 30,
    "channel_period": 55,
    "d_period": 7,
    "fast_ema_period": 15,
    "k_period": 30,
    "kijun_period": 34,
    "lookback_period": 40,
    "senkou_span_b_period": 80,
    "slow_ema_period": 34,
    "tenkan_period": 12,
    "volatility_window": 40,
}
"""Upper bounds before priors, where they are wider now."""

UNIFORM, PRIORS, STAGED = "uniform", "priors", "two stages"
ENGINE, RANDOM = "engine", "random search"


class UniformSource(GenomeSource):
    """Draws every gene uniformly from its former bounds, and turns nobody away: as genomes were drawn before priors."""

    def draw(
        self,
        families: Sequence[str],
        rng: np.random.Generator,
        *,
        generation: int = 0,
        asked: set[str] | None = None,
        settled: Callable[[Genome, np.random.Generator], Genome] | None = None,
    ) -> tuple[list[Genome], Screened]:
        """Draw a genome of each of these families."""
        genomes = []
        for family in families:
            genes = dict(random_genome(rng, family).genes)
            for spec in get_family(family).own_genes:
                if (highest := FORMER_HIGHEST.get(spec.name)) is not None:
                    genes[spec.name] = int(rng.integers(int(spec.low), highest + 1))
            genomes.append(Genome(family, genes, generation))
        return genomes, Screened()


SOURCES = {UNIFORM: UniformSource, PRIORS: GenomeSource}


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a study is.

    Attributes
    ----------
    pools
        Genomes of each pool, all of them measured over the sample.
    seen_days, later_days
        Days in the sample, and after it.
    planted, nulls
        Worlds of each edge and strength in each set, and worlds without an edge in the first and second set.
    strategies, copies
        Of the test before a search.
    sets
        First seed of each set, counted from the first of the tuning seeds: one was looked at, one confirmed.
    population, generations
        Of the engine's one island, which is compared with random search at as many evaluations.
    """

    pools: tuple[int, ...] = (96,)
    seen_days: int = 540
    later_days: int = 730
    planted: int = 2
    nulls: tuple[int, ...] = (16, 48)
    strategies: int = 48
    copies: int = 19
    sets: tuple[int, ...] = (60_100, 80_100)
    population: int = 50
    generations: int = 8

    def worlds(self) -> list[World]:
        """Return all worlds, kinds in turn, so that a study that was interrupted saw something of each."""
        turns: list[list[World]] = []
        for begin, nulls in zip(self.sets, self.nulls, strict=True):
            first = RANGES["tuning"] + begin
            for place, edge in enumerate(edges()):
                turns.append([World("planted", first + 100 * place + n, edge) for n in range(self.planted)])
            turns.append([World("null", first + 5_000 + n) for n in range(nulls)])
        longest = max(len(turn) for turn in turns)
        return [turn[n] for n in range(longest) for turn in turns if n < len(turn)]


def pool(source: GenomeSource, panel: Panel, count: int, name: str, seed: int) -> SearchResult:
    """Measure so many random genomes: all families in turn, or in the two stages of a founding."""
    spec = EvolutionSpec(families=FAMILIES, islands=1, population=count, generations=0, champions=1, choice="pooled")
    executor, sequence = ThreadExecutor(panel, Costs(), Evaluator(threads=1)), np.random.SeedSequence(seed)
    if name == STAGED:
        return search(spec, FAMILIES, executor, source=source, seed=sequence)
    return baseline_search("random", spec, FAMILIES, executor, source=source, seed=sequence, evaluations=count)


def later_sharpe(world: World, size: Size, name: str, count: int) -> dict[str, float]:
    """Return what committee and champion of a pool show in the sample and earn after it, and how the pool is made."""
    market, evaluator = world.market(size.seen_days, size.later_days), Evaluator(threads=1)
    source = SOURCES[PRIORS if name == STAGED else name](market.given, Costs(), evaluator)
    return judged(pool(source, market.given, count, name, world.seed), market, evaluator)


def bred(world: World, size: Size) -> dict[str, dict[str, float]]:
    """Return the same of the engine, and of random search with as many evaluations from the same source."""
    market, evaluator = world.market(size.seen_days, size.later_days), Evaluator(threads=1)
    seen, sequence = market.given, np.random.SeedSequence(world.seed)
    spec = EvolutionSpec(families=FAMILIES, islands=1, population=size.population, generations=size.generations)
    executor = ThreadExecutor(seen, Costs(), evaluator)
    source = GenomeSource(seen, Costs(), evaluator)
    engine = search(spec, FAMILIES, executor, source=source, seed=sequence)
    other = baseline_search(
        "random", spec, FAMILIES, executor, source=source, seed=sequence, evaluations=engine.spent.evaluations
    )
    return {ENGINE: judged(engine, market, evaluator), RANDOM: judged(other, market, evaluator)}


def judged(found: SearchResult, market: Market, evaluator: Evaluator) -> dict[str, float]:
    """Return what the final choice of a search shows in the sample and earns after it, and what its trials are like."""
    seen, costs = market.given, Costs()
    spec = EvolutionSpec(families=FAMILIES, champions=1, choice="pooled")
    metrics = found.trials.metrics
    drag = metrics["turnover_per_year"] * (costs.taker_fee + costs.slippage)
    drag = np.divide(drag, metrics["volatility"], out=np.zeros(len(drag)), where=metrics["volatility"] > 0.0)
    values = {
        "rejected": float(len(found.rejected)),
        "idle": float(np.mean(metrics["trades"] < 30)),
        "expensive": float(np.mean(drag > 1.5)),
        "median": float(np.median(np.nan_to_num(metrics["sharpe"]))),
    }
    for candidate in choose_candidates(found.trials, spec, seen, costs, evaluator):
        kind = "champion" if candidate.origin == "champion" else "committee"
        for when, start in (("in sample", 0), ("later", market.bars)):
            panel = seen if when == "in sample" else market.panel
            measured = evaluator.evaluate_committees([candidate.committee], panel, costs, start=start)
            values.setdefault(f"{kind} {when}", float(np.nan_to_num(measured.metrics["sharpe"][0])))
    return values


def pretest_table(world: World, size: Size, name: str) -> list[dict[str, float]]:
    """Return the statistics of the test before a search, on the market and on its copies."""
    seen, costs = world.market(size.seen_days, size.later_days).given, Costs()
    table = []
    for draw in range(size.copies + 1):
        copy = (
            draw_null(seen, "mean_preserving", np.random.SeedSequence(world.seed, spawn_key=(draw,))) if draw else seen
        )
        evaluator = Evaluator(threads=1)
        turns = [FAMILIES[place % len(FAMILIES)] for place in range(size.strategies)]
        genomes, _ = SOURCES[name](copy, costs, evaluator).draw(turns, np.random.default_rng(world.seed))
        table.append(dict(statistics(evaluator.evaluate(genomes, copy, costs), 30)))
    return table


def measure(size: Size, folder: Path) -> dict[World, dict[str, Any]]:
    """Return the results of all worlds; those that are at rest already are not measured again."""
    results = folder / sha256(f"{size} {code_identity('quant_organism.validation.pretest')}".encode()).hexdigest()[:12]
    rows = {}
    for world in size.worlds():
        path = results / f"{world.name}.json"
        if not path.exists():
            pools = {
                f"{name}, {count}": later_sharpe(world, size, name, count)
                for name in (UNIFORM, PRIORS, STAGED)
                for count in size.pools
            }
            tables = {name: pretest_table(world, size, name) for name in SOURCES}
            compared_searches = bred(world, size)
            write_file(path, json.dumps({"pools": pools | compared_searches, "pretest": tables}).encode())
        rows[world] = json.loads(path.read_bytes())
    return rows


def summary(size: Size, rows: dict[World, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return means over worlds with their standard errors, differences paired."""
    found: list[dict[str, Any]] = []
    groups = {
        "planted": [world for world in rows if world.edge is not None],
        "strong": [world for world in rows if world.strength == "strong"],
        "weak": [world for world in rows if world.strength == "weak"],
        "carry": [world for world in rows if world.edge is not None and world.edge.family == "carry"],
        "none": [world for world in rows if world.edge is None],
    }
    names = [f"{name}, {count}" for count in size.pools for name in (UNIFORM, PRIORS, STAGED)] + [ENGINE, RANDOM]
    for group, worlds in groups.items():
        if len(worlds) < 2:
            continue
        of = {name: [rows[world]["pools"][name] for world in worlds] for name in names}
        later = {name: np.array([row.get("committee later", 0.0) for row in of[name]]) for name in names}
        for name in names:
            champion = np.array([row.get("champion later", 0.0) for row in of[name]])
            made = ", ".join(f"{what} {np.mean([row[what] for row in of[name]]):.2g}" for what in ("idle", "expensive"))
            found.append(_row(f"{group}: {name}, committee", later[name], made))
            found.append(_row(f"{group}: {name}, committee - champion", later[name] - champion, ""))
        for count in size.pools:
            old, new, staged = (later[f"{name}, {count}"] for name in (UNIFORM, PRIORS, STAGED))
            found.append(_row(f"{group}: {count}, priors - uniform", new - old, "paired"))
            found.append(_row(f"{group}: {count}, two stages - priors", staged - new, "paired"))
        in_sample = {name: np.array([row.get("committee in sample", 0.0) for row in of[name]]) for name in names}
        found.append(
            _row(f"{group}: engine - random search, in sample", in_sample[ENGINE] - in_sample[RANDOM], "paired")
        )
        found.append(_row(f"{group}: engine - random search, later", later[ENGINE] - later[RANDOM], "paired"))
        for name in SOURCES:
            ps = np.array([_p_value(rows[world]["pretest"][name], size.strategies) for world in worlds])
            note = f"mean p {ps.mean():.2f}; {size.strategies} strategies, {size.copies} copies"
            found.append(_row(f"{group}: pretest p <= 0.1, {name}", (ps <= 0.1).astype(float), note))
    return found


def _p_value(table: Sequence[dict[str, float]], genomes: int) -> float:
    result = compared(table, genomes)
    return 1.0 if isinstance(result, NotRun) or not isinstance(result, PretestResult) else result.p_value


def _row(metric: str, values: NDArray[np.float64], note: str) -> dict[str, Any]:
    error = values.std(ddof=1) / np.sqrt(values.size)
    note = f"s.e. {error:.2f}, {values.size} worlds" + (f"; {note}" if note else "")
    return {"metric": metric, "value": float(values.mean()), "unit": "Sharpe or share", "note": note}


def run() -> list[dict[str, Any]]:
    """Measure all worlds."""
    size = Size()
    return summary(size, measure(size, FOLDER))
