"""One pass over a population: targets and walks of many genomes on every asset of a window, in threads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import kernel
from quant_organism.backtest.sleeves import Sleeve, Window
from quant_organism.market.schema import Interval
from quant_organism.strategies import Genome, StrategyFamily, get_family
from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.common_genes import TRAILING_STOP_OFF_BELOW
from quant_organism.strategies.family import GeneArrays
from quant_organism.strategies.signals import gene_arrays
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
        Their risk genes as the walk reads them.
    row
        Row of the first of them in the pass.
    """

    family: StrategyFamily
    genes: GeneArrays
    risk: kernel.Risk
    row: int

    @classmethod
    def of(cls, genomes: Sequence[Genome], interval: Interval, row: int = 0) -> Group:
        """Collect genomes of one family."""
        genes = gene_arrays(genomes)
        trailing, hours = genes["trailing_stop"], genes["max_holding_hours"]
        risk = kernel.Risk(
            stop_loss=np.asarray(genes["stop_loss"], dtype=np.float64),
            take_profit=np.asarray(genes["take_profit"], dtype=np.float64),
            trailing_stop=np.where(trailing < TRAILING_STOP_OFF_BELOW, 0.0, trailing),
            position_size=np.asarray(genes["position_size"], dtype=np.float64),
            max_holding_bars=np.maximum(1, np.ceil(hours / interval.hours)).astype(np.int64),
        )
        return cls(get_family(genomes[0].family), genes, risk, row)

    @property
    def size(self) -> int:
        """Number of genomes."""
        return int(self.risk.stop_loss.size)

    def parts(self, size: int) -> list[Group]:
        """Cut the group into groups of at most `size` genomes."""
        return [self._part(begin, begin + size) for begin in range(0, self.size, size)]

    def _part(self, begin: int, end: int) -> Group:
        genes = {name: values[begin:end] for name, values in self.genes.items()}
        risk = kernel.Risk._make(values[begin:end] for values in self.risk)
        return Group(self.family, genes, risk, self.row + begin)


def group_by_family(genomes: Sequence[Genome], interval: Interval) -> list[Group]:
    """Collect genomes, sorted by family, into one group per family."""
    families = [genome.family for genome in genomes]
    groups = []
    for name in sorted(set(families)):
        first, count = families.index(name), families.count(name)
        groups.append(Group.of(genomes[first : first + count], interval, first))
    return groups


def simulate_pass(
    groups: Sequence[Group], window: Window, friction: kernel.Friction, threads: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Trade all genomes of `groups` on all assets of the window.

    Assets are taken one after the other, in the order of their symbols, so that few indicators are held at a time and
    sums over assets do not depend on the panel's order.

    Returns
    -------
    Portfolio returns per bar, shape (G, T'), and totals of the sleeves, shape (G, N, N_TOTALS).
    """
    count = sum(group.size for group in groups)
    returns = np.zeros((count, window.n_bars))
    totals = np.zeros((count, window.panel.n_assets, kernel.N_TOTALS))
    genomes_per_task = max(8, math.ceil(_TASK_CELLS / window.stop))
    parts = [part for group in groups for part in group.parts(genomes_per_task)]
    # One set of targets per thread: memory that has been written before is cheaper than new.
    desks: SimpleQueue[Targets] = SimpleQueue()
    for _ in range(threads):
        desks.put(Targets.empty(genomes_per_task, window.stop, conviction=True))

    def trade(part: Group, asset: int, sleeve: Sleeve, bank: IndicatorBank) -> None:
        rows = slice(part.row, part.row + part.size)
        desk = desks.get()
        try:
            totals[rows, asset] = _trade_part(part, sleeve, bank, friction, desk, returns[rows])
        finally:
            desks.put(desk)

    with ThreadPoolExecutor(threads) as executor:
        for asset, sleeve, bank in _prepared(window, _needs(groups), executor):
            for done in [executor.submit(trade, part, asset, sleeve, bank) for part in parts]:
                done.result()
    return returns, totals


def _prepared(
    window: Window, needs: Mapping[str, NDArray[np.int64]], executor: Executor
) -> Iterator[tuple[int, Sleeve, IndicatorBank]]:
    # Every asset that has bars in the window, in the order of symbols; the next is prepared while one is traded.
    def prepare(asset: int) -> tuple[int, Sleeve, IndicatorBank]:
        sleeve = window.sleeve(asset)
        return asset, sleeve, IndicatorBank(sleeve.signal_bars, needs)

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
    bank: IndicatorBank,
    friction: kernel.Friction,
    desk: Targets,
    portfolio: NDArray[np.float64],
) -> NDArray[np.float64]:
    targets = desk.part(part.size, conviction=part.family.conviction)
    part.family.targets(bank, part.genes, targets)
    totals = np.empty((part.size, kernel.N_TOTALS))
    if sleeve.has_gaps:
        compressed = np.zeros((part.size, sleeve.n_bars))
        kernel.simulate_population(targets, sleeve.bars, part.risk, friction, totals, compressed)
        portfolio[:, sleeve.window_rows] += compressed
    else:
        kernel.simulate_population(targets, sleeve.bars, part.risk, friction, totals, portfolio)
    return totals


def _needs(groups: Sequence[Group]) -> dict[str, NDArray[np.int64]]:
    needs: dict[str, NDArray[np.int64]] = {}
    for group in groups:
        for name, periods in group.family.indicators(group.genes).items():
            needs[name] = np.concatenate([needs[name], periods]) if name in needs else periods
    return needs
