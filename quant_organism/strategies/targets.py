"""Targets of many genomes, kept as the bars on which they change, and the position step that makes them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quant_organism.kernels.compiled import compiled

ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT = 1, 2, 4, 8
"""Bits of a bar's conditions."""

_STRIDE, _ONE = np.uint64(16), np.uint64(1)

# A direction is kept as twice its number from 0: short, flat, long.
_ALL_STATES = np.uint64(6)

_CALLS = np.zeros(5, dtype=np.int8)
"""Bits of a bar's conditions that may end each direction."""
_CALLS[0], _CALLS[2], _CALLS[4] = EXIT_SHORT | ENTER_LONG, ENTER_LONG | ENTER_SHORT, EXIT_LONG | ENTER_SHORT


def _transitions() -> NDArray[np.uint8]:
    # For each combination of conditions, which direction follows on each: the former stands at the bits of the latter.
    table = np.zeros(16, dtype=np.uint8)
    for conditions in range(table.size):
        long = conditions & (ENTER_LONG | EXIT_LONG) == ENTER_LONG
        short = conditions & (ENTER_SHORT | EXIT_SHORT) == ENTER_SHORT
        for side, end in ((-1, EXIT_SHORT), (0, 0), (1, EXIT_LONG)):
            kept = 0 if conditions & end else side
            following = kept if long == short else 1 if long else -1
            table[conditions] |= (2 * following + 2) << (2 * side + 2)
    return table


_TRANSITIONS = _transitions()


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
    left
        What the bars before the first that is decided have left beside the direction, in the family's own numbers,
        shape (G, S): zeros where all bars are at hand. Written: what those up to the last but one leave. Shape (G, 0)
        where nobody asks.
    """

    counts: NDArray[np.int64]
    bars: NDArray[np.int32]
    sides: NDArray[np.int8]
    convictions: NDArray[np.float64]
    held: NDArray[np.int8]
    left: NDArray[np.float64]

    @classmethod
    def empty(cls, genomes: int, n: int, *, conviction: bool, left: int = 0) -> Targets:
        """Make room for the targets of `genomes` genomes; only the part that is written costs memory."""
        shape = (genomes, n)
        return cls(
            np.zeros(genomes, dtype=np.int64),
            np.empty(shape, dtype=np.int32),
            np.empty(shape, dtype=np.int8),
            np.empty(shape if conviction else (genomes, 0)),
            np.zeros(genomes, dtype=np.int8),
            np.zeros((genomes, left)),
        )

    def part(self, genomes: int, *, conviction: bool) -> Targets:
        """Return the room of the first `genomes` genomes, with or without convictions."""
        convictions = self.convictions[:genomes] if conviction else self.convictions[:genomes, :0]
        return Targets(
            self.counts[:genomes],
            self.bars[:genomes],
            self.sides[:genomes],
            convictions,
            self.held[:genomes],
            self.left[:genomes],
        )

    def copied(self) -> Targets:
        """Return the changes that have been written, in arrays of their own."""
        most = int(self.counts.max(initial=0))
        return Targets(
            self.counts.copy(),
            self.bars[:, :most].copy(),
            self.sides[:, :most].copy(),
            self.convictions[:, :most].copy(),
            self.held.copy(),
            self.left.copy(),
        )

    def changes_as(self, other: Targets, genome: int, bar: int) -> bool:
        """Tell whether all changes of a genome here are, entry by entry, those of another's up to some bar.

        Where they are not, the targets may be the same nevertheless: `expanded` tells.
        """
        count = int(self.counts[genome])
        if count != other.bars[genome, : other.counts[genome]].searchsorted(bar, side="right"):
            return False
        return all(
            bool((mine[genome, :count] == theirs[genome, :count]).all())
            for mine, theirs in (
                (self.bars, other.bars),
                (self.sides, other.sides),
                (self.convictions, other.convictions),
            )
        )

    def only(self, genome: int) -> Targets:
        """Return the room of one genome."""
        one = slice(genome, genome + 1)
        counts, bars, sides, convictions, held, left = self
        return Targets(counts[one], bars[one], sides[one], convictions[one], held[one], left[one])

    def expanded(self, genome: int, n: int) -> NDArray[np.float64]:
        """Return the target of one genome bar by bar, shape (n,)."""
        count = int(self.counts[genome])
        # The first is that before any change.
        values, lengths = np.zeros(count + 1), np.empty(count + 1, dtype=np.int64)
        held, starts = self.sides[genome, :count], self.bars[genome, :count]
        values[1:] = held
        if self.convictions.shape[1]:
            np.multiply(held, self.convictions[genome, :count], out=values[1:], where=held != 0)
        lengths[:count], lengths[count] = starts, n
        lengths[1:] -= starts
        return values.repeat(lengths)


@compiled
def last_targets(
    targets: Targets, ends: NDArray[np.int64]
) -> tuple[NDArray[np.int8], NDArray[np.int8], NDArray[np.float64]]:
    """Return the directions of each genome at the last two of so many bars, and its target at the last.

    Parameters
    ----------
    targets
        Of G genomes.
    ends
        How many bars each was decided on, shape (G,).
    """
    before, sides = targets.held.copy(), targets.held.copy()
    values = targets.held.astype(np.float64)
    for g in range(ends.size):
        count = targets.counts[g]
        if count > 0:
            sides[g] = before[g] = targets.sides[g, count - 1]
            if targets.bars[g, count - 1] == ends[g] - 1:
                before[g] = targets.sides[g, count - 2] if count > 1 else targets.held[g]
            values[g] = sides[g]
            if sides[g] != 0 and targets.convictions.shape[1] > 0:
                values[g] *= targets.convictions[g, count - 1]
    return before, sides, values


@compiled
def hold_positions(
    conditions: NDArray[np.int8], first: int, held: int, bars: NDArray[np.int32], sides: NDArray[np.int8]
) -> int:
    """Write where one genome's direction changes.

    Per bar: an exit ends the position on its side; an entry is refused while its own exit holds; an entry that is
    not contradicted by the opposite one sets the direction; otherwise it stays.

    Parameters
    ----------
    conditions
        Bits of each bar's conditions from the warm-up on, shape (any,).
    first
        Bar of the first of them.
    held
        Direction before.
    bars, sides
        Written: the bar of each change and the direction from there on.

    Returns
    -------
    Number of changes.
    """
    # A stretch of bars that ask nothing of the present direction is passed over at once. Elsewhere each bar maps the
    # direction to the next without a branch: where it changes cannot be foreseen, and a wrong guess costs ten bars.
    count, state = np.uint64(0), np.uint64(2 * held + 2)
    place, size = np.uint64(0), np.uint64(conditions.size)
    while place < size:
        stop = place + _STRIDE
        if stop > size:
            stop = size
        else:
            found = np.int8(0)
            for k in range(_STRIDE):
                found |= conditions[place + k] & _CALLS[state]
            if not found:
                place = stop
                continue
        while place < stop:
            following = (np.uint64(_TRANSITIONS[conditions[place] & 15]) >> state) & _ALL_STATES
            bars[count], sides[count] = first + place, np.int64(following >> _ONE) - 1
            count += np.uint64(following != state)
            state = following
            place += _ONE
    return int(np.int64(count))


@compiled
def next_marked(marks: NDArray[np.int8], start: int, mask: int) -> int:
    """Return the first place from `start` on where a bit of `mask` is set, or the size."""
    # Many bars in one vector instruction; most hold nothing. Unsigned places spare the compiler the thought of
    # negative ones.
    bits = np.int8(mask)
    place, size = np.uint64(start), np.uint64(marks.size)
    while place + _STRIDE <= size:
        found = np.int8(0)
        for k in range(_STRIDE):
            found |= marks[place + k] & bits
        if found:
            break
        place += _STRIDE
    while place < size and not marks[place] & bits:
        place += _ONE
    return int(np.int64(place))


@compiled
def write_changes(
    sides: NDArray[np.int8], first: int, held: int, bars: NDArray[np.int32], changed: NDArray[np.int8]
) -> int:
    """Write where one genome's direction changes, given its direction on each bar.

    Parameters
    ----------
    sides
        Direction from the warm-up on, shape (any,).
    first
        Bar of the first of them.
    held
        Direction before.
    bars, changed
        Written: the bar of each change and the direction from there on.

    Returns
    -------
    Number of changes.
    """
    count = 0
    state = np.int8(held)
    for t in range(sides.size):
        if sides[t] != state:
            state = sides[t]
            bars[count] = first + t
            changed[count] = state
            count += 1
    return count
