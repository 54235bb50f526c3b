"""One pass over a population: targets and walks of many genomes on every asset of a window, in threads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import kernel, layout, step_walk
from quant_organism.backtest.sleeves import Sleeve, Window
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.strategies import Genome, StrategyFamily, get_family
from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.common_genes import TRAILING_STOP_OFF_BELOW
from quant_organism.strategies.family import GeneArrays, columns_of
from quant_organism.strategies.signals import gene_arrays
from quant_organism.strategies.store import IndicatorStore, Keys
from quant_organism.strategies.targets import Targets

_TASK_CELLS = 2**19
"""Genomes x bars whose targets one task holds: few enough for the cache, enough to amortise the call."""


@dataclass(frozen=True, eq=False)
class Group:
    """Genomes of one family that stand side by side in a pass.

    Parameters
    ----------
    family
        Their family.
    genes
        Their genes, each of shape (G,).
    risk
        The genes that the evaluator applies, as the walk reads them.
    row
        Row of the first of them in the pass.
    reads_funding
        Whether they are blind on bars without a funding rate.
    """

    family: StrategyFamily
    genes: GeneArrays
    risk: layout.Risk
    row: int
    reads_funding: bool

    @classmethod
    def of(cls, genomes: Sequence[Genome], interval: Interval, row: int = 0) -> Group:
        """Collect genomes of one kind."""
        genes = gene_arrays(genomes)
        name, funding = kind_of(genomes[0])
        return cls(get_family(name), genes, applied_genes(genes, interval), row, funding)

    @property
    def size(self) -> int:
        """Number of genomes."""
        return int(self.risk.stop_loss.size)

    def parts(self, size: int) -> list[Group]:
        """Cut the group into groups of at most `size` genomes."""
        return [self._part(begin, begin + size) for begin in range(0, self.size, size)]

    def _part(self, begin: int, end: int) -> Group:
        genes = {name: values[begin:end] for name, values in self.genes.items()}
        risk = layout.Risk._make(values[begin:end] for values in self.risk)
        return Group(self.family, genes, risk, self.row + begin, self.reads_funding)


def applied_genes(genes: GeneArrays, interval: Interval) -> layout.Risk:
    """Return the genes that the evaluator applies in the form that the walk reads."""
    trailing, hours = genes["trailing_stop"], genes["max_holding_hours"]
    weights = np.stack([genes[f"{name}_weight"] for name in ("liquidity", "volatility", "momentum")])
    weights = np.where(weights.sum(axis=0) > 0.0, weights, 1.0)
    liquidity, calm, momentum = weights / weights.sum(axis=0)
    return layout.Risk(
        stop_loss=genes["stop_loss"],
        take_profit=genes["take_profit"],
        trailing_stop=np.where(trailing < TRAILING_STOP_OFF_BELOW, 0.0, trailing),
        position_size=genes["position_size"],
        max_holding_bars=np.maximum(1, np.ceil(hours / interval.hours)).astype(np.int64),
        max_drawdown=genes["max_drawdown"],
        position_size_limit=genes["position_size_limit"],
        liquidity_weight=liquidity,
        calm_weight=calm,
        momentum_weight=momentum,
        volatility_threshold=genes["volatility_threshold"],
    )


def kind_of(genome: Genome) -> tuple[str, bool]:
    """Return what genomes that are evaluated together have in common: the family, and whether funding is read."""
    return genome.family, "funding_rate" in columns_of(get_family(genome.family), genome.genes)


def group_by_kind(genomes: Sequence[Genome], interval: Interval) -> list[Group]:
    """Collect genomes, sorted by kind, into one group per kind."""
    kinds = [kind_of(genome) for genome in genomes]
    groups = []
    for kind in sorted(set(kinds)):
        first, count = kinds.index(kind), kinds.count(kind)
        groups.append(Group.of(genomes[first : first + count], interval, first))
    return groups


def simulate_pass(
    groups: Sequence[Group], window: Window, threads: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Trade all genomes of `groups` on all assets of the window.

    Assets are taken one after the other, in the order of their symbols, so that few indicators are held at a time and
    sums over assets do not depend on the panel's order.

    Returns
    -------
    Portfolio returns per bar, shape (G, T'), bars in which some sleeve held a position, shape (G, T'), and totals of
    the sleeves, shape (G, N, N_TOTALS).
    """
    count = sum(group.size for group in groups)
    returns = np.zeros((count, window.n_bars))
    held = np.zeros((count, window.n_bars), dtype=np.bool_)
    totals = np.zeros((count, window.panel.n_assets, layout.N_TOTALS))
    genomes_per_task = max(8, math.ceil(_TASK_CELLS / window.stop))
    parts = [part for group in groups for part in group.parts(genomes_per_task)]
    # One set of targets per thread: memory that has been written before is cheaper than new.
    desks: SimpleQueue[Targets] = SimpleQueue()
    for _ in range(threads):
        desks.put(Targets.empty(genomes_per_task, window.stop, conviction=True))

    def trade(part: Group, asset: int, sleeve: Sleeve, banks: Banks) -> None:
        rows = slice(part.row, part.row + part.size)
        desk = desks.get()
        try:
            totals[rows, asset] = _trade_part(part, sleeve, banks, desk, returns[rows], held[rows])
        finally:
            desks.put(desk)

    with ThreadPoolExecutor(threads) as executor:
        for asset, sleeve, banks in _prepared(window, groups, executor):
            for done in [executor.submit(trade, part, asset, sleeve, banks) for part in parts]:
                done.result()
    return returns, held, totals


@dataclass(frozen=True, eq=False)
class Banks:
    """Indicators of one asset: over all its valid bars, and over those that have a funding rate."""

    every: IndicatorBank
    rated: IndicatorBank

    @classmethod
    def of(cls, sleeve: Sleeve, groups: Sequence[Group], store: IndicatorStore) -> Banks:
        """Build what the genomes of `groups` read."""
        needs: tuple[dict[str, Keys], dict[str, Keys]] = ({}, {})
        for group in groups:
            chosen = needs[group.reads_funding]
            for name, keys in group.family.indicators(group.genes).items():
                chosen[name] = np.concatenate([chosen[name], keys]) if name in chosen else keys
        return cls(
            IndicatorBank(sleeve.signal_bars, needs[False], store), IndicatorBank(sleeve.rated_bars, needs[True], store)
        )


def check_columns(genomes: Iterable[Genome], panel: Panel) -> None:
    """Refuse genomes that read a column which the panel does not have.

    Raises
    ------
    InputError
        If a genome needs funding rates and no asset has any.
    """
    blind = sorted({genome.family for genome in genomes if kind_of(genome)[1]})
    if blind and not np.isfinite(panel.funding_rate).any():
        raise InputError(
            f"{', '.join(blind)} reads the column funding_rate, but the panel has none",
            where=f"market {panel.market}",
            remedy="import funding for this market, or leave the family out; nothing is put in its place",
        )


def write_targets(part: Group, sleeve: Sleeve, banks: Banks, targets: Targets) -> None:
    """Write the targets of genomes of one kind over all valid bars of an asset."""
    if not part.reads_funding:
        part.family.targets(banks.every, part.genes, targets)
        return
    part.family.targets(banks.rated, part.genes, targets)
    for genome in range(part.size):
        changes = targets.bars[genome, : targets.counts[genome]]
        changes[:] = sleeve.rated[changes]


def _prepared(window: Window, groups: Sequence[Group], executor: Executor) -> Iterator[tuple[int, Sleeve, Banks]]:
    # Every asset that has bars in the window, in the order of symbols; the next is prepared while one is traded.
    def prepare(asset: int) -> tuple[int, Sleeve, Banks]:
        sleeve = window.sleeve(asset)
        return asset, sleeve, Banks.of(sleeve, groups, window.store)

    valid = window.panel.valid[window.start : window.stop]
    assets = [asset for asset in window.assets_by_symbol if valid[:, asset].any()]
    if not assets:
        return
    upcoming = executor.submit(prepare, assets[0])
    for following in assets[1:]:
        current, upcoming = upcoming.result(), executor.submit(prepare, following)
        yield current
    yield upcoming.result()


def _trade_part(
    part: Group,
    sleeve: Sleeve,
    banks: Banks,
    desk: Targets,
    portfolio: NDArray[np.float64],
    held: NDArray[np.bool_],
) -> NDArray[np.float64]:
    targets = desk.part(part.size, conviction=part.family.conviction)
    write_targets(part, sleeve, banks, targets)
    totals = np.empty((part.size, layout.N_TOTALS))
    simulate = step_walk.simulate_population if sleeve.volume_is_limited else kernel.simulate_population
    if sleeve.has_gaps:
        gains, through = np.zeros((part.size, sleeve.n_bars)), np.zeros((part.size, sleeve.n_bars), dtype=np.bool_)
        simulate(targets, sleeve.bars, part.risk, sleeve.friction, totals, gains, through)
        portfolio[:, sleeve.window_rows] += gains
        held[:, sleeve.window_rows] |= through
    else:
        simulate(targets, sleeve.bars, part.risk, sleeve.friction, totals, portfolio, held)
    return totals
