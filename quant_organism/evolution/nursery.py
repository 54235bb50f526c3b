"""The nursery: lets into a population only what passes the birth checks, and the families that a panel can raise."""

from __future__ import annotations

import numpy as np

from quant_organism.backtest import signal_bars
from quant_organism.market import Panel
from quant_organism.strategies import (
    SAMPLE_BARS,
    AssetBars,
    Flaw,
    Genome,
    IndicatorStore,
    birth_sample,
    check_birth,
    check_ranked_birth,
    evolving_families,
    get_family,
)

_SAMPLES = 3
_STORE_BYTES = 64 * 2**20


class Nursery:
    """Checks genomes on the bars of the assets with the longest histories, those that rank assets on all of them.

    Parameters
    ----------
    panel
        The in-sample span.
    """

    def __init__(self, panel: Panel) -> None:
        longest = sorted(range(panel.n_assets), key=lambda a: (-int(panel.valid[:, a].sum()), panel.symbols[a]))
        self._samples = [signal_bars(panel, asset, panel.n_bars) for asset in longest[:_SAMPLES]]
        self._latest = panel.window(max(panel.n_bars - SAMPLE_BARS, 0), panel.n_bars)
        self._seen: dict[tuple[str, ...], list[AssetBars]] = {}
        self._store = IndicatorStore(_STORE_BYTES)
        self._verdicts: dict[str, Flaw | None] = {}

    def check(self, genome: Genome) -> Flaw | None:
        """Return what is wrong with a genome, None if it is sound; each is checked once."""
        if genome.hash not in self._verdicts:
            family = get_family(genome.family)
            self._verdicts[genome.hash] = (
                check_ranked_birth(genome, self._latest)
                if family.ranks
                else check_birth(genome, self._readable(family.columns_of(genome.genes)), self._store)
            )
        return self._verdicts[genome.hash]

    def _readable(self, columns: tuple[str, ...]) -> list[AssetBars]:
        if columns not in self._seen:
            self._seen[columns] = [birth_sample(bars, columns) for bars in self._samples]
        return self._seen[columns]


def default_families(panel: Panel) -> list[str]:
    """Return the families that evolve and whose columns the panel has."""
    has_funding = bool(np.isfinite(panel.funding_rate).any())
    return [name for name in evolving_families() if has_funding or "funding_rate" not in get_family(name).columns]
