"""How the compiled walk of an account holds what `AccountBook` and its window hold: arrays, and columns by number."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

# Money of the account, and how many plans and sets of resting orders there were.
CASH = 0
EXECUTION_CASH = 1
NUMBER = 2
N_MONEY = 3

# Whole numbers of the risk, as in `RiskState`; flags are 0 or 1.
TIME = 0
EQUITY = 1
BASE = 2
PEAK = 3
HALVED = 4
STOPPED = 5
FLAT_SINCE = 6
ON_PROBATION = 7
CALM_SINCE = 8
REARMED = 9
HALVED_UNTIL = 10
MARGIN_IS_SHORT = 11
DAY = 12
PAUSED_UNTIL = 13
EASED_UNTIL = 14
DAYS = 15  # of the virtual book that are known
GAINS = 16  # days of the account that are known
LOSING_EXITS = 17  # that are known
RECENT = 18  # closes that are known
N_RISK = 19

# Numbers of the risk.
SCALE = 0
GROWTH = 1
TAIL = 2
N_RISK_FLOATS = 3

# Columns of an asset, as in `AccountBook`; a mark, a reference and standing orders are 0 where there is none.
POSITION = 0
MARK = 1
REFERENCE = 2
ORDERED = 3
FROZEN = 4
RESTORED = 5
LOCKED = 6
GONE = 7
STOP_LOTS = 8
STOP_LEVEL = 9
TARGET_LOTS = 10
TARGET_LEVEL = 11
EXECUTION_LOTS = 12
SPENT = 13
N_ASSET_COLUMNS = 14

# Columns of a recent close, and of a restraint.
CLOSE_TIME = 0
CLOSE_EQUITY = 1
LONG = 0
SHORT = 1
ENTRY = 2

# Columns of a leg.
LOTS = 0
MOVED = 1
N_LEG_COLUMNS = 2

KINDS = ("ioc", "stop", "target", "settlement")
"""Kinds of orders and fills by number."""
IOC, STOP, TARGET, SETTLED = range(len(KINDS))

# Columns of a line and of a fill.
ROW = 0
ASSET = 1
KIND = 2
TRADED = 3  # lots, bought
LEVEL = 4
SET = 5  # the number of the plan, or of the set of resting orders
N_LINE_COLUMNS = 6
NOTIONAL = 4
FEE = 5
AIMED = 6
N_FILL_COLUMNS = 7


class WalkBars(NamedTuple):
    """Bars of N assets over T bars; prices are lot prices, 0 where there is no bar.

    Parameters
    ----------
    times
        Close before each bar and the last close, UTC milliseconds, shape (T + 1,).
    closes
        Known at each of these, shape (T + 1, N).
    opens, high, low
        Shape (T, N).
    room
        Most lots that fill in a bar, shape (T, N).
    funding_long, funding_short, impact_rate
        As in `AccountMarket`, shape (T, N).
    ended
        Row of the last bar, T or more where there are more, shape (N,).
    """

    times: Ints
    closes: Ints
    opens: Ints
    high: Ints
    low: Ints
    room: Ints
    funding_long: Floats
    funding_short: Floats
    impact_rate: Floats
    ended: Ints


class WalkLegs(NamedTuple):
    """Virtual positions of P legs; arrays as in `VirtualWindow`.

    Parameters
    ----------
    units, stops, targets
        Shapes (T + 1, P), (T, P), (T, P).
    virtual_returns
        Of the virtual book, shape (T + 1,).
    shares
        Of the strategies, shape (T + 1, S).
    strategy, member
        Of each leg, by number, shape (P,).
    first
        First leg of each asset, and P, shape (N + 1,).
    stopless
        Whether a leg's levels are no stops of its own, shape (P,).
    restraints
        What is held against the targets, shape (T + 1, 3).
    """

    units: Floats
    stops: Floats
    targets: Floats
    virtual_returns: Floats
    shares: Floats
    strategy: Ints
    member: Ints
    first: Ints
    stopless: Flags
    restraints: Floats


class WalkAssets(NamedTuple):
    """What the venue says of N assets, and what fills cost there.

    Parameters
    ----------
    lots_per_unit, lot_price_per_usd, initial_rate
        As in `TradedAsset`, shape (N,).
    price_decimals
        Decimals that a price may have, shape (N,).
    tiers
        Number of margin tiers, shape (N,).
    bounds, rates, deductions
        Of the tiers, shape (N, most tiers).
    open_slippage, stop_slippage
        Fractions, shape (N,).
    taker_fee, maker_fee
        Fractions.
    """

    lots_per_unit: Floats
    lot_price_per_usd: Floats
    initial_rate: Floats
    price_decimals: Ints
    tiers: Ints
    bounds: Floats
    rates: Floats
    deductions: Floats
    open_slippage: Floats
    stop_slippage: Floats
    taker_fee: float
    maker_fee: float


class WalkState(NamedTuple):
    """An account between two bars.

    Parameters
    ----------
    money
        Shape (N_MONEY,).
    risk, risk_floats
        Shapes (N_RISK,) and (N_RISK_FLOATS,).
    daily, gains
        Daily returns of the virtual book and of the account, as many as are known, shape (volatility_days,).
    losing_exits
        Times, as many as are known, shape (rapid_exits,).
    recent
        Closes and the equity at them, as many as are known, shape (MOST_RECENT, 2).
    assets
        Shape (N, N_ASSET_COLUMNS).
    legs
        Shape (P, N_LEG_COLUMNS).
    benched
        Units of benched legs, 0 for the others, shape (P,).
    member_cash, member_known
        Of M members' sub-accounts, and whether there is one, shape (M,).
    """

    money: Ints
    risk: Ints
    risk_floats: Floats
    daily: Floats
    gains: Floats
    losing_exits: Ints
    recent: Ints
    assets: Ints
    legs: Ints
    benched: Floats
    member_cash: Ints
    member_known: Flags


class WalkRecords(NamedTuple):
    """What a walk writes down.

    Parameters
    ----------
    lines, fills
        In their order, shapes (any, N_LINE_COLUMNS) and (any, N_FILL_COLUMNS).
    counts
        Number of lines and of fills, shape (2,).
    equity, execution
        Of the account, and profit of *execution*, at each close, shape (T + 1,).
    gross
        Notional of all positions at each close, micro-USD, shape (T + 1,).
    at_cap
        Whether a cap made the plan of a close smaller, shape (T,).
    scale
        Risk scale that the plan of a close was made at, shape (T,).
    funding
        Paid by the account, shape (T, N).
    """

    lines: Ints
    fills: Ints
    counts: Ints
    equity: Ints
    execution: Ints
    gross: Floats
    at_cap: Flags
    scale: Floats
    funding: Ints


class WalkRoom(NamedTuple):
    """Room that a bar's plan works in.

    Parameters
    ----------
    scales, cuts
        Per strategy.
    net, clips, left
        Per asset: lots wanted, what its cap leaves of them, lots that may still fill.
    targets, traded, limits
        Per asset: lots wanted and to trade, and the lot price of the order.
    sums
        Units of each strategy in each asset, shape (N, S).
    quotas, remainders
        Per leg.
    parts, order
        Per leg, of an asset at a time.
    active, open_now
        Legs that count, and assets that can be planned.
    """

    scales: Floats
    cuts: Floats
    net: Floats
    clips: Floats
    left: Ints
    targets: Ints
    traded: Ints
    limits: Ints
    sums: Floats
    quotas: Floats
    remainders: Floats
    parts: Ints
    order: Ints
    active: Flags
    open_now: Flags

    @classmethod
    def empty(cls, assets: int, strategies: int, legs: int) -> WalkRoom:
        """Make room."""
        return cls(
            np.zeros(strategies),
            np.zeros(strategies),
            np.zeros(assets),
            np.zeros(assets),
            np.zeros(assets, dtype=np.int64),
            np.zeros(assets, dtype=np.int64),
            np.zeros(assets, dtype=np.int64),
            np.zeros(assets, dtype=np.int64),
            np.zeros((assets, strategies)),
            np.zeros(legs + 1),
            np.zeros(legs + 1),
            np.zeros(legs + 1, dtype=np.int64),
            np.zeros(legs + 1, dtype=np.int64),
            np.zeros(legs, dtype=np.bool_),
            np.zeros(assets, dtype=np.bool_),
        )
