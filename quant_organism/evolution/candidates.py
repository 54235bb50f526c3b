"""The final choice of a search: the committees that it puts forward."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from quant_organism.strategies import Committee

if TYPE_CHECKING:
    from quant_organism.evolution.spec import EvolutionSpec
    from quant_organism.evolution.trials import Trials

_FEWEST_MEMBERS = 3


@dataclass(frozen=True)
class Candidate:
    """A strategy that a search puts forward.

    Attributes
    ----------
    committee
        The strategy.
    origin
        Where it came from: `best of all families`, `best of <family>`, or `champion` for a single genome.
    """

    committee: Committee
    origin: str

    @property
    def id(self) -> str:
        """Identity of its committee."""
        return self.committee.id


def choose_candidates(trials: Trials, spec: EvolutionSpec) -> list[Candidate]:
    """Make the final choice of a search.

    The first candidate is the committee of the best trials of all families; then one committee per family that has
    enough material; then the best single genomes of the Pareto front that are not too correlated with one another.
    Trials that behave identically (equal daily returns) count once. Members are weighted by inverse volatility.

    Parameters
    ----------
    trials
        All trials of the search.
    spec
        Sizes, fractions and the correlation limit of the choice.

    Returns
    -------
    list of Candidate
        Without repetition; empty when no trial is feasible.
    """
    ranked = _distinct_by_behaviour(trials)
    found: dict[str, Candidate] = {}
    for origin, pool in _pools(trials, ranked):
        chosen = pool[: max(_FEWEST_MEMBERS, round(spec.committee_fraction * len(pool)))][: spec.committee_size]
        if len(chosen) >= _FEWEST_MEMBERS:
            volatility = trials.daily_returns[chosen].std(axis=1, ddof=1)
            committee = Committee.of([trials.genomes[i] for i in chosen], 1.0 / volatility)
            found.setdefault(committee.id, Candidate(committee, origin))
    for trial in _champions(trials, ranked, spec):
        committee = Committee.of([trials.genomes[trial]])
        found.setdefault(committee.id, Candidate(committee, "champion"))
    return list(found.values())


def _distinct_by_behaviour(trials: Trials) -> list[int]:
    """Return feasible trials by falling Sharpe ratio, one of each set with equal daily returns."""
    feasible = np.flatnonzero(trials.feasible)
    order = feasible[np.lexsort((feasible, -trials.metrics["sharpe"][feasible]))]
    seen: set[bytes] = set()
    distinct = []
    for trial in order:
        behaviour = hashlib.sha256(trials.daily_returns[trial].tobytes()).digest()
        if behaviour not in seen:
            seen.add(behaviour)
            distinct.append(int(trial))
    return distinct


def _pools(trials: Trials, ranked: list[int]) -> list[tuple[str, list[int]]]:
    by_family: dict[str, list[int]] = {}
    for trial in ranked:
        by_family.setdefault(trials.genomes[trial].family, []).append(trial)
    return [("best of all families", ranked), *((f"best of {name}", by_family[name]) for name in sorted(by_family))]


def _champions(trials: Trials, ranked: list[int], spec: EvolutionSpec) -> list[int]:
    chosen: list[int] = []
    for trial in ranked:
        if len(chosen) == spec.champions:
            break
        if not trials.on_front[trial]:
            continue
        returns = trials.daily_returns[[*chosen, trial]]
        if not chosen or np.max(np.atleast_2d(np.corrcoef(returns))[-1, :-1]) <= spec.max_correlation:
            chosen.append(trial)
    return chosen
