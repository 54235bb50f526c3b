"""The streaming twin of the evaluator: one genome, one bar of all assets in, fills and standing orders out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import layout
from quant_organism.backtest.allocation import Allocation
from quant_organism.backtest.costs import Costs
from quant_organism.backtest.cross_section.stream import BookStream
from quant_organism.backtest.exposure import asset_levels, expose_assets
from quant_organism.backtest.market_row import MarketRow
from quant_organism.backtest.market_stream import MarketStream
from quant_organism.backtest.orders import SleeveOrder, Step, fills_of, orders_of
from quant_organism.backtest.population import applied_genes, check_columns
from quant_organism.backtest.sleeve_state import (
    CASH,
    CLOSE,
    EQUITY,
    N_STATE,
    SETTLED,
    Ledger,
    in_rows,
    ledger_of,
    new_state,
    terms_of,
)
from quant_organism.backtest.sleeves import friction_of
from quant_organism.backtest.step import end_sleeve
from quant_organism.backtest.step_assets import decide_assets, decision_of, trade_assets
from quant_organism.backtest.trades import TradeList, trade_list
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.market.sentiment import beyond
from quant_organism.strategies import COLUMNS, FittedModels, Genome, SignalStream, get_family
from quant_organism.strategies.genome import gene_arrays

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
        self.genome, self.symbols, self.interval = genome, tuple(symbols), interval
        count = len(self.symbols)
        kept = models or FittedModels()
        self._market = market or MarketStream(self.symbols, interval, history)
        self._histories = self._market.histories
        self._signals = SignalStream(genome, self._histories, kept)
        self._by_symbol = np.array(sorted(range(count), key=self.symbols.__getitem__))
        self._risk = applied_genes(gene_arrays([genome]), interval)
        self._begun, self._beside = False, list[GenomeStream]()
        self._set_costs(costs)
        self._unpaid = np.zeros(count)
        self._states = np.stack([new_state(-1, 0.0) for _ in self.symbols])
        self._targets = np.zeros(count)
        self._decisions = np.zeros((count, 3))
        self._units, self._returns = np.zeros(count), np.zeros(count)
        self._last_bars = np.full(count, -1, dtype=np.int64)
        self._last_number: int | None = None
        self._trades: list[list[NDArray[np.float64]]] = [[] for _ in self.symbols]
        self._ledgers = Ledger.empty(count)
        if self._market.last_number is not None:
            self._warm_up()

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
        other = copy(self)
        other._set_costs(costs)
        other._states, other._units, other._returns = self._states.copy(), self._units.copy(), self._returns.copy()
        other._trades, other._ledgers = [[] for _ in self.symbols], Ledger.empty(len(self.symbols))
        other._beside = []
        self._beside.append(other)
        return other

    def step(self, row: MarketRow) -> Step:
        """Fill the orders that stand, mark the sleeves, and decide at the close.

        Raises
        ------
        InputError
            If the bar is not on the time grid, not later than the last, or not a possible one.
        """
        self.advance(row)
        fills = [
            fill
            for asset in np.flatnonzero(self._ledgers.counts[:, 1]).tolist()
            for fill in fills_of(self.symbols[asset], ledger_of(self._ledgers, asset))
        ]
        orders: list[SleeveOrder] = []
        next_number = row.time // self.interval.milliseconds + 1
        for asset, symbol in enumerate(self.symbols):
            decision = decision_of(self._decisions[asset])
            orders += orders_of(symbol, self._states[asset], decision, self._terms[asset], next_number)
        return Step(tuple(fills), tuple(orders), self.equity)

    def advance(self, row: MarketRow) -> None:
        """Do what `step` does, and return nothing: to say what has filled and what stands takes time."""
        number = self._market.number_of(row, self._last_number)
        self._trade(row, number)
        for other in self._beside:
            other._trade(row, number)
        found = self._market.take(row, number)
        self._last_bars[row.valid] = number
        closed = np.flatnonzero(row.valid)
        self._targets[closed] = self._signals.follow(closed)
        self._decide(found, 0, row.valid, row.mood)
        for sleeves in (self, *self._beside):
            sleeves._expose(number, row.close, row.valid)
            sleeves._last_number = number

    def prepare(self) -> None:
        """Do what can be done of the next decision before its bar has come, such as fits; nothing else changes."""
        self._signals.prepare()

    @property
    def equity(self) -> NDArray[np.float64]:
        """Equity of each sleeve at its last close, shape (N,)."""
        return self._states[:, EQUITY].copy()

    @property
    def units(self) -> NDArray[np.float64]:
        """Virtual units per unit of each sleeve's equity, decided at the last close (rule A1), shape (N,)."""
        return self._units.copy()

    @property
    def sleeve_returns(self) -> NDArray[np.float64]:
        """Return of each sleeve in the last bar, shape (N,); that of a portfolio is their sum by symbol."""
        return self._returns.copy()

    def foreseen_days(self) -> NDArray[np.float64]:
        """Return the low and the high level of each asset's log return of the coming day, shape (N, 2).

        As the family's models told at the asset's last bar; 0 where they tell none.
        """
        return self._signals.foreseen_days()

    def levels(self, opens: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return stops and targets that stand in the bar that has just opened, NaN without a position.

        Parameters
        ----------
        opens
            First prices of the next bar, NaN where an asset has none, shape (N,).
        """
        stops, goals = np.full(opens.size, np.nan), np.full(opens.size, np.nan)
        if self._last_number is not None:
            row = self._last_number + 1
            asset_levels(self._states, self._decisions, self._terms_in_rows, row, opens, self._ledgers, stops, goals)
        return stops, goals

    def trades(self) -> TradeList:
        """Return the trades that have ended so far."""
        return self._listed(self._trades)

    def finish(self) -> TradeList:
        """Return all trades as if no bar followed (rule 11); the stream itself can go on."""
        return self._listed([trades for trades, _ in self._ended()])

    def closing_equity(self) -> NDArray[np.float64]:
        """Return the equity of each sleeve as if no bar followed, shape (N,)."""
        return np.array([state[CASH] for _, state in self._ended()])

    def state(self) -> dict[str, Any]:
        """Return all that `restored` needs: plain values and arrays, none of them shared with the stream."""
        histories = [self._histories.bars(asset) for asset in range(len(self.symbols))]
        return {
            "schema": _SCHEMA,
            "genome": self.genome.to_dict(),
            "symbols": list(self.symbols),
            "interval": self.interval.name,
            "costs": self.costs.to_dict(),
            "last_number": self._last_number,
            "last_bars": self._last_bars.copy(),
            "sleeves": self._states.copy(),
            "decisions": self._decisions.copy(),
            "units": self._units.copy(),
            "returns": self._returns.copy(),
            "trade_counts": np.array([len(trades) for trades in self._trades]),
            "trades": np.array([trade for trades in self._trades for trade in trades]).reshape(
                -1, layout.N_TRADE_COLUMNS
            ),
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
        stream._states[:] = state["sleeves"]
        stream._decisions[:] = state["decisions"]
        stream._units[:] = state["units"]
        stream._returns[:] = state["returns"]
        stream._last_number, stream._begun = state["last_number"], True
        stream._last_bars[:] = state["last_bars"]
        ends = np.cumsum(state["trade_counts"])[:-1]
        stream._trades = [list(trades) for trades in np.split(np.asarray(state["trades"]), ends)]
        ends = np.cumsum(state["bar_counts"])[:-1]
        columns, numbers = np.split(np.asarray(state["bars"]), ends, axis=1), np.split(state["numbers"], ends)
        for asset, (bars, places) in enumerate(zip(columns, numbers, strict=True)):
            stream._histories.extend(asset, bars, places)
        return stream

    def _trade(self, row: MarketRow, number: int) -> None:
        # One bar of all sleeves, up to their marks at the close.
        self._begun = True
        count = trade_assets(
            self._states,
            row.columns,
            row.funding_paid if self.costs.charge_funding else self._unpaid,
            row.valid,
            self.costs.capital_usd,
            number,
            self._decisions,
            self._terms_in_rows,
            self._ledgers,
            self._returns,
        )
        if count:
            for asset in np.flatnonzero(self._ledgers.counts[:, 0]).tolist():
                self._trades[asset] += list(self._ledgers.trades[asset, : self._ledgers.counts[asset, 0]].copy())

    def _set_costs(self, costs: Costs) -> None:
        self.costs = costs
        self._terms = [terms_of(self._risk, 0, friction_of(costs, symbol)) for symbol in self.symbols]
        self._terms_in_rows = in_rows(self._terms)

    def _decide(self, found: Allocation, row: int, valid: NDArray[np.bool_], mood: tuple[float, float]) -> None:
        decide_assets(
            self._targets,
            valid,
            found.ranks[row],
            int(found.listed[row]),
            found.turbulence[row],
            self._by_symbol,
            *mood,
            self._risk,
            self._decisions,
        )

    def _expose(self, number: int, close: NDArray[np.float64], valid: NDArray[np.bool_]) -> None:
        expose_assets(self._states, self._decisions, self._terms_in_rows, number + 1, close, valid, self._units)

    def _ended(self) -> Iterator[tuple[list[NDArray[np.float64]], NDArray[np.float64]]]:
        # Trades and state of each sleeve, the books closed.
        for asset, trades in enumerate(self._trades):
            ledger, state = Ledger.empty(), self._states[asset].copy()
            delisted = self._last_number is not None and int(self._last_bars[asset]) < self._last_number
            end_sleeve(state, state[CLOSE], state[SETTLED], delisted, self._terms[asset], ledger)
            yield [*trades, *ledger.trades[: ledger.counts[0]]], state

    def _warm_up(self) -> None:
        found, history = self._market.history_allocation(), self._market.history
        assert history is not None  # otherwise the market has refused
        check_columns([self.genome], history)
        numbers = history.times // self.interval.milliseconds
        self._last_number = int(numbers[-1])
        known = np.flatnonzero(history.valid.any(axis=0))
        self._targets[known] = self._signals.follow(known)
        for asset in known.tolist():
            rows = np.flatnonzero(history.valid[:, asset])
            settled = 0.0
            if self.costs.charge_funding:
                paid = history.close[rows, asset] * history.funding_paid[rows, asset]
                settled = float(np.cumsum(paid)[-1])
            self._states[asset] = new_state(rows.size - 1, settled)
            self._states[asset, CLOSE] = history.close[rows[-1], asset]
            self._last_bars[asset] = numbers[rows[-1]]
            alone = np.arange(len(self.symbols)) == asset
            greed, fear = beyond(history.fear_greed[rows[-1]])
            self._decide(found, int(rows[-1]), alone, (float(greed), float(fear)))
            self._expose(int(numbers[rows[-1]]), history.close[rows[-1]], alone)

    def _listed(self, trades: Sequence[Sequence[NDArray[np.float64]]]) -> TradeList:
        records, times = {}, {}
        for asset, symbol in enumerate(self.symbols):
            records[symbol] = np.array(trades[asset]).reshape(-1, layout.N_TRADE_COLUMNS)
            times[symbol] = self._histories.bars(asset).numbers * self.interval.milliseconds
        return trade_list(records, times)
