"""Trials that nobody had chosen by their results, with the days that they were measured on and what they resemble.

A search clones what did well, so most of its trials look good in hindsight on the very days that chose them. What it
drew at random before it knew anything has no such flattery: founders and immigrants of searches, points of grids and
random points of workflows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from quant_organism.evolution.ledger import TrialLedger
from quant_organism.evolution.sketch import SKETCH_BYTES
from quant_organism.evolution.tables import CycleTable, PopulationTable
from quant_organism.market import Lake, line_of
from quant_organism.market.stored import read_parts
from quant_organism.resilience import StoragePath
from quant_organism.validation.statistics.clusters import cluster_sketches
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.workflows.store import WorkflowStore, stored_workflows
from quant_organism.workflows.tables import WorkflowPhaseTable, WorkflowResultTable, WorkflowRunTable

DRAWN_BY: Final = ("founder", "favoured", "immigrant")
"""Operators of a search that draw at random; `favoured` chooses a family by its first founders, never genes."""

_LEDGER: Final = ("genome_hash", "panel_hash", "costs_hash", "first_day", "last_day", "n_days", "mean", "std", "sketch")
_HASH_IN_ID: Final = 8

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DrawnTrials:
    """Trials that were drawn at random, n of them.

    Parameters
    ----------
    rows
        One row each: `panel`, `market`, `timeline`, `run`, `family`, `first_day`, `last_day`, `n_days`, and `sharpe`,
        the annual net Sharpe ratio of daily returns. Markets of one timeline share their days; simulated ones share
        nothing. Trials of a search have its `day` and `cycle` too, under which its panel is described.
    genes
        Of each.
    sketches
        int8 (n, 128), none all zero.
    """

    rows: pl.DataFrame
    genes: tuple[Mapping[str, Any], ...]
    sketches: NDArray[np.int8]

    def __len__(self) -> int:
        """Return how many there are."""
        return self.rows.height

    @cached_property
    def directions(self) -> Floats:
        """Sketches of length 1, float64 (n, 128): products are correlations of daily returns within a panel."""
        values = self.sketches.astype(np.float64)
        unit: Floats = values / np.linalg.norm(values, axis=1, keepdims=True)
        return unit

    @cached_property
    def clusters(self) -> NDArray[np.int64]:
        """Number of the cluster of each, int64 (n,): trials of a panel whose daily returns are alike are one."""
        numbers, sharpe = np.zeros(len(self), dtype=np.int64), self.rows["sharpe"].to_numpy()
        first = 0
        for places in self.panels.values():
            found = cluster_sketches(self.sketches[places], sharpe[places])
            assert not isinstance(found, NotRun)
            numbers[places] = found.labels + first
            first += found.count
        return numbers

    @cached_property
    def panels(self) -> Mapping[str, NDArray[np.int64]]:
        """Places of the trials of each panel, in the order of their days."""
        order = self.rows.with_row_index("place").sort("first_day", "last_day", "panel", "place")
        return {
            str(panel): group["place"].to_numpy().astype(np.int64)
            for (panel,), group in order.group_by(["panel"], maintain_order=True)
        }

    @property
    def newest(self) -> date:
        """Last day that any of them was measured on."""
        day = self.rows["last_day"].max()
        assert isinstance(day, date)
        return day

    def of(self, mask: NDArray[np.bool_]) -> DrawnTrials:
        """Return some of them."""
        places = np.flatnonzero(mask)
        return DrawnTrials(self.rows[places], tuple(self.genes[place] for place in places), self.sketches[places])


def read_drawn(lake: Lake, interval: str) -> DrawnTrials:
    """Return what all searches and workflows of a lake drew at random on bars of one length.

    A trial counts where it was tried first. One whose returns do not vary says nothing, and is left out.

    Raises
    ------
    IntegrityError
        A file is damaged; it is named.
    """
    ledger, simulated = TrialLedger(lake.root), {}
    frames, genes = [], []
    for run, market, day, cycle, drawn in _runs(lake, interval):
        known = ledger.frame(_LEDGER, cycle=run).filter(pl.col("std") > 0, pl.col("sketch").is_not_null())
        width = len(drawn["key"][0]) if drawn.height else 0  # a grid's results keep no more than the first digits
        rows = known.with_columns(key=pl.col("genome_hash").str.head(width)).join(
            drawn, on="key", maintain_order="left"
        )
        if market not in simulated:
            simulated[market] = (lake.source_of(market) or {}).get("kind") == "world"
        frames.append(
            rows.select(
                panel=pl.col("panel_hash") + pl.col("costs_hash"),
                market=pl.lit(market),
                timeline=pl.lit(market if simulated[market] else ""),
                run=pl.lit(run),
                day=pl.lit(day),
                cycle=pl.lit(cycle),
                family="family",
                first_day="first_day",
                last_day="last_day",
                n_days="n_days",
                sharpe=pl.col("mean") / pl.col("std") * np.sqrt(365.0),
                sketch="sketch",
            )
        )
        genes += [orjson.loads(text) for text in rows["genes"]]
    whole = pl.concat(frames) if frames else _NONE
    sketches = np.frombuffer(b"".join(whole["sketch"]), dtype=np.int8).reshape(-1, SKETCH_BYTES)
    return DrawnTrials(whole.drop("sketch"), tuple(genes), sketches)


def intervals_of(lake: Lake) -> list[str]:
    """Return the lengths of bars that searches and workflows of a lake looked at."""
    searched = {folder.name for folder in lake.root.glob(f"{PopulationTable.dataset}/market=*/interval=*")}
    runs = stored_workflows(lake.root)
    return sorted({name.removeprefix("interval=") for name in searched} | set(runs[WorkflowRunTable.interval]))


_NONE: Final = pl.DataFrame(
    schema={
        "panel": pl.String(),
        "market": pl.String(),
        "timeline": pl.String(),
        "run": pl.String(),
        "day": pl.String(),
        "cycle": pl.String(),
        "family": pl.String(),
        "first_day": pl.Date(),
        "last_day": pl.Date(),
        "n_days": pl.Int32(),
        "sharpe": pl.Float64(),
        "sketch": pl.Binary(),
    }
)


def _runs(lake: Lake, interval: str) -> Iterator[tuple[str, str, str, str, pl.DataFrame]]:
    """Yield each run's name in the ledger, market, day, cycle, and what it drew: `key`, `family`, `genes` as JSON."""
    named: dict[str, str] = {}
    for row in stored_workflows(lake.root).iter_rows(named=True):
        store = WorkflowStore(lake.root, Path(), row["workflow"])
        phases = store.read(WorkflowPhaseTable)
        for phase, cycle in phases.select(WorkflowPhaseTable.phase, WorkflowPhaseTable.cycle).iter_rows():
            named.setdefault(cycle, f"{row['workflow']}.{phase}")  # the first run of a search has its trials
        if row[WorkflowRunTable.interval] == interval:
            for phase, drawn in _grids(phases, store):
                yield f"{row['workflow']}.{phase}", row[WorkflowRunTable.market], "", "", drawn
    for part in sorted(lake.root.glob(f"{PopulationTable.dataset}/market=*/interval={interval}/date=*/cycle=*/*")):
        market, _, day, cycle = (level.partition("=")[2] for level in part.parts[-5:-1])
        if _is_of_short_line(lake, part):
            continue
        rows = read_parts(PopulationTable, [part]).filter(pl.col(PopulationTable.operator).is_in(DRAWN_BY))
        genes = [
            orjson.dumps(orjson.loads(text)["genes"], option=orjson.OPT_SORT_KEYS).decode()
            for text in rows[PopulationTable.genome]
        ]
        texts = pl.Series(genes, dtype=pl.String())
        drawn = rows.select(key=PopulationTable.hash, family=PopulationTable.family, genes=texts)
        yield named.get(cycle, f"{day}-{interval}-{cycle}"), market, day, cycle, drawn


def _is_of_short_line(lake: Lake, population: StoragePath) -> bool:
    """Tell whether a stored population is of the short line: its days may be unseen ones of the long line."""
    record = lake.root / CycleTable.dataset / "/".join(population.parts[-5:-1])
    begun = read_parts(CycleTable, sorted(record.glob("*.parquet")))
    plan = None if begun.is_empty() else begun[0, CycleTable.plan]
    return line_of(orjson.loads(plan) if plan else {}) == "short"


def _grids(phases: pl.DataFrame, store: WorkflowStore) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the points that each phase tried of its own grid, those of one genome."""
    results = store.read(WorkflowResultTable)
    own = phases.filter(pl.col("type") == "optimization", pl.col("cycle") == "", pl.col("inherits") == "")
    for phase in own[WorkflowPhaseTable.phase]:
        points = results.filter(pl.col("phase") == phase, ~pl.col("families").str.contains(","))
        key = pl.col(WorkflowResultTable.strategy).str.tail(_HASH_IN_ID)
        drawn = points.select(key=key, family="families", genes=WorkflowResultTable.parameters)
        yield phase, drawn.unique("key", maintain_order=True)
