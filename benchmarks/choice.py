"""What the final choice is worth: each rule on fresh worlds with planted edges, after the sample that it chose on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from quant_organism.backtest import Costs, Evaluator
from quant_organism.evolution.candidates import choose_candidates
from quant_organism.evolution.executors.threads import ThreadExecutor
from quant_organism.evolution.nursery import default_families
from quant_organism.evolution.search import search
from quant_organism.evolution.source import GenomeSource
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.evolution.trials import Trials
from quant_organism.market.panel import Panel
from quant_organism.market.world.generator import generate
from quant_organism.market.world.spec import Asset, Plant, WorldSpec
from quant_organism.strategies import Committee, Genome

SEEDS = range(5_000, 5_006)
"""Worlds per kind of edge and strength."""

SEEN_DAYS, LATER_DAYS, LONG_DAYS = 540, 365, 1_460
STRENGTHS = {"momentum": (0.04, 0.07), "reversion": (0.5, 0.7), "breakout": (0.02, 0.04), "carry": (0.02, 0.04)}
"""A weak and a strong edge of each kind."""

ASSETS = tuple(
    Asset(symbol=f"SIM-{name}", volatility=volatility)
    for name, volatility in (("A", 1.0), ("B", 1.3), ("C", 1.5), ("D", 1.2))
)
SEARCH = EvolutionSpec(islands=1, population=50, generations=8)

CHAMPION = "champion, plain"
RULES: dict[str, dict[str, Any]] = {
    CHAMPION: {"champions": 1},
    "champion, smoothed": {"champions": 1, "fitness": "smoothed"},
    "champion, asset_median": {"champions": 1, "fitness": "asset_median"},
    "pooled 1 %": {"choice": "pooled", "committee_fraction": 0.01},
    "pooled 5 %": {"choice": "pooled"},
    "pooled 5 %, 8 seats": {"choice": "pooled", "committee_size": 8},
    "pooled 5 %, 8 seats, any correlation": {"choice": "pooled", "committee_size": 8, "max_correlation": 1.0},
    "pooled 5 %, smoothed": {"choice": "pooled", "fitness": "smoothed"},
    "pooled 5 %, asset_median": {"choice": "pooled", "fitness": "asset_median"},
    "own_assets 1 %": {"choice": "own_assets", "committee_fraction": 0.01},
    "own_assets 5 %": {"choice": "own_assets"},
    "per_asset 1 %": {"choice": "per_asset", "committee_fraction": 0.01},
    "per_asset 5 %": {"choice": "per_asset"},
}
"""Name of a rule, and what its spec says beside `SEARCH`."""

COMPARED = (
    ("own_assets 5 %", "pooled 5 %"),
    ("per_asset 5 %", "own_assets 5 %"),
    ("pooled 5 %, smoothed", "pooled 5 %"),
    ("pooled 5 %, asset_median", "pooled 5 %"),
    ("pooled 5 %, 8 seats", "pooled 5 %, 8 seats, any correlation"),
)
"""Rules that are compared with one another, beside each with the champion."""

GROUPS = {
    "weak": ("weak",),
    "strong": ("strong",),
    "shared": ("weak", "strong"),
    "one asset": ("one asset",),
    "none": ("none",),
}
"""Rows of the table, and the sorts of worlds in each."""


@dataclass(frozen=True)
class Kind:
    """A sort of world: its group in the table, its edge, and how many days there are."""

    group: str
    plants: tuple[Plant, ...]

    def panel(self, days: int, seed: int) -> Panel:
        """Draw a market of this sort."""
        bars, _ = generate(WorldSpec(name="choice", days=days, assets=ASSETS, plants=self.plants), seed)
        return bars.panel()


def kinds() -> list[Kind]:
    """Return all sorts of worlds: shared edges weak and strong, strong ones on one asset only, none."""
    found = [Kind("none", ())]
    for family, (weak, strong) in STRENGTHS.items():
        for group, strength, symbols in (
            ("weak", weak, None),
            ("strong", strong, None),
            ("one asset", strong, (ASSETS[0].symbol,)),
        ):
            plant = Plant.model_validate({"family": family, "strength": strength, "symbols": symbols})
            found.append(Kind(group, (plant,)))
    return found


def results(kind: Kind, seed: int, evaluator: Evaluator) -> dict[str, dict[str, float]]:
    """Return each rule's Sharpe ratio after the sample, on a long fresh market, and its regret, in one world."""
    costs, panel = Costs(), kind.panel(SEEN_DAYS + LATER_DAYS, seed)
    seen, start = panel.window(0, SEEN_DAYS * 24), SEEN_DAYS * 24
    searched: dict[str, Trials] = {}
    chosen: dict[str, Committee] = {}
    for rule, fields in RULES.items():
        spec = EvolutionSpec.model_validate(SEARCH.model_dump() | {"champions": 0} | fields)
        if spec.fitness not in searched:
            executor, names = ThreadExecutor(seen, costs, evaluator), spec.families or default_families(seen)
            source, sequence = GenomeSource(seen, costs, evaluator), np.random.SeedSequence(seed)
            searched[spec.fitness] = search(spec, names, executor, source=source, seed=sequence).trials
        candidates = choose_candidates(searched[spec.fitness], spec, seen, costs, evaluator)
        wanted = [c for c in candidates if (c.origin == "champion") == rule.startswith("champion")]
        if wanted:
            chosen[rule] = wanted[0].committee
    if CHAMPION not in chosen:
        return {}
    long = kind.panel(LONG_DAYS, seed + 1_000_000)
    oracle = _oracle(searched["plain"].genomes, long, costs, evaluator)
    committees = [*chosen.values(), oracle]
    later = _sharpe(evaluator.evaluate_committees(committees, panel, costs, start=start).metrics)
    lasting = _sharpe(evaluator.evaluate_committees(committees, long, costs).metrics)
    return {
        rule: {"later": later[place], "long": lasting[place], "regret": later[-1] - later[place]}
        for place, rule in enumerate(chosen)
    }


def _sharpe(metrics: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    # Who never traded earned nothing.
    return np.nan_to_num(metrics["sharpe"], nan=0.0)


def _oracle(genomes: Sequence[Genome], long: Panel, costs: Costs, evaluator: Evaluator) -> Committee:
    """Return the genome, on all assets or one of them, that does best on a long market that nobody searched."""
    measured = evaluator.evaluate(genomes, long, costs)
    sharpe = np.column_stack([measured.metrics["sharpe"], measured.asset_metrics["sharpe"]])
    trial, place = np.unravel_index(int(np.nanargmax(sharpe)), sharpe.shape)
    return Committee.of([genomes[trial]], None, [long.symbols[place - 1 : place] if place else ()])


def summary(found: Sequence[tuple[str, dict[str, dict[str, float]]]]) -> list[dict[str, Any]]:
    """Return the table: means over the worlds of each group, and paired differences with 95 % intervals."""
    rows = []
    for name, groups in GROUPS.items():
        worlds = [world for group, world in found if group in groups and world]
        for rule, other in (*((rule, CHAMPION) for rule in RULES), *COMPARED):
            both = [world for world in worlds if rule in world and other in world]
            if len(both) < 2:
                continue
            means = {
                what: float(np.mean([world[rule][what] for world in both])) for what in ("later", "long", "regret")
            }
            note = (
                f"{len(both)} worlds; {_difference(both, rule, other, 'later')} against {other}; long run"
                f" {means['long']:.2f}, {_difference(both, rule, other, 'long')}; regret {means['regret']:.2f}"
            )
            rows.append({"metric": f"{name}: {rule}", "value": means["later"], "unit": "Sharpe", "note": note})
    return rows


def _difference(worlds: Sequence[dict[str, dict[str, float]]], rule: str, other: str, what: str) -> str:
    gains = np.array([world[rule][what] - world[other][what] for world in worlds])
    reach = stats.t.ppf(0.975, len(gains) - 1) * stats.sem(gains)
    return f"{gains.mean():+.2f} ± {reach:.2f}"


def run() -> list[dict[str, Any]]:
    """Search and choose in every world."""
    evaluator = Evaluator(threads=2)
    return summary([(kind.group, results(kind, seed, evaluator)) for kind in kinds() for seed in SEEDS])
