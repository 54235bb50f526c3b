"""The indicator bank: every (indicator, key) pair that a population reads on one asset, made once.

A bank is handed the indicators that it makes. One kind is built from all bars at once, another again and again on other
stretches of them; the third grows by one column per bar, and what is there is not made again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bars import AssetBars
from quant_organism.strategies.indicators.indicator import GrowingWorkshop, GrowthMemory, Indicator, Needs, Workshop
from quant_organism.strategies.store import IndicatorStore, Keys, Rows


class IndicatorBank:
    """Indicators of one asset, shared by all genomes and read-only once built.

    Parameters
    ----------
    bars
        Valid bars of the asset.
    needs
        Keys in use per indicator (a period, or a `pair`), in any order and with repetitions.
    store
        Where rows are looked up before they are computed, and kept for the next bank of the same bars.
    """

    def __init__(self, bars: AssetBars, needs: Needs, store: IndicatorStore | None = None) -> None:
        self.bars = bars
        workshop = Workshop(bars, store)
        self._tables = {indicator: workshop.table(indicator, _distinct(keys)) for indicator, keys in needs.items()}

    def rows(self, indicator: Indicator, keys: Keys) -> tuple[Rows, Keys]:
        """Return rows (K, n) of an indicator and the row number of each of the given keys."""
        table = self._tables[indicator]
        if not table.holds(keys).all():
            raise KeyError(f"{indicator.name} was not built for all of the keys {np.unique(keys)}")
        return table.rows, table.places_of(keys)


def _distinct(keys: Keys) -> Keys:
    # `np.unique` takes longer than a short row to make.
    if keys.size < 2:
        return keys
    ordered = np.sort(keys)
    first = np.ones(ordered.size, dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def row_of(bars: AssetBars, indicator: Indicator, key: int) -> NDArray[np.float64]:
    """Return one row of an indicator over the bars of an asset, shape (n,), nan before its first value."""
    keys = np.array([key], dtype=np.int64)
    rows, _ = IndicatorBank(bars, {indicator: keys}).rows(indicator, keys)
    return np.asarray(rows[0], dtype=np.float64)


class RepeatedBank(IndicatorBank):
    """Indicators of the same few keys on one stretch of bars after another; where each row stands is looked up once.

    Parameters
    ----------
    needs
        Keys in use per indicator, as for an `IndicatorBank`.
    store
        Keeps the models of learning families.
    """

    def __init__(self, needs: Needs, store: IndicatorStore | None = None) -> None:
        self._needs = {indicator: _distinct(keys) for indicator, keys in needs.items()}
        self._store = store
        self._made: dict[Indicator, Rows] = {}
        self._places: dict[tuple[Indicator, bytes], Keys] = {}

    def turn_to(self, bars: AssetBars) -> None:
        """Make all rows on other bars."""
        self.bars = bars
        workshop = Workshop(bars, self._store)
        self._made = {indicator: workshop.make(indicator, keys) for indicator, keys in self._needs.items()}

    def rows(self, indicator: Indicator, keys: Keys) -> tuple[Rows, Keys]:
        """Return rows (K, n) of an indicator and the row number of each of the given keys."""
        place = (indicator, keys.tobytes())
        if place not in self._places:
            self._places[place] = np.searchsorted(self._needs[indicator], keys)
        return self._made[indicator], self._places[place]


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

    def __init__(self, needs: Needs, models: IndicatorStore) -> None:
        self._needs = {indicator: np.unique(keys) for indicator, keys in needs.items()}
        self._models = models
        self._reach = 0
        self._memory = GrowthMemory()
        self._rows: dict[Indicator, Rows] = {}
        self._tables_at = {indicator: (indicator, keys.tobytes()) for indicator, keys in self._needs.items()}
        self._places: dict[tuple[Indicator, bytes], Keys] = {}
        self._begin = 0

    def follow(self, bars: AssetBars) -> None:
        """Take the bars so far: those of the last call, and any number after them."""
        self.look_from(bars, 0)
        count, known = bars.numbers.size, self._memory.count
        if count == known:
            return
        if not self._reach:
            reaches = (indicator.reach(bars, keys).max(initial=1) for indicator, keys in self._needs.items())
            self._reach = int(max(reaches, default=1))
        if count != known + 1 or known < self._reach:
            self._memory = GrowthMemory()
        # All look as far back as the one that looks farthest: what two are made of is then made once.
        workshop = GrowingWorkshop(bars, self._memory, self._models, max(self._memory.count - self._reach, 0))
        for indicator, keys in self._needs.items():
            workshop.keep(indicator, keys)
        self._memory.count = count

    def look_from(self, bars: AssetBars, begin: int) -> None:
        """Show only what there is from bar number `begin` on, of all bars so far."""
        self.bars = bars.since(begin) if begin else bars
        self._begin, self._rows = begin, {}

    def rows(self, indicator: Indicator, keys: Keys) -> tuple[Rows, Keys]:
        """Return rows (K, n) of an indicator and the row number of each of the given keys."""
        if indicator not in self._rows:
            self._rows[indicator] = self._memory.tables[self._tables_at[indicator]].since(self._begin)
        place = (indicator, keys.tobytes())
        if place not in self._places:
            self._places[place] = np.searchsorted(self._needs[indicator], keys)
        return self._rows[indicator], self._places[place]
