"""A year of the organism itself: 52 weekly cycles and every night's marks in worlds whose truth is known.

What `make bench NAME=year` asks of the machine of decisions on a model, this asks of the product: its search, its
court, its accounts, in ten worlds without an edge and four each with one that is strong, weak, appears in the fifth
month, or dies after the eighth. As the schedule has it, odd weeks are of the long line and even ones of the short.
Interrupted, it goes on where it was; so does one with more worlds.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import statistics
import time
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import polars as pl
from rich.console import Console
from scipy import stats

from quant_organism.audit.edges import ASSETS, Edge, edges
from quant_organism.audit.profile import AuditProfile
from quant_organism.backtest.account import EQUITY_USD
from quant_organism.cycle import Compute, Cycle, Panels, SplitPanel, run_cycle
from quant_organism.deployment import BirthTable, EvidenceDayTable, MoveTable, StrategyRepository, mark_days
from quant_organism.deployment.lifecycle import BIRTHS_COUNTED_DAYS, FALSE_DISCOVERIES, RULES, SEATED
from quant_organism.deployment.tables import DecisionTable
from quant_organism.kernels.closure import code_identity
from quant_organism.market import (
    LINE_DAYS,
    Interval,
    Lake,
    Plant,
    WorldSource,
    WorldSpec,
    line_of_week,
    week_of,
)
from quant_organism.market.ingest import ingest
from quant_organism.monitoring import LifeSpan
from quant_organism.monitoring.life import rows_of
from quant_organism.resilience import return_freed_memory, write_file
from quant_organism.strategies import Committee
from quant_organism.validation.draws import derived_seed
from quant_organism.validation.statistics.sequential import discovery_bound

FOLDER: Final = Path("data/organism-year")
SEEDS: Final = 960_000
WEEKS: Final = 52
HOUR: Final = Interval.parse("1h")
YEAR: Final = 365.0**0.5
FIRST: Final = date(2023, 1, 2)
"""First day of every world, a Monday, so that each week of the year begins with its cycle."""

BORN_DAY, DEAD_DAY = 120, 240
"""Day of the year on which an edge appears, and the first on which one is gone."""

PROFILE: Final = AuditProfile.model_validate(
    {
        "name": "organism-year",
        "days": 728,
        "search": {
            "families": [
                *("atr_stop_loss", "bollinger_bands", "donchian_breakout", "ema_crossover", "funding_rate_carry"),
                *("ichimoku_cloud", "rsi_filter", "sma_trend_filter", "stochastic_oscillator", "vwap_reversion"),
            ],
            "islands": 1,
            "population": 40,
            "generations": 1,
        },
        "strategies": 20,
        "copies": 39,
        "searches": 19,
        "gates": "full",
        "every_gate": False,
    }
)
"""The organism at a size that lives a week in some seconds: a quarter of the audit's search, half as often repeated."""

KINDS: Final = (("null", 10), ("strong", 4), ("weak", 4), ("appears", 4), ("dies", 4))


@dataclass(frozen=True)
class YearWorld:
    """A world of two years before the first cycle and one that is lived through, and its edge if it ever has one."""

    kind: str
    number: int

    @property
    def name(self) -> str:
        """What its folder is called."""
        return f"{self.kind}-{self.number}"

    @cached_property
    def edge(self) -> Edge | None:
        """The planted edge; those that appear or die are strong."""
        if self.kind == "null":
            return None
        strength = "weak" if self.kind == "weak" else "strong"
        fitting = [edge for edge in edges() if edge.strength == strength]
        return fitting[self.number % len(fitting)]

    @property
    def alive(self) -> range:
        """Days of the year on which there is something to earn."""
        begin = BORN_DAY if self.kind == "appears" else 0
        end = DEAD_DAY if self.kind == "dies" else 7 * WEEKS
        return range(0) if self.edge is None else range(begin, end)

    @property
    def source(self) -> WorldSource:
        """The market."""
        first = FIRST + timedelta(days=PROFILE.days)
        plants: tuple[Plant, ...] = ()
        if self.edge is not None:
            span: dict[str, date] = {}
            if self.kind == "appears":
                span["start"] = first + timedelta(days=BORN_DAY)
            if self.kind == "dies":
                span["end"] = first + timedelta(days=DEAD_DAY)
            plants = (self.edge.plant.model_copy(update=span),)
        days = PROFILE.days + 7 * WEEKS
        spec = WorldSpec(name=self.kind, start=FIRST, days=days, assets=ASSETS, plants=plants)
        return WorldSource(spec, SEEDS + 100 * [kind for kind, _ in KINDS].index(self.kind) + self.number)


def worlds() -> list[YearWorld]:
    """Return all worlds, mixed, so that a year that was interrupted saw something of each kind."""
    placed = [((n + 0.5) / count, YearWorld(kind, n)) for kind, count in KINDS for n in range(count)]
    return [world for _, world in sorted(placed, key=lambda entry: (entry[0], entry[1].name))]


def lived(world: YearWorld, place: Path) -> dict[str, Any]:
    """Live a year in a world, in a folder of its own, and return what came of it; what is done is not done again."""
    kept = place / f"{world.name}.json"
    if kept.exists():
        found: dict[str, Any] = orjson.loads(kept.read_bytes())
        return found
    folder, source = place / world.name, world.source
    lake, repository, panels = Lake(folder / "lake"), StrategyRepository(folder / "strategies"), Panels()
    market, (first, last) = source.market, source.span(HOUR)
    ingest(source, lake, HOUR, first, last)
    began, made = time.process_time(), 0
    done = set(lake.table(DecisionTable).days(market=market, interval=HOUR.name))
    mark = partial(mark_days, lake, repository, market=market, interval=HOUR, equity_usd=EQUITY_USD)
    for week in range(WEEKS):
        night = night_of(first, week)
        if night in done:
            continue
        mark(through=night)
        line = line_of_week(night)
        looked_back = min(PROFILE.days, LINE_DAYS[line])
        tables = panels.make(lake, market, HOUR, night, lookback_days=looked_back, line=line)
        cycle = Cycle(
            plan=replace(PROFILE.plan(derived_seed(market, HOUR.name, str(week_of(night)))), line=line),
            lake=lake,
            market=market,
            interval=HOUR,
            day=night,
            data=SplitPanel(tables.panel, line),
            compute=Compute(draws=folder / "draws"),
        )
        run_cycle(cycle, repository)
        made += 1
        return_freed_memory()
    mark(through=last)
    outcome = _outcome(world, folder, repository, LifeSpan(market, HOUR, night_of(first, 0), last))
    outcome["cpu_seconds_a_cycle"] = (time.process_time() - began) / made if made else 0.0
    write_file(kept, orjson.dumps(outcome, option=orjson.OPT_INDENT_2))
    shutil.rmtree(folder)
    return outcome


def night_of(first: date, week: int) -> date:
    """Return the day of a week's official cycle: its Monday, the newest day that its first night knows whole."""
    return first + timedelta(days=PROFILE.days + 7 * week)


def _outcome(world: YearWorld, folder: Path, repository: StrategyRepository, span: LifeSpan) -> dict[str, Any]:
    """Return counts, days and earnings of a year, from its records alone."""
    zero = span.first
    births, marks, moves = (
        rows_of(folder, table, span, until=span.last) for table in (BirthTable, EvidenceDayTable, MoveTable)
    )
    right = {id: _is_right(world, repository.load(id).committee) for id in births[BirthTable.id].to_list()}
    moves = moves.unique(["id", "at", "end"]).sort("at").with_columns(number=_number(pl.col("day"), zero))

    def rows(end: str) -> list[dict[str, Any]]:
        own = moves.filter(pl.col(MoveTable.end) == end)
        return [{"day": day, "right": right[id]} for day, id in own.select("number", MoveTable.id).iter_rows()]

    gone = moves.filter(pl.col(MoveTable.end).is_in(["decaying", "retired"]), pl.col(MoveTable.start).is_in(SEATED))
    return {
        "world": world.name,
        "births": births.height,
        "paper": rows("paper"),
        "left": list(gone["number"]),
        "money": _money(births, marks, right, zero),
        **_earned(world, marks, zero),
    }


def _is_right(world: YearWorld, committee: Committee) -> bool:
    return world.edge is not None and world.edge.right_share(committee) >= 0.5


def _number(day: pl.Expr, zero: date) -> pl.Expr:
    return (day - pl.lit(zero)).dt.total_days()


def _money(births: pl.DataFrame, marks: pl.DataFrame, right: dict[str, bool], zero: date) -> list[dict[str, Any]]:
    """Return who on paper or beyond met, with what nights know, all that full money asks for, and on which day first.

    Orders were sent to no venue, so nobody could move there: reconciled days and a person's yes are left out.
    """
    (rule,) = (rule for rule in RULES if rule.name == "full money")
    asked = [requirement for requirement in rule.requirements if requirement.kind != "approved"]
    last = {id: (first, wealth) for id, first, wealth in births.select("id", "first_day", "starting_wealth").rows()}
    found: dict[str, dict[str, Any]] = {}
    for (day,), rows in marks.sort("day").group_by("day", maintain_order=True):
        assert isinstance(day, date)
        today = rows.to_dicts()
        last |= {row["id"]: (last[row["id"]][0], row["wealth"]) for row in today}
        counted = [wealth for first, wealth in last.values() if 0 <= (day - first).days <= BIRTHS_COUNTED_DAYS]
        bound = discovery_bound(np.array(counted), FALSE_DISCOVERIES) if counted else np.inf
        for row in today:
            known = {**row, "discovery": row["wealth"] / bound}
            met = all(requirement.met_by(known[requirement.kind]) for requirement in asked)
            if row["stage"] in SEATED and met and row["id"] not in found:
                found[row["id"]] = {"day": (day - zero).days, "right": right[row["id"]]}
    return list(found.values())


def _earned(world: YearWorld, marks: pl.DataFrame, zero: date) -> dict[str, float]:
    """Return what equal parts of all on paper or beyond earned at the risk of one, in standard deviations of a day.

    Beside it stands what the best rule of the product earns on such an edge in the days in which there was one.
    """
    held = (
        marks.sort("day", "id")
        .with_columns(size=pl.col(EvidenceDayTable.factor).shift(1, fill_value=1.0).over(EvidenceDayTable.id))
        .filter(pl.col(EvidenceDayTable.stage).is_in(SEATED), pl.col(EvidenceDayTable.recorded))
        .group_by("day")
        .agg(net=(pl.col("size") * pl.col(EvidenceDayTable.standardised)).mean())
        .with_columns(number=_number(pl.col("day"), zero))
    )
    oracle = world.edge.oracle_sharpe / YEAR * len(world.alive) if world.edge else 0.0
    return {"seated_days": float(held.height), "earned": float(held["net"].sum()), "oracle": oracle}


def run() -> list[dict[str, Any]]:
    """Live through all worlds, or as many as `YEAR_WORLDS` says, two at a time, and count."""
    wanted = worlds()[: int(os.environ.get("YEAR_WORLDS", "0")) or None]
    identity = f"{PROFILE.hash}{code_identity('quant_organism.cycle')}{code_identity('quant_organism.deployment')}"
    place = FOLDER / hashlib.sha256(identity.encode()).hexdigest()[:12]
    console, found = Console(), list[dict[str, Any]]()
    with multiprocessing.get_context("spawn").Pool(min(2, os.cpu_count() or 1), maxtasksperchild=1) as pool:
        for outcome in pool.imap(partial(lived, place=place), wanted):
            found.append(outcome)
            console.print(f"[dim]{len(found)} of {len(wanted)}: {outcome}", highlight=False)
    return [row for kind, _ in KINDS for row in _counts(kind, [one for one in found if one["world"].startswith(kind)])]


def _counts(kind: str, outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not outcomes:
        return []
    rows = []
    alive = YearWorld(kind, 0).alive
    for what in ("paper", "money"):
        true = [min((m["day"] for m in one[what] if m["day"] in alive), default=None) for one in outcomes]
        false = sum(any(move["day"] not in alive for move in one[what]) for one in outcomes)
        right = sum(any(move["right"] and move["day"] in alive for move in one[what]) for one in outcomes)
        days = [day for day in true if day is not None]
        if kind != "null":
            note = f"by the right family {right}; median day {statistics.median(days):.0f}" if days else "never"
            rows.append(_row(f"{what}_{kind}", len(days), len(outcomes), f"while there was an edge; {note}"))
        if kind in ("null", "appears", "dies"):
            rows.append(_row(f"false_{what}_{kind}", false, len(outcomes), "while there was none"))
    if kind == "dies":
        noticed = [
            min((day for day in one["left"] if day >= DEAD_DAY), default=None)
            for one in outcomes
            if any(move["day"] < DEAD_DAY for move in one["paper"])
        ]
        days = [day - DEAD_DAY for day in noticed if day is not None]
        note = f"after a median of {statistics.median(days):.0f} days" if days else "within what was left of the year"
        rows.append(_row("death_noticed", len(days), len(noticed), note))
    oracle = sum(one["oracle"] for one in outcomes)
    earned = sum(one["earned"] for one in outcomes)
    note = f"of seated strategies at the risk of one, {sum(one['seated_days'] for one in outcomes):.0f} days"
    if oracle:
        value = earned / oracle
        rows.append({"metric": f"earned_{kind}", "value": value, "unit": "share of the oracle", "note": note})
    else:
        rows.append({"metric": f"earned_{kind}", "value": earned, "unit": "standard deviations", "note": note})
    seconds = statistics.median(one["cpu_seconds_a_cycle"] for one in outcomes)
    note = f"{statistics.mean(one['births'] for one in outcomes):.1f} births a world"
    rows.append({"metric": f"cycle_{kind}", "value": seconds, "unit": "CPU seconds", "note": note})
    return rows


def _row(metric: str, count: int, among: int, note: str) -> dict[str, Any]:
    low, high = stats.binomtest(count, among).proportion_ci(method="exact") if among else (0.0, 1.0)
    share = count / among if among else float("nan")
    return {
        "metric": metric,
        "value": share,
        "unit": "share",
        "note": f"{count} of {among} worlds ({low:.2f} to {high:.2f}) {note}",
    }
