"""Genes: names, kinds and bounds of the values that evolution may choose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.strategies.priors import Prior, RangePrior
from quant_organism.strategies.real_coded import polynomial_mutation, whole_beyond

Structure = tuple["Structure | int | float | str | bool", ...]
"""Nested tuples of plain values: a tree, or a document."""

GeneValue = int | float | str | Structure

Scale = Literal["linear", "log"]
"""In which steps a number moves and its bounds are filled: of equal differences, or of equal ratios."""

SIGNIFICANT_DIGITS = 10
"""Float genes carry this many significant digits, so that equal identity means equal behaviour."""

_SMALLEST_STEP = 0.01
"""Share of its highest value below which a gene on a log scale moves by differences, where 0 is allowed."""

PERIODS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 17, 20, 24, 30, 36, 42, 51, 60, 72, 90, 108, 126, 153, 180, 216, 270, 324)
"""Windows that are drawn and bred, each about a fifth longer than the one before: what lies between is much the same.

All families take theirs from here, so that genomes share what is made of a window. Three times a window of 10 bars or
more is a window too.
"""

_ETA = 5.0
"""Distribution index of a single number's mutation, inside a structure: a mean step of a seventh of its range."""


class Grammar(Protocol):
    """What the values of a structural gene may look like, and how they vary."""

    def canonical(self, value: object) -> Structure:
        """Return a value, lists allowed for tuples, in its canonical form.

        Raises
        ------
        InputError
            With the path to the part that is wrong.
        """
        ...

    def draw(self, rng: np.random.Generator) -> Structure:
        """Draw a value."""
        ...

    def perturb(self, value: Structure, rng: np.random.Generator) -> Structure:
        """Draw a neighbour of a value."""
        ...

    def cross(self, a: Structure, b: Structure, rng: np.random.Generator) -> tuple[Structure, Structure]:
        """Exchange parts of two values."""
        ...

    def describe(self, value: Structure) -> str:
        """Write a value as text for people."""
        ...


@dataclass(frozen=True, kw_only=True)
class GeneSpec:
    """Describe one gene: what values it may take and what it does.

    Parameters
    ----------
    name
        Name of the gene, unique within a genome.
    kind
        ``"int"`` and ``"float"`` have inclusive bounds, ``"choice"`` a tuple of texts, ``"structure"`` a grammar.
    default
        Value of the family's reference genome.
    low, high
        Inclusive bounds of an int or float gene.
    choices
        Allowed values of a choice gene.
    grammar
        What the values of a structural gene obey.
    scale
        Of an int or float gene: how it moves, and how its prior is spread.
    grid
        Ascending values above 0 of an int or float gene on which all that is drawn by its prior, crossed and mutated
        stands, those beyond its bounds aside; none: any value. What is written by hand may lie anywhere within bounds.
    prior
        From which part of its bounds founders and immigrants are drawn; None: from all of them, evenly on its scale.
    unit
        Unit of the value: bars, fraction, hours, ...
    description
        What the gene does.
    """

    name: str
    kind: str
    default: GeneValue
    low: float = 0.0
    high: float = 0.0
    choices: tuple[str, ...] = ()
    grammar: Grammar | None = None
    scale: Scale = "linear"
    grid: tuple[float, ...] = ()
    prior: Prior | None = None
    unit: str
    description: str

    @property
    def shift(self) -> float:
        """What is added before the logarithm is taken: nothing, but where 0 is allowed."""
        return 0.0 if self.low > 0.0 else _SMALLEST_STEP * self.high

    @property
    def steps(self) -> tuple[float, ...]:
        """The values of the grid within the bounds."""
        return tuple(value for value in self.grid if self.low <= value <= self.high)

    @property
    def drawn_from(self) -> str:
        """Say the prior in words, for tables."""
        if self.kind in ("choice", "structure") and self.prior is None:
            return "any" if self.kind == "choice" else "the grammar"
        prior = (self.prior or RangePrior(self.low, self.high)).describe(self.scale)
        return f"{prior} in steps" if self.grid else prior

    @property
    def bounds(self) -> str:
        """Say the allowed values in words, for messages and tables."""
        if self.kind == "choice":
            return f"one of {', '.join(self.choices)}"
        if self.kind == "structure":
            return "a structure of its grammar"
        if self.kind == "int":
            return f"an integer in [{self.low:g}, {self.high:g}]"
        return f"a number in [{self.low:g}, {self.high:g}]"

    def check(self, value: object, where: str) -> GeneValue:
        """Return `value` in its canonical form.

        Ints become ``int``; floats become ``float`` with ten significant digits and no negative zero.

        Raises
        ------
        InputError
            If the value is of the wrong kind or out of bounds; nothing is clamped.
        """
        if self.grammar is not None:
            return self.grammar.canonical(value)
        canonical = self._canonical(value)
        if canonical is None:
            raise InputError(
                f"gene {self.name} is {value!r}, expected {self.bounds}",
                where=where,
                remedy="correct the value; bounds are never applied silently",
            )
        return canonical

    def _canonical(self, value: object) -> GeneValue | None:
        if self.kind == "choice":
            return value if isinstance(value, str) and value in self.choices else None
        # Plain types first: the abstract ones take far longer to ask.
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (float, int, Real)):
            return None
        if self.kind == "int":
            return int(value) if isinstance(value, (int, Integral)) and self.low <= int(value) <= self.high else None
        number = float(value)
        if not math.isfinite(number) or not self.low <= number <= self.high:
            return None
        return _canonical_float(number)

    def draw(self, rng: np.random.Generator) -> GeneValue:
        """Draw any value that is allowed, whatever the prior: uniformly where it has bounds or choices."""
        if self.grammar is not None:
            return self.grammar.draw(rng)
        if self.kind == "choice":
            return self.choices[int(rng.integers(len(self.choices)))]
        if self.kind == "int":
            return int(rng.integers(int(self.low), int(self.high) + 1))
        return _canonical_float(float(rng.uniform(self.low, self.high)))

    def draw_from(self, span: RangePrior, rng: np.random.Generator) -> GeneValue:
        """Draw an int or float evenly on the gene's scale between two values."""
        low, high = span.low, span.high + (self.kind == "int")
        ends = np.log([low, high]) if self.scale == "log" else np.array([low, high])
        drawn = float(rng.uniform(*ends))
        return self.fitted(float(np.exp(drawn)) if self.scale == "log" else drawn, down=True)

    def fitted(self, number: float, *, down: bool = False) -> GeneValue:
        """Return the nearest allowed value of an int or float gene; an int is rounded, `down` always to the lower.

        Where the gene has a grid: the nearest of its steps, by ratio.
        """
        if self.grid:
            nearest = min(self.steps, key=lambda step: abs(math.log(step / number)))
            return int(nearest) if self.kind == "int" else nearest
        if self.kind == "int":
            number = math.floor(number) if down else round(number)
            return int(min(max(number, self.low), self.high))
        return _canonical_float(min(max(number, self.low), self.high))

    def perturb(self, value: GeneValue, rng: np.random.Generator) -> GeneValue:
        """Draw a neighbour of `value`: a step of polynomial mutation, an int by at least one, or another choice."""
        if self.grammar is not None:
            assert isinstance(value, tuple)
            return self.grammar.perturb(value, rng)
        if isinstance(value, str):
            others = [choice for choice in self.choices if choice != value]
            return others[int(rng.integers(len(others)))]
        before, low, high = np.array([value], dtype=np.float64), np.array(self.low), np.array(self.high)
        moved = polynomial_mutation(before, low, high, eta=_ETA, where=np.array([True]), rng=rng)
        if self.kind == "int":
            return int(whole_beyond(before, moved, high)[0])
        return _canonical_float(float(moved[0]))


def on_scale(values: NDArray[np.float64], shift: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where values stand on the scale of their gene: its logarithm after `shift`, nan for a linear scale."""
    shift = np.broadcast_to(shift, values.shape)
    places = values.copy()
    np.log(values + shift, out=places, where=~np.isnan(shift))
    return places


def off_scale(places: NDArray[np.float64], shift: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values that stand at these places of their scale."""
    shift = np.broadcast_to(shift, places.shape)
    values = places.copy()
    np.exp(places, out=values, where=~np.isnan(shift))
    return np.asarray(values - np.nan_to_num(shift))


def _canonical_float(number: float) -> float:
    return float(f"{number:.{SIGNIFICANT_DIGITS}g}") + 0.0


def check_genes(specs: Sequence[GeneSpec], genes: Mapping[str, object], where: str) -> dict[str, GeneValue]:
    """Return all genes in the order of `specs` and in canonical form.

    Raises
    ------
    InputError
        If a gene is missing, unknown, of the wrong kind or out of bounds.
    """
    names = [spec.name for spec in specs]
    missing = [name for name in names if name not in genes]
    unknown = sorted(set(genes) - set(names))
    if missing or unknown:
        found = [f"missing gene {name}" for name in missing] + [f"unknown gene {name}" for name in unknown]
        raise InputError("; ".join(found), where=where, remedy=f"give exactly these genes: {', '.join(names)}")
    return {spec.name: spec.check(genes[spec.name], where) for spec in specs}
