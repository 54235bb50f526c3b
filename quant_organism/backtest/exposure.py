"""What sleeves hold virtually: units decided at each close and the levels that stand in each bar (rule A1).

Both follow from the bars alone, whatever an account that trades them has filled. They are computed when they are asked
for, in the steps of `step.py`; the walk that populations are bred on knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import layout
from quant_organism.backtest.cross_section.walk import walk_genome
from quant_organism.backtest.population import Banks, BatchGroup, batches_of, ranking_places, write_targets
from quant_organism.backtest.sleeve_state import (
    BAR,
    BEST,
    BLOCKED_SIDE,
    ENTRY_ROW,
    EXIT_REASON,
    N_FILL_COLUMNS,
    N_STATE,
    QUANTITY,
    RUINED,
    SETTLED,
    SIDE,
    Floats,
    Ledger,
    SleeveDecision,
    Terms,
    Tick,
    ledger_of,
    new_state,
    terms_in,
    terms_of,
)
from quant_organism.backtest.sleeves import EvaluationWindow
from quant_organism.backtest.step import decide, fill_orders, mark_bar, may_enter, stop_level, target_level, trade_bar
from quant_organism.backtest.step_assets import decision_of
from quant_organism.errors import InputError
from quant_organism.kernels.compiled import compiled
from quant_organism.strategies import Genome
from quant_organism.strategies.targets import Targets


@dataclass(frozen=True, eq=False)
class Exposures:
    """Virtual positions of G genomes over a window of T bars, one column for each of P sleeves.

    Parameters
    ----------
    genomes, assets
        Of each sleeve the genome and the asset, by number, shape (P,); in the order of the assets' symbols, then of the
        genomes.
    units
        Units per unit of the sleeve's equity as decided at the close before each bar, and at the last, shape
        (T + 1, P): side x weight x |target| / close of the decision, fixed while the trade lasts.
    stops, targets
        Prices at which the sleeve leaves within each bar, NaN where it holds nothing, shape (T, P); the stop is the
        nearest of fixed stop, trailing stop and liquidation. A book has none: its stops guard an account against
        disaster alone, and it has no targets.
    returns
        Portfolio return of each genome in each bar, shape (G, T).
    """

    genomes: NDArray[np.int64]
    assets: NDArray[np.int64]
    units: Floats
    stops: Floats
    targets: Floats
    returns: Floats


def exposures_of(
    genomes: Sequence[Genome], window: EvaluationWindow, takes_part: NDArray[np.bool_] | None = None
) -> Exposures:
    """Walk genomes over a window and return what their sleeves hold virtually.

    Parameters
    ----------
    genomes
        G genomes.
    window
        Where and at which costs they trade.
    takes_part
        Whether a genome has a sleeve in an asset, shape (G, N); none: every one in all that ever have a bar.

    Raises
    ------
    InputError
        If the costs limit volume: virtual orders fill whole, what an account fills is its own business.
    """
    if window.costs.max_participation is not None:
        raise InputError(
            "virtual positions are those of orders that fill whole",
            where="costs",
            remedy="leave max_participation out here; the account limits volume by its own fills",
        )
    count, bars = len(genomes), window.n_bars
    batches = batches_of(genomes, window)
    group = BatchGroup(batches)
    returns = np.zeros((count, bars))
    columns: list[tuple[int, int, Floats, Floats, Floats]] = []
    for asset in window.assets_by_symbol:
        wanted = np.ones(count, dtype=np.bool_) if takes_part is None else np.ascontiguousarray(takes_part[:, asset])
        if not batches or not wanted.any() or not window.panel.valid[: window.stop, asset].any():
            continue
        sleeve = window.sleeves.get(asset) or window.sleeve(asset)
        banks = Banks.of(sleeve, group, window.store)
        units, stops, goals = (
            np.zeros((count, bars + 1)),
            np.full((count, bars), np.nan),
            np.full((count, bars), np.nan),
        )
        for batch in batches:
            places = batch.places
            targets = Targets.empty(batch.size, window.stop, conviction=batch.family.conviction)
            write_targets(batch, sleeve, banks, targets)
            own = units[places], stops[places], goals[places], returns[places]
            expose_population(targets, sleeve.bars, batch.risk, sleeve.friction, window.start, wanted[places], *own)
            units[places], stops[places], goals[places], returns[places] = own
        held = [place for place in np.sort(group.places).tolist() if wanted[place]]
        columns += [(place, asset, units[place], stops[place], goals[place]) for place in held]
    for place in ranking_places(genomes):
        book = walk_genome(genomes[place], window, units=True)
        returns[place] = book.returns
        columns += [
            (place, asset, book.units[:, column], book.guards[:, column], np.full(bars, np.nan))
            for column, asset in enumerate(window.ranked.order.tolist())
            if window.panel.valid[: window.stop, asset].any()
        ]
    standing = {asset: rank for rank, asset in enumerate(window.assets_by_symbol)}
    columns.sort(key=lambda column: (standing[column[1]], column[0]))
    numbers, assets, inside, below, above = zip(*columns, strict=True) if columns else ((), (), (), (), ())
    return Exposures(
        np.array(numbers, dtype=np.int64),
        np.array(assets, dtype=np.int64),
        np.ascontiguousarray(np.array(inside).reshape(-1, bars + 1).T),
        np.ascontiguousarray(np.array(below).reshape(-1, bars).T),
        np.ascontiguousarray(np.array(above).reshape(-1, bars).T),
        returns,
    )


@compiled
def virtual_units(
    state: Floats, decision: SleeveDecision, terms: Terms, next_row: int, close: float, before: float
) -> float:
    """Return the units that a sleeve wants to hold after the next open, given what was decided at this close.

    Parameters
    ----------
    state
        Of the sleeve at the close.
    decision, terms
        What was decided there, and what binds the sleeve.
    next_row
        Place on the time grid of the bar that follows the close.
    close
        Price of the decision.
    before
        Units as decided at the close before.
    """
    side = state[SIDE]
    if side != 0.0 and state[EXIT_REASON] < 0.0 and decision.side == side:
        return before if next_row - state[ENTRY_ROW] < terms.max_holding_bars else 0.0
    if not may_enter(state, decision, terms):
        return 0.0
    return float(decision.side * decision.size / close)


@compiled
def standing_levels(
    state: Floats, tick: Tick, decision: SleeveDecision, terms: Terms, scratch: Floats, ledger: Ledger
) -> tuple[float, float]:
    """Return the stop and the target that stand in a bar once its open has filled, NaN without a position.

    Parameters
    ----------
    state
        Of the sleeve at the close before.
    tick
        The bar; only its row and open are looked at, as long as volume is not limited.
    decision, terms
        What was decided at the close before, and what binds the sleeve.
    scratch, ledger
        Room to work in; shape (N_STATE,) and that of a bar.
    """
    if state[RUINED] != 0.0:
        return np.nan, np.nan
    side = state[SIDE]
    if side != 0.0 and decision.side == side and tick.row - state[ENTRY_ROW] < terms.max_holding_bars:
        # Nothing fills at the open.
        level, _ = stop_level(state, terms)
        return side * level, side * target_level(state, terms)
    scratch[:] = state
    ledger.counts[:] = 0
    scratch[BAR] += 1.0
    if decision.side != scratch[BLOCKED_SIDE]:
        scratch[BLOCKED_SIDE] = 0.0
    fill_orders(scratch, tick, decision, terms, np.inf, ledger)
    if scratch[QUANTITY] == 0.0:
        return np.nan, np.nan
    level, _ = stop_level(scratch, terms)
    return scratch[SIDE] * level, scratch[SIDE] * target_level(scratch, terms)


@compiled
def expose_population(
    targets: Targets,
    bars: layout.SleeveBars,
    risk: layout.Risk,
    friction: layout.Friction,
    start: int,
    wanted: NDArray[np.bool_],
    units: Floats,
    stops: Floats,
    goals: Floats,
    portfolio: Floats,
) -> None:
    """Walk G genomes' sleeves of one asset step by step and write what they hold virtually.

    Parameters
    ----------
    targets, bars, risk, friction
        As in `kernel.simulate_population`.
    start
        Row of the panel at which the window begins.
    wanted
        Which genomes have a sleeve here, shape (G,).
    units, stops, goals
        Written: as in `Exposures`, shapes (G, T + 1), (G, T) and (G, T).
    portfolio
        Added to: returns, shape (G, T).
    """
    scratch = np.zeros(N_STATE)
    ledger = Ledger(np.zeros((3, layout.N_TRADE_COLUMNS)), np.zeros((4, N_FILL_COLUMNS)), np.zeros(2, np.int64))
    for g in range(targets.counts.size):
        if wanted[g]:
            terms = terms_of(risk, g, friction)
            own = units[g], stops[g], goals[g], portfolio[g]
            _expose_sleeve(targets, g, bars, risk, terms, start, own, scratch, ledger)


@compiled
def _expose_sleeve(
    targets: Targets,
    g: int,
    bars: layout.SleeveBars,
    risk: layout.Risk,
    terms: Terms,
    start: int,
    own: tuple[Floats, Floats, Floats, Floats],
    scratch: Floats,
    ledger: Ledger,
) -> None:
    units, stops, goals, portfolio = own
    changes, sides, convictions = targets.bars[g], targets.sides[g], targets.convictions[g]
    n_changes, n, first = targets.counts[g], bars.close.size, bars.first
    state = new_state(first - 1, bars.settled[first - 1] if first > 0 else 0.0)
    change, target, equity, held, written = -1, 0.0, 1.0, 0.0, 0
    for t in range(first, n + 1):
        # The close of bar t - 1; its decision stands until that of bar t.
        while change + 1 < n_changes and changes[change + 1] < t:
            change += 1
            target = float(sides[change])
            if convictions.size > 0 and sides[change] != 0:
                target *= convictions[change]
        until = bars.rows[t] - start + 1 if t < n else units.size
        idle = state[SIDE] == 0.0 and (target == 0.0 or target * state[BLOCKED_SIDE] > 0.0)
        if t == 0 or idle or state[RUINED] != 0.0:
            held, decision = 0.0, SleeveDecision(1 if target > 0.0 else -1 if target < 0.0 else 0, 0.0, False)
        else:
            if target * state[SIDE] > 0.0:
                decision = SleeveDecision(int(state[SIDE]), 0.0, False)
            else:
                decision = decide(target, bars.context[t - 1], risk, g)
            held = virtual_units(state, decision, terms, bars.rows[t - 1] + 1, bars.close[t - 1], held)
        units[written:until] = held
        written = until
        if t == n:
            break
        settled, row = bars.settled[t], bars.rows[t] - start
        if idle or state[RUINED] != 0.0:
            state[BAR], state[SETTLED] = t, settled
            state[BLOCKED_SIDE] = state[BLOCKED_SIDE] if target != 0.0 else 0.0
            continue
        tick = Tick(
            bars.rows[t], bars.opens[t], bars.favourable[1, t], bars.adverse[1, t], bars.close[t], np.inf, settled
        )
        side = state[SIDE]
        stop, goal = standing_levels(state, tick, decision, terms, scratch, ledger)
        stops[row], goals[row] = stop, goal
        adverse, favourable = (tick.low, tick.high) if side > 0.0 else (-tick.high, -tick.low)
        if held != 0.0 and decision.side == side and adverse > side * stop and favourable < side * goal:
            # What `trade_bar` does where nothing fills.
            ledger.counts[:] = 0
            state[BAR], state[BLOCKED_SIDE], state[BEST] = t, 0.0, max(state[BEST], favourable)
        else:
            trade_bar(state, tick, decision, terms, ledger)
        marked = mark_bar(state, tick.close, settled, ledger)
        portfolio[row] += (marked - equity) * (1.0 / equity)
        equity = marked


@compiled
def expose_assets(
    states: Floats,
    decided: Floats,
    terms: Floats,
    next_row: int,
    close: Floats,
    valid: NDArray[np.bool_],
    units: Floats,
) -> None:
    """Move the units of sleeves to a close; those of assets without a bar there keep theirs.

    Parameters
    ----------
    states, decided, terms
        As in `step_assets.trade_assets`, at the close.
    next_row
        Place on the time grid of the bar that follows.
    close, valid
        Of the N assets at this close, shape (N,).
    units
        Moved, shape (S,).
    """
    for sleeve in range(units.size):
        asset = sleeve % valid.size
        if valid[asset]:
            decision = decision_of(decided[sleeve])
            units[sleeve] = virtual_units(
                states[sleeve], decision, terms_in(terms[sleeve]), next_row, close[asset], units[sleeve]
            )


@compiled
def asset_levels(
    states: Floats,
    decided: Floats,
    terms: Floats,
    row: int,
    opens: Floats,
    ledgers: Ledger,
    stops: Floats,
    goals: Floats,
) -> None:
    """Write the levels of sleeves in a bar that has opened; NaN where it has not.

    Parameters
    ----------
    states, decided, terms
        As in `step_assets.trade_assets`, at the close before.
    row
        Place of the bar on the time grid.
    opens
        Prices, NaN where an asset has not opened, shape (N,).
    ledgers
        Room to work in.
    stops, goals
        Written, shape (S,).
    """
    scratch = np.zeros(N_STATE)
    for sleeve in range(stops.size):
        stops[sleeve] = goals[sleeve] = np.nan
        price = opens[sleeve % opens.size]
        if price == price:
            tick = Tick(row, price, price, price, price, np.inf, states[sleeve, SETTLED])
            stops[sleeve], goals[sleeve] = standing_levels(
                states[sleeve],
                tick,
                decision_of(decided[sleeve]),
                terms_in(terms[sleeve]),
                scratch,
                ledger_of(ledgers, sleeve),
            )
