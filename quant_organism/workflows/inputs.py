"""What a pattern works with: its phase, the days it may look at, and the ways to measure that count every look."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from itertools import islice
from typing import Any, Final

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from quant_organism.backtest import Evaluation, Evaluator
from quant_organism.cycle import Compute, Cycle, CyclePlan, Progress, SignificancePlan, SplitPanel, no_progress
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.evolution.ledger import TrialLedger
from quant_organism.evolution.ledger_rows import LedgerIdentity
from quant_organism.evolution.objectives import KNOWN_OBJECTIVES
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.evolution.tables import CycleTable
from quant_organism.kernels.closure import code_identity
from quant_organism.market import Interval, Lake, Panel, Span, day_of
from quant_organism.validation.holdout import HoldoutRegister
from quant_organism.validation.profile import Profile
from quant_organism.workflows.kinds import RESULT_METRICS
from quant_organism.workflows.mining import Region
from quant_organism.workflows.outcome import MOST_WINNERS, PhaseOutcome, PhaseWinner, digest_of
from quant_organism.workflows.plan import PhasePlan, WorkflowPlan
from quant_organism.workflows.spec import ObjectiveSpec
from quant_organism.workflows.store import BatchKeeper
from quant_organism.workflows.strategies import TradedPoint, grid_points, joined, random_points, sized
from quant_organism.workflows.tables import WorkflowResultTable

BATCH: Final = 256
"""Strategies that are measured at once."""

MOST_KEPT: Final = 4_096
"""Strategies of a phase that are kept once they are made."""

_DESCRIBED: Final = ("strategy", "name", "families", "sizer", "parameters", "note")

MEASURED_BY: Final = "quant_organism.workflows.inputs"

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PointMetrics:
    """What some strategies did over a span.

    Parameters
    ----------
    metrics
        By name, each float64 (strategies,).
    daily_returns
        Net, float64 (strategies, days).
    holding_days
        Mean holding of the genomes of each, float64 (strategies,).
    """

    metrics: Mapping[str, Floats]
    daily_returns: Floats
    holding_days: Floats


@dataclass(frozen=True, eq=False, kw_only=True)
class PhaseInputs:
    """All that a pattern may read.

    Parameters
    ----------
    plan, phase
        The workflow and the phase.
    key
        SHA-256 of all that the phase is a function of.
    run
        Correlation id of the run with the phase's segment; nothing that is hashed holds it.
    lake, market, interval, data
        Where records are, and the panel of the phase's universe.
    compute, repository, keep
        What it is computed with, where documents are, and what keeps batches.
    winners
        Those that it inherits, the best first.
    regions
        Confirmed ones, that founders of its evolution are drawn in.
    outcomes
        Of the phases that it reads, by name.
    parent
        The phase that it inherits from.
    parent_key
        `key` of that phase.
    clock, progress
        Seconds, for limits of time alone; told how far it is.
    """

    plan: WorkflowPlan
    phase: PhasePlan
    key: str
    run: str
    lake: Lake
    market: str
    interval: Interval
    data: SplitPanel
    compute: Compute
    repository: StrategyRepository
    keep: BatchKeeper
    winners: tuple[PhaseWinner, ...] = ()
    regions: tuple[Region, ...] = ()
    outcomes: Mapping[str, PhaseOutcome] = field(default_factory=dict)
    parent: PhasePlan | None = None
    parent_key: str = ""
    clock: Callable[[], float] = lambda: 0.0
    progress: Progress = no_progress
    _appended: list[int] = field(default_factory=list, init=False, repr=False)
    _windows: dict[tuple[int, int], Panel] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def evaluator(self) -> Evaluator:
        """Who measures."""
        return self.compute.evaluator()

    @cached_property
    def span(self) -> Span:
        """The rows of the panel that the phase looks at."""
        return self.phase.span_of(self.data.splits)

    @property
    def trials(self) -> int:
        """Genomes that were evaluated so far."""
        return sum(self._appended)

    def points(self) -> Iterator[TradedPoint]:
        """Yield the strategies of the phase: its own grid, or its winners with what the phase changes about them.

        A large grid is made again whenever it is asked for, rather than kept.
        """
        expected = self.phase.points * max(1, len(self.winners))
        yield from self._kept_points if expected <= MOST_KEPT else self._made_points()

    @cached_property
    def _kept_points(self) -> list[TradedPoint]:
        return list(self._made_points())

    def _made_points(self) -> Iterator[TradedPoint]:
        spec, equity = self.phase.spec, self.plan.spec.equity_usd
        sizers = spec.risk.position_sizers if spec.risk else []
        if self.parent is not None:
            yield from self._inherited()
        elif spec.type == "optimization" and spec.method == "random":
            rng = np.random.default_rng([self.plan.spec.seed, int(digest_of(spec.name)[:8], 16)])
            draws = spec.optimization.draws
            yield from random_points(
                self.phase.templates, self.phase.axes, sizers, spec.aggregate, equity, draws=draws, rng=rng
            )
        else:
            yield from grid_points(self.phase.templates, self.phase.axes, sizers, spec.aggregate, equity)

    def _inherited(self) -> Iterator[TradedPoint]:
        spec, equity = self.phase.spec, self.plan.spec.equity_usd
        sizers = spec.risk.position_sizers if spec.risk else []
        points = [winner.point for winner in self.winners]
        if any(self.phase.axes.values()):
            points = [other for point in points for other in self._around(point)]
        if spec.aggregate is not None:
            points = [joined(points, spec.aggregate)]
        for point in points:
            yield from sized(point, sizers, equity)

    def _around(self, point: TradedPoint) -> Iterator[TradedPoint]:
        """Yield a winner with each value of the phase's own grid."""
        template = next((t for t in self.phase.templates if t.name == point.name), None)
        if template is None or not self.phase.axes.get(point.name):
            yield point
            return
        base = type(template)(template.name, template.type, template.known, template.build, dict(point.parameters))
        size = point.committee.genomes[0].genes.get("position_size")
        for other in grid_points([base], {base.name: self.phase.axes[base.name]}, [], None, self.plan.spec.equity_usd):
            parameters = {**other.parameters, **({"position_size": size} if point.sizer else {})}
            yield TradedPoint(point.name, other.parameters, point.sizer, base.build(parameters), point.note)

    def batches(self) -> Iterator[list[TradedPoint]]:
        """Yield the strategies in batches, as many as the budget of evaluations allows."""
        points, left = self.points(), self.phase.evaluations
        while batch := list(islice(points, BATCH if left is None else min(BATCH, left))):
            left = None if left is None else left - len(batch)
            yield batch

    def measure(self, points: Sequence[TradedPoint], start: int, stop: int) -> PointMetrics:
        """Measure strategies over rows of the panel, and enter every genome in the trial ledger.

        Bars after `stop` are not seen; those before `start` warm up.
        """
        panel, costs = self._window(0, stop), self.phase.costs
        genomes = list({genome.hash: genome for point in points for genome in point.committee.genomes}.values())
        alone = self.evaluator.evaluate(genomes, panel, costs, start=start, stop=stop)
        self._count(alone, start, stop)
        place = {genome.hash: row for row, genome in enumerate(genomes)}
        holding = np.nan_to_num(alone.metrics["avg_holding_hours"], nan=24.0) / 24.0
        if all(point.committee.is_genome for point in points):
            rows = [place[point.committee.members[0].genome.hash] for point in points]
            metrics = {name: alone.metrics[name][rows] for name in RESULT_METRICS}
            return PointMetrics(metrics, alone.daily_returns[rows], holding[rows])
        held = np.array([max(holding[place[g.hash]] for g in point.committee.genomes) for point in points])
        committees = [point.committee for point in points]
        together = self.evaluator.evaluate_committees(committees, panel, costs, start=start, stop=stop)
        metrics = {name: together.metrics[name] for name in RESULT_METRICS}
        return PointMetrics(metrics, together.daily_returns, held)

    def _count(self, evaluation: Evaluation, start: int, stop: int) -> None:
        identity = LedgerIdentity(
            spec_hash=digest_of(dict(self.phase.document)),
            panel_hash=self._window(start, stop).hash,
            costs_hash=self.phase.costs.hash,
            cycle=self.run,
            generation=len(self._appended),
            market=self.market,
        )
        self._ledger.append([evaluation], identity)
        self._appended.append(len(evaluation.genomes))

    @cached_property
    def _ledger(self) -> TrialLedger:
        """Kept, since it remembers what it has read."""
        return TrialLedger(self.lake.root)

    def _window(self, start: int, stop: int) -> Panel:
        """Return rows of the panel, the same object for the same rows, since it remembers its hash."""
        if (start, stop) not in self._windows:
            self._windows[start, stop] = self.data.panel.window(start, stop)
        return self._windows[start, stop]

    def look(self, points: Sequence[TradedPoint], show: Callable[[], bytes]) -> None:
        """Have the register of openings note a look at unseen days before it is taken, and what it showed.

        Parameters
        ----------
        points
            All strategies that will be measured.
        show
            Measures, and returns what was seen.
        """
        span, splits = self.span, self.data.splits
        if span.stop <= splits.in_sample.stop:
            show()
            return
        first = max(span.start, splits.unseen.start)
        register, panel = HoldoutRegister(self.lake.root), self.data.panel
        opening = register.open(
            panel,
            Span("unseen", first, span.stop),
            sorted({point.committee.id for point in points}),
            measured_with=f"{self.phase.costs.hash} {self.key} {code_identity(MEASURED_BY)}",
            reason=f"{self.phase.spec.type} of workflow {self.plan.spec.name}",
        )
        register.unseal(panel, opening)
        register.close(panel, opening, show())

    def ranked(self, metrics: Mapping[str, Floats], objective: ObjectiveSpec) -> tuple[Floats, NDArray[np.bool_]]:
        """Return what strategies are ranked by, large is good, and which of them can win; each (strategies,)."""
        direction = KNOWN_OBJECTIVES[objective.metric]
        values = -direction.minimised(metrics[objective.metric])
        feasible = np.isfinite(values) & (metrics["trades"] >= objective.min_trades)
        if objective.max_drawdown is not None:
            feasible &= metrics["max_drawdown"] <= objective.max_drawdown
        return values, feasible

    def row(
        self, point: TradedPoint, metrics: Mapping[str, float], *, rank: int, part: str = "all", **said: Any
    ) -> dict[str, Any]:
        """Return one result of the phase."""
        own = {name: float(metrics[name]) for name in RESULT_METRICS if name in metrics}
        return {**self._shared, "part": part, "rank": rank, **_described(point), **own, **said}

    def rows(
        self,
        points: Sequence[TradedPoint],
        metrics: Mapping[str, Floats],
        *,
        ranks: NDArray[np.int64],
        scores: Floats,
        feasible: NDArray[np.bool_],
    ) -> pl.DataFrame:
        """Return the results of many strategies over all days of the phase, column by column.

        Parameters
        ----------
        points
            Strategies, n of them.
        metrics
            By name, each (n,).
        ranks, scores, feasible
            Place of each by the objective, what it is ranked by, and whether it can win, (n,).
        """
        described = [_described(point) for point in points]
        columns: dict[str, Any] = {name: [value] * len(points) for name, value in self._shared.items()}
        columns |= {name: [own[name] for own in described] for name in _DESCRIBED}
        columns |= {name: metrics[name] for name in RESULT_METRICS}
        columns |= {"part": ["all"] * len(points), "rank": ranks, "objective": scores, "feasible": feasible}
        schema = WorkflowResultTable.schema
        return pl.DataFrame({name: columns[name] for name in schema}, schema=schema, nan_to_null=True)

    @cached_property
    def _shared(self) -> dict[str, Any]:
        """What results of the phase have in common unless they say otherwise."""
        return {
            "phase": self.phase.name,
            "span": self.span.name,
            "in_sample": self.phase.marked,
            "feasible": True,
            "objective": None,
            "passed": None,
        }

    def cycle(self, key: str, spec: EvolutionSpec, gates: Profile, significance: SignificancePlan) -> Cycle:
        """Return the cycle that a search or its judgement belongs to: of the phase's key, founded by no archive.

        Its records lie under an identity of their own; the index of the day's cycles does not know it.
        """
        plan = CyclePlan(
            spec=spec,
            gates=gates,
            seed=self.plan.spec.seed,
            significance=significance,
            costs=self.phase.costs,
            equity_usd=self.plan.spec.equity_usd,
            every_gate=self.phase.spec.every_gate,
        )
        row = {
            "panel_hash": self.data.panel.hash,
            "spec_hash": key,
            "code_version": "workflow",
            "seed": plan.seed,
            "archive_hash": "",
            "founded_by": "",
            "plan": orjson.dumps(plan.document, option=orjson.OPT_SORT_KEYS).decode(),
        }
        return Cycle(
            plan=plan,
            lake=self.lake,
            market=self.market,
            interval=self.interval,
            day=self.day,
            data=self.data,
            compute=self.compute,
            begun=CycleTable.frame([row]),
            trials_of=self.run,
            offer=True,  # to name the phase is to offer what it judges
        )

    @property
    def day(self) -> date:
        """Last day of the panel."""
        return day_of(int(self.data.panel.times[-1]))


def _described(point: TradedPoint) -> dict[str, str]:
    """Return what a result says of its strategy."""
    committee = point.committee
    return {
        "strategy": committee.id,
        "name": point.name,
        "families": ", ".join(sorted({member.genome.family for member in committee.members})),
        "sizer": point.sizer,
        "parameters": orjson.dumps(dict(point.parameters), option=orjson.OPT_SORT_KEYS).decode(),
        "note": point.note,
    }


def best_first(scores: Floats, feasible: NDArray[np.bool_], names: Sequence[str]) -> list[int]:
    """Return places by falling score, equal ones by identity; those that cannot win come last."""
    return sorted(
        range(len(names)),
        key=lambda place: (not feasible[place], -scores[place] if math.isfinite(scores[place]) else 0.0, names[place]),
    )


def each_once(winners: Iterable[PhaseWinner]) -> tuple[PhaseWinner, ...]:
    """Return at most `MOST_WINNERS` of those that won, best first, each identity once."""
    found: dict[str, PhaseWinner] = {}
    for winner in winners:
        found.setdefault(winner.point.committee.id, winner)
        if len(found) == MOST_WINNERS:
            break
    return tuple(found.values())
