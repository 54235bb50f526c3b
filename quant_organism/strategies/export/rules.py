"""The rules of the families in plain numpy: what exported files carry.

Each rule takes the bars of one asset without gaps, genes by name and the length of a bar in hours, and returns the
target in [-1, 1] decided at each close, shape (n,). They are written for reading; `families/` holds the compiled ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.export.series import (
    Bars,
    Marks,
    Series,
    atr,
    crosses_above,
    deviation,
    divergence,
    efficiency_ratio,
    ema,
    highest,
    kernel_regression,
    log_return_deviation,
    lowest,
    midrange,
    rate_of_change,
    rsi,
    sma,
    stochastic_d,
    stochastic_k,
    swing,
    volatility_ratio,
    vwap_moments,
    z_score,
)

Genes = Mapping[str, Any]
Rule = Callable[[Bars, Genes, float], Series]


def hold(first: int, enter_long: Marks, enter_short: Marks, exit_long: Marks, exit_short: Marks) -> Series:
    """Return the side held from bar `first` on: an exit ends it, an entry counts while its own exit does not hold."""
    target, state = np.zeros(enter_long.size), 0
    marks = np.stack([enter_long & ~exit_long, enter_short & ~exit_short, exit_long, exit_short])
    for t in range(first, target.size):
        long, short, end_long, end_short = marks[:, t]
        if (state > 0 and end_long) or (state < 0 and end_short):
            state = 0
        if long != short:
            state = 1 if long else -1
        target[t] = state
    return target


def target_of(rule: Rule, genes: Genes, columns: Bars, reads: Sequence[str], bar_hours: float) -> Series:
    """Return the targets of a rule over bars with gaps, which are left out: the target repeats the one before."""
    read = {name: np.asarray(columns[name], dtype=np.float64) for name in reads}
    valid = np.all([np.isfinite(column) for column in read.values()], axis=0)
    with np.errstate(all="ignore"):
        target = rule({name: column[valid] for name, column in read.items()}, genes, bar_hours)
    return np.asarray(np.concatenate([[0.0], target])[np.cumsum(valid)] + 0.0)


def sma_trend_filter(bars: Bars, genes: Genes, bar_hours: float) -> Series:
    """Enter with the averages in a straight move whose closes are beyond the faster one; leave when they cross."""
    close, window = bars["close"], genes["trend_strength_period"]
    fast, slow = sma(close, genes["fast_sma_period"]), sma(close, genes["slow_sma_period"])
    least = math.ceil(genes["momentum_confirmation"] * window)
    above, below = (np.concatenate([[0], np.cumsum(side)]) for side in (close > fast, close < fast))
    enough_above, enough_below = np.zeros(close.size, dtype=bool), np.zeros(close.size, dtype=bool)
    enough_above[window:] = above[window + 1 :] - above[1:-window] >= least
    enough_below[window:] = below[window + 1 :] - below[1:-window] >= least
    straight = efficiency_ratio(close, window) >= 0.5 * genes["filter_sensitivity"]
    first = max(genes["slow_sma_period"] - 1, genes["fast_sma_period"] + window - 2, window)
    up, down = (fast > slow) & straight & enough_above, (fast < slow) & straight & enough_below
    return hold(first, up, down, fast <= slow, fast >= slow)


def ema_crossover(bars: Bars, genes: Genes, bar_hours: float) -> Series:
    """Enter with the gap between two exponential averages and the rate of change, leave when the gap closes."""
    close, fast, slow = bars["close"], genes["fast_ema_period"], genes["slow_ema_period"]
    gap, rate = ema(close, fast) / ema(close, slow) - 1.0, rate_of_change(close, fast)
    up = (gap > genes["trend_filter"]) & (rate > genes["momentum_threshold"])
    down = (gap < -genes["trend_filter"]) & (rate < -genes["momentum_threshold"])
    return hold(slow - 1, up, down, gap < 0.0, gap > 0.0)


def rsi_filter(bars: Bars, genes: Genes, bar_hours: float) -> Series:
    """Buy oversold and sell overbought bars, sooner when price and index diverge; leave near the middle."""
    close, period = bars["close"], genes["rsi_period"]
    index, shift = rsi(close, period), 10.0 * genes["divergence_weight"]
    bullish, bearish = divergence(close, close, index, period, 1)
    up = index <= genes["oversold_threshold"] + np.where(bullish, shift, 0.0)
    down = index >= genes["overbought_threshold"] - np.where(bearish, shift, 0.0)
    windows = 3
    if genes["operation_mode"] == "trend_filter":
        windows, average = 5, sma(close, 5 * period)
        up, down = up & (close > average), down & (close < average)
    return hold(windows * period - 1, up, down, index >= genes["exit_level"], index <= 100.0 - genes["exit_level"])


def stochastic_oscillator(bars: Bars, genes: Genes, bar_hours: float) -> Series:
    """Buy when %K crosses above %D out of the oversold zone, sell when it crosses below out of the overbought one."""
    period = genes["k_period"]
    k, d = stochastic_k(bars, period), stochastic_d(bars, period, genes["d_period"])
    bullish, bearish = divergence(bars["high"], bars["low"], k, period, 0)
    shift, before = 20.0 * genes["divergence_sensitivity"], np.concatenate([[np.nan], k[:-1]])
    overbought, oversold = genes["overbought_level"], genes["oversold_level"]
    up = crosses_above(k, d) & (before <= oversold + np.where(bullish, shift, 0.0))
    down = crosses_above(d, k) & (before >= overbought - np.where(bearish, shift, 0.0))
    return hold(3 * period - 2, up, down, k >= overbought, k <= oversold)


def donchian_breakout(bars: Bars, genes: Genes, bar_hours: float) -> Series:
    """Enter on a break of the N-bar channel that volume, trend and later closes confirm; leave by a shorter one."""
    close, period = bars["close"], genes["channel_period"]
    exit_period = max(2, math.floor(period * genes["exit_period_ratio"]))
    upper, lower = highest(bars["high"], period, 1), lowest(bars["low"], period, 1)
    long_upper, long_lower = highest(bars["high"], 3 * period, 1), lowest(bars["low"], 3 * period, 1)
    confirmed = bars["volume"] >= genes["volume_confirmation"] * sma(bars["volume"], period, 1)
    reach, beyond = genes["trend_bias"] * (long_upper - long_lower), 1.0 + genes["breakout_threshold"]
    up = (close > upper * beyond) & confirmed & (close >= long_lower + reach)
    down = (close < lower / beyond) & confirmed & (close <= long_upper - reach)
    first = 3 * period
    if genes["false_breakout_filter"] > 0:
        closes = genes["false_breakout_filter"]
        up, down = confirmed_breaks(first, close, upper * beyond, lower / beyond, up, down, closes)
    below, above = close < lowest(bars["low"], exit_period, 1), close > highest(bars["high"], exit_period, 1)
    return hold(first, up, down, below, above)


def confirmed_breaks(
    first: int, close: Series, upper: Series, lower: Series, up: Marks, down: Marks, closes: int
) -> tuple[Marks, Marks]:
    """Return, for breaks of a level, the bar on which the last of so many later closes beyond it confirms each."""
    long, short = np.zeros(close.size, dtype=bool), np.zeros(close.size, dtype=bool)
    pending, level, count = 0, 0.0, 0
    for t in range(first, close.size):
        broken, fired = (1 if up[t] else 0) - (1 if down[t] else 0), 0
        if pending:
            count += 1
            if not (close[t] > level if pending > 0 else close[t] < level):
                pending = 0
            elif count == closes:
                fired, pending = pending, 0
        if not fired and broken and broken != pending:
            pending, level, count = broken, upper[t] if broken > 0 else lower[t], 0
        long[t], short[t] = fired > 0, fired < 0
    return long, short


def ichimoku_cloud(bars: Bars, genes: Genes, bar_hours: float) -> Series:
    """Enter when the weighted votes of cloud, lines and lagging close carry half the weight; leave when they cancel."""
    close, shift = bars["close"], genes["kijun_period"]
    tenkan, kijun = midrange(bars, genes["tenkan_period"]), midrange(bars, shift)
    past = [np.concatenate([np.full(shift, np.nan), line])[: close.size] for line in (tenkan, kijun, close)]
    span_a = (past[0] + past[1]) / 2.0
    span_b = np.concatenate([np.full(shift, np.nan), midrange(bars, genes["senkou_span_b_period"])])[: close.size]
    cloud = (close > np.maximum(span_a, span_b)) * 1.0 - (close < np.minimum(span_a, span_b)) * 1.0
    lines = (tenkan > kijun) * 1.0 - (tenkan < kijun) * 1.0
    lagging = (close > past[2]) * 1.0 - (close < past[2]) * 1.0
    weight, late = genes["cloud_strength_weight"], genes["momentum_confirmation"]
    score = (1.0 - late) * (weight * cloud + (1.0 - weight) * lines) + late * lagging
    first = genes["senkou_span_b_period"] + shift - 1
    return hold(first, score >= 0.5 - 1e-9, score <= 1e-9 - 0.5, score <= 1e-9, score >= -1e-9)


def vwap_reversion(bars: Bars, genes: Genes, bar_hours: float) -> Series:
    """Enter against a distant close on enough volume where price does not trend; leave at the volume-weighted price."""
    close, period = bars["close"], genes["vwap_period"]
    centre, spread = vwap_moments(bars, period)
    away = close - centre
    limit = np.maximum(genes["deviation_multiplier"] * spread, genes["reversion_threshold"] * centre)
    traded = bars["volume"] >= genes["volume_confirmation"] * sma(bars["volume"], period, 1)
    straight = efficiency_ratio(close, period) <= 1.0 - 0.8 * genes["regime_detection_weight"]
    fades = (spread > 0.0) & traded & straight
    return hold(period, fades & (away <= -limit), fades & (away >= limit), away >= 0.0, away <= 0.0)


def nadaraya_watson(bars: Bars, genes: Genes, bar_hours: float) -> Series:
    """Enter where the smoothed regression line is steep and price lies beyond it; leave when the slope turns."""
    close, bandwidth, memory = bars["close"], genes["bandwidth"], genes["smoothing_factor"]
    raw = kernel_regression(close, bandwidth, genes["kernel_type"])
    line, lead = raw.copy(), 0.0
    seed = 3 * bandwidth if genes["kernel_type"] == "gaussian" else bandwidth - 1
    for t in range(seed + 1, close.size):
        lead = memory * (lead - (raw[t] - raw[t - 1]))
        line[t] = raw[t] + lead
    slope = rate_of_change(line, max(1, (bandwidth + 1) // 2))
    threshold = genes["trend_threshold"] * volatility_ratio(close, bandwidth) ** genes["volatility_adaptation"]
    steep = np.abs(slope) > threshold
    up, down = steep & (slope > 0.0) & (close > line), steep & (slope < 0.0) & (close < line)
    return hold(4 * bandwidth, up, down, slope <= 0.0, slope >= 0.0)


def bollinger_bands(bars: Bars, genes: Genes, bar_hours: float) -> Series:
    """Hold breakouts at full and fades at scaled conviction until price is back at the average."""
    close, period, fade = bars["close"], genes["lookback_period"], genes["position_scaling_factor"]
    z, width = z_score(close, period), deviation(close, period) / sma(close, period)
    band, beyond = genes["volatility_multiplier"], genes["volatility_multiplier"] + genes["breakout_strength"]
    target, window, state, conviction, ends_above = np.zeros(close.size), 5 * period, 0, 0.0, False
    for t in range(6 * period - 1, close.size):
        squeezed = np.count_nonzero(width[t - window : t] < width[t - 1]) < genes["squeeze_threshold"] * window
        if (state and ends_above and z[t] >= 0.0) or (state and not ends_above and z[t] <= 0.0):
            state, conviction = 0, 0.0
        if squeezed:
            called = 1 if z[t] > beyond else -1 if z[t] < -beyond else 0
        else:
            called = 0 if fade <= 0.0 else 1 if z[t] <= -band else -1 if z[t] >= band else 0
        if called and called != state:
            state, conviction = called, 1.0 if squeezed else fade
            ends_above = (called > 0) != squeezed
        target[t] = state * conviction
    return target


def volatility_scaling(bars: Bars, genes: Genes, bar_hours: float) -> Series:
    """Hold the direction of two windows of price, sized by target over realised volatility, less in lasting stress."""
    close, window = bars["close"], genes["volatility_window"]
    first, target, held, stress = 4 * window, np.zeros(close.size), 0.0, 0
    if first >= close.size:
        return target
    short, long = log_return_deviation(close, window), log_return_deviation(close, 4 * window)
    near, far = np.sign(close[first:] - close[first - window : -window]), np.sign(close[first:] - close[:-first])
    weight, annual = genes["multi_timeframe_weight"], math.sqrt(8760.0 / bar_hours)
    sizes = np.minimum(1.0, genes["target_volatility"] / (short[first:] * annual))
    exposures = ((1.0 - weight) * near + weight * far) * sizes
    stressed = (short > 0.0) & (short >= genes["regime_threshold"] * long)
    for t, exposure in enumerate(exposures.tolist(), first):
        stress = stress + 1 if stressed[t] else 0
        wanted = exposure * genes["scaling_factor"] if stress >= genes["regime_persistence"] else exposure
        if wanted * held <= 0.0 or abs(wanted - held) >= genes["rebalance_band"]:
            held = wanted
        target[t] = held
    return target


def atr_stop_loss(bars: Bars, genes: Genes, bar_hours: float) -> Series:
    """Enter on a close beyond the closes before it, sized by risk; leave at a stop that trails once it breaks even."""
    close, period = bars["close"], genes["atr_period"]
    target, first = np.zeros(close.size), 4 * period - 1
    if first >= close.size:
        return target
    ranges = atr(bars, period)
    usual = np.concatenate([np.full(period, np.nan), sma(ranges[period:], 3 * period)])
    wider = np.where(usual == 0.0, 0.0, np.log(np.clip(ranges / usual, 0.5, 2.0)))
    wide = np.exp(genes["volatility_adjustment"] * wider)
    broken = (close > highest(close, period, 1)) * 1 - (close < lowest(close, period, 1)) * 1
    side, conviction, entry, best, stop = 0, 0.0, 0.0, 0.0, 0.0
    for t in range(first, close.size):
        price = side * close[t]
        if side and not (price <= stop or broken[t] == -side):
            best = max(best, price)
            trailed = best - genes["trailing_stop_multiplier"] * (ranges[t] * wide[t])
            if trailed >= entry and trailed > stop:
                stop = trailed
        elif broken[t]:
            side = int(broken[t])
            risk = genes["position_size_atr_factor"] / 100.0
            conviction = 1.0 if ranges[t] == 0.0 else min(1.0, risk / (ranges[t] / close[t]))
            entry = best = side * close[t]
            stop = entry - genes["stop_loss_multiplier"] * (ranges[t] * wide[t])
        else:
            side = 0
        target[t] = side * conviction
    return target


def fibonacci_retracement(bars: Bars, genes: Genes, bar_hours: float) -> Series:
    """Enter in the swing's direction where a bar touches its retracement and closes back; aim at the swing's end."""
    close, window = bars["close"], genes["fibonacci_window"]
    start, end = swing(bars, window, genes["pivot_detection_method"])
    rise = end - start
    level, near = end - float(genes["fibonacci_level"]) * rise, 1.0 + genes["confluence_threshold"]
    before, usual = (np.concatenate([[np.nan], line[:-1]]) for line in (close, atr(bars, 14)))
    spans = np.abs(rise) >= (2.0 + 8.0 * genes["trend_confirmation"]) * usual
    traded = bars["volume"] >= 1.5 * genes["volume_confirmation"] * sma(bars["volume"], window, 1)
    up = (rise > 0.0) & (bars["low"] <= level * near) & (close >= level) & (close > before) & (close < end)
    down = (rise < 0.0) & (bars["high"] >= level / near) & (close <= level) & (close < before) & (close > end)
    called = (up & spans & traded) * 1 - (down & spans & traded) * 1
    target, state, aim, origin = np.zeros(close.size), 0, 0.0, 0.0
    for t in range(window, close.size):
        price = state * close[t]
        if state and (price >= state * aim or price < state * origin):
            state = 0
        if called[t] and called[t] != state:
            state, aim, origin = int(called[t]), end[t], start[t]
        target[t] = state
    return target


def funding_rate_carry(bars: Bars, genes: Genes, bar_hours: float) -> Series:
    """Short what longs pay for, and the reverse; leave when the carry fades or after the longest hold."""
    window = max(1, math.ceil(genes["funding_persistence"] / bar_hours))
    longest = max(1, math.ceil(genes["carry_duration"] / bar_hours))
    mean = sma(bars["funding_rate"], window)
    target, first = np.zeros(mean.size), 2 * window - 1
    if first >= mean.size:
        return target
    threshold = genes["funding_threshold"]
    least = genes["reversal_sensitivity"] * threshold
    state = blocked = entered = 0
    for t in range(first, mean.size):
        expected = mean[t] + genes["rate_momentum"] * (mean[t] - mean[t - window])
        long, short = expected <= -threshold and -mean[t] >= least, expected >= threshold and mean[t] >= least
        called = 1 if long else -1 if short else 0
        # A side that was held for the whole duration waits until the rate has once ceased to call for it.
        if called != blocked:
            blocked = 0
        if state and t - entered >= longest:
            blocked, state = state, 0
        elif state and -state * mean[t] < least:
            state = 0
        if called and called not in (state, blocked):
            state, entered = called, t
        target[t] = state
    return target


def composite(bars: Bars, genes: Genes, bar_hours: float) -> Series:
    """Enter when the weighted votes of all trees, and enough of them, point one way; leave when they no longer do."""
    groups: list[list[NDArray[np.int64]]] = genes["votes"](bars, bar_hours)
    weights = [genes[f"signal_{name}_weight"] for name in ("momentum", "reversion", "breakout", "confluence")]
    none = np.zeros(bars["close"].size, dtype=bool)
    if sum(weights) == 0.0:
        return hold(genes["first_bar"], none, none, none, none)
    every = [vote for group in groups for vote in group]
    balance, cast = sum(every), sum(np.abs(vote) for vote in every)
    score = weights[3] * ((balance / len(every)) * (cast / len(every)))
    score = sum(w * (sum(group) / len(group)) for w, group in zip(weights, groups, strict=False)) + score
    score = score / (weights[0] + weights[1] + weights[2] + weights[3])
    moved = (bars["high"] != bars["low"]) | (np.diff(bars["high"], prepend=bars["high"][:1]) != 0.0)
    bar = np.arange(moved.size)
    # Where price has rested for longer than the trees look back, they say nothing.
    rests = bar - np.maximum.accumulate(np.where(moved, bar, -1)) > genes["first_bar"]
    up = (score >= genes["entry_score"]) & (cast + balance >= 2 * genes["minimum_signals"]) & ~rests
    down = (score <= -genes["entry_score"]) & (cast - balance >= 2 * genes["minimum_signals"]) & ~rests
    return hold(genes["first_bar"], up, down, (score <= 0.0) | rests, (score >= 0.0) | rests)


def conditions(bars: Bars, genes: Genes, bar_hours: float) -> Series:
    """Enter and leave where the written conditions hold, on closed bars."""
    none = np.zeros(bars["close"].size, dtype=bool)
    marks = [none if genes[name] is None else genes[name](bars) for name in ("enter_long", "enter_short")]
    marks += [none if genes[name] is None else genes[name](bars) for name in ("exit_long", "exit_short")]
    return hold(genes["first_bar"], *marks)


RULES: Final[dict[str, Rule]] = {
    rule.__name__: rule
    for rule in (
        *(atr_stop_loss, bollinger_bands, composite, conditions, donchian_breakout, ema_crossover),
        *(fibonacci_retracement, funding_rate_carry, ichimoku_cloud, nadaraya_watson, rsi_filter),
        *(sma_trend_filter, stochastic_oscillator, volatility_scaling, vwap_reversion),
    )
}
"""The rule of each family that has one here."""
