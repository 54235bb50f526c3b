"""The execution model in code: one compiled walk over the bars of one asset; docs/execution.md numbers its rules."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.allocation import ALLOTMENT_LIMIT, LEAST_SCORE
from quant_organism.backtest.layout import (
    BARS_IN_POSITION,
    CALM,
    CALM_SUM,
    DEEPEST,
    DELISTED,
    ENTRY_BAR,
    ENTRY_PRICE,
    EQUITY,
    EXIT_BAR,
    EXIT_PRICE,
    EXPOSURE,
    FEAR,
    FEES,
    FUNDING,
    GAINS,
    GREED,
    HELD_BARS,
    LIQUIDATION,
    LIQUIDITY,
    LIQUIDITY_SUM,
    LISTED,
    LOSS_SQUARES,
    LOSSES,
    MARKET_PRODUCTS,
    MAX_HOLDING,
    MOMENTUM,
    MOMENTUM_SUM,
    N_TRADE_COLUMNS,
    NET_EXPOSURE,
    OPEN,
    PNL,
    QUANTITY,
    REASON,
    RETURN,
    RETURN_SQUARES,
    RETURN_SUM,
    RUINED,
    SIDE,
    SIGNAL,
    STOP_LOSS,
    TAKE_PROFIT,
    TRADES,
    TRAILING_STOP,
    TURBULENCE,
    TURNOVER,
    WINS,
    Friction,
    Risk,
    SleeveBars,
)
from quant_organism.backtest.margin import liquidation_fill, liquidation_price
from quant_organism.kernels.compiled import compiled
from quant_organism.kernels.lanes import (
    LANES,
    STEP,
    before,
    first,
    greatest,
    lane,
    least,
    load,
    maximum,
    minimum,
    running_maximum,
    set_true,
    shifted,
    splat,
    store,
    total,
    where,
)
from quant_organism.strategies.targets import Targets

AHEAD = LANES
"""Bars that a search for a stop or target looks over at once."""

_ONE = np.uint64(1)


@compiled
def entry_weight(known: NDArray[np.float64], side: int, g: int, risk: Risk) -> float:
    """Return the share of equity that genome `g` may enter a side with, given the context of the decision's bar.

    Rule 13, less by the mood that the side goes along with (rule 18).
    """
    liquidity, calm, momentum = risk.liquidity_weight[g], risk.calm_weight[g], risk.momentum_weight[g]
    score = liquidity * known[LIQUIDITY] + calm * known[CALM] + momentum * known[MOMENTUM]
    if score <= LEAST_SCORE:
        return 0.0
    scores = liquidity * known[LIQUIDITY_SUM] + calm * known[CALM_SUM] + momentum * known[MOMENTUM_SUM]
    size, limit = risk.position_size[g], risk.position_size_limit[g]
    gross = min(known[LISTED] * size, limit * scores)
    mood = 1.0 - risk.fear_greed_sensitivity[g] * known[GREED if side > 0 else FEAR]
    return float(min(size, min(score * limit, ALLOTMENT_LIMIT)) * min(1.0, 1.0 / gross) * mood)


@compiled
def simulate_population(
    targets: Targets,
    bars: SleeveBars,
    risk: Risk,
    friction: Friction,
    totals: NDArray[np.float64],
    portfolio: NDArray[np.float64],
    held: NDArray[np.bool_],
) -> None:
    """Trade G genomes' targets on one asset.

    Parameters
    ----------
    targets, bars, risk, friction
        What the genomes want, the asset, the genes that are applied, the costs.
    totals
        Written: each sleeve's totals, shape (G, N_TOTALS).
    portfolio
        Added to: each sleeve's return, shape (G, any); bar t belongs to column t - `bars.origin`.
    held
        Set where the sleeve holds a position through the close, shape of `portfolio`.
    """
    no_trades = np.empty((0, N_TRADE_COLUMNS))
    for g in range(targets.counts.size):
        simulate_sleeve(targets, g, bars, risk, friction, totals[g], portfolio[g], held[g], no_trades)


@compiled
def simulate_sleeve(
    targets: Targets,
    g: int,
    bars: SleeveBars,
    risk: Risk,
    friction: Friction,
    totals: NDArray[np.float64],
    portfolio: NDArray[np.float64],
    held: NDArray[np.bool_],
    trades: NDArray[np.float64],
) -> int:
    """Trade the targets of genome `g` on one asset: every run of one direction is at most one trade.

    Parameters
    ----------
    targets, bars, risk, friction
        As in `simulate_population`.
    totals, portfolio, held
        The genome's row of the arrays of `simulate_population`.
    trades
        Written as far as it reaches: one row per trade, shape (any, N_TRADE_COLUMNS).

    Returns
    -------
    Number of trades, a last open one included.
    """
    # One function on purpose: handing arrays to another, even to one that is inlined, costs more than a short trade.
    opens, close, rows, context = bars.opens, bars.close, bars.rows, bars.context
    begins, origin, market, settled, funded = bars.first, np.uint64(bars.origin), bars.market, bars.settled, bars.funded
    worst_ahead, best_ahead = bars.worst_ahead, bars.best_ahead
    adverse, favourable = bars.adverse.reshape(2 * close.size), bars.favourable.reshape(2 * close.size)
    changes, sides, convictions = targets.bars[g], targets.sides[g], targets.convictions[g]
    n_changes, n = targets.counts[g], close.size
    stop_loss, take_profit, trailing_stop = risk.stop_loss[g], risk.take_profit[g], risk.trailing_stop[g]
    max_holding, max_drawdown, calmest = risk.max_holding_bars[g], risk.max_drawdown[g], risk.volatility_threshold[g]
    trails = trailing_stop > 0.0
    highest_rate = friction.maintenance[friction.maintenance.size - 1]

    cash = equity = peak = deepest = inverse_equity = inverse_peak = 1.0
    turnover = gains = losses = 0.0
    none, one = splat(0.0), splat(1.0)
    return_sum = return_squares = loss_squares = market_products = exposure = net_exposure = none
    closed = wins = held_bars = bars_in_position = count = 0
    ruin = n
    skips_run = False
    weight = 0.0
    asked_from = begins - 1
    change = 0
    while change + 1 < n_changes and changes[change + 1] < begins:
        change += 1
    while change < n_changes and ruin == n:
        # Rule 4: a change of conviction alone does not end a run.
        begin = change
        side = int(sides[begin])
        change += 1
        while change < n_changes and sides[change] == side:
            change += 1
        if side == 0 or skips_run:
            skips_run = False
            continue

        # Rule 14: permission is asked at each close until the run ends. A reversal brings its weight with it.
        decided = max(int(changes[begin]), asked_from)
        last_chance = min(int(changes[change]) if change < n_changes else n, n - 1)
        while weight == 0.0 and decided < last_chance:
            if 1.0 - equity * inverse_peak >= max_drawdown:
                # Flat as it is, the sleeve stays where it is for ever.
                change = n_changes
                break
            if context[decided, TURBULENCE] <= calmest:
                weight = entry_weight(context[decided], side, g, risk)
            decided += 1
        if weight == 0.0:
            continue
        entry = decided

        # Rules 2 to 4: decided at a close, filled at the next open, worse by the slippage, sized on equity.
        opening = cash
        share = weight
        if convictions.size > 0:
            while begin + 1 < change and changes[begin + 1] < entry:
                begin += 1
            share = weight * convictions[begin]
        weight = 0.0
        entry_price = opens[entry] * (1.0 + side * friction.slippage)
        quantity = side * (share * opening / entry_price)
        entry_fee = friction.taker_fee * share * opening
        margin = friction.margin * share * opening
        settled_before = settled[entry - 1]

        # Rule 7: the first bar that opens at least so many grid bars after the entry.
        deadline = entry + max_holding
        if deadline >= n or rows[deadline] - rows[entry] > max_holding:
            deadline = min(deadline, n)
            while deadline > entry + 1 and rows[deadline - 1] - rows[entry] >= max_holding:
                deadline -= 1
        ordered = int(changes[change]) + 1 if change < n_changes else n
        limit = min(ordered, deadline, n)

        # Rules 5, 6 and 15: the first bar that reaches a stop or the target. Prices are taken times the side, so that
        # one comparison serves longs and shorts.
        row = 1 if side > 0 else 0
        own = np.uint64(row * n)
        fixed = side * (entry_price * (1.0 - side * stop_loss))
        target = side * (entry_price * (1.0 + side * take_profit))
        retreat = 1.0 - side * trailing_stop
        best = side * entry_price
        distance = side * ((1.0 - side * stop_loss) * (1.0 - side * highest_rate) - 1.0) + friction.margin
        margin_matters = bars.funding_reach[row] >= distance
        exit_bar, exit_price, reason = n - 1, close[n - 1], DELISTED if bars.delisted else OPEN
        fee_rate, fee_limit = friction.taker_fee, np.inf
        t, scan_until = entry, limit
        if friction.stops_from_next_bar:
            t, scan_until = entry + 1, min(limit + 1, n)
        elif not margin_matters:
            # Pass over the bars that reach no level.
            place, until = np.uint64(entry), np.uint64(limit)
            while place < until:
                if place + STEP <= until:
                    # Nothing happens in a stretch whose worst stays above the stop that its own best would set.
                    highest = max(best_ahead[row, place], best)
                    level = max(highest * retreat, fixed) if trails else fixed
                    if worst_ahead[row, place] > level and best_ahead[row, place] < target:
                        best = highest
                        place += STEP
                        continue
                inside, stops, earlier = before(place, until), splat(fixed), splat(best)
                reach = load(favourable, own + place, inside, -np.inf)
                running = maximum(running_maximum(reach), earlier)
                if trails:
                    earlier = shifted(running, earlier)
                    stops = maximum(earlier * splat(retreat), stops)
                reached = first((load(adverse, own + place, inside, np.inf) <= stops) | (reach >= splat(target)))
                place += reached
                if reached < STEP:
                    best = lane(earlier, reached)
                    break
                best = lane(running, STEP - _ONE)
            t = int(np.int64(min(place, until)))
        while t < scan_until:
            level, cause, balance = fixed, STOP_LOSS, margin
            if trails and best * retreat > fixed:
                level, cause = best * retreat, TRAILING_STOP
            if margin_matters:
                balance = margin - quantity * (settled[t - 1] - settled_before)
                liquidation = side * liquidation_price(side, abs(quantity), entry_price, balance, friction)
                if liquidation >= level:
                    level, cause = liquidation, LIQUIDATION
            if adverse[row * n + t] <= level:
                exit_bar, exit_price, reason = t, side * min(level, side * opens[t]), cause
                if cause == LIQUIDATION:
                    exit_price, fee_limit = liquidation_fill(exit_price, quantity, entry_price, balance, friction)
                else:
                    exit_price *= 1.0 - side * friction.slippage
                break
            if favourable[row * n + t] >= target:
                exit_bar, exit_price, reason = t, side * max(target, side * opens[t]), TAKE_PROFIT
                fee_rate = friction.maker_fee
                break
            best = favourable[row * n + t] if favourable[row * n + t] > best else best
            t += 1
        if reason >= DELISTED and limit < n:
            exit_bar, exit_price = limit, opens[limit] * (1.0 - side * friction.slippage)
            reason = SIGNAL if ordered <= deadline else MAX_HOLDING
        elif reason == DELISTED:
            exit_price *= 1.0 - side * friction.slippage
        # Rule 17: a bar that ends a position by a stop or target ignores its order.
        skips_run = exit_bar == ordered and reason != SIGNAL and reason < DELISTED

        # Rules 8 to 10: the cash that the trade leaves. Held through bar t, the sleeve is worth
        # base + quantity x funded[t].
        held_until = n if reason == OPEN else exit_bar
        paid_until = exit_bar if reason >= DELISTED else exit_bar - 1
        cash = opening - quantity * entry_price - entry_fee
        base = cash + quantity * settled_before
        funding = quantity * (settled[paid_until] - settled_before)
        value = cash - funding + quantity * exit_price
        traded = abs(quantity) * exit_price
        exit_fee = 0.0 if reason == OPEN else min(fee_rate * traded, fee_limit)
        cash = value - exit_fee
        if bars.funding_reach[row] > 1.0 or friction.stops_from_next_bar:
            # Elsewhere stops keep what a position can lose far below the equity.
            t = entry
            while t < held_until and base + quantity * funded[t] > 0.0:
                t += 1
            if t < held_until:
                exit_bar, exit_price, exit_fee, held_until, cash, reason = t, close[t], 0.0, t, 0.0, RUINED
                funding = quantity * (settled[t] - settled_before)
        if cash <= 0.0:
            ruin, cash, reason = exit_bar, 0.0, RUINED

        # Rules 9 and 12: mark the closes held through, then the one after the exit, unless a reversal holds through it.
        may_reverse = reason == SIGNAL and sides[change] != 0
        place, held_end = np.uint64(entry), np.uint64(held_until)
        until = held_end if may_reverse or reason == OPEN else held_end + _ONE
        worths = none
        while True:
            # What follows the last close of the trade repeats it, and gains nothing.
            after = cash if until > held_end else base + quantity * funded[until - _ONE]
            values, inverses = splat(equity), splat(inverse_equity)
            highest = lowest = values
            begun = int(np.int64(place))
            while place < until:
                inside, holds = before(place, until), before(place, held_end)
                earlier, inverses_before = values, inverses
                values = where(holds, splat(base) + splat(quantity) * load(funded, place, holds, 0.0), splat(after))
                inverses = one / values
                gain = where(inside, (values - shifted(values, earlier)) * shifted(inverses, inverses_before), none)
                loss = minimum(gain, none)
                return_sum += gain
                return_squares += gain * gain
                loss_squares += loss * loss
                market_products += gain * load(market, place, inside, 0.0)
                store(portfolio, place - origin, inside, load(portfolio, place - origin, inside, 0.0) + gain)
                set_true(held, place - origin, holds)
                worths += where(holds, load(close, place, holds, 0.0) * inverses, none)
                highest, lowest = maximum(highest, values), minimum(lowest, values)
                place += STEP
            top, bottom = greatest(highest), least(lowest)
            if top > peak and bottom < deepest * top:
                # A new height and a new depth in one trade: only their order tells how deep the drawdown was.
                for t in range(begun, int(np.int64(until))):
                    marked = base + quantity * funded[t] if t < held_until else cash
                    peak = max(peak, marked)
                    deepest = min(deepest, marked * (1.0 / peak))
            elif top <= peak:
                deepest = min(deepest, bottom * inverse_peak)
            if top >= peak:
                peak, inverse_peak = top, 1.0 / top
            equity, inverse_equity, place = after, 1.0 / after, until
            if reason == OPEN or until > held_end:
                break
            if 1.0 - equity * inverse_peak < max_drawdown and context[exit_bar - 1, TURBULENCE] <= calmest:
                weight = entry_weight(context[exit_bar - 1], int(sides[change]), g, risk)
                if weight > 0.0:
                    break
            until += _ONE
        asked_from = exit_bar
        net_exposure += splat(quantity) * worths
        exposure += splat(abs(quantity)) * worths

        # Book the trade.
        earned = (cash - opening) / opening
        if count < trades.shape[0]:
            trades[count, ENTRY_BAR], trades[count, EXIT_BAR] = entry, exit_bar
            trades[count, SIDE], trades[count, QUANTITY] = side, abs(quantity)
            trades[count, ENTRY_PRICE], trades[count, EXIT_PRICE] = entry_price, exit_price
            trades[count, FEES], trades[count, FUNDING] = entry_fee + exit_fee, funding
            trades[count, PNL], trades[count, RETURN], trades[count, REASON] = cash - opening, earned, reason
        count += 1
        bars_in_position += held_until - entry
        turnover += share
        if reason < RUINED:
            turnover += traded / value
        if reason != OPEN:
            closed += 1
            held_bars += rows[exit_bar] - rows[entry]
            wins += 1 if earned > 0.0 else 0
            gains += earned if earned > 0.0 else 0.0
            losses -= earned if earned < 0.0 else 0.0
    totals[RETURN_SUM], totals[RETURN_SQUARES] = total(return_sum), total(return_squares)
    totals[LOSS_SQUARES], totals[MARKET_PRODUCTS] = total(loss_squares), total(market_products)
    totals[EQUITY], totals[DEEPEST] = equity, deepest
    totals[EXPOSURE], totals[NET_EXPOSURE], totals[TURNOVER] = total(exposure), total(net_exposure), turnover
    totals[TRADES], totals[WINS], totals[GAINS], totals[LOSSES] = closed, wins, gains, losses
    totals[HELD_BARS], totals[BARS_IN_POSITION] = held_bars, bars_in_position
    return count
