"""A book in plain Python, slow and from the rules: cash, positions, and the trades that come of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from quant_organism.backtest import Costs
from quant_organism.market import Panel
from quant_organism.strategies import Genome
from quant_organism_tests.strategies.cross_section.reference import weights_at


@dataclass
class Holding:
    """What is held of one asset, and the trade that it belongs to."""

    quantity: float = 0.0
    wanted: float | None = None
    last_row: int = -(10**9)
    last_close: float = 0.0
    trade: dict[str, Any] = field(default_factory=dict)


@dataclass
class Book:
    """A genome's book over a window, from its first bar to its last."""

    genome: Genome
    panel: Panel
    costs: Costs
    start: int
    delay: int = 0
    cash: float = 1.0
    returns: list[float] = field(default_factory=list)
    units: list[dict[str, float]] = field(default_factory=list)
    trades: list[dict[str, Any]] = field(default_factory=list)

    def run(self) -> Book:
        """Trade all rows from `start` on."""
        panel = self.panel
        self.held = {symbol: Holding() for symbol in panel.symbols}
        self.column = {symbol: place for place, symbol in enumerate(panel.symbols)}
        for row in range(self.start):
            self._mark(row)
        self.wishes = dict.fromkeys(panel.symbols, 0.0)
        if self.start:
            self._decide(self.start - 1)
        for row in range(self.start, panel.n_bars):
            before = self._equity()
            self.units.append(dict(self.wishes))
            self._bar(row, before)
            if self._decides(row):
                self._sell_gone(row, before)
            self.returns.append(self._equity() / before - 1.0)
            self._decide(row)
        self.units.append(dict(self.wishes))
        for symbol in sorted(self.held):
            own = self.held[symbol]
            if own.quantity:
                self._fill(symbol, own.last_row, -own.quantity, own.last_close, 0.0, "open", 1.0)
        return self

    def _equity(self) -> float:
        return self.cash + sum(own.quantity * own.last_close for own in self.held.values())

    def _mark(self, row: int) -> None:
        for symbol, own in self.held.items():
            if self.panel.valid[row, self.column[symbol]]:
                own.last_row, own.last_close = row, float(self.panel.close[row, self.column[symbol]])

    def _bar(self, row: int, before: float) -> None:
        panel, costs = self.panel, self.costs
        for symbol in sorted(self.held):
            own, place = self.held[symbol], self.column[symbol]
            if not panel.valid[row, place]:
                continue
            if own.wanted is not None:
                amount, slippage, whole = own.wanted - own.quantity, costs.slippage, True
                if costs.max_participation is not None:
                    volume = float(panel.volume[row, place]) / costs.capital_usd
                    room = costs.max_participation * volume
                    whole = abs(amount) <= room
                    amount = amount if whole else math.copysign(room, amount)
                    if amount:
                        slippage += costs.impact_bps / 1e4 * math.sqrt(abs(amount) / volume)
                if amount:
                    price = float(panel.open[row, place]) * (1 + math.copysign(slippage, amount))
                    self._fill(symbol, row, amount, price, costs.taker_fee, "signal", before)
                if whole:
                    own.quantity, own.wanted = own.wanted, None
            if costs.charge_funding and own.quantity:
                paid = own.quantity * float(panel.close[row, place] * panel.funding_paid[row, place])
                self.cash -= paid
                own.trade["funding"] += paid
        self._mark(row)

    def _sell_gone(self, row: int, before: float) -> None:
        for symbol in sorted(self.held):
            own = self.held[symbol]
            if own.quantity and (row - own.last_row) * self.panel.interval.hours >= 24:
                price = own.last_close * (1 - math.copysign(self.costs.slippage, own.quantity))
                self._fill(symbol, row, -own.quantity, price, self.costs.taker_fee, "delisted", before)
                own.quantity = 0.0

    def _fill(
        self, symbol: str, row: int, amount: float, price: float, fee_rate: float, reason: str, before: float
    ) -> None:
        own = self.held[symbol]
        fee = fee_rate * abs(amount) * price
        self.cash -= amount * price + fee
        closing = min(abs(amount), abs(own.quantity)) if own.quantity * amount < 0 else 0.0
        if closing:
            own.trade["out"].append((closing, price))
            own.trade["fees"] += fee * closing / abs(amount)
            if math.isclose(closing, abs(own.quantity), rel_tol=1e-12):
                self.trades.append({**own.trade, "symbol": symbol, "exit": row, "reason": reason})
                own.trade = {}
        opening = abs(amount) - closing
        if opening > 1e-12 * abs(amount):
            if not own.trade:
                side = 1 if amount > 0 else -1
                own.trade = {"entry": row, "side": side, "in": [], "out": [], "fees": 0.0, "funding": 0.0}
                own.trade["equity"] = before
            own.trade["in"].append((opening, price))
            own.trade["fees"] += fee * opening / abs(amount)
        own.quantity += amount

    def _decides(self, row: int) -> bool:
        genes, hours = self.genome.genes, self.panel.interval.hours
        every = max(1, math.ceil(float(genes["rebalance_hours"]) / hours))  # type: ignore[arg-type]
        origin = row - self.delay
        if origin < 0:
            return False
        number = int(self.panel.times[origin]) // self.panel.interval.milliseconds
        return number % every == math.floor(float(genes["phase"]) * every)  # type: ignore[arg-type]

    def _decide(self, row: int) -> None:
        if not self._decides(row):
            return
        weights = dict(zip(self.panel.symbols, weights_at(self.genome, self.panel, row - self.delay), strict=True))
        equity, legs = self._equity(), sum(weight != 0 for weight in weights.values())
        for symbol, own in self.held.items():
            weight = weights[symbol]
            own.wanted = None
            if weight == 0:
                own.wanted = 0.0 if own.quantity else None
            else:
                apart = abs(weight * equity - own.quantity * own.last_close)
                if apart > float(self.genome.genes["band"]) * equity / legs:  # type: ignore[arg-type]
                    own.wanted = weight * equity / own.last_close
            self.wishes[symbol] = (own.quantity if own.wanted is None else own.wanted) / equity
