"""One bar of a stream, compiled: a sleeve through its bar, and the decisions of all assets at the close."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import layout
from quant_organism.backtest.sleeve_state import SETTLED, Decision, Floats, Ledger, Terms, Tick
from quant_organism.backtest.step import decide, mark_bar, trade_bar
from quant_organism.strategies.compiled import compiled

SIDE, SIZE, PERMITTED = range(3)
"""Columns of decisions: those of `Decision`, as numbers."""


@compiled
def trade_asset(
    state: Floats,
    bar: Floats,
    funding: float,
    capital_usd: float,
    number: int,
    decided: Floats,
    terms: Terms,
    ledger: Ledger,
) -> None:
    """Take a sleeve through one bar, up to its mark at the close.

    Parameters
    ----------
    state
        Of the sleeve; moved.
    bar
        Open, high, low, close and volume, shape (5,).
    funding
        Sum of the settlement fractions that a holder through the bar is charged.
    capital_usd
        What the sleeve's initial equity stands for.
    number
        Place on the time grid.
    decided
        Columns of decisions, shape (3,).
    terms
        Genome and costs.
    ledger
        Written: fills and ended trades.
    """
    settled = state[SETTLED] + bar[3] * funding
    tick = Tick(number, bar[0], bar[1], bar[2], bar[3], bar[4] / capital_usd, settled)
    trade_bar(state, tick, decision_of(decided), terms, ledger)
    mark_bar(state, bar[3], settled, ledger)


@compiled
def decision_of(decided: Floats) -> Decision:
    """Return what was decided at a close as what the steps read."""
    return Decision(int(decided[SIDE]), decided[SIZE], decided[PERMITTED] != 0.0)


@compiled
def decide_assets(
    targets: Floats,
    valid: NDArray[np.bool_],
    ranks: Floats,
    listed: int,
    turbulence: Floats,
    by_symbol: NDArray[np.int64],
    greed: float,
    fear: float,
    risk: layout.Risk,
    decided: Floats,
) -> None:
    """Write what is decided at a close for each asset that has a bar there.

    Parameters
    ----------
    targets, valid
        Shape (N,).
    ranks, listed, turbulence
        As in `Allocation`, at this close, shapes (N, 3) and (N,).
    by_symbol
        Assets in the order of their symbols, in which ranks are summed.
    greed, fear
        See `market.sentiment.beyond`.
    risk
        Genes of the one genome.
    decided
        Written, shape (N, 3).
    """
    known = np.empty(layout.N_CONTEXT)
    known[layout.LIQUIDITY_SUM : layout.LISTED] = 0.0
    for asset in by_symbol:
        known[layout.LIQUIDITY_SUM : layout.LISTED] += ranks[asset]
    known[layout.LISTED] = listed
    known[layout.GREED], known[layout.FEAR] = greed, fear
    for asset in range(targets.size):
        if valid[asset]:
            known[layout.LIQUIDITY : layout.LIQUIDITY_SUM] = ranks[asset]
            known[layout.TURBULENCE] = turbulence[asset]
            decision = decide(targets[asset], known, risk, 0)
            decided[asset, SIDE], decided[asset, SIZE] = decision.side, decision.size
            decided[asset, PERMITTED] = decision.permitted
