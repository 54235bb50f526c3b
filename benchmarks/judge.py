"""A grid search made elsewhere before the judge: how often it passes where nothing is to be found, and where much is.

Every world is kept once it is judged (`results/judge/`), so that a run that was interrupted goes on.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from quant_organism.audit.edges import edges
from quant_organism.audit.worlds import World
from quant_organism.judge import CallableStrategy, Court, StrategySource, judge_strategy, trials_of
from quant_organism.kernels.closure import code_identity
from quant_organism.market import Lake
from quant_organism.validation import in_order, wilson_interval

NULLS, STRONG = 40, 20
FIRST_SEED = 300_000
DAYS, LATER_DAYS = 730, 60
COPIES = 19
PROCESSES = 2
GRID = {"fast": [6, 12, 24], "slow": [48, 96, 192, 288]}
RESULTS = Path(__file__).resolve().parent / "results" / "judge"

STRATEGY = """
import numpy as np


def mean(values, bars):
    sums = np.cumsum(np.vstack([np.zeros(values.shape[1]), values]), axis=0)
    means = np.full(values.shape, np.nan)
    means[bars - 1 :] = (sums[bars:] - sums[:-bars]) / bars
    return means


def signal(panel, fast, slow):
    logs = np.log(panel.close)
    moved = np.vstack([np.zeros(logs.shape[1]), np.diff(logs, axis=0)])
    relative = np.cumsum(np.nan_to_num(moved), axis=0)
    # Rounded, since sums of another beginning differ in their last digits.
    return np.nan_to_num(np.sign(np.round(mean(relative, fast) - mean(relative, slow), 9)))
"""
"""A cross of two moving averages of log prices: what anybody would try first."""


def worlds() -> list[World]:
    """Return the worlds: those without an edge, and those with a strong one that a follower of trends can see."""
    trends = [edge for edge in edges() if edge.strength == "strong" and edge.family in ("momentum", "breakout")]
    strong = [World("planted", FIRST_SEED + place, trends[place % len(trends)]) for place in range(STRONG)]
    nulls = [World("null", FIRST_SEED + place) for place in range(NULLS)]
    # Mixed, so that one that was interrupted saw something of each.
    return [world for place in range(STRONG) for world in (*nulls[2 * place : 2 * place + 2], strong[place])]


def judged(number: int) -> dict[str, Any]:
    """Judge the search in a world, or return what was kept of it."""
    world = worlds()[number]
    path = RESULTS / f"{world.name}.json"
    identity = code_identity("quant_organism.judge.hearing")
    if path.exists() and (kept := json.loads(path.read_text()))["code"] == identity:
        return kept
    panel = world.market(DAYS, LATER_DAYS).given
    with TemporaryDirectory() as place:
        file = Path(place) / "cross.py"
        file.write_text(STRATEGY)
        court = Court(lake=Lake(Path(place) / "lake"), panel=panel, copies=COPIES)
        strategy = CallableStrategy("cross", StrategySource(path=file), trials_of(GRID, None, 0))
        page = judge_strategy(court, strategy)
    failed = [verdict.gate for verdict in page.verdicts if verdict.status != "passed" and verdict.gate in page.decisive]
    found = {
        "code": identity,
        "world": world.name,
        "strength": world.strength,
        "outcome": page.outcome,
        "failed": failed,
        "sharpe": page.facts["sharpe"],
        "overturned_at": page.overturned_at,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    return found


def run() -> list[dict[str, Any]]:
    """Judge the search in every world."""
    found = [outcome for _, outcome in in_order(judged, range(NULLS + STRONG), PROCESSES)]
    rows = []
    for strength, said in (("none", "null_worlds_passing"), ("strong", "strong_worlds_passing")):
        among = [outcome for outcome in found if outcome["strength"] == strength]
        passing = sum(outcome["outcome"] == "stands" for outcome in among)
        interval = wilson_interval(passing, len(among))
        note = f"{passing} of {len(among)}, 95 % interval {100 * interval.low:.0f} to {100 * interval.high:.0f} %"
        rows.append({"metric": said, "value": passing / len(among), "unit": "share", "note": note})
    return rows
