"""Price noise: closes that were a little off, as another venue or another second would have shown them."""

from __future__ import annotations

from typing import Final

import numpy as np

from quant_organism.market.panel import Panel
from quant_organism.validation.robustness.subject import (
    REEVALUATIONS,
    Shake,
    Subject,
    seen_by_draws,
    stream_of,
    without_models,
)
from quant_organism.validation.statistics.evidence import NotRun, require

NOISE: Final = 0.1
"""Standard deviation of the noise, in those of an asset's log returns per bar."""


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
