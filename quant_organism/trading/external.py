"""Code of a document as the trader follows it: asked at every close, and stopped alone where it fails.

It is asked with all bars up to the close, those of the session's history among them: that what it says of a bar does
not change with later ones was proven when it was judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from quant_organism.backtest import Costs, MarketRow
from quant_organism.backtest.account import LegKey, LegLevels, MarketWeather, Restraint, VirtualWindow
from quant_organism.deployment import ExternalAnswer, ExternalRunner, ExternalStrategy, StrategyConfig, restrained
from quant_organism.errors import InputError, QuantOrganismError
from quant_organism.market.panel import Panel
from quant_organism.trading.following import FollowedDocument, followed_by, panel_of, row_of
from quant_organism.trading.records import Role


class FollowedCode(FollowedDocument):
    """Code bar by bar, on the symbols that it was judged on.

    Parameters
    ----------
    document
        Whose code.
    role
        What becomes of its decisions.
    costs
        Of its virtual book.
    known
        All bars so far, of at least its own symbols; what it wanted before is of no matter.
    runner
        Runs it.
    since_ms
        The close at which it joins.

    Raises
    ------
    InputError
        The market lacks a symbol of its universe, or has bars of another length.
    """

    def __init__(
        self,
        document: StrategyConfig,
        role: Role,
        costs: Costs,
        known: Panel,
        *,
        runner: ExternalRunner,
        since_ms: int,
    ) -> None:
        super().__init__(document, role, known, since_ms=since_ms)
        self.code = _code_of(document)
        self._costs, self._runner = costs, runner
        self._panel = panel_of(known, self.symbols)
        self.weather = MarketWeather(self.symbols, known.interval.milliseconds)
        self.weather.follow(self._panel, self._panel.n_bars)
        self._answer: ExternalAnswer | None = None
        self._ask()

    @property
    def stopless(self) -> frozenset[tuple[str, str]]:
        """None: where it names no levels, its targets end what it holds."""
        return frozenset()

    @property
    def restraint(self) -> Restraint:
        """What the weather of its market holds back at the last close."""
        return self.weather.restraint

    @property
    def units(self) -> dict[LegKey, float]:
        """Virtual units per unit of equity of each symbol that it wants."""
        if self._answer is None:
            return {}
        window = self._answer.window
        held = window.units[-1].tolist()
        return {leg: units for leg, units in zip(window.legs, held, strict=True) if units}

    def window(self, panel: Panel, costs: Costs, share: float, start: int, stop: int) -> VirtualWindow:
        """Return what it wants on rows of a panel, with its share of the equity; nothing where it has failed."""
        own = panel_of(panel, self.symbols)
        if not self.trouble:
            try:
                part = restrained(self._runner.ask(self.code, own, costs).window, own, start, stop)
                return replace(part, shares=np.full_like(part.shares, share))
            except QuantOrganismError as error:
                self._fail(error)
        empty = np.empty((stop - start, 0))
        return VirtualWindow(
            strategies=(self.id,),
            legs=(),
            stopless=frozenset(),
            units=np.empty((stop - start + 1, 0)),
            stops=empty,
            targets=empty,
            returns=np.zeros((stop - start + 1, 1)),
            shares=np.full((stop - start + 1, 1), share),
        )

    def advance(self, row: MarketRow, symbols: Sequence[str]) -> None:
        """Ask it at the close of a bar of some symbols, its own among them."""
        own, before = row_of(row, symbols, self.symbols), self.units
        self.weather.advance(own.time, own.close, own.valid)
        self._panel = followed_by(self._panel, own)
        if not self.trouble:
            self._ask()
        if self.trouble:
            self.virtual_return = self._left(before)

    def levels(self, opens: Mapping[str, float]) -> dict[LegKey, LegLevels]:
        """Return the levels of what it wants in the bar that has just opened at these prices, USD."""
        return {} if self._answer is None else self._answer.levels(opens)

    def agreement(self, symbol: str) -> float:
        """Return how much of its part of the equity it wants in a symbol, 0 to 1."""
        return min(1.0, abs(self._wanted(symbol)) * len(self.symbols))

    def evaluated(self, symbol: str) -> dict[str, Any]:
        """Return what it wants of a symbol, as a share of the equity; what it has evaluated stays with it."""
        return {} if symbol in self.not_evaluated else {"target": self._wanted(symbol)}

    def entry_case(self, symbol: str, price: float) -> None:
        """Return none: no document names its sizes."""

    def _ask(self) -> None:
        last = self._panel.n_bars - 1
        self.not_evaluated = {
            symbol: "no bar has closed"
            for symbol, is_there in zip(self.symbols, self._panel.valid[last].tolist(), strict=True)
            if not is_there
        }
        try:
            answer = self._runner.ask(self.code, self._panel, self._costs)
            self.virtual_return = float(answer.window.returns[-1, 0])
        except QuantOrganismError as error:
            self._fail(error)
            return
        self._answer = answer

    def _fail(self, error: QuantOrganismError) -> None:
        self.trouble, self._answer = str(error), None
        self.not_evaluated = dict.fromkeys(self.symbols, error.what)

    def _wanted(self, symbol: str) -> float:
        units = sum(each for (_, _, name), each in self.units.items() if name == symbol)
        return units * float(self._panel.close[-1, self.symbols.index(symbol)]) if units else 0.0

    def _left(self, before: Mapping[LegKey, float]) -> float:
        # What a book earned in its last bar, whose positions are given up at the close.
        cost = self._costs.taker_fee + self._costs.slippage_bps / 1e4
        earned = 0.0
        for (_, _, symbol), units in sorted(before.items()):
            place = self.symbols.index(symbol)
            was, now = self._panel.close[-2, place], self._panel.close[-1, place]
            if np.isfinite(was) and np.isfinite(now):
                earned += units * (now - was) - abs(units) * now * cost
        return float(earned)


def _code_of(document: StrategyConfig) -> ExternalStrategy:
    if document.external is None:
        raise InputError("it has genomes, and no code", where=document.id)
    return document.external
