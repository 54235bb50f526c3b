"""Whether regions that past runs confirmed help the next search: its regret with and without founders drawn in them.

Each market is searched four times on days of its own, and what these searches drew is mined. The next search, on the
days after them, is founded as usual, or a fifth of its seats is drawn within the confirmed regions. Both are held
against the best of all genomes that either of them tried, by what they earn on a long market of the same edge that
nobody searched. Markets of tuning seeds; regions of genes alone, since a genome trades all assets on all days.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy import stats

from benchmarks.evaluator import row
from quant_organism.backtest import Costs, Evaluator
from quant_organism.evolution.cycle import EvolutionResult, evolve
from quant_organism.market import Lake, Panel
from quant_organism.market.splits import split
from quant_organism.market.world.generator import generate
from quant_organism.market.world.spec import Plant
from quant_organism.strategies import Committee
from quant_organism.workflows.mining import Region, mine, read_drawn
from quant_organism.workflows.mining.founders import MOST_FOUNDED, drawn_in
from quant_organism_tests.workflows.mined_worlds import DAYS, MOMENTUM, SEARCHES, SPEC, search_panel, world

SEEDS: Final = range(200, 212)
LONG_DAYS: Final = 1_460
SORTS: Final[dict[str, Plant]] = {
    "trend": MOMENTUM,
    "reversion": Plant(family="reversion", strength=0.8),
}
NEXT: Final = SPEC.model_copy(update={"generations": 4})


def run() -> list[dict[str, Any]]:
    """Measure the regret of the next search, with and without founders of regions, market by market."""
    rows = []
    for sort, plant in SORTS.items():
        pairs = [pair for seed in SEEDS if (pair := regrets(plant, seed)) is not None]
        note = f"Sharpe ratio a year, {len(pairs)} of {len(SEEDS)} markets had a confirmed region"
        if len(pairs) < 2:
            rows.append(row(f"{sort}: markets with a confirmed region", float(len(pairs)), "markets", note))
            continue
        usual, founded = np.array(pairs).T
        lower = usual - founded
        half = float(stats.t.ppf(0.975, len(lower) - 1) * lower.std(ddof=1) / np.sqrt(len(lower)))
        rows.append(row(f"{sort}: regret as usual", float(usual.mean()), "a year", note))
        rows.append(row(f"{sort}: regret with founders of regions", float(founded.mean()), "a year", note))
        gain = f"95 % interval {lower.mean() - half:.2f} to {lower.mean() + half:.2f}; paired"
        rows.append(row(f"{sort}: regret lowered by", float(lower.mean()), "a year", gain))
    return rows


def regrets(plant: Plant, seed: int) -> tuple[float, float] | None:
    """Return the regret of the next search as usual and with founders of regions; None where none is confirmed."""
    past = SEARCHES * DAYS
    panel = generate(world(plant, searches=SEARCHES + 1), seed)[0].panel()
    regions = confirmed(panel.window(0, past * 24), seed)
    if not regions:
        return None
    costs, evaluator = Costs(), Evaluator(threads=1)
    later = panel.window(past * 24, (past + DAYS) * 24)
    span = split(later.n_bars, later.interval).in_sample
    seen = later.window(span.start, span.stop)
    founders = drawn_in(regions, seen, costs, int(MOST_FOUNDED * NEXT.islands * NEXT.population), seed)
    found = [evolve(seen, NEXT, costs, evaluator, seed=seed, founders=some) for some in ((), founders)]
    committees = [one.candidates[0].committee for one in found]
    long = generate(world(plant, searches=1, days=LONG_DAYS), seed + 1_000_000)[0].panel()
    earned = evaluator.evaluate_committees([*committees, best_of(found, long)], long, costs).metrics["sharpe"]
    usual, founded, best = np.nan_to_num(earned, nan=0.0)
    return float(best - usual), float(best - founded)


def confirmed(panel: Panel, seed: int) -> list[Region]:
    """Return the regions that searches of consecutive stretches confirm."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        for first in range(0, panel.n_bars, DAYS * 24):
            search_panel(lake, panel.window(first, first + DAYS * 24), seed=1_000 * seed + first // 24)
        patterns = mine(read_drawn(lake, "1h")).patterns
    return [pattern.region for pattern in patterns if pattern.status == "confirmed"]


def best_of(found: Sequence[EvolutionResult], long: Panel) -> Committee:
    """Return the genome of all that were tried that does best on a market that nobody searched."""
    genomes = list({g.hash: g for one in found for g in one.search.trials.genomes}.values())
    sharpe = Evaluator(threads=1).evaluate(genomes, long, Costs()).metrics["sharpe"]
    return Committee.of([genomes[int(np.nanargmax(sharpe))]])
