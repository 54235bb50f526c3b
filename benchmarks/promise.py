"""What a promise made in sample costs on the short line: alarms of decay while the edge lives, and after it died.

On the markets of `year`: a candidate of the short line is born after 365 days that its search saw, and lives a year
with its edge, or two without it. Its days are held against four promises: what it showed in sample, the same less the
luck of copies (as the program does), what James and Stein's shrinking by that luck leaves (1961, positive part), and
the truth, which nobody knows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from scipy import stats

from benchmarks.year import BEFORE, BEHAVIOURS, COSTS, LIVED, NOISE, SHORT_DAYS, YEAR, Floats, Market, net, true_sharpe
from quant_organism.deployment.birth import LEAST_PROMISE, kept_share
from quant_organism.deployment.lifecycle import RULES
from quant_organism.deployment.live_evidence import LiveEvidence, Promise

BIRTHS: Final = 200
SEEDS: Final = 980_000
COPIES: Final = 19
EDGES: Final = (1.2, 2.5)
PROMISES: Final = ("in_sample", "less_luck", "shrunk", "true")


def run() -> list[dict[str, Any]]:
    """Return, by edge and promise, what is promised, how often it falls within a year, and how long a death takes."""
    rows = []
    for edge in EDGES:
        promised: dict[str, list[float]] = {name: [] for name in PROMISES}
        alive: dict[str, list[int | None]] = {name: [] for name in PROMISES}
        dead: dict[str, list[int | None]] = {name: [] for name in PROMISES}
        born = seed = 0
        while born < BIRTHS:
            seed += 1
            market, without = Market.drawn(SEEDS + seed, edge), Market.drawn(SEEDS + seed, 0.0)
            made = _born(market, np.random.default_rng((SEEDS + seed, 1)))
            if made is None:
                continue
            born += 1
            weight, seen, luck = made
            deviation = float(seen.std(ddof=1))
            observed = float(seen.mean()) / deviation * YEAR
            sharpes: Mapping[str, float] = {
                "in_sample": observed,
                "less_luck": kept_share(observed, luck) * observed,
                "shrunk": observed - luck**2 / observed,
                "true": true_sharpe(market, weight),
            }
            kept, ended = net(market, weight, market.returns[BEFORE:]), net(market, weight, without.returns[BEFORE:])
            for name, sharpe in sharpes.items():
                promise = Promise(deviation, max(LEAST_PROMISE, sharpe))
                promised[name].append(promise.sharpe)
                alive[name].append(_fallen(promise, kept[:365]))
                dead[name].append(_fallen(promise, ended))
        rows += [row for name in PROMISES for row in _rows(f"{name}_{edge}", promised[name], alive[name], dead[name])]
    return rows


def _born(market: Market, rng: np.random.Generator) -> tuple[Floats, Floats, float] | None:
    """Return weights, net returns in sample and the luck of copies of who is born; None where nobody is."""
    seen = market.returns[BEFORE - SHORT_DAYS : BEFORE]
    mean = seen.mean(axis=0) / seen.std(axis=0, ddof=1)
    noise = rng.standard_normal(BEHAVIOURS)
    weight = mean / np.linalg.norm(mean) + NOISE * noise / np.linalg.norm(noise)
    weight /= np.linalg.norm(weight)
    halves = [half.mean(axis=0) / half.std(axis=0, ddof=1) for half in np.array_split(seen, 2)]
    steady = float(halves[0] @ halves[1] / np.linalg.norm(halves[0]) / np.linalg.norm(halves[1])) >= 0.25
    pretest_p = 1.0 - float(stats.norm.cdf(mean.max() * math.sqrt(SHORT_DAYS))) ** BEHAVIOURS
    if pretest_p > 0.1 or not steady:
        return None
    # A search of a copy finds its best mixture: the norm of six means of days without an edge, less what trading costs.
    luck = np.linalg.norm(rng.standard_normal((COPIES, BEHAVIOURS)), axis=1) / math.sqrt(SHORT_DAYS) * YEAR - COSTS
    return weight, net(market, weight, seen), float(np.median(luck))


def _fallen(promise: Promise, returns: Floats) -> int | None:
    """Return the day on which the shortfall or the size factor sends a strategy to decaying; None: on none of these."""
    bounds = {
        requirement.kind: requirement.bound
        for rule in RULES
        if rule.name in ("shortfall", "size factor")
        for requirement in rule.requirements
    }
    state = LiveEvidence.born(promise, 1.0)
    for day, earned in enumerate(returns):
        state = state.after(float(earned), promise)
        if state.shortfall > bounds["shortfall"] or state.low_days >= bounds["low_factor_days"]:
            return day
    return None


def _rows(name: str, promised: list[float], alive: list[int | None], dead: list[int | None]) -> list[dict[str, Any]]:
    early = sum(day is not None for day in alive) / len(alive)
    noticed = float(np.median([LIVED if day is None else day for day in dead]))
    return [
        {"metric": f"promised_{name}", "value": float(np.median(promised)), "unit": "Sharpe ratio", "note": "median"},
        {"metric": f"false_alarms_{name}", "value": early, "unit": "share", "note": f"of {len(alive)} within a year"},
        {"metric": f"death_noticed_{name}", "value": noticed, "unit": "days", "note": "median, its edge gone at birth"},
    ]
