"""A strategy to show the trader with: it trades often and proves nothing.

It has no evidence, stands in no repository and so can never be promoted; `quant-organism trade --demo` trades it on a
simulated market, in a data folder of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from quant_organism import __version__
from quant_organism.deployment import Provenance, StrategyConfig
from quant_organism.strategies import Committee, Genome, default_genome

DEMONSTRATION: Final = "demonstration"
"""Marks what shows and proves nothing: the market that the document names, and the folder that it trades in."""

SPEED: Final = 3_600.0
"""Seconds of the demonstration's venue for each real one: an hourly bar a second."""

SYMBOLS: Final = 4
"""Coins that are traded."""

TICKS_PER_BAR: Final = 20
FUTURE_DAYS: Final = 180
"""Prices in a bar, and days of the simulated market that are still to come."""

_MEMBERS: Final[dict[str, dict[str, float]]] = {
    "ema_crossover": {"momentum_threshold": 0.001, "trend_filter": 0.0},
    "donchian_breakout": {},
    "rsi_filter": {},
}
_COMMON: Final = {"position_size": 0.15, "stop_loss": 0.02, "take_profit": 0.03, "max_holding_hours": 12}


def demonstration_document(symbols: Sequence[str], interval: str) -> StrategyConfig:
    """Return the document of the demonstration, on some symbols."""
    genomes = [
        Genome(family, {**default_genome(family).genes, **_COMMON, **genes}) for family, genes in _MEMBERS.items()
    ]
    return StrategyConfig.born(
        Committee.of(genomes),
        universe=tuple(symbols),
        interval=interval,
        fitness=0.0,
        provenance=Provenance(
            market=DEMONSTRATION,
            date="1970-01-01",
            panel_hash=DEMONSTRATION,
            spec_hash=DEMONSTRATION,
            code_version=__version__,
            seed=0,
        ),
        evidence={},
        at="1970-01-01",
        reason="a demonstration: it was never searched for or judged, and is not to be promoted",
    )
