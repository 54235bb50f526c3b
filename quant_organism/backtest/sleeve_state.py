"""What a sleeve is between two bars, and what a bar brings: one vector, one tick, one ledger."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import layout
from quant_organism.strategies.compiled import compiled

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


class Decision(NamedTuple):
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
    """

    trades: Floats
    fills: Floats
    counts: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Ledger:
        """Return room for what one bar can bring."""
        return cls(np.zeros((3, layout.N_TRADE_COLUMNS)), np.zeros((4, N_FILL_COLUMNS)), np.zeros(2, dtype=np.int64))


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
