"""Committees: several weighted genomes that are deployed as one strategy.

Averaging over many good genomes keeps what they share and cancels what each owes to its own luck; choosing the single
best keeps the luck. A genome that stands alone is a committee of one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.strategies.genome import Genome

MAX_MEMBERS = 30
_WEIGHT_DECIMALS = 12


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
