"""A source of signals as the trader follows it: what it wants, bar by bar, beside the strategies of documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from quant_organism.backtest import Costs, MarketRow
from quant_organism.backtest.account import LegKey, LegLevels, MarketWeather, Restraint
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.trading.following import panel_of, row_of
from quant_organism.trading.outside import OutsideSignal, SignalSource
from quant_organism.trading.records import Role

_MEMBER: Final = "signal"


@dataclass(frozen=True)
class _Wish:
    signal: OutsideSignal
    units: float


class OutsideStrategy:
    """What a source wants, bar by bar: a signal holds until its stop, its target, its end or another signal.

    Its virtual book pays the taker's fee and the slippage of each side; a stop fills at its level or, where the bar
    opens beyond it, at the open.

    Parameters
    ----------
    source
        Who sends.
    costs
        Fees and slippage.
    history
        Bars before it joins, of at least its own symbols.
    since_ms
        The close at which it joins.

    Raises
    ------
    InputError
        The market lacks a symbol of it.
    """

    def __init__(self, source: SignalSource, costs: Costs, history: Panel, *, since_ms: int) -> None:
        missing = sorted(set(source.symbols) - set(history.symbols))
        if missing:
            raise InputError(
                f"the session has no bars of {', '.join(missing)}",
                where=source.id,
                remedy="let it speak of symbols that documents of the session trade",
            )
        self.source, self.since_ms = source, since_ms
        self.symbols = tuple(sorted(source.symbols))
        self.is_leaving = False
        """Whether it is no source any more, and leaves once it is flat."""
        self.trouble = ""
        """Why it cannot go on: never, it is told what to want."""
        self.virtual_return = 0.0
        """Of its virtual book in the last bar."""
        self.not_evaluated: dict[str, str] = {}
        """Of each symbol without a bar at the last close that it had none."""
        own = panel_of(history, self.symbols)
        self._interval_ms = own.interval.milliseconds
        self.weather = MarketWeather(self.symbols, self._interval_ms)
        self.weather.follow(own, own.n_bars)
        self._cost = costs.taker_fee + costs.slippage_bps / 1e4
        self._closes: dict[str, float] = {}
        self._keep(MarketRow.of(own, own.n_bars - 1))
        self._wishes: dict[str, _Wish] = {}
        self._paid = 0.0

    @property
    def id(self) -> str:
        """Its identity among strategies."""
        return self.source.id

    @property
    def foreseen_loss(self) -> float:
        """What a bad day would cost by its own models: 0, it has none here."""
        return 0.0

    @property
    def role(self) -> Role:
        """What becomes of its decisions."""
        return self.source.role

    @property
    def stage(self) -> str:
        """Where a document has its stage."""
        return "outside"

    @property
    def stored(self) -> str:
        """The source as it is written down; its token is not in it."""
        return self.source.model_dump_json()

    @property
    def largest_share(self) -> float:
        """Of the equity that it disposes of."""
        return self.source.largest_share

    @property
    def stopless(self) -> frozenset[tuple[str, str]]:
        """None: every signal names its stop."""
        return frozenset()

    @property
    def restraint(self) -> Restraint:
        """What the weather of its market holds back at the last close."""
        return self.weather.restraint

    @property
    def units(self) -> dict[LegKey, float]:
        """Virtual units per unit of equity of each symbol that it wants."""
        return {(self.id, _MEMBER, symbol): wish.units for symbol, wish in sorted(self._wishes.items())}

    def price(self, symbol: str) -> float:
        """Return the last close of a symbol, USD.

        Raises
        ------
        InputError
            There was no bar.
        """
        if symbol in self.not_evaluated:
            raise InputError(f"no bar of {symbol} has closed", where=self.id, remedy="send it again")
        return self._closes[symbol]

    def take(self, signal: OutsideSignal) -> None:
        """Want what a signal says from this close on; it has been checked."""
        before = self._wishes.pop(signal.symbol, None)
        price = self.price(signal.symbol)
        after = signal.sign * signal.target / price
        self._paid += abs(after - (0.0 if before is None else before.units)) * price * self._cost
        if signal.sign:
            self._wishes[signal.symbol] = _Wish(signal, after)

    def want_nothing(self) -> None:
        """End all that it wants."""
        self._paid += sum(abs(wish.units) * self._closes[symbol] for symbol, wish in self._wishes.items()) * self._cost
        self._wishes.clear()

    def prepare(self) -> None:
        """Do nothing: what it wants comes from outside."""

    def advance(self, row: MarketRow, symbols: Sequence[str]) -> None:
        """Take what it wants through a bar of some symbols, its own among them."""
        own, close_ms = row_of(row, symbols, self.symbols), row.time + self._interval_ms
        self.weather.advance(own.time, own.close, own.valid)
        earned, before = -self._paid, dict(self._closes)
        self._paid = 0.0
        for symbol, wish in sorted(self._wishes.items()):
            place = self.symbols.index(symbol)
            if own.valid[place]:
                left = _left_at(wish.signal, float(own.open[place]), float(own.high[place]), float(own.low[place]))
                price = float(own.close[place]) if left is None else left
                earned += wish.units * (price - before[symbol]) if np.isfinite(before[symbol]) else 0.0
                if left is not None:
                    del self._wishes[symbol]
                    earned -= abs(wish.units) * price * self._cost
            if symbol in self._wishes and wish.signal.expires_ms <= close_ms:
                del self._wishes[symbol]
                earned -= abs(wish.units) * self._closes[symbol] * self._cost
        self._keep(own)
        self.virtual_return = earned

    def levels(self, opens: Mapping[str, float]) -> dict[LegKey, LegLevels]:
        """Return the levels of what it wants in the bar that has just opened."""
        return {
            (self.id, _MEMBER, symbol): LegLevels(
                wish.signal.stop_price or float("nan"), wish.signal.take_profit_price or float("nan")
            )
            for symbol, wish in sorted(self._wishes.items())
        }

    def agreement(self, symbol: str) -> float:
        """Return the confidence of what it wants of a symbol; 0 where it wants nothing."""
        wish = self._wishes.get(symbol)
        return 0.0 if wish is None else wish.signal.confidence

    def evaluated(self, symbol: str) -> dict[str, Any]:
        """Return the signal in force of a symbol."""
        wish = self._wishes.get(symbol)
        return {} if wish is None else {wish.signal.signal_id: wish.signal.model_dump(mode="json")}

    def entry_case(self, symbol: str, price: float) -> None:
        """Return none: no document names its sizes."""

    def _keep(self, row: MarketRow) -> None:
        self.not_evaluated = {}
        for place, symbol in enumerate(self.symbols):
            if row.valid[place]:
                self._closes[symbol] = float(row.close[place])
            else:
                self._closes.setdefault(symbol, float("nan"))
                self.not_evaluated[symbol] = "no bar has closed"


def _left_at(signal: OutsideSignal, opened: float, high: float, low: float) -> float | None:
    # Where a signal's stop or target was reached in a bar, the stop first; none where neither was.
    stop, goal = signal.stop_price, signal.take_profit_price
    if signal.sign > 0:
        if stop is not None and low <= stop:
            return min(stop, opened)
        return max(goal, opened) if goal is not None and high > goal else None
    if stop is not None and high >= stop:
        return max(stop, opened)
    return min(goal, opened) if goal is not None and low < goal else None
