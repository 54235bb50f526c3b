"""What each rule-based family decides, bar by bar, from its genes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from vectorbt.generic.nb import ewm_mean_1d_nb

from benchmarks.vectorbt_signals import loops
from benchmarks.vectorbt_signals.indicators import Indicators
from benchmarks.vectorbt_signals.trees import Votes
from quant_organism.strategies import get_family
from quant_organism.strategies.operators import default_genome

Genes = Mapping[str, Any]
Sides = NDArray[np.int8]
Decide = Callable[[Genes, Indicators, int], Sides]
"""Makes the side held at each bar from genes, indicators and the first bar to decide."""

_ROUNDING = 1e-9
"""Weights that should add up to one half may miss it by rounding."""


def atr_stop_loss(genes: Genes, rows: Indicators, first: int) -> Sides:
    """Follow breaks of the closes before, until a close at a stop that moves with the average true range."""
    period = genes["atr_period"]
    reach = rows.atr(period) * np.exp(genes["volatility_adjustment"] * rows.log_atr_ratio(period))
    return loops.hold_behind_stops(
        rows.close,
        rows.close_breakout(period),
        genes["stop_loss_multiplier"] * reach,
        genes["trailing_stop_multiplier"] * reach,
        first,
    )


def bollinger_bands(genes: Genes, rows: Indicators, first: int) -> Sides:
    """Follow breaks out of a squeeze, fade closes beyond the bands elsewhere, until price is at its mean."""
    period, band = genes["lookback_period"], genes["volatility_multiplier"]
    z_score, breakout = rows.z_score(period), band + genes["breakout_strength"]
    squeezed = rows.bandwidth_rank(period) < genes["squeeze_threshold"] * (5 * period)
    up, down = squeezed & (z_score > breakout), squeezed & (z_score < -breakout)
    if genes["position_scaling_factor"] > 0.0:
        up |= ~squeezed & (z_score <= -band)
        down |= ~squeezed & (z_score >= band)
    return loops.hold_bands(up, down, squeezed, z_score, first)


def composite(genes: Genes, rows: Indicators, first: int) -> Sides:
    """Follow the weighted votes of trees as long as they point one way; prices that rest, as none do here, count."""
    votes = Votes(rows, lambda family: _reference_side(family, rows))
    groups = [[votes.of(tree) for tree in group] for group in genes["votes"]]
    weights = [genes[f"signal_{name}_weight"] for name in ("momentum", "reversion", "breakout", "confluence")]
    if sum(weights) == 0.0:
        return np.zeros(rows.close.size, dtype=np.int8)
    cast = [vote for group in groups for vote in group]
    balance, counted = sum(cast), sum(map(np.abs, cast))
    means = [sum(group) / len(group) for group in groups]
    means.append((balance / len(cast)) * (counted / len(cast)))
    score = sum(weight * mean for weight, mean in zip(weights, means, strict=True)) / sum(weights)
    needed = 2 * genes["minimum_signals"]
    long = (score >= genes["entry_score"]) & (counted + balance >= needed)
    short = (score <= -genes["entry_score"]) & (counted - balance >= needed)
    return loops.hold(long, short, score <= 0.0, score >= 0.0, first)


def donchian_breakout(genes: Genes, rows: Indicators, first: int) -> Sides:
    """Follow confirmed breaks of the channel before, until a shorter channel breaks the other way."""
    period, beyond, bias = genes["channel_period"], 1.0 + genes["breakout_threshold"], genes["trend_bias"]
    exit_period = max(2, int(period * genes["exit_period_ratio"]))
    close, upper, lower = rows.close, rows.previous_high(period) * beyond, rows.previous_low(period) / beyond
    highest, lowest = rows.previous_high(3 * period), rows.previous_low(3 * period)
    traded, reach = rows.volume >= genes["volume_confirmation"] * rows.previous_mean_volume(period), highest - lowest
    reach *= bias
    up = (close > upper) & traded & (close >= lowest + reach)
    down = (close < lower) & traded & (close <= highest - reach)
    exit_long, exit_short = close < rows.previous_low(exit_period), close > rows.previous_high(exit_period)
    if genes["false_breakout_filter"] > 0:
        up, down = loops.confirm(up, down, close, upper, lower, genes["false_breakout_filter"], first)
    return loops.hold(up, down, exit_long, exit_short, first)


def ema_crossover(genes: Genes, rows: Indicators, first: int) -> Sides:
    """Follow the faster average with momentum, until it is behind the slower one."""
    gap = rows.ema(genes["fast_ema_period"]) / rows.ema(genes["slow_ema_period"]) - 1.0
    rate = rows.rate_of_change(genes["fast_ema_period"])
    least_gap, least_rate = genes["trend_filter"], genes["momentum_threshold"]
    long, short = (gap > least_gap) & (rate > least_rate), (gap < -least_gap) & (rate < -least_rate)
    return loops.hold(long, short, gap < 0.0, gap > 0.0, first)


def fibonacci_retracement(genes: Genes, rows: Indicators, first: int) -> Sides:
    """Decide with extreme highs and lows as pivots; the family does not evolve, but composite's trees quote it."""
    window, near, close = genes["fibonacci_window"], 1.0 + genes["confluence_threshold"], rows.close
    start, end = rows.swing(window)
    rise, before = end - start, np.roll(close, 1)
    retraced = end - float(genes["fibonacci_level"]) * rise
    large = np.abs(rise) >= (2.0 + 8.0 * genes["trend_confirmation"]) * np.roll(rows.atr(14), 1)
    confirmed = large & (rows.volume >= 1.5 * genes["volume_confirmation"] * rows.previous_mean_volume(window))
    up = (rise > 0.0) & (rows.low <= retraced * near) & (close >= retraced) & (close > before) & (close < end)
    down = (rise < 0.0) & (rows.high >= retraced / near) & (close <= retraced) & (close < before) & (close > end)
    return loops.hold_swings(up & confirmed, down & confirmed, close, start, end, first)


def funding_rate_carry(genes: Genes, rows: Indicators, first: int) -> Sides:
    """Take the side that receives funding while the mean rate pays for it."""
    window, threshold = genes["funding_persistence"], genes["funding_threshold"]
    mean = rows.funding_mean(window)
    expected = mean.copy()
    expected[window:] += genes["rate_momentum"] * (mean[window:] - mean[:-window])
    least = genes["reversal_sensitivity"] * threshold
    long, short = (expected <= -threshold) & (-mean >= least), (expected >= threshold) & (mean >= least)
    return loops.hold_carry(long, short, mean, least, genes["carry_duration"], first)


def ichimoku_cloud(genes: Genes, rows: Indicators, first: int) -> Sides:
    """Follow the weighted votes of cloud, lines and lagging close, until they cancel."""
    tenkan, kijun = rows.midrange(genes["tenkan_period"]), rows.midrange(genes["kijun_period"])
    # The cloud in force comes from as many bars before as the slow line looks back.
    displaced = genes["kijun_period"]
    span_a, span_b = (tenkan + kijun) / 2.0, rows.midrange(genes["senkou_span_b_period"])
    price, upper, lower = rows.close[displaced:], np.maximum(span_a, span_b), np.minimum(span_a, span_b)
    cloud = np.zeros(rows.close.size, dtype=np.int8)
    cloud[displaced:] = (price > upper[:-displaced]).view(np.int8) - (price < lower[:-displaced]).view(np.int8)
    lines = (tenkan > kijun).view(np.int8) - (tenkan < kijun).view(np.int8)
    weight, lagging_weight = genes["cloud_strength_weight"], genes["momentum_confirmation"]
    score = (1.0 - lagging_weight) * (weight * cloud + (1.0 - weight) * lines)
    score += lagging_weight * rows.sign_of_change(displaced)
    return loops.hold(
        score >= 0.5 - _ROUNDING, score <= _ROUNDING - 0.5, score <= _ROUNDING, score >= -_ROUNDING, first
    )


def nadaraya_watson(genes: Genes, rows: Indicators, first: int) -> Sides:
    """Follow steep slopes of the smoothed regression, until they turn."""
    bandwidth, close = genes["bandwidth"], rows.close
    weight = 1.0 - genes["smoothing_factor"]
    line = ewm_mean_1d_nb(rows.kernel_regression(bandwidth, genes["kernel_type"]), 2.0 / weight - 1.0)
    span = max(1, (bandwidth + 1) // 2)
    slope = np.full(close.size, np.nan)
    np.divide(line[span:], line[:-span], out=slope[span:])
    slope -= 1.0
    least = genes["trend_threshold"] * np.exp(genes["volatility_adaptation"] * rows.log_volatility_ratio(bandwidth))
    return loops.hold(
        (slope > least) & (close > line), (slope < -least) & (close < line), slope <= 0.0, slope >= 0.0, first
    )


def rsi_filter(genes: Genes, rows: Indicators, first: int) -> Sides:
    """Fade extremes of the index, sooner where price diverges from it, until it is near the middle."""
    period, low, high = genes["rsi_period"], genes["oversold_threshold"], genes["overbought_threshold"]
    index, shift = rows.rsi(period), 10.0 * genes["divergence_weight"]
    bullish, bearish = rows.rsi_divergence(period)
    long = (index <= low) | (bullish & (index <= low + shift))
    short = (index >= high) | (bearish & (index >= high - shift))
    if genes["operation_mode"] == "trend_filter":
        average = rows.sma(5 * period)
        long &= rows.close > average
        short &= rows.close < average
    return loops.hold(long, short, index >= genes["exit_level"], index <= 100.0 - genes["exit_level"], first)


def sma_trend_filter(genes: Genes, rows: Indicators, first: int) -> Sides:
    """Follow the faster average in a straight trend, until the averages cross."""
    window = genes["trend_strength_period"]
    fast, slow = rows.sma(genes["fast_sma_period"]), rows.sma(genes["slow_sma_period"])
    least = int(np.ceil(genes["momentum_confirmation"] * window))
    trends = rows.efficiency_ratio(window) >= 0.5 * genes["filter_sensitivity"]
    above, below = trends & (fast > slow), trends & (fast < slow)
    for side, closes in zip((above, below), rows.closes_beyond(genes["fast_sma_period"]), strict=True):
        side[window:] &= closes[window:] - closes[:-window] >= least
    return loops.hold(above, below, fast <= slow, fast >= slow, first)


def stochastic_oscillator(genes: Genes, rows: Indicators, first: int) -> Sides:
    """Follow crossings of %K over %D out of the extremes, until the other extreme."""
    period, low, high = genes["k_period"], genes["oversold_level"], genes["overbought_level"]
    index, shift = rows.stochastic_k(period), 20.0 * genes["divergence_sensitivity"]
    rises, falls = rows.stochastic_crossing(period, genes["d_period"])
    bullish, bearish = rows.stochastic_divergence(period)
    before = index[:-1]
    long, short = rises.copy(), falls.copy()
    long[1:] &= (before <= low) | (bullish[1:] & (before <= low + shift))
    short[1:] &= (before >= high) | (bearish[1:] & (before >= high - shift))
    return loops.hold(long, short, index >= high, index <= low, first)


def volatility_scaling(genes: Genes, rows: Indicators, first: int) -> Sides:
    """Decide the side only: sizes, stress and the band of rebalancing never change it."""
    window, far = genes["volatility_window"], genes["multi_timeframe_weight"]
    sides = np.sign((1.0 - far) * rows.sign_of_change(window) + far * rows.sign_of_change(4 * window)).astype(np.int8)
    sides[:first] = 0
    return sides


def vwap_reversion(genes: Genes, rows: Indicators, first: int) -> Sides:
    """Fade distances from the weighted price where price does not trend, until it is back there."""
    period = genes["vwap_period"]
    centre, spread = rows.vwap(period), rows.vwap_deviation(period)
    away = rows.close - centre
    limit = np.maximum(genes["deviation_multiplier"] * spread, genes["reversion_threshold"] * centre)
    fades = (spread > 0.0) & (rows.volume >= genes["volume_confirmation"] * rows.previous_mean_volume(period))
    fades &= rows.efficiency_ratio(period) <= 1.0 - 0.8 * genes["regime_detection_weight"]
    return loops.hold(fades & (away <= -limit), fades & (away >= limit), away >= 0.0, away <= 0.0, first)


def _reference_side(family: str, rows: Indicators) -> Sides:
    genes = default_genome(family).genes
    first = get_family(family).warmup(genes)
    return rows.remember(("side", family), lambda: FAMILIES[family](genes, rows, first))


FAMILIES: dict[str, Decide] = {
    decide.__name__: decide
    for decide in (
        atr_stop_loss,
        bollinger_bands,
        composite,
        donchian_breakout,
        ema_crossover,
        fibonacci_retracement,
        funding_rate_carry,
        ichimoku_cloud,
        nadaraya_watson,
        rsi_filter,
        sma_trend_filter,
        stochastic_oscillator,
        volatility_scaling,
        vwap_reversion,
    )
}
