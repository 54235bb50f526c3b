"""Committees: several weighted genomes that are deployed as one strategy.

Averaging over many good genomes keeps what they share and cancels what each owes to its own luck; choosing the single
best keeps the luck. A genome that stands alone is a committee of one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import orjson
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.strategies.families import get_family
from quant_organism.strategies.genome import Genome

MAX_MEMBERS = 30
_WEIGHT_DECIMALS = 12


@dataclass(frozen=True)
class Member:
    """One genome of a committee, its weight, and the assets that it trades.

    Parameters
    ----------
    weight
        In (0, 1]; it applies to the portfolio formed from its assets.
    genome
        The genome.
    assets
        The symbols that it is restricted to, sorted (rule 19 of docs/execution.md); empty: all of the panel.

    Raises
    ------
    InputError
        Symbols that are not sorted, or repeated, or any where the genome ranks all assets of a panel.
    """

    weight: float
    genome: Genome
    assets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.assets:
            return
        if list(self.assets) != sorted(set(self.assets)):
            raise InputError(
                f"the assets {', '.join(self.assets)} are not sorted, or repeated",
                where=f"member {self.genome.id}",
                remedy="use Committee.of",
            )
        if get_family(self.genome.family).ranks:
            raise InputError(
                f"it ranks all assets of a panel, and cannot be restricted to {', '.join(self.assets)}",
                where=f"member {self.genome.id}",
                remedy="make it a member on all assets",
            )

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """What tells members apart: the genome's hash and the assets."""
        return self.genome.hash, self.assets


@dataclass(frozen=True)
class Committee:
    """Weighted genomes that trade as one strategy, each with its own stops.

    A genome may be a member more than once, with other assets each time: then it has two portfolios with a weight each.

    Parameters
    ----------
    members
        1 to 30 members in the order of their genomes' hashes, then of their assets; weights sum to 1.

    Raises
    ------
    InputError
        No members, too many, the same genome with the same assets twice, or weights that do not sum to 1.
    """

    members: tuple[Member, ...]

    def __post_init__(self) -> None:
        if len(self.members) == 1 and self.members[0].weight == 1.0:
            return  # a large grid makes very many of them
        keys = [member.key for member in self.members]
        total = sum(member.weight for member in self.members)
        if not 1 <= len(keys) <= MAX_MEMBERS:
            raise InputError(
                f"a committee has 1 to {MAX_MEMBERS} members, not {len(keys)}", remedy="choose the best of them"
            )
        if keys != sorted(set(keys)):
            raise InputError("members are not in the order of their hashes, or repeated", remedy="use Committee.of")
        if abs(total - 1.0) > 1e-9 or min(member.weight for member in self.members) <= 0:
            raise InputError(f"weights must be positive and sum to 1, not {total}", remedy="use Committee.of")

    @classmethod
    def of(
        cls,
        genomes: Sequence[Genome],
        weights: Sequence[float] | None = None,
        assets: Sequence[Sequence[str]] | None = None,
    ) -> Committee:
        """Build a committee.

        Parameters
        ----------
        genomes
            Its genomes, in any order.
        weights
            Positive raw weight of each, which are normalised to sum 1; equal without.
        assets
            Symbols that each is restricted to, in any order; none of them, or nothing at all, means all of the panel.
        """
        raw = [1.0] * len(genomes) if weights is None else [float(weight) for weight in weights]
        total = math.fsum(raw)
        members = [
            Member(round(weight / total, _WEIGHT_DECIMALS), genome, tuple(sorted(symbols)))
            for genome, weight, symbols in zip(genomes, raw, assets or [()] * len(genomes), strict=True)
        ]
        return cls(tuple(sorted(members, key=lambda member: member.key)))

    @property
    def genomes(self) -> tuple[Genome, ...]:
        """The members' genomes; one that is a member twice is there twice."""
        return tuple(member.genome for member in self.members)

    @property
    def weights(self) -> NDArray[np.float64]:
        """The members' weights, float64 (members,)."""
        return np.array([member.weight for member in self.members])

    @property
    def is_genome(self) -> bool:
        """Whether it is nothing but one genome on all assets."""
        return len(self.members) == 1 and not self.members[0].assets

    @cached_property
    def id(self) -> str:
        """The genome's identity if it is nothing else, `committee_{generation}_{hash8}` otherwise."""
        if self.is_genome:
            return self.members[0].genome.id
        canonical = orjson.dumps(
            [
                [member.genome.hash, member.weight, *([member.assets] if member.assets else [])]
                for member in self.members
            ]
        )
        generation = max(genome.generation for genome in self.genomes)
        return f"committee_{generation}_{hashlib.sha256(canonical).hexdigest()[:8]}"
