"""One run of a workflow: phases in their order, what passes from one to the next, checkpoints, and what is written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import orjson
import polars as pl

from quant_organism.cycle import Compute, Progress, SplitPanel, no_progress
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.errors import InputError, QuantOrganismError
from quant_organism.evolution import default_families
from quant_organism.kernels.closure import code_identity
from quant_organism.market import Interval, Lake, Panel, Table, day_of
from quant_organism.resilience import StoragePath
from quant_organism.validation.profile import Profile
from quant_organism.workflows.checks import evolution_spec, gates_of
from quant_organism.workflows.inputs import PhaseInputs
from quant_organism.workflows.mining import Region
from quant_organism.workflows.mining.founders import confirmed_regions
from quant_organism.workflows.outcome import PhaseOutcome, digest_of
from quant_organism.workflows.patterns import PATTERNS
from quant_organism.workflows.plan import PhasePlan, WorkflowPlan, universe_of
from quant_organism.workflows.store import WorkflowStore
from quant_organism.workflows.tables import WorkflowPhaseTable, WorkflowRunTable

Status = Literal["pending", "in_progress", "completed", "failed", "skipped"]

HEALTH: Final[Mapping[Status, str]] = {
    "pending": "disconnected",
    "in_progress": "connecting",
    "completed": "connected",
    "failed": "error",
    "skipped": "disconnected",
}
"""Health of a phase, by its status."""

_COMPUTED_BY: Final = "quant_organism.workflows.patterns"
_ARRAYS: Final = ("open", "high", "low", "close", "volume", "funding_rate", "funding_paid", "valid")


def nobody(moment: str, where: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Workplace:
    """Where a workflow runs, and with what.

    Parameters
    ----------
    lake, market, interval, data
        Where records are, and the panel that phases look at.
    folder
        Of checkpoints, of all runs.
    repository
        Of strategy documents.
    compute
        What is computed with; no result depends on it.
    own_code
        Whether functions of somebody's own files may be called.
    clock, now
        Seconds, and the moment: for limits of time, and for what is shown.
    progress
        Told how far a phase is.
    noted
        Told (what happened, where) of every change of a phase: logs, alerts.
    """

    lake: Lake
    market: str
    interval: Interval
    data: SplitPanel
    folder: Path
    repository: StrategyRepository
    compute: Compute = field(default_factory=Compute)
    own_code: bool = False
    clock: Callable[[], float]
    now: Callable[[], datetime]
    progress: Progress = no_progress
    noted: Callable[[str, str], None] = nobody


@dataclass
class PhaseState:
    """How far a phase is."""

    plan: PhasePlan
    status: Status = "pending"
    seconds: float = 0.0
    key: str = ""
    outputs: str = ""
    note: str = ""
    outcome: PhaseOutcome | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)


class WorkflowRun:
    """A run of a workflow, phase by phase; whoever coordinates calls `begin`, `phase` for each, and `end`.

    Parameters
    ----------
    plan, source
        The workflow, and the text of its file.
    id
        Correlation id; a run that goes on has the id that it began with.
    place
        Where, and with what.
    """

    def __init__(self, plan: WorkflowPlan, source: bytes, id: str, place: Workplace) -> None:
        self.plan, self.id, self.place, self._source = plan, id, place, source
        self.store = WorkflowStore(place.lake.root, place.folder, id)
        self.states = {phase.name: PhaseState(phase) for phase in plan.phases}
        known, before = self.store.read(WorkflowRunTable), self.store.read(WorkflowPhaseTable)
        self._begun = place.now() if known.is_empty() else known[0, WorkflowRunTable.begun]
        self._seconds_before = dict(zip(before["phase"], before["seconds"], strict=True))
        self._ended: datetime | None = None
        self._is_written = False
        self._panels: dict[tuple[str, ...], SplitPanel] = {}

    @cached_property
    def code(self) -> str:
        """Identity of the code that computes phases."""
        return code_identity(_COMPUTED_BY)

    @property
    def failed(self) -> list[PhaseState]:
        """Phases that failed."""
        return [state for state in self.states.values() if state.status == "failed"]

    def begin(self, chosen: Sequence[str] = ()) -> tuple[PhasePlan, ...]:
        """Take up what is at rest of this run, and return the phases that are to be run.

        The first of them writes down that the run is under way, or `end` that there was nothing to do.

        Parameters
        ----------
        chosen
            Names of phases; none: all.

        Raises
        ------
        InputError
            A phase that is read is neither completed nor chosen, a symbol is not known, code of somebody's own is not
            allowed, or what is at rest is of another workflow.
        """
        phases = self.plan.chosen(chosen)
        names = {phase.name for phase in phases}
        own = [phase.name for phase in phases if phase.spec.type == "own"]
        if own and not self.place.own_code:
            raise InputError(
                f"phase {own[0]} runs code of its own file, which may do whatever you may do",
                where=str(self.plan.phase(own[0]).spec.file),
                remedy="read the file, then allow it with --own-code",
            )
        for phase in self.plan.phases:
            self._panel(phase)
            self._take_up(phase)
        for phase in phases:
            for need in phase.needs:
                if need not in names and self.states[need].status != "completed":
                    raise InputError(
                        f"phase {phase.name} reads phase {need}, which is not completed",
                        where=self.plan.spec.name,
                        remedy=f"choose {need} too, or leave out --phase",
                    )
        return tuple(phase for phase in phases if self.states[phase.name].status != "completed")

    def phase(self, name: str) -> PhaseState:
        """Run one phase and keep what comes of it; one whose predecessors are not completed is skipped.

        A `QuantOrganismError` is written down, and raised by `end`; whatever else goes wrong is raised at once.
        """
        state = self.states[name]
        missing = [need for need in state.plan.needs if self.states[need].status != "completed"]
        inputs = None if missing else self._inputs(state.plan)
        if missing:
            self._change(state, "skipped", note=f"phase {missing[0]} is not completed")
        elif inputs is not None and state.plan.needs and self._without_winners(state.plan):
            self._change(state, "skipped", note=f"phase {state.plan.spec.inherit_best_from} has no winner")
        elif inputs is not None:
            self._run(state, inputs)
        return state

    def end(self) -> None:
        """Write down that the run has ended, unless the phase that ended last did."""
        pending = [state for state in self.states.values() if state.status == "pending"]
        for state in pending:
            state.status, state.note = "skipped", "not asked for"
        if pending or self._ended is None:
            self._write(ends=True)

    def _run(self, state: PhaseState, inputs: PhaseInputs) -> None:
        self._change(state, "in_progress")
        began = self.place.clock()
        try:
            outcome = PATTERNS[state.plan.spec.type](inputs, state.plan.spec)
            outputs, files = self.store.encoded(state.plan.name, state.identity, outcome)
            state.seconds = self.place.clock() - began
            state.outcome, state.outputs = outcome, outputs
            self._change(state, "completed", note="; ".join(outcome.notes), files=files)
        except QuantOrganismError as error:
            state.seconds = self.place.clock() - began
            state.outcome, state.outputs = None, ""
            self._change(state, "failed", note=str(error))
            return
        if not outcome.stopped_by.startswith("hours"):
            self.store.forget_batches(state.plan.name, state.key)

    def _take_up(self, phase: PhasePlan) -> None:
        state = self.states[phase.name]
        if any(self.states[need].status != "completed" for need in phase.needs):
            return
        identity = self._identity(phase)
        found = self.store.load(phase.name, identity)
        if found is None or found[0].stopped_by.startswith("hours"):
            return  # one that time cut short goes on
        state.outcome, state.outputs = found
        state.key, state.status = digest_of(identity), "completed"
        state.note, state.seconds = "; ".join(state.outcome.notes), self._seconds_before.get(phase.name, 0.0)

    def _without_winners(self, phase: PhasePlan) -> bool:
        outcome = self.states[phase.needs[0]].outcome
        return phase.spec.inherit_best_from is not None and outcome is not None and not outcome.winners

    def _identity(self, phase: PhasePlan) -> dict[str, Any]:
        """Return all that a phase is a function of, as plain values by name; the correlation id is none of it."""
        built = {t.name: [m.genome.hash for m in t.build(t.parameters).members] for t in phase.templates}
        files = {}
        if phase.spec.type == "own":
            files["file"] = hashlib.sha256((self.plan.folder / str(phase.spec.file)).read_bytes()).hexdigest()
        if phase.spec.founders_in_regions:
            files["regions"] = digest_of([[region.family, region.document] for region in self._regions(phase)])
        if phase.spec.type == "validation":
            files["gates"] = Profile.load(gates_of(phase.spec, self.plan.folder)).hash
        return {
            "code": self.code,
            "panel": self._panel(phase).panel.hash,
            "market": self.place.market,
            "interval": self.place.interval.name,
            "costs": phase.costs.hash,
            **self.plan.shared,
            "name": phase.name,
            "phase": orjson.loads(orjson.dumps(dict(phase.document))),
            "strategies": built,
            "files": files,
            "needs": {need: self.states[need].outputs for need in phase.needs},
        }

    def _inputs(self, phase: PhasePlan) -> PhaseInputs:
        state, place = self.states[phase.name], self.place
        state.identity = self._identity(phase)
        state.key = digest_of(state.identity)
        outcomes = {need: outcome for need in phase.needs if (outcome := self.states[need].outcome) is not None}
        parent = None if phase.spec.inherit_best_from is None else self.plan.phase(phase.spec.inherit_best_from)
        top = 10**6 if phase.spec.type == "deployment" and "top" not in phase.spec.model_fields_set else phase.spec.top
        return PhaseInputs(
            plan=self.plan,
            phase=phase,
            key=state.key,
            run=f"{self.id}.{phase.name}",
            lake=place.lake,
            market=place.market,
            interval=place.interval,
            data=self._panel(phase),
            compute=place.compute,
            repository=place.repository,
            regions=self._regions(phase),
            winners=() if parent is None else outcomes[parent.name].winners[:top],
            outcomes=outcomes,
            parent=parent,
            parent_key="" if parent is None else self.states[parent.name].key,
            keep=self.store.keeper(phase.name, state.key, place.clock),
            clock=place.clock,
            progress=place.progress,
        )

    def _regions(self, phase: PhasePlan) -> tuple[Region, ...]:
        """Return the regions that founders of a phase are drawn in; none where it asks for none."""
        if not phase.spec.founders_in_regions:
            return ()
        seen = self._panel(phase).in_sample
        families = evolution_spec(phase.spec).families or default_families(seen)
        return confirmed_regions(self.place.lake, self.place.interval.name, day_of(int(seen.times[0])), families)

    def _panel(self, phase: PhasePlan) -> SplitPanel:
        whole = self.place.data
        symbols = universe_of(phase.spec.market, whole.panel.symbols, phase.name)
        if symbols == whole.panel.symbols:
            return whole
        if symbols not in self._panels:
            self._panels[symbols] = SplitPanel(panel_of(whole.panel, symbols))
        return self._panels[symbols]

    def _change(
        self, state: PhaseState, status: Status, *, note: str = "", files: Sequence[tuple[StoragePath, bytes]] = ()
    ) -> None:
        state.status, state.note = status, note
        self.place.noted(status, f"{self.id}.{state.plan.name}")
        ends = all(s.status not in ("pending", "in_progress") for s in self.states.values())
        # A phase that begins changes nothing of the run but that it is under way.
        self._write(ends=ends, run=status != "in_progress", files=files)

    def _write(self, *, ends: bool, run: bool = True, files: Sequence[tuple[StoragePath, bytes]] = ()) -> None:
        """Write down how far the run and its phases are; files of a phase before that, at once."""
        self._ended = self.place.now() if ends else None
        frames: dict[type[Table], pl.DataFrame] = {WorkflowPhaseTable: WorkflowPhaseTable.frame(self._phase_rows())}
        if run or not self._is_written:
            frames[WorkflowRunTable] = WorkflowRunTable.frame([self._run_row()])
        source = [] if self._is_written else [(self.store.spec_path, self._source)]
        self.store.write(frames, [*source, *files])
        self._is_written = True

    def _phase_rows(self) -> list[dict[str, Any]]:
        rows = []
        for place, (name, state) in enumerate(self.states.items()):
            plan, outcome = state.plan, state.outcome
            rows.append(
                {
                    "place": place,
                    "phase": name,
                    "type": plan.spec.type,
                    "status": state.status,
                    "health": HEALTH[state.status],
                    "seconds": state.seconds,
                    "strategies": 0 if outcome is None else outcome.strategies,
                    "winners": 0 if outcome is None else len(outcome.winners),
                    "trials": 0 if outcome is None else outcome.trials,
                    "inherits": plan.spec.inherit_best_from or "",
                    "span": plan.span,
                    "in_sample": plan.marked,
                    "identity": state.key,
                    "outputs": state.outputs,
                    "cycle": "" if outcome is None else outcome.cycle,
                    "stopped_by": "" if outcome is None else outcome.stopped_by,
                    "note": state.note,
                }
            )
        return rows

    def _run_row(self) -> dict[str, Any]:
        states, panel, price = list(self.states.values()), self.place.data.panel, self._price()
        outcomes = [state.outcome for state in states if state.outcome is not None]
        seconds = sum(state.seconds for state in states)
        status = "in_progress" if self._ended is None else "failed" if self.failed else "completed"
        return {
            "name": self.plan.spec.name,
            "status": status,
            "spec_hash": self.plan.hash,
            "panel_hash": panel.hash,
            "code": self.code,
            "seed": self.plan.spec.seed,
            "market": self.place.market,
            "interval": self.place.interval.name,
            "first_day": day_of(int(panel.times[0])),
            "last_day": day_of(int(panel.times[-1])),
            "begun": self._begun,
            "ended": self._ended,
            "phases": len(states),
            "completed": sum(state.status == "completed" for state in states),
            "strategies": sum(outcome.strategies for outcome in outcomes),
            "trials": sum(outcome.trials for outcome in outcomes),
            "seconds": seconds,
            "cost_usd": None if price is None else price * self.place.compute.threads * seconds / 3_600.0,
            "spec": orjson.dumps(self.plan.spec.model_dump(exclude_unset=True), option=orjson.OPT_SORT_KEYS).decode(),
        }

    def _price(self) -> float | None:
        return self.plan.spec.budget.cost_per_worker_hour_usd


def run_workflow(
    plan: WorkflowPlan, source: bytes, id: str, place: Workplace, *, phases: Sequence[str] = ()
) -> WorkflowRun:
    """Run a workflow, or go on with one that was begun under the same id.

    Parameters
    ----------
    plan, source
        The workflow, and the text of its file.
    id
        Correlation id of the run.
    place
        Where, and with what.
    phases
        Names of the phases to run; none: all.

    Returns
    -------
    WorkflowRun
        With the state of every phase; those that failed say why.

    Raises
    ------
    InputError
        As `WorkflowRun.begin`.
    """
    run = WorkflowRun(plan, source, id, place)
    for phase in run.begin(phases):
        run.phase(phase.name)
    run.end()
    return run


def panel_of(panel: Panel, symbols: Sequence[str]) -> Panel:
    """Return the columns of some symbols of a panel, on the same bars."""
    columns = [panel.symbols.index(symbol) for symbol in symbols]
    arrays = {name: np.ascontiguousarray(getattr(panel, name)[:, columns]) for name in _ARRAYS}
    return Panel.from_arrays(
        symbols=tuple(symbols),
        interval=panel.interval,
        times=panel.times,
        fear_greed=panel.fear_greed,
        market=panel.market,
        **arrays,
    )
