"""The pool of a market, a night at a time: who takes which way of the table, holders of seats before newcomers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from quant_organism.deployment.lifecycle import (
    BIRTHS_COUNTED_DAYS,
    FALSE_DISCOVERIES,
    MONEY,
    SEATED,
    WEALTH_FOR_MONEY,
    WEALTH_TO_CHALLENGE,
    MoveRule,
    next_move,
)
from quant_organism.deployment.live_evidence import LiveEvidence, Promise
from quant_organism.deployment.moves import Kind
from quant_organism.deployment.selection import PoolAround
from quant_organism.deployment.stages import DEPLOYED, Stage
from quant_organism.validation.statistics.sequential import discovery_bound

Alike = Callable[[str, str], float | None]
"""Correlation of the daily returns of two strategies; none where one of them does not vary."""

Paired = Callable[[str, str], float | None]
"""Wealth of the bet that the first does better than the second; none before their first day together."""

_AT_BEST: Final[Mapping[Kind, float]] = {
    "near_living": -1.0,
    "near_judged": -1.0,
    "near_seated": -1.0,
    "near_holder": 0.8,
    "holder_decaying": 1.0,
    "in_shadow": 0.0,
    "seated": 0.0,
}
"""A pool that keeps nobody out: whom even it does not help need not be compared with anybody."""


@dataclass(frozen=True, slots=True)
class Life:
    """One strategy as of a day.

    Parameters
    ----------
    id
        Identity of the strategy.
    stage, since
        Where it stands, and the number of the day on which it got there.
    born
        Number of the first day that counts.
    promise, evidence
        What it was validated to do, and what it did.
    known
        Numbers of its birth, and whatever else is known of it, such as its trades.
    may_send
        Whether it may ever come to where orders are sent; code that runs without walls may not.
    """

    id: str
    stage: Stage
    since: int
    born: int
    promise: Promise
    evidence: LiveEvidence
    known: Mapping[Kind, float]
    may_send: bool = True

    def after(self, net_return: float) -> Life:
        """Return it after a day; the dead earn nothing more."""
        return (
            self if self.stage == "retired" else replace(self, evidence=self.evidence.after(net_return, self.promise))
        )

    def moved(self, to: Stage, today: int) -> Life:
        """Return it in another stage; who comes back from decaying begins anew."""
        evidence = self.evidence.restarted() if (self.stage, to) == ("decaying", "shadow") else self.evidence
        return replace(self, stage=to, since=today, evidence=evidence)

    def numbers(self, today: int) -> dict[Kind, float]:
        """Return what the table of moves asks of it alone."""
        evidence = self.evidence
        return {
            **self.known,
            "starting_wealth": evidence.starting_wealth,
            "wealth": evidence.wealth,
            "fresh_wealth": evidence.fresh_wealth,
            "recent_sum": evidence.recent_sum,
            "shortfall": evidence.shortfall,
            "low_factor_days": evidence.low_days,
            "size_factor": evidence.factor,
            "fresh_days": evidence.fresh_days,
            "stage_days": today - self.since,
        }


@dataclass(frozen=True, slots=True)
class TakenMove:
    """A way that was taken in a night, and the numbers that opened it."""

    id: str
    start: Stage
    rule: MoveRule
    numbers: Mapping[Kind, float]


def around(
    life: Life,
    lives: Mapping[str, Life],
    alike: Alike,
    judged: Mapping[str, float] | None = None,
    closed_seats: int = 0,
) -> PoolAround:
    """Return the pool around one of its lives, or around a newcomer.

    Parameters
    ----------
    life, lives
        Who is looked at, and everybody.
    alike
        Of two identities.
    judged
        Correlations with those who failed their look lately.
    closed_seats
        As in `PoolAround.of`.
    """
    others = {other.id: other.stage for other in lives.values() if other.id != life.id and other.stage in DEPLOYED}
    return PoolAround.of(others, {other: alike(life.id, other) for other in others}, judged or {}, closed_seats)


def night(
    lives: Mapping[str, Life],
    alike: Alike,
    today: int,
    *,
    paired: Paired = lambda newcomer, holder: None,
    approves: Callable[[Life], MoveRule | None] = lambda life: None,
    closed_seats: int = 0,
) -> tuple[dict[str, Life], list[TakenMove]]:
    """Let every living strategy take the way that its evidence opens; at most one each.

    Those who hold seats come first, so that a seat given up is free in the same night; among the others the wealthiest.

    Parameters
    ----------
    lives
        All of the market, the dead among them, after the day's marks.
    alike
        Of two identities.
    today
        Number of the day.
    paired
        Of a standby and the holder of its seat; none: nobody challenges.
    approves
        The way that a person lets a strategy take; none: nobody is asked.
    closed_seats
        As in `PoolAround.of`.

    Returns
    -------
    lives, moves
        Everybody after the night, and what happened, in order.
    """
    now, moves = dict(lives), []
    bound = discoveries_from(lives, today)
    challenges = _challenges(lives, alike, paired, today, closed_seats)
    challenged = dict(challenges.values())
    order = sorted(
        (life for life in lives.values() if life.stage in DEPLOYED),
        key=lambda life: (life.stage not in SEATED, -life.evidence.wealth, life.id),
    )
    for life in order:
        numbers = life.numbers(today)
        if life.evidence.wealth >= WEALTH_FOR_MONEY:
            numbers["discovery"] = life.evidence.wealth / bound
        if life.id in challenges:
            numbers["paired_wealth"] = challenges[life.id][1]
        if life.id in challenged:
            numbers["challenger_wealth"] = challenged[life.id]
        rule = next_move(life.stage, numbers)
        if life.stage == "shadow" and rule is None and next_move("shadow", {**numbers, **_AT_BEST}) is not None:
            numbers.update(around(life, now, alike, closed_seats=closed_seats).numbers)
            rule = next_move("shadow", numbers)
        if rule is None:
            rule = approves(replace(life, known=numbers))
        if rule is not None and (life.may_send or rule.end not in MONEY):
            moves.append(TakenMove(life.id, life.stage, rule, numbers))
            now[life.id] = life.moved(rule.end, today)
    return now, moves


def _challenges(
    lives: Mapping[str, Life], alike: Alike, paired: Paired, today: int, closed_seats: int
) -> dict[str, tuple[str, float]]:
    """Return the standbys that have won the bet against the holder of their seat and may take it: whom, and the bet.

    Of several that would take the same seat the one that won most; a holder is not driven out for one that could not
    sit down.
    """
    found: dict[str, tuple[str, float]] = {}
    for newcomer in (life for life in lives.values() if life.stage == "shadow"):
        for holder in (life for life in lives.values() if life.stage in SEATED):
            wealth = paired(newcomer.id, holder.id)
            if wealth is None or wealth < WEALTH_TO_CHALLENGE:
                continue
            without = {**lives, holder.id: holder.moved("decaying", today)}
            seen = around(newcomer, without, alike, closed_seats=closed_seats)
            numbers: dict[Kind, float] = {**newcomer.numbers(today), **seen.numbers, "paired_wealth": wealth}
            rule = next_move("shadow", numbers)
            if seen.holder == holder.id and rule is not None and rule.name in ("standby", "challenge"):
                found[newcomer.id] = holder.id, wealth
    best = {
        holder: max((wealth, id) for id, (other, wealth) in found.items() if other == holder)
        for holder, _ in found.values()
    }
    return {id: (holder, wealth) for holder, (wealth, id) in best.items()}


def discoveries_from(lives: Mapping[str, Life], today: int) -> float:
    """Return the wealth from which on a strategy is a discovery among all births that count, the dead among them."""
    wealth = [life.evidence.wealth for life in lives.values() if today - life.born < BIRTHS_COUNTED_DAYS]
    return discovery_bound(np.array(wealth), FALSE_DISCOVERIES)


def entered(
    newcomer: Life,
    lives: Mapping[str, Life],
    alike: Alike,
    today: int,
    *,
    judged: Mapping[str, float] | None = None,
    strict: bool = False,
) -> tuple[Life, list[TakenMove]]:
    """Return a newcomer after the night of its birth: in shadow or on paper, retired, or not born after all.

    Parameters
    ----------
    newcomer
        In stage `born`, with the numbers of its birth.
    lives, alike, today
        As for `night`.
    judged
        Correlations with those who failed their look lately.
    strict
        As for `next_move`.
    """
    moves: list[TakenMove] = []
    numbers = {**newcomer.numbers(today), **around(newcomer, lives, alike, judged).numbers}
    while (rule := next_move(newcomer.stage, numbers, strict=strict)) is not None:
        moves.append(TakenMove(newcomer.id, newcomer.stage, rule, numbers))
        newcomer = newcomer.moved(rule.end, today)
        if newcomer.stage != "shadow":
            break
    return newcomer, moves
