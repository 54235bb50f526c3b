"""The grammar of the gene that holds a document, or a plain type with its parameters."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from quant_organism.errors import InputError
from quant_organism.strategies.conditions import fields
from quant_organism.strategies.conditions.configured import Configured, read_configured
from quant_organism.strategies.conditions.document import (
    LOGICS,
    SIDES,
    Condition,
    ConditionGroup,
    Document,
    document_of,
    read_document,
)
from quant_organism.strategies.conditions.rules import Rules, document_rules
from quant_organism.strategies.genes import PERIODS, Structure

_LONGEST_ENTRY = 3
_DRAWN_PERIODS = tuple(period for period in PERIODS if 5 <= period <= 30)


def read_structure(value: object) -> Document | Configured:
    """Return the document, or the plain type, of a canonical form (lists allowed for tuples).

    Raises
    ------
    InputError
        With the path to the field that is wrong.
    """
    found = document_of(value)
    if "type" not in found:
        return read_document(found)
    plain = fields.mapping(found, "document", required=("type", "parameters"))
    pairs = plain["parameters"]
    if not isinstance(pairs, list | tuple) or not all(isinstance(p, list | tuple) and len(p) == 2 for p in pairs):
        raise InputError(f"expected (name, value) pairs, found {fields.shown(pairs)}", where="parameters")
    return read_configured(plain["type"], {str(name): given for name, given in pairs})


@lru_cache(maxsize=1024)
def structure_rules(structure: Structure) -> Rules:
    """Return the rules of a canonical form."""
    found = read_structure(structure)
    return found.rules if isinstance(found, Configured) else document_rules(found)


class DocumentGrammar:
    """Canonical form and variation of documents. Variation keeps the side, and knows free-of-unit conditions only."""

    def canonical(self, value: object) -> Structure:
        """Return the canonical form, every default written out."""
        return read_structure(value).structure

    def draw(self, rng: np.random.Generator) -> Structure:
        """Draw a side, one to three conditions of entry of which all or any must hold, and one of exit."""
        side = SIDES[int(rng.integers(2))]
        logic = LOGICS[int(rng.integers(2))]
        entry = ConditionGroup(logic, tuple(_entry(side, rng) for _ in range(int(rng.integers(1, _LONGEST_ENTRY + 1)))))
        drawn = Document(
            strategy_id="drawn",
            side=side,
            entry=entry,
            exit=ConditionGroup("ANY", (_exit(side, rng),)),
            base_size_usd=1000.0,
        )
        return drawn.structure

    def perturb(self, value: Structure, rng: np.random.Generator) -> Structure:
        """Replace one member of the entry, or the exit, by a condition that is drawn anew; a plain type altogether."""
        found = read_structure(value)
        if isinstance(found, Configured):
            return self.draw(rng)
        place = int(rng.integers(len(found.entry.members) + 1))
        if place == len(found.entry.members):
            return replace(found, exit=ConditionGroup("ANY", (_exit(found.side, rng),))).structure
        members = list(found.entry.members)
        members[place] = _entry(found.side, rng)
        return replace(found, entry=ConditionGroup(found.entry.logic, tuple(members))).structure

    def cross(self, a: Structure, b: Structure, rng: np.random.Generator) -> tuple[Structure, Structure]:
        """Exchange the exits of two documents of one side; others change places as a whole."""
        first, second = read_structure(a), read_structure(b)
        if isinstance(first, Configured) or isinstance(second, Configured) or first.side != second.side:
            return b, a
        return replace(first, exit=second.exit).structure, replace(second, exit=first.exit).structure

    def describe(self, value: Structure) -> str:
        """Write the strategy as a sentence."""
        found = read_structure(value)
        if isinstance(found, Configured):
            return f"{found.type} with {', '.join(f'{name} {given:g}' for name, given in found.parameters)}"
        leave = f"; exit when {found.exit}" if found.exit is not None else "; no exit of its own"
        return f"{found.side} when {found.entry}{leave}"


def _entry(side: str, rng: np.random.Generator) -> Condition:
    """Draw a condition of weakness, recovery or strength; on the short side its mirror image."""
    sign = 1.0 if side == "LONG" else -1.0
    above, below = (">", "<") if side == "LONG" else ("<", ">")
    kind = int(rng.integers(4))
    if kind == 0:
        return _drawn("RSI", below, 50.0 - sign * rng.uniform(5.0, 25.0), rng)
    if kind == 1:
        return _drawn("ZSCORE", below, -sign * rng.uniform(0.5, 2.0), rng)
    if kind == 2:
        return _drawn("SMA_GAP", above, sign * rng.uniform(0.002, 0.02), rng)
    crosses = "crosses_above" if side == "LONG" else "crosses_below"
    return _drawn("RSI", crosses, 50.0 - sign * rng.uniform(0.0, 20.0), rng)


def _exit(side: str, rng: np.random.Generator) -> Condition:
    """Draw a condition of a move that has run its course."""
    sign = 1.0 if side == "LONG" else -1.0
    above = ">" if side == "LONG" else "<"
    if rng.random() < 0.5:
        return _drawn("RSI", above, 50.0 + sign * rng.uniform(0.0, 20.0), rng)
    return _drawn("ZSCORE", above, sign * rng.uniform(0.0, 1.5), rng)


def _drawn(word: str, operator: str, level: float, rng: np.random.Generator) -> Condition:
    period = _DRAWN_PERIODS[int(rng.integers(len(_DRAWN_PERIODS)))]
    return Condition(f"{word}_{period}", operator, float(f"{level:.4g}"))
