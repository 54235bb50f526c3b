"""Targets of many genomes, kept as the bars on which they change."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Targets(NamedTuple):
    """Where and how the targets of G genomes change over the n valid bars of one asset.

    Parameters
    ----------
    counts
        Number of changes of each genome, shape (G,).
    bars
        Bar at whose close each change is decided, ascending, shape (G, n); 0 before the first.
    sides
        Sign of the target from that bar on: -1, 0, +1, shape (G, n).
    convictions
        Absolute target from that bar on, shape (G, n); shape (G, 0) stands for 1 wherever the side is not 0.
    held
        Direction of each genome before the first bar that is decided, shape (G,): 0 but where only the latest bars are
        at hand.
    """

    counts: NDArray[np.int64]
    bars: NDArray[np.int32]
    sides: NDArray[np.int8]
    convictions: NDArray[np.float64]
    held: NDArray[np.int8]

    @classmethod
    def empty(cls, genomes: int, n: int, *, conviction: bool) -> Targets:
        """Make room for the targets of `genomes` genomes; only the part that is written costs memory."""
        shape = (genomes, n)
        return cls(
            np.zeros(genomes, dtype=np.int64),
            np.empty(shape, dtype=np.int32),
            np.empty(shape, dtype=np.int8),
            np.empty(shape if conviction else (genomes, 0)),
            np.zeros(genomes, dtype=np.int8),
        )

    def part(self, genomes: int, *, conviction: bool) -> Targets:
        """Return the room of the first `genomes` genomes, with or without convictions."""
        convictions = self.convictions[:genomes] if conviction else self.convictions[:genomes, :0]
        return Targets(
            self.counts[:genomes], self.bars[:genomes], self.sides[:genomes], convictions, self.held[:genomes]
        )

    def last(self, genome: int, bars: int) -> tuple[int, int, float]:
        """Return the directions of one genome at the last two of so many bars, and its target at the last."""
        count, held = int(self.counts[genome]), int(self.held[genome])
        if count == 0:
            return held, held, float(held)
        side = before = int(self.sides[genome, count - 1])
        if self.bars[genome, count - 1] == bars - 1:
            before = int(self.sides[genome, count - 2]) if count > 1 else held
        conviction = float(self.convictions[genome, count - 1]) if side and self.convictions.shape[1] else 1.0
        return before, side, side * conviction

    def expanded(self, genome: int, n: int) -> NDArray[np.float64]:
        """Return the target of one genome bar by bar, shape (n,)."""
        count = int(self.counts[genome])
        held = self.sides[genome, :count].astype(np.float64)
        if self.convictions.shape[1]:
            held = np.where(held == 0.0, 0.0, held * self.convictions[genome, :count])
        starts = self.bars[genome, :count]
        lengths = np.diff(starts, prepend=0, append=n)
        return np.repeat(np.concatenate([[0.0], held]), lengths)
