"""A cross-sectional genome bar by bar: the twin of its book in the evaluator, to the last bit."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np

from quant_organism.backtest.costs import Costs
from quant_organism.backtest.cross_section.book import (
    ASSET,
    BOUGHT,
    FEE,
    GAIN,
    GUARD,
    HELD,
    LATEST,
    MARK,
    N_BOOK_TRADE,
    PENDING,
    PRICE,
    UNITS,
    WANTED,
    Flags,
    Floats,
    Ints,
    decide_book,
    end_book,
    new_book,
    trade_book_bar,
)
from quant_organism.backtest.cross_section.walk import book_friction, ranking_family
from quant_organism.backtest.layout import ENTRY_BAR, EXIT_BAR
from quant_organism.backtest.market_row import MarketRow, bar_number, check_history, next_number
from quant_organism.backtest.orders import SleeveFill, SleeveOrder, Step
from quant_organism.backtest.ranked_market import latest_marks
from quant_organism.backtest.trades import TradeList, trade_list
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.strategies import Genome
from quant_organism.strategies.cross_section.history import CrossSectionHistory, CrossSectionView


class BookStream:
    """Trade one cross-sectional genome on N assets by rules X1 to X6 of docs/execution.md, one bar at a time.

    Parameters
    ----------
    genome
        Of a family that ranks.
    symbols
        Names of the N assets.
    interval
        Length of a bar.
    costs
        Fees, slippage, funding, volume.
    history
        Bars of the same assets before the first that is traded.

    Raises
    ------
    InputError
        If the history is of other assets or another interval.
    """

    def __init__(
        self,
        genome: Genome,
        symbols: Sequence[str],
        interval: Interval,
        costs: Costs,
        *,
        history: Panel | None = None,
    ) -> None:
        self.genome, self.symbols, self.interval, self.costs = genome, tuple(symbols), interval, costs
        count = len(self.symbols)
        self._family = ranking_family(genome)
        self._band = float(genome.genes["band"])  # type: ignore[arg-type]
        # Everything inside stands in the order of the symbols; `_place` leads back to that of the caller.
        self._order = np.array(sorted(range(count), key=self.symbols.__getitem__), dtype=np.int64)
        self._place = np.argsort(self._order)
        self._history = CrossSectionHistory(count, interval.hours)
        self._friction = book_friction(costs, interval.hours)
        self._book, self._equity = new_book(count), 1.0
        self._levels = np.ones(count)
        self._trades: list[Floats] = []
        self._ended = np.empty((count, N_BOOK_TRADE))
        self._last_number: int | None = None
        self._begun, self._beside = False, list[BookStream]()
        if history is not None:
            self._warm_up(history)

    def step(self, row: MarketRow) -> Step:
        """Fill what is wanted, mark the book, and decide at the close if it is time.

        Raises
        ------
        InputError
            If the bar is not on the time grid, not later than the last, or not a possible one.
        """
        fills = self.advance(row)
        orders = [
            SleeveOrder(
                self.symbols[self._order[a]],
                "market",
                float(self._book[a, WANTED] - self._book[a, HELD]),
                np.nan,
                "signal" if self._book[a, WANTED] == 0.0 else "entry",
            )
            for a in np.flatnonzero(self._book[:, PENDING]).tolist()
        ]
        return Step(tuple(fills), tuple(orders), self.equity)

    def beside(self, costs: Costs) -> BookStream:
        """Return a book at other costs that trades the weights of this one, and advances with it.

        Ask before the first bar is traded, and advance this stream alone.

        Raises
        ------
        InputError
            Bars have been traded.
        """
        if self._begun:
            raise InputError("a book stands beside one that has traded nothing yet", remedy="open a stream of its own")
        other = copy(self)
        other.costs, other._friction = costs, book_friction(costs, self.interval.hours)
        other._book, other._levels, other._ended = self._book.copy(), self._levels.copy(), self._ended.copy()
        other._trades, other._beside = [], []
        self._beside.append(other)
        return other

    def advance(self, row: MarketRow) -> list[SleeveFill]:
        """Do what `step` does, and return the fills alone."""
        number = next_number(bar_number(row, self.symbols, self.interval), self.interval, self._last_number)
        order, valid = self._order, row.valid[self._order]
        numbers = np.array([number], dtype=np.int64)
        decides = bool(self._family.decides(self.genome.genes, numbers, self.interval.hours)[0])
        fills = self._trade(row, number, decides=decides)
        for other in self._beside:
            other._trade(row, number, decides=decides)
        close, volume, rate = (values[order][None] for values in (row.close, row.volume, row.funding_rate))
        ends = self._history.extend(numbers, close, volume, rate, row.funding_paid[order][None], valid[None])
        if decides:
            self._decide(ends[0], valid)
        for book in (self, *self._beside):
            book._last_number = number
        return fills

    @property
    def equity(self) -> Floats:
        """What each asset has made of 1 by what it brought to the book, shape (N,)."""
        return np.asarray(self._levels[self._place])

    @property
    def units(self) -> Floats:
        """Virtual units per unit of the book's equity, decided last (rule A1), shape (N,)."""
        return np.asarray(self._book[self._place, UNITS])

    @property
    def sleeve_returns(self) -> Floats:
        """Part of the last bar's return that each asset brought, shape (N,); their sum by symbol is the book's."""
        return np.asarray(self._book[self._place, GAIN])

    def levels(self, opens: Floats) -> tuple[Floats, Floats]:
        """Return the levels that guard an account against disaster in the bar that has just opened, and no targets.

        Parameters
        ----------
        opens
            First prices of the next bar, NaN where an asset has none, shape (N,).
        """
        stands = np.isfinite(opens) & (self.units != 0.0) & (self._last_number is not None)
        return np.where(stands, self._book[self._place, GUARD], np.nan), np.full(opens.size, np.nan)

    def trades(self) -> TradeList:
        """Return the trades that have ended so far."""
        return self._listed(self._trades)

    def finish(self) -> TradeList:
        """Return all trades as if no bar followed; the stream itself can go on."""
        count, left = len(self.symbols), self._book.copy()
        open_trades = np.empty((count, N_BOOK_TRADE))
        opened = end_book(self._last_number or 0, self._equity, left, open_trades, 0)
        return self._listed([*self._trades, *open_trades[:opened]])

    def closing_equity(self) -> Floats:
        """Return `equity`: what a delisted asset is worth is booked at the first decision a day after its last bar."""
        return self.equity

    def _trade(self, row: MarketRow, number: int, *, decides: bool) -> list[SleeveFill]:
        self._begun, order, paid = True, self._order, row.funding_paid[self._order]
        if self._equity <= 0.0:
            self._book[:, GAIN] = 0.0
            return []
        self._equity, ended = trade_book_bar(
            number,
            row.open[order],
            row.close[order],
            row.volume[order] / self.costs.capital_usd,
            paid if self.costs.charge_funding else np.zeros_like(paid),
            row.valid[order],
            decides,
            self._equity,
            self._friction,
            self._book,
            self._ended,
            0,
        )
        self._trades += list(self._ended[:ended].copy())
        self._levels *= 1.0 + self._book[:, GAIN]
        return self._fills()

    def _fills(self) -> list[SleeveFill]:
        fills = []
        for a in np.flatnonzero(self._book[:, BOUGHT]).tolist():
            bought, held = float(self._book[a, BOUGHT]), float(self._book[a, HELD])
            reason = "entry" if bought * held > 0.0 else "signal"
            price, fee = float(self._book[a, PRICE]), float(self._book[a, FEE])
            fills.append(SleeveFill(self.symbols[self._order[a]], bought, price, fee, reason))
        return fills

    def _decide(self, ends: Ints, valid: Flags) -> None:
        view = CrossSectionView(self._history, ends[:, None], valid[:, None])
        weights = np.ascontiguousarray(self._family.weights(view, self.genome.genes)[:, 0])
        for stream in (self, *self._beside):
            decide_book(stream._equity, weights, self._band, stream._book)

    def _warm_up(self, history: Panel) -> None:
        check_history(history, self.symbols, self.interval)
        numbers = history.times // self.interval.milliseconds
        order = self._order
        close, volume, rate, paid = (
            np.ascontiguousarray(values[:, order])
            for values in (history.close, history.volume, history.funding_rate, history.funding_paid)
        )
        valid = np.ascontiguousarray(history.valid[:, order])
        ends = self._history.extend(numbers, close, volume, rate, paid, valid)
        marks = latest_marks(close, valid)
        self._book[:, MARK] = marks[:, 0]
        rows = np.isfinite(marks[:, 1])
        self._book[rows, LATEST] = numbers[marks[rows, 1].astype(np.int64)]
        self._last_number = int(numbers[-1])
        if self._family.decides(self.genome.genes, numbers[-1:], self.interval.hours)[0]:
            self._decide(ends[-1], valid[-1])

    def _listed(self, trades: Sequence[Floats]) -> TradeList:
        table = np.array(trades).reshape(-1, N_BOOK_TRADE)
        first = int(table[:, ENTRY_BAR].min(initial=0.0 if not len(table) else np.inf))
        table[:, [ENTRY_BAR, EXIT_BAR]] -= first
        last = int(table[:, EXIT_BAR].max(initial=0.0))
        times = (first + np.arange(last + 1)) * self.interval.milliseconds
        places = {self.symbols[place]: a for a, place in enumerate(self._order.tolist())}
        records = {symbol: table[table[:, ASSET] == a] for symbol, a in places.items()}
        return trade_list(records, dict.fromkeys(records, times))
