"""Null panels: a real market whose bars are turned over at random, so that nothing is left to be predicted.

The size of each bar stays, and with it volatility and its clusters; the assets are turned over together, so their
correlation stays; listings, gaps, volume, funding rates, time stamps and the Fear & Greed index stay where they are.
What goes is the link between what was known before a bar and where the bar went. It is exact where the returns of a
bar are symmetric around their mean given their size, and approximate otherwise.

Families that rank assets against each other have a null of their own: there every asset's bar is turned over around its
beta's share of the market's, so that the market's path stays, bar by bar, and what goes is what an asset does beyond
it. A flip around each asset's own mean would leave them every static tilt towards what rose.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.market import Panel
from quant_organism.strategies import get_family

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


class NullCopies(NamedTuple):
    """A market in which nothing is to be found.

    Parameters
    ----------
    panel
        For families that decide asset by asset; for all where there are no others.
    ranked
        For families that rank assets, where the search has both kinds; one sign a bar serves both copies.
    """

    panel: Panel
    ranked: Panel | None


def draw_copies(
    panel: Panel, kind: NullKind, seed: np.random.SeedSequence, families: Sequence[str], *, charge_funding: bool = True
) -> NullCopies:
    """Return the copies on which a search of these families finds nothing, each kind of family on that of its null.

    Parameters
    ----------
    panel, kind, seed, charge_funding
        As in `draw_null`; the kind is that of families that decide asset by asset, and says how long signs last.
    families
        Names of those that are searched.
    """
    ranks = {get_family(name).ranks for name in families}
    if True not in ranks:
        return NullCopies(draw_null(panel, kind, seed, charge_funding=charge_funding), None)
    signs = draw_signs(panel.n_bars, np.random.default_rng(seed), block_bars=_BLOCK_BARS[kind])
    ranked = residual_flipped(panel, signs, charge_funding=charge_funding)
    if False not in ranks:
        return NullCopies(ranked, None)
    return NullCopies(draw_null(panel, kind, seed, charge_funding=charge_funding), ranked)


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
    _check_signs(panel, signs)
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
    return panel.with_prices(prices)


def residual_flipped(panel: Panel, signs: Signs, *, charge_funding: bool = True) -> Panel:
    """Return a panel on which what assets do beyond their beta's share of the market is turned over.

    Every return after funding is mirrored around beta times the market's return of that bar, where the sign is -1. The
    market is the mean of the assets with a bar here and one before; their returns keep it, bar by bar, where the betas'
    mean is 1, and the size and correlation of what they do beyond it. All alpha goes, that of static tilts too. The
    gap of an open is mirrored around 0: orders that fill at the next open would know the bar's market move else. High
    and low are mirrored with the close, and widened over open and close.

    Parameters and errors are those of `sign_flipped`.
    """
    _check_signs(panel, signs)
    prices = {name: getattr(panel, name).copy() for name in ("open", "high", "low", "close")}
    gains = np.full(panel.close.shape, np.nan)
    paid = panel.funding_paid if charge_funding else np.zeros_like(panel.funding_paid)
    own_rows = [np.flatnonzero(panel.valid[:, asset]) for asset in range(panel.n_assets)]
    for asset, rows in enumerate(own_rows):
        grown = panel.close[rows[1:], asset] / panel.close[rows[:-1], asset]
        gains[rows[1:], asset] = grown * (1.0 - paid[rows[1:], asset]) - 1.0
    market = _market_gains(panel, gains)
    for asset, rows in enumerate(own_rows):
        if rows.size < 2:
            continue
        own = {name: values[rows, asset] for name, values in prices.items()}
        before = own["close"][:-1]
        returns = BarReturns(**{name: values[1:] / before - 1.0 for name, values in own.items()})
        common, spent = market[rows[1:]], paid[rows[1:], asset]
        squares = float(common @ common)
        beta = float(gains[rows[1:], asset] @ common) / squares if squares > 0.0 else 0.0
        down = signs[rows[1:]] < 0
        turned = _mirrored(returns, (1.0 + beta * common) / (1.0 - spent) - 1.0, down)
        opened = np.where(down, np.clip(-returns.open, _LOWEST_RETURN, _HIGHEST_RETURN), turned.open)
        turned = BarReturns(
            open=opened,
            high=np.maximum(turned.high, np.maximum(opened, turned.close)),
            low=np.minimum(turned.low, np.minimum(opened, turned.close)),
            close=turned.close,
        )
        close = np.cumprod(np.concatenate([own["close"][:1], 1.0 + turned.close]))
        prices["close"][rows, asset] = close
        for name in ("open", "high", "low"):
            prices[name][rows[1:], asset] = close[:-1] * (1.0 + getattr(turned, name))
    return panel.with_prices(prices)


def _market_gains(panel: Panel, gains: Floats) -> Floats:
    # Mean over the assets with a bar here and at the step before, in the order of their symbols; 0 without any.
    total, listed = np.zeros(panel.n_bars), np.zeros(panel.n_bars)
    both = panel.valid & np.vstack([np.zeros((1, panel.n_assets), dtype=np.bool_), panel.valid[:-1]])
    for asset in sorted(range(panel.n_assets), key=panel.symbols.__getitem__):
        total += np.where(both[:, asset], gains[:, asset], 0.0)
        listed += both[:, asset]
    return np.asarray(total / np.maximum(listed, 1.0))


def _check_signs(panel: Panel, signs: Signs) -> None:
    if signs.shape != (panel.n_bars,):
        raise InputError(f"signs have shape {signs.shape}, expected ({panel.n_bars},), one for each bar")
    if not np.isin(signs, (-1, 1)).all():
        raise InputError("a sign is neither 1 nor -1", remedy="use draw_signs")


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
