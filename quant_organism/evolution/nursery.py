"""The nursery: lets into a population only what passes the birth checks, and remembers what it turned away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quant_organism.backtest.sleeves import signal_bars
from quant_organism.market.panel import Panel
from quant_organism.strategies import Genome, get_family
from quant_organism.strategies.birth import Flaw, check_birth
from quant_organism.strategies.store import IndicatorStore

_SAMPLES = 3
_STORE_BYTES = 64 * 2**20


class Nursery:
    """Checks genomes on the bars of the assets with the longest histories.

    Parameters
    ----------
    panel
        The in-sample span.
    """

    def __init__(self, panel: Panel) -> None:
        longest = sorted(range(panel.n_assets), key=lambda a: (-int(panel.valid[:, a].sum()), panel.symbols[a]))
        self._samples = [signal_bars(panel, asset, panel.n_bars) for asset in longest[:_SAMPLES]]
        self._store = IndicatorStore(_STORE_BYTES)
        self._verdicts: dict[str, Flaw | None] = {}

    def admits(self, genome: Genome) -> bool:
        """Say whether a genome is sound; each is checked once."""
        if genome.hash not in self._verdicts:
            self._verdicts[genome.hash] = check_birth(genome, self._samples, self._store)
        return self._verdicts[genome.hash] is None

    @property
    def turned_away(self) -> list[Flaw]:
        """The genomes that were not let in, in the order in which they came."""
        return [flaw for flaw in self._verdicts.values() if flaw is not None]


def fed_families(names: Sequence[str], panel: Panel) -> list[str]:
    """Return the families whose columns the panel has."""
    has_funding = bool(np.isfinite(panel.funding_rate).any())
    return [name for name in names if has_funding or "funding_rate" not in get_family(name).columns]
