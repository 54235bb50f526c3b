"""Rule 15 in plain Python: what margin a position must keep, and at which price it no longer has it."""

from __future__ import annotations

import math
from collections.abc import Sequence

Tiers = Sequence[tuple[float, int]]
"""(lower bound of the notional in USD, maximum leverage from there on)."""


def maintenance_margin(notional_usd: float, tiers: Tiers) -> float:
    """Rule 15: the margin in USD that a position of this notional must keep.

    Each tier asks `1 / (2 x leverage)` of the notional, less what makes the margin continuous where tiers meet.
    """
    deduction = 0.0
    rate = 1 / (2 * tiers[0][1])
    for lower, leverage in tiers[1:]:
        if notional_usd >= lower:
            deduction += lower * (1 / (2 * leverage) - rate)
            rate = 1 / (2 * leverage)
    return notional_usd * rate - deduction


def liquidation_price(
    side: int, quantity: float, entry_price: float, margin: float, tiers: Tiers, capital_usd: float
) -> float:
    """Rule 15: the price at which margin and profit equal the maintenance margin of the tier in force there.

    Not positive, or infinite for a short, where there is none. `margin` is what funding has left of it.
    """
    deduction = 0.0
    rate = 1 / (2 * tiers[0][1])
    for k, (lower, leverage) in enumerate(tiers):
        tier_rate = 1 / (2 * leverage)
        deduction += lower * (tier_rate - rate) if k else 0.0
        rate = tier_rate
        upper = tiers[k + 1][0] if k + 1 < len(tiers) else math.inf
        # margin + side x quantity x (price - entry) = rate x quantity x price - deduction
        price = (side * quantity * entry_price - margin - deduction / capital_usd) / (quantity * (side - rate))
        if quantity * price * capital_usd < upper:
            return price
    raise AssertionError("the last tier has no upper end")
