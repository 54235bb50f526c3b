"""Genomes that trade one market side by side: all of them take a bar at once, however many streams hand it on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from quant_organism.backtest.costs import Costs
from quant_organism.backtest.market_row import MarketRow
from quant_organism.backtest.market_stream import MarketStream
from quant_organism.backtest.sleeve_state import CLOSE, Floats, new_state
from quant_organism.backtest.sleeve_table import SleeveTable
from quant_organism.market.sentiment import beyond
from quant_organism.strategies import FittedModels, Genome, SignalStream


@dataclass(eq=False)
class StreamPlace:
    """Where the sleeves of a stream are.

    Parameters
    ----------
    genome
        What trades.
    place
        Its number among the genomes of the table.
    last_number
        Number of the last bar that it was taken through, counted from 1970; none before the first.
    left
        Its sleeves after the last bar that all have taken, where the others have gone on without it.
    beside
        Its sleeves at other costs.
    """

    genome: Genome
    place: int
    last_number: int | None = None
    left: SleeveTable | None = None
    beside: list[SleeveTable] = field(default_factory=list)


class StreamsAbreast:
    """Streams of genomes that have joined a market at the same close, at the same costs.

    What they are is made once the first is asked for anything; until then others join.

    Parameters
    ----------
    market
        The bars.
    costs
        Of all sleeves.
    models
        Keeps fitted models.
    """

    def __init__(self, market: MarketStream, costs: Costs, models: FittedModels) -> None:
        self.costs, self.models = costs, models
        self.last_number: int | None = None
        self._market, self._places = market, list[StreamPlace]()
        self._prepared: int | None = None
        self._signals: SignalStream | None = None
        self._sleeves: SleeveTable | None = None
        market.joined.append(self)

    @classmethod
    def of(cls, market: MarketStream, costs: Costs, models: FittedModels) -> StreamsAbreast:
        """Return the streams of a market that a genome can still join, at these costs and with these models.

        Raises
        ------
        InputError
            If bars of the market have been traded.
        """
        if market.last_number is not None:
            market.check_joins()
        for each in market.joined:
            if isinstance(each, cls) and each._sleeves is None and each.costs == costs and each.models is models:
                return each
        return cls(market, costs, models)

    def join(self, genome: Genome) -> StreamPlace:
        """Take a genome in, and return where it is."""
        self._places.append(StreamPlace(genome, len(self._places), self._market.last_number))
        return self._places[-1]

    @property
    def sleeves(self) -> SleeveTable:
        """Of all genomes."""
        return self._begun()[0]

    def begin(self) -> None:
        """Warm signals and ranks up, before the market goes on."""
        self._begun()

    def advance(self, row: MarketRow, asking: StreamPlace) -> None:
        """Take all genomes through a bar, unless the stream of another one has had it done.

        Raises
        ------
        InputError
            The bar is not on the time grid, not later than the last, or not a possible one; or the stream that asks was
            not taken through the bar before.
        """
        number = self._market.number_of(row, asking.last_number)
        if asking.left is not None:
            raise self._market.is_past(row)
        if self.last_number is not None and number < self.last_number:
            raise self._market.is_past(row)
        if number != self.last_number:
            self._advance(row, number)
        asking.last_number = number

    def prepare(self) -> None:
        """Do what can be done of the next decisions before their bar has come; nothing else changes."""
        signals = self._begun()[1]
        if self._prepared != self.last_number:
            self._prepared = self.last_number
            signals.prepare()

    def foreseen_days(self, asking: StreamPlace) -> Floats:
        """Return what the models of a genome foresee, shape (N, 2), as `SignalStream.foreseen_days`."""
        if asking.left is not None:
            return np.zeros((asking.left.last_bars.size, 2))
        return self._begun()[1].foreseen_days(asking.place)

    def _advance(self, row: MarketRow, number: int) -> None:
        sleeves, signals = self._begun()
        late = [each for each in self._places if each.last_number != self.last_number]
        if late and self.last_number is not None:
            self._leave_behind(late)
            sleeves, signals = self._begun()
        for each in self._places:
            for table in each.beside:
                table.decisions[:] = sleeves.decisions[sleeves.of(each.place)]
                table.trade(row, number)
        sleeves.trade(row, number)
        found = self._market.take(row, number)
        sleeves.last_bars[row.valid] = number
        closed = np.flatnonzero(row.valid)
        sleeves.targets.reshape(len(self._places), -1)[:, closed] = signals.follow(closed)
        sleeves.decide(found, 0, row.valid, row.mood)
        sleeves.expose(number, row.close, row.valid)
        for each in self._places:
            for table in each.beside:
                table.decisions[:] = sleeves.decisions[sleeves.of(each.place)]
                table.expose(number, row.close, row.valid)
        self.last_number = number

    def _leave_behind(self, late: list[StreamPlace]) -> None:
        sleeves, signals = self._begun()
        for each in late:
            each.left, each.place, each.last_number = sleeves.part([each.place]), 0, self.last_number
        self._places = [each for each in self._places if each.left is None]
        kept = [each.place for each in self._places]
        self._sleeves = sleeves.part(kept)
        signals.keep(kept)
        for place, each in enumerate(self._places):
            each.place = place

    def _begun(self) -> tuple[SleeveTable, SignalStream]:
        if self._sleeves is None or self._signals is None:
            market, genomes = self._market, [each.genome for each in self._places]
            self._sleeves = SleeveTable(genomes, market.symbols, market.interval, self.costs)
            self._signals = SignalStream(genomes, market.histories, self.models)
            if market.last_number is not None:
                self._warm_up(self._sleeves, self._signals)
        return self._sleeves, self._signals

    def _warm_up(self, sleeves: SleeveTable, signals: SignalStream) -> None:
        found, history = self._market.history_allocation(), self._market.history
        assert history is not None  # otherwise the market has refused
        numbers = history.times // self._market.interval.milliseconds
        self.last_number = int(numbers[-1])
        known, count = np.flatnonzero(history.valid.any(axis=0)), len(self._places)
        sleeves.targets.reshape(count, -1)[:, known] = signals.follow(known)
        states = sleeves.states.reshape(count, len(self._market.symbols), -1)
        for asset in known.tolist():
            rows = np.flatnonzero(history.valid[:, asset])
            settled = 0.0
            if self.costs.charge_funding:
                paid = history.close[rows, asset] * history.funding_paid[rows, asset]
                settled = float(np.cumsum(paid)[-1])
            states[:, asset] = new_state(rows.size - 1, settled)
            states[:, asset, CLOSE] = history.close[rows[-1], asset]
            sleeves.last_bars[asset] = numbers[rows[-1]]
            alone = np.arange(len(self._market.symbols)) == asset
            greed, fear = beyond(history.fear_greed[rows[-1]])
            sleeves.decide(found, int(rows[-1]), alone, (float(greed), float(fear)))
            sleeves.expose(int(numbers[rows[-1]]), history.close[rows[-1]], alone)
