"""Null panels: a real market whose bars are turned over at random, so that nothing is left to be predicted.

The size of each bar stays, and with it volatility and its clusters; the assets are turned over together, so their
correlation stays; listings, gaps, volume, funding rates, time stamps and the Fear & Greed index stay where they are.
What goes is the link between what was known before a bar and where the bar went. It is exact where the returns of a
bar are symmetric around their mean given their size, and approximate otherwise.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.market import Panel

Floats = NDArray[np.float64]
Signs = NDArray[np.int8]

NullKind = Literal["mean_preserving", "plain", "block_24", "block_168"]
"""`mean_preserving`: a sign per bar, each asset keeps its mean return; the gate. For information: `plain`, which takes
the mean return away too; `block_24` and `block_168`, a sign per block of bars, so that faster edges stay."""

NULL_KINDS: Final[tuple[NullKind, ...]] = get_args(NullKind)

_PLAIN: Final = "plain"
_BLOCK_BARS: Final = {"mean_preserving": 1, "plain": 1, "block_24": 24, "block_168": 168}
_LOWEST_RETURN, _HIGHEST_RETURN = -0.5, 1.0


class BarReturns(NamedTuple):
    """Simple returns of n bars against the close before each, float64 (n,)."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats


def draw_null(panel: Panel, kind: NullKind, seed: np.random.SeedSequence, *, charge_funding: bool = True) -> Panel:
    """Return one panel of the null of this kind; arguments and errors as in `sign_flipped`."""
    signs = draw_signs(panel.n_bars, np.random.default_rng(seed), block_bars=_BLOCK_BARS[kind])
    return sign_flipped(panel, signs, keep_mean=kind != _PLAIN, charge_funding=charge_funding)


def draw_signs(n_bars: int, rng: np.random.Generator, *, block_bars: int = 1) -> Signs:
    """Draw a sign for each bar, -1 or 1 with equal probability, the same within each block; int8 (n_bars,)."""
    signs = rng.integers(0, 2, -(-n_bars // block_bars), dtype=np.int8) * 2 - 1
    return np.repeat(signs, block_bars)[:n_bars].astype(np.int8)


def sign_flipped(panel: Panel, signs: Signs, *, keep_mean: bool = True, charge_funding: bool = True) -> Panel:
    """Return a panel whose bars are mirrored where the sign is -1, with a hash of its own.

    What is turned over is the return of a long position after funding, as the evaluator charges it, around its mean;
    prices follow from there, since funding itself stays. Open, high and low are mirrored with the close around the same
    point, which keeps them around each other. Each asset is rebuilt from its first valid close; its first bar stays.

    Parameters
    ----------
    panel
        The market, T bars x N assets.
    signs
        1 or -1 for each bar, common to all assets, shape (T,); 1 everywhere gives the same prices up to rounding.
    keep_mean
        Turn over around each asset's mean return, so that a market that rose still rises; else around zero.
    charge_funding
        Whether positions pay the panel's funding: the costs' own `charge_funding`.

    Raises
    ------
    InputError
        Signs of another shape, or anything but 1 and -1.

    Notes
    -----
    A bar's returns against the close before are limited to -50 % and +100 %, which a mirrored crash may exceed.
    Simple returns, not log returns: mirrored log returns would pay every long position half the variance.
    """
    if signs.shape != (panel.n_bars,):
        raise InputError(f"signs have shape {signs.shape}, expected ({panel.n_bars},), one for each bar")
    if not np.isin(signs, (-1, 1)).all():
        raise InputError("a sign is neither 1 nor -1", remedy="use draw_signs")
    prices = {name: getattr(panel, name).copy() for name in ("open", "high", "low", "close")}
    for asset in range(panel.n_assets):
        rows = np.flatnonzero(panel.valid[:, asset])
        if rows.size < 2:
            continue
        own = {name: values[rows, asset] for name, values in prices.items()}
        before = own["close"][:-1]
        returns = BarReturns(**{name: values[1:] / before - 1.0 for name, values in own.items()})
        paid = panel.funding_paid[rows[1:], asset] if charge_funding else np.zeros(rows.size - 1)
        after_funding = (1.0 + returns.close) * (1.0 - paid) - 1.0
        kept = float(after_funding.mean()) if keep_mean else 0.0
        turned = _mirrored(returns, (1.0 + kept) / (1.0 - paid) - 1.0, signs[rows[1:]] < 0)
        # One product after the other, so that rounding keeps a bar's close between its low and its high.
        close = np.cumprod(np.concatenate([own["close"][:1], 1.0 + turned.close]))
        prices["close"][rows, asset] = close
        for name in ("open", "high", "low"):
            prices[name][rows[1:], asset] = close[:-1] * (1.0 + getattr(turned, name))
    return Panel.from_arrays(
        symbols=panel.symbols,
        interval=panel.interval,
        times=panel.times,
        volume=panel.volume,
        funding_rate=panel.funding_rate,
        funding_paid=panel.funding_paid,
        valid=panel.valid,
        fear_greed=panel.fear_greed,
        market=panel.market,
        **prices,
    )


def _mirrored(returns: BarReturns, shift: Floats, down: NDArray[np.bool_]) -> BarReturns:
    """Return `shift - (r - shift)` for the bars that are turned over: the high becomes the low."""

    def turned(straight: Floats, mirrored: Floats) -> Floats:
        chosen = np.where(down, shift - (mirrored - shift), straight)
        return np.clip(chosen, _LOWEST_RETURN, _HIGHEST_RETURN)

    return BarReturns(
        open=turned(returns.open, returns.open),
        high=turned(returns.high, returns.low),
        low=turned(returns.low, returns.high),
        close=turned(returns.close, returns.close),
    )
