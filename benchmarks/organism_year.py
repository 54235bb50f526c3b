"""A year of the organism itself: 52 weekly cycles and every night's marks in worlds whose truth is known.

What `make bench NAME=year` asks of the machine of decisions on a model, this asks of the product: its search, its
court, its accounts, in ten worlds without an edge and four each with one that is strong, weak, appears in the fifth
month, or dies after the eighth. As the schedule has it, odd weeks are of the long line and even ones of the short.
Interrupted, it goes on where it was; so does one with more worlds.
"""

from __future__ import annotations

import hashlib
import math
import multiprocessing
import os
import re
import shutil
import statistics
import time
from collections import Counter
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

from benchmarks.oracle import years_of
from quant_organism.audit.edges import ASSETS, Edge, edges
from quant_organism.audit.profile import AuditProfile
from quant_organism.backtest import Evaluator
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
from quant_organism.market.compaction import compact
from quant_organism.market.ingest import ingest
from quant_organism.market.tables import CycleIndexTable
from quant_organism.monitoring import LifeSpan
from quant_organism.monitoring.life import LARGEST_SHARE, rows_of
from quant_organism.resilience import return_freed_memory, write_file
from quant_organism.strategies import Committee
from quant_organism.validation.draws import derived_seed
from quant_organism.validation.pretest import LEVEL
from quant_organism.validation.statistics.sequential import discovery_bound
from quant_organism.validation.tables import PretestTable, SignificanceTable, StandingTable, VerdictTable

FOLDER: Final = Path("data/organism-year")
SEEDS: Final = 960_000
WEEKS: Final = 52
BARS: Final = Interval.parse("4h")
"""Planted edges live for a day or two: the best rules earn by these bars what they earn by hours (`ORACLES`)."""

YEAR: Final = 365.0**0.5
FIRST: Final = date(2023, 1, 2)
"""First day of every world, a Monday, so that each week of the year begins with its cycle."""

TRUTH_SEED: Final = 950_000
"""Of the years on which it is told who earns anything; no world of the bench has it."""

ORACLES: Final = {
    ("breakout", "strong"): 2.79,
    ("carry", "strong"): 2.55,
    ("momentum", "strong"): 2.53,
    ("reversion", "strong"): 2.97,
    ("breakout", "weak"): 1.52,
    ("carry", "weak"): 1.30,
    ("momentum", "weak"): 1.12,
    ("reversion", "weak"): 1.52,
}
"""Annual net Sharpe ratio of the best rule of the fitting families by bars of four hours, on years that it was not
chosen on: `BARS=4h ONLY=single make bench NAME=oracle`, 2026-11-25."""

KEPT: Final = frozenset(
    table.dataset
    for table in (
        *(BirthTable, CycleIndexTable, DecisionTable, EvidenceDayTable, MoveTable, PretestTable, SignificanceTable),
        *(StandingTable, VerdictTable),
    )
)
"""Datasets of a year that stay when it is over; the others are many times as large."""

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
        "copies": 19,
        "searches": 19,
        "gates": "full",
        "every_gate": False,
    }
)
"""The organism at a size that lives a week in some seconds: a quarter of the audit's search, half as often repeated.

Nineteen copies tell p = .05, before the search and of it. The table asks for .1 of the one, and of the other for a
wealth of 1.748: .05 buys more beside any p of the unseen days that may take the night door (2.236 beside .25). With 99
copies a search without an equal would buy 2.236 times as much.
"""

DAYS_ON_THE_WAY: Final = 14
"""Days that it takes at least from paper to a canary: a week there, and one of reconciled orders on the testnet."""

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
    kept, folder, source = place / f"{world.name}.json", place / world.name, world.source
    first, last = source.span(BARS)
    if not kept.exists():
        seconds = _live(folder, source)
        write_file(kept, orjson.dumps({"cpu_seconds_a_cycle": seconds}))
        for dataset in (folder / "draws", *(path for path in (folder / "lake").iterdir() if path.name not in KEPT)):
            shutil.rmtree(dataset, ignore_errors=True)
    outcome = _outcome(world, folder, LifeSpan(source.market, BARS, night_of(first, 0), last))
    return outcome | {"cpu_seconds_a_cycle": orjson.loads(kept.read_bytes())["cpu_seconds_a_cycle"]}


def _live(folder: Path, source: WorldSource) -> float:
    """Live through the weeks that are not lived yet, and return the CPU seconds that each of them took."""
    lake, repository, panels = Lake(folder / "lake"), StrategyRepository(folder / "strategies"), Panels()
    market, (first, last) = source.market, source.span(BARS)
    ingest(source, lake, BARS, first, last)
    compact(folder / "lake")
    began, made = time.process_time(), 0
    done = set(lake.table(DecisionTable).days(market=market, interval=BARS.name))
    mark = partial(mark_days, lake, repository, market=market, interval=BARS, equity_usd=EQUITY_USD)
    for week in range(WEEKS):
        night = night_of(first, week)
        if night in done:
            continue
        mark(through=night)
        line = line_of_week(night)
        looked_back = min(PROFILE.days, LINE_DAYS[line])
        tables = panels.make(lake, market, BARS, night, lookback_days=looked_back, line=line)
        cycle = Cycle(
            plan=replace(PROFILE.plan(derived_seed(market, BARS.name, str(week_of(night)))), line=line),
            lake=lake,
            market=market,
            interval=BARS,
            day=night,
            data=SplitPanel(tables.panel, line),
            compute=Compute(draws=folder / "draws"),
        )
        run_cycle(cycle, repository)
        made += 1
        return_freed_memory()
    mark(through=last)
    return (time.process_time() - began) / made if made else 0.0


def night_of(first: date, week: int) -> date:
    """Return the day of a week's official cycle: its Monday, the newest day that its first night knows whole."""
    return first + timedelta(days=PROFILE.days + 7 * week)


def _outcome(world: YearWorld, folder: Path, span: LifeSpan) -> dict[str, Any]:
    """Return who was born, promoted and dropped on which day, what was earned, and where weeks ended, from records."""
    zero, repository = span.first, StrategyRepository(folder / "strategies")
    births, marks, moves = (
        rows_of(folder, table, span, until=span.last) for table in (BirthTable, EvidenceDayTable, MoveTable)
    )
    committees = {id: repository.load(id).committee for id in births[BirthTable.id].to_list()}
    right = dict(zip(committees, _truths(world, list(committees.values())), strict=True))
    moves = moves.unique(["id", "at", "end"]).sort("at", "id", "end").with_columns(number=_number(pl.col("day"), zero))
    births = births.with_columns(number=_number(pl.col("day"), zero))
    marks = marks.with_columns(number=_number(pl.col("day"), zero))
    return {
        "world": world.name,
        "births": [
            {
                **{name: row[name] for name in ("id", "number", "pretest_p", "search_p", "unseen_p")},
                **{name: row[name] for name in ("starting_wealth", "sharpe", "near_living", "perturbations")},
                "right": right[row["id"]],
                "fits": world.edge is not None and world.edge.right_share(committees[row["id"]]) >= 0.5,
            }
            for row in births.to_dicts()
        ],
        "moves": moves.select("id", "number", MoveTable.start, MoveTable.end, MoveTable.rule).to_dicts(),
        "paper": [
            {"day": day, "right": right[id]}
            for day, id in moves.filter(pl.col(MoveTable.end) == "paper").select("number", MoveTable.id).iter_rows()
        ],
        "money": _money(births, marks, right, zero),
        "seated_at_death": sorted(
            marks.filter(pl.col("number") == DEAD_DAY, pl.col(EvidenceDayTable.stage).is_in(SEATED))["id"]
        ),
        "seated": _seated_days(marks),
        "weeks": _weeks(folder, span, births),
        **_earned(world, marks),
    }


def _truths(world: YearWorld, committees: list[Committee]) -> list[bool]:
    """Tell which committees earn something net of costs on twenty other years of such a world; without an edge none."""
    if world.edge is None or not committees:
        return [False] * len(committees)
    years = years_of(world.edge, TRUTH_SEED, BARS)
    found = Evaluator(threads=1).evaluate_committees(committees, years, PROFILE.costs).metrics["sharpe"]
    return [bool(sharpe > 0.0) for sharpe in found]


def _seated_days(marks: pl.DataFrame) -> dict[str, list[int]]:
    """Return the days on which each strategy held a seat."""
    held = marks.filter(pl.col(EvidenceDayTable.stage).is_in(SEATED)).sort("number")
    return {str(id): rows["number"].to_list() for (id,), rows in held.group_by(EvidenceDayTable.id)}


def _weeks(folder: Path, span: LifeSpan, births: pl.DataFrame) -> list[dict[str, Any]]:
    """Return what each week's cycle came to: how far its candidates got, and what stopped the last of them."""
    lake, where = Lake(folder / "lake"), {"market": span.market, "interval": span.interval.name}
    born, rows = set(births["number"]), []
    for day in lake.table(DecisionTable).days(**where):
        pretest, standing, luck, decided = (
            lake.table(table).read_day(day, **where)
            for table in (PretestTable, StandingTable, SignificanceTable, DecisionTable)
        )
        number = (day - span.first).days
        waits = decided.filter(pl.col(DecisionTable.action) == "wait")
        rows.append(
            {
                "number": number,
                "line": line_of_week(day),
                "pretest_p": pretest[0, PretestTable.p_value],
                "search_p": luck[0, SignificanceTable.p_value],
                "candidates": standing.height,
                "standing": standing.filter(pl.col(StandingTable.standing) != "fallen").height,
                "why": standing[StandingTable.why].to_list(),
                "waits": waits[DecisionTable.reason].to_list(),
                "born": number in born,
            }
        )
    return rows


def _number(day: pl.Expr, zero: date) -> pl.Expr:
    return (day - pl.lit(zero)).dt.total_days()


def _money(births: pl.DataFrame, marks: pl.DataFrame, right: dict[str, bool], zero: date) -> list[dict[str, Any]]:
    """Return who on paper or beyond met, with what nights know, all that full money asks for, and on which day first.

    Orders were sent to no venue, so nobody could move there: what trades and venues show, and a person's yes, are left
    out; the days that paper and testnet take at least are not.
    """
    (rule,) = (rule for rule in RULES if rule.name == "full money")
    asked = [requirement for requirement in rule.requirements if requirement.kind != "approved"]
    held: Counter[str] = Counter()
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
            held[row["id"]] = held[row["id"]] + 1 if row["stage"] in SEATED else 0
            if held[row["id"]] >= DAYS_ON_THE_WAY and met and row["id"] not in found:
                found[row["id"]] = {"day": (day - zero).days, "right": right[row["id"]]}
    return list(found.values())


def _earned(world: YearWorld, marks: pl.DataFrame) -> dict[str, float]:
    """Return what equal parts of all on paper or beyond earned at the risk of one, in standard deviations of a day.

    Beside it stand what an account earned of that which gives each of them a quarter at most, and what the best rule of
    the product earns on such an edge in the days in which there was one.
    """
    held = (
        marks.sort("day", "id")
        .with_columns(size=pl.col(EvidenceDayTable.factor).shift(1, fill_value=1.0).over(EvidenceDayTable.id))
        .filter(pl.col(EvidenceDayTable.stage).is_in(SEATED), pl.col(EvidenceDayTable.recorded))
        .group_by("day")
        .agg(net=(pl.col("size") * pl.col(EvidenceDayTable.standardised)).mean(), seated=pl.len())
        .with_columns(account=pl.col("net") * (pl.col("seated") * LARGEST_SHARE).clip(upper_bound=1.0))
    )
    oracle = ORACLES[world.edge.family, world.edge.strength] / YEAR * len(world.alive) if world.edge else 0.0
    return {
        "seated_days": float(held.height),
        "earned": float(held["net"].sum()),
        "account": float(held["account"].sum()),
        "oracle": oracle,
    }


def run() -> list[dict[str, Any]]:
    """Live through all worlds, or as many as `YEAR_WORLDS` says, two at a time, and count."""
    wanted = worlds()[: int(os.environ.get("YEAR_WORLDS", "0")) or None]
    code = code_identity("quant_organism.cycle") + code_identity("quant_organism.deployment")
    place = FOLDER / hashlib.sha256(f"{PROFILE.hash}{BARS.name}{code}".encode()).hexdigest()[:12]
    console, found = Console(), list[dict[str, Any]]()
    with multiprocessing.get_context("spawn").Pool(min(2, os.cpu_count() or 1), maxtasksperchild=1) as pool:
        for outcome in pool.imap_unordered(partial(lived, place=place), wanted):
            found.append(outcome)
            told = {name: outcome[name] for name in ("world", "paper", "money", "earned", "cpu_seconds_a_cycle")}
            console.print(f"[dim]{len(found)} of {len(wanted)}: {told}", highlight=False)
    return counted(found)


def counted(outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rates of all kinds of worlds."""
    return [row for kind, _ in KINDS for row in _counts(kind, [one for one in outcomes if _kind(one) == kind])]


def _kind(outcome: dict[str, Any]) -> str:
    return str(outcome["world"].rpartition("-")[0])


def _counts(kind: str, outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not outcomes:
        return []
    rows, alive = list[dict[str, Any]](), YearWorld(kind, 0).alive
    for what in ("paper", "money"):
        if kind != "null":
            rows.append(_power(what, kind, outcomes, alive))
        if kind in ("null", "appears", "dies"):
            false = sum(any(move["day"] not in alive for move in one[what]) for one in outcomes)
            moves = sum(move["day"] not in alive for one in outcomes for move in one[what])
            note = f"while there was no edge; {moves} moves"
            rows.append(_row(f"false_{what}_{kind}", false, len(outcomes), "worlds", note))
    if kind == "dies":
        rows.append(_noticed(outcomes))
    if kind != "null":
        rows.append(_false_alarms(kind, outcomes, alive))
    return [*rows, *_earnings(kind, outcomes), *_stops(kind, outcomes), _cost(kind, outcomes)]


def _power(what: str, kind: str, outcomes: list[dict[str, Any]], alive: range) -> dict[str, Any]:
    """Return in how many worlds one whose true net mean is positive got there while there was an edge."""
    true = [
        min((move["day"] for move in one[what] if move["right"] and move["day"] in alive), default=None)
        for one in outcomes
    ]
    days = [day - alive.start for day in true if day is not None]
    anybody = sum(any(move["day"] in alive for move in one[what]) for one in outcomes)
    after = f"median day {statistics.median(days):.0f} of the edge" if days else "never"
    return _row(f"{what}_{kind}", len(days), len(outcomes), "worlds", f"{after}; anybody at all in {anybody}")


def _noticed(outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how many of those who held a seat when the edge died lost it within what was left of the year."""
    seats = [
        [
            move["number"]
            for move in one["moves"]
            if move["id"] == id and _is_leaving(move) and move["number"] > DEAD_DAY
        ]
        for one in outcomes
        for id in one["seated_at_death"]
    ]
    days = [min(left) - DEAD_DAY for left in seats if left]
    after = f"after a median of {statistics.median(days):.0f} days" if days else "never"
    return _row("death_noticed", len(days), len(seats), "seats", f"{after}, of {7 * WEEKS - DEAD_DAY} that were left")


def _is_leaving(move: dict[str, Any]) -> bool:
    return move["start"] in SEATED and move["end"] in ("decaying", "retired")


def _false_alarms(kind: str, outcomes: list[dict[str, Any]], alive: range) -> dict[str, Any]:
    """Return how often those whose true net mean is positive lost a seat while the edge lived, in a year of a seat."""
    days, rules = 0, list[str]()
    for one in outcomes:
        right = {birth["id"] for birth in one["births"] if birth["right"]}
        days += sum(day in alive for id, held in one["seated"].items() if id in right for day in held)
        rules += [
            move["rule"]
            for move in one["moves"]
            if move["id"] in right and _is_leaving(move) and move["number"] in alive
        ]
    note = f"{len(rules)} in {days} days of seats: {', '.join(sorted(rules)) or 'none'}"
    value = 365.0 * len(rules) / days if days else math.nan
    return {"metric": f"false_alarms_{kind}", "value": value, "unit": "a year of a seat", "note": note}


def _earnings(kind: str, outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    oracle, days = (sum(one[name] for one in outcomes) for name in ("oracle", "seated_days"))
    rows = []
    for name, what in (("earned", "equal parts of all that are seated"), ("account", "a quarter of the account each")):
        value = sum(one[name] for one in outcomes)
        unit = "share of the oracle" if oracle else "standard deviations"
        note = f"{what}, {days:.0f} days; worlds {', '.join(f'{one[name]:.1f}' for one in outcomes)}"
        rows.append({"metric": f"{name}_{kind}", "value": value / (oracle or 1.0), "unit": unit, "note": note})
    return rows


def _stops(kind: str, outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how far the weeks of each line got: something to find, a candidate through the gates, a birth."""
    rows = []
    for line in LINE_DAYS:
        weeks = [week for one in outcomes for week in one["weeks"] if week["line"] == line]
        found = [week for week in weeks if week["pretest_p"] is not None and week["pretest_p"] <= LEVEL]
        stood, born = (sum(bool(week[name]) for week in found) for name in ("standing", "born"))
        luck = [week["search_p"] for week in found if week["search_p"] is not None]
        gates = Counter(gate for week in found if not week["standing"] for why in week["why"] for gate in _fell_at(why))
        note = f"of {len(weeks)} weeks {len(found)} had something to find, {stood} a candidate through the gates, "
        note += f"{born} a birth"
        note += "".join(f"; {count} fell at {gate}" for gate, count in gates.most_common(4))
        note += f"; median p of the search {statistics.median(luck):.2f}" if luck else ""
        share = born / len(weeks) if weeks else math.nan
        rows.append({"metric": f"births_{line}_{kind}", "value": share, "unit": "a week", "note": note})
    return rows


def _fell_at(why: str) -> list[str]:
    return re.findall(r"^fell at ([^:]*):", why)


def _cost(kind: str, outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    seconds = statistics.median(one["cpu_seconds_a_cycle"] for one in outcomes)
    note = f"{statistics.mean(len(one['births']) for one in outcomes):.1f} births a world"
    return {"metric": f"cycle_{kind}", "value": seconds, "unit": "CPU seconds", "note": note}


def _row(metric: str, count: int, among: int, what: str, note: str) -> dict[str, Any]:
    low, high = stats.binomtest(count, among).proportion_ci(method="exact") if among else (0.0, 1.0)
    share = count / among if among else math.nan
    text = f"{count} of {among} {what} ({low:.2f} to {high:.2f}), {note}"
    return {"metric": metric, "value": share, "unit": "share", "note": text}
