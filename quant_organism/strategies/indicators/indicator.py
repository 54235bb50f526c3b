"""What an indicator is, and the workshops in which its rows are made: all bars at once, or bar after bar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np

from quant_organism.kernels.compiled import compiled
from quant_organism.strategies.bars import COLUMNS, AssetBars, Histories
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
        Makes what there is before the first bar, from the workshop and the keys.
    rows
        Makes the rows (K, ..., n) of all bars from the workshop, the keys and what there is before them, and moves
        that on.
    abreast
        Makes the columns (A, K, ...) of one new bar of each asset of a workshop, from the keys and what is left of all
        assets, by number: an array (N, ...) where the state of one is an array, else a list; moves that on.
    ahead
        Makes what the next bar of one asset will need and the bars so far tell, from all of them and the keys; it is
        handed on to the next workshop (`AbreastWorkshop.made_ahead`). None where there is nothing of the kind.
    """

    start: Callable[[HistoryWorkshop, Keys], State]
    rows: Callable[[HistoryWorkshop, Keys, State], Rows]
    abreast: Callable[[AbreastWorkshop, Keys, Any], Rows]
    ahead: Callable[[AheadWorkshop, Keys], Any] | None = None


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
    last
        Makes the columns (A, K, ...) of the new bars of a workshop alone, where whole rows cost much more; None where
        they do not.
    is_kept
        Whether its values at earlier bars are kept for the indicators that are made of them, and not made again at
        each bar.
    """

    name: str
    rows: Callable[[Workshop, Keys], Rows]
    reach: Callable[[AssetBars, Keys], Keys]
    onward: Onward[Any] | None = None
    last: Callable[[AbreastWorkshop, Keys], Rows] | None = None
    is_kept: bool = False


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

    def shared(self, indicator: Indicator, keys: Keys) -> Rows:
        """Return the rows (..., K, n) of an indicator, those that stand among rows made before if all of them do.

        For rows that cost more than to be copied. Keys are ascending.
        """
        place = (indicator, keys.tobytes())
        if place in self._made:
            return self._made[place]
        for (known, spelled), rows in self._made.items():
            own = np.frombuffer(spelled, dtype=np.int64)
            if known is indicator and own.size >= keys.size:
                places = own.searchsorted(keys)
                if np.array_equal(own.take(places, mode="clip"), keys):
                    return rows.take(places, axis=-2)
        return self.make(indicator, keys)

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


class HistoryWorkshop(Workshop):
    """Makes rows of all bars so far of one asset, and keeps what the next bar goes on from.

    Parameters
    ----------
    bars
        All bars so far.
    models
        Keeps the models of learning families.
    """

    def __init__(self, bars: AssetBars, models: IndicatorStore) -> None:
        super().__init__(bars, models)
        self.kept: dict[tuple[Indicator, bytes], Rows] = {}
        self.states: dict[tuple[Indicator, bytes], Any] = {}

    def make(self, indicator: Indicator, keys: Keys) -> Rows:
        """Return the rows (K, ..., n) of an indicator over all bars."""
        if indicator.onward is None and not indicator.is_kept:
            return super().make(indicator, keys)
        return self.keep(indicator, keys)

    def keep(self, indicator: Indicator, keys: Keys) -> Rows:
        """Return the rows of an indicator that the next bar adds to."""
        place = (indicator, keys.tobytes())
        if place not in self.kept and indicator.onward is not None:
            self.states[place] = indicator.onward.start(self, keys)
            self.kept[place] = indicator.onward.rows(self, keys, self.states[place])
        elif place not in self.kept:
            self.kept[place] = super().make(indicator, keys)
        return self.kept[place]


class AbreastTable:
    """Rows (K, ..., n) of an indicator of each of N assets, with room for more columns.

    Parameters
    ----------
    shape
        Of one column of one asset, (K, ...).
    dtype
        Of its values.
    n_assets
        Number of assets N.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any, n_assets: int) -> None:
        self.counts = np.zeros(n_assets, dtype=np.int64)
        self._shape, self._most = shape, 0
        self._room = np.empty((n_assets, int(np.prod(shape)), _FIRST_ROOM), dtype)
        self._every = np.arange(self._room.shape[1])

    def put(self, asset: int, columns: Rows) -> None:
        """Hold these columns (K, ..., n) of an asset, and no others."""
        count = columns.shape[-1]
        self._make_room(count)
        self._room[asset, :, :count] = columns.reshape(-1, count)
        self.counts[asset] = count

    def append(self, assets: Keys, columns: Rows) -> None:
        """Take one more column of each of some assets, shape (A, K, ...)."""
        self._make_room(self._most + 1)
        _append_columns(np.ascontiguousarray(columns).reshape(assets.size, -1), assets, self._room, self.counts)

    def latest(self, assets: Keys, width: int, chosen: Keys | None = None) -> Rows:
        """Return the last columns of some assets, shape (A, K, ..., width); zeros before an asset's first.

        Parameters
        ----------
        assets
            Their numbers, shape (A,).
        width
            How many columns.
        chosen
            Which of the K keys, by their places; default: all.
        """
        own, rest = self._shape[0] if chosen is None else chosen.size, self._shape[1:]
        rows = self._every if chosen is None else self._every.reshape(self._shape)[chosen].reshape(-1)
        found = np.empty((assets.size, rows.size, width), self._room.dtype)
        _copy_latest(self._room, self.counts, assets, rows, found)
        return found.reshape(assets.size, own, *rest, width)

    def columns(self, asset: int) -> Rows:
        """Return all columns of an asset, shape (K, ..., n), not contiguous."""
        count = int(self.counts[asset])
        return self._room[asset, :, :count].reshape(*self._shape, count)

    def row(self, place: int) -> Rows:
        """Return one of the rows of all assets, shape (N, room); those of an asset end at its place in `counts`."""
        return self._room[:, place]

    def _make_room(self, end: int) -> None:
        # No asset has more than `_most` columns.
        self._most = max(self._most, end)
        if end > self._room.shape[2]:
            room = np.empty((*self._room.shape[:2], max(end, 2 * self._room.shape[2])), self._room.dtype)
            room[..., : self._room.shape[2]] = self._room
            self._room = room


@compiled
def _append_columns(columns: Rows, assets: Keys, room: Rows, counts: Keys) -> None:
    for i in range(assets.size):
        asset = assets[i]
        place = counts[asset]
        for row in range(columns.shape[1]):
            room[asset, row, place] = columns[i, row]
        counts[asset] = place + 1


@compiled
def _copy_latest(room: Rows, counts: Keys, assets: Keys, rows: Keys, found: Rows) -> None:
    for i in range(assets.size):
        asset = assets[i]
        count = counts[asset]
        width = min(found.shape[2], count)
        for row in range(rows.size):
            source, out = room[asset, rows[row], count - width : count], found[i, row, found.shape[2] - width :]
            found[i, row, : found.shape[2] - width] = 0
            for t in range(width):
                out[t] = source[t]


class AbreastMemory:
    """What the bars of N assets have left: the columns of each indicator, and what the next ones go on from.

    Parameters
    ----------
    n_assets
        Number of assets N.
    """

    def __init__(self, n_assets: int) -> None:
        self.tables: dict[tuple[Indicator, bytes], AbreastTable] = {}
        self.states: dict[tuple[Indicator, bytes], Any] = {}
        self.readers: dict[bytes, list[Any]] = {}
        self.ahead: dict[tuple[Indicator, bytes], dict[int, tuple[int, Any]]] = {}
        self._n_assets = n_assets

    def put(self, asset: int, made: HistoryWorkshop) -> None:
        """Hold what all bars of one asset have left, and nothing else of it."""
        for place, rows in made.kept.items():
            if place not in self.tables:
                self.tables[place] = AbreastTable(rows.shape[:-1], rows.dtype, self._n_assets)
            self.tables[place].put(asset, rows)
        for place, state in made.states.items():
            if place not in self.states:
                is_array = isinstance(state, np.ndarray)
                empty: Any = np.zeros((self._n_assets, *state.shape), state.dtype) if is_array else None
                self.states[place] = empty if is_array else [None] * self._n_assets
            self.states[place][asset] = state


class AbreastWorkshop(Workshop):
    """Makes one more column of each of A assets at once.

    Most indicators have a kernel for the new bars alone. For the others the latest bars stand end to end, each asset's
    last one new, so that whatever looks at a number of bars is made of all of them as of one asset; what stands where
    two of them meet has no meaning, and is not kept.

    Parameters
    ----------
    histories
        All bars so far of all assets.
    assets
        Numbers of those that have a new bar, shape (A,).
    memory
        What the bars before the new ones have left; moved on.
    models
        Keeps the models of learning families.
    width
        How many bars of each stand end to end; they must have as many.
    """

    def __init__(
        self, histories: Histories, assets: Keys, memory: AbreastMemory, models: IndicatorStore, width: int
    ) -> None:
        # Without bars: they are laid end to end only where an indicator asks for them.
        self.store, self._made = models, {}
        self.histories, self.assets, self.width = histories, assets, width
        self.ends = histories.counts[assets]
        self.known = self.ends - 1
        self._memory = memory
        self._newest: dict[tuple[Indicator, bytes], Rows] = {}

    @cached_property
    def bars(self) -> AssetBars:  # type: ignore[override]
        """The last `width` bars of each asset, one asset behind the other."""
        return self.histories.end_to_end(self.assets, self.width)

    def readers(self, keys: Keys, make: Callable[[], list[Any]]) -> list[Any]:
        """Return what reads whole strategies for some keys, made once for all assets."""
        place = keys.tobytes()
        if place not in self._memory.readers:
            self._memory.readers[place] = make()
        return self._memory.readers[place]

    def made_ahead(self, indicator: Indicator, keys: Keys) -> dict[int, Any]:
        """Return what was made for the new bars before they came, by asset; what was made for others is let go of."""
        found = self._memory.ahead.pop((indicator, keys.tobytes()), {})
        bars = dict(zip(self.assets.tolist(), self.known.tolist(), strict=True)) if found else {}
        return {asset: made for asset, (bar, made) in found.items() if bars.get(asset) == bar}

    def make(self, indicator: Indicator, keys: Keys) -> Rows:
        """Return the rows (K, ..., A x width) of an indicator on the bars that stand end to end."""
        if indicator.onward is None and not indicator.is_kept:
            return super().make(indicator, keys)
        place = (indicator, keys.tobytes())
        if place not in self._made:
            latest = self.grown(indicator, keys).latest(self.assets, self.width)
            latest = latest.transpose(*range(1, latest.ndim - 1), 0, latest.ndim - 1)
            self._made[place] = np.ascontiguousarray(latest).reshape(*latest.shape[:-2], -1)
        return self._made[place]

    def newest_of(self, indicator: Indicator, keys: Keys) -> Rows:
        """Return the columns (A, K, ...) of an indicator at the new bars."""
        place = (indicator, keys.tobytes())
        if place not in self._newest:
            if indicator.onward is not None:
                self._newest[place] = self.grown(indicator, keys).latest(self.assets, 1)[..., 0]
            elif indicator.last is not None:
                self._newest[place] = indicator.last(self, keys)
            else:
                self._newest[place] = self.newest(super().make(indicator, keys))
        return self._newest[place]

    def column(self, name: str) -> Rows:
        """Return a column of all bars of all assets, shape (N, room); those of an asset end at its place in `ends`."""
        return self.histories.columns[:, COLUMNS.index(name)]

    def last(self, name: str) -> Rows:
        """Return the values of a column at the new bars, shape (A,)."""
        return self.column(name)[self.assets, self.known]

    @property
    def numbers(self) -> Keys:
        """Absolute numbers of the new bars, shape (A,)."""
        return self.histories.numbers[self.assets, self.known]

    def newest(self, rows: Rows) -> Rows:
        """Return the columns (A, K, ...) of new bars, of rows on the bars that stand end to end."""
        found = rows[..., self.width - 1 :: self.width]
        return np.ascontiguousarray(found.transpose(found.ndim - 1, *range(found.ndim - 1)))

    def grown(self, indicator: Indicator, keys: Keys) -> AbreastTable:
        """Return the table of an indicator that the bank reads, goes on bar by bar or is kept, up to the last bar."""
        place = (indicator, keys.tobytes())
        table = self._memory.tables[place]
        if self.assets.size and table.counts[self.assets[0]] == self.known[0]:
            if indicator.onward is None:
                columns = self.newest_of(indicator, keys)
            else:
                columns = indicator.onward.abreast(self, keys, self._memory.states[place])
            table.append(self.assets, columns)
        return table


class AheadWorkshop(Workshop):
    """All bars so far of one asset, and what was made of them, before its next bar comes.

    Parameters
    ----------
    bars
        All bars so far.
    models
        Keeps the models of learning families.
    memory
        What the bars have left.
    asset
        Number of the asset.

    Attributes
    ----------
    number
        Absolute number of the next bar, if none is left out.
    """

    def __init__(self, bars: AssetBars, models: IndicatorStore, memory: AbreastMemory, asset: int) -> None:
        super().__init__(bars, models)
        self.number = int(bars.numbers[-1]) + 1
        self._memory, self._asset = memory, asset

    def make(self, indicator: Indicator, keys: Keys) -> Rows:
        """Return the rows (K, ..., n) of an indicator over all bars, as they were made bar by bar."""
        return self._memory.tables[indicator, keys.tobytes()].columns(self._asset)


def same_bars(bars: AssetBars, periods: Keys) -> Keys:
    """Return the reach of an indicator whose window is its period."""
    return periods


def one_bar_more(bars: AssetBars, periods: Keys) -> Keys:
    """Return the reach of an indicator that looks at one bar beside those of its period."""
    return periods + 1


def last_bar(bars: AssetBars, keys: Keys) -> Keys:
    """Return the reach of an indicator that goes on from the bar before and looks at nothing else."""
    return np.ones_like(keys)
