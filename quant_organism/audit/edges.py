"""The planted edges of an audit, and what the best rule of the product earns on each: its oracle."""

from __future__ import annotations

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
"""The universe of every simulated world of an audit."""

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
        relative = self.family.startswith("relative_")
        return known.seed_type in _FITTING[self.family] and (known.ranks or not relative)

    def right_share(self, committee: Committee) -> float:
        """Return the share of a committee's weight on families that are made for such an edge."""
        fitting = sum(member.weight for member in committee.members if self.fits(member.genome.family))
        return float(fitting / sum(member.weight for member in committee.members))


@cache
def edges() -> tuple[Edge, ...]:
    """Return the edges that audits plant, strong ones first."""
    listed = yaml.safe_load((Path(__file__).parent / "edges.yaml").read_bytes())["edges"]
    found = [Edge.model_validate(entry) for entry in listed]
    return tuple(sorted(found, key=lambda edge: (edge.strength != "strong", edge.family)))
