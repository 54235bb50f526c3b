"""When models are fitted again, on which rows, and how fits are shared between genomes and between calls."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bars import AssetBars
from quant_organism.strategies.indicators.indicator import Workshop
from quant_organism.strategies.learning.features import forward_returns
from quant_organism.strategies.learning.grids import SvcGenes, TreeGenes
from quant_organism.strategies.store import Arrays

Floats = NDArray[np.float64]
Count = TypeVar("Count", int, NDArray[np.int64])

FIRST_BAR = 72
"""First bar on which all features are defined; none before it is learnt from."""

SCHEMA_VERSION = 1
"""To be raised when a feature or a fit changes its meaning, so that no kept fit outlives it."""

FITTED, FEW_ROWS, ONE_CLASS, NOT_FINITE, NOT_CONVERGED = range(5)
"""What became of a fit. Only those that are fitted or not converged have a say; a refused fit scores 0."""


def first_refit(window: Count, horizon: Count) -> Count:
    """Return the first bar on which a model with `window` training rows may be fitted; arrays give arrays."""
    return FIRST_BAR + window + horizon


def refit_bars(numbers: NDArray[np.int64], window: int, horizon: int, interval: int) -> NDArray[np.int64]:
    """Return the bars at whose close a model is fitted: absolute bar numbers that `interval` divides, shape (R,)."""
    bars = np.flatnonzero(numbers % interval == 0)
    return bars[bars >= first_refit(window, horizon)]


def is_refit(number: int, bar: int, genes: SvcGenes | TreeGenes) -> bool:
    """Say whether a model is fitted at the close of a bar, by its absolute number and its place in the asset's bars."""
    return number % genes.interval == 0 and bar >= first_refit(genes.window, genes.horizon)


def refit_places(numbers: NDArray[np.int64], bars: NDArray[np.int64], genes: SvcGenes | TreeGenes) -> NDArray[np.int64]:
    """Return for which of several assets a model is fitted at the close of their bars, as places."""
    return np.flatnonzero((numbers % genes.interval == 0) & (bars >= first_refit(genes.window, genes.horizon)))


def refits_of(bars: AssetBars, genes: SvcGenes | TreeGenes) -> list[int]:
    """Return the bars at whose close a model is fitted."""
    found: list[int] = refit_bars(bars.numbers, genes.window, genes.horizon, genes.interval).tolist()
    return found


def training_rows(bar: int, window: int, horizon: int) -> tuple[int, int]:
    """Return the first training row of a fit at the close of `bar`, and the row after the last.

    The label of the last row ends at the bar before `bar`: horizon + 1 bars lie between a label's row and the first
    row that is scored.
    """
    return bar - horizon - window, bar - horizon


def training_set(shop: Workshop, features: Floats, bar: int, window: int, horizon: int) -> tuple[Floats, Floats]:
    """Return the training rows of a fit at the close of `bar`, and the log return over the label horizon from each.

    Parameters
    ----------
    shop
        Where the closes are.
    features
        Features that are learnt from, shape (F, n).
    bar, window, horizon
        As for `training_rows`.

    Returns
    -------
    Shapes (F, window) and (window,).
    """
    begin, end = training_rows(bar, window, horizon)
    returns = forward_returns(shop.bars.close[begin : end + horizon], horizon)
    return features[:, begin:end], returns[:window]


class Fits:
    """The fits of one asset, each made once however many genomes share it.

    Parameters
    ----------
    shop
        Keeps fits between calls, under a key of the training rows themselves: whoever asks for the same fit has read
        the same numbers.
    """

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._made: dict[tuple[str, int, tuple[object, ...]], Arrays] = {}

    def get(
        self,
        model: str,
        bar: int,
        genes: tuple[object, ...],
        training: Callable[[], tuple[Floats, Floats]],
        make: Callable[[Floats, Floats], Arrays],
    ) -> Arrays:
        """Return what `make` fits with given genes to the training rows of a bar, made now if there is none."""
        place = (model, bar, genes)
        if place not in self._made:
            rows, returns = training()
            content = hashlib.sha256(repr((SCHEMA_VERSION, model, genes, rows.shape)).encode())
            content.update(rows.tobytes())
            content.update(returns.tobytes())
            self._made[place] = self._shop.remember(content.digest(), lambda: make(rows, returns))
        return self._made[place]
