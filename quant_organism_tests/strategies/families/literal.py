"""The words of the specification taken literally, bar by bar: what families are compared with."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies import Genome, default_genome, random_genome
from quant_organism_tests.strategies.scenarios import Columns, noisy

Floats = NDArray[np.float64]

Conditions = Callable[[int], tuple[bool, bool, bool, bool]]
"""Whether a long and a short are entered, and whether a long and a short are left, at a bar."""


def window(x: Floats, t: int, period: int) -> Floats:
    """Return the last `period` values at bar t."""
    return x[t - period + 1 : t + 1]


def efficiency_ratio(close: Floats, t: int, period: int) -> float:
    """Return the move over `period` bars as a share of the way that was walked."""
    way = np.abs(np.diff(window(close, t, period + 1))).sum()
    return float(min(abs(close[t] - close[t - period]) / way, 1.0)) if way else 0.0


def step(bars: Iterable[int], n: int, conditions: Conditions) -> Floats:
    """Move a position once per bar: exits, then entries that their own exit does not forbid."""
    y, state = np.zeros(n), 0
    for t in bars:
        long, short, leave_long, leave_short = conditions(t)
        if (state == 1 and leave_long) or (state == -1 and leave_short):
            state = 0
        long, short = long and not leave_long, short and not leave_short
        if long != short:
            state = 1 if long else -1
        y[t] = state
    return y


def with_genes(family: str, genes: dict[str, object]) -> Genome:
    """Return the reference genome of a family with some other genes."""
    return Genome(family, dict(default_genome(family).genes) | genes)


def drawn(family: str, seed: int, **genes: object) -> Genome:
    """Draw a genome of a family, some of its genes given."""
    return Genome(family, dict(random_genome(np.random.default_rng(seed), family).genes) | genes)


def on_grid(seed: int) -> Columns:
    """Return wild bars whose prices are multiples of 2**-10, so that their differences are exact."""
    columns = noisy(seed)
    prices = {name: np.round(columns[name] * 1024) / 1024 for name in ("open", "high", "low", "close")}
    return columns | prices


def reflected(columns: Columns, around: float = 1024.0) -> Columns:
    """Return the bars of prices p at `around` - p."""
    mirrored = {"open": "open", "high": "low", "low": "high", "close": "close"}
    return columns | {name: around - columns[source] for name, source in mirrored.items()}
