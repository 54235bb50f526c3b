"""Orders and fills of a stream, in words: what was filled in a bar, and what stands for the next one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import layout
from quant_organism.backtest.sleeve_state import (
    BOUGHT,
    CAUSE,
    CLOSE,
    ENTRY_ROW,
    EXIT_REASON,
    FEE,
    PRICE,
    QUANTITY,
    SIDE,
    WANTED,
    Ledger,
    SleeveDecision,
    Terms,
    marked,
)
from quant_organism.backtest.step import may_enter, stop_level, target_level


@dataclass(frozen=True)
class SleeveFill:
    """One fill.

    Parameters
    ----------
    symbol
        The asset.
    quantity
        Bought, negative when sold, per unit of the sleeve's initial equity.
    price, fee
        As paid; the fee per unit of the sleeve's initial equity.
    reason
        ``entry``, or what closes the position, as in `TradeList`.
    """

    symbol: str
    quantity: float
    price: float
    fee: float
    reason: str


@dataclass(frozen=True)
class SleeveOrder:
    """What stands for the next bar of an asset.

    Parameters
    ----------
    symbol
        The asset.
    kind
        ``market`` at the next open, ``stop`` (by market once it triggers) or ``limit`` (resting).
    quantity
        To buy, negative to sell, per unit of the sleeve's initial equity. That of a new entry is an estimate at the
        last close: it is fixed at the open.
    price
        Of stops and limits; NaN for market orders.
    reason
        ``entry``, or what closes the position, as in `TradeList`.
    """

    symbol: str
    kind: str
    quantity: float
    price: float
    reason: str


@dataclass(frozen=True, eq=False)
class Step:
    """What one bar brought.

    Parameters
    ----------
    fills
        In the order of the assets, and within the bar.
    orders
        What stands for the next bar, decided at this close.
    equity
        Of each sleeve at its last close, shape (N,).
    """

    fills: tuple[SleeveFill, ...]
    orders: tuple[SleeveOrder, ...]
    equity: NDArray[np.float64]


def fills_of(symbol: str, ledger: Ledger) -> list[SleeveFill]:
    """Return the fills of a bar in their order."""
    return [
        SleeveFill(symbol, float(fill[BOUGHT]), float(fill[PRICE]), float(fill[FEE]), _reason(fill[CAUSE]))
        for fill in ledger.fills[: ledger.counts[1]]
    ]


def orders_of(
    symbol: str, state: NDArray[np.float64], decision: SleeveDecision, terms: Terms, row: int
) -> list[SleeveOrder]:
    """Return what stands for the bar at `row` of the time grid, decided at the close that `state` is at."""
    orders = []
    held, side = float(state[QUANTITY]), float(state[SIDE])
    leaving = state[EXIT_REASON]
    if held and leaving < 0.0:
        if decision.side != side:
            leaving = layout.SIGNAL
        elif row - state[ENTRY_ROW] >= terms.max_holding_bars:
            leaving = layout.MAX_HOLDING
    if held and leaving >= 0.0:
        orders.append(SleeveOrder(symbol, "market", -held, np.nan, _reason(leaving)))
    elif held:
        level, cause = stop_level(state, terms)
        orders.append(SleeveOrder(symbol, "stop", -held, side * level, _reason(cause)))
        orders.append(SleeveOrder(symbol, "limit", -held, side * target_level(state, terms), "take_profit"))
    if decision.side == side and leaving < 0.0 and state[WANTED] > 0.0:
        orders.append(SleeveOrder(symbol, "market", side * float(state[WANTED]), np.nan, "entry"))
    elif (decision.side != side or state[EXIT_REASON] >= 0.0) and may_enter(state, decision, terms):
        quantity = decision.size * marked(state, state[CLOSE]) / state[CLOSE]
        orders.append(SleeveOrder(symbol, "market", decision.side * float(quantity), np.nan, "entry"))
    return orders


def _reason(code: float) -> str:
    return "entry" if code < 0.0 else layout.REASONS[int(code)]
