"""What the report site says: cycles and what changed, the pool, strategies and audits, of a data folder at rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from quant_organism.deployment import DEPLOYED, STAGES, StrategyConfig, StrategyRepository
from quant_organism.deployment.tables import EvidenceDayTable, MoveTable
from quant_organism.market import BY_INTERVAL, Interval, Lake, PanelTable, Table, line_of, splits_of
from quant_organism.monitoring.cycle import spans_of
from quant_organism.monitoring.life import LifeRecord
from quant_organism.monitoring.runs import StoredRun, compare_runs, figures_of, stored_runs
from quant_organism.validation import CandidateReturnTable
from quant_organism.workflows.mining import Region, stored_patterns

MOST_CYCLES: Final = 60
MOST_COMPARED: Final = 8
PROFILE_MEDIANS: Final = (
    "trials",
    "best Sharpe ratio in sample",
    "best Sharpe ratio on unseen days",
    "p-value before the search",
    "p-value of the whole search",
)
_LEAST_DAYS: Final = 20
_MS_PER_DAY: Final = 86_400_000


@dataclass(frozen=True)
class CycleChange:
    """What is new in the latest cycle of a market.

    Attributes
    ----------
    run
        That cycle.
    before
        The latest of an earlier day; None: there is none.
    moves
        Moves of strategies since then: when, who, from, to and why.
    figures
        What came out differently: name, before, now.
    """

    run: StoredRun
    before: StoredRun | None
    moves: Sequence[Mapping[str, Any]]
    figures: Sequence[tuple[str, Any, Any]]


@dataclass(frozen=True)
class PoolView:
    """The strategies that are watched or trade.

    Attributes
    ----------
    documents
        Best fitness first.
    stages
        How many documents there are in each stage, retired ones included.
    chart
        Equity of each on the days that judge it, as the page draws it; empty without any day.
    correlation
        Pearson's, of the days that two have in common; None with fewer than 20.
    """

    documents: Sequence[StrategyConfig]
    stages: Mapping[str, int]
    chart: Mapping[str, Any]
    correlation: Sequence[Sequence[float | None]]


@dataclass(frozen=True)
class StrategyComparison:
    """Strategies side by side.

    Attributes
    ----------
    documents
        The strategies, in the order in which they were asked for.
    missing
        Identities that no document has.
    facts
        What each is and what was measured of it: name, and a value per strategy, None where there is none.
    chart
        Equity of each on the days that judge it, as the page draws it; empty without any day.
    correlation
        As in `PoolView`.
    """

    documents: Sequence[StrategyConfig]
    missing: Sequence[str]
    facts: Sequence[tuple[str, Sequence[Any]]]
    chart: Mapping[str, Any]
    correlation: Sequence[Sequence[float | None]]


def cycles_of(data_dir: Path) -> list[StoredRun]:
    """Return the newest cycles that a data folder keeps, newest first."""
    return stored_runs(data_dir)[::-1][:MOST_CYCLES]


def changes(data_dir: Path, runs: Sequence[StoredRun]) -> list[CycleChange]:
    """Return what is new in the latest cycle of each market and bar length.

    Parameters
    ----------
    data_dir
        The data folder.
    runs
        Newest first.
    """
    found = []
    for key in dict.fromkeys((run.market, run.interval.name) for run in runs):
        own = [run for run in runs if (run.market, run.interval.name) == key and run.latest]
        if not own:
            continue
        run, before = own[0], next((other for other in own if other.day < own[0].day), None)
        since = before.day if before else date.min
        moves = _rows(data_dir, MoveTable, *key)
        new = moves.filter(pl.col("at").str.slice(0, 10) > since.isoformat()).unique(["id", "at", "end"])
        figures = compare_runs(before, run).figures if before else []
        found.append(
            CycleChange(
                run=run,
                before=before,
                moves=new.sort("at", "id", descending=[True, False]).to_dicts(),
                figures=[(name, old, now) for name, old, now in figures if old != now],
            )
        )
    return found


def documents_of(data_dir: Path) -> list[StrategyConfig]:
    """Return all documents that can be read, best fitness first, retired ones included."""
    folder = data_dir / "strategies"
    return list(StrategyRepository(folder).load_all(archived=True).documents) if folder.exists() else []


def pool_of(data_dir: Path) -> PoolView:
    """Return the strategies that are watched or trade, with what they earned on the days that judge them."""
    documents = documents_of(data_dir)
    alive = [document for document in documents if document.stage in DEPLOYED]
    chart, correlation = _side_by_side(data_dir, alive)
    return PoolView(
        documents=alive,
        stages={stage: sum(document.stage == stage for document in documents) for stage in STAGES},
        chart=chart,
        correlation=correlation,
    )


def compare_strategies(data_dir: Path, ids: Sequence[str]) -> StrategyComparison:
    """Return up to `MOST_COMPARED` strategies side by side."""
    known = {document.id: document for document in documents_of(data_dir)}
    asked = list(dict.fromkeys(ids))[:MOST_COMPARED]
    chosen = [known[id] for id in asked if id in known]
    chart, correlation = _side_by_side(data_dir, chosen)
    facts = [_strategy_facts(document) for document in chosen]
    return StrategyComparison(
        documents=chosen,
        missing=[id for id in asked if id not in known],
        facts=[(name, [of.get(name) for of in facts]) for name in dict.fromkeys(name for of in facts for name in of)],
        chart=chart,
        correlation=correlation,
    )


def profiles_of(runs: Sequence[StoredRun]) -> list[dict[str, Any]]:
    """Return what came of the cycles of each market, profile and set of gates: counts, and medians of their figures."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for run in runs:
        row = run.summary()
        key = (row["market"], row["interval"], row["profile"] or "–", row["gates"] or "–")
        groups.setdefault(key, []).append(figures_of(run))
    named = ("market", "interval", "profile", "gates")
    return [
        dict(zip(named, key, strict=True))
        | {"cycles": len(found), "finished": sum(one["state"] == "complete" for one in found)}
        | {name: sum(one[name] or 0 for one in found) for name in ("survivors", "proven", "deployed")}
        | {name: _median([one[name] for one in found]) for name in PROFILE_MEDIANS}
        for key, found in sorted(groups.items())
    ]


def _median(values: Sequence[float | None]) -> float | int | None:
    known = [value for value in values if value is not None]
    middle = float(np.median(known)) if known else None
    return int(middle) if middle is not None and middle.is_integer() else middle


def _strategy_facts(document: StrategyConfig) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "stage": document.stage,
        "market": document.provenance.market,
        "bars": document.interval,
        "born": document.provenance.date,
        "cycle": document.provenance.cycle,
        "families": ", ".join(document.families),
        "genomes": document.n_genomes,
        "assets": len(document.universe),
        f"Sharpe ratio, {document.judged_days}": document.fitness,
    }
    if document.account is not None:
        own = document.account
        facts |= {"return": _per_cent(own.total_return), "max drawdown": _per_cent(own.max_drawdown)}
        facts |= {"costs": _per_cent(own.costs), "orders a day": own.orders_per_day, "from, USD": own.min_equity_usd}
    for stage, record in document.evidence.items():
        facts[stage.replace("_", " ")] = record.status
    if document.performance:
        latest = document.performance[-1]
        facts |= {"days since birth": latest.days, "Sharpe ratio since": latest.sharpe}
        facts |= {"return since": _per_cent(latest.total_return)}
    return facts


def _per_cent(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.1f} %"


def _side_by_side(
    data_dir: Path, documents: Sequence[StrategyConfig]
) -> tuple[Mapping[str, Any], list[list[float | None]]]:
    """Return the equity of strategies as a page draws it, and the correlation of their daily returns."""
    returns = {document.id: _judged_returns(data_dir, document) for document in documents}
    known = {id: frame for id, frame in returns.items() if frame.height}
    return _equity_chart(known), [
        [_correlation(known.get(a.id), known.get(b.id)) for b in documents] for a in documents
    ]


def strategy_chart(data_dir: Path, document: StrategyConfig) -> Mapping[str, Any]:
    """Return the equity of a strategy on the days that judge it, as the page draws it; empty without any day."""
    frame = _judged_returns(data_dir, document)
    return _equity_chart({document.id: frame}) if frame.height else {}


def sheets_of(data_dir: Path, id: str) -> list[Path]:
    """Return the tear sheets of a strategy, newest first, from the folder of reports on."""
    reports = data_dir / "reports"
    return sorted((path.relative_to(reports) for path in reports.glob(f"*/*/*/*/tear_sheets/{id}.html")), reverse=True)


def regions_of(data_dir: Path) -> list[dict[str, Any]]:
    """Return the patterns of the latest mining by `MinedPatternTable`, and `region`, each in words."""
    rows = stored_patterns(Lake(data_dir / "lake")).to_dicts()
    return [{**row, "region": str(Region.read(row))} for row in rows]


def audits_of(data_dir: Path) -> list[tuple[Path, str]]:
    """Return the pages of audits from their folder on, with when they were written, newest first."""
    folder = data_dir / "audits"
    pages = sorted(folder.glob("**/audit.html"), key=lambda path: (-path.stat().st_mtime, path))
    return [
        (page.relative_to(folder), f"{datetime.fromtimestamp(page.stat().st_mtime, UTC):%Y-%m-%d %H:%M}")
        for page in pages
    ]


def _rows(data_dir: Path, table: type[Table], market: str, interval: str) -> pl.DataFrame:
    assert table.partitions == BY_INTERVAL
    lake = Lake(data_dir / "lake").table(table)
    days = lake.days(market=market, interval=interval)
    return pl.concat([table.empty(), *(lake.read_day(day, market=market, interval=interval) for day in days)])


def _judged_returns(data_dir: Path, document: StrategyConfig) -> pl.DataFrame:
    """Return `day` and `net_return`: the unseen days of its birth, in-sample ones without any, then those since."""
    born = document.provenance
    interval = Interval.parse(document.interval)
    run = StoredRun(
        data_dir, market=born.market, interval=interval, day=date.fromisoformat(born.date), cycle=born.cycle
    )
    judged = run.read(CandidateReturnTable).filter(pl.col("candidate") == document.id).sort("day")
    panel = run.read(PanelTable)
    if panel.height:
        bars = int(panel[0, PanelTable.panel_days]) * interval.bars_per_day
        spans = spans_of(splits_of(line_of(run.plan), bars, interval), interval, run.day, panel)
        first = min([span.start for span in spans if span.unseen] or [span.start for span in spans])
        judged = judged.filter(pl.col("day") >= date.fromisoformat(first))
    unseen = judged.select("day", "net_return")
    lake = Lake(data_dir / "lake").table(EvidenceDayTable)
    since = [unseen]
    for day in lake.days(market=born.market, interval=interval.name):
        rows = lake.read_day(day, market=born.market, interval=interval.name)
        since.append(
            rows.filter(pl.col("id") == document.id, pl.col("recorded")).select(pl.lit(day).alias("day"), "net_return")
        )
    return pl.concat(since).unique("day", keep="first").sort("day")


def life_chart(life: LifeRecord) -> Mapping[str, Any]:
    """Return the equity of the two accounts of a span of days, as the page draws it; empty without any day."""
    shown = {name: life.days.select("day", net_return=name) for name in ("account", "shadow")}
    return _equity_chart(shown) if life.days.height else {}


def _equity_chart(returns: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    if not returns:
        return {}
    days = pl.concat([frame.select("day") for frame in returns.values()]).unique().sort("day")
    series, falls = [], []
    for id, frame in returns.items():
        equity = (1 + frame["net_return"]).cum_prod()
        fall = equity / pl.Series([1.0, *equity]).cum_max()[1:] - 1
        path = days.join(
            frame.select("day").with_columns(equity=equity, below=fall), on="day", how="left", maintain_order="left"
        )
        series.append({"name": id, "values": path["equity"].round(5).to_list(), "ink": len(returns) == 1})
        below = path["below"].round(5).to_list()
        falls.append({"name": f"drawdown of {id}", "of": id, "values": below, "ink": len(returns) == 1})
    return {
        "times": [(day - date(1970, 1, 1)).days * _MS_PER_DAY for day in days["day"]],
        "bands": [],
        "panels": [
            {"title": "equity, 1 at the start", "unit": "number", "height": 260, "series": series},
            {"title": "drawdown", "unit": "percent", "height": 120, "zero": True, "series": falls},
        ],
    }


def _correlation(first: pl.DataFrame | None, second: pl.DataFrame | None) -> float | None:
    if first is None or second is None:
        return None
    both = first.join(second, on="day", suffix="_b")
    a, b = both["net_return"].to_numpy(), both["net_return_b"].to_numpy()
    if both.height < _LEAST_DAYS or not a.std() or not b.std():
        return None
    return float(np.corrcoef(a, b)[0, 1])
