"""Populations: genomes that stand side by side, and what they do on every asset of a window."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import kernel, layout, step_walk
from quant_organism.backtest.metrics import reduce_paths
from quant_organism.backtest.sleeves import EvaluationWindow, Sleeve
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.strategies import AssetBars, Genome, IndicatorStore, StrategyFamily, get_family
from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.common_genes import TRAILING_STOP_OFF_BELOW
from quant_organism.strategies.cross_section.weights import FEWEST_ASSETS
from quant_organism.strategies.family import GeneArrays
from quant_organism.strategies.genome import gene_arrays
from quant_organism.strategies.indicators.indicator import Indicator, Needs
from quant_organism.strategies.store import Keys
from quant_organism.strategies.targets import Targets

Walk = Callable[..., None]

_BATCH_CELLS = 2**18
"""Genomes x bars of one batch: few enough for the cache, enough to amortise the calls."""

_GROUP_CELLS = 2**21
"""Most genomes x bars of a group of several batches: more share more indicators, and need room for more returns."""

_SMALL_CELLS = 2**15
"""Genomes x bars up to which all batches are one group: to look up the indicators of several would take longer."""

_CELL_BYTES = 8
"""Bytes that an indicator takes per bar; some take less."""

_GROUPS_OF_A_THREAD = 4
"""Groups that each thread gets at least, where there are enough batches: groups take different times."""


@dataclass(frozen=True, eq=False)
class GenomeBatch:
    """Genomes of one kind that are traded side by side.

    Parameters
    ----------
    family
        Their family.
    genes
        Their genes, each of shape (G,).
    risk
        The genes that the evaluator applies, as the walk reads them.
    places
        Their places in the population, shape (G,).
    reads_funding
        Whether they are blind on bars without a funding rate.
    """

    family: StrategyFamily
    genes: GeneArrays
    risk: layout.Risk
    places: NDArray[np.int64]
    reads_funding: bool

    @classmethod
    def of(cls, genomes: Sequence[Genome], interval: Interval, places: Sequence[int] = (0,)) -> GenomeBatch:
        """Collect genomes of one kind."""
        genes = gene_arrays(genomes)
        name, funding = kind_of(genomes[0])
        return cls(get_family(name), genes, applied_genes(genes, interval), np.array(places), funding)

    @property
    def size(self) -> int:
        """Number of genomes."""
        return int(self.places.size)


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
        fear_greed_sensitivity=genes["fear_greed_sensitivity"],
    )


def kind_of(genome: Genome) -> tuple[str, bool]:
    """Return what genomes that are evaluated together have in common: the family, and whether funding is read."""
    return genome.family, "funding_rate" in get_family(genome.family).columns_of(genome.genes)


def batches_of(genomes: Sequence[Genome], window: EvaluationWindow) -> list[GenomeBatch]:
    """Collect genomes by kind and cut them into batches; neighbours read the same indicators where they can.

    Those that rank the assets are left out: they trade books (`cross_section.walk`).
    """
    size = max(8, math.ceil(_BATCH_CELLS / window.stop))
    by_kind: dict[tuple[str, bool], list[int]] = {}
    for place, genome in enumerate(genomes):
        if not get_family(genome.family).ranks:
            by_kind.setdefault(kind_of(genome), []).append(place)
    batches = []
    for kind in sorted(by_kind):
        periods = [spec.name for spec in get_family(kind[0]).own_genes if spec.kind == "int"]
        places = sorted(by_kind[kind], key=lambda place: [genomes[place].genes[name] for name in periods])
        for begin in range(0, len(places), size):
            chosen = places[begin : begin + size]
            batches.append(GenomeBatch.of([genomes[place] for place in chosen], window.panel.interval, chosen))
    return batches


@dataclass(frozen=True, eq=False)
class BatchGroup:
    """Batches that are traded asset after asset, so that the indicators of an asset are looked up for all at once.

    Parameters
    ----------
    batches
        Neighbours in the order of `batches_of`.
    """

    batches: Sequence[GenomeBatch]

    @property
    def places(self) -> NDArray[np.int64]:
        """Places of all genomes in the population, shape (G,)."""
        return np.concatenate([batch.places for batch in self.batches])

    def needs(self, sleeve: Sleeve) -> list[tuple[AssetBars, Needs]]:
        """Return the bars that the genomes read, and the keys, each once, of every indicator of them.

        First the bars for genomes that read no funding, last those for genomes that do; they may be the same.
        """
        if sleeve.rated_bars is sleeve.signal_bars:
            return [(sleeve.signal_bars, self._needs_of_all)]
        return [(sleeve.signal_bars, self._needs[False]), (sleeve.rated_bars, self._needs[True])]

    @cached_property
    def _needs_of_all(self) -> Needs:
        return indicator_needs(self.batches)

    @cached_property
    def _needs(self) -> dict[bool, Needs]:
        return {
            funding: indicator_needs(batch for batch in self.batches if batch.reads_funding == funding)
            for funding in (False, True)
        }


def groups_of(batches: Sequence[GenomeBatch], window: EvaluationWindow, threads: int) -> list[BatchGroup]:
    """Collect neighbouring batches."""
    if not batches:
        return []
    if sum(batch.size for batch in batches) * window.stop <= _SMALL_CELLS:
        return [BatchGroup(batches)]
    largest = max(batch.size for batch in batches)
    size = max(1, min(_GROUP_CELLS // (largest * window.stop), len(batches) // (_GROUPS_OF_A_THREAD * threads)))
    return [BatchGroup(batches[begin : begin + size]) for begin in range(0, len(batches), size)]


@dataclass(frozen=True, eq=False)
class Desk:
    """Room for a group, used again and again: memory that has been written before is cheaper than new.

    Parameters
    ----------
    targets
        Targets of a batch on one asset.
    returns
        Portfolio returns per bar, shape (G, T').
    held
        Whether some sleeve holds a position through the close, shape (G, T').
    """

    targets: Targets
    returns: NDArray[np.float64]
    held: NDArray[np.bool_]

    @classmethod
    def empty(cls, groups: Sequence[BatchGroup], window: EvaluationWindow) -> Desk:
        """Make room for the largest of some groups."""
        shape = (max(group.places.size for group in groups), window.n_bars)
        most = max(batch.size for group in groups for batch in group.batches)
        return cls(Targets.empty(most, window.stop, conviction=True), np.empty(shape), np.empty(shape, dtype=bool))


def trade_group(
    group: BatchGroup,
    window: EvaluationWindow,
    desk: Desk,
    *,
    takes_part: NDArray[np.bool_] | None = None,
    sleeves_apart: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64] | None]:
    """Trade a group on all assets of the window, in the order of their symbols.

    Sums over assets do not depend on the panel's order, nor on the group.

    Parameters
    ----------
    group, window, desk
        Who trades, where, and in which room.
    takes_part
        Whether a genome's portfolio takes part in an asset, shape (G, N); none: every one in all.
    sleeves_apart
        Whether the daily returns of each sleeve are wanted.

    Returns
    -------
    The parts of `desk` that hold the group's returns and holdings; the totals of its sleeves, shape (G, N, N_TOTALS);
    the daily returns of each sleeve on its own equity, shape (G, N, D), if they are wanted. Genomes are in the order of
    the group's places.
    """
    ends = np.cumsum([batch.size for batch in group.batches])
    returns, held = desk.returns[: ends[-1]], desk.held[: ends[-1]]
    returns[:], held[:] = 0.0, False
    shape = (ends[-1], window.panel.n_assets)
    totals = np.zeros((*shape, layout.N_TOTALS))
    daily = np.zeros((*shape, window.day_starts.size)) if sleeves_apart else None
    for asset in window.traded_assets:
        if takes_part is not None and not takes_part[:, asset].any():
            totals[:, asset] = layout.IDLE
            continue
        sleeve = window.sleeves[asset]
        banks = Banks.of(sleeve, group, window.store)
        for batch, end in zip(group.batches, ends, strict=True):
            rows = slice(end - batch.size, end)
            targets = desk.targets.part(batch.size, conviction=batch.family.conviction)
            write_targets(batch, sleeve, banks, targets)
            if takes_part is None and daily is None and not sleeve.has_gaps:
                totals[rows, asset] = _trade_sleeves(batch, sleeve, targets, returns[rows], held[rows])
                continue
            absent = None if takes_part is None else ~takes_part[rows, asset]
            totals[rows, asset], gains = _trade_sleeves_apart(batch, sleeve, targets, returns[rows], held[rows], absent)
            if daily is not None:
                path = np.zeros((batch.size, window.n_bars))
                path[:, sleeve.window_rows] = gains
                reduced = reduce_paths(path, window.bars_per_year, window.market_returns, window.day_starts)
                daily[rows, asset] = reduced[1]
    return returns, held, totals, daily


def _trade_sleeves(
    batch: GenomeBatch, sleeve: Sleeve, targets: Targets, returns: NDArray[np.float64], held: NDArray[np.bool_]
) -> NDArray[np.float64]:
    totals = np.empty((batch.size, layout.N_TOTALS))
    _walk_of(sleeve)(targets, sleeve.bars, batch.risk, sleeve.friction, totals, returns, held)
    return totals


def _trade_sleeves_apart(
    batch: GenomeBatch,
    sleeve: Sleeve,
    targets: Targets,
    returns: NDArray[np.float64],
    held: NDArray[np.bool_],
    absent: NDArray[np.bool_] | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # Totals, and returns in each of the asset's bars, before they join the portfolios; of absent genomes: nothing.
    shape = (batch.size, sleeve.n_bars)
    gains, through = np.zeros(shape), np.zeros(shape, dtype=np.bool_)
    totals = np.empty((batch.size, layout.N_TOTALS))
    bars = sleeve.bars._replace(origin=sleeve.bars.first)
    _walk_of(sleeve)(targets, bars, batch.risk, sleeve.friction, totals, gains, through)
    if absent is not None:
        totals[absent] = layout.IDLE
        gains[absent], through[absent] = 0.0, False
    returns[:, sleeve.window_rows] += gains
    held[:, sleeve.window_rows] |= through
    return totals, gains


def _walk_of(sleeve: Sleeve) -> Walk:
    return step_walk.simulate_population if sleeve.volume_is_limited else kernel.simulate_population


@dataclass(frozen=True, eq=False)
class Banks:
    """Indicators of one asset: over all its valid bars, and over those that have a funding rate."""

    every: IndicatorBank
    rated: IndicatorBank

    @classmethod
    def of(cls, sleeve: Sleeve, group: BatchGroup, store: IndicatorStore) -> Banks:
        """Build what the genomes of a group read."""
        banks = [IndicatorBank(bars, needs, store) for bars, needs in group.needs(sleeve)]
        return cls(banks[0], banks[-1])


def bank_maker(groups: Sequence[BatchGroup], window: EvaluationWindow) -> Callable[[int], None]:
    """Return what makes all indicators of an asset that any of the groups reads, so that none makes them again.

    It leaves an asset alone whose indicators have no room in the store.
    """
    everyone = BatchGroup([batch for group in groups for batch in group.batches])

    def make(asset: int) -> None:
        sleeve, store = window.sleeves[asset], window.store
        missing = sum(
            store.missing(bars.market, bars.asset, indicator.name, keys) * bars.close.size
            for bars, needs in everyone.needs(sleeve)
            for indicator, keys in needs.items()
        )
        if missing * _CELL_BYTES <= store.room_beside(window.market):
            Banks.of(sleeve, everyone, store)

    return make


def indicator_needs(batches: Iterable[GenomeBatch]) -> Needs:
    """Return the keys, each once, of every indicator that genomes read."""
    needs: dict[Indicator, list[Keys]] = {}
    for batch in batches:
        for indicator, keys in batch.family.indicators(batch.genes).items():
            needs.setdefault(indicator, []).append(keys)
    return {indicator: np.unique(np.concatenate(keys)) for indicator, keys in needs.items()}


def check_columns(genomes: Iterable[Genome], panel: Panel) -> None:
    """Refuse genomes that read what the panel does not have.

    Raises
    ------
    InputError
        If a genome needs funding rates and no asset has any, or ranks assets of which there are too few.
    """
    genomes = list(genomes)
    ranking = sorted({genomes[place].family for place in ranking_places(genomes)})
    if ranking and panel.n_assets < FEWEST_ASSETS:
        raise InputError(
            f"{', '.join(ranking)} ranks at least {FEWEST_ASSETS} assets, but the panel has {panel.n_assets}",
            where=f"market {panel.market}",
            remedy="trade more assets, or leave the family out",
        )
    blind = sorted({genome.family for genome in genomes if kind_of(genome)[1]})
    if blind and not np.isfinite(panel.funding_rate).any():
        raise InputError(
            f"{', '.join(blind)} reads the column funding_rate, but the panel has none",
            where=f"market {panel.market}",
            remedy="import funding for this market, or leave the family out; nothing is put in its place",
        )


def write_targets(batch: GenomeBatch, sleeve: Sleeve, banks: Banks, targets: Targets) -> None:
    """Write the targets of a batch over all valid bars of an asset."""
    batch.family.targets(banks.rated if batch.reads_funding else banks.every, batch.genes, targets)
    if not batch.reads_funding and not sleeve.delay_bars:
        return
    last = sleeve.bars.close.size - 1
    for genome in range(batch.size):
        changes = targets.bars[genome, : targets.counts[genome]]
        if batch.reads_funding:
            changes[:] = sleeve.rated[changes]
        changes += sleeve.delay_bars
        targets.counts[genome] = np.searchsorted(changes, last, side="right")


def ranking_places(genomes: Sequence[Genome]) -> list[int]:
    """Return the places of the genomes that rank the assets of a panel."""
    return [place for place, genome in enumerate(genomes) if get_family(genome.family).ranks]


def participation(assets: Sequence[Sequence[str]], panel: Panel, genomes: Sequence[Genome]) -> NDArray[np.bool_]:
    """Tell which assets each portfolio takes part in, shape (G, N); no symbol at all means all of the panel.

    Raises
    ------
    InputError
        A symbol that the panel does not have, or a restriction of a genome that ranks all of them.
    """
    for place in ranking_places(genomes):
        if assets[place]:
            raise InputError(
                f"it ranks all assets of a panel, and cannot be restricted to {', '.join(assets[place])}",
                where=f"genome {genomes[place].id}",
                remedy="leave the assets out, or evaluate it on a panel of these alone",
            )
    unknown = sorted({symbol for symbols in assets for symbol in symbols} - set(panel.symbols))
    if unknown:
        raise InputError(
            f"the panel has no {', '.join(unknown)}",
            where=f"market {panel.market}",
            remedy=f"choose from {', '.join(panel.symbols)}",
        )
    return np.array([[not symbols or symbol in symbols for symbol in panel.symbols] for symbols in assets])
