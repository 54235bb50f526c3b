"""A lake on which a cycle was begun on some days, and the resources by which assets store their frames there."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

from quant_organism.market.cycles import CycleIndex
from quant_organism.market.schema import Interval
from quant_organism.orchestration.io_manager import lake_io_manager
from quant_organism.orchestration.resources import LakeResource, MarketResource, SearchResource, SignificanceResource

BEGUN: Final = "00000000-seed0"


def begin(folder: Path, day: str, cycle: str, *, seed: int) -> None:
    """Begin a cycle of the default settings and a seed."""
    market, plan = MarketResource(world="null"), SearchResource(seed=seed).plan(SignificanceResource().plan)
    CycleIndex(folder, market.id, Interval.parse("1h")).begin(date.fromisoformat(day), cycle, plan.hash, seed)


def stored_in(folder: Path, days: Sequence[str]) -> dict[str, object]:
    """Begin a cycle on these days and return the resources."""
    for day in days:
        begin(folder, day, BEGUN, seed=0)
    return {
        "io_manager": lake_io_manager,
        "lake": LakeResource(folder=str(folder)),
        "market": MarketResource(world="null"),
        "search": SearchResource(),
        "significance": SignificanceResource(),
    }
