"""The quality-diversity archive: for each way to behave, the best genome that was found to behave so.

A grid over four measures of behaviour, each taken from what a trial did in sample; a cell keeps the trial with the
highest Sharpe ratio, if that is positive. Searches end with many copies of one idea; the archive keeps the others.

Source of the method: Mouret, Clune 2015, arXiv:1504.04909 (MAP-Elites), on the grid of pyribs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from quant_organism.evolution.tables import ArchiveTable
from quant_organism.market import MS_PER_DAY, Panel
from quant_organism.strategies import Genome

if TYPE_CHECKING:
    from quant_organism.evolution.trials import Trials

Floats = NDArray[np.float64]

DAYS_PER_MONTH: Final = 30.0

_ROUNDING: Final = 1e-6
"""Added to a value's distance from the lower bound, times the cells, so that rounding moves nothing off an edge."""


@dataclass(frozen=True)
class Axis:
    """One measure of behaviour and how it is cut; what lies beyond its bounds belongs to the outermost cell.

    Parameters
    ----------
    name
        Column of an archive's frame.
    low, high
        Bounds.
    cells
        Number of cells.
    is_log
        Whether the cells are equally wide in the logarithm.
    """

    name: str
    low: float
    high: float
    cells: int
    is_log: bool = False

    @property
    def edges(self) -> Floats:
        """Bounds of its cells, shape (cells + 1,)."""
        space = np.geomspace if self.is_log else np.linspace
        return np.asarray(space(self.low, self.high, self.cells + 1), dtype=np.float64)

    def scaled(self, values: Floats) -> Floats:
        """Return values as the grid sees them, within the bounds."""
        inside = np.clip(values, self.low, self.high)
        return np.log(inside) if self.is_log else inside

    def place(self, values: Floats) -> NDArray[np.int64]:
        """Return the number of each value's cell, from 0; on an edge, but for rounding, it is the cell above."""
        low, high = (float(self.scaled(np.array(bound))) for bound in (self.low, self.high))
        places = (self.cells * (self.scaled(values) - low) + _ROUNDING) / (high - low)
        return np.clip(places.astype(np.int64), 0, self.cells - 1)


AXES: Final = (
    Axis("holding_hours", 1.0, 336.0, 6, is_log=True),
    Axis("trades_a_month", 0.3, 300.0, 6, is_log=True),
    Axis("net_exposure", -1.0, 1.0, 5),
    Axis("volatility_preference", -0.25, 0.75, 4),
)
"""Mean hours that a trade is held; closed trades per asset and 30 days; net over gross exposure; correlation of the
size of a trial's daily returns with the market's volatility of the day: high for those who trade when it is wild."""

CELLS: Final = int(np.prod([axis.cells for axis in AXES]))


@dataclass(frozen=True)
class ArchiveSummary:
    """How much of the grid is filled, and how well.

    Attributes
    ----------
    cells, elites
        Cells of the grid, and how many of them have an elite.
    coverage
        The second over the first.
    qd_score
        Sum of the elites' Sharpe ratios.
    """

    cells: int
    elites: int
    coverage: float
    qd_score: float


def elites(trials: Trials, panel: Panel) -> pl.DataFrame:
    """Return the archive of one search: one row per filled cell, in the order of the cells.

    Parameters
    ----------
    trials
        All trials of the search.
    panel
        What the search saw.

    Returns
    -------
    Frame by `ArchiveTable`; `measured` is the last day that the search saw.
    """
    sharpe = trials.metrics["sharpe"]
    good = np.flatnonzero(trials.feasible & (sharpe > 0.0))
    if not good.size:
        return ArchiveTable.empty()
    # By falling worth, then identity: which of two equals wins does not hang on the order of the trials.
    order = sorted(good, key=lambda trial: (-sharpe[trial], trials.genomes[trial].hash))
    measures = behaviour_measures(trials, panel)[order]
    cells, best = np.unique(_cells(measures), return_index=True)
    last_day = datetime.fromtimestamp(int(trials.days[-1]) / 1_000, UTC).date()
    rows = [
        (
            cell,
            *map(float, measures[place]),
            float(sharpe[trial]),
            trials.genomes[trial].family,
            trials.genomes[trial].hash,
            last_day,
            orjson.dumps(trials.genomes[trial].to_dict(), option=orjson.OPT_SORT_KEYS).decode(),
        )
        for cell, place, trial in zip(cells.tolist(), best, (order[place] for place in best), strict=True)
    ]
    return ArchiveTable.frame(rows)


def behaviour_measures(trials: Trials, panel: Panel) -> Floats:
    """Return the measures of `AXES` of each trial, shape (n, 4); what is not defined, because nothing traded, is 0."""
    metrics = trials.metrics
    months = trials.days.size / DAYS_PER_MONTH
    with np.errstate(divide="ignore", invalid="ignore"):
        leaning = metrics["net_exposure"] / metrics["exposure"]
    sizes, volatility = np.abs(trials.daily_returns), market_volatility(panel)
    columns = (
        metrics["avg_holding_hours"],
        metrics["trades"] / panel.n_assets / months,
        leaning,
        _correlation(sizes, volatility),
    )
    return np.nan_to_num(np.column_stack(columns), nan=0.0)


def market_volatility(panel: Panel) -> Floats:
    """Return the square root of each UTC day's mean squared return of a bar, over all assets, shape (D,); 0 without."""
    close = np.where(panel.valid, panel.close, np.nan)
    squares = np.square(np.diff(np.log(close), axis=0, prepend=np.nan))
    day = panel.times // MS_PER_DAY
    starts = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    known = np.add.reduceat(np.isfinite(squares).sum(axis=1), starts)
    total = np.add.reduceat(np.nansum(squares, axis=1), starts)
    return np.sqrt(np.divide(total, known, out=np.zeros(starts.size), where=known > 0))


def _correlation(rows: Floats, other: Floats) -> Floats:
    centred, against = rows - rows.mean(axis=1, keepdims=True), other - other.mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((centred * against).sum(axis=1) / np.sqrt((centred**2).sum(axis=1) * (against**2).sum()))


def merge(before: pl.DataFrame, now: pl.DataFrame, *, tried: Collection[str]) -> pl.DataFrame:
    """Return the archive after a search: what it found, and in the other cells what was there before.

    Sharpe ratios of two days are of two panels and are not compared: a cell that this search reached is this search's.
    What was measured again by this search stands where it found it now, or nowhere.

    Parameters
    ----------
    before, now
        The archive before it, and the `elites` of this search.
    tried
        Hashes of all genomes that this search measured.
    """
    kept = before.filter(~pl.col("cell").is_in(now["cell"].implode()), ~pl.col("hash").is_in(list(tried)))
    return pl.concat([kept.select(ArchiveTable.schema.names()), now]).sort("cell")


def founders_from(archive: pl.DataFrame, families: Sequence[str]) -> list[Genome]:
    """Return the elites of these families to found a search with, the best first.

    Only genomes are handed on: what they earned on another panel counts for nothing on the next one.

    Raises
    ------
    IntegrityError
        A genome does not have the hash that it is stored under.
    """
    chosen = archive.filter(pl.col("family").is_in(list(families))).sort(["sharpe", "hash"], descending=[True, False])
    return [Genome.from_dict(orjson.loads(text)) for text in chosen["genome"]]


def summarise(archive: pl.DataFrame) -> ArchiveSummary:
    """Return coverage and quality-diversity score of an archive's frame."""
    score = float(archive["sharpe"].to_numpy().sum())
    return ArchiveSummary(CELLS, archive.height, archive.height / CELLS, score)


def archive_hash(archive: pl.DataFrame) -> str:
    """Return the SHA-256 of an archive's content, by which a cycle says what it was founded with."""
    rows = archive.select("cell", "sharpe", "hash").rows()
    return hashlib.sha256(orjson.dumps([list(row) for row in rows])).hexdigest()


def _cells(measures: Floats) -> NDArray[np.int64]:
    places = tuple(axis.place(measures[:, column]) for column, axis in enumerate(AXES))
    return np.ravel_multi_index(places, [axis.cells for axis in AXES])
