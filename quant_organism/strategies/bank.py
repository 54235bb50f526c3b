"""The indicator bank: every (indicator, key) pair that a population reads on one asset, made once.

A bank is handed the indicators that it makes. One kind is built from all bars at once, another again and again on other
stretches of them; the third grows by one column per bar, of many assets at once, and what is there is not made again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bars import COLUMNS, AssetBars, Histories
from quant_organism.strategies.indicators.indicator import (
    AbreastMemory,
    AbreastWorkshop,
    AheadWorkshop,
    HistoryWorkshop,
    Indicator,
    Needs,
    Workshop,
)
from quant_organism.strategies.store import IndicatorStore, IndicatorTable, Keys, Rows


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

    def prices(self, name: str) -> Rows:
        """Return a column of the bars as a table of one row, shape (1, n)."""
        column: Rows = getattr(self.bars, name)
        return column[np.newaxis]

    def stands(self, genomes: int) -> Keys:
        """Return in which row of `prices` each of G genomes stands, shape (G,)."""
        return np.zeros(genomes, dtype=np.int64)

    def firsts(self, warmups: Keys) -> Keys:
        """Return the first bar on which each of G genomes may decide, shape (G,)."""
        return warmups

    @property
    def begins(self) -> Keys:
        """The first bar that there is in each row of `prices`, shape (1,)."""
        return np.zeros(1, dtype=np.int64)

    def joined(self, columns: Collection[str]) -> IndicatorBank:
        """Return a bank whose rows, and whose bars in these columns, go through all rows of `prices` in turn."""
        return self

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


class AbreastBank(IndicatorBank):
    """Indicators of the same few keys on N assets, bar by bar, to the last bit those of an `IndicatorBank` on each.

    A new bar of any number of assets is taken at once. What a value is made of is either a number of bars, and then
    these alone are looked at, or what the bar before has left (averages that never forget, fitted models), and then
    that is kept.

    Parameters
    ----------
    needs
        Keys in use per indicator, as for an `IndicatorBank`.
    models
        Keeps the models of learning families.
    n_assets
        Number of assets N.

    Attributes
    ----------
    counts
        How many bars of each asset it has taken, shape (N,).
    """

    def __init__(self, needs: Needs, models: IndicatorStore, n_assets: int) -> None:
        self._needs = {indicator: np.unique(keys) for indicator, keys in needs.items()}
        self._models = models
        self._memory = AbreastMemory(n_assets)
        self.counts = np.zeros(n_assets, dtype=np.int64)
        self._tables_at = {indicator: (indicator, keys.tobytes()) for indicator, keys in self._needs.items()}
        self._chosen: dict[Indicator, Keys] = {}
        self._reach = 0
        self._places: dict[tuple[Indicator, int, bytes], Keys] = {}
        self._genomes = 1

    def part(self, needs: Needs, genomes: int) -> AbreastBank:
        """Return a bank that looks at some of these indicators for so many genomes on each asset; this one follows.

        Rows stand genome after genome, each on all assets.
        """
        one = copy(self)
        one._needs = {indicator: np.unique(keys) for indicator, keys in needs.items()}
        one._chosen = {each: np.searchsorted(self._needs[each], keys) for each, keys in one._needs.items()}
        one._places, one._genomes = {}, genomes
        return one

    def show_to(self, genomes: int) -> None:
        """Stand for so many genomes on each asset from here on."""
        self._places, self._genomes = {}, genomes

    def keep(self, indicators: Collection[Indicator]) -> None:
        """Follow no other indicators than these from here on; what they are made of is followed by itself."""
        self._needs = {indicator: keys for indicator, keys in self._needs.items() if indicator in indicators}

    def follow(self, histories: Histories, assets: Keys) -> Keys:
        """Take the new bars of some assets, and return which of them have any.

        Parameters
        ----------
        histories
            All bars so far: those of the last call, and any number after them.
        assets
            Numbers of the assets, shape (A,).
        """
        known = self.counts[assets]
        is_new = histories.counts[assets] != known
        if not is_new.all():
            assets, known = assets[is_new], known[is_new]
        if assets.size == 0:
            return assets
        if not self._reach:
            bars = histories.bars(int(assets[0]))
            reaches = (indicator.reach(bars, keys).max(initial=1) for indicator, keys in self._needs.items())
            self._reach = int(max(reaches, default=1))
        anew = (histories.counts[assets] != known + 1) | (known < self._reach)
        several = bool(anew.any())
        for asset in assets[anew].tolist() if several else ():
            made = HistoryWorkshop(histories.bars(asset), self._models)
            for indicator, keys in self._needs.items():
                made.keep(indicator, keys)
            self._memory.put(asset, made)
        later = assets[~anew] if several else assets
        if later.size:
            # All look as far back as the one that looks farthest: what two are made of is then made once.
            workshop = AbreastWorkshop(histories, later, self._memory, self._models, self._reach + 1)
            for indicator, keys in self._needs.items():
                workshop.grown(indicator, keys)
        self.counts[assets] = histories.counts[assets]
        return assets

    def prepare(self, histories: Histories) -> None:
        """Make what the next bars will need and the bars so far tell: models whose last training row has its label."""
        for indicator, keys in self._needs.items():
            ahead = None if indicator.onward is None else indicator.onward.ahead
            if ahead is None:
                continue
            made = self._memory.ahead[self._tables_at[indicator]] = {}
            for asset in np.flatnonzero(self.counts).tolist():
                shop = AheadWorkshop(histories.bars(asset), self._models, self._memory, asset)
                found = ahead(shop, keys)
                if found is not None:
                    made[asset] = int(self.counts[asset]), found
        for readers in self._memory.readers.values():
            for reader in readers:
                reader.prepare(histories)

    def look_at(self, histories: Histories, assets: Keys, widths: Keys, leads: Keys) -> None:
        """Show the last bars of some assets.

        Parameters
        ----------
        histories
            All bars so far.
        assets
            Numbers of the assets, shape (A,).
        widths
            How many of its bars to show of each, shape (A,).
        leads
            How many of these are not decided, shape (A,); -1: as many as the warm-up says.
        """
        self._histories, self._assets, self._leads = histories, assets, leads
        self._width = int(widths.max())
        self._skipped = self._width - widths
        self._rows: dict[Indicator, Rows] = {}
        self._prices: dict[str, Rows] = {}
        self.bars = histories.bars(int(assets[0]))

    def rows(self, indicator: Indicator, keys: Keys) -> tuple[Rows, Keys]:
        """Return rows (A x K, ..., n) of an indicator and, of each genome on each asset, the row number of its key."""
        if indicator not in self._rows:
            latest = self._latest(indicator)
            self._rows[indicator] = latest.reshape(-1, *latest.shape[2:])
        if keys.size == 0:
            return self._rows[indicator], keys
        place = (indicator, self._assets.size, keys.tobytes())
        if place not in self._places:
            own = self._needs[indicator]
            self._places[place] = self.stands(keys.size) * own.size + np.searchsorted(own, keys)
        return self._rows[indicator], self._places[place]

    def prices(self, name: str) -> Rows:
        """Return a column of the bars of each asset, shape (A, n)."""
        if name not in self._prices:
            self._prices[name] = self._histories.latest(self._assets, self._width, name)
        return self._prices[name]

    def stands(self, genomes: int) -> Keys:
        """Return on which of the assets each row stands, shape (G x A,)."""
        return np.arange(genomes) % self._assets.size

    def firsts(self, warmups: Keys) -> Keys:
        """Return the first bar shown on which each genome may decide on each asset, shape (G x A,)."""
        shape = self._genomes, self._assets.size
        return np.asarray(np.where(self._leads < 0, warmups.reshape(shape), self._leads) + self._skipped).reshape(-1)

    @property
    def begins(self) -> Keys:
        """The first bar that there is in each row of `prices`, shape (A,)."""
        return self._skipped

    def joined(self, columns: Collection[str]) -> IndicatorBank:
        """Return a bank whose rows (K, A x n), and bars in these columns, go through all rows of `prices` in turn.

        What is made of several bars has a meaning from a genome's first bar on.
        """
        prices = {name: self.prices(name) for name in columns}
        return _OneBehindTheOther(self._needs, self._latest, prices, self._assets.size * self._width)

    def _latest(self, indicator: Indicator) -> Rows:
        # Shape (A, K, ..., n).
        table = self._memory.tables[self._tables_at[indicator]]
        return table.latest(self._assets, self._width, self._chosen.get(indicator))

    def of_asset(self, place: int) -> IndicatorBank:
        """Return the bank of what is shown of one of the assets."""
        asset, begin = int(self._assets[place]), int(self._skipped[place]) - self._width
        bars = self._histories.bars(asset)
        return _OneOfMany(bars.since(bars.numbers.size + begin), self._needs, self._all_of(asset), begin)

    def _all_of(self, asset: int) -> Callable[[Indicator], Rows]:
        def columns(indicator: Indicator) -> Rows:
            found, chosen = self._memory.tables[self._tables_at[indicator]].columns(asset), self._chosen.get(indicator)
            return found if chosen is None else np.asarray(found[chosen])

        return columns


class _OneBehindTheOther(IndicatorBank):
    def __init__(
        self, needs: Needs, tables_of: Callable[[Indicator], Rows], prices: Mapping[str, Rows], size: int
    ) -> None:
        unread = np.empty(0)
        columns: dict[str, Any] = {name: prices[name].reshape(-1) if name in prices else unread for name in COLUMNS}
        self.bars = AssetBars(**columns, numbers=np.arange(size), bar_hours=1.0)
        self._needs, self._tables_of = needs, tables_of

    def rows(self, indicator: Indicator, keys: Keys) -> tuple[Rows, Keys]:
        """Return rows (K, A x n) of an indicator and the row number of each of the given keys."""
        own = self._needs[indicator]
        rows = self._tables_of(indicator).swapaxes(0, 1).reshape(own.size, -1)
        # Of a single bar each, that may be a view of columns, which no kernel takes.
        return np.ascontiguousarray(rows), np.searchsorted(own, keys)


class _OneOfMany(IndicatorBank):
    # The last bars of one asset of an `AbreastBank`, `begin` being the first of them, counted from the end.
    def __init__(self, bars: AssetBars, needs: Needs, columns_of: Callable[[Indicator], Rows], begin: int) -> None:
        self.bars = bars
        self._tables = {
            indicator: IndicatorTable(
                keys, np.arange(keys.size), np.ascontiguousarray(columns_of(indicator)[..., begin:])
            )
            for indicator, keys in needs.items()
        }
