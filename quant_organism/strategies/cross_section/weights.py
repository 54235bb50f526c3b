"""From scores to a book: who is held, for and against, so that longs and shorts weigh the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

Weighting = Literal["rank", "score", "tails"]

FEWEST_ASSETS: Final = 6
"""Eligible assets below which a book is flat."""

LARGEST_WEIGHT: Final = 0.5

_FARTHEST_SCORE: Final = 2.0
_LEAST_SPREAD: Final = 1e-12
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, kw_only=True)
class Weighing:
    """How scores become weights.

    Parameters
    ----------
    weighting
        By rank, by standardised score, or the highest and the lowest alone.
    tail_share
        Share of the assets that is held on each side by `tails`.
    inverse_volatility
        Whether every asset is held at equal risk rather than at equal weight.
    beta_neutral
        Whether longs and shorts weigh the same in beta, else in USD.
    funding_tilt
        Weight of the received funding beside the score.
    """

    weighting: Weighting = "score"
    tail_share: float = 0.25
    inverse_volatility: bool = True
    beta_neutral: bool = True
    funding_tilt: float = 0.0


def book_weights(
    scores: Floats, eligible: Flags, sigma: Floats, beta: Floats, received: Floats, weighing: Weighing
) -> Floats:
    """Return what to hold of N assets at D decisions, as shares of the equity, shape (N, D).

    The absolute weights of a decision sum to 1, or all are 0; none is beyond one half. Where a beta-neutral book would
    hold more than half in one asset, it is made neutral in USD instead.

    Parameters
    ----------
    scores
        The higher, the rather held, shape (N, D); anything where not eligible.
    eligible
        Who may be held, shape (N, D).
    sigma, beta
        Volatility per bar and beta, positive where eligible, shape (N, D).
    received
        Mean funding that a long receives per bar, NaN where unknown: such an asset counts as average; shape (N, D).
    weighing
        How.
    """
    x = scores
    if weighing.funding_tilt > 0.0:
        tilted = standardised(received, eligible & np.isfinite(received))
        x = standardised(scores, eligible) + weighing.funding_tilt * tilted
    u = _preferences(x, eligible, weighing)
    if weighing.inverse_volatility:
        u = np.where(eligible, u / np.where(eligible, sigma, 1.0), 0.0)
    if not weighing.beta_neutral:
        return _balanced(u, np.ones_like(u))
    weights = _balanced(u, np.where(eligible, beta, 1.0))
    lopsided = np.abs(weights).max(axis=0) > LARGEST_WEIGHT + _ROUNDING
    return np.where(lopsided, _balanced(u, np.ones_like(u)), weights)


def standardised(values: Floats, known: Flags) -> Floats:
    """Return each column's distance from its mean in population standard deviations, within +-2; 0 where not known."""
    count = np.maximum(known.sum(axis=0), 1)
    mean = _in_order(np.where(known, values, 0.0)) / count
    apart = np.where(known, values - mean, 0.0)
    deviation = np.sqrt(_in_order(apart * apart) / count)
    spread = deviation >= _LEAST_SPREAD
    return np.asarray(np.clip(apart / np.where(spread, deviation, 1.0), -_FARTHEST_SCORE, _FARTHEST_SCORE) * spread)


def without_least(eligible: Flags, traded: Floats, share: float) -> Flags:
    """Return who is eligible but for the least traded `share` of each column, rounded down; the first of equal ones."""
    dropped = np.floor(share * eligible.sum(axis=0))
    order = np.argsort(np.where(eligible, traded, np.inf), axis=0, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(len(order))[:, None], axis=0)
    return np.asarray(eligible & (place >= dropped))


def _preferences(x: Floats, eligible: Flags, weighing: Weighing) -> Floats:
    count = eligible.sum(axis=0)
    enough = eligible & (count >= FEWEST_ASSETS)
    if weighing.weighting == "score":
        return np.asarray(standardised(x, eligible) * enough)
    below, tied = _standing(x, eligible)
    if weighing.weighting == "rank":
        places = below + 0.5 * (tied + 1)
        return np.where(enough, (places - 0.5) / np.maximum(count, 1) - 0.5, 0.0)
    held = np.maximum(1, np.floor(weighing.tail_share * count))
    high, low = count - below <= held, below + tied <= held
    return np.where(enough, high.astype(np.float64) - low, 0.0)


def _standing(x: Floats, eligible: Flags) -> tuple[Ints, Ints]:
    # Of each eligible value how many eligible ones are below it, and how many equal it, itself included.
    below, tied = np.zeros(x.shape, dtype=np.int64), np.zeros(x.shape, dtype=np.int64)
    for asset in range(len(x)):
        below += eligible[asset] & (x[asset] < x)
        tied += eligible[asset] & (x[asset] == x)
    return below, tied


def _balanced(u: Floats, beta: Floats) -> Floats:
    exposure = beta * u
    longs, shorts = _in_order(np.maximum(exposure, 0.0)), -_in_order(np.minimum(exposure, 0.0))
    both = (longs > 0.0) & (shorts > 0.0)
    w = np.where(u > 0.0, u / np.where(both, longs, 1.0), u / np.where(both, shorts, 1.0)) * both
    gross = _in_order(np.abs(w))
    return np.asarray(w / np.where(gross > 0.0, gross, 1.0))


def _in_order(values: Floats) -> Floats:
    # The sum over assets, one after the other: however many columns there are, a column has the same bits.
    return np.asarray(np.add.accumulate(values, axis=0)[-1])
