"""Profiles: which gates a candidate has to pass for which stage of life, with which thresholds, declared in YAML."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, Self, get_args

import orjson
from pydantic import ValidationError

from quant_organism.errors import InputError
from quant_organism.strategies.conditions import fields
from quant_organism.strategies.handwritten.load import MAX_BYTES, parse
from quant_organism.validation.gates import GATES
from quant_organism.validation.gates.gate import Gate
from quant_organism.validation.gates.significance import CombinedSignificance, HoldoutMean
from quant_organism.validation.verdict import STAGES, UNSEEN

Goal = Literal["shadow", "paper"]

GOALS: Final[tuple[Goal, ...]] = get_args(Goal)
"""Stages of life that gates stand before, the lower first."""

SHIPPED: Final = ("light", "full", "strict")

KINDS: Final[Mapping[str, type[Gate]]] = MappingProxyType({gate.kind: gate for gate in GATES})
"""Every kind of gate, by the name that profiles call it by."""

_MOST_GATES = 100


@dataclass(frozen=True)
class Profile:
    """What a candidate has to show.

    A candidate enters the highest stage all of whose gates it passes; each list stands by itself, and a gate that
    stands in two is judged once.

    Attributes
    ----------
    name
        What verdicts call it.
    shadow
        Gates before the shadow pool, where nothing is risked; at least one.
    paper
        Gates before paper trading and all that follows; none: the profile promotes nobody beyond shadow.
    information
        Gates whose verdicts are shown and decide nothing.
    """

    name: str
    shadow: tuple[Gate, ...]
    paper: tuple[Gate, ...] = ()
    information: tuple[Gate, ...] = ()

    @classmethod
    def load(cls, source: str) -> Profile:
        """Return a shipped profile by its name, or one from a YAML file by its path.

        Raises
        ------
        InputError
            No such file, or one that is too large, no YAML or refers to itself; an unknown key or kind of gate, or a
            threshold that makes no sense. The message names file and field, as in ``paper[2].at_least``.
        """
        shipped = source in SHIPPED
        where = f"profile {source}" if shipped else source
        text = files(__package__).joinpath("profiles", f"{source}.yaml").read_bytes() if shipped else _content(source)
        try:
            return _declared(text)
        except InputError as error:
            place = f"{where}: {error.where}" if error.where else where
            raise InputError(error.what, where=place, remedy=error.remedy) from None

    @classmethod
    def of(cls, document: object) -> Self:
        """Return the profile that a document as YAML gives it declares.

        Raises
        ------
        InputError
            As `load`.
        """
        found = fields.mapping(document, "profile", required=("name", "shadow"), optional=("paper", "information"))
        profile = cls(
            fields.text(found["name"], "name"), *(_gates(found.get(key, []), key) for key in (*GOALS, "information"))
        )
        if not profile.shadow:
            raise InputError("no gate stands before the shadow pool", where="shadow", remedy="name at least one")
        for goal in GOALS:
            gates = getattr(profile, goal)
            if gates and not any(gate.stage in UNSEEN for gate in gates):
                raise InputError(
                    "no gate looks at unseen days: what was chosen on some days cannot be judged by them",
                    where=goal,
                    remedy="add one whose span is out_of_sample, walk_forward or holdout",
                )
        kinds = {gate.kind for gate in profile.gates}
        if CombinedSignificance.kind in kinds and HoldoutMean.kind not in kinds:
            raise InputError(
                "decision combines the p-value of holdout_mean, which the profile lacks",
                where="profile",
                remedy="add {gate: holdout_mean, at_most: 0.05} to the information",
            )
        return profile

    @cached_property
    def gates(self) -> tuple[Gate, ...]:
        """All gates, each once, in the order in which they are judged: cheap before dear, else as declared."""
        every = dict.fromkeys((*self.shadow, *self.paper, *self.information))
        return tuple(sorted(every, key=lambda gate: STAGES.index(gate.stage)))

    @cached_property
    def without_unseen(self) -> Profile:
        """The profile where the search sees all days, and nothing but the past of the search judges.

        All gates in sample and all filters against overfitting that it has stand before the shadow pool, those before
        paper too: who enters there is judged by nothing else than days to come.
        """
        hard = (gate for gate in self.paper if gate.stage in ("in_sample", "overfitting"))
        return replace(self, shadow=tuple(dict.fromkeys((*self.shadow, *hard))))

    def goals(self, gate: Gate) -> tuple[Goal, ...]:
        """Return the stages of life that a gate stands before; none where it only informs."""
        return tuple(goal for goal in GOALS if gate in getattr(self, goal))

    @property
    def document(self) -> dict[str, Any]:
        """The profile as plain values."""
        gates = {key: [gate.to_dict() for gate in getattr(self, key)] for key in (*GOALS, "information")}
        return {"name": self.name, **gates}

    @property
    def hash(self) -> str:
        """SHA-256 of the profile's canonical JSON."""
        return hashlib.sha256(orjson.dumps(self.document, option=orjson.OPT_SORT_KEYS)).hexdigest()


@lru_cache(maxsize=16)
def _declared(text: bytes) -> Profile:
    # The assets of a cycle ask for its profile a hundred times.
    return Profile.of(parse(text, as_json=False))


def _content(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot be read: {getattr(error, 'strerror', None) or error}",
            where=path,
            remedy=f"choose {', '.join(SHIPPED)}, or give the path of a YAML file",
        ) from None


def _gates(value: object, where: str) -> tuple[Gate, ...]:
    if not isinstance(value, list):
        raise InputError(f"expected a list of gates, found {fields.shown(value)}", where=where)
    if len(value) > _MOST_GATES:
        raise InputError(f"{len(value)} gates, at most {_MOST_GATES} are read", where=where, remedy="shorten the list")
    gates = [_gate(entry, f"{where}[{place}]") for place, entry in enumerate(value)]
    for place, gate in enumerate(gates):
        if gate in gates[:place]:
            raise InputError("the same gate stands twice", where=f"{where}[{place}]", remedy="leave one of them out")
    return tuple(gates)


def _gate(entry: object, where: str) -> Gate:
    if not isinstance(entry, Mapping) or "gate" not in entry:
        raise InputError(
            f"expected a mapping with gate, found {fields.shown(entry)}",
            where=where,
            remedy="write it as {gate: backtest, metric: sharpe, span: in_sample, at_least: 1.0}",
        )
    kind = KINDS[fields.choice(entry["gate"], f"{where}.gate", tuple(KINDS))]
    try:
        return kind.model_validate({str(key): value for key, value in entry.items() if key != "gate"}, strict=True)
    except ValidationError as error:
        raise _explained(error, kind, where) from None


def _explained(error: ValidationError, kind: type[Gate], where: str) -> InputError:
    first: Any = error.errors(include_url=False)[0]
    place = ".".join([where, *(str(part) for part in first["loc"])])
    known = f"fields of {kind.kind}: {', '.join(kind.model_fields) or 'none'}"
    if first["type"] == "extra_forbidden":
        return InputError("no such field", where=place, remedy=known)
    if first["type"] == "missing":
        return InputError("missing field", where=place, remedy=known)
    if first["type"] == "value_error":
        return InputError(str(first["msg"]).removeprefix("Value error, "), where=place, remedy=known)
    return InputError(f"{first['msg']}, not {fields.shown(first['input'])}", where=place, remedy=known)
