"""The cycles that a data folder keeps: a list of them, and what sets two of them apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, get_args

import orjson
import polars as pl

from quant_organism.deployment import DecisionTable, DocumentTable
from quant_organism.errors import InputError
from quant_organism.evolution import (
    CandidateTable,
    CycleTable,
    EvolutionSpec,
    FamilyProgressTable,
    PopulationTable,
    Profile,
    ProgressTable,
)
from quant_organism.market import CycleIndex, CycleIndexTable, Interval, Lake, PanelTable, Table, line_of
from quant_organism.validation import PretestTable, SignificanceTable, StandingTable, VerdictTable

_MOST_NAMED: Final = 8


class StoredRun:
    """One cycle at rest.

    Parameters
    ----------
    data_dir
        The data folder.
    market, interval, day, cycle
        Which cycle.
    latest
        Whether it is the one that views of its day show.
    """

    def __init__(
        self, data_dir: Path, *, market: str, interval: Interval, day: date, cycle: str, latest: bool = False
    ) -> None:
        self.market, self.interval, self.day, self.cycle, self.latest = market, interval, day, cycle, latest
        self._lake = Lake(data_dir / "lake")
        report = data_dir / "reports" / market / interval.name / day.isoformat() / cycle / "report.html"
        self.report = report if report.exists() else None

    @property
    def name(self) -> str:
        """``<market>/<date>/<cycle>``, as strategy documents name it."""
        return f"{self.market}/{self.day}/{self.cycle}"

    def has(self, table: type[Table]) -> bool:
        """Tell whether the cycle has stored a table."""
        stored = self._lake.table(table, cycle=self.cycle)
        return stored.path(market=self.market, interval=self.interval.name, day=self.day).exists()

    def read(self, table: type[Table]) -> pl.DataFrame:
        """Return a table of the cycle; without rows where it has not stored it."""
        if not self.has(table):
            return table.empty()
        stored = self._lake.table(table, cycle=self.cycle)
        return stored.read_day(self.day, market=self.market, interval=self.interval.name)

    @property
    def record(self) -> dict[str, Any]:
        """What it is a function of; empty where an earlier version did not write it down."""
        rows = self.read(CycleTable)
        return {} if rows.is_empty() else rows.row(0, named=True)

    @property
    def plan(self) -> dict[str, Any]:
        """How it searched and judged; empty where an earlier version did not write it down."""
        return dict(orjson.loads(text)) if (text := self.record.get("plan")) else {}

    @property
    def state(self) -> str:
        """How far it got, in a word or two."""
        if not self.has(PopulationTable):
            return "begun"
        if not self.has(StandingTable):
            return "searched"
        if not self.has(DecisionTable):
            return "judged"
        copies = self.read(SignificanceTable)[SignificanceTable.status]
        return "copies missing" if "incomplete" in copies else "complete"

    def summary(self) -> dict[str, Any]:
        """Return what a list of cycles says of it; counts of stages that have not run are missing."""
        families, candidates = self.read(FamilyProgressTable), self.read(CandidateTable)
        standings, decisions = self.read(StandingTable), self.read(DecisionTable)
        judged, decided = self.has(StandingTable), self.has(DecisionTable)
        return {
            "date": self.day,
            "cycle": self.cycle,
            "market": self.market,
            "interval": self.interval.name,
            "profile": profile_of(self.plan),
            "gates": self.plan.get("gates", {}).get("name"),
            "seed": self.record.get("seed"),
            "families": families.filter(pl.col("members") > 0)["family"].n_unique() if families.height else None,
            "candidates": candidates["candidate"].n_unique() if self.has(CandidateTable) else None,
            "survivors": int(standings["passed"].sum()) if judged else None,
            "deployed": decisions.filter(action="deploy").height if decided else None,
            "state": self.state,
            "latest": self.latest,
            "report": self.report,
        }


def stored_runs(data_dir: Path, day: date | None = None) -> list[StoredRun]:
    """Return the cycles that a data folder keeps, by date, market and interval, then as they were begun.

    Parameters
    ----------
    data_dir
        The data folder; its lake is of the newest form.
    day
        Only of this day; None: of all days.
    """
    return sorted(_runs(data_dir, day), key=lambda run: (run.day, run.market, run.interval))


def _runs(data_dir: Path, day: date | None) -> Iterator[StoredRun]:
    lake = Lake(data_dir / "lake")
    for folder in sorted((lake.root / CycleIndexTable.dataset).glob("market=*/interval=*")):
        market, name = (level.partition("=")[2] for level in folder.parts[-2:])
        interval = Interval.parse(name)
        index = CycleIndex(lake.root, market, interval)
        for held in lake.table(CycleIndexTable).days(market=market, interval=name):
            rows = index.rows(held).iter_rows(named=True) if day in (None, held) else ()
            for row in rows:
                yield StoredRun(
                    data_dir, market=market, interval=interval, day=held, cycle=row["cycle"], latest=row["latest"]
                )


def choose_run(runs: Sequence[StoredRun], name: str) -> StoredRun:
    """Return the cycle that a name means: an identity or how it begins, with the date or market before it or not.

    A date alone means the latest cycle of that day.

    Raises
    ------
    InputError
        None or several have that name; they are named.
    """
    parts = name.strip("/").split("/")
    found = [run for run in runs if _is_named(run, parts)]
    exact = [run for run in found if run.cycle == parts[-1]]
    found = exact or found
    if len(found) == 1:
        return found[0]
    if not runs:
        raise InputError(f"there is no cycle {name!r}", remedy="there are none here yet; make one: quant-organism run")
    shown = [run.name for run in (found or runs)]
    more = f" and {len(shown) - _MOST_NAMED} more" if len(shown) > _MOST_NAMED else ""
    known = ", ".join(shown[-_MOST_NAMED:]) + more
    if found:
        raise InputError(f"{name!r} means {len(found)} cycles", remedy=f"say more of the name: {known}")
    raise InputError(
        f"there is no cycle {name!r}", remedy=f"see them with: quant-organism runs list; there are: {known}"
    )


def _is_named(run: StoredRun, parts: Sequence[str]) -> bool:
    if parts[-1] == run.day.isoformat():
        return run.latest and list(parts[:-1]) in ([], [run.market])
    before = [run.market, run.day.isoformat()]
    given = list(parts[:-1])
    return bool(parts[-1]) and run.cycle.startswith(parts[-1]) and given == before[len(before) - len(given) :]


def profile_of(plan: Mapping[str, Any]) -> str | None:
    """Return the shipped profile that a plan's search is nearest to, and what is otherwise; None without a plan."""
    if not plan:
        return None
    search = plan["search"]
    changes = {
        name: [key for key, value in _plain(EvolutionSpec.profile(name)).items() if search.get(key) != value]
        for name in get_args(Profile)
    }
    name = min(changes, key=lambda one: len(changes[one]))
    parts = [name, *([f"other {', '.join(changes[name])}"] if changes[name] else [])]
    return ", ".join([*parts, *(["short line"] if line_of(plan) == "short" else [])])


def _plain(spec: EvolutionSpec) -> dict[str, Any]:
    return dict(orjson.loads(orjson.dumps(spec.model_dump())))


@dataclass(frozen=True)
class RunComparison:
    """What sets two cycles apart; of each pair of values the first is A's.

    Attributes
    ----------
    settings
        What was set, or went in, differently: name, and both values.
    figures
        Counts, best statistics and p-values: name, and both values.
    gates
        Of each gate: stage, gate, and how many candidates passed of how many, in words.
    strategies
        Strategies put forward by either: identity, standing and score on the unseen days, in sample on the short line.
    documents
        Strategy documents that either wrote: identity, and whether A and B did.
    """

    settings: list[tuple[str, Any, Any]]
    figures: list[tuple[str, Any, Any]]
    gates: list[tuple[str, str, str | None, str | None]]
    strategies: list[tuple[str, str | None, float | None, str | None, float | None]]
    documents: list[tuple[str, bool, bool]]


def compare_runs(a: StoredRun, b: StoredRun) -> RunComparison:
    """Return what sets two cycles apart."""
    first, second = _facts(a), _facts(b)
    names = dict.fromkeys((*first, *second))
    ours, theirs = figures_of(a), figures_of(b)
    passed = (_passed(a), _passed(b))
    standings = [{row["candidate"]: row for row in run.read(StandingTable).iter_rows(named=True)} for run in (a, b)]
    written = [set(run.read(DocumentTable)[DocumentTable.id]) for run in (a, b)]
    return RunComparison(
        settings=[(n, first.get(n), second.get(n)) for n in names if first.get(n) != second.get(n)],
        figures=[(name, value, theirs[name]) for name, value in ours.items()],
        gates=[(*gate, passed[0].get(gate), passed[1].get(gate)) for gate in dict.fromkeys((*passed[0], *passed[1]))],
        strategies=[
            (id, *(one.get(id, {}).get(key) for one in standings for key in ("standing", "score")))
            for id in dict.fromkeys((*standings[0], *standings[1]))
        ],
        documents=[(id, *(id in one for one in written)) for id in sorted(written[0] | written[1])],
    )


def _facts(run: StoredRun) -> dict[str, Any]:
    """Return all that a cycle is a function of, one level deep: lists of gates by what each of them asks."""
    record, plan, panel = run.record, dict(run.plan), run.read(PanelTable)
    facts = {
        "market": run.market,
        "interval": run.interval.name,
        "date": run.day.isoformat(),
        "symbols": ", ".join(panel["symbol"]) or None,
        "days of the panel": None if panel.is_empty() else panel[0, "panel_days"],
        "line": line_of(plan),
        **{name: record.get(name) for name in ("panel_hash", "seed", "founded_by", "code_version")},
    }
    gates, _ = plan.pop("gates", {}), plan.pop("line", None)
    facts |= dict(_flat(plan))
    for goal, asked in gates.items():
        if isinstance(asked, str):
            facts["gates"] = asked
        else:
            facts |= {f"{goal}: {_asks(gate)}": "asked" for gate in asked}
    return facts


def _flat(document: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value if not isinstance(value, list) else ", ".join(map(str, value))


def _asks(gate: Mapping[str, Any]) -> str:
    said = [f"{key} {value}" for key, value in gate.items() if key != "gate" and value is not None]
    return " ".join([gate["gate"], *said])


def figures_of(run: StoredRun) -> dict[str, Any]:
    """Return counts, best statistics and p-values of a cycle; missing where a stage has not run."""
    summary, last = run.summary(), run.read(ProgressTable).tail(1)
    feasible = run.read(PopulationTable).filter("feasible")
    standings, pretest, luck = run.read(StandingTable), run.read(PretestTable), run.read(SignificanceTable)
    committee, best = luck.filter(statistic="committee"), standings["score"].fill_nan(None).max()
    return {
        "state": summary["state"],
        "trials": run.read(PopulationTable).height if run.has(PopulationTable) else None,
        "feasible trials": feasible.height if run.has(PopulationTable) else None,
        **{name: summary[name] for name in ("families", "candidates", "survivors")},
        "proven": standings.filter(standing="paper").height if run.has(StandingTable) else None,
        "deployed": summary["deployed"],
        "best Sharpe ratio in sample": feasible["sharpe"].max(),
        "hypervolume": None if last.is_empty() else last[0, "hypervolume"],
        "best Sharpe ratio on unseen days": best if line_of(run.plan) == "long" else None,
        "p-value before the search": None if pretest.is_empty() else pretest[0, "p_value"],
        "p-value of the whole search": None if committee.is_empty() else committee[0, "p_value"],
    }


def _passed(run: StoredRun) -> dict[tuple[str, str], str]:
    """Return how many candidates passed each gate, of how many that it judged."""
    counted = (
        run.read(VerdictTable)
        .filter(pl.col("status").is_in(["passed", "failed"]))
        .group_by("stage", "gate", maintain_order=True)
        .agg(passed=(pl.col("status") == "passed").sum(), judged=pl.len())
    )
    return {(row["stage"], row["gate"]): f"{row['passed']} of {row['judged']}" for row in counted.iter_rows(named=True)}
