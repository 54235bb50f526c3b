"""What a sleeve is between two bars, and what a bar brings: one vector, one tick, one ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import layout
from quant_organism.kernels.compiled import compiled

Floats = NDArray[np.float64]

# The state of a sleeve between two bars. Quantities are per unit of its initial equity.
CASH = 0  # after fills, their fees, and the funding paid up to SETTLED_FROM
QUANTITY = 1  # held, signed
WANTED = 2  # of the entry, not filled yet
ENTERED = 3  # filled by the entry
ENTRY_PRICE = 4  # average of its fills
ENTRY_BAR = 5  # of the first of them, as a number among the asset's bars
ENTRY_ROW = 6  # and on the time grid
EQUITY_BEFORE = 7  # when the entry began
MARGIN = 8  # of the position at its entry
BEST = 9  # best extreme of earlier bars of the trade, times the side
SETTLED_FROM = 10  # funding per long unit up to which the position has settled
FUNDING = 11  # that the position has paid up to there
FEES = 12
SIDE = 13  # of the entry or position, 0 when there is none
EXIT_REASON = 14  # of an exit that has begun, -1 before
EXITED = 15  # filled by the exit
EXIT_PRICE = 16  # average of its fills
REALISED = 17  # profit of these fills, their fees paid
BLOCKED_SIDE = 18  # direction that is not entered again until the target has left it
RUINED = 19
EQUITY = 20  # at the last close
PEAK = 21  # of the equity at closes, 1 at the start
SETTLED = 22  # funding per long unit up to the last close
CLOSE = 23  # last close
BAR = 24  # number of the last bar among the asset's
N_STATE = 25

# Columns of a fill.
BOUGHT = 0  # quantity, negative when sold
PRICE = 1
FEE = 2
TURNOVER = 3  # notional over the sleeve's equity at the fill
CAUSE = 4  # reason of the exit, -1 for an entry
N_FILL_COLUMNS = 5

STAYS = -1.0

# Numbers of a row of terms: those of the genome, and all before the margin tiers.
_OF_GENOME, _N_NUMBERS = 5, 13


class Tick(NamedTuple):
    """One bar of an asset.

    Parameters
    ----------
    row
        Place on the time grid.
    open, high, low, close
        Prices.
    volume
        Base volume per unit of the sleeve's capital.
    settled
        Funding that one long unit has paid from the asset's first bar to this close.
    """

    row: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    settled: float


class SleeveDecision(NamedTuple):
    """What was decided at a close: direction, weight x |target|, and whether the market permits an entry (rule 14)."""

    side: int
    size: float
    permitted: bool


class Terms(NamedTuple):
    """Risk genes of one genome, as in `layout.Risk`, and the costs of the asset.

    Numbers, not arrays of them: to hand arrays from function to function is what a step would spend its time on.
    """

    stop_loss: float
    take_profit: float
    trailing_stop: float
    max_holding_bars: int
    max_drawdown: float
    friction: layout.Friction


class Ledger(NamedTuple):
    """What a bar brought about.

    Parameters
    ----------
    trades
        Trades that ended, shape (3, layout.N_TRADE_COLUMNS): at the open, at a level, at the end.
    fills
        In their order, shape (4, N_FILL_COLUMNS): out and in at the open, out at a level, out at the end.
    counts
        Number of trades and of fills, shape (2,).

    Those of N assets stand in arrays with one more axis in front.
    """

    trades: Floats
    fills: Floats
    counts: NDArray[np.int64]

    @classmethod
    def empty(cls, *assets: int) -> Ledger:
        """Return room for what one bar can bring, of one asset or of a number of them."""
        return cls(
            np.zeros((*assets, 3, layout.N_TRADE_COLUMNS)),
            np.zeros((*assets, 4, N_FILL_COLUMNS)),
            np.zeros((*assets, 2), dtype=np.int64),
        )


@compiled
def new_state(bar: int, settled: float) -> Floats:
    """Return the state of a sleeve that starts flat with an equity of 1, shape (N_STATE,).

    Parameters
    ----------
    bar
        Number of the last bar before trading starts, -1 where there is none.
    settled
        Funding per long unit settled up to its close.
    """
    state = np.zeros(N_STATE)
    state[CASH] = state[EQUITY] = state[PEAK] = 1.0
    state[EXIT_REASON] = STAYS
    state[BAR], state[SETTLED] = bar, settled
    return state


@compiled
def terms_of(risk: layout.Risk, g: int, friction: layout.Friction) -> Terms:
    """Return what binds genome `g` on an asset."""
    return Terms(
        risk.stop_loss[g],
        risk.take_profit[g],
        risk.trailing_stop[g],
        risk.max_holding_bars[g],
        risk.max_drawdown[g],
        friction,
    )


def in_rows(terms: Sequence[Terms]) -> Floats:
    """Return the terms of N assets as rows of numbers, which `terms_in` reads; shorter ones end with NaN."""
    rows = []
    for first in terms:
        fees = first.friction
        numbers = [*first[:_OF_GENOME], *fees[:4], *fees[7:], fees.maintenance.size]
        rows.append(np.concatenate([numbers, fees.tier_bounds, fees.maintenance, fees.deductions]))
    table = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for place, row in enumerate(rows):
        table[place, : row.size] = row
    return table


@compiled
def terms_in(row: Floats) -> Terms:
    """Return the terms that a row of `in_rows` stands for."""
    tiers, first = int(row[_N_NUMBERS - 1]), _N_NUMBERS
    friction = layout.Friction(
        row[5],
        row[6],
        row[7],
        row[8],
        row[first : first + tiers],
        row[first + tiers : first + 2 * tiers],
        row[first + 2 * tiers : first + 3 * tiers],
        row[9],
        row[10],
        row[11] != 0.0,
    )
    return Terms(row[0], row[1], row[2], int(row[3]), row[4], friction)


@compiled
def ledger_of(ledgers: Ledger, asset: int) -> Ledger:
    """Return the ledger of one of N assets."""
    return Ledger(ledgers.trades[asset], ledgers.fills[asset], ledgers.counts[asset])


@compiled
def marked(state: Floats, price: float) -> float:
    """Return cash plus position at a price, with the funding settled up to the last close."""
    quantity = state[QUANTITY]
    if quantity == 0.0:
        return float(state[CASH])
    return float((state[CASH] + quantity * state[SETTLED_FROM]) + quantity * (price - state[SETTLED]))


@compiled
def margin_balance(state: Floats) -> float:
    """Return what a position's margin is after the funding and the exits that were paid from and into it."""
    paid = state[FUNDING] + state[QUANTITY] * (state[SETTLED] - state[SETTLED_FROM])
    return float(state[MARGIN] - paid + state[REALISED])


@compiled
def settle(state: Floats) -> None:
    """Pay the funding up to the last close for the quantity held so far."""
    paid = state[QUANTITY] * (state[SETTLED] - state[SETTLED_FROM])
    state[CASH] -= paid
    state[FUNDING] += paid
    state[SETTLED_FROM] = state[SETTLED]


@compiled
def add_exit(state: Floats, quantity: float, price: float) -> None:
    """Count a fill of the exit into its average price."""
    done = state[EXITED]
    state[EXIT_PRICE] = price if done == 0.0 else (done * state[EXIT_PRICE] + quantity * price) / (done + quantity)
    state[EXITED] = done + quantity


@compiled
def record(ledger: Ledger, bought: float, price: float, fee: float, turnover: float, cause: float) -> None:
    """Note a fill."""
    fill = ledger.fills[ledger.counts[1]]
    fill[BOUGHT], fill[PRICE], fill[FEE], fill[TURNOVER], fill[CAUSE] = bought, price, fee, turnover, cause
    ledger.counts[1] += 1


@compiled
def book(state: Floats, cash: float, reason: int, ledger: Ledger) -> None:
    """Record the trade, and go flat with `cash`; be ruined where nothing is left (rule 12)."""
    if cash <= 0.0:
        cash, reason = 0.0, layout.RUINED
        state[RUINED] = 1.0
    before = state[EQUITY_BEFORE]
    trade = ledger.trades[ledger.counts[0]]
    trade[layout.ENTRY_BAR], trade[layout.EXIT_BAR] = state[ENTRY_BAR], state[BAR]
    trade[layout.SIDE], trade[layout.QUANTITY] = state[SIDE], state[ENTERED]
    trade[layout.ENTRY_PRICE], trade[layout.EXIT_PRICE] = state[ENTRY_PRICE], state[EXIT_PRICE]
    trade[layout.FEES], trade[layout.FUNDING] = state[FEES], state[FUNDING]
    trade[layout.PNL], trade[layout.RETURN], trade[layout.REASON] = cash - before, (cash - before) / before, reason
    ledger.counts[0] += 1
    state[CASH] = cash
    clear(state)


@compiled
def clear(state: Floats) -> None:
    """Forget position and orders."""
    state[QUANTITY:BEST] = 0.0
    state[SETTLED_FROM:BLOCKED_SIDE] = 0.0
    state[EXIT_REASON] = STAYS
