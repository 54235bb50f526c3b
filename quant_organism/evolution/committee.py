"""Committees: several weighted genomes deployed as one strategy, and the final choice that a search hands on.

Averaging over many good genomes keeps what they share and cancels what each owes to its own luck; choosing the single
best keeps the luck. A genome that stands alone is a committee of one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import orjson
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.strategies import Genome

if TYPE_CHECKING:
    from quant_organism.evolution.search import Trials
    from quant_organism.evolution.spec import EvolutionSpec

MAX_MEMBERS = 30
_WEIGHT_DECIMALS = 12
_FEWEST_MEMBERS = 3


@dataclass(frozen=True)
class Member:
    """One genome of a committee and its weight in (0, 1]."""

    weight: float
    genome: Genome


@dataclass(frozen=True)
class Committee:
    """Weighted genomes that trade as one strategy, each with its own stops.

    Parameters
    ----------
    members
        1 to 30 members in the order of their genomes' hashes; weights sum to 1.

    Raises
    ------
    InputError
        No members, too many, the same genome twice, or weights that do not sum to 1.
    """

    members: tuple[Member, ...]

    def __post_init__(self) -> None:
        hashes = [member.genome.hash for member in self.members]
        total = sum(member.weight for member in self.members)
        if not 1 <= len(hashes) <= MAX_MEMBERS:
            raise InputError(
                f"a committee has 1 to {MAX_MEMBERS} members, not {len(hashes)}", remedy="choose the best of them"
            )
        if hashes != sorted(set(hashes)):
            raise InputError("members are not in the order of their hashes, or repeated", remedy="use Committee.of")
        if abs(total - 1.0) > 1e-9 or min(member.weight for member in self.members) <= 0:
            raise InputError(f"weights must be positive and sum to 1, not {total}", remedy="use Committee.of")

    @classmethod
    def of(cls, genomes: Sequence[Genome], weights: Sequence[float] | None = None) -> Committee:
        """Build a committee from genomes and positive raw weights (equal without), normalised to sum 1."""
        raw = [1.0] * len(genomes) if weights is None else [float(weight) for weight in weights]
        pairs = sorted(zip(genomes, raw, strict=True), key=lambda pair: pair[0].hash)
        total = math.fsum(raw)
        shares = [round(weight / total, _WEIGHT_DECIMALS) for _, weight in pairs]
        return cls(tuple(Member(share, genome) for (genome, _), share in zip(pairs, shares, strict=True)))

    @property
    def genomes(self) -> tuple[Genome, ...]:
        """The members' genomes."""
        return tuple(member.genome for member in self.members)

    @property
    def weights(self) -> NDArray[np.float64]:
        """The members' weights, float64 (members,)."""
        return np.array([member.weight for member in self.members])

    @property
    def id(self) -> str:
        """The genome's identity for a single one, else `committee_{generation}_{hash8}`."""
        if len(self.members) == 1:
            return self.members[0].genome.id
        canonical = orjson.dumps([[member.genome.hash, member.weight] for member in self.members])
        generation = max(genome.generation for genome in self.genomes)
        return f"committee_{generation}_{hashlib.sha256(canonical).hexdigest()[:8]}"


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
