"""Sleeves of a genome from bar to bar through a window: the steps of `GenomeStream`, strung together in compiled loops.

What a genome wants was decided beforehand, bar by bar (`streamed_targets`): decisions know nothing of fills. All else
that a close tells is made here of the bars up to it, by the kernels that a stream calls at each bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import layout
from quant_organism.backtest.allocation import allocate
from quant_organism.backtest.allocation_stream import AllocationStream
from quant_organism.backtest.costs import Costs
from quant_organism.backtest.exposure import asset_levels, expose_assets
from quant_organism.backtest.population import applied_genes
from quant_organism.backtest.sleeve_state import (
    CASH,
    CLOSE,
    EQUITY,
    SETTLED,
    Floats,
    Ledger,
    in_rows,
    new_state,
    terms_of,
)
from quant_organism.backtest.sleeves import friction_of
from quant_organism.backtest.step import end_sleeve
from quant_organism.backtest.step_assets import decide_assets, trade_assets
from quant_organism.backtest.trades import TradeList, trade_list
from quant_organism.kernels.compiled import compiled
from quant_organism.market.panel import Panel
from quant_organism.market.sentiment import beyond
from quant_organism.strategies import COLUMNS, Genome, Histories
from quant_organism.strategies.genome import gene_arrays


@dataclass(frozen=True, eq=False)
class SleevePath:
    """What the sleeves of a genome did in a window of T bars, one column for each of N assets.

    Attributes
    ----------
    trades
        All of them, as if no bar followed.
    units
        Virtual units per unit of each sleeve's equity, decided at the close before each bar and at the last (rule A1),
        shape (T + 1, N).
    stops, targets
        Prices at which a sleeve leaves within each bar, NaN without a position, shape (T, N).
    equity
        At the close before each bar and at the last, shape (T + 1, N).
    returns
        Of each bar, shape (T, N).
    closing_equity
        As if no bar followed, shape (N,).
    """

    trades: TradeList
    units: Floats
    stops: Floats
    targets: Floats
    equity: Floats
    returns: Floats
    closing_equity: Floats


class SleeveWindow:
    """The last bars of a panel, which genomes trade, and what each of their closes tells all of them.

    Parameters
    ----------
    panel
        The market up to the last bar that is traded.
    start
        First row that is traded; rows before it warm ranks up.
    """

    def __init__(self, panel: Panel, start: int) -> None:
        self.panel, self.start = panel, start
        self._numbers = panel.times // panel.interval.milliseconds
        self._by_symbol = np.array(sorted(range(panel.n_assets), key=panel.symbols.__getitem__))
        self._moods = np.stack(beyond(panel.fear_greed), axis=1)
        rows = slice(start, None)
        self._valid = np.ascontiguousarray(panel.valid[rows])
        self._columns = np.stack([getattr(panel, name)[rows] for name in COLUMNS], axis=1)
        self._seen = [np.flatnonzero(panel.valid[:, asset]) for asset in range(panel.n_assets)]
        self._before = [own[: np.searchsorted(own, start)] for own in self._seen]
        histories = Histories(panel.n_assets, panel.interval.hours)
        stream = AllocationStream(panel.n_assets, panel.interval.hours)
        if start:
            self._extend(histories, self._before)
            known = panel.window(0, start)
            prices = known.high, known.low, known.close, known.volume
            self._known = allocate(*prices, known.valid, panel.interval.hours)
        self._extend(histories, [own[before.size :] for own, before in zip(self._seen, self._before, strict=True)])
        self._found = stream.walk(histories, self._valid)

    def decisions(self, genome: Genome, targets: Floats) -> Floats:
        """Return what is decided of each asset at the close before each bar and at the last, shape (T + 1, N, 3).

        Parameters
        ----------
        genome
            Whose genes of risk and allocation decide.
        targets
            What it wants at each close of the panel, from the last one before the window on; shape (rows, N).
        """
        panel, risk = self.panel, applied_genes(gene_arrays([genome]), self.panel.interval)
        decided = np.zeros((panel.n_assets, 3))
        for asset, rows in enumerate(self._before):
            if rows.size:
                # By what the last close of its own has told, if the asset has none at that before the window.
                alone, row = np.arange(panel.n_assets) == asset, int(rows[-1])
                ranks, listed, turbulence = self._known.ranks[row], int(self._known.listed[row]), self._known.turbulence
                wanted, mood = targets[self.start - 1], self._moods[row]
                decide_assets(
                    wanted, alone, ranks, listed, turbulence[row], self._by_symbol, mood[0], mood[1], risk, decided
                )
        every = np.empty((self._valid.shape[0] + 1, *decided.shape))
        _decide_bars(
            np.ascontiguousarray(targets[self.start :]),
            self._valid,
            self._found.ranks,
            self._found.listed,
            self._found.turbulence,
            self._by_symbol,
            np.ascontiguousarray(self._moods[self.start :]),
            risk,
            decided,
            every,
        )
        return every

    def walk(self, genome: Genome, costs: Costs, decisions: Floats) -> SleevePath:
        """Trade what was decided, bar by bar.

        Parameters
        ----------
        genome, costs
            Whose genes of risk bind the sleeves, and what trading costs.
        decisions
            As `decisions` returned them.
        """
        panel, (bars, assets) = self.panel, self._valid.shape
        risk = applied_genes(gene_arrays([genome]), panel.interval)
        terms = [terms_of(risk, 0, friction_of(costs, symbol)) for symbol in panel.symbols]
        terms_in_rows = in_rows(terms)
        states = np.stack([new_state(-1, 0.0) for _ in range(assets)])
        units, equity = np.zeros((bars + 1, assets)), np.ones((bars + 1, assets))
        stops, goals = np.full((bars, assets), np.nan), np.full((bars, assets), np.nan)
        returns, ledgers = np.zeros((bars, assets)), Ledger.empty(assets)
        for asset, rows in enumerate(self._before):
            if rows.size:
                paid = panel.close[rows, asset] * panel.funding_paid[rows, asset] * costs.charge_funding
                states[asset] = new_state(rows.size - 1, float(np.cumsum(paid)[-1]))
                states[asset, CLOSE] = panel.close[rows[-1], asset]
                alone, following = np.arange(assets) == asset, int(self._numbers[rows[-1]]) + 1
                close = np.ascontiguousarray(panel.close[rows[-1]])
                expose_assets(states, decisions[0], terms_in_rows, following, close, alone, units[0])
        trades = np.empty((bars * ledgers.trades[..., 0].size, layout.N_TRADE_COLUMNS))
        traders = np.empty(len(trades), dtype=np.int64)
        count = _walk_bars(
            states,
            decisions,
            terms_in_rows,
            int(self._numbers[self.start]),
            self._columns,
            np.ascontiguousarray(panel.funding_paid[self.start :] * costs.charge_funding),
            self._valid,
            costs.capital_usd,
            ledgers,
            (units, stops, goals, equity, returns),
            trades,
            traders,
        )
        if self.start == 0:
            # Nothing stands before the first close.
            stops[0] = goals[0] = np.nan
        ended, closing = list[Floats](), np.empty(assets)
        for asset in range(assets):
            ledger, state = Ledger.empty(), states[asset]
            end_sleeve(state, state[CLOSE], state[SETTLED], not panel.valid[-1, asset], terms[asset], ledger)
            own = trades[:count][traders[:count] == asset]
            ended.append(np.concatenate([own, ledger.trades[: ledger.counts[0]]]))
            closing[asset] = state[CASH]
        return SleevePath(self._listed(ended), units, stops, goals, equity, returns, closing)

    def _extend(self, histories: Histories, rows: Sequence[NDArray[np.int64]]) -> None:
        for asset, own in enumerate(rows):
            columns = np.stack([getattr(self.panel, name)[own, asset] for name in COLUMNS])
            histories.extend(asset, columns, self._numbers[own])

    def _listed(self, ended: Sequence[Floats]) -> TradeList:
        symbols, times = self.panel.symbols, self.panel.times
        return trade_list(
            dict(zip(symbols, ended, strict=True)),
            {symbol: times[own] for symbol, own in zip(symbols, self._seen, strict=True)},
        )


@compiled
def _decide_bars(
    targets: Floats,
    valid: NDArray[np.bool_],
    ranks: Floats,
    listed: NDArray[np.int64],
    turbulence: Floats,
    by_symbol: NDArray[np.int64],
    moods: Floats,
    risk: layout.Risk,
    decided: Floats,
    every: Floats,
) -> None:
    # What stands at the close before each bar and at the last; `decided` holds what stands before the first.
    every[0] = decided
    for t in range(valid.shape[0]):
        known = ranks[t], listed[t], turbulence[t]
        decide_assets(targets[t], valid[t], *known, by_symbol, moods[t, 0], moods[t, 1], risk, decided)
        every[t + 1] = decided


@compiled
def _walk_bars(
    states: Floats,
    decisions: Floats,
    terms: Floats,
    first: int,
    columns: Floats,
    paid: Floats,
    valid: NDArray[np.bool_],
    capital_usd: float,
    ledgers: Ledger,
    path: tuple[Floats, Floats, Floats, Floats, Floats],
    trades: Floats,
    traders: NDArray[np.int64],
) -> int:
    # Bar after bar what a stream does; writes the path, the trades that end and whose they are, and returns how many.
    units, stops, goals, equity, returns = path
    opens, held = np.empty(valid.shape[1]), units[0].copy()
    count = 0
    for t in range(valid.shape[0]):
        for asset in range(opens.size):
            opens[asset] = columns[t, 0, asset] if valid[t, asset] else np.nan
        asset_levels(states, decisions[t], terms, first + t, opens, ledgers, stops[t], goals[t])
        bar = columns[t], paid[t], valid[t]
        if trade_assets(states, *bar, capital_usd, first + t, decisions[t], terms, ledgers, returns[t]) > 0:
            for asset in range(opens.size):
                for place in range(ledgers.counts[asset, 0]):
                    trades[count], traders[count] = ledgers.trades[asset, place], asset
                    count += 1
        expose_assets(states, decisions[t + 1], terms, first + t + 1, columns[t, 3], valid[t], held)
        units[t + 1], equity[t + 1] = held, states[:, EQUITY]
    return count
