"""What families earned on one asset, and on the days of one regime, beside their other assets and days.

The ledger keeps what a trial earned on all assets together. So what a search drew at random is measured once more on
the panel that it was drawn for: one trial of each cluster, all assets apart.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from quant_organism.backtest import Costs, Evaluator
from quant_organism.cycle import SplitPanel
from quant_organism.errors import IntegrityError
from quant_organism.evolution.tables import CycleTable
from quant_organism.market import Interval, Lake, PanelTable, RegimeTable, day_of, rebuild_panel
from quant_organism.market.stored import read_parts
from quant_organism.strategies import Genome, get_family
from quant_organism.workflows.mining.drawn import DrawnTrials, Floats
from quant_organism.workflows.mining.regions import DAYS_A_YEAR, Mask, PanelFigures, PanelSlice, Region

LEAST_DAYS: Final = 20
"""Days of a regime, and days beside it, that a panel must have to speak of it."""

_FLAT: Final = 1e-12

RegimeDays = Mapping[str, Mapping[str, frozenset[date]]]
"""By factor and label the days that began in a regime: those after a day with the label."""


@dataclass(frozen=True, eq=False)
class SleevePanel:
    """Daily returns of c trials of one panel on each of its N assets, over D days.

    Parameters
    ----------
    market, timeline, runs
        Of the trials; runs (c,).
    families
        Of each trial, (c,).
    symbols, days
        (N,) and (D,).
    sleeves
        Of each trial on each asset, float64 (c, N, D).
    returns
        Of each trial on all assets, float64 (c, D).
    regimes
        What is known of the market.
    """

    market: str
    timeline: str
    runs: Sequence[str]
    families: Sequence[str]
    symbols: tuple[str, ...]
    days: tuple[date, ...]
    sleeves: Floats
    returns: Floats
    regimes: RegimeDays

    def slices(self) -> Iterator[PanelSlice]:
        """Yield each family on each asset and in each regime, where there is enough to compare it with."""
        for family in sorted(set(self.families)):
            own = np.flatnonzero([name == family for name in self.families])
            for asset in range(len(self.symbols)):
                figures = self._on_asset(own, asset)
                if figures is not None:
                    inside = np.arange(len(self.symbols)) == asset
                    yield PanelSlice(Region(family, asset=self.symbols[asset]), inside, figures)
            for factor, labels in self.regimes.items():
                known = frozenset[date]().union(*labels.values())
                for label, days in labels.items():
                    inside = np.array([day in days for day in self.days])
                    beside = np.array([day in known and day not in days for day in self.days])
                    figures = self._in_regime(own, inside, beside)
                    if figures is not None:
                        yield PanelSlice(Region(family, regime=f"{factor}: {label}"), inside, figures)

    def _on_asset(self, own: NDArray[np.int64], asset: int) -> PanelFigures | None:
        """Compare the sleeves of one asset with the mean of all others, trial by trial of those that traded it."""
        paths = self.sleeves[own]
        deviations = paths.std(axis=2, ddof=1)
        others = np.arange(len(self.symbols)) != asset
        traded = (deviations[:, asset] > _FLAT) & (deviations[:, others] > _FLAT).any(axis=1)
        if not traded.any():
            return None
        deviations = np.where(deviations > _FLAT, deviations, np.inf)
        unit = (paths / deviations[:, :, None])[traded]
        counted = np.isfinite(deviations[traded][:, others]).sum(axis=1)
        inside = unit[:, asset].mean(axis=0)
        beside = (unit[:, others].sum(axis=1) / counted[:, None]).mean(axis=0)
        sharpes, n = unit[:, asset].mean(axis=1), len(self.days)
        return self._made(
            own[traded],
            sharpes,
            n,
            beside=int(counted.sum()),
            effect=float((inside - beside).mean()),
            errors=(_error(inside), _error(inside - beside)),
            freedom=n - 1,
        )

    def _in_regime(self, own: NDArray[np.int64], inside: Mask, beside: Mask) -> PanelFigures | None:
        """Compare the days of a regime with the others of which it is known what they were."""
        if min(inside.sum(), beside.sum()) < LEAST_DAYS:
            return None
        parts = [self.returns[own][:, mask] for mask in (inside, beside)]
        deviations = [part.std(axis=1, ddof=1) for part in parts]
        varied = (deviations[0] > _FLAT) & (deviations[1] > _FLAT)
        if not varied.any():
            return None
        unit = [part[varied] / size[varied, None] for part, size in zip(parts, deviations, strict=True)]
        means = [part.mean(axis=0) for part in unit]
        errors = [_error(path) for path in means]
        return self._made(
            own[varied],
            unit[0].mean(axis=1),
            int(inside.sum()),
            beside=int(varied.sum()),
            effect=float(means[0].mean() - means[1].mean()),
            errors=(errors[0], math.hypot(*errors)),
            freedom=int(min(inside.sum(), beside.sum())) - 1,
        )

    def _made(
        self,
        trials: NDArray[np.int64],
        sharpes: Floats,
        n_days: int,
        *,
        beside: int,
        effect: float,
        errors: tuple[float, float],
        freedom: int,
    ) -> PanelFigures:
        a_year = math.sqrt(DAYS_A_YEAR)
        return PanelFigures(
            market=self.market,
            timeline=self.timeline,
            first_day=self.days[0],
            last_day=self.days[-1],
            n_days=n_days,
            runs=frozenset(self.runs[place] for place in trials),
            trials=len(trials),
            clusters=len(trials),
            earned=int((sharpes > 0).sum()),
            beside=beside,
            sharpe=float(sharpes.mean()) * a_year,
            effect=effect * a_year,
            sharpe_error=errors[0] * a_year,
            effect_error=errors[1] * a_year,
            freedom=freedom,
        )


def read_sleeves(lake: Lake, interval: str, trials: DrawnTrials) -> Iterator[tuple[str, SleevePanel]]:
    """Measure the trials of searches again, and yield each panel's identity with what they did on it.

    Left out are families that fit models, since a fit costs thousands of times what a trade costs, points of grids, and
    panels whose days are no longer in the lake as they were.

    Raises
    ------
    IntegrityError
        A file is damaged; it is named.
    """
    regimes: dict[str, RegimeDays] = {}
    evaluator = Evaluator(threads=1)
    for panel, places in trials.panels.items():
        rows = trials.rows[places].with_columns(cluster=trials.clusters[places], place=places)
        fitted = [name for name in rows["family"].unique() if get_family(name).model_genes]
        known = rows.filter(pl.col("cycle") != "", ~pl.col("family").is_in(fitted))
        chosen = known.unique(["family", "cluster"], keep="first", maintain_order=True)
        opened = _open(lake, interval, chosen.row(0, named=True)) if chosen.height else None
        if opened is None:
            continue
        data, costs = opened
        genomes = [
            Genome(family, trials.genes[place]) for family, place in chosen.select("family", "place").iter_rows()
        ]
        measured = evaluator.evaluate(genomes, data.in_sample, costs, asset_daily_returns=True)
        assert measured.asset_daily_returns is not None
        market = chosen[0, "market"]
        if market not in regimes:
            regimes[market] = read_regimes(lake, market, interval)
        yield (
            panel,
            SleevePanel(
                market,
                chosen[0, "timeline"],
                chosen["run"].to_list(),
                chosen["family"].to_list(),
                measured.symbols,
                tuple(day_of(int(day)) for day in measured.days),
                measured.asset_daily_returns,
                measured.daily_returns,
                regimes[market],
            ),
        )


def read_regimes(lake: Lake, market: str, interval: str) -> RegimeDays:
    """Return the days that began in each regime of a market; none where its regimes are not stored."""
    found: dict[str, dict[str, set[date]]] = defaultdict(lambda: defaultdict(set))
    folder = lake.root / RegimeTable.dataset / f"market={market}" / f"interval={interval}"
    for part in sorted(folder.glob("date=*/*.parquet")):
        after = date.fromisoformat(part.parent.name.removeprefix("date=")) + timedelta(days=1)
        rows = read_parts(RegimeTable, [part])
        for factor, label in rows.select(RegimeTable.module, RegimeTable.label).iter_rows():
            found[factor][label].add(after)
    return {factor: {label: frozenset(days) for label, days in labels.items()} for factor, labels in found.items()}


def _open(lake: Lake, interval: str, run: Mapping[str, str]) -> tuple[SplitPanel, Costs] | None:
    """Return the panel of a search and what trading cost; None where it is not known, or not the same now."""
    where = f"market={run['market']}/interval={interval}/date={run['day']}/cycle={run['cycle']}"
    manifest, begun = (
        read_parts(table, sorted((lake.root / table.dataset / where).glob("*.parquet")))
        for table in (PanelTable, CycleTable)
    )
    if manifest.is_empty() or begun.is_empty() or not begun[0, CycleTable.plan]:
        return None
    day, length = date.fromisoformat(run["day"]), Interval.parse(interval)
    try:
        panel = rebuild_panel(manifest, lake, market=run["market"], interval=length, day=day)
    except IntegrityError:
        return None
    return SplitPanel(panel), Costs.from_dict(orjson.loads(begun[0, CycleTable.plan])["costs"])


def _error(path: Floats) -> float:
    return float(path.std(ddof=1)) / math.sqrt(path.size)
