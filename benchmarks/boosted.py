"""Boosted trees before the judge, and beside the committees of a search: on simulated worlds, and on real hours.

On worlds, the trees, the engine's committee and that of random search are read on the same later days; what the judge
says of the trees is of its own. Real hours (`../shared/data/market` beside the checkout) are shown to the judge alone,
which opens the unseen days to nobody who fell. Everything is kept once it is known (`results/boosted/`), so that a run
that was interrupted goes on.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.evaluator import row
from benchmarks.priors import FAMILIES
from quant_organism.audit.edges import edges
from quant_organism.audit.worlds import World, real_panel
from quant_organism.backtest import Costs, Evaluator
from quant_organism.evolution.baselines import baseline_search
from quant_organism.evolution.candidates import choose_candidates
from quant_organism.evolution.comparison import Contender, Unseen, standings
from quant_organism.evolution.executors.threads import ThreadExecutor
from quant_organism.evolution.search import search
from quant_organism.evolution.source import GenomeSource
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.judge import CallableSpec, CallableStrategy, Court, JudgedPage, judge_strategy, load_spec
from quant_organism.judge.positions import annual_sharpe
from quant_organism.kernels.closure import code_identity
from quant_organism.market import Lake, Panel
from quant_organism.validation import in_order, wilson_interval

NULLS, STRONG = 8, 8
FIRST_SEED = 310_000
DAYS, LATER_DAYS = 730, 60
PROCESSES = 2
GENERATIONS, POPULATION = 8, 50
REAL = ("binance_perp_1h", "hl_perp_1h")
MARKETS = Path(__file__).resolve().parents[2] / "shared" / "data" / "market"
RESULTS = Path(__file__).resolve().parent / "results" / "boosted"
NAMES = ("boosted trees", "engine's committee", "random search's committee")


def worlds() -> list[World]:
    """Return the worlds, mixed: each strong edge of the audit twice, and as many without one."""
    strong = [edge for edge in edges() if edge.strength == "strong"]
    planted = [World("planted", FIRST_SEED + place, strong[place % len(strong)]) for place in range(STRONG)]
    nulls = [World("null", FIRST_SEED + place) for place in range(NULLS)]
    return [world for pair in zip(nulls, planted, strict=True) for world in pair]


def trees() -> CallableStrategy:
    """Return the shipped example."""
    spec, folder = load_spec("boosted_trees")
    assert isinstance(spec, CallableSpec)
    return spec.strategy(folder)


def judged(panel: Panel) -> JudgedPage:
    """Judge the trees on a panel, with a ledger of its own."""
    with TemporaryDirectory() as place:
        return judge_strategy(Court(lake=Lake(Path(place)), panel=panel, copies=19), trees())


def committees(panel: Panel, seen: Panel, start: int, seed: int) -> dict[str, float]:
    """Search the seen days by engine and at random, and return what both committees earn from a bar on."""
    evaluator, costs = Evaluator(), Costs()
    spec = EvolutionSpec(families=FAMILIES, islands=1, population=POPULATION, generations=GENERATIONS, champions=1)
    source, executor = GenomeSource(seen, costs, evaluator), ThreadExecutor(seen, costs, evaluator)
    numbers = np.random.SeedSequence(seed)
    engine = search(spec, FAMILIES, executor, source=source, seed=numbers)
    evaluations = engine.spent.evaluations
    at_random = baseline_search(
        "random", spec, FAMILIES, executor, source=source, seed=numbers, evaluations=evaluations
    )
    earned = {}
    for name, found in zip(NAMES[1:], (engine, at_random), strict=True):
        put = choose_candidates(found.trials, spec, seen, costs, evaluator)
        contender = Contender.of(name, put, evaluations=evaluations, feasible=int(found.trials.feasible.sum()))
        rows = standings([contender], seen, Unseen(panel, start), costs, evaluator)
        earned[name] = next((each["unseen_sharpe"] for each in rows if each["choice"] == "committee"), 0.0)
    return earned


def in_world(number: int) -> dict[str, Any]:
    """Judge the trees in a world, and read all three on its later days; or return what was kept."""
    world = worlds()[number]
    return _kept(world.name, lambda: _in_world(world))


def _in_world(world: World) -> dict[str, Any]:
    panel = world.market(DAYS, LATER_DAYS).given
    page = judged(panel)
    with TemporaryDirectory() as place:
        court = Court(lake=Lake(Path(place)), panel=panel)
        start = court.splits.unseen.start
        daily = trees().attempts(panel, court.costs).daily[0]
        earned = committees(panel, court.seen, start, world.seed)
    earned[NAMES[0]] = annual_sharpe(daily[start // panel.interval.bars_per_day :])
    return _said(page) | {"world": world.name, "strength": world.strength, "later": earned}


def on_real(names: Sequence[str], number: int) -> dict[str, Any]:
    """Judge the trees on real hours, or return what was kept."""
    name = names[number]
    return _kept(name, lambda: _said(judged(real_panel(MARKETS / name))) | {"world": name})


def _said(page: JudgedPage) -> dict[str, Any]:
    failed = [verdict.gate for verdict in page.verdicts if verdict.status != "passed" and verdict.gate in page.decisive]
    reasons = {verdict.gate: verdict.reason for verdict in page.verdicts}
    return {"outcome": page.outcome, "sentence": page.sentence, "failed": failed, "reasons": reasons, **page.facts}


def _kept(name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    path = RESULTS / f"{name}.json"
    identity = code_identity("quant_organism.judge.hearing") + trees().identity
    if path.exists() and (kept := json.loads(path.read_text()))["code"] == identity:
        return kept
    made = make() | {"code": identity}
    RESULTS.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(made))
    return made


def interval(values: np.ndarray) -> str:
    """Return the 95 % interval of a mean by the bootstrap of worlds, and how many there are."""
    rng = np.random.default_rng(0)
    low, high = np.quantile(values[rng.integers(len(values), size=(10_000, len(values)))].mean(axis=1), (0.025, 0.975))
    return f"95 % interval {low:+.2f} to {high:+.2f}, {len(values)} worlds"


def run() -> list[dict[str, Any]]:
    """Measure everything."""
    found = [outcome for _, outcome in in_order(in_world, range(NULLS + STRONG), PROCESSES)]
    rows = []
    for strength, said in (("none", "no edge"), ("strong", "a strong edge")):
        among = [outcome for outcome in found if outcome["strength"] == strength]
        passing = sum(outcome["outcome"] == "stands" for outcome in among)
        wilson = wilson_interval(passing, len(among))
        note = f"{passing} of {len(among)}, 95 % interval {100 * wilson.low:.0f} to {100 * wilson.high:.0f} %"
        rows.append(row(f"{said}: judged to stand", passing / len(among), "share", note))
        later = {name: np.array([outcome["later"][name] for outcome in among]) for name in NAMES}
        for name in NAMES:
            rows.append(row(f"{said}: {name}", float(later[name].mean()), "Sharpe after", interval(later[name])))
        for name in NAMES[1:]:
            less = later[NAMES[0]] - later[name]
            better = f"better in {(less > 0).sum()}; {interval(less)}"
            rows.append(row(f"{said}: {NAMES[0]} less {name}", float(less.mean()), "Sharpe after", better))
    sets = [name for name in REAL if (MARKETS / name).is_dir()]
    for place, outcome in in_order(partial(on_real, sets), range(len(sets)), PROCESSES):
        what = f"{sets[place]}: {outcome['outcome']}"
        rows.append(row(what, outcome["sharpe"], "Sharpe seen", outcome["sentence"]))
    return rows
