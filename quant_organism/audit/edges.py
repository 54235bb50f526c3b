"""The planted edges of an audit, and what the best rule of the product earns on each: its oracle."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from quant_organism.market import Asset, Plant, PlantFamily
from quant_organism.strategies import Committee, get_family

Strength = Literal["none", "weak", "strong"]
"""How much there is to find: nothing, an oracle Sharpe ratio of about 1.5, or of about 2.7."""

ASSETS: Final = (
    Asset(symbol="SIM-ASH", volatility=1.0),
    Asset(symbol="SIM-ELM", volatility=1.25),
    Asset(symbol="SIM-FIR", volatility=1.6),
    Asset(symbol="SIM-OAK", volatility=1.5),
)
"""The universe of every simulated world of an audit in which assets stand for themselves."""

WIDE: Final = (
    *ASSETS,
    *(
        Asset(symbol=f"SIM-{name}", volatility=volatility)
        for name, volatility in {
            "BAY": 1.2,
            "BOX": 1.4,
            "FIG": 0.9,
            "HAW": 1.7,
            "IVY": 1.1,
            "PEA": 1.35,
            "RYE": 1.05,
            "YEW": 1.3,
        }.items()
    ),
)
"""The universe of the worlds in which assets are told from each other: enough of them to rank."""

_TREND: Final = frozenset({"momentum", "trend_following", "breakout"})
_FITTING: Final[dict[PlantFamily, frozenset[str]]] = {
    "momentum": _TREND,
    "breakout": _TREND,
    "reversion": frozenset({"mean_reversion"}),
    "carry": frozenset({"carry"}),
    "relative_momentum": frozenset({"momentum"}),
    "relative_carry": frozenset({"carry"}),
}
"""Seed types of the families that fit each edge; of the relative ones, those alone that rank assets."""

_BY_NAME: Final[dict[PlantFamily, frozenset[str]]] = {
    "momentum": frozenset({"atr_stop_loss", "volatility_scaling"}),
    "breakout": frozenset({"atr_stop_loss"}),
    "reversion": frozenset({"bollinger_bands"}),
}
"""Families that fit though their seed type names something else of them: the stop, the size. On a strong edge they earn
at least half of the oracle's Sharpe ratio, on years that they were not chosen on (`make bench NAME=fitting`)."""


class Edge(BaseModel):
    """A planted edge, the same on all assets, with its oracle.

    Parameters
    ----------
    family
        What moves the mean.
    strength
        `weak` or `strong`.
    k
        Strength of the plant.
    oracle_sharpe
        Annual net Sharpe ratio of the best rule of the fitting families, on a market that it was not chosen on.
    chosen_at
        The same on the market that it was chosen on, which flatters it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: PlantFamily
    strength: Literal["weak", "strong"]
    k: float = Field(gt=0, lt=1)
    oracle_sharpe: float
    chosen_at: float

    @property
    def plant(self) -> Plant:
        """The edge as a world spec has it."""
        return Plant(family=self.family, strength=self.k)

    def fits(self, family: str) -> bool:
        """Tell whether a family of strategies is made for such an edge."""
        known = get_family(family)
        by_type = known.seed_type in _FITTING[self.family] and (known.ranks or not self.is_relative)
        return by_type or family in _BY_NAME.get(self.family, frozenset())

    @property
    def is_relative(self) -> bool:
        """Whether it is between assets: one earns what another loses."""
        return self.family.startswith("relative_")

    @property
    def assets(self) -> tuple[Asset, ...]:
        """The universe that it is planted in."""
        return WIDE if self.is_relative else ASSETS

    def right_share(self, committee: Committee) -> float:
        """Return the share of a committee's weight on families that are made for such an edge."""
        fitting = sum(member.weight for member in committee.members if self.fits(member.genome.family))
        return float(fitting / sum(member.weight for member in committee.members))


@cache
def edges() -> tuple[Edge, ...]:
    """Return the planted edges of single assets, strong ones first."""
    return _listed("edges")


@cache
def relative_edges() -> tuple[Edge, ...]:
    """Return the planted edges between assets, strong ones first."""
    return _listed("relative_edges")


def strong_first(found: Iterable[Edge]) -> tuple[Edge, ...]:
    """Return edges in the order in which audits plant them."""
    return tuple(sorted(found, key=lambda edge: (edge.strength != "strong", edge.family)))


def _listed(key: str) -> tuple[Edge, ...]:
    listed = yaml.safe_load((Path(__file__).parent / "edges.yaml").read_bytes())[key]
    return strong_first(Edge.model_validate(entry) for entry in listed)
