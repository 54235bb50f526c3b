"""Splits in whole parts that lose nothing: largest remainder, ties by key."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import sub


def split_to(total: int, quotas: Sequence[float]) -> list[int]:
    """Return whole parts near to quotas that sum to exactly `total`, which the quotas sum to but for less than each.

    Each part is its quota rounded down, and those with the largest remainders get one more; of equal remainders the
    earlier. What rounding of the quotas themselves has left too much is taken from the smallest remainders, of equal
    ones from the later.
    """
    parts = list(map(math.floor, quotas))
    rest = total - sum(parts)
    if rest == 0:
        return parts
    remainders = list(map(sub, parts, quotas))
    order = sorted(range(len(parts)), key=remainders.__getitem__)
    step, order = (1, order) if rest > 0 else (-1, order[::-1])
    for turn in range(abs(rest)):
        parts[order[turn % len(order)]] += step
    return parts


def split_by(total: int, weights: Sequence[int]) -> list[int]:
    """Split a whole amount by weights that are not negative and not all 0; exact, whatever the sizes."""
    whole = sum(weights)
    shares = [divmod(abs(total) * weight, whole) for weight in weights]
    parts = [share for share, _ in shares]
    order = sorted(range(len(parts)), key=lambda place: (-shares[place][1], place))
    for place in order[: abs(total) - sum(parts)]:
        parts[place] += 1
    return [part if total >= 0 else -part for part in parts]


def towards_zero(lots: float) -> int:
    """Return whole lots, towards zero; what is whole but for the rounding of sums is whole."""
    whole = math.floor(abs(lots) * (1.0 + 1e-12))
    return whole if lots > 0.0 else -whole
