"""The streaming twin of the evaluator: one genome, one bar of all assets in, fills and standing orders out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import layout
from quant_organism.backtest.costs import Costs
from quant_organism.backtest.cross_section.stream import BookStream
from quant_organism.backtest.market_row import MarketRow
from quant_organism.backtest.market_stream import MarketStream
from quant_organism.backtest.orders import SleeveFill, SleeveOrder, Step, fills_of, orders_of
from quant_organism.backtest.population import check_columns
from quant_organism.backtest.sleeve_state import CASH, CLOSE, EQUITY, N_STATE, SETTLED, Ledger, ledger_of
from quant_organism.backtest.sleeve_table import SleeveTable
from quant_organism.backtest.step import end_sleeve
from quant_organism.backtest.step_assets import decision_of
from quant_organism.backtest.streams_abreast import StreamsAbreast
from quant_organism.backtest.trades import TradeList, trade_list
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.strategies import COLUMNS, FittedModels, Genome, get_family

_SCHEMA = 2


def open_stream(
    genome: Genome,
    symbols: Sequence[str],
    interval: Interval,
    costs: Costs,
    *,
    history: Panel | None = None,
    models: FittedModels | None = None,
    market: MarketStream | None = None,
) -> GenomeStream | BookStream:
    """Return the stream of a genome: of its sleeves, or of its book where it ranks the assets.

    Parameters and errors are those of `GenomeStream`.
    """
    if get_family(genome.family).ranks:
        return BookStream(genome, symbols, interval, costs, history=history if market is None else market.history)
    return GenomeStream(genome, symbols, interval, costs, history=history, models=models, market=market)


class GenomeStream:
    """Trade one genome on N assets by the rules of docs/execution.md, one bar at a time.

    Fed with the bars of a panel, it makes the trades of `Evaluator.trades`, to the last bit. `open_stream` knows which
    genomes trade so.

    Parameters
    ----------
    genome
        The strategy.
    symbols
        Names of the N assets.
    interval
        Length of a bar.
    costs
        Fees, slippage, funding, margin, volume.
    history
        Bars of the same assets before the first that is traded; they warm signals and ranks up.
    models
        Keeps fitted models, for the next stream too; without it, the stream has its own.
    market
        The bars, and their history in place of `history`, where other streams trade them too; none: they are this
        stream's own. All streams of a market are advanced bar by bar.

    Raises
    ------
    InputError
        If the history is of other assets or another interval, or lacks a column that the family reads; or if bars of
        the market have been traded.
    """

    def __init__(
        self,
        genome: Genome,
        symbols: Sequence[str],
        interval: Interval,
        costs: Costs,
        *,
        history: Panel | None = None,
        models: FittedModels | None = None,
        market: MarketStream | None = None,
    ) -> None:
        self.genome, self.symbols, self.interval, self.costs = genome, tuple(symbols), interval, costs
        self._market = market or MarketStream(self.symbols, interval, history)
        if self._market.history is not None:
            check_columns([genome], self._market.history)
        self._abreast = StreamsAbreast.of(self._market, costs, models or FittedModels())
        self._place = self._abreast.join(genome)
        self._begun = False
        # Sleeves at other costs than those of the stream that decides.
        self._own: SleeveTable | None = None

    def beside(self, costs: Costs) -> GenomeStream:
        """Return sleeves at other costs that trade what this stream decides, and advance with it.

        Decisions know nothing of fills, so they are the sleeves of a stream at those costs, to the last bit, for a
        part of its time. Ask before the first bar is traded, and advance this stream alone.

        Raises
        ------
        InputError
            Bars have been traded, or only one of the two pays funding.
        """
        if self._begun or costs.charge_funding != self.costs.charge_funding:
            raise InputError(
                "sleeves stand beside those of a stream that has traded nothing yet and pays funding as they do",
                remedy="open a stream of their own for them",
            )
        other, (sleeves, place) = copy(self), self._sleeves
        other.costs, other._own = costs, sleeves.beside(place, costs)
        self._place.beside.append(other._own)
        return other

    def step(self, row: MarketRow) -> Step:
        """Fill the orders that stand, mark the sleeves, and decide at the close.

        Raises
        ------
        InputError
            If the bar is not on the time grid, not later than the last, or not a possible one.
        """
        self.advance(row)
        sleeves, place = self._sleeves
        orders: list[SleeveOrder] = []
        fills: list[SleeveFill] = []
        next_number = row.time // self.interval.milliseconds + 1
        for symbol, sleeve in zip(self.symbols, range(sleeves.states.shape[0])[sleeves.of(place)], strict=True):
            fills += fills_of(symbol, ledger_of(sleeves.ledgers, sleeve))
            decision = decision_of(sleeves.decisions[sleeve])
            orders += orders_of(symbol, sleeves.states[sleeve], decision, sleeves.terms[sleeve], next_number)
        return Step(tuple(fills), tuple(orders), self.equity)

    def advance(self, row: MarketRow) -> None:
        """Do what `step` does, and return nothing: to say what has filled and what stands takes time."""
        self._abreast.advance(row, self._place)
        self._begun = True

    def prepare(self) -> None:
        """Do what can be done of the next decision before its bar has come, such as fits; nothing else changes."""
        self._abreast.prepare()

    @property
    def equity(self) -> NDArray[np.float64]:
        """Equity of each sleeve at its last close, shape (N,)."""
        return self._part("states")[:, EQUITY].copy()

    @property
    def units(self) -> NDArray[np.float64]:
        """Virtual units per unit of each sleeve's equity, decided at the last close (rule A1), shape (N,)."""
        return self._part("units").copy()

    @property
    def sleeve_returns(self) -> NDArray[np.float64]:
        """Return of each sleeve in the last bar, shape (N,); that of a portfolio is their sum by symbol."""
        return self._part("returns").copy()

    def foreseen_days(self) -> NDArray[np.float64]:
        """Return the low and the high level of each asset's log return of the coming day, shape (N, 2).

        As the family's models told at the asset's last bar; 0 where they tell none.
        """
        return self._abreast.foreseen_days(self._place)

    def levels(self, opens: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return stops and targets that stand in the bar that has just opened, NaN without a position.

        Parameters
        ----------
        opens
            First prices of the next bar, NaN where an asset has none, shape (N,).
        """
        (sleeves, place), last = self._sleeves, self._last_number
        if last is None:
            return np.full(opens.size, np.nan), np.full(opens.size, np.nan)
        stops, targets = sleeves.levels(last + 1, opens)
        return stops[sleeves.of(place)].copy(), targets[sleeves.of(place)].copy()

    def trades(self) -> TradeList:
        """Return the trades that have ended so far."""
        sleeves, place = self._sleeves
        return self._listed(sleeves.trades[sleeves.of(place)])

    def finish(self) -> TradeList:
        """Return all trades as if no bar followed (rule 11); the stream itself can go on."""
        return self._listed([trades for trades, _ in self._ended()])

    def closing_equity(self) -> NDArray[np.float64]:
        """Return the equity of each sleeve as if no bar followed, shape (N,)."""
        return np.array([state[CASH] for _, state in self._ended()])

    def state(self) -> dict[str, Any]:
        """Return all that `restored` needs: plain values and arrays, none of them shared with the stream."""
        sleeves, place = self._sleeves
        trades = sleeves.trades[sleeves.of(place)]
        histories = [self._market.histories.bars(asset) for asset in range(len(self.symbols))]
        return {
            "schema": _SCHEMA,
            "genome": self.genome.to_dict(),
            "symbols": list(self.symbols),
            "interval": self.interval.name,
            "costs": self.costs.to_dict(),
            "last_number": self._last_number,
            "last_bars": (self._place.left or self._abreast.sleeves).last_bars.copy(),
            "sleeves": self._part("states").copy(),
            "decisions": self._part("decisions").copy(),
            "units": self._part("units").copy(),
            "returns": self._part("returns").copy(),
            "trade_counts": np.array([len(each) for each in trades]),
            "trades": np.array([trade for each in trades for trade in each]).reshape(-1, layout.N_TRADE_COLUMNS),
            "bar_counts": np.array([bars.numbers.size for bars in histories]),
            "bars": np.concatenate([[getattr(bars, name) for name in COLUMNS] for bars in histories], axis=1),
            "numbers": np.concatenate([bars.numbers for bars in histories]),
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> GenomeStream:
        """Take a stream up where `state` was asked for.

        Raises
        ------
        InputError
            If the state is of another schema version or layout.
        """
        if state.get("schema") != _SCHEMA or np.shape(state["sleeves"])[1:] != (N_STATE,):
            raise InputError(
                f"the stream was saved with schema {state.get('schema')!r}, expected {_SCHEMA}",
                where="state of a stream",
                remedy="feed a new stream the bars again",
            )
        interval = Interval.parse(state["interval"])
        stream = cls(Genome.from_dict(state["genome"]), state["symbols"], interval, Costs.from_dict(state["costs"]))
        stream._part("states")[:] = state["sleeves"]
        for name in ("decisions", "units", "returns"):
            stream._part(name)[:] = state[name]
        stream._place.last_number = stream._abreast.last_number = state["last_number"]
        stream._begun = True
        stream._abreast.sleeves.last_bars[:] = state["last_bars"]
        ends = np.cumsum(state["trade_counts"])[:-1]
        sleeves, place = stream._sleeves
        sleeves.trades[sleeves.of(place)] = [list(each) for each in np.split(np.asarray(state["trades"]), ends)]
        ends = np.cumsum(state["bar_counts"])[:-1]
        columns, numbers = np.split(np.asarray(state["bars"]), ends, axis=1), np.split(state["numbers"], ends)
        for asset, (bars, places) in enumerate(zip(columns, numbers, strict=True)):
            stream._market.histories.extend(asset, bars, places)
        return stream

    @property
    def _sleeves(self) -> tuple[SleeveTable, int]:
        # Where its sleeves are, and its number there.
        if self._own is not None:
            return self._own, 0
        return self._place.left or self._abreast.sleeves, self._place.place

    @property
    def _last_number(self) -> int | None:
        # Of the last bar that its sleeves have taken, which another stream of the market may have handed on.
        return self._abreast.last_number if self._place.left is None else self._place.last_number

    def _part(self, name: str) -> NDArray[np.float64]:
        sleeves, place = self._sleeves
        part: NDArray[np.float64] = getattr(sleeves, name)[sleeves.of(place)]
        return part

    def _ended(self) -> Iterator[tuple[list[NDArray[np.float64]], NDArray[np.float64]]]:
        # Trades and state of each sleeve, the books closed.
        (sleeves, place), last = self._sleeves, self._last_number
        last_bars = (self._place.left or self._abreast.sleeves).last_bars
        for asset, sleeve in enumerate(range(sleeves.states.shape[0])[sleeves.of(place)]):
            ledger, state = Ledger.empty(), sleeves.states[sleeve].copy()
            delisted = last is not None and int(last_bars[asset]) < last
            end_sleeve(state, state[CLOSE], state[SETTLED], delisted, sleeves.terms[sleeve], ledger)
            yield [*sleeves.trades[sleeve], *ledger.trades[: ledger.counts[0]]], state

    def _listed(self, trades: Sequence[Sequence[NDArray[np.float64]]]) -> TradeList:
        records, times = {}, {}
        for asset, symbol in enumerate(self.symbols):
            records[symbol] = np.array(trades[asset]).reshape(-1, layout.N_TRADE_COLUMNS)
            times[symbol] = self._market.histories.bars(asset).numbers * self.interval.milliseconds
        return trade_list(records, times)
