"""Spaces of parameters: lists and ranges, and the trials that a budget draws of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from quant_organism.errors import InputError

ParameterValue = int | float | str | bool
Parameters = Mapping[str, ParameterValue]

MOST_TRIALS: Final = 100_000
_DECIMALS: Final = 12


class ParameterRange(BaseModel):
    """Numbers from one to another, both included, in steps.

    Parameters
    ----------
    low, high, step
        Whole numbers throughout give whole numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    low: int | float
    high: int | float
    step: int | float = Field(gt=0)

    @model_validator(mode="after")
    def _ascending(self) -> ParameterRange:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"no range from {self.low} to {self.high}")
        if (self.high - self.low) / self.step > MOST_TRIALS:
            raise ValueError(f"more than {MOST_TRIALS:,} values")
        return self

    @property
    def values(self) -> tuple[ParameterValue, ...]:
        """The numbers, ascending."""
        count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        found = [self.low + place * self.step for place in range(count)]
        return tuple(value if isinstance(value, int) else round(value, _DECIMALS) for value in found)


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
