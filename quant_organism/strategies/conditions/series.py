"""The names that a condition may use, and the series over the bars of one asset that each stands for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.bars import COLUMNS, AssetBars
from quant_organism.strategies.conditions import fields
from quant_organism.strategies.indicators.averages import EMA, MACD, MACD_SIGNAL, RATE_OF_CHANGE, SMA
from quant_organism.strategies.indicators.dispersion import DEVIATION, Z_SCORE
from quant_organism.strategies.indicators.extremes import PREVIOUS_HIGH, PREVIOUS_LOW
from quant_organism.strategies.indicators.indicator import Indicator, pair
from quant_organism.strategies.indicators.oscillators import RSI, STOCHASTIC_K
from quant_organism.strategies.indicators.volatility import ATR
from quant_organism.strategies.indicators.volume import PREVIOUS_MEAN_VOLUME, VWAP

PERIODS: Final = (2, 1000)
"""Shortest and longest period, in bars."""

_BANDS = 2.0
_MACD: Final[int] = pair(12, 26)
_MACD_SIGNAL: Final[int] = pair(_MACD, 9)


@dataclass(frozen=True)
class Series:
    """One series of numbers, a value per bar.

    Parameters
    ----------
    name
        Canonical name, its period written out.
    rows
        Indicators that it is made of, and their keys.
    history
        Bars up to and including its first value.
    bounds
        Least and greatest value it can take, if it has both.
    """

    name: str
    rows: tuple[tuple[Indicator, int], ...]
    history: int
    bounds: tuple[float, float] | None
    _made: Callable[..., NDArray[np.float64]]

    def values(self, bank: IndicatorBank) -> NDArray[np.float64]:
        """Return its values, shape (n,); NaN before the first."""
        parts = []
        for indicator, key in self.rows:
            rows, place = bank.rows(indicator, np.array([key], dtype=np.int64))
            parts.append(rows[place[0]])
        return self._made(bank.bars, *parts)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What all series of one word have in common.

    Parameters
    ----------
    meaning
        For tables.
    rows
        Indicators for a period, and their keys.
    later
        Bars from the end of the first period to the first value.
    default
        Period of the bare word; None where the period must be written, 0 where there is none to write.
    bounds
        See `Series`.
    made
        Makes the series from the bars and the rows.
    """

    meaning: str
    rows: Callable[[int], tuple[tuple[Indicator, int], ...]]
    later: int = 0
    default: int | None = None
    bounds: tuple[float, float] | None = None
    made: Callable[..., NDArray[np.float64]] = lambda bars, row: row


KINDS: Final[dict[str, Kind]] = {
    "SMA": Kind(meaning="mean of the last n closes", rows=lambda n: ((SMA, n),)),
    "EMA": Kind(meaning="exponential mean of closes, weight 2/(n+1)", rows=lambda n: ((EMA, n),)),
    "SMA_GAP": Kind(
        meaning="close over SMA_n, less 1",
        rows=lambda n: ((SMA, n),),
        made=lambda bars, mean: bars.close / mean - 1.0,
    ),
    "ROC": Kind(meaning="close over the close n bars ago, less 1", rows=lambda n: ((RATE_OF_CHANGE, n),), later=1),
    "RSI": Kind(
        meaning="Wilder's relative strength index",
        rows=lambda n: ((RSI, n),),
        later=1,
        default=14,
        bounds=(0.0, 100.0),
    ),
    "STOCH_K": Kind(
        meaning="place of the close between the lowest low and the highest high of the last n bars, in percent",
        rows=lambda n: ((STOCHASTIC_K, n),),
        default=14,
        bounds=(0.0, 100.0),
    ),
    "VWAP": Kind(meaning="mean typical price of the last n bars, weighted by volume", rows=lambda n: ((VWAP, n),)),
    "ATR": Kind(meaning="Wilder's average true range", rows=lambda n: ((ATR, n),), later=1, default=14),
    "ZSCORE": Kind(
        meaning="distance of the close from SMA_n in standard deviations of n closes", rows=lambda n: ((Z_SCORE, n),)
    ),
    "BB_UPPER": Kind(
        meaning="upper Bollinger band: SMA_n and two standard deviations",
        rows=lambda n: ((SMA, n), (DEVIATION, n)),
        made=lambda bars, mean, deviation: mean + _BANDS * deviation,
    ),
    "BB_LOWER": Kind(
        meaning="lower Bollinger band: SMA_n less two standard deviations",
        rows=lambda n: ((SMA, n), (DEVIATION, n)),
        made=lambda bars, mean, deviation: mean - _BANDS * deviation,
    ),
    "DONCHIAN_UPPER": Kind(meaning="highest high of the n bars before", rows=lambda n: ((PREVIOUS_HIGH, n),), later=1),
    "DONCHIAN_LOWER": Kind(meaning="lowest low of the n bars before", rows=lambda n: ((PREVIOUS_LOW, n),), later=1),
    "MEAN_VOLUME": Kind(
        meaning="mean volume of the n bars before", rows=lambda n: ((PREVIOUS_MEAN_VOLUME, n),), later=1
    ),
    "MACD": Kind(meaning="EMA_12 less EMA_26", rows=lambda _: ((MACD, _MACD),), later=26, default=0),
    "MACD_SIGNAL": Kind(
        meaning="exponential mean of MACD over 9 bars",
        rows=lambda _: ((MACD_SIGNAL, _MACD_SIGNAL),),
        later=34,
        default=0,
    ),
    "MACD_HISTOGRAM": Kind(
        meaning="MACD less MACD_SIGNAL",
        rows=lambda _: ((MACD, _MACD), (MACD_SIGNAL, _MACD_SIGNAL)),
        later=34,
        default=0,
        made=lambda bars, macd, signal: macd - signal,
    ),
}
"""Every word that names an indicator."""


@lru_cache(maxsize=4096)
def known_series(name: str) -> Series:
    """Return the series of a name that has been checked."""
    return find_series(name, name)


def find_series(name: object, where: str) -> Series:
    """Return the series of a name: a column of the bars, or a word of `KINDS` with its period.

    Raises
    ------
    InputError
        An unknown name, a period that is missing, not wanted, or outside `PERIODS`.
    """
    if not isinstance(name, str):
        raise InputError(f"{fields.shown(name)} is not a name", where=where, remedy=_names())
    if name in COLUMNS:
        return Series(name, (), 1, None, _column(name))
    word, period = _parted(name)
    kind = KINDS.get(word)
    if kind is None:
        near = get_close_matches(word.upper(), KINDS, n=1) or get_close_matches(name.lower(), COLUMNS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"unknown name {fields.shown(name)}", where=where, remedy=hint + _names())
    if kind.default == 0:
        if period is not None:
            raise InputError(f"{word} takes no period, found {fields.shown(name)}", where=where, remedy=f"write {word}")
        return Series(word, kind.rows(0), kind.later, kind.bounds, kind.made)
    n = kind.default if period is None else period
    if n is None:
        raise InputError(f"{word} needs a period", where=where, remedy=f"write it as suffix, for example {word}_20")
    if not PERIODS[0] <= n <= PERIODS[1]:
        raise InputError(
            f"the period of {name} is {n}, expected one from {PERIODS[0]} to {PERIODS[1]} bars", where=where
        )
    return Series(f"{word}_{n}", kind.rows(n), n + kind.later, kind.bounds, kind.made)


def _parted(name: str) -> tuple[str, int | None]:
    found = re.fullmatch(r"(.+?)_(\d{1,6})", name, flags=re.ASCII)
    return (found[1], int(found[2])) if found else (name, None)


def _column(name: str) -> Callable[[AssetBars], Any]:
    return lambda bars: getattr(bars, name)


def _names() -> str:
    return f"names are {', '.join(COLUMNS)}, and {', '.join(KINDS)} with their periods, as in SMA_20"
