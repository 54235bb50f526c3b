"""One bar of streams, compiled: all sleeves through their bar, and the decisions of all of them at the close."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import layout
from quant_organism.backtest.sleeve_state import (
    EQUITY,
    SETTLED,
    Floats,
    Ledger,
    SleeveDecision,
    Tick,
    ledger_of,
    terms_in,
)
from quant_organism.backtest.step import decide, mark_bar, trade_bar
from quant_organism.kernels.compiled import compiled

SIDE, SIZE, PERMITTED = range(3)
"""Columns of decisions: those of `SleeveDecision`, as numbers."""


@compiled
def trade_assets(
    states: Floats,
    bars: Floats,
    funding: Floats,
    valid: NDArray[np.bool_],
    capital_usd: float,
    number: int,
    decided: Floats,
    terms: Floats,
    ledgers: Ledger,
    returns: Floats,
) -> int:
    """Take the sleeves of G genomes through one bar, up to their marks at the close, and return how much came about.

    Sleeves stand genome after genome, each on all N assets: S of them.

    Parameters
    ----------
    states
        Of the sleeves; moved, shape (S, N_STATE).
    bars
        Open, high, low, close and volume, shape (5 or more, N).
    funding
        Sums of the settlement fractions that a holder through the bar is charged, shape (N,).
    valid
        Which assets have this bar, shape (N,); the sleeves of others stay as they are.
    capital_usd
        What a sleeve's initial equity stands for.
    number
        Place on the time grid.
    decided
        Columns of decisions, shape (S, 3).
    terms
        Genome and costs, one row of `in_rows` per sleeve.
    ledgers
        Written: fills and ended trades of each sleeve.
    returns
        Written: return of each sleeve, shape (S,).

    Returns
    -------
    Number of fills and ended trades.
    """
    count = 0
    for sleeve in range(returns.size):
        asset = sleeve % valid.size
        ledger, state = ledger_of(ledgers, sleeve), states[sleeve]
        ledger.counts[:] = 0
        returns[sleeve] = 0.0
        if valid[asset]:
            before = state[EQUITY]
            close = bars[3, asset]
            settled = state[SETTLED] + close * funding[asset]
            volume = bars[4, asset] / capital_usd
            tick = Tick(number, bars[0, asset], bars[1, asset], bars[2, asset], close, volume, settled)
            trade_bar(state, tick, decision_of(decided[sleeve]), terms_in(terms[sleeve]), ledger)
            mark_bar(state, close, settled, ledger)
            if before > 0.0:
                returns[sleeve] = (state[EQUITY] - before) * (1.0 / max(before, 1e-300))
            count += ledger.counts[0] + ledger.counts[1]
    return count


@compiled
def decision_of(decided: Floats) -> SleeveDecision:
    """Return what was decided at a close as what the steps read."""
    return SleeveDecision(int(decided[SIDE]), decided[SIZE], decided[PERMITTED] != 0.0)


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
    """Write what is decided at a close for each sleeve of an asset that has a bar there.

    Parameters
    ----------
    targets
        Of sleeves as in `trade_assets`, shape (S,).
    valid
        Shape (N,).
    ranks, listed, turbulence
        As in `Allocation`, at this close, shapes (N, 3) and (N,).
    by_symbol
        Assets in the order of their symbols, in which ranks are summed.
    greed, fear
        See `market.sentiment.beyond`.
    risk
        Genes of the genomes.
    decided
        Written, shape (S, 3).
    """
    known = np.empty(layout.N_CONTEXT)
    known[layout.LIQUIDITY_SUM : layout.LISTED] = 0.0
    for asset in by_symbol:
        known[layout.LIQUIDITY_SUM : layout.LISTED] += ranks[asset]
    known[layout.LISTED] = listed
    known[layout.GREED], known[layout.FEAR] = greed, fear
    for sleeve in range(targets.size):
        genome, asset = sleeve // valid.size, sleeve % valid.size
        if valid[asset]:
            known[layout.LIQUIDITY : layout.LIQUIDITY_SUM] = ranks[asset]
            known[layout.TURBULENCE] = turbulence[asset]
            decision = decide(targets[sleeve], known, risk, genome)
            decided[sleeve, SIDE], decided[sleeve, SIZE] = decision.side, decision.size
            decided[sleeve, PERMITTED] = decision.permitted
