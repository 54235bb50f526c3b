"""What strategies of a region earned after their birth: days that neither a search nor a gate had seen."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import orjson
import polars as pl

from quant_organism.deployment.tables import BirthTable, EvidenceDayTable
from quant_organism.evolution.tables import CandidateTable
from quant_organism.market import Lake
from quant_organism.market.stored import read_parts
from quant_organism.workflows.mining.regions import Region
from quant_organism.workflows.mining.sleeves import RegimeDays, read_regimes

MOSTLY: Final = 0.5
"""Share of a strategy's weight inside a region from which on it belongs to it."""


@dataclass(frozen=True, eq=False)
class WatchedReturns:
    """One strategy that was born.

    Parameters
    ----------
    id
        Its identity.
    members
        Weight, family, genes, and the assets of each genome, none where it trades all.
    days
        Standardised return of each day since, of mean 0 and deviation 1 without an edge.
    regimes
        Of its market.
    """

    id: str
    members: Sequence[tuple[float, str, Mapping[str, Any], Sequence[str]]]
    days: Mapping[date, float]
    regimes: RegimeDays = field(default_factory=dict)

    def inside(self, region: Region) -> Mapping[date, float]:
        """Return its days inside a region; none where most of it is something else."""
        own = [
            weight
            for weight, family, genes, assets in self.members
            if region.holds(family, genes) and (not region.asset or list(assets) == [region.asset])
        ]
        if sum(own) < MOSTLY:
            return {}
        if not region.regime:
            return self.days
        factor, _, label = region.regime.partition(": ")
        began = self.regimes.get(factor, {}).get(label, frozenset())
        return {day: value for day, value in self.days.items() if day in began}


@dataclass(frozen=True)
class LiveFigures:
    """What strategies of a region earned.

    Attributes
    ----------
    strategies, days
        How many, and on how many days together.
    sharpe
        Annual Sharpe ratio of the mean of their standardised returns, if they were one another's copies; nan without.
    z
        Standard errors above 0, which is cautious where they differ; nan without.
    """

    strategies: int
    days: int
    sharpe: float
    z: float


def read_watched(lake: Lake, interval: str) -> list[WatchedReturns]:
    """Return all strategies of a lake that were born on bars of one length.

    Raises
    ------
    IntegrityError
        A file is damaged; it is named.
    """
    result = []
    for folder in sorted(lake.root.glob(f"{BirthTable.dataset}/market=*/interval={interval}")):
        market = folder.parent.name.removeprefix("market=")
        births = read_parts(BirthTable, sorted(folder.glob("date=*/*.parquet")))
        lived = lake.root / EvidenceDayTable.dataset / f"market={market}" / f"interval={interval}"
        days: dict[str, dict[date, float]] = defaultdict(dict)
        regimes = read_regimes(lake, market, interval) if births.height else {}
        for part in sorted(lived.glob("date=*/*.parquet")):
            day = date.fromisoformat(part.parent.name.removeprefix("date="))
            rows = read_parts(EvidenceDayTable, [part]).filter(EvidenceDayTable.recorded)
            for id, value in rows.select(EvidenceDayTable.id, EvidenceDayTable.standardised).iter_rows():
                days[id][day] = value
        for id, cycle in births.select(BirthTable.id, BirthTable.cycle).iter_rows():
            of_cycle = lake.root / CandidateTable.dataset / f"market={market}" / f"interval={interval}"
            parts = sorted(of_cycle.glob(f"date=*/cycle={cycle}/*.parquet"))
            own = read_parts(CandidateTable, parts).filter(pl.col(CandidateTable.candidate) == id)
            members = [
                (weight, family, orjson.loads(genome)["genes"], assets)
                for weight, family, genome, assets in own.select(
                    CandidateTable.weight, CandidateTable.family, CandidateTable.genome, CandidateTable.assets
                ).iter_rows()
            ]
            result.append(WatchedReturns(id, members, days[id], regimes))
    return result


def live_figures(watched: Sequence[WatchedReturns], region: Region, after: date) -> LiveFigures:
    """Return what the strategies of a region earned after a day, their mean on each day."""
    inside = [days for one in watched if (days := one.inside(region))]
    by_day: dict[date, list[float]] = defaultdict(list)
    for days in inside:
        for day, value in days.items():
            if day > after:
                by_day[day].append(value)
    if not by_day:
        return LiveFigures(len(inside), 0, math.nan, math.nan)
    mean = math.fsum(math.fsum(values) / len(values) for values in by_day.values()) / len(by_day)
    return LiveFigures(len(inside), len(by_day), mean * math.sqrt(365.0), mean * math.sqrt(len(by_day)))
