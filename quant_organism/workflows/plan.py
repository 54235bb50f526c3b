"""A workflow as it will be run: what a phase inherits, in which order, on which days; every error before any work."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson

from quant_organism.backtest import Costs
from quant_organism.errors import InputError
from quant_organism.market.splits import Span, Splits
from quant_organism.strategies import Committee, ranking_family_names
from quant_organism.workflows.checks import check_aggregation, check_evolution, check_keys, check_pattern
from quant_organism.workflows.kinds import KINDS, SHARES, PatternKind
from quant_organism.workflows.spec import (
    BudgetSpec,
    CostsSpec,
    PhaseSpan,
    PhaseSpec,
    UniverseSpec,
    WorkflowSpec,
    nearest,
)
from quant_organism.workflows.strategies import (
    MOST_POINTS,
    StoredStrategy,
    Template,
    axes_of,
    check_sized,
    count_points,
    template_of,
)

_PARTS: Final[Mapping[PhaseSpan, frozenset[str]]] = MappingProxyType(
    {
        "in_sample": frozenset({"in_sample"}),
        "out_of_sample": frozenset({"out_of_sample"}),
        "walk_forward": frozenset({"walk_forward"}),
        "unseen": frozenset({"out_of_sample", "walk_forward"}),
        "all": frozenset({"in_sample", "out_of_sample", "walk_forward"}),
    }
)


@dataclass(frozen=True)
class PhasePlan:
    """One phase, resolved.

    Parameters
    ----------
    spec
        What it says, with what it inherits.
    document
        The same as plain values, as identities hash it.
    needs
        Earlier phases that it reads.
    templates
        Its strategies, or those that its winners are made of.
    axes
        Its grid, by template.
    points
        Strategies of its grid, per winner where it inherits; 0 where that is not known before it runs.
    span
        Days that it looks at.
    marked
        Whether an optimisation before it saw some of these days.
    seen
        Parts of the panel that its winners were chosen by.
    costs
        What trading costs in it.
    hours, evaluations
        What it may take; None: without limit.
    """

    spec: PhaseSpec
    document: Mapping[str, Any]
    needs: tuple[str, ...]
    templates: tuple[Template, ...]
    axes: Mapping[str, Mapping[str, Any]]
    points: int
    span: PhaseSpan
    marked: bool
    seen: frozenset[str]
    costs: Costs
    hours: float | None
    evaluations: int | None

    @property
    def name(self) -> str:
        """Its name."""
        return self.spec.name

    @property
    def kind(self) -> PatternKind:
        """What holds of its type."""
        return KINDS[self.spec.type]

    def span_of(self, splits: Splits) -> Span:
        """Return its span as rows of the panel."""
        if self.span == "all":
            return Span("all", 0, splits.walk_forward.stop)
        named: Span = getattr(splits, self.span)
        return named


@dataclass(frozen=True)
class WorkflowPlan:
    """A workflow, resolved.

    Parameters
    ----------
    spec
        What the file says.
    phases
        In their order.
    folder
        That paths in the file begin in.
    """

    spec: WorkflowSpec
    phases: tuple[PhasePlan, ...]
    folder: Path

    @cached_property
    def hash(self) -> str:
        """SHA-256 of all that the file says."""
        return hashlib.sha256(_canonical(self.spec.model_dump(exclude_unset=True))).hexdigest()

    @property
    def shared(self) -> dict[str, Any]:
        """What all phases are a function of, as plain values."""
        return {"seed": self.spec.seed, "equity_usd": self.spec.equity_usd}

    def phase(self, name: str) -> PhasePlan:
        """Return a phase by its name; an `InputError` names the nearest."""
        for phase in self.phases:
            if phase.name == name:
                return phase
        raise InputError(f"no phase {name!r}", remedy=nearest(name, [phase.name for phase in self.phases], "phases"))

    def chosen(self, names: Sequence[str]) -> tuple[PhasePlan, ...]:
        """Return some phases in their order; all where none is named."""
        wanted = {self.phase(name).name for name in names}
        return tuple(phase for phase in self.phases if not wanted or phase.name in wanted)


def no_strategies(id: str) -> Committee:
    """Find no stored strategy: for those who have no folder of them."""
    raise InputError(f"there is no strategy {id}", remedy="see them with: quant-organism strategies list")


def plan_workflow(spec: WorkflowSpec, folder: Path, stored: StoredStrategy = no_strategies) -> WorkflowPlan:
    """Resolve a workflow; reads no market data.

    Parameters
    ----------
    spec
        What the file says.
    folder
        That paths in it begin in.
    stored
        Finds stored strategies.

    Raises
    ------
    InputError
        Whatever would make a phase impossible or its result dishonest; the message names the path in the file.
    """
    names = [phase.name for phase in spec.phases]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"two phases are called {twice[0]}", where="phases", remedy="give each its own name")
    if spec.type not in ("multi_phase", *KINDS):
        raise InputError(
            f"no workflow type {spec.type!r}", where="type", remedy=nearest(spec.type, ("multi_phase", *KINDS))
        )
    _check_order(spec)
    phases: dict[str, PhasePlan] = {}
    for place, phase in enumerate(spec.phases):
        phases[phase.name] = _resolved(phase, f"phases[{place}]", spec, phases, folder, stored)
    return WorkflowPlan(spec, tuple(phases.values()), folder)


def _check_order(spec: WorkflowSpec) -> None:
    """Refuse inheritance from what does not exist, from oneself in a roundabout way, and from later phases."""
    order = {phase.name: place for place, phase in enumerate(spec.phases)}
    parents = {phase.name: phase.inherit_best_from for phase in spec.phases}
    for place, phase in enumerate(spec.phases):
        for key, names in (("inherit_best_from", [phase.inherit_best_from]), ("phases", phase.phases)):
            for name in filter(None, names):
                if name not in order:
                    raise InputError(
                        f"there is no phase {name!r}", where=f"phases[{place}].{key}", remedy=nearest(name, list(order))
                    )
    for place, phase in enumerate(spec.phases):
        chain, parent = [phase.name], phase.inherit_best_from
        while parent is not None and parent not in chain:
            chain.append(parent)
            parent = parents[parent]
        if parent == phase.name:
            raise InputError(
                f"a circle of inheritance: {' -> '.join([*chain, parent])}",
                where=f"phases[{place}].inherit_best_from",
                remedy="let one of them state its strategies",
            )
        for key, names in (("inherit_best_from", [phase.inherit_best_from]), ("phases", phase.phases)):
            for name in filter(None, names):
                if order[name] >= place:
                    raise InputError(
                        f"phase {name!r} comes later", where=f"phases[{place}].{key}", remedy="move it before this one"
                    )


def _resolved(
    phase: PhaseSpec,
    where: str,
    workflow: WorkflowSpec,
    earlier: Mapping[str, PhasePlan],
    folder: Path,
    stored: StoredStrategy,
) -> PhasePlan:
    if phase.type not in KINDS:
        raise InputError(f"no phase type {phase.type!r}", where=f"{where}.type", remedy=nearest(phase.type, KINDS))
    kind = KINDS[phase.type]
    check_keys(phase, kind, where)
    parent = _parent(phase, kind, where, earlier)
    merged = _inherited(phase, parent)
    templates = (
        parent.templates
        if parent is not None
        else tuple(
            template_of(entry, f"{where}.strategies[{place}]", folder, stored)
            for place, entry in enumerate(merged.strategies)
        )
    )
    if phase.type == "optimization" and merged.method == "evolution":
        check_evolution(merged, where)
        templates = ()
    elif merged.founders_in_regions:
        raise InputError(
            "only an evolution has founders",
            where=f"{where}.founders_in_regions",
            remedy="leave it out, or use method evolution",
        )
    elif kind.trades and parent is None and not templates:
        raise InputError(
            "no strategies, and none inherited", where=where, remedy="write strategies or inherit_best_from"
        )
    axes = _axes(merged, templates, parent, where)
    sizers = len(merged.risk.position_sizers) if merged.risk else 1
    points = (
        0
        if not templates
        else count_points(
            [axes.get(template.name, {}) for template in templates], sizers, together=merged.aggregate is not None
        )
    )
    if phase.type == "optimization" and merged.method == "random":
        points = merged.optimization.draws
    if points > MOST_POINTS:
        raise InputError(
            f"a grid of {points:,} points, at most {MOST_POINTS:,} are tried",
            where=f"{where}.optimization.parameters",
            remedy="name fewer values, or use method random with draws",
        )
    check_aggregation(merged, templates, where, inherits=parent is not None)
    check_pattern(merged, where, list(earlier), folder)
    span, marked = _days(merged, parent, where)
    seen = (parent.seen if parent else frozenset()) | (_PARTS[span] if kind.winners else frozenset())
    if phase.type == "validation":
        seen |= _PARTS["unseen"]
    hours, evaluations = _budget(merged, workflow)
    document = merged.model_dump(exclude={"name", "description", "budget"}, exclude_defaults=True)
    return PhasePlan(
        spec=merged,
        document={**document, "type": merged.type, "evaluations": evaluations},
        needs=_needs(merged, earlier),
        templates=templates,
        axes=axes,
        points=points,
        span=span,
        marked=marked,
        seen=seen,
        costs=_costs(workflow.costs, merged.costs, where),
        hours=hours,
        evaluations=evaluations,
    )


def _parent(phase: PhaseSpec, kind: PatternKind, where: str, earlier: Mapping[str, PhasePlan]) -> PhasePlan | None:
    place = f"{where}.inherit_best_from"
    if phase.inherit_best_from is None:
        if kind.parent == "must":
            raise InputError(f"a phase of type {phase.type} inherits", where=where, remedy="write inherit_best_from")
        return None
    if kind.parent == "never":
        raise InputError(f"a phase of type {phase.type} does not inherit", where=place, remedy="leave it out")
    parent = earlier[phase.inherit_best_from]
    if not parent.kind.winners:
        raise InputError(
            f"phase {parent.name!r} of type {parent.spec.type} has no winners",
            where=place,
            remedy="inherit from another",
        )
    if phase.strategies:
        raise InputError(
            "strategies are stated and inherited", where=f"{where}.strategies", remedy="leave one of the two out"
        )
    if phase.type == "deployment" and parent.spec.type != "validation":
        raise InputError(
            f"only who was judged is deployed, but {parent.name!r} is of type {parent.spec.type}",
            where=place,
            remedy="inherit from a phase of type validation",
        )
    return parent


def _inherited(phase: PhaseSpec, parent: PhasePlan | None) -> PhaseSpec:
    """Return a phase with market, costs and objective of its parent where it says nothing else; lists replace lists."""
    if parent is None:
        return phase
    said = phase.model_dump(exclude_unset=True)
    kept = parent.spec.model_dump(include={"market", "costs", "optimization"}, exclude_unset=True)
    if "optimization" in kept:
        kept["optimization"] = {key: value for key, value in kept["optimization"].items() if key == "objective"}
    kept = {key: value for key, value in kept.items() if key not in ("optimization",) or key in KINDS[phase.type].reads}
    return PhaseSpec.model_validate(_merged(kept, said))


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = _merged(found[key], value) if both else value
    return found


def _axes(
    phase: PhaseSpec, templates: Sequence[Template], parent: PhasePlan | None, where: str
) -> dict[str, dict[str, Any]]:
    place = f"{where}.optimization.parameters"
    owners = [template.name for template in templates]
    for key in phase.optimization.parameters:
        owner, dot, _ = key.partition(".")
        if not dot:
            raise InputError(
                f"{key!r} names no strategy", where=f"{place}.{key}", remedy="write it as <strategy>.<parameter>"
            )
        if owner not in owners:
            raise InputError(f"no strategy {owner!r} here", where=f"{place}.{key}", remedy=nearest(owner, owners))
    ranges = phase.type == "optimization" and phase.method == "random"
    if ranges and parent is not None:
        raise InputError(
            "random points around winners are not drawn", where=f"{where}.method", remedy="use method grid with values"
        )
    found = {
        template.name: axes_of(template, phase.optimization.parameters, place, ranges=ranges) for template in templates
    }
    if phase.risk is not None:
        for template in templates:
            if template.type in ranking_family_names():
                check_sized(template.name, template.type, f"{where}.risk.position_sizers")
        for owner, own in found.items():
            if "position_size" in own:
                raise InputError(
                    f"{owner} has sizes in its grid and in the sizers",
                    where=f"{place}.{owner}.position_size",
                    remedy="leave one of the two out",
                )
    return found


def _days(phase: PhaseSpec, parent: PhasePlan | None, where: str) -> tuple[PhaseSpan, bool]:
    seen = parent.seen if parent else frozenset()
    if phase.type == "validation":
        if seen & _PARTS["unseen"]:
            raise InputError(
                f"phase {phase.inherit_best_from!r} chose by days that validation judges on",
                where=f"{where}.inherit_best_from",
                remedy="inherit from the phase before it, which saw in-sample days alone",
            )
        return "unseen", False
    if phase.type in ("deployment", "analysis"):
        return "all", False
    if phase.type == "optimization":
        if phase.span not in (None, "in_sample", "all"):
            raise InputError(
                "an optimisation looks at in-sample days, or at all", where=f"{where}.span", remedy="leave it out"
            )
        return phase.span or "in_sample", False
    if phase.type == "signal_generation":
        return phase.span or "all", False
    span: PhaseSpan = phase.span or ("unseen" if "in_sample" in seen else "in_sample")
    marked = bool(seen & _PARTS[span])
    if marked and phase.in_sample == "refuse":
        raise InputError(
            f"phase {phase.inherit_best_from!r} chose by days of the span {span}: what was chosen on some days "
            "cannot be judged by them",
            where=f"{where}.{'span' if phase.span else 'inherit_best_from'}",
            remedy="choose a span that nobody has chosen by, or say in_sample: mark, and every result carries the mark",
        )
    return span, marked


def _needs(phase: PhaseSpec, earlier: Mapping[str, PhasePlan]) -> tuple[str, ...]:
    if phase.type == "analysis":
        wanted = {*phase.phases, *(check.phase for check in phase.checks)}
        return tuple(name for name in earlier if name in wanted)
    return () if phase.inherit_best_from is None else (phase.inherit_best_from,)


def _costs(shared: CostsSpec, own: CostsSpec, where: str) -> Costs:
    said = {**shared.model_dump(exclude_unset=True), **own.model_dump(exclude_unset=True)}
    times = said.pop("times", 1.0)
    try:
        costs = Costs(**said)
        return replace(
            costs,
            taker_fee=costs.taker_fee * times,
            maker_fee=costs.maker_fee * times,
            slippage_bps=costs.slippage_bps * times,
        )
    except InputError as error:
        raise InputError(error.what, where=f"{where}.costs", remedy="correct the value") from None


def _budget(phase: PhaseSpec, workflow: WorkflowSpec) -> tuple[float | None, int | None]:
    """Return hours and evaluations of a phase: its own, or its share of the workflow's."""
    own = _hours(phase.budget)
    whole = _hours(workflow.budget)
    if own is None and whole is not None:
        share = KINDS[phase.type].share
        beside = sum(KINDS[other.type].share == share for other in workflow.phases if other.type in KINDS)
        own = whole * SHARES[share] / beside
    return own, phase.budget.evaluations if phase.budget.evaluations is not None else workflow.budget.evaluations


def _hours(budget: BudgetSpec) -> float | None:
    affordable = (
        math.inf
        if budget.cost_usd is None or not budget.cost_per_worker_hour_usd
        else budget.cost_usd / budget.cost_per_worker_hour_usd
    )
    hours = min(budget.hours if budget.hours is not None else math.inf, affordable)
    return None if math.isinf(hours) else hours


def universe_of(universe: UniverseSpec, symbols: Sequence[str], where: str) -> tuple[str, ...]:
    """Return the symbols of a phase, of those of the market.

    Raises
    ------
    InputError
        A symbol is not there, or none is left.
    """
    for name in [*(universe.symbols or ()), *universe.exclude]:
        if name not in symbols:
            raise InputError(f"the market has no {name}", where=f"{where}.market", remedy=nearest(name, list(symbols)))
    left = tuple(s for s in symbols if s in (universe.symbols or symbols) and s not in universe.exclude)
    if not left:
        raise InputError("nobody is left to trade", where=f"{where}.market", remedy="exclude fewer")
    return left


def _canonical(document: Any) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
