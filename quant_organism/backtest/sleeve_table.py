"""The sleeves of several genomes on the same assets, and what takes all of them through a bar in one call."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import layout
from quant_organism.backtest.allocation import Allocation
from quant_organism.backtest.costs import Costs
from quant_organism.backtest.exposure import asset_levels, expose_assets
from quant_organism.backtest.market_row import MarketRow
from quant_organism.backtest.population import applied_genes
from quant_organism.backtest.sleeve_state import Floats, Ledger, in_rows, new_state, terms_of
from quant_organism.backtest.sleeves import friction_of
from quant_organism.backtest.step_assets import decide_assets, trade_assets
from quant_organism.market.schema import Interval
from quant_organism.strategies import Genome
from quant_organism.strategies.genome import gene_arrays


class SleeveTable:
    """The S sleeves of G genomes, genome after genome, each on all N assets.

    Parameters
    ----------
    genomes
        The strategies.
    symbols, interval
        Names of the assets, and the length of a bar.
    costs
        Of all of them.

    Attributes
    ----------
    states
        Shape (S, N_STATE).
    targets, units, returns
        What signals want at the last close, virtual units per unit of each sleeve's equity (rule A1), and the return of
        each sleeve in the last bar, shape (S,).
    decisions
        Made at the last close, shape (S, 3).
    terms
        Genome and costs of each sleeve.
    ledgers
        What the last bar brought.
    trades
        Of each sleeve those that have ended.
    last_bars
        Number of the last bar of each asset, counted from 1970, -1 before the first, shape (N,).
    """

    def __init__(self, genomes: Sequence[Genome], symbols: Sequence[str], interval: Interval, costs: Costs) -> None:
        self._assets, self._symbols, count = len(symbols), tuple(symbols), len(genomes) * len(symbols)
        alone = [applied_genes(gene_arrays([genome]), interval) for genome in genomes]  # of whatever families
        self._risk = cast(Any, layout.Risk)(*map(np.concatenate, zip(*alone, strict=True)))
        self._set_costs(costs)
        self._by_symbol = np.array(sorted(range(len(symbols)), key=symbols.__getitem__))
        self._unpaid = np.zeros(len(symbols))
        self.states = np.stack([new_state(-1, 0.0)] * count)
        self.targets, self.units, self.returns = np.zeros(count), np.zeros(count), np.zeros(count)
        self.decisions = np.zeros((count, 3))
        self.ledgers = Ledger.empty(count)
        self.trades: list[list[Floats]] = [[] for _ in range(count)]
        self.last_bars = np.full(len(symbols), -1, dtype=np.int64)
        self._levels: tuple[Floats, Floats, Floats] | None = None

    def of(self, genome: int) -> slice:
        """Return which sleeves are those of a genome, by its number."""
        return slice(genome * self._assets, (genome + 1) * self._assets)

    def trade(self, row: MarketRow, number: int) -> None:
        """Take all sleeves through a bar, up to their marks at the close; `number` is its place on the time grid."""
        self._levels = None
        count = trade_assets(
            self.states,
            row.columns,
            row.funding_paid if self.costs.charge_funding else self._unpaid,
            row.valid,
            self.costs.capital_usd,
            number,
            self.decisions,
            self._terms_in_rows,
            self.ledgers,
            self.returns,
        )
        if count:
            for sleeve in np.flatnonzero(self.ledgers.counts[:, 0]).tolist():
                self.trades[sleeve] += list(self.ledgers.trades[sleeve, : self.ledgers.counts[sleeve, 0]].copy())

    def decide(self, found: Allocation, row: int, valid: NDArray[np.bool_], mood: tuple[float, float]) -> None:
        """Decide at a close: `row` of the ranks, for the assets with a bar there, in the mood of `MarketRow`."""
        decide_assets(
            self.targets,
            valid,
            found.ranks[row],
            int(found.listed[row]),
            found.turbulence[row],
            self._by_symbol,
            *mood,
            self._risk,
            self.decisions,
        )

    def expose(self, number: int, close: Floats, valid: NDArray[np.bool_]) -> None:
        """Move the units to the close of a bar, of the assets that have it."""
        self._levels = None
        expose_assets(self.states, self.decisions, self._terms_in_rows, number + 1, close, valid, self.units)

    def levels(self, number: int, opens: Floats) -> tuple[Floats, Floats]:
        """Return stops and targets in a bar that has opened, NaN without a position, shape (S,).

        They are made once, however many ask; no sleeve moves in between.

        Parameters
        ----------
        number
            Its place on the time grid.
        opens
            First prices, NaN where an asset has none, shape (N,).
        """
        if self._levels is None or self._levels[0] is not opens:
            stops, goals = np.full(len(self.trades), np.nan), np.full(len(self.trades), np.nan)
            terms = self._terms_in_rows
            asset_levels(self.states, self.decisions, terms, number, opens, self.ledgers, stops, goals)
            self._levels = opens, stops, goals
        return self._levels[1:]

    def part(self, genomes: Sequence[int]) -> SleeveTable:
        """Return the sleeves of some genomes as they are, in arrays of their own."""
        one = copy(self)
        one._levels = None
        places = np.concatenate([np.arange(self._assets) + genome * self._assets for genome in genomes])
        one._risk = cast(Any, layout.Risk)(*(values[list(genomes)] for values in self._risk))
        one.terms = [self.terms[place] for place in places.tolist()]
        one._terms_in_rows = self._terms_in_rows[places]
        one.states, one.decisions = self.states[places], self.decisions[places]
        one.targets, one.units, one.returns = self.targets[places], self.units[places], self.returns[places]
        ledgers = self.ledgers
        one.ledgers = Ledger(ledgers.trades[places], ledgers.fills[places], ledgers.counts[places])
        one.last_bars = self.last_bars.copy()
        one.trades = [list(self.trades[place]) for place in places.tolist()]
        return one

    def beside(self, genome: int, costs: Costs) -> SleeveTable:
        """Return the sleeves of a genome as they are, at other costs from here on."""
        one = self.part([genome])
        one._set_costs(costs)
        return one

    def _set_costs(self, costs: Costs) -> None:
        self.costs = costs
        frictions = [friction_of(costs, symbol) for symbol in self._symbols]
        genomes = range(self._risk.stop_loss.size)
        self.terms = [terms_of(self._risk, genome, friction) for genome in genomes for friction in frictions]
        self._terms_in_rows = in_rows(self.terms)
