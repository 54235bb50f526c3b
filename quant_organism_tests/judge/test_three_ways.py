"""One rule as a family, as a callable and as a file of freqtrade: the account sends the same orders."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from quant_organism.backtest import Costs
from quant_organism.backtest.account import (
    IOC,
    STOP,
    TARGET,
    AccountRun,
    AccountSetting,
    VirtualWindow,
    virtual_window,
)
from quant_organism.backtest.account.rules import AccountRules
from quant_organism.backtest.account.walk_layout import KIND, KINDS, ROW, TRADED
from quant_organism.judge import CallableStrategy, StrategySource
from quant_organism.judge.sandbox import StrategyProcess
from quant_organism.market import Panel
from quant_organism.strategies import Committee, default_genome
from quant_organism_tests.judge.conftest import market

Write = Callable[..., StrategySource]

COSTS = replace(Costs(), taker_fee=0.0, maker_fee=0.0, slippage_bps=0.0)
"""Without them an entry price is the open, whoever counts it."""

SHARE = 0.125
"""Of the equity that the family puts into its one asset. A freqtrade file takes all of it: eight times as much."""

GENES = {
    "channel_period": 12,
    "exit_period_ratio": 0.5,
    "breakout_threshold": 0.0,
    "volume_confirmation": 0.0,
    "false_breakout_filter": 0,
    "trend_bias": 0.0,
    "stop_loss": 0.15,
    "take_profit": 0.30,
    "trailing_stop": 0.0,
    "max_holding_hours": 336,
    "position_size": SHARE,
    "volatility_threshold": 3.0,
    "fear_greed_sensitivity": 0.0,
}

CHANNEL = f"""
    import numpy as np

    def before(values, bars, reduce):
        windows = np.lib.stride_tricks.sliding_window_view(values, bars)
        return np.concatenate([np.full(bars, np.nan), reduce(windows, axis=1)[:-1]])

    def signal(panel):
        high, low, close = panel.high[:, 0], panel.low[:, 0], panel.close[:, 0]
        upper, lower = before(high, 12, np.max), before(low, 12, np.min)
        leave_long, leave_short = close < before(low, 6, np.min), close > before(high, 6, np.max)
        held, side = np.zeros(panel.close.shape), 0
        for t in range(36, len(close)):
            if (side > 0 and leave_long[t]) or (side < 0 and leave_short[t]):
                side = 0
            if close[t] > upper[t]:
                side = 1
            if close[t] < lower[t]:
                side = -1
            held[t] = {SHARE} * side
        return held
"""

FREQTRADE = """
    from freqtrade.strategy import IStrategy

    class Channel(IStrategy):
        timeframe = "1h"
        can_short = True
        stoploss = -0.15
        minimal_roi = {"0": 0.30}
        startup_candle_count = 36

        def populate_indicators(self, dataframe, metadata):
            for bars in (12, 6):
                dataframe[f"upper_{bars}"] = dataframe["high"].rolling(bars).max().shift(1)
                dataframe[f"lower_{bars}"] = dataframe["low"].rolling(bars).min().shift(1)
            return dataframe

        def populate_entry_trend(self, dataframe, metadata):
            dataframe.loc[dataframe["close"] > dataframe["upper_12"], "enter_long"] = 1
            dataframe.loc[dataframe["close"] < dataframe["lower_12"], "enter_short"] = 1
            return dataframe

        def populate_exit_trend(self, dataframe, metadata):
            dataframe.loc[dataframe["close"] < dataframe["lower_6"], "exit_long"] = 1
            dataframe.loc[dataframe["close"] > dataframe["upper_6"], "exit_short"] = 1
            return dataframe
"""


@pytest.fixture(scope="module")
def panel() -> Panel:
    """Return one asset's hours."""
    whole = market(bars=24 * 60, seed=4)
    columns = {name: getattr(whole, name)[:, :1] for name in ("open", "high", "low", "close", "volume", "valid")}
    return Panel.from_arrays(
        symbols=whole.symbols[:1], interval=whole.interval, times=whole.times, market=whole.market, **columns
    )


def window_of(source: StrategySource, panel: Panel) -> VirtualWindow:
    with StrategyProcess(source) as process:
        process.show(panel)
        answer = process.answer({})
    return CallableStrategy("s", source, ({},)).window(answer, panel, COSTS)


def run_of(window: VirtualWindow, panel: Panel, *, share: float) -> AccountRun:
    # The risk scale stays where these days put it, so that it divides by what the book is larger.
    days = share / SHARE * np.random.default_rng(0).normal(0.0, 0.006, 60)
    rules = AccountRules.alone()._replace(scale_band=0.99)
    return AccountSetting.of(window, panel, COSTS, rules=rules, daily_before=days.tolist()).run(10_000.0)


def lines(run: AccountRun, *kinds: str) -> list[str]:
    return [line for line in run.path.order_lines if line.split("|")[2] in kinds]


def test_the_same_rule_sends_the_same_orders(write: Write, panel: Panel) -> None:
    genome = replace(base := default_genome("donchian_breakout"), genes={**base.genes, **GENES})
    family = run_of(virtual_window({"s": Committee.of([genome])}, panel, COSTS), panel, share=SHARE)
    called = run_of(window_of(write(CHANNEL), panel), panel, share=SHARE)
    source = replace(write(FREQTRADE), form="freqtrade", function="Channel")
    file = run_of(window_of(source, panel), panel, share=1.0)
    orders = lines(family, IOC)
    assert len(orders) > 100
    assert lines(called, IOC) == orders
    assert lines(file, IOC) == orders
    # Stops and targets of a freqtrade file rest where the family's do; a callable has none of its own.
    assert lines(family, STOP, TARGET)
    assert file.path.order_lines == family.path.order_lines
    assert file.account.h2 == family.account.h2


def test_an_account_leaves_where_stops_and_targets_of_a_file_rest(write: Write, panel: Panel) -> None:
    near = FREQTRADE.replace("-0.15", "-0.01").replace("0.30", "0.015")
    window = window_of(replace(write(near), form="freqtrade", function="Channel"), panel)
    run = run_of(window, panel, share=1.0)
    for kind, levels in ((STOP, window.stops), (TARGET, window.targets)):
        filled = run.path.fills[run.path.fills[:, KIND] == KINDS.index(kind)]
        assert len(filled) > 5
        for row, lots in zip(filled[:, ROW], filled[:, TRADED], strict=True):
            side, level = np.sign(window.units[row, 0]), levels[row, 0]
            assert side == -np.sign(lots)
            reached = panel.low[row, 0] if (side > 0) == (kind == STOP) else panel.high[row, 0]
            # A level rests in whole ticks: a hair's breadth beside it.
            assert reached <= level * 1.001 if (side > 0) == (kind == STOP) else reached >= level * 0.999
