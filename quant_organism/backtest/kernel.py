"""The execution model in code: one compiled walk over the bars of one asset; docs/execution.md numbers its rules."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.compiled import compiled

# Columns of a sleeve's totals.
RETURN_SUM = 0
RETURN_SQUARES = 1
LOSS_SQUARES = 2
EQUITY = 3
DEEPEST = 4  # least ratio of equity to its running peak
EXPOSURE = 5
PORTFOLIO_EXPOSURE = 6
TURNOVER = 7
PORTFOLIO_TURNOVER = 8
TRADES = 9
WINS = 10
GAINS = 11
LOSSES = 12
HELD_BARS = 13
BARS_IN_POSITION = 14
PEAK = 15
N_TOTALS = 16

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

REASONS = ("signal", "stop_loss", "trailing_stop", "take_profit", "max_holding", "delisted", "ruined", "open")
SIGNAL, STOP_LOSS, TRAILING_STOP, TAKE_PROFIT, MAX_HOLDING, DELISTED, RUINED, OPEN = range(len(REASONS))


class SleeveBars(NamedTuple):
    """The valid bars of one asset as the walk reads them.

    Parameters
    ----------
    opens, close
        Prices, shape (n,).
    adverse, favourable
        Low and high for longs (row 1), minus high and minus low for shorts (row 0), shape (2, n).
    settled
        Funding that one long unit has paid from bar 0 to each close, shape (n,).
    funded
        Close less `settled`, shape (n,).
    rows
        Place of each bar on the panel's time grid, shape (n,).
    share
        One over the number of listed assets, shape (n,).
    first
        First bar of the window in which to trade and mark.
    origin
        Place among these bars of the first row of the portfolio that they add to.
    delisted
        Whether the asset has no bar at the end of the window.
    """

    opens: NDArray[np.float64]
    close: NDArray[np.float64]
    adverse: NDArray[np.float64]
    favourable: NDArray[np.float64]
    settled: NDArray[np.float64]
    funded: NDArray[np.float64]
    rows: NDArray[np.int64]
    share: NDArray[np.float64]
    first: int
    origin: int
    delisted: bool


class Friction(NamedTuple):
    """Costs as fractions, and whether stops wait for the bar after entry (rule 14)."""

    taker_fee: float
    slippage: float
    stops_from_next_bar: bool


class Risk(NamedTuple):
    """Risk genes of G genomes, each of shape (G,); a trailing stop of 0 is off."""

    stop_loss: NDArray[np.float64]
    take_profit: NDArray[np.float64]
    trailing_stop: NDArray[np.float64]
    position_size: NDArray[np.float64]
    max_holding_bars: NDArray[np.int64]


@compiled
def simulate_population(
    direction: NDArray[np.int8],
    conviction: NDArray[np.float64],
    bars: SleeveBars,
    risk: Risk,
    friction: Friction,
    totals: NDArray[np.float64],
    portfolio: NDArray[np.float64],
) -> None:
    """Trade G genomes' targets on one asset.

    Parameters
    ----------
    direction
        Sign of the target decided at each close, shape (G, n).
    conviction
        Absolute target, shape (G, n); of shape (G, 0) it stands for 1 throughout.
    bars, risk, friction
        The asset, the risk genes, the costs.
    totals
        Written: each sleeve's totals, shape (G, N_TOTALS).
    portfolio
        Added to: each sleeve's share of its portfolio's return, shape (G, any); bar t belongs to column
        t - `bars.origin`.
    """
    no_trades = np.empty((0, N_TRADE_COLUMNS))
    no_path = np.empty(0)
    for g in range(direction.shape[0]):
        simulate_sleeve(
            direction[g], conviction[g], bars, risk, g, friction, totals[g], portfolio[g], no_trades, no_path
        )


@compiled
def simulate_sleeve(
    direction: NDArray[np.int8],
    conviction: NDArray[np.float64],
    bars: SleeveBars,
    risk: Risk,
    g: int,
    friction: Friction,
    totals: NDArray[np.float64],
    portfolio: NDArray[np.float64],
    trades: NDArray[np.float64],
    equity_path: NDArray[np.float64],
) -> int:
    """Trade the targets of genome `g` on one asset: every run of one direction is at most one trade.

    Parameters
    ----------
    direction, conviction, totals, portfolio
        The genome's row of the arrays of `simulate_population`.
    bars, risk, friction
        As there.
    trades
        Written as far as it reaches: one row per trade, shape (any, N_TRADE_COLUMNS).
    equity_path
        Written: equity at the closes on which the sleeve holds or closes a position, in the columns of
        `portfolio`; of shape (0,) it is left out.

    Returns
    -------
    Number of trades, a last open one included.
    """
    n = direction.size
    size = risk.position_size[g]
    totals[:] = 0.0
    totals[EQUITY] = 1.0
    totals[DEEPEST] = 1.0
    totals[PEAK] = 1.0
    cash = 1.0
    exit_bar = -1
    count = 0
    i = max(bars.first - 1, 0)
    while i < n - 1:
        side = int(direction[i])
        decided, end = i, _end_of_run(direction, i)
        i = end
        if side == 0:
            continue
        # Rules 2 to 4: decided at a close, filled at the next open, worse by the slippage, sized on equity.
        entry = decided + 1
        if 0 <= exit_bar < entry:
            _mark(exit_bar, exit_bar + 1, cash, 0.0, bars, size, totals, portfolio, equity_path)
        before = cash
        notional = size * before * (conviction[decided] if conviction.size > 0 else 1.0)
        entry_price = bars.opens[entry] * (1.0 + side * friction.slippage)
        quantity = side * notional / entry_price
        entry_fee = friction.taker_fee * notional
        settled_before = bars.settled[entry - 1]
        cash = before - quantity * entry_price - entry_fee

        # Rules 5 to 8: what ends the position first.
        ordered = end + 1 if end < n else n
        deadline = _deadline(bars.rows, entry, risk.max_holding_bars[g])
        limit = min(ordered, deadline, n)
        if friction.stops_from_next_bar:
            scan_from, scan_to = entry + 1, min(limit + 1, n)
        else:
            scan_from, scan_to = entry, limit
        exit_bar, exit_price, reason = _find_risk_exit(scan_from, scan_to, side, entry_price, bars, risk, g)
        if reason == OPEN and limit < n:
            exit_bar, exit_price = limit, bars.opens[limit]
            reason = SIGNAL if ordered <= deadline else MAX_HOLDING
        elif reason == OPEN:
            exit_bar, exit_price = n - 1, bars.close[n - 1]
            reason = DELISTED if bars.delisted else OPEN
        elif exit_bar == ordered:
            i = _end_of_run(direction, end)
        if reason != TAKE_PROFIT and reason != OPEN:
            exit_price *= 1.0 - side * friction.slippage

        # Rules 9 to 12: mark the bars held through, pay their funding, book the trade.
        held_until = n if reason == OPEN else exit_bar
        base = cash + quantity * settled_before
        ruin = _mark(entry, held_until, base, quantity, bars, size, totals, portfolio, equity_path)
        totals[BARS_IN_POSITION] += held_until - entry
        if ruin < held_until:
            exit_bar, exit_price, reason = ruin, bars.close[ruin], RUINED
        paid_until = exit_bar if reason >= DELISTED else exit_bar - 1
        funding = quantity * (bars.settled[paid_until] - settled_before)
        value = cash - funding + quantity * exit_price
        exit_fee = 0.0 if reason >= RUINED else friction.taker_fee * abs(quantity) * exit_price
        cash = value - exit_fee
        if cash <= 0.0 and reason != RUINED:
            reason = RUINED
            _mark(exit_bar, exit_bar + 1, 0.0, 0.0, bars, size, totals, portfolio, equity_path)
        if reason == RUINED:
            cash = 0.0
        if count < trades.shape[0]:
            record = trades[count]
            record[ENTRY_BAR], record[EXIT_BAR], record[SIDE], record[QUANTITY] = entry, exit_bar, side, abs(quantity)
            record[ENTRY_PRICE], record[EXIT_PRICE] = entry_price, exit_price
            record[FEES], record[FUNDING] = entry_fee + exit_fee, funding
            record[PNL], record[RETURN], record[REASON] = cash - before, (cash - before) / before, reason
        count += 1
        _count_fill(entry, notional / before, bars, size, totals)
        if reason == OPEN:
            return count
        _count_trade((cash - before) / before, bars.rows[exit_bar] - bars.rows[entry], totals)
        if reason == RUINED:
            return count
        _count_fill(exit_bar, abs(quantity) * exit_price / value, bars, size, totals)
    if exit_bar >= 0:
        _mark(exit_bar, exit_bar + 1, cash, 0.0, bars, size, totals, portfolio, equity_path)
    return count


@compiled
def _end_of_run(direction: NDArray[np.int8], start: int) -> int:
    value = direction[start]
    end = start + 1
    while end < direction.size and direction[end] == value:
        end += 1
    return end


@compiled
def _deadline(rows: NDArray[np.int64], entry: int, bars: int) -> int:
    # Rule 7: the first bar that opens at least `bars` grid bars after the entry. Across a gap that is an earlier
    # valid bar than entry + bars; beyond the end it is n or more.
    deadline = entry + bars
    if deadline < rows.size and rows[deadline] - rows[entry] == bars:
        return deadline
    deadline = min(deadline, rows.size)
    while deadline > entry + 1 and rows[deadline - 1] - rows[entry] >= bars:
        deadline -= 1
    return deadline


@compiled
def _find_risk_exit(
    start: int, stop: int, side: int, entry_price: float, bars: SleeveBars, risk: Risk, g: int
) -> tuple[int, float, int]:
    # Rules 5 and 6: the first bar of start..stop-1 that reaches a stop or the target, the price there before
    # slippage, and which it was. Prices are taken times the side, so that one comparison serves longs and shorts.
    row = 1 if side > 0 else 0
    adverse, favourable, opens = bars.adverse[row], bars.favourable[row], bars.opens
    fixed = side * (entry_price * (1.0 - side * risk.stop_loss[g]))
    target = side * (entry_price * (1.0 + side * risk.take_profit[g]))
    trails = risk.trailing_stop[g] > 0.0
    retreat = 1.0 - side * risk.trailing_stop[g]
    best = side * entry_price
    for t in range(start, stop):
        level = max(fixed, best * retreat) if trails else fixed
        if adverse[t] <= level:
            return t, side * min(level, side * opens[t]), TRAILING_STOP if level > fixed else STOP_LOSS
        if favourable[t] >= target:
            return t, side * max(target, side * opens[t]), TAKE_PROFIT
        best = max(best, favourable[t])
    return stop, 0.0, OPEN


@compiled
def _mark(
    start: int,
    stop: int,
    base: float,
    quantity: float,
    bars: SleeveBars,
    position_size: float,
    totals: NDArray[np.float64],
    portfolio: NDArray[np.float64],
    equity_path: NDArray[np.float64],
) -> int:
    # Rule 9: mark the sleeve at the closes of bars start..stop-1, where it is worth base + quantity x funded close.
    # Returns the bar on which it is ruined (rule 12), or stop.
    close, funded, share, origin = bars.close, bars.funded, bars.share, bars.origin
    inverse_size = 1.0 / position_size
    size = abs(quantity)
    equity = totals[EQUITY]
    inverse_equity = 1.0 / equity
    peak, deepest = totals[PEAK], totals[DEEPEST]
    return_sum, return_squares, loss_squares = totals[RETURN_SUM], totals[RETURN_SQUARES], totals[LOSS_SQUARES]
    exposure, portfolio_exposure = totals[EXPOSURE], totals[PORTFOLIO_EXPOSURE]
    ruin = stop
    for t in range(start, stop):
        marked = max(base + quantity * funded[t], 0.0)
        gain = (marked - equity) * inverse_equity
        scale = min(1.0, share[t] * inverse_size)
        return_sum += gain
        return_squares += gain * gain
        loss = min(gain, 0.0)
        loss_squares += loss * loss
        portfolio[t - origin] += scale * gain
        equity = marked
        if equity_path.size > 0:
            equity_path[t - origin] = equity
        peak = max(peak, equity)
        if equity < peak * deepest:
            deepest = equity / peak
        if equity == 0.0:
            ruin = t
            break
        inverse_equity = 1.0 / equity
        weight = size * close[t] * inverse_equity
        exposure += weight
        portfolio_exposure += scale * weight
    totals[EQUITY] = equity
    totals[PEAK], totals[DEEPEST] = peak, deepest
    totals[RETURN_SUM], totals[RETURN_SQUARES], totals[LOSS_SQUARES] = return_sum, return_squares, loss_squares
    totals[EXPOSURE], totals[PORTFOLIO_EXPOSURE] = exposure, portfolio_exposure
    return ruin


@compiled
def _count_fill(t: int, weight: float, bars: SleeveBars, position_size: float, totals: NDArray[np.float64]) -> None:
    totals[TURNOVER] += weight
    totals[PORTFOLIO_TURNOVER] += min(1.0, bars.share[t] / position_size) * weight


@compiled
def _count_trade(trade_return: float, held_bars: int, totals: NDArray[np.float64]) -> None:
    totals[TRADES] += 1.0
    totals[HELD_BARS] += held_bars
    if trade_return > 0.0:
        totals[WINS] += 1.0
        totals[GAINS] += trade_return
    else:
        totals[LOSSES] -= trade_return
