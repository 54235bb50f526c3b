"""The steps strung together: what the walk of `kernel.py` does, for markets whose volume is limited (rule 16)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import layout
from quant_organism.backtest.sleeve_state import (
    BAR,
    BLOCKED_SIDE,
    EXIT_REASON,
    N_FILL_COLUMNS,
    QUANTITY,
    RUINED,
    SETTLED,
    SIDE,
    TURNOVER,
    Floats,
    Ledger,
    SleeveDecision,
    Tick,
    new_state,
    terms_of,
)
from quant_organism.backtest.step import decide, end_sleeve, mark_bar, trade_bar
from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.targets import Targets


@compiled
def simulate_population(
    targets: Targets,
    bars: layout.SleeveBars,
    risk: layout.Risk,
    friction: layout.Friction,
    totals: Floats,
    portfolio: Floats,
    held: NDArray[np.bool_],
) -> None:
    """Trade G genomes' targets on one asset; parameters as in `kernel.simulate_population`."""
    no_trades = np.empty((0, layout.N_TRADE_COLUMNS))
    for g in range(targets.counts.size):
        simulate_sleeve(targets, g, bars, risk, friction, totals[g], portfolio[g], held[g], no_trades)


@compiled
def simulate_sleeve(
    targets: Targets,
    g: int,
    bars: layout.SleeveBars,
    risk: layout.Risk,
    friction: layout.Friction,
    totals: Floats,
    portfolio: Floats,
    held: NDArray[np.bool_],
    trades: Floats,
) -> int:
    """Trade the targets of genome `g` on one asset; parameters and result as in `kernel.simulate_sleeve`."""
    changes, sides, convictions = targets.bars[g], targets.sides[g], targets.convictions[g]
    n_changes, n = targets.counts[g], bars.close.size
    terms = terms_of(risk, g, friction)
    ledger = Ledger(np.zeros((3, layout.N_TRADE_COLUMNS)), np.zeros((4, N_FILL_COLUMNS)), np.zeros(2, np.int64))
    first = bars.first
    totals[:] = 0.0
    totals[layout.EQUITY] = totals[layout.DEEPEST] = 1.0
    state = new_state(first - 1, bars.settled[first - 1] if first > 0 else 0.0)
    count = 0
    change, target = -1, 0.0
    equity = peak = 1.0
    for t in range(first, n):
        while change + 1 < n_changes and changes[change + 1] < t:
            change += 1
            target = float(sides[change])
            if convictions.size > 0 and sides[change] != 0:
                target *= convictions[change]
        volume, settled = bars.volume[t], bars.settled[t]
        if state[SIDE] == 0.0 and (target == 0.0 or target * state[BLOCKED_SIDE] > 0.0):
            # Nothing stands and nothing is wanted.
            state[BAR], state[SETTLED] = t, settled
            state[BLOCKED_SIDE] = state[BLOCKED_SIDE] if target != 0.0 else 0.0
            continue
        tick = Tick(
            bars.rows[t], bars.opens[t], bars.favourable[1, t], bars.adverse[1, t], bars.close[t], volume, settled
        )
        if target * state[SIDE] > 0.0 and state[EXIT_REASON] < 0.0:
            decision = SleeveDecision(int(state[SIDE]), 0.0, False)
        else:
            decision = decide(target, bars.context[max(t - 1, 0)], risk, g)
        trade_bar(state, tick, decision, terms, ledger)
        if t == n - 1 and bars.delisted:
            end_sleeve(state, tick.close, settled, True, terms, ledger)
        marked = mark_bar(state, tick.close, settled, ledger)

        gain = (marked - equity) * (1.0 / equity)
        totals[layout.RETURN_SUM] += gain
        totals[layout.RETURN_SQUARES] += gain * gain
        totals[layout.LOSS_SQUARES] += gain * gain if gain < 0.0 else 0.0
        totals[layout.MARKET_PRODUCTS] += gain * bars.market[t]
        portfolio[t - bars.origin] += gain
        equity = marked
        peak = max(peak, equity)
        totals[layout.DEEPEST] = min(totals[layout.DEEPEST], equity * (1.0 / peak))
        if state[QUANTITY] != 0.0:
            worth = state[QUANTITY] * tick.close * (1.0 / equity)
            totals[layout.NET_EXPOSURE] += worth
            totals[layout.EXPOSURE] += abs(worth)
            totals[layout.BARS_IN_POSITION] += 1.0
            held[t - bars.origin] = True
        count = _count(ledger, bars, totals, trades, count)
        if state[RUINED] != 0.0:
            break
    totals[layout.EQUITY] = equity
    ledger.counts[:] = 0
    if n > first:
        end_sleeve(state, bars.close[n - 1], bars.settled[n - 1], False, terms, ledger)
        count = _count(ledger, bars, totals, trades, count)
    return count


@compiled
def _count(ledger: Ledger, bars: layout.SleeveBars, totals: Floats, trades: Floats, count: int) -> int:
    # Book a bar's fills and trades into the totals, and record the trades as far as there is room.
    for fill in ledger.fills[: ledger.counts[1]]:
        totals[layout.TURNOVER] += fill[TURNOVER]
    for trade in ledger.trades[: ledger.counts[0]]:
        if count < trades.shape[0]:
            trades[count] = trade
        count += 1
        if trade[layout.REASON] != layout.OPEN:
            earned = trade[layout.RETURN]
            totals[layout.TRADES] += 1.0
            totals[layout.WINS] += 1.0 if earned > 0.0 else 0.0
            totals[layout.GAINS] += max(earned, 0.0)
            totals[layout.LOSSES] += max(-earned, 0.0)
            totals[layout.HELD_BARS] += bars.rows[int(trade[layout.EXIT_BAR])] - bars.rows[int(trade[layout.ENTRY_BAR])]
    return count
