"""The execution model in code: one compiled walk over the bars of one asset; docs/execution.md numbers its rules."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.compiled import compiled
from quant_organism.strategies.targets import Targets

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
N_TOTALS = 15

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


AHEAD = 8
"""Bars that a search for a stop or target looks over at once."""

_STRETCH = 64
"""Bars that are marked at once."""


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
    worst_ahead: NDArray[np.float64]
    best_ahead: NDArray[np.float64]
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
    targets: Targets,
    bars: SleeveBars,
    risk: Risk,
    friction: Friction,
    totals: NDArray[np.float64],
    portfolio: NDArray[np.float64],
) -> None:
    """Trade G genomes' targets on one asset.

    Parameters
    ----------
    targets, bars, risk, friction
        What the genomes want, the asset, the risk genes, the costs.
    totals
        Written: each sleeve's totals, shape (G, N_TOTALS).
    portfolio
        Added to: each sleeve's share of its portfolio's return, shape (G, any); bar t belongs to column
        t - `bars.origin`.
    """
    no_trades = np.empty((0, N_TRADE_COLUMNS))
    for g in range(targets.counts.size):
        simulate_sleeve(targets, g, bars, risk, friction, totals[g], portfolio[g], no_trades)


@compiled
def simulate_sleeve(
    targets: Targets,
    g: int,
    bars: SleeveBars,
    risk: Risk,
    friction: Friction,
    totals: NDArray[np.float64],
    portfolio: NDArray[np.float64],
    trades: NDArray[np.float64],
) -> int:
    """Trade the targets of genome `g` on one asset: every run of one direction is at most one trade.

    Parameters
    ----------
    targets, bars, risk, friction
        As in `simulate_population`.
    totals, portfolio
        The genome's row of the arrays of `simulate_population`.
    trades
        Written as far as it reaches: one row per trade, shape (any, N_TRADE_COLUMNS).

    Returns
    -------
    Number of trades, a last open one included.
    """
    # One function on purpose: handing arrays to another, even to one that is inlined, costs more than a short trade.
    opens, close, rows, share, first, origin = bars.opens, bars.close, bars.rows, bars.share, bars.first, bars.origin
    adverse, favourable, settled, funded = bars.adverse, bars.favourable, bars.settled, bars.funded
    worst_ahead, best_ahead = bars.worst_ahead, bars.best_ahead
    changes, sides, convictions = targets.bars[g], targets.sides[g], targets.convictions[g]
    n_changes, n = targets.counts[g], close.size
    stop_loss, take_profit, trailing_stop = risk.stop_loss[g], risk.take_profit[g], risk.trailing_stop[g]
    size, inverse_size = risk.position_size[g], 1.0 / risk.position_size[g]
    trails = trailing_stop > 0.0
    marks, inverses = np.empty(_STRETCH), np.empty(_STRETCH)

    cash = equity = peak = deepest = inverse_equity = inverse_peak = 1.0
    return_sum = return_squares = loss_squares = 0.0
    exposure = portfolio_exposure = turnover = portfolio_turnover = 0.0
    gains = losses = 0.0
    closed = wins = held_bars = bars_in_position = count = 0
    ruin = n
    skips_run = False
    change = 0
    while change + 1 < n_changes and changes[change + 1] < first:
        change += 1
    while change < n_changes and ruin == n:
        # Rule 4: a change of conviction alone does not end a run.
        side = int(sides[change])
        decided = max(int(changes[change]), first - 1)
        conviction = convictions[change] if convictions.size > 0 else 1.0
        change += 1
        while change < n_changes and sides[change] == side:
            change += 1
        if side == 0 or skips_run or decided >= n - 1:
            skips_run = False
            continue

        # Rules 2 to 4: decided at a close, filled at the next open, worse by the slippage, sized on equity.
        entry = decided + 1
        before = cash
        weight = size * conviction
        entry_price = opens[entry] * (1.0 + side * friction.slippage)
        quantity = side * (weight * before / entry_price)
        entry_fee = friction.taker_fee * weight * before

        # Rule 7: the first bar that opens at least so many grid bars after the entry.
        deadline = entry + risk.max_holding_bars[g]
        if deadline >= n or rows[deadline] - rows[entry] > risk.max_holding_bars[g]:
            deadline = min(deadline, n)
            while deadline > entry + 1 and rows[deadline - 1] - rows[entry] >= risk.max_holding_bars[g]:
                deadline -= 1
        ordered = int(changes[change]) + 1 if change < n_changes else n
        limit = min(ordered, deadline, n)

        # Rules 5 and 6: the first bar that reaches a stop or the target. Prices are taken times the side, so that
        # one comparison serves longs and shorts.
        row = 1 if side > 0 else 0
        fixed = side * (entry_price * (1.0 - side * stop_loss))
        target = side * (entry_price * (1.0 + side * take_profit))
        retreat = 1.0 - side * trailing_stop
        best = side * entry_price
        exit_bar, exit_price, reason = n - 1, close[n - 1], DELISTED if bars.delisted else OPEN
        t = entry
        scan_until = limit
        if friction.stops_from_next_bar:
            t, scan_until = entry + 1, min(limit + 1, n)
        while t < scan_until:
            if t + AHEAD <= scan_until:
                # Nothing happens in a stretch whose worst stays above the stop that its own best would set.
                highest = best_ahead[row, t] if best_ahead[row, t] > best else best
                level = highest * retreat if trails and highest * retreat > fixed else fixed
                if worst_ahead[row, t] > level and best_ahead[row, t] < target:
                    best = highest
                    t += AHEAD
                    continue
            level = best * retreat if trails and best * retreat > fixed else fixed
            if adverse[row, t] <= level:
                exit_bar, exit_price = t, side * min(level, side * opens[t]) * (1.0 - side * friction.slippage)
                reason = TRAILING_STOP if level > fixed else STOP_LOSS
                break
            if favourable[row, t] >= target:
                exit_bar, exit_price, reason = t, side * max(target, side * opens[t]), TAKE_PROFIT
                break
            best = favourable[row, t] if favourable[row, t] > best else best
            t += 1
        if reason >= DELISTED and limit < n:
            exit_bar, exit_price = limit, opens[limit] * (1.0 - side * friction.slippage)
            reason = SIGNAL if ordered <= deadline else MAX_HOLDING
        elif reason == DELISTED:
            exit_price *= 1.0 - side * friction.slippage
        # Rule 14: a bar that ends a position by a stop or target ignores its order.
        skips_run = exit_bar == ordered and reason != SIGNAL and reason < DELISTED

        # Rules 8 to 10: the cash that the trade leaves. Held through bar t, the sleeve is worth
        # base + quantity x funded[t].
        held_until = n if reason == OPEN else exit_bar
        paid_until = exit_bar if reason >= DELISTED else exit_bar - 1
        settled_before = settled[entry - 1]
        cash = before - quantity * entry_price - entry_fee
        base = cash + quantity * settled_before
        funding = quantity * (settled[paid_until] - settled_before)
        value = cash - funding + quantity * exit_price
        traded = abs(quantity) * exit_price
        exit_fee = 0.0 if reason == OPEN else friction.taker_fee * traded
        cash = value - exit_fee
        reverses = reason == SIGNAL and exit_bar == ordered and sides[change] != 0 and cash > 0.0

        # Rules 9 and 12: mark the closes held through, and the one after the exit unless a reversal holds through it.
        # What holds this loop back is division, so it is done for a stretch at once, and branches that cannot be
        # foreseen, so there are none but for ruin. Unsigned places spare the compiler the thought of negative ones.
        marked_until = held_until if reason == OPEN or reverses else held_until + 1
        for begin in range(entry, marked_until, _STRETCH):
            end = min(begin + _STRETCH, marked_until)
            from_place, to_place = np.uint64(begin), np.uint64(end)
            for place in range(from_place, to_place):
                marks[place - from_place] = base + quantity * funded[place]
                inverses[place - from_place] = 1.0 / (base + quantity * funded[place])
            if end > held_until:
                marks[end - begin - 1] = cash
                inverses[end - begin - 1] = 1.0 / cash
            for place in range(from_place, to_place):
                marked = marks[place - from_place]
                if marked <= 0.0:
                    marked = 0.0
                    ruin = int(np.int64(place))
                gain = (marked - equity) * inverse_equity
                loss = gain if gain < 0.0 else 0.0
                scale = share[place] * inverse_size
                scale = scale if scale < 1.0 else 1.0
                return_sum += gain
                return_squares += gain * gain
                loss_squares += loss * loss
                portfolio[place - np.uint64(origin)] += scale * gain
                equity = marked
                if ruin < n:
                    break
                inverse_equity = inverses[place - from_place]
                inverse_peak = inverse_equity if equity > peak else inverse_peak
                peak = equity if equity > peak else peak
                depth = equity * inverse_peak
                deepest = depth if depth < deepest else deepest
                held = abs(quantity) * close[place] * inverse_equity if place < np.uint64(held_until) else 0.0
                exposure += held
                portfolio_exposure += scale * held
            if ruin < n:
                break
        if ruin < n:
            reason, cash, deepest = RUINED, 0.0, 0.0
        if ruin < held_until:
            exit_bar, exit_price, exit_fee, held_until = ruin, close[ruin], 0.0, ruin
            funding = quantity * (settled[ruin] - settled_before)

        # Book the trade.
        earned = (cash - before) / before
        if count < trades.shape[0]:
            trades[count, ENTRY_BAR], trades[count, EXIT_BAR] = entry, exit_bar
            trades[count, SIDE], trades[count, QUANTITY] = side, abs(quantity)
            trades[count, ENTRY_PRICE], trades[count, EXIT_PRICE] = entry_price, exit_price
            trades[count, FEES], trades[count, FUNDING] = entry_fee + exit_fee, funding
            trades[count, PNL], trades[count, RETURN], trades[count, REASON] = cash - before, earned, reason
        count += 1
        bars_in_position += held_until - entry
        turnover += weight
        portfolio_turnover += min(1.0, share[entry] * inverse_size) * weight
        if reason < RUINED:
            turnover += traded / value
            portfolio_turnover += min(1.0, share[exit_bar] * inverse_size) * (traded / value)
        if reason != OPEN:
            closed += 1
            held_bars += rows[exit_bar] - rows[entry]
            wins += 1 if earned > 0.0 else 0
            gains += earned if earned > 0.0 else 0.0
            losses -= earned if earned < 0.0 else 0.0
    totals[RETURN_SUM], totals[RETURN_SQUARES], totals[LOSS_SQUARES] = return_sum, return_squares, loss_squares
    totals[EQUITY], totals[DEEPEST] = equity, deepest
    totals[EXPOSURE], totals[PORTFOLIO_EXPOSURE] = exposure, portfolio_exposure
    totals[TURNOVER], totals[PORTFOLIO_TURNOVER] = turnover, portfolio_turnover
    totals[TRADES], totals[WINS], totals[GAINS], totals[LOSSES] = closed, wins, gains, losses
    totals[HELD_BARS], totals[BARS_IN_POSITION] = held_bars, bars_in_position
    return count
