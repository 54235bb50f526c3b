"""Size and power of the two nulls for families that rank assets: worlds without an edge, and with a relative one.

Of each family some random genomes are averaged, none chosen, and the Sharpe ratio of the mean is compared with that on
copies of the world. Each world is a file under `benchmarks/results/cross_section/`: what was interrupted goes on there.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant_organism.audit.worlds import RANGES
from quant_organism.backtest import Costs, Evaluator
from quant_organism.kernels.closure import code_identity
from quant_organism.market import Panel
from quant_organism.market.world import WorldSpec
from quant_organism.market.world.generator import generate
from quant_organism.resilience.files import write_file
from quant_organism.strategies import random_genome
from quant_organism.validation.nulls import draw_copies, draw_null

FOLDER = Path(__file__).resolve().parent / "results" / "cross_section"
FAMILIES = ("xs_momentum", "xs_carry", "xs_low_risk", "xs_reversal")
ASSETS, DAYS, GENOMES, COPIES, PROCESSES = 10, 365, 4, 19, 2
NULL_WORLDS, PLANTED_WORLDS = 8, 3
PLANTS = {
    "momentum, weak": ("relative_momentum", 0.04, "xs_momentum"),
    "momentum, strong": ("relative_momentum", 0.08, "xs_momentum"),
    "carry, weak": ("relative_carry", 0.03, "xs_carry"),
    "carry, strong": ("relative_carry", 0.06, "xs_carry"),
}
NULLS = ("residual flip", "mean-preserving flip")
LEVELS = (0.05, 0.1)


@dataclass(frozen=True)
class Trial:
    """A world, by its seed and what is planted in it; nothing: without an edge."""

    seed: int
    planted: str = ""

    def panel(self) -> Panel:
        """Draw it."""
        assets: list[dict[str, Any]] = [{"symbol": f"S{n:02d}", "volatility": 0.8 + 0.08 * n} for n in range(ASSETS)]
        assets[-1]["listed"] = date(2023, 6, 1)
        plants = []
        if self.planted:
            family, strength, _ = PLANTS[self.planted]
            plants = [{"family": family, "strength": strength}]
        spec = WorldSpec.model_validate({"name": "ranked", "days": DAYS, "assets": assets, "plants": plants})
        bars, _ = generate(spec, self.seed)
        return bars.panel()

    def measured(self) -> dict[str, Any]:
        """Return the ensembles' Sharpe ratios here, (families,), and on the copies of each null, (copies, families)."""
        digest = code_identity("quant_organism.validation.pretest")[:12]
        path = FOLDER / digest / f"{self.seed}-{self.planted.replace(', ', '-') or 'null'}.json"
        if path.is_file():
            found: dict[str, Any] = json.loads(path.read_text())
            return found
        panel = self.panel()
        copies: dict[str, list[list[float]]] = {name: [] for name in NULLS}
        for copy in range(COPIES):
            seed = np.random.SeedSequence([self.seed, copy])
            ranked = draw_copies(panel, "mean_preserving", seed, FAMILIES).panel
            drawn = ranked, draw_null(panel, "mean_preserving", seed)
            for name, each in zip(NULLS, drawn, strict=True):
                copies[name].append(ensembles(each).tolist())
        found = {"market": ensembles(panel).tolist(), **copies}
        write_file(path, json.dumps(found).encode())
        return found


def ensembles(panel: Panel) -> NDArray[np.float64]:
    """Return the annual Sharpe ratio of the mean of each family's genomes, the same on every panel."""
    rng = np.random.default_rng(7)
    genomes = [random_genome(rng, name) for name in FAMILIES for _ in range(GENOMES)]
    returns = Evaluator(threads=1).evaluate(genomes, panel, Costs()).daily_returns
    means = returns.reshape(len(FAMILIES), GENOMES, -1).mean(axis=1)
    return np.asarray(means.mean(axis=1) / means.std(axis=1, ddof=1) * np.sqrt(365.0))


def p_values(found: dict[str, Any], null: str) -> NDArray[np.float64]:
    """Return the p-value of each family's ensemble."""
    lower = (np.array(found[null]) >= np.array(found["market"])).sum(axis=0)
    return np.asarray((1.0 + lower) / (1.0 + COPIES))


def run() -> list[dict[str, Any]]:
    """Measure all worlds and return rates of rejection."""
    first = RANGES["tuning"]
    nulls = [Trial(first + number) for number in range(NULL_WORLDS)]
    planted = [Trial(first + number, name) for name in PLANTS for number in range(PLANTED_WORLDS)]
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        # By seed, so that a study that was interrupted knows something of every kind.
        trials = sorted([*nulls, *planted], key=lambda trial: (trial.seed, trial.planted))
        edges = dict(zip(trials, pool.map(Trial.measured, trials), strict=True))
    without = [edges[trial] for trial in nulls]
    rows = []
    for null in NULLS:
        apart = np.array([p_values(each, null) for each in without])
        rows += _rates(f"{null}, no edge", apart.ravel(), f"{len(nulls)} worlds x {len(FAMILIES)} families")
        for place, family in enumerate(FAMILIES):
            rows += _rates(f"{null}, no edge, {family}", apart[:, place], f"{len(nulls)} worlds")
        for name, (_, _, family) in PLANTS.items():
            place = FAMILIES.index(family)
            own = [each for trial, each in edges.items() if trial.planted == name]
            sharpe = float(np.mean([each["market"][place] for each in own]))
            values = np.array([p_values(each, null)[place] for each in own])
            rows += _rates(f"{null}, {name}", values, f"{len(own)} worlds; ensemble's Sharpe ratio {sharpe:.2f}")
    return rows


def _rates(metric: str, values: NDArray[np.float64] | Sequence[float], note: str) -> list[dict[str, Any]]:
    return [
        {
            "metric": f"{metric}: rejected at {level:g}",
            "value": float(np.mean(np.array(values) <= level + 1e-9)),
            "unit": "share",
            "note": note,
        }
        for level in LEVELS
    ]
