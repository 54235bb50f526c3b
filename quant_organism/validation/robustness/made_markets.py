"""Made markets: another history of the same kind, by noise on the closes or by blocks of bars, decided on anew."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.market import Panel
from quant_organism.validation.robustness.subject import (
    REEVALUATIONS,
    Shake,
    Subject,
    once,
    seen_by_draws,
    stream_of,
    without_models,
)
from quant_organism.validation.statistics.evidence import NotRun, require
from quant_organism.validation.statistics.resampling import politis_white_length, stationary_rows

NOISE: Final = 0.1
"""Standard deviation of the noise, in those of an asset's log returns per bar."""


@once
def resampled_bars(
    subject: Subject, *, average_holding_bars: float, seed: int, draws: int = REEVALUATIONS
) -> Shake | NotRun:
    """Measure a strategy again on markets made of blocks of this one's bars.

    Whatever reaches further back than a block is cut through, so a slow edge fades here: evidence, no veto.

    Parameters
    ----------
    subject
        What is shaken; members that fit models are left out.
    average_holding_bars
        Bars that a position lasts: blocks are at least as long in the mean, and at least what Politis and White advise
        for its returns.
    seed, draws
        Of the resampling.

    Raises
    ------
    InputError
        No draw.
    """
    require(draws >= 1, f"{draws} draws are none", f"{REEVALUATIONS} is usual")
    if (idle := subject.idle) is not None:
        return idle
    found = without_models(subject)
    if isinstance(found, NotRun):
        return found
    rules, fitted = found
    panel, start = rules.panel, rules.start
    block = max(politis_white_length(subject.measured.bar_returns[0]), average_holding_bars, 1.0)

    def make(draw: int) -> Panel:
        chosen, _ = stationary_rows(stream_of(seed, draw), panel.n_bars - start, block, 1)
        return rebuilt(panel, np.concatenate([np.arange(start), start + chosen[0]]))

    return seen_by_draws(rules, draws, make, seed=seed, left_out=fitted)


def rebuilt(panel: Panel, rows: NDArray[np.int64]) -> Panel:
    """Return a panel of the same times whose bar t has the moves of bar `rows[t]`.

    Parameters
    ----------
    panel
        The market, T bars x N assets.
    rows
        Rows of it, the same for all assets, shape (T,).

    Notes
    -----
    Moves are the ratios of open, high, low and close to the asset's close before; of its first bar, to its own open.
    Each asset starts at its first price. Traded value, funding and the Fear & Greed index come with the bar; where the
    asset had no bar, it has none here.
    """
    valid = panel.valid[rows]
    prices = {name: np.full(valid.shape, np.nan) for name in ("open", "high", "low", "close")}
    volume = np.full(valid.shape, np.nan)
    for asset in range(panel.n_assets):
        own = np.flatnonzero(panel.valid[:, asset])
        kept = np.flatnonzero(valid[:, asset])
        if kept.size == 0:
            continue
        first = panel.open[own[0], asset]
        before = np.full(panel.n_bars, np.nan)
        before[own] = np.concatenate([[first], panel.close[own[:-1], asset]])
        source = rows[kept]
        moves = {name: getattr(panel, name)[source, asset] / before[source] for name in prices}
        # One product after the other, so that rounding keeps a bar's close between its low and its high.
        close = np.cumprod(np.concatenate([[first], moves["close"]]))
        for name, values in prices.items():
            values[kept, asset] = close[1:] if name == "close" else close[:-1] * moves[name]
        traded_value = panel.volume[source, asset] * panel.close[source, asset]
        volume[kept, asset] = traded_value / close[1:]
    return Panel.from_arrays(
        symbols=panel.symbols,
        interval=panel.interval,
        times=panel.times,
        volume=volume,
        funding_rate=panel.funding_rate[rows],
        funding_paid=panel.funding_paid[rows],
        valid=valid,
        fear_greed=panel.fear_greed[rows],
        market=panel.market,
        **prices,
    )


@once
def price_noise(subject: Subject, *, seed: int, draws: int = REEVALUATIONS, noise: float = NOISE) -> Shake | NotRun:
    """Measure a strategy again on markets whose closes are disturbed.

    Parameters
    ----------
    subject
        What is shaken; members that fit models are left out.
    seed, draws
        Of the noise.
    noise
        As in `noisy`.

    Raises
    ------
    InputError
        No draw, or a negative noise.
    """
    require(draws >= 1, f"{draws} draws are none", f"{REEVALUATIONS} is usual")
    require(noise >= 0, f"a noise of {noise} is negative", f"{NOISE} is usual")
    if (idle := subject.idle) is not None:
        return idle
    found = without_models(subject)
    if isinstance(found, NotRun):
        return found
    rules, fitted = found

    def make(draw: int) -> Panel:
        return noisy(rules.panel, stream_of(seed, draw), noise)

    return seen_by_draws(rules, draws, make, seed=seed, left_out=fitted)


def noisy(panel: Panel, rng: np.random.Generator, noise: float = NOISE) -> Panel:
    """Multiply each close by exp(N(0, noise x sigma)), sigma the asset's own per bar, and let high and low enclose it.

    The numbers are dealt out in the order of the symbols, so that a permuted panel gets the same ones.
    """
    close = panel.close.copy()
    for asset in sorted(range(panel.n_assets), key=panel.symbols.__getitem__):
        rows = np.flatnonzero(panel.valid[:, asset])
        shocks = rng.standard_normal(panel.n_bars)[rows]
        if rows.size > 1:
            sigma = float(np.std(np.diff(np.log(close[rows, asset]))))
            close[rows, asset] *= np.exp(noise * sigma * shocks)
    return Panel.from_arrays(
        symbols=panel.symbols,
        interval=panel.interval,
        times=panel.times,
        open=panel.open,
        high=np.fmax(panel.high, close),
        low=np.fmin(panel.low, close),
        close=close,
        volume=panel.volume,
        funding_rate=panel.funding_rate,
        funding_paid=panel.funding_paid,
        valid=panel.valid,
        fear_greed=panel.fear_greed,
        market=panel.market,
    )
