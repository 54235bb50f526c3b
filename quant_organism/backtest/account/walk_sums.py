"""Whole numbers of the compiled walk: legal prices, margins, and splits that lose nothing."""

from __future__ import annotations

import numpy as np

from quant_organism.backtest.account.walk_layout import Floats, Ints, WalkAssets, WalkRoom
from quant_organism.kernels.compiled import compiled


@compiled
def maintenance_margin(assets: WalkAssets, a: int, notional: float) -> float:
    """Return what `TradedAsset.maintenance_margin` does."""
    margin = 0.0
    for tier in range(assets.tiers[a]):
        if notional >= assets.bounds[a, tier]:
            margin = notional * assets.rates[a, tier] - assets.deductions[a, tier]
    return margin


@compiled
def legal(assets: WalkAssets, a: int, lot_price: float, up: bool) -> int:
    """Return what `TradedAsset.legal` does."""
    whole = max(int(np.ceil(lot_price)) if up else int(np.floor(lot_price)), 1)
    step, rest = 1, whole // 100_000
    for _ in range(assets.price_decimals[a]):
        if rest == 0:
            break
        step *= 10
        rest //= 10
    return max((whole + step - 1) // step * step if up else whole // step * step, 1)


@compiled
def towards_zero(lots: float) -> int:
    """Return what `splits.towards_zero` does."""
    whole = int(np.floor(abs(lots) * (1.0 + 1e-12)))
    return whole if lots > 0.0 else -whole


@compiled
def scaled_product(amount: int, weight: int, whole: int) -> tuple[int, int]:
    """Return quotient and remainder of `amount x weight / whole`, exact, for 0 <= weight <= whole."""
    if weight == 0 or amount <= 2**62 // weight:
        product = amount * weight
        return product // whole, product % whole
    quotient, remainder = 0, 0
    # Long multiplication, bit by bit from the highest: whole is below 2^61, so that nothing overflows.
    for place in range(62, -1, -1):
        quotient *= 2
        remainder *= 2
        if (amount >> place) & 1:
            remainder += weight
        while remainder >= whole:
            remainder -= whole
            quotient += 1
    return quotient, remainder


@compiled
def split_to(total: int, count: int, room: WalkRoom) -> None:
    """Write to `parts` what `splits.split_to` does for the first `count` quotas."""
    quotas, remainders, parts = room.quotas, room.remainders, room.parts
    rest = total
    for place in range(count):
        parts[place] = int(np.floor(quotas[place]))
        remainders[place] = quotas[place] - parts[place]
        rest -= parts[place]
    if rest == 0:
        return
    _rank(remainders, count, room.order)
    for turn in range(abs(rest)):
        if rest > 0:
            parts[room.order[turn % count]] += 1
        else:
            parts[room.order[count - 1 - turn % count]] -= 1


@compiled
def split_by(total: int, count: int, room: WalkRoom) -> None:
    """Write to `parts` what `splits.split_by` does for the first `count` weights, which stand in `parts`."""
    parts, left = room.parts, room.order
    whole = 0
    for place in range(count):
        whole += parts[place]
    rest = abs(total)
    for place in range(count):
        quotient, remainder = scaled_product(abs(total), parts[place], whole)
        parts[place], left[place] = quotient, remainder
        rest -= quotient
    for _ in range(rest):
        best = 0
        for place in range(1, count):
            if left[place] > left[best]:
                best = place
        parts[best] += 1
        left[best] = -1
    if total < 0:
        for place in range(count):
            parts[place] = -parts[place]


@compiled
def _rank(remainders: Floats, count: int, order: Ints) -> None:
    # The largest first, of equal ones the earlier: insertion keeps what is equal in its order.
    for place in range(count):
        at = place
        while at > 0 and remainders[order[at - 1]] < remainders[place]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = place
