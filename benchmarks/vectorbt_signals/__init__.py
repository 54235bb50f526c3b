"""The rule-based families as a user of vectorbt writes them: with its functions, NumPy, SciPy and plain Numba loops.

`directions` makes the side that each of many genomes of one family takes on each bar of one asset. Each indicator is
made once per call for each distinct parameter, with what is quickest: vectorbt's compiled functions on one row for
means, deviations and exponential averages, SciPy's filters for highest and lowest values, where vectorbt walks through
every window. The conditions are NumPy's, one column at a time: such arrays stay in the processor's cache, so that this
is several times quicker than the same expressions over all columns at once. A state from bar to bar is one compiled
loop over finished conditions. Nothing of the evaluator's bank or kernels is used; only the first bar that a family
decides is asked of it.

`from_signals` trades sides of one size. How much of it a family's conviction holds is therefore not computed here,
which leaves of volatility_scaling hardly more than the two signs that it weighs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.vectorbt_signals.families import FAMILIES
from benchmarks.vectorbt_signals.indicators import Indicators
from quant_organism.strategies import Genome, get_family


def directions(genomes: Sequence[Genome], columns: Mapping[str, NDArray[np.float64]]) -> NDArray[np.int8]:
    """Return the sides that genomes of one rule-based family decide on at each close.

    Parameters
    ----------
    genomes
        Genomes of one family.
    columns
        Open, high, low, close, volume and funding rate of one asset on hourly bars, each of shape (bars,).

    Returns
    -------
    -1, 0 or 1, shape (bars, genomes), the bars of each genome side by side in memory; 0 during warm-up.
    """
    family, indicators = get_family(genomes[0].family), Indicators(columns)
    decide = FAMILIES[family.name]
    rows = [decide(genome.genes, indicators, family.warmup(genome.genes)) for genome in genomes]
    return np.array(rows, dtype=np.int8).T
