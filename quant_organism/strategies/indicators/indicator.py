"""What an indicator is, and the workshops in which its rows are made: from all bars at once, or bar after bar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from quant_organism.strategies.bars import AssetBars
from quant_organism.strategies.store import Arrays, IndicatorStore, IndicatorTable, Keys, Rows

_PAIR_BITS = 20
_FIRST_ROOM = 1024

State = TypeVar("State")


def pair(a: Any, b: Any) -> Any:
    """Return the key of an indicator with two parameters, each below 2**20; arrays give arrays."""
    return a << _PAIR_BITS | b


def unpair(keys: Keys) -> tuple[Keys, Keys]:
    """Return the two parameters of each key that `pair` made."""
    return keys >> _PAIR_BITS, keys & ((1 << _PAIR_BITS) - 1)


@dataclass(frozen=True)
class Onward(Generic[State]):
    """How an indicator that never forgets goes on from what earlier bars have left.

    Parameters
    ----------
    start
        Makes what there is before the first new bar, from the workshop and the keys.
    rows
        Makes the columns (K, ..., new) of new bars from the workshop, the keys and what is left, and moves that on.
    """

    start: Callable[[GrowingWorkshop, Keys], State]
    rows: Callable[[GrowingWorkshop, Keys, State], Rows]


@dataclass(frozen=True, eq=False)
class Indicator:
    """One indicator: how its rows are made for many keys at once, and how far back they look.

    A key is a period in bars, or a `pair` of parameters, or any other integer that the indicator understands.

    Parameters
    ----------
    name
        Unique among indicators: rows are kept under it.
    rows
        Makes the rows (K, ..., n) of K keys over the n bars of a workshop. No value may depend on a later bar.
    reach
        How many bars, the last one included, a value is made of, from the bars and K keys, shape (K,); for an
        indicator that goes on from what earlier bars have left, how many bars it looks at beside that.
    onward
        How it goes on bar by bar if it never forgets; None where the last `reach` bars are all that a value is made of.
    """

    name: str
    rows: Callable[[Workshop, Keys], Rows]
    reach: Callable[[AssetBars, Keys], Keys]
    onward: Onward[Any] | None = None


Needs = Mapping[Indicator, Keys]
"""Keys in use per indicator, in any order and with repetitions."""


class Workshop:
    """Makes rows, and keeps those that others are made from as long as a bank is being built.

    Parameters
    ----------
    bars
        Valid bars of the asset.
    store
        Where rows are looked up before they are made, and kept for the next workshop of the same bars.
    """

    def __init__(self, bars: AssetBars, store: IndicatorStore | None) -> None:
        self.bars = bars
        self.store = store or IndicatorStore(0)
        self._keeps = bool(bars.market and bars.asset)
        self._made: dict[tuple[Indicator, bytes], Rows] = {}

    def make(self, indicator: Indicator, keys: Keys) -> Rows:
        """Return the rows (K, n) of an indicator for the given keys."""
        place = (indicator, keys.tobytes())
        if place not in self._made:
            self._made[place] = indicator.rows(self, keys)
        return self._made[place]

    def remember(self, key: bytes, make: Callable[[], Arrays]) -> Arrays:
        """Return arrays from the store, or make them; the key must stand for all that they depend on."""
        return self.store.remember(key, make)

    def table(self, indicator: Indicator, keys: Keys) -> IndicatorTable:
        """Return at least the rows of the given keys, each once and in ascending order."""
        if not self._keeps:
            return IndicatorTable(keys, np.arange(keys.size), self.make(indicator, keys))
        market, asset, name = self.bars.market, self.bars.asset, indicator.name
        kept = self.store.table(market, asset, name)
        here = np.zeros(keys.size, dtype=np.bool_) if kept is None else kept.holds(keys)
        if kept is not None and here.all():
            return kept
        known, missing = keys[here], keys[~here]
        made = self.make(indicator, missing)
        everything = self.store.keep_table(market, asset, name, missing, made)
        if everything is not None:
            return everything
        if kept is None or known.size == 0:
            return IndicatorTable.of(missing, made)
        rows = np.empty((keys.size, *made.shape[1:]), made.dtype)
        np.take(kept.rows, kept.places_of(known), axis=0, out=rows[: known.size], mode="clip")
        rows[known.size :] = made
        return IndicatorTable.of(np.concatenate([known, missing]), rows)


class GrowingTable:
    """Rows (K, ..., n) of an indicator with room for more columns.

    Parameters
    ----------
    columns
        Of the shape and type of those to come; none of them is taken.
    """

    def __init__(self, columns: Rows) -> None:
        self.count = 0
        self._room = np.empty((*columns.shape[:-1], _FIRST_ROOM), columns.dtype)

    def append(self, columns: Rows) -> None:
        """Take more columns."""
        end = self.count + columns.shape[-1]
        if end > self._room.shape[-1]:
            room = np.empty((*self._room.shape[:-1], max(end, 2 * self._room.shape[-1])), self._room.dtype)
            room[..., : self.count] = self._room[..., : self.count]
            self._room = room
        self._room[..., self.count : end] = columns
        self.count = end

    @property
    def columns(self) -> Rows:
        """All columns so far, not contiguous."""
        return self._room[..., : self.count]

    def since(self, begin: int) -> Rows:
        """Return the columns from number `begin` on, rows one behind the other, as kernels take them."""
        return np.ascontiguousarray(self._room[..., begin : self.count])


class GrowthMemory:
    """What `count` bars have left: the columns of each indicator, and what the next ones go on from."""

    def __init__(self) -> None:
        self.count = 0
        self.tables: dict[tuple[Indicator, bytes], GrowingTable] = {}
        self.states: dict[tuple[Indicator, bytes], Any] = {}


class GrowingWorkshop(Workshop):
    """Makes rows of the bars from number `begin` on; those from number `known` on are new.

    Parameters
    ----------
    every
        All bars so far.
    memory
        What the bars before the new ones have left; moved on.
    models
        Keeps the models of learning families.
    begin
        Number of the first bar that indicators may look at.
    """

    def __init__(self, every: AssetBars, memory: GrowthMemory, models: IndicatorStore, begin: int) -> None:
        super().__init__(every.since(begin), models)
        self.every, self.begin, self.known = every, begin, memory.count
        self._memory = memory

    def make(self, indicator: Indicator, keys: Keys) -> Rows:
        """Return the rows (K, n) of an indicator on the bars at hand."""
        if indicator.onward is None:
            return super().make(indicator, keys)
        return self._grown(indicator, indicator.onward, keys).since(self.begin)

    def keep(self, indicator: Indicator, keys: Keys) -> None:
        """Add the new columns to the table of an indicator."""
        if indicator.onward is not None:
            self._grown(indicator, indicator.onward, keys)
        else:
            self._lengthened((indicator, keys.tobytes()), self.newest(super().make(indicator, keys)))

    def newest(self, rows: Rows) -> Rows:
        """Return the columns of new bars."""
        return np.ascontiguousarray(rows[..., self.known - self.begin :])

    def all_columns(self, indicator: Indicator, keys: Keys) -> Rows:
        """Return the rows (K, ..., n) of an indicator that goes on bar by bar, over all bars so far."""
        assert indicator.onward is not None
        return self._grown(indicator, indicator.onward, keys).columns

    def _grown(self, indicator: Indicator, onward: Onward[Any], keys: Keys) -> GrowingTable:
        # The table of an indicator that goes on from what earlier bars have left, up to the last bar.
        place = (indicator, keys.tobytes())
        table = self._memory.tables.get(place)
        if table is None or table.count < self.every.numbers.size:
            if place not in self._memory.states:
                self._memory.states[place] = onward.start(self, keys)
            table = self._lengthened(place, onward.rows(self, keys, self._memory.states[place]))
        return table

    def _lengthened(self, place: tuple[Indicator, bytes], columns: Rows) -> GrowingTable:
        table = self._memory.tables.get(place)
        if table is None:
            table = self._memory.tables[place] = GrowingTable(columns)
        table.append(columns)
        return table


def same_bars(bars: AssetBars, periods: Keys) -> Keys:
    """Return the reach of an indicator whose window is its period."""
    return periods


def one_bar_more(bars: AssetBars, periods: Keys) -> Keys:
    """Return the reach of an indicator that looks at one bar beside those of its period."""
    return periods + 1


def last_bar(bars: AssetBars, keys: Keys) -> Keys:
    """Return the reach of an indicator that goes on from the bar before and looks at nothing else."""
    return np.ones_like(keys)
