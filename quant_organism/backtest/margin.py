"""Isolated margin by the venue's rules: when a position is liquidated, and at which price (rule 15)."""

from __future__ import annotations

import numpy as np

from quant_organism.backtest.layout import Friction
from quant_organism.kernels.compiled import compiled

BACKSTOP_SHARE = 2.0 / 3.0
"""Share of the maintenance margin below which the venue's backstop takes a position over."""


@compiled
def liquidation_price(side: int, quantity: float, entry_price: float, balance: float, friction: Friction) -> float:
    """Return the price at which an isolated position is liquidated (rule 15); 0, or infinity for a short: never.

    Parameters
    ----------
    side, quantity, entry_price
        The position; quantity without sign, per unit of the sleeve's capital.
    balance
        Its margin less the funding that it has paid.
    friction
        Holds the margin tiers.
    """
    for tier in range(friction.maintenance.size):
        rate, deduction = friction.maintenance[tier], friction.deductions[tier]
        price = (entry_price - side * (balance + deduction) / quantity) / (1.0 - side * rate)
        notional = quantity * price
        last = tier + 1 == friction.maintenance.size
        if notional >= friction.tier_bounds[tier] and (last or notional < friction.tier_bounds[tier + 1]):
            return float(price)
    return 0.0 if side > 0 else np.inf


@compiled
def maintenance_margin(notional: float, friction: Friction) -> float:
    """Return the maintenance margin of a position, per unit of the sleeve's capital."""
    tier = np.searchsorted(friction.tier_bounds, notional, side="right") - 1
    return float(notional * friction.maintenance[tier] - friction.deductions[tier])


@compiled
def taken_over(price: float, quantity: float, entry_price: float, balance: float, friction: Friction) -> bool:
    """Say whether the venue's backstop takes over a position that is liquidated at `price` (rule 15)."""
    left = balance + quantity * (price - entry_price)
    return left < BACKSTOP_SHARE * maintenance_margin(abs(quantity) * price, friction)


@compiled
def liquidation_fill(
    price: float, quantity: float, entry_price: float, balance: float, friction: Friction
) -> tuple[float, float]:
    """Return the price at which a liquidation at `price` ends, and the most that its fee can take (rule 15).

    The venue's backstop takes over at the price at which nothing of the margin is left.
    """
    side = 1 if quantity > 0.0 else -1
    bankrupt = entry_price - balance / quantity
    if taken_over(price, quantity, entry_price, balance, friction):
        return bankrupt, 0.0
    slipped = price * (1.0 - side * friction.slippage)
    slipped = slipped if side * (slipped - bankrupt) > 0.0 else bankrupt
    return slipped, balance + quantity * (slipped - entry_price)
