"""What a freqtrade file finds where freqtrade would be: run in the sandbox, with pandas and nothing of this package.

It offers the names that such files import, calls `populate_indicators`, `populate_entry_trend` and
`populate_exit_trend` of each asset, and hands back the signals and the rules that the class declares. Whatever decides
trades by code of its own is refused by name, since the court follows declared rules only.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIGNALS = {"enter_long": 1, "enter_short": 2, "exit_long": 4, "exit_short": 8}
"""Columns of a frame, and the bit of each in a bar's signals."""

RULES = (
    "stoploss",
    "minimal_roi",
    "trailing_stop",
    "trailing_stop_positive",
    "trailing_stop_positive_offset",
    "trailing_only_offset_is_reached",
    "can_short",
    "use_exit_signal",
    "ignore_roi_if_entry_signal",
    "startup_candle_count",
)
"""Attributes that the court trades by."""

HOOKS = {
    "custom_exit": "write what it asks into exit_long and exit_short",
    "custom_sell": "write what it asks into exit_long and exit_short",
    "custom_entry_price": "leave it out: entries are made at the next open",
    "custom_exit_price": "leave it out: exits are made at the next open",
    "custom_stake_amount": "leave it out: each asset has an equal part of the equity",
    "confirm_trade_entry": "write what it asks into enter_long and enter_short",
    "confirm_trade_exit": "write what it asks into exit_long and exit_short",
    "adjust_trade_position": "leave it out: a position is entered and left whole",
    "adjust_entry_price": "leave it out: orders are by market",
    "adjust_exit_price": "leave it out: orders are by market",
    "adjust_order_price": "leave it out: orders are by market",
    "check_entry_timeout": "leave it out: orders are by market",
    "check_exit_timeout": "leave it out: orders are by market",
    "order_filled": "leave it out: what happened to orders is not known",
    "leverage": "leave it out: it is judged without leverage",
    "bot_start": "prepare in populate_indicators instead",
    "bot_loop_start": "prepare in populate_indicators instead",
}
"""Methods that decide trades by code, and what to do instead."""

SWITCHES = {
    "use_custom_stoploss": "declare stoploss and trailing_stop instead of custom_stoploss",
    "use_custom_roi": "declare minimal_roi instead of custom_roi",
    "position_adjustment_enable": "switch it off: a position is entered and left whole",
    "exit_profit_only": "switch it off: an exit signal holds whatever the profit",
    "protections": "leave them out: write what keeps it from trading into the signals",
    "ignore_buying_expired_candle_after": "leave it out: every signal is acted on at the next open",
}
"""Attributes that have to be off."""

MINUTES = {"m": 1, "h": 60, "d": 1_440, "w": 10_080}


class NotExpressible(Exception):
    """The strategy asks for something that the court cannot follow."""


class _Absent:
    """What would know of other candles or of balances: it knows of none and says so."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __bool__(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        raise NotExpressible(f"it asks {self._name}.{name}, and there is none here: use its own frame alone")


class _Unused(type):
    """A name that files import by habit: it may stand in annotations, and be used for nothing else."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotExpressible(f"it asks {cls.__name__}.{name}, and there is none here: leave it out")

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        raise NotExpressible(f"it uses {cls.__name__}, which is not of its own frame: use its own frame alone")


class IStrategy:
    """Defaults of what a class may declare, as in freqtrade; `stoploss` and `timeframe` have none."""

    INTERFACE_VERSION = 3
    minimal_roi: dict[Any, float] = {}  # noqa: RUF012 - as classes of freqtrade have it
    trailing_stop = False
    trailing_stop_positive: float | None = None
    trailing_stop_positive_offset = 0.0
    trailing_only_offset_is_reached = False
    use_custom_stoploss = False
    use_custom_roi = False
    can_short = False
    use_exit_signal = True
    exit_profit_only = False
    exit_profit_offset = 0.0
    ignore_roi_if_entry_signal = False
    position_adjustment_enable = False
    ignore_buying_expired_candle_after = 0
    startup_candle_count = 0
    process_only_new_candles = True
    protections: list[Any] = []  # noqa: RUF012
    order_types: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.dp: Any = _Absent("self.dp")
        self.wallets: Any = _Absent("self.wallets")

    def informative_pairs(self) -> list[Any]:
        """Name no further candles."""
        return []

    def populate_indicators(self, dataframe: Any, metadata: dict[str, str]) -> Any:
        """Add nothing."""
        return dataframe

    def populate_entry_trend(self, dataframe: Any, metadata: dict[str, str]) -> Any:
        """Enter nothing."""
        return dataframe

    def populate_exit_trend(self, dataframe: Any, metadata: dict[str, str]) -> Any:
        """Leave by declared rules alone."""
        return dataframe


class Parameter:
    """A number or choice that a search may set; outside of freqtrade's own search its range is its value."""

    def __init__(self, *bounds: Any, default: Any = None, **named: Any) -> None:
        self.value = default

    @property
    def range(self) -> list[Any]:
        """The value alone."""
        return [self.value]


class DecimalParameter(Parameter):
    """A number with so many decimals."""

    def __init__(self, *bounds: Any, default: float, decimals: int = 3, **named: Any) -> None:
        self.decimals = decimals
        super().__init__(default=default)

    @property
    def value(self) -> float:
        """The number, rounded."""
        return self._value

    @value.setter
    def value(self, value: float) -> None:
        self._value = round(value, self.decimals)


class CategoricalParameter(Parameter):
    """One of some choices; unsaid, the first."""

    def __init__(self, categories: Any, *, default: Any = None, **named: Any) -> None:
        super().__init__(default=categories[0] if default is None else default)


class BooleanParameter(CategoricalParameter):
    """Yes or no."""

    def __init__(self, *, default: Any = None, **named: Any) -> None:
        super().__init__([True, False], default=default)


def timeframe_to_minutes(timeframe: str) -> int:
    """Return the minutes of `5m`, `1h`, `1d` or `1w`."""
    return int(timeframe[:-1]) * MINUTES[timeframe[-1]]


def crossed_above(series: Any, other: Any) -> Any:
    """Return where a series is above another, or a number, and was not before."""
    return (series > other) & (series.shift(1) <= _before(other))


def crossed_below(series: Any, other: Any) -> Any:
    """Return where a series is below another, or a number, and was not before."""
    return (series < other) & (series.shift(1) >= _before(other))


def crossed(series: Any, other: Any) -> Any:
    """Return where a series has come to the other side of another, or of a number."""
    return crossed_above(series, other) | crossed_below(series, other)


def typical_price(bars: Any) -> Any:
    """Return the mean of high, low and close."""
    return (bars["high"] + bars["low"] + bars["close"]) / 3.0


def bollinger_bands(series: Any, window: int = 20, stds: float = 2) -> Any:
    """Return a frame of `upper`, `mid` and `lower`: a mean, and so many deviations around it."""
    import pandas

    mean, deviation = series.rolling(window).mean(), series.rolling(window).std(ddof=1)
    return pandas.DataFrame({"upper": mean + stds * deviation, "mid": mean, "lower": mean - stds * deviation})


def _before(other: Any) -> Any:
    return other.shift(1) if hasattr(other, "shift") else other


def install() -> None:
    """Put the stand-ins where imports look first."""
    offered: dict[str, Any] = {
        "IStrategy": IStrategy,
        "IntParameter": Parameter,
        "RealParameter": Parameter,
        "DecimalParameter": DecimalParameter,
        "CategoricalParameter": CategoricalParameter,
        "BooleanParameter": BooleanParameter,
        "timeframe_to_minutes": timeframe_to_minutes,
    }
    # Templates import them all and use few.
    knowing = ("Trade", "Order", "PairLocks", "DataProvider", "informative", "merge_informative_pair")
    helping = ("stoploss_from_open", "stoploss_from_absolute", "timeframe_to_prev_date", "timeframe_to_next_date")
    offered |= {name: _Unused(name, (), {}) for name in (*knowing, *helping)}
    helpers = (crossed, crossed_above, crossed_below, typical_price, bollinger_bands)
    indicators = {each.__name__: each for each in helpers}
    for name in ("freqtrade", "freqtrade.strategy", "freqtrade.vendor", "freqtrade.vendor.qtpylib"):
        _module(name, offered if name == "freqtrade.strategy" else {}, package=True)
    for name in ("strategy.interface", "strategy.parameters", "strategy.hyper", "persistence", "exchange"):
        _module(f"freqtrade.{name}", offered)
    _module("freqtrade.vendor.qtpylib.indicators", indicators)
    if importlib.util.find_spec("technical") is None:
        _module("technical", {}, package=True)
        _module("technical.qtpylib", indicators)


def _module(name: str, offered: dict[str, Any], *, package: bool = False) -> None:
    made = ModuleType(name)
    vars(made).update(offered)
    if package:
        made.__path__ = []
    sys.modules[name] = made
    above, _, own = name.rpartition(".")
    if above:
        setattr(sys.modules[above], own, made)


def adopt(module: ModuleType, name: str) -> tuple[Callable[..., NDArray[np.float64]], dict[str, Any]]:
    """Return what answers calls for a strategy, and the rules that it declares.

    Parameters
    ----------
    module
        The file.
    name
        Of the class; empty: the only one.

    Raises
    ------
    NotExpressible
        There is no such class, or it asks for what cannot be followed.
    """
    found = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, IStrategy) and value.__module__ == module.__name__
    }
    if name and name not in found:
        raise NotExpressible(f"no class {name} of IStrategy in the file, which has {', '.join(found) or 'none'}")
    if not name and len(found) != 1:
        names = ", ".join(found)
        raise NotExpressible(f"the file has {len(found)} classes of IStrategy ({names}): say which by `strategy_class`")
    strategy = found[name] if name else next(iter(found.values()))
    _check(strategy)
    rules = {rule: getattr(strategy, rule) for rule in RULES}
    rules["minimal_roi"] = [[int(minutes), float(ratio)] for minutes, ratio in rules["minimal_roi"].items()]

    def answer(view: Any, **parameters: Any) -> NDArray[np.float64]:
        return signals(strategy, view, parameters)

    return answer, rules


def _check(strategy: type[IStrategy]) -> None:
    for name in ("stoploss", "timeframe"):
        if not hasattr(strategy, name):
            raise NotExpressible(f"it declares no {name}: every strategy says it")
    if strategy.INTERFACE_VERSION < 3 or hasattr(strategy, "populate_buy_trend"):
        raise NotExpressible("it is of an older interface: name its methods and columns as version 3 does")
    for name, instead in HOOKS.items():
        if hasattr(strategy, name):
            raise NotExpressible(f"{name} decides by code of its own, which cannot be followed: {instead}")
    for name, instead in SWITCHES.items():
        if getattr(strategy, name):
            raise NotExpressible(f"{name} cannot be followed: {instead}")
    for kind in ("entry", "exit"):
        if (said := strategy.order_types.get(kind, "market")) != "market":
            raise NotExpressible(f"order_types.{kind} is {said}, and the court trades by market: say market")


def _made(strategy: type[IStrategy], parameters: dict[str, Any]) -> IStrategy:
    # Values that a search of freqtrade has left in the class stand before defaults, what is asked for before both.
    left: dict[str, Any] = {}
    for name in dir(strategy):
        values = getattr(strategy, name)
        if name.endswith("_params") and isinstance(values, dict):
            left |= values
    made = strategy({"timeframe": strategy.timeframe, "stake_currency": "USDC"})  # type: ignore[attr-defined]
    if pairs := made.informative_pairs():
        raise NotExpressible(f"informative_pairs names {pairs[0]}, and there are no others: use its own frame alone")
    declared = {name for name in dir(strategy) if isinstance(getattr(strategy, name), Parameter)}
    if strange := sorted(set(parameters) - declared):
        raise NotExpressible(f"{strange[0]} is no parameter of it, which has {', '.join(sorted(declared)) or 'none'}")
    for name in declared:
        kept = getattr(strategy, name)
        own = object.__new__(type(kept))
        own.__dict__.update(kept.__dict__)
        if name in parameters or name in left:
            own.value = parameters.get(name, left.get(name))
        setattr(made, name, own)
    return made


def signals(strategy: type[IStrategy], view: Any, parameters: dict[str, Any]) -> NDArray[np.float64]:
    """Return the signals of every bar and asset as bits of `SIGNALS`, float64 (bars, assets)."""
    import pandas

    minutes = timeframe_to_minutes(strategy.timeframe)  # type: ignore[attr-defined]
    if minutes != view.interval_hours * 60:
        raise NotExpressible(
            f"it declares a timeframe of {minutes} minutes, and the market's bars have "
            f"{view.interval_hours * 60:g}: judge it on such bars, as by --interval"
        )
    found = np.zeros(view.close.shape)
    made = _made(strategy, parameters)
    for asset, symbol in enumerate(view.symbols):
        rows = np.flatnonzero(view.valid[:, asset])
        if len(rows) <= made.startup_candle_count:
            continue
        columns = {name: getattr(view, name)[rows, asset] for name in ("open", "high", "low", "close", "volume")}
        dates = pandas.to_datetime(view.times[rows], unit="ms", utc=True)
        frame = pandas.DataFrame({"date": dates, **columns})
        told = {"pair": f"{symbol}/USDC:USDC"}
        for step in (made.populate_indicators, made.populate_entry_trend, made.populate_exit_trend):
            frame = step(frame, told)
            if frame is None or len(frame) != len(rows) or not (frame["date"].to_numpy() == dates.to_numpy()).all():
                raise NotExpressible(f"{step.__name__} does not return the frame that it was given, row by row")
        bits = np.zeros(len(rows), dtype=np.int64)
        for name, bit in SIGNALS.items():
            if name in frame.columns:
                bits |= bit * (frame[name].to_numpy() == 1)
        bits[: made.startup_candle_count] = 0
        found[rows, asset] = bits
    return found
