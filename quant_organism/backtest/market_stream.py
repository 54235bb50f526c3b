"""The bars of a market as they come in, and the ranks that follow from them: kept once for all that trade it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from quant_organism.backtest.allocation import Allocation, allocate
from quant_organism.backtest.allocation_stream import AllocationStream
from quant_organism.backtest.market_row import MarketRow, bar_number, check_history, next_number
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval, format_ms
from quant_organism.strategies import COLUMNS, Histories


class Joined(Protocol):
    """What trades a market from the last bar of its history on."""

    def begin(self) -> None:
        """Look at the history; the market is about to go on."""
        ...


class MarketStream:
    """Take the bars of N assets in, each once, however many streams hand it on.

    Parameters
    ----------
    symbols
        Names of the N assets.
    interval
        Length of a bar.
    history
        Bars of the same assets before the first that is traded.

    Attributes
    ----------
    histories
        All bars so far.
    history
        The bars that it began with; none, or let go of, once another was taken in.
    last_number
        Number of the last bar, counted from 1970; none before the first.
    joined
        What trades it.

    Raises
    ------
    InputError
        If the history is of other assets or another interval.
    """

    def __init__(self, symbols: Sequence[str], interval: Interval, history: Panel | None = None) -> None:
        self.symbols, self.interval, self.history = tuple(symbols), interval, history
        self.histories = Histories(len(self.symbols), interval.hours)
        self.last_number: int | None = None
        self._stream = AllocationStream(len(self.symbols), interval.hours)
        self._before: Allocation | None = None
        self._latest: Allocation | None = None
        self._checked: tuple[MarketRow, int] | None = None
        self.joined: list[Joined] = []
        if history is not None:
            check_history(history, self.symbols, interval)
            self._take_history(history)

    def number_of(self, row: MarketRow, last: int | None) -> int:
        """Return the number of a bar, counted from 1970; it is checked once, however many streams ask.

        Parameters
        ----------
        row
            The bar.
        last
            Number of the last bar of the stream that asks; none before its first.

        Raises
        ------
        InputError
            The bar is not on the time grid, not later than the last, or not a possible one.
        """
        if self._checked is None or self._checked[0] is not row:
            self._checked = row, bar_number(row, self.symbols, self.interval)
        return next_number(self._checked[1], self.interval, last)

    def take(self, row: MarketRow, number: int) -> Allocation:
        """Take a bar in unless it is the last one, and return ranks and turbulence at its close, with T = 1.

        Parameters
        ----------
        row, number
            The bar, which was checked, and its number, counted from 1970.

        Raises
        ------
        InputError
            If a later bar has been taken in.
        """
        if self._latest is None or number != self.last_number:
            if self.last_number is not None and number <= self.last_number:
                raise self.is_past(row)
            for each in self.joined:
                each.begin()
            self.histories.append(row.columns, number, row.valid)
            self._latest = self._stream.step(self.histories, row.valid)
            self.last_number, self.history, self._before = number, None, None
        return self._latest

    def is_past(self, row: MarketRow) -> InputError:
        """Return the refusal of a bar for a stream that was not taken through the bar before."""
        last = "" if self.last_number is None else format_ms(self.last_number * self.interval.milliseconds)
        return InputError(
            f"the market is past it, at {last}",
            where=format_ms(row.time),
            remedy="advance all streams of a market bar by bar",
        )

    def history_allocation(self) -> Allocation:
        """Return ranks and turbulence at each close of the history; before the first bar that is traded.

        Raises
        ------
        InputError
            If there is no history, or bars have been taken in since.
        """
        known = self.check_joins()
        if self._before is None:
            prices = known.high, known.low, known.close, known.volume
            self._before = allocate(*prices, known.valid, self.interval.hours)
        return self._before

    def check_joins(self) -> Panel:
        """Return the history that a stream begins with.

        Raises
        ------
        InputError
            If there is none, or bars have been taken in since.
        """
        if self.history is None:
            raise InputError(
                "a stream joins a market at the last bar of its history",
                where="market of a stream",
                remedy="give it a market of its own, with all bars so far as history",
            )
        return self.history

    def _take_history(self, history: Panel) -> None:
        numbers = history.times // self.interval.milliseconds
        self.last_number = int(numbers[-1])
        for asset in range(len(self.symbols)):
            rows = np.flatnonzero(history.valid[:, asset])
            if rows.size:
                columns = np.stack([getattr(history, name)[rows, asset] for name in COLUMNS])
                self.histories.extend(asset, columns, numbers[rows])
