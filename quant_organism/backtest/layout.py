"""How the engines hand bars, costs, genes and results to one another: named tuples of arrays, and columns by number."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Columns of a sleeve's totals.
RETURN_SUM = 0
RETURN_SQUARES = 1
LOSS_SQUARES = 2
MARKET_PRODUCTS = 3  # of its returns with the asset's
EQUITY = 4
DEEPEST = 5  # least ratio of equity to its running peak
EXPOSURE = 6
NET_EXPOSURE = 7
TURNOVER = 8
TRADES = 9
WINS = 10
GAINS = 11
LOSSES = 12
HELD_BARS = 13
BARS_IN_POSITION = 14
N_TOTALS = 15

IDLE = np.zeros(N_TOTALS)
"""Totals of a sleeve that never trades."""
IDLE[EQUITY] = IDLE[DEEPEST] = 1.0

# Columns of a recorded trade.
ENTRY_BAR = 0
EXIT_BAR = 1
SIDE = 2
QUANTITY = 3
ENTRY_PRICE = 4
EXIT_PRICE = 5
FEES = 6
FUNDING = 7
PNL = 8
RETURN = 9
REASON = 10
N_TRADE_COLUMNS = 11

# Columns of a bar's context: what a decision at its close knows of all assets.
LIQUIDITY = 0
CALM = 1
MOMENTUM = 2
LIQUIDITY_SUM = 3  # over the assets with a bar
CALM_SUM = 4
MOMENTUM_SUM = 5
LISTED = 6
TURBULENCE = 7
GREED = 8  # how far the index is beyond greed, and beyond fear, in [0, 1]; 0 where it is unknown
FEAR = 9
N_CONTEXT = 10

REASONS = (
    "signal",
    "stop_loss",
    "trailing_stop",
    "take_profit",
    "liquidation",
    "max_holding",
    "delisted",
    "ruined",
    "open",
)
SIGNAL, STOP_LOSS, TRAILING_STOP, TAKE_PROFIT, LIQUIDATION, MAX_HOLDING, DELISTED, RUINED, OPEN = range(len(REASONS))


class SleeveBars(NamedTuple):
    """The valid bars of one asset as the walk reads them.

    Parameters
    ----------
    opens, close
        Prices, shape (n,).
    adverse, favourable
        Low and high for longs (row 1), minus high and minus low for shorts (row 0), shape (2, n).
    worst_ahead, best_ahead
        Least `adverse` and greatest `favourable` of each bar and the seven after it, shape (2, n - 7).
    settled
        Funding that one long unit has paid from bar 0 to each close, shape (n,).
    funded
        Close less `settled`, shape (n,).
    market
        Return of a long unit in each bar, funding paid, shape (n,).
    volume
        Base volume per unit of the sleeve's capital, shape (n,).
    rows
        Place of each bar on the panel's time grid, shape (n,).
    context
        What a decision at each close knows of all assets, shape (n, N_CONTEXT).
    first
        First bar of the window in which to trade and mark.
    origin
        Place among these bars of the first row of the portfolio that they add to.
    delisted
        Whether the asset has no bar at the end of the window.
    funding_reach
        Most that a long (row 1) or short (row 0) pays in funding over the longest holding, over its entry price.
    """

    opens: NDArray[np.float64]
    close: NDArray[np.float64]
    adverse: NDArray[np.float64]
    favourable: NDArray[np.float64]
    worst_ahead: NDArray[np.float64]
    best_ahead: NDArray[np.float64]
    settled: NDArray[np.float64]
    funded: NDArray[np.float64]
    market: NDArray[np.float64]
    volume: NDArray[np.float64]
    rows: NDArray[np.int64]
    context: NDArray[np.float64]
    first: int
    origin: int
    delisted: bool
    funding_reach: NDArray[np.float64]


class Friction(NamedTuple):
    """Costs of one asset as the walk reads them.

    Parameters
    ----------
    taker_fee, maker_fee, slippage
        Fractions.
    margin
        Margin over notional at the entry.
    tier_bounds, maintenance, deductions
        Margin tiers: lower bound of the notional and deduction per unit of the sleeve's capital, and maintenance
        margin rate, each of shape (tiers,).
    participation
        Largest share of a bar's volume that market orders take; infinite where orders fill at once.
    impact
        Further slippage of a fill that takes a whole bar's volume, as a fraction.
    stops_from_next_bar
        Whether stops wait for the bar after entry (rule 17).
    """

    taker_fee: float
    maker_fee: float
    slippage: float
    margin: float
    tier_bounds: NDArray[np.float64]
    maintenance: NDArray[np.float64]
    deductions: NDArray[np.float64]
    participation: float
    impact: float
    stops_from_next_bar: bool


class Risk(NamedTuple):
    """Genes of G genomes that the evaluator applies, each of shape (G,).

    A trailing stop of 0 is off; the weights of liquidity, calm and momentum sum to 1.
    """

    stop_loss: NDArray[np.float64]
    take_profit: NDArray[np.float64]
    trailing_stop: NDArray[np.float64]
    position_size: NDArray[np.float64]
    max_holding_bars: NDArray[np.int64]
    max_drawdown: NDArray[np.float64]
    position_size_limit: NDArray[np.float64]
    liquidity_weight: NDArray[np.float64]
    calm_weight: NDArray[np.float64]
    momentum_weight: NDArray[np.float64]
    volatility_threshold: NDArray[np.float64]
    fear_greed_sensitivity: NDArray[np.float64]
