"""The indicator bank of bars that come in one by one: each bar adds one column, and what is there is not made again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import numpy as np

from quant_organism.strategies.bank import Bars, IndicatorBank, Workshop, unpair
from quant_organism.strategies.family import families, get_family, memory_of, recall_of
from quant_organism.strategies.genome import Genome
from quant_organism.strategies.indicators import averages, oscillators, trend, volatility
from quant_organism.strategies.learning import features, linear_svc, pca_tree
from quant_organism.strategies.learning.grids import SvcGenes, TreeGenes, svc_genes, tree_genes
from quant_organism.strategies.learning.walk_forward import Fits, first_refit, refit_bars
from quant_organism.strategies.operators import default_genome
from quant_organism.strategies.signals import gene_arrays
from quant_organism.strategies.store import IndicatorStore, Keys, Rows
from quant_organism.strategies.targets import Targets

_FEATURES = np.zeros(1, dtype=np.int64)
_FIRST_ROOM = 1024

Left = TypeVar("Left")

_REACH: dict[str, Callable[[Keys], Keys]] = {
    **dict.fromkeys(
        (
            *("sma", "deviation", "z_score", "highest_high", "lowest_low", "midrange", "stochastic_k"),
            *("vwap_moments", "vwap", "vwap_deviation", "mean_volume", "funding_mean", "mean_funding_rate"),
        ),
        lambda periods: periods,
    ),
    **dict.fromkeys(
        (
            *("rate_of_change", "log_return", "previous_high", "previous_low", "previous_mean_volume"),
            *("close_breakout", "efficiency_ratio", "log_return_deviation"),
        ),
        lambda periods: periods + 1,
    ),
    **dict.fromkeys(("ema", "rsi", "atr", "macd", "macd_signal", "family_sign"), np.ones_like),
    **dict.fromkeys(("closes_above_sma", "closes_below_sma"), lambda periods: periods),
    "bandwidth_rank": lambda periods: 6 * periods + 1,
    "rsi_divergence": lambda periods: 3 * periods + 1,
    "stochastic_divergence": lambda periods: 3 * periods + 1,
    "log_atr_ratio": lambda periods: 4 * periods + 1,
    "volatility_ratio": lambda periods: 4 * periods + 1,
    "stochastic_d": lambda keys: np.add(*unpair(keys)),
    "stochastic_crossing": lambda keys: np.add(*unpair(keys)) + 1,
    "kernel_regression": lambda keys: 3 * unpair(keys)[0] + 1,
    **dict.fromkeys(("swings", "swing_start", "swing_end"), lambda keys: unpair(keys)[0] + 8),
    **dict.fromkeys(("features", "svc_score", "return_levels"), lambda keys: np.full_like(keys, 73)),
}
"""How many bars, the last one included, an indicator's value is made of, beside what earlier bars have left.

Of hours, which make no more bars than they are if a bar has at least one, `GrowingBank` asks for the bars.
"""


class GrowingBank(IndicatorBank):
    """Indicators of one asset over all bars so far, to the last bit those of an `IndicatorBank` of the same bars.

    What a value is made of is either a number of bars, and then these alone are looked at, or what the bar before has
    left (averages that never forget, fitted models), and then that is kept.

    Parameters
    ----------
    needs
        Keys in use per indicator, as for an `IndicatorBank`.
    models
        Keeps the models of learning families.
    """

    def __init__(self, needs: Mapping[str, Keys], models: IndicatorStore) -> None:
        self._needs = {name: np.unique(keys) for name, keys in needs.items()}
        self._models = models
        self._reach = 0
        self._memory = _Memory()
        self._rows: dict[str, Rows] = {}
        self._names = {name: (name, keys.tobytes()) for name, keys in self._needs.items()}
        self._places: dict[tuple[str, bytes], Keys] = {}
        self._begin = 0

    def follow(self, bars: Bars) -> None:
        """Take the bars so far: those of the last call, and any number after them."""
        self.look_from(bars, 0)
        count, known = bars.numbers.size, self._memory.count
        if count == known:
            return
        if not self._reach:
            self._reach = max((_reach(name, keys, bars) for name, keys in self._needs.items()), default=1)
        if count != known + 1 or known < self._reach:
            self._memory = _Memory()
        # All look as far back as the one that looks farthest: what two are made of is then made once.
        shop = _Newest(bars, self._memory, self._models, max(self._memory.count - self._reach, 0))
        for name, keys in self._needs.items():
            shop.keep(name, keys)
        self._memory.count = count

    def look_from(self, bars: Bars, begin: int) -> None:
        """Show only what there is from bar number `begin` on, of all bars so far."""
        self.bars = bars.since(begin) if begin else bars
        self._begin, self._rows = begin, {}

    def rows(self, name: str, keys: Keys) -> tuple[Rows, Keys]:
        """Return rows (K, n) of an indicator and the row number of each of the given keys."""
        known = self._needs[name]
        if name not in self._rows:
            self._rows[name] = self._memory.tables[self._names[name]].since(self._begin)
        place = (name, keys.tobytes())
        if place not in self._places:
            self._places[place] = np.searchsorted(known, keys)
        return self._rows[name], self._places[place]


class LastTarget:
    """The target of one genome at the last bar of one asset, by the family's own kernels.

    Parameters
    ----------
    genome
        The strategy.
    models
        Keeps the models of learning families.
    """

    def __init__(self, genome: Genome, models: IndicatorStore) -> None:
        self._family = get_family(genome.family)
        self._genes = gene_arrays([genome])
        self._bank = GrowingBank(self._family.indicators(self._genes), models)
        self._targets = Targets.empty(1, 0, conviction=self._family.conviction)
        self._warmup, self._memory = self._family.warmup(genome.genes), memory_of(self._family)
        self._recall = recall_of(self._family, genome.genes)
        self._count = self._held = 0
        # The last bar, of those seen one by one, from which on nothing earlier is remembered.
        self._anew: int | None = None
        self._target = 0.0

    def at(self, bars: Bars) -> float:
        """Return the target in [-1, 1] that all bars so far decide, 0 without any; they begin with the last call's."""
        count = bars.numbers.size
        if count == self._count:
            return self._target
        self._bank.follow(bars)
        begin = self._first_read(count)
        self._bank.look_from(bars, begin)
        if count - begin > self._targets.bars.shape[1]:
            self._targets = Targets.empty(1, 2 * (count - begin), conviction=self._family.conviction)
        self._targets.held[0] = self._held if begin and self._memory == "direction" else 0
        self._family.targets(self._bank, self._genes, self._targets)
        self._held, side, self._target = self._targets.last(0, count - begin)
        forgets = side != self._held if self._memory == "run" else side == 0
        self._anew = count - 1 if forgets else self._anew
        self._count = count
        return self._target

    def _first_read(self, count: int) -> int:
        # The first bar that the kernels must see to decide the last one, given what is known of earlier bars.
        if count != self._count + 1 or self._memory == "history":
            return 0
        if self._memory == "direction":
            # The last two are decided, the first of them again: for how long no price has moved shows on one bar more
            # than the warm-up has.
            return max(count - self._warmup - 2, 0)
        return 0 if self._anew is None else max(self._anew + 1 - self._warmup - self._recall, 0)


class _Table:
    # Rows (K, ..., n) with room for more columns.
    def __init__(self, columns: Rows) -> None:
        self.count = 0
        self._room = np.empty((*columns.shape[:-1], _FIRST_ROOM), columns.dtype)

    def append(self, columns: Rows) -> None:
        end = self.count + columns.shape[-1]
        if end > self._room.shape[-1]:
            room = np.empty((*self._room.shape[:-1], max(end, 2 * self._room.shape[-1])), self._room.dtype)
            room[..., : self.count] = self._room[..., : self.count]
            self._room = room
        self._room[..., self.count : end] = columns
        self.count = end

    @property
    def columns(self) -> Rows:
        return self._room[..., : self.count]

    def since(self, begin: int) -> Rows:
        # Kernels take rows that lie one behind the other.
        return np.ascontiguousarray(self._room[..., begin : self.count])


class _Memory:
    # What `count` bars have left: the columns of each indicator, and what the next ones go on from.
    def __init__(self) -> None:
        self.count = 0
        self.tables: dict[tuple[str, bytes], _Table] = {}
        self.notes: dict[tuple[str, bytes], Any] = {}


class _Newest(Workshop):
    """Makes rows of the bars from number `begin` on; those from number `known` on are new."""

    def __init__(self, every: Bars, memory: _Memory, models: IndicatorStore, begin: int) -> None:
        super().__init__(every.since(begin), models)
        self.every, self.begin, self.known = every, begin, memory.count
        self._memory = memory

    def make(self, name: str, keys: Keys) -> Rows:
        """Return the rows (K, n) of an indicator on the bars at hand."""
        if name not in _ONWARD:
            return super().make(name, keys)
        return self._grown(name, keys).since(self.begin)

    def keep(self, name: str, keys: Keys) -> None:
        """Add the new columns to the table of an indicator."""
        if name in _ONWARD:
            self._grown(name, keys)
        else:
            self._lengthened((name, keys.tobytes()), super().make(name, keys)[..., self.known - self.begin :])

    def newest(self, rows: Rows) -> Rows:
        """Return the columns of new bars."""
        return np.ascontiguousarray(rows[..., self.known - self.begin :])

    def left(self, name: str, keys: Keys, first: Callable[[], Left]) -> Left:
        """Return what earlier bars have left for an indicator, to be moved on; `first` makes what there is before."""
        place = (name, keys.tobytes())
        if place not in self._memory.notes:
            self._memory.notes[place] = first()
        return cast(Left, self._memory.notes[place])

    def all_features(self) -> Rows:
        """Return the features of all bars so far, shape (20, n)."""
        return np.asarray(self._grown("features", _FEATURES).columns[0])

    def newest_features(self) -> Rows:
        """Return the features of new bars, shape (20, n)."""
        return np.ascontiguousarray(self.all_features()[:, self.known :])

    def _grown(self, name: str, keys: Keys) -> _Table:
        # The table of an indicator that goes on from what earlier bars have left, up to the last bar.
        place = (name, keys.tobytes())
        table = self._memory.tables.get(place)
        if table is None or table.count < self.every.numbers.size:
            table = self._lengthened(place, _ONWARD[name](self, keys))
        return table

    def _lengthened(self, place: tuple[str, bytes], columns: Rows) -> _Table:
        table = self._memory.tables.get(place)
        if table is None:
            table = self._memory.tables[place] = _Table(columns)
        table.append(columns)
        return table


def _reach(name: str, keys: Keys, bars: Bars) -> int:
    if name == "mean_funding_rate":
        keys = bars.count_of(keys)
    return int(_REACH[name](keys).max(initial=1))


def _ema(shop: _Newest, periods: Keys) -> Rows:
    average = shop.left("ema", periods, lambda: np.zeros(periods.size))
    return averages.ema_onward(shop.newest(shop.bars.close), shop.known, periods, average)


def _macd_signal(shop: _Newest, keys: Keys) -> Rows:
    spans, periods = unpair(keys)
    macd = shop.newest(shop.make("macd", spans))
    average = shop.left("macd_signal", keys, lambda: np.zeros(periods.size))
    rows = np.full(macd.shape, np.nan)
    for k, first in enumerate(np.maximum(*unpair(spans)) - 1):
        skipped = max(first - shop.known, 0)
        begin, one = max(shop.known - first, 0), slice(k, k + 1)
        rows[k, skipped:] = averages.ema_onward(macd[k, skipped:], begin, periods[one], average[one])[0]
    return rows


def _rsi(shop: _Newest, periods: Keys) -> Rows:
    means = shop.left("rsi", periods, lambda: np.zeros((2, periods.size)))
    before = float(shop.every.close[shop.known - 1]) if shop.known else np.nan
    return oscillators.rsi_onward(shop.newest(shop.bars.close), before, shop.known, periods, means)


def _atr(shop: _Newest, periods: Keys) -> Rows:
    average = shop.left("atr", periods, lambda: np.zeros(periods.size))
    before = max(shop.known - 1, 0)
    high, low, close = (x[before - shop.begin :] for x in (shop.bars.high, shop.bars.low, shop.bars.close))
    reach = volatility.true_range(high, low, close)[shop.known - before :]
    return volatility.atr_onward(reach, shop.known, periods, average)


def _counts(name: str, sign: int) -> Callable[[_Newest, Keys], Rows]:
    def counts(shop: _Newest, periods: Keys) -> Rows:
        before = shop.left(name, periods, lambda: np.zeros((periods.size, 1), dtype=np.int32))
        rows = before + trend.count_above_rows(
            shop.newest(shop.bars.close), shop.newest(shop.make("sma", periods)), sign
        )
        before[:] = rows[:, -1:]
        return rows

    return counts


def _family_sign(shop: _Newest, numbers: Keys) -> Rows:
    def references() -> list[LastTarget]:
        return [LastTarget(default_genome(families()[number]), shop.store) for number in numbers]

    readers = shop.left("family_sign", numbers, references)
    if shop.known == 0:
        return Workshop.make(shop, "family_sign", numbers)
    return np.array([[np.sign(reader.at(shop.every))] for reader in readers], dtype=np.int8)


def _features(shop: _Newest, _: Keys) -> Rows:
    left = shop.left("features", _FEATURES, features.Averages.none)
    return features.features_onward(shop.bars, shop.known, shop.every.numbers.size - shop.known, left)[np.newaxis]


class _Scorer:
    # The last models of one set of genes, fitted again when it is time.
    def __init__(self, shop: _Newest, genes: SvcGenes) -> None:
        self._genes = genes
        models = [self._fitted(shop, bar) for bar in _refits(shop, genes)[-genes.ensemble :]]
        self._models = np.array(models).reshape(len(models), 3, genes.features + 1)

    def score(self, shop: _Newest, column: Rows, out: Rows) -> None:
        if _is_refit(shop, self._genes):
            newest = self._fitted(shop, shop.known)[np.newaxis]
            self._models = np.concatenate([self._models, newest])[-self._genes.ensemble :]
        # As if all of them had been fitted at this bar's close.
        refits = np.zeros(len(self._models), dtype=np.int64)
        linear_svc.ensemble_scores(column, refits, self._models, self._genes.ensemble, out)

    def _fitted(self, shop: _Newest, bar: int) -> Rows:
        every = Workshop(shop.every, shop.store)
        return linear_svc.refit(every, Fits(every), shop.all_features(), self._genes, bar)[0]


def _svc_score(shop: _Newest, keys: Keys) -> Rows:
    scorers = shop.left("svc_score", keys, lambda: [_Scorer(shop, svc_genes(key)) for key in keys.tolist()])
    if shop.known == 0:
        return linear_svc.score_rows(shop, keys)
    column, rows = shop.newest_features(), np.zeros((keys.size, 1))
    for row, scorer in zip(rows, scorers, strict=True):
        scorer.score(shop, column, row)
    return rows


def _return_levels(shop: _Newest, keys: Keys) -> Rows:
    def fitted(g: TreeGenes, bar: int) -> tuple[pca_tree.Tree, Rows]:
        every = Workshop(shop.every, shop.store)
        return pca_tree.refit_model(every, Fits(every), shop.all_features(), g, bar)

    def latest() -> list[tuple[TreeGenes, list[tuple[pca_tree.Tree, Rows]]]]:
        genes = map(tree_genes, keys.tolist())
        return [(g, [fitted(g, bar) for bar in _refits(shop, g)[-1:]]) for g in genes]

    models = shop.left("return_levels", keys, latest)
    if shop.known == 0:
        return pca_tree.level_rows(shop, keys)
    column, rows = shop.newest_features(), np.zeros((keys.size, 3, 1))
    for row, (g, kept) in zip(rows, models, strict=True):
        if _is_refit(shop, g):
            kept[:] = [fitted(g, shop.known)]
        if kept:
            tree, lines = kept[0]
            pca_tree.tell_levels(tree, lines, column, g, row, 0, 1)
    return rows


def _refits(shop: _Newest, genes: SvcGenes | TreeGenes) -> list[int]:
    bars: list[int] = refit_bars(shop.every.numbers, genes.window, genes.horizon, genes.interval).tolist()
    return bars


def _is_refit(shop: _Newest, genes: SvcGenes | TreeGenes) -> bool:
    due = int(shop.every.numbers[shop.known]) % genes.interval == 0
    return due and shop.known >= first_refit(genes.window, genes.horizon)


_ONWARD: dict[str, Callable[[_Newest, Keys], Rows]] = {
    "ema": _ema,
    "macd_signal": _macd_signal,
    "rsi": _rsi,
    "atr": _atr,
    "closes_above_sma": _counts("closes_above_sma", 1),
    "closes_below_sma": _counts("closes_below_sma", -1),
    "family_sign": _family_sign,
    "features": _features,
    "svc_score": _svc_score,
    "return_levels": _return_levels,
}
"""What makes the new columns of an indicator from what earlier bars have left."""
