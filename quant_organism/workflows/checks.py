"""What can be wrong with one phase by itself: keys that mean nothing to it, and what its pattern cannot work with."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

from quant_organism.errors import InputError
from quant_organism.evolution.spec import PROFILES, EvolutionSpec
from quant_organism.strategies import family_names
from quant_organism.validation.profile import Profile
from quant_organism.workflows.kinds import COMMON_KEYS, KINDS, RESULT_METRICS, PatternKind
from quant_organism.workflows.spec import PhaseSpec, nearest
from quant_organism.workflows.strategies import Template, check_voters


def check_keys(phase: PhaseSpec, kind: PatternKind, where: str) -> None:
    """Refuse keys that mean nothing to the type of a phase."""
    known = COMMON_KEYS | kind.reads
    for key in PhaseSpec.model_fields:
        if key in phase.model_fields_set and key not in known:
            readers = [name for name, other in KINDS.items() if key in other.reads]
            raise InputError(
                f"a phase of type {phase.type} does not read {key}",
                where=f"{where}.{key}",
                remedy=f"leave it out; it belongs to {', '.join(readers)}",
            )
    if "top" in phase.model_fields_set and phase.inherit_best_from is None:
        raise InputError("top says how many are inherited, but nothing is", where=f"{where}.top", remedy="leave it out")


def check_aggregation(phase: PhaseSpec, templates: Sequence[Template], where: str, *, inherits: bool) -> None:
    """Refuse strategies that cannot be made one in the way that is asked for."""
    if phase.aggregate is None:
        return
    place = f"{where}.aggregate"
    names = [template.name for template in templates]
    if not inherits and len(templates) < 2:
        raise InputError("one strategy alone is not made one", where=place, remedy="name several, or leave it out")
    if phase.aggregate.method == "vote":
        if inherits:
            raise InputError("inherited strategies do not vote", where=place, remedy="use method mean")
        check_voters(templates, place)
        if any(phase.optimization.parameters):
            raise InputError("voters have no grid", where=place, remedy="leave out optimization.parameters")
    if phase.aggregate.method == "weights" and set(phase.aggregate.weights) != set(names):
        odd = sorted(set(phase.aggregate.weights) ^ set(names))
        raise InputError(
            f"weights and strategies differ in {', '.join(odd)}",
            where=f"{place}.weights",
            remedy=f"give each strategy one weight: {', '.join(names)}",
        )
    if phase.aggregate.method == "weights" and inherits:
        raise InputError("inherited strategies have equal weights", where=place, remedy="use method mean")


def check_evolution(phase: PhaseSpec, where: str) -> None:
    """Refuse what an evolution does not read, and a spec that no search can be made of."""
    if phase.optimization.parameters:
        raise InputError(
            "an evolution draws its own parameters",
            where=f"{where}.optimization.parameters",
            remedy="leave them out, or use method grid",
        )
    for key in ("risk", "aggregate", "inherit_best_from", "span"):
        if key in phase.model_fields_set:
            raise InputError("an evolution does not read this key", where=f"{where}.{key}", remedy="leave it out")
    for place, entry in enumerate(phase.strategies):
        if entry.type not in family_names() or entry.parameters:
            raise InputError(
                "an evolution takes families without parameters",
                where=f"{where}.strategies[{place}]",
                remedy=nearest(entry.type, family_names()),
            )
    evolution_spec(phase, f"{where}.evolution")


def evolution_spec(phase: PhaseSpec, where: str = "evolution", hours: float | None = None) -> EvolutionSpec:
    """Return the spec of an evolution phase.

    Raises
    ------
    InputError
        No such profile, field or value.
    """
    fields = dict(phase.evolution)
    profile = fields.pop("profile", "smoke")
    if profile not in PROFILES:
        raise InputError(f"no profile {profile!r}", where=f"{where}.profile", remedy=nearest(str(profile), PROFILES))
    if unknown := [key for key in fields if key not in EvolutionSpec.model_fields]:
        known = sorted(EvolutionSpec.model_fields)
        raise InputError("no such key", where=f"{where}.{unknown[0]}", remedy=nearest(unknown[0], known, "keys here"))
    if phase.strategies:
        fields["families"] = tuple(dict.fromkeys(entry.type for entry in phase.strategies))
    fields.setdefault("min_trades", phase.optimization.objective.min_trades)
    try:
        spec = EvolutionSpec.profile(profile, **fields)
    except InputError as error:
        raise InputError(error.what, where=where, remedy=error.remedy) from None
    return spec if hours is None else spec.model_copy(update={"hours": 2.0 * hours})


def check_pattern(phase: PhaseSpec, where: str, earlier: Sequence[str], folder: Path) -> None:
    """Refuse gates, checks and files that a phase cannot work with."""
    if phase.type == "validation":
        try:
            Profile.load(gates_of(phase, folder))
        except InputError as error:
            raise InputError(error.what, where=f"{where}.gates: {error.where}", remedy=error.remedy) from None
    if phase.type == "analysis":
        if not phase.checks:
            raise InputError("an analysis asks nothing", where=where, remedy="write checks")
        for place, check in enumerate(phase.checks):
            known = (*RESULT_METRICS, "strategies", "passed", "objective")
            if check.phase not in earlier:
                raise InputError(
                    f"there is no earlier phase {check.phase!r}",
                    where=f"{where}.checks[{place}].phase",
                    remedy=nearest(check.phase, earlier),
                )
            if check.metric not in known:
                raise InputError(
                    f"no metric {check.metric!r}",
                    where=f"{where}.checks[{place}].metric",
                    remedy=nearest(check.metric, known),
                )
    if phase.type == "own":
        _check_own(phase, where, folder)


def _check_own(phase: PhaseSpec, where: str, folder: Path) -> None:
    if phase.file is None or phase.function is None:
        raise InputError("a pattern of your own has file and function", where=where, remedy="name both")
    path = folder / phase.file
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(
            f"{path.name} cannot be read: {error}", where=f"{where}.file", remedy="give the path of a Python file"
        ) from None
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    if phase.function not in functions:
        raise InputError(
            f"{path.name} has no function {phase.function!r}",
            where=f"{where}.function",
            remedy=nearest(phase.function, functions),
        )


def gates_of(phase: PhaseSpec, folder: Path) -> str:
    """Return the name of a phase's profile, or its path from the workflow's folder."""
    return str(folder / phase.gates) if phase.gates.endswith((".yaml", ".yml")) else phase.gates
