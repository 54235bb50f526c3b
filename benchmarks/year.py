"""Two simulated years of weekly cycles and daily marks on 500 markets: how often luck gets on paper and to money.

The machine of decisions alone, the product's own, on a model of what cycles hand to it: six behaviours, the search as
their best mixture in sample with some noise, fat tails and clustered volatility.

`LIKE=organism_year` asks the model what that bench asks of the organism itself: one year, as few copies of the search,
and edges that appear or die in it.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from quant_organism.deployment.lifecycle import JUDGED_DAYS, LIKE_LIVING, SEATED, MoveRule, rulings
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
LEAST_SEARCH_P: Final = 0.01
"""Of a search of 99 copies."""

REFERENCE: Final = 0.04
"""k of the CUSUM: what the promise of a Sharpe ratio of about 1.5 comes to."""


@dataclass(frozen=True)
class Market:
    """Daily returns of six behaviours, float64 (BEFORE + LIVED, 6), and the true Sharpe ratio of the first.

    The edge is there on the days `alive` of those that are lived, and before them unless it appears later.
    """

    returns: Floats
    edge: float
    alive: range = range(LIVED)

    @classmethod
    def drawn(cls, seed: int, edge: float, alive: range = range(LIVED)) -> Market:
        """Draw a market: t4.5 shocks, log-volatility AR(1) with .97 and stationary deviation .35."""
        rng = np.random.default_rng(seed)
        days = BEFORE + LIVED
        shocks = rng.standard_t(4.5, (days, BEHAVIOURS)) / math.sqrt(4.5 / 2.5)
        level = np.empty(days)
        level[0] = 0.35 * rng.standard_normal()
        steps = 0.35 * math.sqrt(1 - 0.97**2) * rng.standard_normal(days)
        for day in range(1, days):
            level[day] = 0.97 * level[day - 1] + steps[day]
        begins = BEFORE + alive.start if alive.start else 0
        shocks[begins : BEFORE + alive.stop, 0] += edge / YEAR
        return cls(np.exp(level - 0.1225)[:, None] * shocks, edge, alive)

    @property
    def pays(self) -> NDArray[np.bool_]:
        """Whether there is an edge, on each day."""
        days = np.arange(-BEFORE, LIVED)
        return (days < self.alive.stop) & ((days >= self.alive.start) | (self.alive.start == 0)) & (self.edge != 0)


@dataclass(frozen=True)
class Outcome:
    """What became of a market: first day on paper and at full money of those whom luck alone, or an edge, brought.

    Where an edge appears or dies, `false_paper` and `false_money` say how often somebody got there without one, and
    `noticed` after how many days each that held a seat when it died was let go; None: not within the days lived.
    """

    paper: int | None
    money: int | None
    false_paper: int = 0
    false_money: int = 0
    noticed: tuple[int | None, ...] = ()


def lived(
    market: Market, seed: int, *, gates: bool = True, days: int = LIVED, least_p: float = LEAST_SEARCH_P
) -> Outcome:
    """Live two years on a market: a cycle a week, long and short in turns, and marks every day.

    Parameters
    ----------
    market, seed
        The market, and what the search's noise is drawn by.
    gates
        Whether the tests in sample decide who is born.
    days
        Days that are lived.
    least_p
        Least p-value of a search: what its copies can tell.
    """
    rng = np.random.default_rng((seed, 1))
    weights: dict[str, Floats] = {}
    lives: dict[str, Life] = {}
    judged: list[tuple[int, Floats]] = []
    ended: list[tuple[int, str]] = []
    paper = money = None
    false_paper = false_money = 0
    pays, seats, left = market.pays, list[str](), dict[str, int]()

    def alike(one: str, other: str) -> float:
        return float(weights[one] @ weights[other])

    def counts(id: str) -> bool:
        return market.edge == 0 or true_sharpe(market, weights[id]) > 0

    for today in range(days):
        returns = market.returns[BEFORE + today]
        for id, life in lives.items():
            if life.stage != "retired":
                lives[id] = life.after(net(market, weights[id], returns, pays[BEFORE + today]))
        if today == market.alive.stop:
            seats = [life.id for life in lives.values() if life.stage in SEATED]
        lives, moves = night(lives, alike, today, approves=lambda life, today=today: _approved(life))
        week, first = divmod(today, 7)
        if first == 0:
            is_long = week % 2 == 0
            moves += _cycle(market, rng, today, is_long, weights, lives, judged, ended, gates=gates, least_p=least_p)
        is_there = market.edge == 0 or today in market.alive
        for move in moves:
            false_paper += move.rule.end == "paper" and not is_there
            false_money += move.rule.end == "live" and not is_there
            if move.rule.end == "paper" and paper is None and is_there and counts(move.id):
                paper = today
            if move.rule.end == "live" and money is None and is_there and counts(move.id):
                money = today
            if move.start in SEATED and move.rule.end in ("decaying", "retired"):
                left.setdefault(move.id, today)
            if move.rule.end in ("retired", "shadow") and move.start in DEAD_STAGES:
                ended.append((today, move.id))
        if money is not None and paper is not None and len(market.alive) == LIVED:
            break
    noticed = tuple(left[id] - market.alive.stop if id in left else None for id in seats)
    return Outcome(paper, money, false_paper, false_money, noticed)


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
    least_p: float,
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
    search_p = max(least_p, float(stats.chi2.sf(seen_days * mean @ mean, BEHAVIOURS)))
    unseen_p = None
    if is_long:
        unseen_days = slice(now - span + seen_days + EMBARGO, now)
        unseen = net(market, weight, market.returns[unseen_days], market.pays[unseen_days])
        unseen_p = max(1e-4, float(stats.norm.sf(unseen.mean() / unseen.std(ddof=1) * math.sqrt(unseen.size))))
    name = f"{today:04d}"
    weights[name] = weight
    dead = [alive for day, alive in ended if today - day <= DEAD_LATELY_DAYS]
    nearest_dead = max((float(weight @ weights[other]) for other in dead), default=-1.0)
    wealth, credit = credited_wealth(search_p, unseen_p, nearest_dead=nearest_dead)
    paid = market.pays[now - span : now - span + seen_days]
    promise = Promise(float(net(market, weight, seen, paid).std(ddof=1)), 2 * REFERENCE * YEAR)
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


def net(market: Market, weight: Floats, returns: Floats, pays: NDArray[np.bool_] | bool = True) -> Any:
    """Return what a mixture earns after costs of .4 Sharpe on its share off the edge, in days of unit deviation.

    Where `pays` is false there is no edge: on those days all of it is off.
    """
    off = np.where(pays, 1.0 - weight[0] ** 2, 1.0) if market.edge else 1.0
    return (returns @ weight - COSTS * off / YEAR) * 0.01


def share(outcomes: list[Outcome], days: int, *, money: bool = False) -> float:
    """Return the share of markets that got on paper, or to money, within so many days."""
    firsts = [outcome.money if money else outcome.paper for outcome in outcomes]
    return sum(first is not None and first < days for first in firsts) / len(outcomes)


def outcomes(edge: float, *, gates: bool = True, markets: int = MARKETS) -> list[Outcome]:
    """Live on so many markets of an edge."""
    return [lived(Market.drawn(SEEDS + n, edge), SEEDS + n, gates=gates) for n in range(markets)]


def like_organism_year(markets: int = MARKETS) -> list[dict[str, Any]]:
    """Return what `organism_year` asks for, by the model: one year, and a search of as few copies."""
    rows, days = list[dict[str, Any]](), 364
    for kind, edge, alive in (
        ("null", 0.0, range(LIVED)),
        ("strong", 2.5, range(LIVED)),
        ("weak", 1.2, range(LIVED)),
        ("appears", 2.5, range(120, LIVED)),
        ("dies", 2.5, range(240)),
    ):
        found = [
            lived(Market.drawn(SEEDS + n, edge, alive), SEEDS + n, days=days, least_p=0.05) for n in range(markets)
        ]
        for what in ("paper", "money"):
            firsts = [getattr(one, what) for one in found if getattr(one, what) is not None]
            note = (
                f"median day {np.median(firsts) - alive.start:.0f} of the edge"
                if firsts and edge
                else f"{markets} markets"
            )
            rows.append(_row(f"{what}_{kind}" if edge else f"false_{what}_{kind}", len(firsts) / markets, note))
            if alive != range(LIVED):
                false = sum(getattr(one, f"false_{what}") > 0 for one in found)
                rows.append(_row(f"false_{what}_{kind}", false / markets, "while there was no edge"))
        if seats := [day for one in found for day in one.noticed]:
            noticed = [day for day in seats if day is not None]
            note = f"of {len(seats)} seats, within {days - alive.stop} days; after a median of {np.median(noticed):.0f}"
            rows.append(_row(f"death_noticed_{kind}", len(noticed) / len(seats), note))
    return rows


def run() -> list[dict[str, Any]]:
    """Return the figures that decide whether the machine of decisions is kept."""
    if os.environ.get("LIKE") == "organism_year":
        return like_organism_year()
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
