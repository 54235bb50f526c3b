"""Each family on cases worked out by hand."""

import numpy as np
import pytest

from quant_organism.strategies import Genome, default_genome, signal
from quant_organism.strategies.indicators.averages import ema_rows, mean_rows
from quant_organism.strategies.indicators.dispersion import deviation_rows, z_score_rows
from quant_organism.strategies.indicators.oscillators import rsi_rows
from quant_organism_tests.strategies.scenarios import Columns, alternating, bars, runs

EMA_CLOSE = [100.0] * 20 + [101, 102, 103, 104, 105, 103, 101, 99, 97, 95, 93]
EMA_GENES = {"fast_ema_period": 5, "slow_ema_period": 18, "momentum_threshold": 0.0, "trend_filter": 0.0}

DONCHIAN_CLOSE = [*alternating(100, 101, 32), 103, 104, 105, 106, 104, 100, 96, 95]
DONCHIAN_VOLUME = [200.0 if bar == 32 else 100.0 for bar in range(len(DONCHIAN_CLOSE))]
DONCHIAN_GENES = {
    "channel_period": 10,
    "breakout_threshold": 0.01,
    "volume_confirmation": 1.0,
    "false_breakout_filter": 2,
    "trend_bias": 0.5,
    "exit_period_ratio": 0.5,
}

RSI_CLOSE = [*alternating(100, 101, 15), 100, 99, 98, 97, 98, 99, 100, 101, 102, 103, 104, 103, 102, 101, 100]
RSI_GENES = {
    "rsi_period": 5,
    "oversold_threshold": 25.0,
    "overbought_threshold": 75.0,
    "divergence_weight": 0.0,
    "exit_level": 50.0,
}

BOLLINGER_CLOSE = [
    *alternating(100, 103, 30),
    *alternating(101, 102, 32),
    *(104, 105, 106, 103, 100, 97, 99, 102, 102),
]
BOLLINGER_GENES = {
    "lookback_period": 10,
    "volatility_multiplier": 1.5,
    "squeeze_threshold": 0.5,
    "breakout_strength": 0.1,
    "position_scaling_factor": 0.5,
}


def positions(family: str, genes: dict[str, object], columns: Columns) -> list[tuple[int, int, float]]:
    """Return the runs of the target of a genome with the given genes, others at their defaults."""
    return runs(signal(Genome(family, dict(default_genome(family).genes) | genes), columns))


def test_ema_crossover() -> None:
    assert positions("ema_crossover", EMA_GENES, bars(EMA_CLOSE)) == [(20, 27, 1.0), (28, 30, -1.0)]
    rows = ema_rows(np.array(EMA_CLOSE), np.array([5, 18]))
    assert rows[:, 20] == pytest.approx([100.3333, 100.1053], abs=5e-5)


def test_ema_crossover_waits_for_momentum() -> None:
    # The rate of change over 5 bars is 1 % on bar 20, 2 % on bar 21 and 3 % on bar 22.
    genes = EMA_GENES | {"momentum_threshold": 0.025}
    assert positions("ema_crossover", genes, bars(EMA_CLOSE)) == [(22, 27, 1.0), (28, 30, -1.0)]


def test_donchian_breakout() -> None:
    columns = bars(DONCHIAN_CLOSE, DONCHIAN_VOLUME)
    assert positions("donchian_breakout", DONCHIAN_GENES, columns) == [(34, 36, 1.0)]


def test_donchian_breakout_without_confirmation_sells_the_fall_too() -> None:
    # Bar 32 closes 103 > 101 x 1.01. Bar 38 closes 96 < 100 / 1.01, on 100 >= 0.9 x 110, below the middle (103) of
    # the range of 30 bars.
    genes = DONCHIAN_GENES | {"false_breakout_filter": 0, "volume_confirmation": 0.9}
    columns = bars(DONCHIAN_CLOSE, DONCHIAN_VOLUME)
    assert positions("donchian_breakout", genes, columns) == [(32, 36, 1.0), (38, 39, -1.0)]


def test_donchian_breakout_cancels_a_break_that_falls_back() -> None:
    close = [*alternating(100, 101, 32), 103, 101, 104, 105, 106]
    columns = bars(close, [500.0 if bar in (32, 34) else 100.0 for bar in range(len(close))])
    # The break of bar 32 is cancelled on bar 33; that of bar 34 (104 > 103 x 1.005) is confirmed on bars 35 and 36.
    genes = DONCHIAN_GENES | {"breakout_threshold": 0.005, "volume_confirmation": 1.5}
    assert positions("donchian_breakout", genes, columns) == [(36, 36, 1.0)]


def test_rsi_filter() -> None:
    assert positions("rsi_filter", RSI_GENES, bars(RSI_CLOSE)) == [(18, 19, 1.0), (23, 27, -1.0)]
    index = rsi_rows(np.array(RSI_CLOSE, dtype=float), np.array([5]))[0]
    assert index[[18, 20, 23, 27, 28]] == pytest.approx([20.5535, 51.1600, 75.8214, 53.7937, 42.9154], abs=5e-5)


def test_rsi_filter_does_not_sell_a_rise_in_trend_mode() -> None:
    # From W = 24 on every overbought close lies above the mean of 25 closes, and no close is oversold.
    assert positions("rsi_filter", RSI_GENES | {"operation_mode": "trend_filter"}, bars(RSI_CLOSE)) == []


def test_bollinger_bands() -> None:
    assert positions("bollinger_bands", BOLLINGER_GENES, bars(BOLLINGER_CLOSE)) == [
        (62, 62, 1.0),
        (63, 65, -0.5),
        (67, 68, 0.5),
    ]
    close, period = np.array(BOLLINGER_CLOSE, dtype=float), np.array([10])
    mean = mean_rows(close, period)
    z = z_score_rows(close, mean, deviation_rows(close, period, 0))[0, 62:70]
    assert z == pytest.approx([2.5236, 2.2308, 2.0175, 0.1790, -1.4444, -2.0666, -1.1048, 0.0381], abs=5e-5)


def test_bollinger_bands_without_fades_holds_the_breakout_until_the_mean() -> None:
    genes = BOLLINGER_GENES | {"position_scaling_factor": 0.0}
    assert positions("bollinger_bands", genes, bars(BOLLINGER_CLOSE)) == [(62, 65, 1.0)]
