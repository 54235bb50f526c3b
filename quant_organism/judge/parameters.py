"""Spaces of parameters: lists and ranges, and the trials that a budget draws of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from quant_organism.errors import InputError
from quant_organism.strategies.handwritten.load import parse

ParameterValue = int | float | str | bool
Parameters = Mapping[str, ParameterValue]

MOST_TRIALS: Final = 100_000
_DECIMALS: Final = 12
_RANGE: Final = ("low", "high", "step")


class ParameterRange(BaseModel):
    """Numbers from one to another, both included, in steps.

    Parameters
    ----------
    low, high, step
        Whole numbers throughout give whole numbers; between these the step is 1 where none is said.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    low: int | float
    high: int | float
    step: int | float = Field(1, gt=0)

    @model_validator(mode="after")
    def _ascending(self) -> ParameterRange:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"no range from {self.low} to {self.high}")
        if "step" not in self.model_fields_set and not (isinstance(self.low, int) and isinstance(self.high, int)):
            raise ValueError(f"no step from {self.low} to {self.high}, which are not both whole numbers: say one")
        if (self.high - self.low) / self.step > MOST_TRIALS:
            raise ValueError(f"more than {MOST_TRIALS:,} values")
        return self

    @property
    def values(self) -> tuple[ParameterValue, ...]:
        """The numbers, ascending."""
        count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        found = [self.low + place * self.step for place in range(count)]
        return tuple(value if isinstance(value, int) else round(value, _DECIMALS) for value in found)


def space_of(options: Sequence[str]) -> dict[str, Any]:
    """Return what options declare, as the `parameters` of a document are written; checked where these are.

    Parameters
    ----------
    options
        `NAME=VALUE`, `NAME=VALUE,VALUE,...`, `NAME=LOW:HIGH` or `NAME=LOW:HIGH:STEP`, values as in YAML.

    Raises
    ------
    InputError
        An option is none of these, names a parameter again, or a value is no YAML.
    """
    space: dict[str, Any] = {}
    for option in options:
        name, equals, said = option.partition("=")
        bounds, listed = said.split(":"), said.split(",")
        if not name or not equals or len(bounds) > len(_RANGE) or (len(bounds) > 1 and len(listed) > 1):
            raise InputError(
                f"{option!r} is no list and no range",
                where="option --space",
                remedy="write NAME=A,B,C or NAME=LOW:HIGH:STEP, and values that hold , or : in a document",
            )
        if name in space:
            raise InputError(f"{name} is said twice", where="option --space", remedy=f"write {name}=A,B,C")
        try:
            values = [parse(part.encode(), as_json=False) for part in (bounds if len(bounds) > 1 else listed)]
        except InputError as error:
            raise InputError(error.what, where=f"option --space {name}", remedy=error.remedy) from None
        if len(bounds) > 1:
            space[name] = dict(zip(_RANGE, values, strict=False))
        else:
            space[name] = values if len(values) > 1 else values[0]
    return space


def trials_of(space: Mapping[str, Any], budget: int | None, seed: int) -> tuple[Parameters, ...]:
    """Return the trials of a search, each once, the same for the same space, budget and seed.

    Parameters
    ----------
    space
        By name a value, a list of values or a `ParameterRange`.
    budget
        Most trials: all there are where it holds them, else so many at random. None: all.
    seed
        Of the draw.

    Raises
    ------
    InputError
        An empty list, or more combinations than anybody tries and no budget.
    """
    axes: dict[str, tuple[ParameterValue, ...]] = {}
    for name, values in space.items():
        listed = values.values if isinstance(values, ParameterRange) else values
        axes[name] = tuple(listed) if isinstance(listed, list | tuple) else (listed,)
        if not axes[name]:
            raise InputError("no value to try", where=f"parameters.{name}", remedy="name at least one")
    count = math.prod(len(values) for values in axes.values())
    if budget is None and count > MOST_TRIALS:
        raise InputError(f"{count:,} combinations", where="parameters", remedy="give a budget")
    if budget is None or count <= budget:
        return tuple(dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values()))
    places = _without_repetition(np.random.default_rng(seed), count, budget)
    return tuple(_at(axes, place) for place in places)


def _without_repetition(rng: np.random.Generator, count: int, wanted: int) -> list[int]:
    chosen: dict[int, None] = {}
    while len(chosen) < wanted:
        # Spaces may hold more combinations than a 64-bit number does.
        chosen[int(rng.integers(0, 2**62)) * count // 2**62] = None
    return sorted(chosen)


def _at(axes: Mapping[str, tuple[ParameterValue, ...]], place: int) -> Parameters:
    found: dict[str, ParameterValue] = {}
    for name, values in reversed(list(axes.items())):
        place, own = divmod(place, len(values))
        found[name] = values[own]
    return {name: found[name] for name in axes}
