"""Two simulated years of weekly cycles and daily marks on 500 markets: how often luck gets on paper and to money.

The machine of decisions alone, the product's own, on a model of what cycles hand to it: six behaviours, the search as
their best mixture in sample with some noise, fat tails and clustered volatility.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from quant_organism.deployment.lifecycle import JUDGED_DAYS, LIKE_LIVING, MoveRule, rulings
from quant_organism.deployment.live_evidence import DEAD_LATELY_DAYS, LiveEvidence, Promise, credited_wealth
from quant_organism.deployment.pool import Life, entered, night

Floats = NDArray[np.float64]

MARKETS: Final = 500
SEEDS: Final = 900_000
"""Of the first market; those of the reference began at 200,000."""

BEHAVIOURS, BEFORE, LIVED = 6, 730, 730
EMBARGO, LONG_SHARE, SHORT_DAYS = 14, 0.6, 365
NOISE, COSTS, DEAD_STAGES = 0.33, 0.4, ("paper", "testnet", "canary", "live", "decaying")
YEAR = math.sqrt(365.0)

REFERENCE: Final = 0.04
"""k of the CUSUM: what the promise of a Sharpe ratio of about 1.5 comes to."""


@dataclass(frozen=True)
class Market:
    """Daily returns of six behaviours, float64 (BEFORE + LIVED, 6), and the true Sharpe ratio of the first."""

    returns: Floats
    edge: float

    @classmethod
    def drawn(cls, seed: int, edge: float) -> Market:
        """Draw a market: t4.5 shocks, log-volatility AR(1) with .97 and stationary deviation .35."""
        rng = np.random.default_rng(seed)
        days = BEFORE + LIVED
        shocks = rng.standard_t(4.5, (days, BEHAVIOURS)) / math.sqrt(4.5 / 2.5)
        level = np.empty(days)
        level[0] = 0.35 * rng.standard_normal()
        steps = 0.35 * math.sqrt(1 - 0.97**2) * rng.standard_normal(days)
        for day in range(1, days):
            level[day] = 0.97 * level[day - 1] + steps[day]
        shocks[:, 0] += edge / YEAR
        return cls(np.exp(level - 0.1225)[:, None] * shocks, edge)


@dataclass(frozen=True)
class Outcome:
    """What became of a market: first day on paper and at full money of those whom luck alone, or an edge, brought."""

    paper: int | None
    money: int | None


def lived(market: Market, seed: int, *, gates: bool = True) -> Outcome:
    """Live two years on a market: a cycle a week, long and short in turns, and marks every day."""
    rng = np.random.default_rng((seed, 1))
    weights: dict[str, Floats] = {}
    lives: dict[str, Life] = {}
    judged: list[tuple[int, Floats]] = []
    ended: list[tuple[int, str]] = []
    paper = money = None

    def alike(one: str, other: str) -> float:
        return float(weights[one] @ weights[other])

    def counts(id: str) -> bool:
        return market.edge == 0 or true_sharpe(market, weights[id]) > 0

    for today in range(LIVED):
        returns = market.returns[BEFORE + today]
        for id, life in lives.items():
            if life.stage != "retired":
                lives[id] = life.after(net(market, weights[id], returns))
        lives, moves = night(lives, alike, today, approves=lambda life, today=today: _approved(life))
        week, first = divmod(today, 7)
        if first == 0:
            taken = _cycle(market, rng, today, week % 2 == 0, weights, lives, judged, ended, gates=gates)
            moves += taken
        for move in moves:
            if move.rule.end == "paper" and paper is None and counts(move.id):
                paper = today
            if move.rule.end == "live" and money is None and counts(move.id):
                money = today
            if move.rule.end in ("retired", "shadow") and move.start in DEAD_STAGES:
                ended.append((today, move.id))
        if money is not None and paper is not None:
            break
    return Outcome(paper, money)


def _cycle(
    market: Market,
    rng: np.random.Generator,
    today: int,
    is_long: bool,
    weights: dict[str, Floats],
    lives: dict[str, Life],
    judged: list[tuple[int, Floats]],
    ended: list[tuple[int, str]],
    *,
    gates: bool,
) -> list[Any]:
    """Search, look once and let a candidate be born; return its moves."""
    now = BEFORE + today
    span = BEFORE if is_long else SHORT_DAYS
    seen_days = int(LONG_SHARE * span) if is_long else span
    seen = market.returns[now - span : now - span + seen_days]
    mean = seen.mean(axis=0) / seen.std(axis=0, ddof=1)
    noise = rng.standard_normal(BEHAVIOURS)
    weight = mean / np.linalg.norm(mean) + NOISE * noise / np.linalg.norm(noise)
    weight /= np.linalg.norm(weight)
    pretest_p = 1.0 - float(stats.norm.cdf(mean.max() * math.sqrt(seen_days))) ** BEHAVIOURS
    halves = [half.mean(axis=0) / half.std(axis=0, ddof=1) for half in np.array_split(seen, 2)]
    steady = float(halves[0] @ halves[1] / np.linalg.norm(halves[0]) / np.linalg.norm(halves[1])) >= 0.25
    if gates and not (pretest_p <= 0.1 and steady):
        return []
    search_p = max(0.01, float(stats.chi2.sf(seen_days * mean @ mean, BEHAVIOURS)))
    unseen_p = None
    if is_long:
        unseen = net(market, weight, market.returns[now - span + seen_days + EMBARGO : now])
        unseen_p = max(1e-4, float(stats.norm.sf(unseen.mean() / unseen.std(ddof=1) * math.sqrt(unseen.size))))
    name = f"{today:04d}"
    weights[name] = weight
    dead = [alive for day, alive in ended if today - day <= DEAD_LATELY_DAYS]
    nearest_dead = max((float(weight @ weights[other]) for other in dead), default=-1.0)
    wealth, credit = credited_wealth(search_p, unseen_p, nearest_dead=nearest_dead)
    promise = Promise(float(net(market, weight, seen).std(ddof=1)), 2 * REFERENCE * YEAR)
    known = {
        "pretest_p": pretest_p if gates else 0.0,
        "search_p": search_p,
        "gates": 1.0,
        "old_days": float(credit == "full"),
        "trade_parity": 1.0,
        "perturbations": 1.0,
        "closed_trades": 20,
        "slippage_ratio": 1.0,
        "own_breakers": 0,
        "recent_rank": 0.5,
    }
    if unseen_p is not None:
        known["unseen_p"] = unseen_p
    born = Life(name, "born", today, today, promise, LiveEvidence.born(promise, wealth), known)
    lately = {str(place): float(weight @ old) for place, (day, old) in enumerate(judged) if today - day < JUDGED_DAYS}
    if max(lately.values(), default=-1.0) > LIKE_LIVING:
        return []
    life, moves = entered(born, lives, lambda one, other: float(weights[one] @ weights[other]), today, judged=lately)
    if life.stage == "retired":
        judged.append((today, weight))
    elif life.stage != "born":
        lives[name] = life
    return moves


def _approved(life: Life) -> MoveRule | None:
    """Say yes as soon as the table lets a person say so, once orders have been reconciled for a week."""
    numbers = {
        **life.known,
        "approved": 1.0,
        "capital_share": 0.1,
        "reconciled_days": life.known.get("stage_days", 0.0),
    }
    for to in ("canary", "live"):
        for ruling in rulings(life.stage, numbers, to=to):
            if ruling.allowed:
                return ruling.rule
    return None


def true_sharpe(market: Market, weight: Floats) -> float:
    return float(market.edge * weight[0] - COSTS * (1.0 - weight[0] ** 2 if market.edge else 1.0))


def net(market: Market, weight: Floats, returns: Floats) -> Any:
    """Return what a mixture earns after costs of .4 Sharpe on its share off the edge, in days of unit deviation."""
    off = 1.0 - weight[0] ** 2 if market.edge else 1.0
    return (returns @ weight - COSTS * off / YEAR) * 0.01


def share(outcomes: list[Outcome], days: int, *, money: bool = False) -> float:
    """Return the share of markets that got on paper, or to money, within so many days."""
    firsts = [outcome.money if money else outcome.paper for outcome in outcomes]
    return sum(first is not None and first < days for first in firsts) / len(outcomes)


def outcomes(edge: float, *, gates: bool = True, markets: int = MARKETS) -> list[Outcome]:
    """Live on so many markets of an edge."""
    return [lived(Market.drawn(SEEDS + n, edge), SEEDS + n, gates=gates) for n in range(markets)]


def run() -> list[dict[str, Any]]:
    """Return the figures that decide whether the machine of decisions is kept."""
    null, strong, open_doors = outcomes(0.0), outcomes(2.5), outcomes(0.0, gates=False)
    days = [outcome.money for outcome in strong if outcome.money is not None]
    kept = f"{MARKETS} markets, bar"
    return [
        _row("false_paper_null_year1", share(null, 365), f"no edge, {kept} at most .09"),
        _row("false_money_null_2y", share(null, LIVED, money=True), f"no edge, {kept} at most .04"),
        _row("power_paper_strong_year1", share(strong, 365), f"Sharpe 2.5, {kept} at least .85"),
        _row("power_money_strong_2y", share(strong, LIVED, money=True), f"Sharpe 2.5, {kept} at least .75"),
        _row("median_days_to_money_strong", float(np.median(days)) if days else math.nan, "bar at most 270", "days"),
        _row("false_paper_without_gates_year1", share(open_doors, 365), "no edge, clearly worse than with gates"),
    ]


def _row(metric: str, value: float, note: str, unit: str = "share") -> dict[str, Any]:
    return {"metric": metric, "value": value, "unit": unit, "note": note}
