"""Boosted trees before the judge, and beside the committees of a search: on simulated worlds, and on real hours.

On worlds, the trees, the engine's committee and that of random search are read on the same later days; what the judge
says of the trees is of its own. Of real hours (`../shared/data/market` beside the checkout) all are shown the seen days
alone: the trees are judged there, which opens the unseen days to nobody who fell, and what the committees of both
searches show is set beside what the same searches show on copies without an edge. Everything is kept once it is known
(`results/boosted/`), so that a run that was interrupted goes on.
"""

import json
from collections.abc import Callable, Mapping, Sequence
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
from quant_organism.evolution.executors.threads import ThreadExecutor
from quant_organism.evolution.search import search
from quant_organism.evolution.source import GenomeSource
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.judge import CallableSpec, CallableStrategy, Court, JudgedPage, judge_strategy, load_spec
from quant_organism.judge.positions import annual_sharpe
from quant_organism.kernels.closure import code_identity
from quant_organism.market import Lake, Panel
from quant_organism.strategies import Committee
from quant_organism.validation import NotRun, draw_null, in_order, wilson_interval
from quant_organism.validation.statistics.p_values import simulated_p_value

NULLS, STRONG = 8, 8
FIRST_SEED = 310_000
DAYS, LATER_DAYS = 730, 60
COPIES = 19
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
        return judge_strategy(Court(lake=Lake(Path(place)), panel=panel, copies=COPIES), trees())


def committees(seen: Panel, seed: int) -> dict[str, Committee]:
    """Search the seen days by engine and at random, and return both committees, as far as anything traded."""
    evaluator, costs = Evaluator(), Costs()
    spec = EvolutionSpec(families=FAMILIES, islands=1, population=POPULATION, generations=GENERATIONS)
    source, executor = GenomeSource(seen, costs, evaluator), ThreadExecutor(seen, costs, evaluator)
    numbers = np.random.SeedSequence(seed)
    engine = search(spec, FAMILIES, executor, source=source, seed=numbers)
    evaluations = engine.spent.evaluations
    at_random = baseline_search(
        "random", spec, FAMILIES, executor, source=source, seed=numbers, evaluations=evaluations
    )
    chosen = {}
    for name, found in zip(NAMES[1:], (engine, at_random), strict=True):
        for candidate in choose_candidates(found.trials, spec, seen, costs, evaluator)[:1]:
            chosen[name] = candidate.committee
    return chosen


def earned(chosen: Mapping[str, Committee], panel: Panel, start: int = 0) -> dict[str, float]:
    """Return the annual Sharpe ratio of each committee from a bar on; who puts nothing forward has earned nothing."""
    sharpes = dict.fromkeys(NAMES[1:], 0.0)
    if chosen:
        found = Evaluator().evaluate_committees(list(chosen.values()), panel, Costs(), start=start)
        sharpes |= zip(chosen, map(annual_sharpe, found.daily_returns), strict=True)
    return sharpes


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
    later = earned(committees(court.seen, world.seed), panel, start)
    later[NAMES[0]] = annual_sharpe(daily[start // panel.interval.bars_per_day :])
    return _said(page) | {"world": world.name, "strength": world.strength, "later": later}


def on_real(names: Sequence[str], number: int) -> dict[str, Any]:
    """Judge the trees on real hours, or return what was kept."""
    name = names[number]
    return _kept(name, lambda: _said(judged(real_panel(MARKETS / name))) | {"world": name})


def committees_on_real(names: Sequence[str], number: int) -> dict[str, Any]:
    """Search the seen days of a real market, and as many copies of them without an edge; or return what was kept."""
    return _kept(f"{names[number]}_committees", lambda: _beside(real_panel(MARKETS / names[number])))


def _beside(panel: Panel) -> dict[str, Any]:
    with TemporaryDirectory() as place:
        seen = Court(lake=Lake(Path(place)), panel=panel).seen
    shown = earned(committees(seen, 0), seen)
    made: dict[str, list[float]] = {name: [] for name in shown}
    for draw in range(1, COPIES + 1):
        copy = draw_null(seen, "mean_preserving", np.random.SeedSequence(0, spawn_key=(1, draw)))
        for name, sharpe in earned(committees(copy, 0), copy).items():
            made[name].append(sharpe)
    asked = {}
    for name, sharpe in shown.items():
        simulated = simulated_p_value(sharpe, made[name])
        assert not isinstance(simulated, NotRun)
        asked[name] = {"sharpe": sharpe, "median": float(np.median(made[name])), "p_value": simulated.p_value}
    return {"committees": asked, "days": seen.n_bars // seen.interval.bars_per_day}


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
    for place, outcome in in_order(partial(committees_on_real, sets), range(len(sets)), PROCESSES):
        for name, asked in outcome["committees"].items():
            said = f"copies without an edge {asked['median']:.2f} (median of {COPIES}), p = {asked['p_value']:.2f}"
            rows.append(row(f"{sets[place]}: {name}", asked["sharpe"], "Sharpe seen", said))
    return rows
