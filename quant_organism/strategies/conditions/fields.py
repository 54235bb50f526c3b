"""Checks of single fields; each says what was found, at which path, and what was expected."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

from quant_organism.errors import InputError
from quant_organism.strategies.genes import SIGNIFICANT_DIGITS

_SHOWN = 60
_LONGEST_TEXT = 100
_LONGEST_INTEGER = 128


def shown(value: object) -> str:
    """Return a value as messages quote it, cut where it is long."""
    if isinstance(value, Mapping | list | tuple):
        return f"a {type(value).__name__}"
    if isinstance(value, int) and value.bit_length() > _LONGEST_INTEGER:
        return f"an integer of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def mapping(
    value: object, where: str, *, required: Sequence[str] = (), optional: Sequence[str] = ()
) -> Mapping[str, Any]:
    """Return a mapping that has all required fields and no unknown ones."""
    if not isinstance(value, Mapping):
        raise InputError(
            f"expected a mapping with {', '.join(required or optional)}, found {shown(value)}", where=where
        )
    known = (*required, *optional)
    unknown = [name for name in value if name not in known]
    if unknown:
        near = get_close_matches(str(unknown[0]), known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(
            f"unknown field {shown(unknown[0])}", where=where, remedy=f"{hint}fields are {', '.join(known)}"
        )
    missing = [name for name in required if name not in value]
    if missing:
        raise InputError(f"missing field {', '.join(missing)}", where=where, remedy=f"fields are {', '.join(known)}")
    return value


def number(value: object, where: str, *, low: float | None = None, high: float | None = None) -> float:
    """Return a finite number within inclusive bounds, with ten significant digits."""
    found = _finite(value)
    if found is None or (low is not None and found < low) or (high is not None and found > high):
        bounds = "" if low is None or high is None else f" in [{low:g}, {high:g}]"
        raise InputError(f"found {shown(value)}, expected a number{bounds}", where=where)
    return float(f"{found:.{SIGNIFICANT_DIGITS}g}") + 0.0


def positive(value: object, where: str) -> float:
    """Return a number above 0."""
    found = _finite(value)
    if found is None or number(found, where) <= 0.0:
        raise InputError(f"found {shown(value)}, expected a number above 0", where=where)
    return number(found, where)


def integer(value: object, where: str, *, low: int, high: int | None = None) -> int:
    """Return an integer within inclusive bounds; 14.0 is none."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or int(value) < low or (high is not None and int(value) > high):  # type: ignore[call-overload]
        bounds = f"from {low} on" if high is None else f"from {low} to {high}"
        raise InputError(f"found {shown(value)}, expected an integer {bounds}", where=where)
    return int(value)  # type: ignore[call-overload, no-any-return]


def flag(value: object, where: str) -> bool:
    """Return true or false; 1 and 0 are neither."""
    if not isinstance(value, bool):
        raise InputError(f"found {shown(value)}, expected true or false", where=where)
    return value


def choice(value: object, where: str, choices: Sequence[str]) -> str:
    """Return one of the given texts."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"found {shown(value)}, expected one of {', '.join(choices)}", where=where)
    return value


def text(value: object, where: str) -> str:
    """Return a printable text of sensible length."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > _LONGEST_TEXT:
        raise InputError(f"found {shown(value)}, expected a text of 1 to {_LONGEST_TEXT} characters", where=where)
    return value


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None
