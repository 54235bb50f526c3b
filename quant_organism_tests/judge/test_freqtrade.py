"""Files of freqtrade: their signals through the sandbox, their rules as trades, and what cannot be followed."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import numpy as np
import pytest

from quant_organism.backtest import Costs
from quant_organism.errors import InputError
from quant_organism.judge import CallableStrategy, FreqtradePython, FreqtradeSpec, StrategySource, load_spec
from quant_organism.judge.freqtrade_stand_in import IStrategy, NotExpressible, Parameter, adopt
from quant_organism.judge.freqtrade_trades import ClosedTrade, closed_trades, compared
from quant_organism.judge.parameters import Parameters
from quant_organism.judge.positions import follow
from quant_organism.judge.proof import prove
from quant_organism.judge.sandbox import StrategyProcess
from quant_organism.judge.trade_rules import TradeRules
from quant_organism.market import Interval, Panel
from quant_organism.strategies import Committee, default_genome
from quant_organism.strategies.export import Portrait, freqtrade_file
from quant_organism.strategies.targets import ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT
from quant_organism_tests.judge.conftest import HOUR_MS, market, walls

Write = Callable[..., StrategySource]
FREE = replace(Costs(), taker_fee=0.0, maker_fee=0.0, slippage_bps=0.0)
NAN = float("nan")

DIP = """
    from typing import Optional

    import freqtrade.vendor.qtpylib.indicators as qtpylib
    from freqtrade.persistence import Trade
    from freqtrade.strategy import DecimalParameter, IntParameter, IStrategy, informative, merge_informative_pair

    class Dip(IStrategy):
        timeframe = "1h"
        can_short = True
        stoploss = -0.02
        minimal_roi = {"0": 0.03, "600": 0.01}
        startup_candle_count = 40
        order_types = {"entry": "market", "exit": "market", "stoploss": "market", "stoploss_on_exchange": False}
        span = IntParameter(5, 40, default=20, space="buy")
        width = DecimalParameter(0.5, 3.0, decimals=1, default=1.52, space="buy")
        buy_params = {"span": 24}

        def informative_pairs(self):
            return []

        def populate_indicators(self, dataframe, metadata):
            bands = qtpylib.bollinger_bands(dataframe["close"], self.span.value, self.width.value)
            dataframe["lower"], dataframe["mid"], dataframe["upper"] = bands["lower"], bands["mid"], bands["upper"]
            return dataframe

        def populate_entry_trend(self, dataframe, metadata):
            fallen = qtpylib.crossed_below(dataframe["close"], dataframe["lower"])
            dataframe.loc[fallen, ["enter_long", "enter_tag"]] = (1, "fallen")
            dataframe.loc[qtpylib.crossed_above(dataframe["close"], dataframe["upper"]), "enter_short"] = 1
            return dataframe

        def populate_exit_trend(self, dataframe, metadata):
            dataframe.loc[dataframe["close"] > dataframe["mid"], "exit_long"] = 1
            dataframe.loc[dataframe["close"] < dataframe["mid"], "exit_short"] = 1
            return dataframe
"""


def of_freqtrade(source: StrategySource, function: str = "") -> StrategySource:
    return replace(source, form="freqtrade", function=function)


def ask(source: StrategySource, panel: Panel, parameters: Parameters) -> np.ndarray:
    with StrategyProcess(source) as process:
        process.show(panel)
        return process.answer(parameters)


def bars(rows: list[tuple[float, float, float, float]]) -> Panel:
    """Return one asset's hours from (open, high, low, close)."""
    columns = np.array(rows, dtype=np.float64)[:, :, None]
    return Panel.from_arrays(
        symbols=["A"],
        interval=Interval.parse("1h"),
        times=1_640_995_200_000 + HOUR_MS * np.arange(len(rows)),
        open=columns[:, 0],
        high=columns[:, 1],
        low=columns[:, 2],
        close=columns[:, 3],
        volume=np.full(columns[:, 0].shape, 1e6),
        market="made",
    )


def flat(count: int, at: float = 100.0) -> list[tuple[float, float, float, float]]:
    return [(at, at, at, at)] * count


def traded(rows: list[tuple[float, float, float, float]], signals: dict[int, int], *, costs: Costs = FREE, **declared):
    """Return targets, stops, limits and exits of one asset, each (T,)."""
    said = np.zeros((len(rows), 1))
    for bar, bits in signals.items():
        said[bar] = bits
    rules = TradeRules.of({"stoploss": -0.1} | declared, where="here")
    return [values[:, 0] for values in rules.trades(said, bars(rows), costs)]


def test_a_signal_is_filled_at_the_next_open_and_leaves_likewise() -> None:
    targets, stops, _, exits = traded(flat(6), {1: ENTER_LONG, 3: EXIT_LONG})
    assert targets.tolist() == [0, 1, 1, 0, 0, 0]
    np.testing.assert_array_equal(stops, [NAN, NAN, 90, 90, NAN, NAN])
    assert np.isnan(exits).all()


@pytest.mark.parametrize(
    ("signals", "declared", "wanted"),
    [
        ({1: ENTER_LONG | EXIT_LONG}, {}, [0, 0, 0, 0]),
        ({1: ENTER_LONG | ENTER_SHORT}, {"can_short": True}, [0, 0, 0, 0]),
        ({1: ENTER_LONG | ENTER_SHORT}, {}, [0, 1, 1, 1]),
        ({1: ENTER_SHORT}, {}, [0, 0, 0, 0]),
        ({1: ENTER_SHORT}, {"can_short": True}, [0, -1, -1, -1]),
        ({0: ENTER_LONG, 2: ENTER_LONG | EXIT_LONG}, {}, [1, 1, 1, 1]),
        ({0: ENTER_LONG, 2: ENTER_SHORT}, {"can_short": True}, [1, 1, 1, 1]),
        ({0: ENTER_LONG, 2: ENTER_SHORT | EXIT_LONG}, {"can_short": True}, [1, 1, -1, -1]),
        ({0: ENTER_LONG, 2: EXIT_LONG}, {"use_exit_signal": False}, [1, 1, 1, 1]),
        ({0: ENTER_LONG | EXIT_LONG}, {"use_exit_signal": False}, [0, 0, 0, 0]),
        ({0: ENTER_SHORT, 2: EXIT_SHORT}, {"can_short": True}, [-1, -1, 0, 0]),
    ],
)
def test_signals_that_meet(signals: dict[int, int], declared: dict[str, bool], wanted: list[int]) -> None:
    assert traded(flat(4), signals, **declared)[0].tolist() == wanted


@pytest.mark.parametrize(("side", "enter"), [(1, ENTER_LONG), (-1, ENTER_SHORT)])
def test_a_stop_is_passed_at_its_level_or_at_a_worse_open(side: int, enter: int) -> None:
    def turned(bar: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        o, h, low, c = (100 + side * (price - 100) for price in bar)
        return (o, max(h, low), min(h, low), c)

    for bar, price in (((95, 96, 89, 92), 90), ((88, 89, 87, 88), 88)):
        rows = [*flat(3), turned(bar), *flat(2)]
        targets, _, _, exits = traded(rows, {0: enter}, can_short=True)
        assert exits[3] == pytest.approx(100 + side * (price - 100))
        assert targets.tolist() == [side, side, side, 0, 0, 0]


def test_a_stop_counts_in_the_bar_of_the_entry_and_an_entry_may_follow_at_once() -> None:
    rows = [*flat(1), (100, 101, 85, 95), (96, 97, 95, 96), *flat(1, 96)]
    targets, stops, _, exits = traded(rows, {0: ENTER_LONG, 1: ENTER_LONG})
    assert exits[1] == pytest.approx(90)
    assert targets.tolist() == [1, 1, 1, 1]
    assert stops[2] == pytest.approx(0.9 * 96)


def test_the_return_that_is_enough_falls_with_time_and_is_after_fees() -> None:
    rows = [*flat(3), (100, 104, 100, 103), *flat(1, 103), (103, 104, 103, 103)]
    roi = {"minimal_roi": [[0, 0.05], [240, 0.02]]}
    targets, _, limits, exits = traded(rows, {0: ENTER_LONG}, **roi)
    assert limits[1:6].tolist() == pytest.approx([105, 105, 105, 105, 102])
    assert exits[5] == pytest.approx(103)  # it opens beyond the level that counts from now on
    assert targets.tolist() == [1, 1, 1, 1, 1, 0]
    fee = 0.001
    _, _, limits, _ = traded(rows, {0: ENTER_LONG}, costs=replace(FREE, taker_fee=fee), **roi)
    got, spent = limits[1] * (1 - fee), 100 * (1 + fee)
    assert got / spent - 1 == pytest.approx(0.05)
    _, _, limits, _ = traded(rows, {0: ENTER_SHORT}, costs=replace(FREE, taker_fee=fee), can_short=True, **roi)
    got, spent = 100 * (1 - fee), limits[1] * (1 + fee)
    assert (got - spent) / got == pytest.approx(0.05)


def test_a_return_of_minus_one_ends_a_trade_at_the_open_whatever_it_earned() -> None:
    targets, _, _, exits = traded(flat(6), {0: ENTER_LONG}, minimal_roi=[[0, 0.5], [180, -1]])
    assert targets.tolist() == [1, 1, 1, 0, 0, 0]
    assert np.isnan(exits).all()


def test_a_bar_after_an_entry_signal_has_no_target_where_that_is_declared() -> None:
    roi = {"minimal_roi": [[0, 0.05]], "ignore_roi_if_entry_signal": True}
    _, _, limits, _ = traded(flat(5), {0: ENTER_LONG, 2: ENTER_LONG}, **roi)
    np.testing.assert_allclose(limits, [NAN, NAN, 105, NAN, 105])


def test_a_trailing_stop_follows_the_best_of_earlier_bars() -> None:
    rows = [*flat(2), (100, 110, 100, 108), (108, 109, 100, 101), *flat(1)]
    _, stops, _, exits = traded(rows, {0: ENTER_LONG}, trailing_stop=True)
    assert stops[1:4].tolist() == pytest.approx([90, 90, 99])
    assert np.isnan(exits).all()
    nearer = {"trailing_stop": True, "trailing_stop_positive": 0.02, "trailing_stop_positive_offset": 0.05}
    _, stops, _, exits = traded(rows, {0: ENTER_LONG}, **nearer, trailing_only_offset_is_reached=True)
    assert stops[1:4].tolist() == pytest.approx([90, 90, 107.8])
    assert exits[3] == pytest.approx(107.8)
    rows = [*flat(2), (100, 104, 100, 104), *flat(2, 104)]
    _, stops, _, _ = traded(rows, {0: ENTER_LONG}, **nearer, trailing_only_offset_is_reached=True)
    assert stops[3] == pytest.approx(90)
    _, stops, _, _ = traded(rows, {0: ENTER_LONG}, **nearer)
    assert stops[3] == pytest.approx(93.6)


def signals_of(panel: Panel, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    bits = (1 << np.arange(4)) * (rng.random((*panel.valid.shape, 4)) < 0.03)
    return np.where(panel.valid, bits.sum(axis=2), 0).astype(np.float64)


RULES = TradeRules(
    stoploss=-0.015,
    minimal_roi=((0, 0.03), (600, 0.005)),
    trailing_stop=True,
    trailing_stop_positive=0.01,
    trailing_stop_positive_offset=0.01,
    can_short=True,
)


def test_what_later_bars_do_changes_no_trade_before() -> None:
    panel = market(bars=900, ended=1)
    signals = signals_of(panel)
    whole = RULES.trades(signals, panel, Costs())
    assert np.isfinite(whole.exits).sum() > 20
    for stop in (100, 437, 899):
        for values, cut in zip(whole, RULES.trades(signals[:stop], panel.window(0, stop), Costs()), strict=True):
            np.testing.assert_array_equal(values[:stop], cut)


def test_the_book_earns_what_its_trades_do_one_by_one() -> None:
    """Every trade's own profit, added up by hand: units times the way from entry to exit, less fees on both sides."""
    panel = market(bars=900)
    costs = replace(Costs(), charge_funding=False)
    trades = RULES.trades(signals_of(panel), panel, costs)
    rate, slip = costs.taker_fee, costs.slippage_bps / 10_000
    total = 0.0
    for asset in range(panel.n_assets):
        units = entry = 0.0
        for t in range(panel.n_bars):
            wanted = trades.targets[t - 1, asset] if t else 0.0
            left = t > 0 and np.isfinite(trades.exits[t - 1, asset])
            if t and (np.sign(wanted) != np.sign(units) or left):
                total += units * (panel.open[t, asset] - entry) - abs(units) * panel.open[t, asset] * (rate + slip)
                units = wanted / (panel.n_assets * panel.close[t - 1, asset])
                entry = panel.open[t, asset]
                total -= abs(units) * entry * (rate + slip)
            price = trades.exits[t, asset]
            if np.isfinite(price):
                by_limit = units * (price - trades.stops[t, asset]) > 0
                total += units * (price - entry) - abs(units) * price * (costs.maker_fee if by_limit else rate + slip)
                units = 0.0
        total += units * (panel.close[-1, asset] - entry)
    window = follow(trades, panel, costs, strategy="s")
    assert window.virtual_returns.sum() == pytest.approx(total, rel=1e-9)
    np.testing.assert_array_equal(window.stops, trades.stops)


def test_a_file_says_its_signals_through_the_walls(write: Write) -> None:
    """Against the same rule written with NumPy."""
    panel = market(bars=480, ended=1)
    source = of_freqtrade(write(DIP))
    with StrategyProcess(source) as process:
        assert TradeRules.of(process.declared, where="dip").minimal_roi == ((0, 0.03), (600, 0.01))
        process.show(panel)
        signals, narrow = process.answer({}), process.answer({"span": 12})
    close = panel.close[:, 0]
    windows = np.lib.stride_tricks.sliding_window_view(close, 24)
    mid, width = np.full(480, np.nan), np.full(480, np.nan)
    mid[23:], width[23:] = windows.mean(axis=1), 1.5 * windows.std(axis=1, ddof=1)
    below, above = close < mid - width, close > mid + width
    before = (
        np.concatenate([[False], (close >= mid - width)[:-1]]),
        np.concatenate([[False], (close <= mid + width)[:-1]]),
    )
    bits = (below & before[0]) * ENTER_LONG | (above & before[1]) * ENTER_SHORT
    bits |= (close > mid) * EXIT_LONG | (close < mid) * EXIT_SHORT
    bits[:40] = 0
    np.testing.assert_array_equal(signals[:, 0], bits)
    assert not signals[240:, 3].any()
    assert (narrow != signals).any()


def test_a_file_that_looks_ahead_is_caught(write: Write) -> None:
    honest = of_freqtrade(write(DIP))
    panel = market(bars=600)
    assert prove(honest, {}, panel, cuts=3).is_clean
    peeking = of_freqtrade(
        write(DIP.replace('dataframe["close"] < dataframe["mid"]', 'dataframe["close"].shift(-1) < 99'))
    )
    caught = {verdict.gate for verdict in prove(peeking, {}, panel, cuts=3).verdicts if verdict.status == "failed"}
    assert "future_bar" in caught


@pytest.mark.parametrize(
    ("changed", "parameters", "found"),
    [
        (
            ("import freqtrade.vendor", "import talib.abstract as ta\n    import freqtrade.vendor"),
            {},
            "No module named 'talib",
        ),
        (
            ("import freqtrade.vendor", "import freqtrade.rpc\n    import freqtrade.vendor"),
            {},
            "freqtrade is not run here",
        ),
        (('"1h"', '"5m"'), {}, "timeframe of 5 minutes"),
        (("return []", "return [('ETH/USDC', '1h')]"), {}, "informative_pairs"),
        (("", ""), {"slow": 3}, "slow is no parameter of it, which has span, width"),
        (
            ("bands = qt", "self.dp.get_pair_dataframe('x', '1h')\n            bands = qt"),
            {},
            "self.dp.get_pair_dataframe",
        ),
        (("return dataframe", "return dataframe.dropna()"), {}, "does not return the frame"),
        (("def informative_pairs", "@informative('4h')\n        def of_four_hours"), {}, "uses informative"),
    ],
)
def test_what_a_file_may_not_ask_is_said_when_it_asks(write: Write, changed, parameters, found: str) -> None:
    source = of_freqtrade(write(DIP.replace(*changed, 1)))
    with pytest.raises(InputError) as refused:
        ask(source, market(bars=120), parameters)
    assert found in str(refused.value)
    assert "strategy.py" in str(refused.value)


def adopted(body: str, name: str = ""):
    module = ModuleType("strategy")
    vars(module).update(IStrategy=IStrategy, Parameter=Parameter)
    exec(dedent(body), vars(module))
    return adopt(module, name)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("use_custom_stoploss = True", "declare stoploss and trailing_stop"),
        ("def custom_exit(self): ...", "exit_long and exit_short"),
        ("def custom_entry_price(self): ...", "next open"),
        ("def custom_stake_amount(self): ...", "equal part"),
        ("def confirm_trade_entry(self): ...", "enter_long and enter_short"),
        ("def leverage(self): ...", "without leverage"),
        ("position_adjustment_enable = True", "left whole"),
        ("protections = [{'method': 'CooldownPeriod'}]", "protections"),
        ("exit_profit_only = True", "whatever the profit"),
        ("order_types = {'entry': 'limit', 'exit': 'market'}", "order_types.entry is limit"),
        ("INTERFACE_VERSION = 2", "version 3"),
        ("del stoploss", "declares no stoploss"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(line: str, found: str) -> None:
    with pytest.raises(NotExpressible, match=found):
        adopted(f"class S(IStrategy):\n    timeframe = '1h'\n    stoploss = -0.1\n    {line}\n")


def test_a_file_that_was_exported_here_is_refused_by_name(tmp_path: Path) -> None:
    committee = Committee.of([default_genome("donchian_breakout")])
    hours, origin = Interval.parse("1h"), "Born 2025-05-31 on the market tests."
    path = tmp_path / "Exported.py"
    path.write_text(freqtrade_file(Portrait(committee, ("A0",), hours, origin)))
    spec, _ = load_spec(str(path))
    assert isinstance(spec, FreqtradeSpec)
    exported = spec.strategy(tmp_path, trusted=bool(walls()))
    with pytest.raises(InputError, match=r"custom_exit decides by code of its own") as refused:
        StrategyProcess(exported.source)
    assert str(path) in str(refused.value)


def test_of_several_classes_one_is_named() -> None:
    two = "class A(IStrategy):\n    timeframe, stoploss = '1h', -0.1\nclass B(A):\n    stoploss = -0.2\n"
    with pytest.raises(NotExpressible, match=r"2 classes of IStrategy \(A, B\)"):
        adopted(two)
    assert adopted(two, "B")[1]["stoploss"] == -0.2
    with pytest.raises(NotExpressible, match="no class C"):
        adopted(two, "C")


@pytest.mark.parametrize(
    ("name", "value"), [("stoploss", 0.1), ("minimal_roi", [[-5, 0.1]]), ("trailing_stop_positive", -1)]
)
def test_rules_out_of_bounds_are_told_by_name(name: str, value: object) -> None:
    with pytest.raises(InputError, match=name):
        TradeRules.of({"stoploss": -0.1} | {name: value}, where="strategy.py")


def test_a_python_file_of_freqtrade_is_known_by_its_class(tmp_path: Path) -> None:
    path = tmp_path / "dip.py"
    path.write_text(dedent(DIP))
    spec, folder = load_spec(str(path))
    assert spec == FreqtradeSpec(kind="freqtrade", file="dip.py")
    assert isinstance(spec.strategy(folder), CallableStrategy)


def trade(symbol: str, hour: int, *, side: int = 1, exit: float = 101.0, lasts: int = 3) -> ClosedTrade:
    start = 1_640_995_200_000
    return ClosedTrade(symbol, side, start + hour * HOUR_MS, 100.0, start + (hour + lasts) * HOUR_MS, exit)


def test_trades_are_compared_by_entry_and_the_first_that_differs_is_named() -> None:
    theirs = [trade("A", 0), trade("B", 1), trade("A", 5, side=-1), trade("B", 7)]
    same = compared("1.0", theirs, [replace(each, exit=each.exit * (1 + 1e-10)) for each in theirs])
    assert (same.theirs, same.ours, same.equal, same.first_different) == (4, 4, 4, "")
    assert same.sentence == "4 of 4 closed trades of freqtrade 1.0 are the same here."
    ours = [trade("B", 7), trade("B", 1, exit=101.001), trade("A", 0), trade("B", 5)]
    other = compared("1.0", theirs, ours)
    assert (other.theirs, other.ours, other.equal) == (4, 4, 2)
    assert other.first_different == (
        "B: freqtrade long from 2022-01-01 01:00 at 100 to 2022-01-01 04:00 at 101, "
        "here long from 2022-01-01 01:00 at 100 to 2022-01-01 04:00 at 101.001"
    )
    late = compared("1.0", theirs[:1], [trade("A", 0), trade("A", 9, lasts=1)])
    assert "1 of 1" in late.sentence
    assert "where there are 2; the first that is not: A: freqtrade none, here long" in late.sentence


@pytest.mark.parametrize("changed", [{"side": -1}, {"exit": 101.00001}, {"lasts": 4}])
def test_a_trade_is_the_same_in_all_or_not_at_all(changed: dict[str, float]) -> None:
    assert trade("A", 0).is_same(trade("A", 0))
    assert not trade("A", 0).is_same(trade("A", 0, **changed))


def test_closed_trades_are_those_that_levels_and_signals_end() -> None:
    rows = [*flat(3), (95, 96, 89, 92), *flat(2), (100, 104, 100, 103), *flat(2)]
    signals = np.zeros((len(rows), 1))
    signals[[0, 4, 6]] = [[ENTER_LONG], [ENTER_SHORT], [EXIT_SHORT]]
    panel = bars(rows)
    rules = TradeRules.of({"stoploss": -0.1, "can_short": True}, where="here")
    found = closed_trades(panel, rules.trades(signals, panel, FREE))
    hours = [((each.entered - int(panel.times[0])) // HOUR_MS, (each.left - each.entered) // HOUR_MS) for each in found]
    assert hours == [(1, 2), (5, 2)]
    assert [(each.side, each.entry, each.exit) for each in found] == [(1, 100.0, pytest.approx(90)), (-1, 100.0, 100.0)]


def test_a_python_without_freqtrade_is_refused_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No module named 'freqtrade'") as refused:
        FreqtradePython.of(Path(sys.executable))
    assert "environment of its own" in str(refused.value.remedy)
    with pytest.raises(InputError, match="no Python that has freqtrade"):
        FreqtradePython.of(tmp_path / "nowhere")


def test_a_backtest_that_fails_or_answers_nonsense_is_told(write: Write, monkeypatch, tmp_path: Path) -> None:
    """With another Python's own reasons: this one, which has no freqtrade."""
    own = FreqtradePython(Path(sys.executable), sys.executable, (sys.prefix, sys.base_prefix))
    source, panel = of_freqtrade(write(DIP)), market(bars=120)
    strategy = CallableStrategy("dip", source, ({},))
    with pytest.raises(InputError, match="its backtest failed: ModuleNotFoundError: No module named 'freqtrade'"):
        own.compare(strategy, {}, panel, Costs())
    other = tmp_path / "other.py"
    for answer in ("[]", '{"version": "1", "trades": [{"asset": 9}]}', "not json"):
        other.write_text(f"print({answer!r})")
        monkeypatch.setattr("quant_organism.judge.freqtrade_trades._SCRIPT", other)
        with pytest.raises(InputError, match="it answered something that is no trades"):
            own.compare(strategy, {}, panel, Costs())


def freqtrade_python() -> FreqtradePython:
    python = os.environ.get("FREQTRADE_PYTHON")
    if python is None:
        pytest.skip("FREQTRADE_PYTHON names no Python of an environment that has freqtrade")
    return FreqtradePython.of(Path(python))


def test_the_trades_are_those_of_freqtrade_itself(write: Write) -> None:
    """Of bars whose opens are often their extremes, where a price that is rounded lies beyond its bar."""
    own, panel = freqtrade_python(), market(bars=24 * 90)
    high, low = np.maximum(panel.open, panel.close), np.minimum(panel.open, panel.close)
    strategy = CallableStrategy("dip", of_freqtrade(write(DIP)), ({},))
    compared_with = own.compare(strategy, {"span": 12}, replace(panel, high=high, low=low), Costs())
    assert compared_with.theirs == compared_with.ours == compared_with.equal > 300
    assert compared_with.first_different == ""


def test_where_a_trailing_stop_differs_from_freqtrade_the_first_trade_is_named(write: Write) -> None:
    trailing = "stoploss = -0.02\n        trailing_stop, trailing_stop_positive = True, 0.01"
    own, panel = freqtrade_python(), market(bars=24 * 90)
    strategy = CallableStrategy("dip", of_freqtrade(write(DIP.replace("stoploss = -0.02", trailing))), ({},))
    compared_with = own.compare(strategy, {}, panel, Costs())
    assert 0 < compared_with.equal < compared_with.theirs
    assert "freqtrade long from" in compared_with.first_different or "freqtrade short" in compared_with.first_different
