"""Founders of a search that lie in confirmed regions: what past runs taught, for the next one to begin with.

Only regions that were confirmed on days before those that the search looks at are asked: a region of the same days
would put what these days are known to like among genomes that tests of luck take to be drawn at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

import numpy as np

from quant_organism.backtest import Costs, Evaluator
from quant_organism.evolution.source import GenomeSource
from quant_organism.market import Lake, Panel
from quant_organism.strategies import Genome
from quant_organism.workflows.mining.patterns import stored_patterns
from quant_organism.workflows.mining.regions import Region

MOST_FOUNDED: Final = 0.2
"""Share of a search's founders that may be drawn in regions, at most."""

MOST_DRAWS: Final = 60
_DRAWN_AT_ONCE: Final = 4


def confirmed_regions(lake: Lake, interval: str, before: date, families: Sequence[str]) -> tuple[Region, ...]:
    """Return regions of genes that were confirmed on earlier days alone, the smallest q first.

    Parameters
    ----------
    lake, interval
        Whose latest mining, on bars of which length.
    before
        First day that the search looks at.
    families
        Those that take part in it.

    Raises
    ------
    IntegrityError
        A file is damaged; it is named.
    """
    return tuple(
        Region.read(row)
        for row in stored_patterns(lake).iter_rows(named=True)
        if (row["interval"], row["kind"], row["status"]) == (interval, "genes", "confirmed")
        and row["family"] in families
        and max(row["found_last_day"], row["again_last_day"]) < before
    )


def drawn_in(regions: Sequence[Region], panel: Panel, costs: Costs, count: int, seed: int) -> list[Genome]:
    """Draw genomes as founders are drawn, and keep those that lie in regions, in turn one of each; at most `count`."""
    source, rng = GenomeSource(panel, costs, Evaluator(threads=1)), np.random.default_rng(seed)
    kept: dict[Region, list[Genome]] = {region: [] for region in regions}
    families = _DRAWN_AT_ONCE * sorted({region.family for region in regions})
    for _ in range(MOST_DRAWS):
        for genome in source.draw(families, rng)[0]:
            for region in regions:
                if region.holds(genome.family, genome.genes):
                    kept[region].append(genome)
        if all(len(own) >= count for own in kept.values()):
            break
    chosen = [own[place] for place in range(count) for own in kept.values() if place < len(own)]
    return list({genome.hash: genome for genome in chosen}.values())[:count]
