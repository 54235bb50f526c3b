"""The engine against random search, TPE and CMA-ES: equal evaluations, equal final choice, judged after the sample.

Each result is a file of its own under `benchmarks/results/audit_search/`, in a folder named after size and code: an
audit that was interrupted goes on where it was, and one of changed code begins anew.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.choice import Kind, kinds
from quant_organism.backtest import Costs, Evaluator
from quant_organism.evolution.baselines import BASELINES, baseline_search
from quant_organism.evolution.candidates import choose_candidates
from quant_organism.evolution.comparison import ENGINE, Contender, Unseen, standings
from quant_organism.evolution.executors.threads import ThreadExecutor
from quant_organism.evolution.search import SearchResult, search
from quant_organism.evolution.source import GenomeSource
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.kernels.closure import code_identity
from quant_organism.market.panel import Panel
from quant_organism.resilience.files import write_file
from quant_organism.strategies import Committee, Genome, evolving_families, get_family, random_genome

FOLDER = Path(__file__).resolve().parent / "results" / "audit_search"
METHODS = (ENGINE, *BASELINES)
CHOICES = ("committee", "champion")
SPACES = {
    "large": tuple(name for name in evolving_families() if not get_family(name).model_genes),
    "small": ("donchian_breakout", "ema_crossover", "funding_rate_carry", "vwap_reversion"),
}
"""Families of each space: all rule-based ones with trees, and one for each kind of edge."""

TREND = {"momentum", "trend_following", "breakout"}
RIGHT = {"momentum": TREND, "breakout": TREND, "reversion": {"mean_reversion"}, "carry": {"carry"}}
"""Seed types of the families that fit each planted edge; trees fit none by their name."""

GROUPS = {"planted": ("weak", "strong"), "weak": ("weak",), "strong": ("strong",), "none": ("none",)}
"""Rows of the tables, and the sorts of worlds in each."""

_ORACLE_SEED = 9_000


@dataclass(frozen=True)
class Size:
    """How large an audit is.

    Attributes
    ----------
    population, generations
        Of the engine's one island; what it evaluates is what the others may.
    seen_days, later_days
        Days that are searched, and days after them.
    oracle_days, oracle_genomes
        Length of the market on which the oracle is found, and the random genomes that it is chosen from.
    planted_seeds, null_seeds
        Seeds of the worlds of each kind of edge and strength, and of those without an edge.
    """

    population: int = 50
    generations: int = 10
    seen_days: int = 540
    later_days: int = 365
    oracle_days: int = 1_460
    oracle_genomes: int = 500
    planted_seeds: tuple[int, ...] = tuple(range(7_000, 7_005))
    null_seeds: tuple[int, ...] = tuple(range(7_000, 7_020))

    def spec(self, families: tuple[str, ...]) -> EvolutionSpec:
        """Return the spec of all searches."""
        return EvolutionSpec(
            families=families, islands=1, population=self.population, generations=self.generations, champions=1
        )

    def worlds(self) -> list[tuple[Kind, int]]:
        """Return all worlds: kinds of edges in turn, so that an audit that was interrupted saw something of each."""
        wanted = [kind for kind in kinds() if kind.group in GROUPS["planted"]]
        planted = [(kind, seed) for seed in self.planted_seeds for kind in wanted]
        null = [(kind, seed) for seed in self.null_seeds for kind in kinds() if kind.group == "none"]
        every = max(1, -(-len(planted) // max(1, len(null))))
        return [
            world
            for place in range(max(len(null), len(planted)))
            for world in (*planted[place * every : (place + 1) * every], *null[place : place + 1])
        ]


@dataclass(frozen=True, eq=False)
class World:
    """One market with its searches, each made once."""

    kind: Kind
    seed: int
    size: Size
    evaluator: Evaluator

    @cached_property
    def panel(self) -> Panel:
        """The days that are searched, and those after them."""
        return self.kind.panel(self.size.seen_days + self.size.later_days, self.seed)

    @cached_property
    def seen(self) -> Panel:
        """The days that are searched."""
        return self.panel.window(0, self.size.seen_days * 24)

    @cached_property
    def executor(self) -> ThreadExecutor:
        """Measures on the days that are searched."""
        return ThreadExecutor(self.seen, Costs(), self.evaluator)

    def row(self, method: str, families: tuple[str, ...], oracle: Committee | None, evaluations: int) -> dict[str, Any]:
        """Search by one method and measure what it puts forward, and the oracle on the days after.

        The evaluations are for the baselines; the engine takes what its spec says.
        """
        spec = self.size.spec(families)
        found = self._searched(method, spec, families, evaluations)
        candidates = choose_candidates(found.trials, spec, self.seen, Costs(), self.evaluator)
        contender = Contender.of(
            method, candidates, evaluations=found.spent.evaluations, feasible=int(found.trials.feasible.sum())
        )
        unseen = Unseen(self.panel, self.seen.n_bars)
        rows = standings([contender], self.seen, unseen, Costs(), self.evaluator)
        return {
            "world": name_of(self.kind),
            "group": self.kind.group,
            "seed": self.seed,
            "method": method,
            "evaluations": found.spent.evaluations,
            "feasible": contender.feasible,
            "oracle": None if oracle is None else self._later_sharpe(oracle),
            **{
                row["choice"]: {
                    "in_sample": row["in_sample_sharpe"],
                    "later": row["unseen_sharpe"],
                    "right": right_share(contender.choices[row["choice"]], self.kind),
                }
                for row in rows
            },
        }

    def _searched(self, method: str, spec: EvolutionSpec, families: tuple[str, ...], evaluations: int) -> SearchResult:
        seed, source = np.random.SeedSequence(self.seed), GenomeSource(self.seen, Costs(), self.evaluator)
        if method == ENGINE:
            return search(spec, families, self.executor, source=source, seed=seed)
        name = next(name for name in BASELINES if name == method)
        return baseline_search(name, spec, families, self.executor, source=source, seed=seed, evaluations=evaluations)

    def _later_sharpe(self, committee: Committee) -> float:
        measured = self.evaluator.evaluate_committees([committee], self.panel, Costs(), start=self.seen.n_bars)
        return float(np.nan_to_num(measured.metrics["sharpe"][0]))


def name_of(kind: Kind) -> str:
    """Return what a sort of world is called: its edge and strength."""
    return "-".join((kind.group, *(f"{plant.family}" for plant in kind.plants)))


def right_share(committee: Committee, kind: Kind) -> float | None:
    """Return the share of a committee's weight on families that fit the planted edge; None without an edge."""
    if not kind.plants:
        return None
    fitting = RIGHT[kind.plants[0].family]
    weights = [m.weight for m in committee.members if get_family(m.genome.family).seed_type in fitting]
    return float(sum(weights) / sum(m.weight for m in committee.members))


def oracle_of(kind: Kind, families: tuple[str, ...], size: Size, evaluator: Evaluator, path: Path) -> Committee | None:
    """Return the random genome that does best on a long market with the same edge; None without an edge.

    It is chosen on a market of its own and measured on those of the audit, so it owes nothing to their luck. What is at
    rest at the path already is not looked for again.
    """
    if not kind.plants:
        return None
    if not path.exists():
        rng = np.random.default_rng(_ORACLE_SEED)
        genomes = [random_genome(rng, families[k % len(families)]) for k in range(size.oracle_genomes)]
        measured = evaluator.evaluate(genomes, kind.panel(size.oracle_days, _ORACLE_SEED), Costs())
        best = genomes[int(np.nanargmax(measured.metrics["sharpe"]))]
        write_file(path, json.dumps(best.to_dict()).encode())
    return Committee.of([Genome.from_dict(json.loads(path.read_bytes()))])


def measure(space: str, size: Size, evaluator: Evaluator, folder: Path) -> list[dict[str, Any]]:
    """Return the rows of all worlds and methods of a space; those that are at rest already are not measured again."""
    families, rows = SPACES[space], []
    measured_with = code_identity("quant_organism.audit.organism")
    results = folder / sha256(f"{size} {measured_with}".encode()).hexdigest()[:12] / space
    for kind, seed in size.worlds():
        world, evaluations = World(kind, seed, size, evaluator), 0
        for method in METHODS:
            path = results / f"{name_of(kind)}-{seed}-{method}.json"
            if not path.exists():
                oracle = oracle_of(kind, families, size, evaluator, results / f"oracle-{name_of(kind)}.json")
                row = world.row(method, families, oracle, evaluations)
                write_file(path, json.dumps(row).encode())
            rows.append(json.loads(path.read_bytes()))
            # The engine comes first; the others may evaluate as much as it did.
            evaluations = evaluations or rows[-1]["evaluations"]
    return rows


def summary(space: str, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the tables of a space: means of each method, and differences paired over worlds.

    A row takes part where its methods put forward both a committee and a champion, and says in how many worlds.
    """
    found: list[dict[str, Any]] = []
    for group, members in GROUPS.items():
        of: dict[str, dict[tuple[str, int], dict[str, Any]]] = {method: {} for method in METHODS}
        for row in rows:
            if row["group"] in members and "committee" in row and "champion" in row:
                of[row["method"]][row["world"], row["seed"]] = row
        label = f"{space}, {group}"
        for method in METHODS:
            own = list(of[method].values())
            if len(own) > 1:
                found += [_mean(label, own, choice) for choice in CHOICES]
                gains = [row["committee"]["later"] - row["champion"]["later"] for row in own]
                found.append(_gain(f"{label}: {method}, committee - champion, later", gains))
        for method in BASELINES:
            both = [(of[ENGINE][world], of[method][world]) for world in of[ENGINE] if world in of[method]]
            if len(both) > 1:
                for choice, what in product(CHOICES, ("in_sample", "later")):
                    gains = [engine[choice][what] - other[choice][what] for engine, other in both]
                    found.append(_gain(f"{label}: {ENGINE} - {method}, {choice}, {what}", gains))
    return found


def _mean(label: str, rows: Sequence[dict[str, Any]], choice: str) -> dict[str, Any]:
    inside, later = (np.array([row[choice][what] for row in rows]) for what in ("in_sample", "later"))
    note = f"{len(rows)} worlds; in sample {inside.mean():.2f}"
    if rows[0]["oracle"] is not None:
        regret = np.array([row["oracle"] for row in rows]) - later
        right = np.array([row[choice]["right"] for row in rows])
        note += f"; regret {regret.mean():.2f} {_interval(regret)}; right families {right.mean():.0%}"
    return {
        "metric": f"{label}: {rows[0]['method']}, {choice}",
        "value": float(later.mean()),
        "unit": "Sharpe after",
        "note": note,
    }


def _gain(label: str, gains: Sequence[float]) -> dict[str, Any]:
    values = np.array(gains)
    p = float(stats.wilcoxon(values).pvalue) if values.any() else 1.0
    note = f"{_interval(values)}, Wilcoxon p {p:.3f}, better in {(values > 0).sum()} of {len(values)}"
    return {"metric": label, "value": float(values.mean()), "unit": "Sharpe", "note": note}


def _interval(values: NDArray[np.float64]) -> str:
    """Return the 95 % interval of the mean by the bootstrap of worlds."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(10_000, len(values)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return f"[{low:+.2f}, {high:+.2f}]"


def run() -> list[dict[str, Any]]:
    """Search in every world by every method, in both spaces."""
    size, evaluator = Size(), Evaluator(threads=2)
    return [row for space in SPACES for row in summary(space, measure(space, size, evaluator, FOLDER))]
