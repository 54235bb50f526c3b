"""Patterns: regions that stand out on one part of the runs, and what other days say about them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from quant_organism.market import Lake
from quant_organism.market.stored import encode, read_parts
from quant_organism.resilience import StoragePath, write_file
from quant_organism.validation.statistics.p_values import benjamini_yekutieli, holm
from quant_organism.workflows.mining.drawn import DrawnTrials
from quant_organism.workflows.mining.live import LiveFigures, WatchedReturns, live_figures
from quant_organism.workflows.mining.regions import (
    LookedAt,
    PanelSlice,
    Region,
    RegionFigures,
    TrialSpace,
    candidate_regions,
    candidate_slices,
)
from quant_organism.workflows.tables import MinedPatternTable

FOUND_AT: Final = 0.2
"""Largest q-value at which a region is a pattern at all: this share of them may be luck, before they are confirmed."""

CONFIRMED_AT: Final = 0.05
"""Chance that any pattern of a mining is confirmed by luck, at most."""

MOST_PATTERNS: Final = 8
"""Patterns that a mining puts forward at most: each further one makes all harder to confirm."""

MOST_SHARED: Final = 0.5
"""Share of trials, of those in either, that two patterns may have in common; else the weaker one is left out."""

STALE_AFTER: Final = timedelta(days=365)
"""How far the newest days of the runs may lie behind those that confirmed a pattern."""

LOST_SINCE: Final = -1.6448536269514722
"""Standard errors below 0 from which on the days since are a loss beyond luck: one-sided, 5 %."""

Status = Literal["found", "confirmed", "refuted", "stale"]


@dataclass(frozen=True, eq=False)
class Pattern:
    """A region that stood out.

    Attributes
    ----------
    region
        Which.
    found
        What its trials did on the days on which it was found.
    q_value
        Of that, after Benjamini and Yekutieli over all regions that were looked at.
    again
        What its trials did on other days; None where there are too few there.
    again_p
        Chance that luck alone shows that, after Holm over all patterns of the mining; None without.
    newest
        Last day of any run that was mined.
    live
        What watched strategies inside earned since.
    """

    region: Region
    found: RegionFigures
    q_value: float
    again: RegionFigures | None
    again_p: float | None
    newest: date
    live: LiveFigures

    @property
    def id(self) -> str:
        """Eight digits of the SHA-256 of family, ranges, asset and regime."""
        more = [text for text in (self.region.asset, self.region.regime) if text]
        content = orjson.dumps([self.region.family, self.region.document, *more], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(content).hexdigest()[:8]

    @property
    def status(self) -> Status:
        """What other days say.

        `confirmed`: beyond luck, `stale` where these days are long ago or strategies that were watched since have lost
        beyond luck; `refuted`: no better than others, or a loss; `found`: nothing yet, or not enough to say.
        """
        if self.again is None or self.again_p is None:
            return "found"
        if self.again_p <= CONFIRMED_AT:
            old = self.newest - self.again.last_day > STALE_AFTER
            return "stale" if old or self.live.z < LOST_SINCE else "confirmed"
        return "refuted" if min(self.again.sharpe, self.again.effect) <= 0.0 else "found"


@dataclass(frozen=True, eq=False)
class Mining:
    """What a mining looked at, and what stood out.

    Attributes
    ----------
    patterns
        Smallest q-value first.
    looked_at
        Regions that were tested.
    trials, again
        How many trials they were found on, and how many on other days could confirm them.
    panels, measured
        How many panels these are of, and how many of them were measured again by asset and regime.
    """

    patterns: tuple[Pattern, ...]
    looked_at: int
    trials: int
    again: int
    panels: int
    measured: int


def mine(
    trials: DrawnTrials,
    watched: Sequence[WatchedReturns] = (),
    slices: Mapping[str, Sequence[PanelSlice]] = MappingProxyType({}),
) -> Mining:
    """Look for regions that earned beyond luck on earlier days, and ask later ones about them.

    Parameters
    ----------
    trials
        Of bars of one length.
    watched
        What strategies earned that lived on bars of this length.
    slices
        By panel what families did on one asset or in one regime.

    Notes
    -----
    Benjamini and Yekutieli 2001 (Annals of Statistics 29) hold under any dependence, and regions overlap. Whatever was
    found, Holm's procedure keeps the chance that any of it is confirmed by luck below `CONFIRMED_AT`.
    """
    early, late = parts_of(trials)
    first, second = trials.of(early), trials.of(late)
    slices_of = [[slices[panel] for panel in part.panels if panel in slices] for part in (first, second)]
    looked_at = [*candidate_regions(TrialSpace(first)), *candidate_slices(slices_of[0])]
    sizes = len(looked_at), len(first), len(second), len(trials.panels), len(slices)
    if not looked_at:
        return Mining((), *sizes)
    q_values = benjamini_yekutieli(np.array([one.figures.p_value for one in looked_at]))
    chosen = _apart(looked_at, q_values)
    space, others = TrialSpace(second), {one.region: one.figures for one in candidate_slices(slices_of[1])}
    again = [
        space.figures(one.region.inside(second), one.region.beside(second))
        if one.region.kind == "genes"
        else others.get(one.region)
        for one, _ in chosen
    ]
    tested = {place: figures.p_value for place, figures in enumerate(again) if figures is not None}
    adjusted = holm(np.array(list(tested.values()))).tolist() if tested else []
    p_values = dict(zip(tested, adjusted, strict=True))
    patterns = tuple(
        Pattern(
            one.region,
            one.figures,
            q_value,
            again[place],
            p_values.get(place),
            trials.newest,
            live_figures(watched, one.region, one.figures.last_day),
        )
        for place, (one, q_value) in enumerate(chosen)
    )
    return Mining(patterns, *sizes)


def parts_of(trials: DrawnTrials) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return on which trials patterns are found, and which may confirm them, bool (n,) each; no day is in both.

    Runs of one timeline are divided at the day that leaves most days on the poorer side; those that look at days on
    both sides of it are in neither. Timelines that cannot be divided take turns, by their first day.
    """
    rows = trials.rows
    found, again = np.zeros((2, rows.height), dtype=np.bool_)
    whole = rows.group_by("timeline").agg(pl.col("first_day").min()).sort("first_day", "timeline")
    undivided = 0
    for timeline in whole["timeline"]:
        own = (rows["timeline"] == timeline).to_numpy()
        spans = rows.filter(pl.col("timeline") == timeline).select("first_day", "last_day").unique().sort("last_day")
        divided = _best_division(list(spans.iter_rows()))
        if divided is not None:
            found |= own & (rows["last_day"] <= divided).to_numpy()
            again |= own & (rows["first_day"] > divided).to_numpy()
        else:
            (again if undivided % 2 else found)[own] = True
            undivided += 1
    return found, again


def _best_division(spans: Sequence[tuple[date, date]]) -> date | None:
    sides = [
        (
            min(
                _days([span for span in spans if span[1] <= end]),
                _days([span for span in spans if span[0] > end]),
            ),
            end,
        )
        for end in sorted({span[1] for span in spans})
    ]
    most = max(days for days, _ in sides)
    return next(end for days, end in sides if days == most) if most else None


def _days(spans: Sequence[tuple[date, date]]) -> int:
    """Return how many days lie in any of the spans."""
    total, through = 0, date.min
    for first, last in sorted(spans):
        begin = max(first, through + timedelta(days=1)) if through != date.min else first
        total += max(0, (last - begin).days + 1)
        through = max(through, last)
    return total


def _apart(looked_at: Sequence[LookedAt], q_values: NDArray[np.float64]) -> list[tuple[LookedAt, float]]:
    """Return the best regions that are found and do not hold the same trials, with their q-values."""
    chosen: list[tuple[LookedAt, float]] = []
    for place in np.argsort(np.array([one.figures.p_value for one in looked_at]), kind="stable"):
        one = looked_at[place]
        if q_values[place] > FOUND_AT or len(chosen) == MOST_PATTERNS:
            break
        if all(_shared(one, other) <= MOST_SHARED for other, _ in chosen):
            chosen.append((one, float(q_values[place])))
    return chosen


def _shared(one: LookedAt, other: LookedAt) -> float:
    """Return which share of what either is of both are: of trials, or of a family's days; 0 of unlike kinds."""
    if one.region.kind != other.region.kind or (
        one.region.kind != "genes" and one.region.family != other.region.family
    ):
        return 0.0
    if one.inside.size != other.inside.size:  # factors that not all panels know
        return 0.0
    return float((one.inside & other.inside).sum() / (one.inside | other.inside).sum())


def patterns_frame(mining: Mining) -> pl.DataFrame:
    """Return the patterns by `MinedPatternTable`."""
    return MinedPatternTable.frame(_row(mining, pattern) for pattern in mining.patterns)


def _row(mining: Mining, pattern: Pattern) -> dict[str, Any]:
    found, again, live = pattern.found, pattern.again, pattern.live
    return {
        "id": pattern.id,
        "family": pattern.region.family,
        "kind": pattern.region.kind,
        "ranges": orjson.dumps(pattern.region.document, option=orjson.OPT_SORT_KEYS).decode(),
        "asset": pattern.region.asset,
        "regime": pattern.region.regime,
        "status": pattern.status,
        "looked_at": mining.looked_at,
        **{name: getattr(found, name.removeprefix("found_")) for name in MinedPatternTable.found},
        "found_p": found.p_value,
        "found_q": pattern.q_value,
        **({} if again is None else {n: getattr(again, n.removeprefix("again_")) for n in MinedPatternTable.again}),
        "again_p": pattern.again_p,
        "live_strategies": live.strategies,
        "live_days": live.days,
        "live_sharpe": live.sharpe if live.days else None,
    }


def write_patterns(lake: Lake, interval: str, mining: Mining, day: date) -> StoragePath:
    """Store the patterns of a mining under the newest day of its runs, in place of an earlier one; return the file."""
    path = lake.root / MinedPatternTable.dataset / f"interval={interval}" / f"date={day.isoformat()}" / "part.parquet"
    write_file(path, encode(MinedPatternTable, patterns_frame(mining)))
    return path


def stored_patterns(lake: Lake) -> pl.DataFrame:
    """Return the patterns of the latest mining of each length of bars, by `MinedPatternTable`, `interval` and `date`.

    Raises
    ------
    IntegrityError
        A file is damaged; it is named.
    """
    frames = [MinedPatternTable.empty().with_columns(interval=pl.lit("", pl.String), date=pl.lit(None, pl.Date))[:0]]
    parts = sorted((lake.root / MinedPatternTable.dataset).glob("interval=*/date=*/part.parquet"))
    latest = {part.parts[-3].partition("=")[2]: part for part in parts}  # of each interval the last one
    for interval, part in latest.items():
        day = date.fromisoformat(part.parts[-2].partition("=")[2])
        frames.append(read_parts(MinedPatternTable, [part]).with_columns(interval=pl.lit(interval), date=pl.lit(day)))
    return pl.concat(frames)
