"""Indicator inference: from a type and parameters to the indicators a strategy needs, and the bars before it speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quant_organism.errors import InputError
from quant_organism.strategies.conditions import fields
from quant_organism.strategies.conditions.configured import PLAIN_TYPES, read_configured
from quant_organism.strategies.conditions.document import read_document, split_stops
from quant_organism.strategies.conditions.rules import document_rules
from quant_organism.strategies.families import configurable_families, get_family
from quant_organism.strategies.genome import Genome, gene_arrays
from quant_organism.strategies.indicators.indicator import unpair
from quant_organism.strategies.operators import default_genome

_CONDITIONS = "conditions"


@dataclass(frozen=True)
class StrategyNeeds:
    """What a strategy needs before it can speak.

    Parameters
    ----------
    indicators
        Names, sorted, each once.
    history
        Bars, that of the first decision included.
    """

    indicators: tuple[str, ...]
    history: int


def infer(type: str, parameters: Mapping[str, Any] | None = None) -> StrategyNeeds:
    """Return the indicators and the bars that a strategy needs.

    Parameters
    ----------
    type
        A plain type (``momentum``, ``mean_reversion``, ``moving_average_crossover``, ``momentum_crossover``), the name
        of a family, or ``conditions``.
    parameters
        Of a plain type or a family: those that differ from the defaults. Of ``conditions``: the document.

    Raises
    ------
    InputError
        An unknown type or parameter, or a value that is not allowed.
    """
    given = {} if parameters is None else parameters
    if type == _CONDITIONS:
        rules = document_rules(read_document(split_stops(given)[0]))
        return StrategyNeeds(rules.names, rules.history)
    if type in PLAIN_TYPES:
        plain = read_configured(type, given)
        return StrategyNeeds(plain.indicators, plain.rules.history)
    return genome_needs(configured(type, given))


def genome_needs(genome: Genome) -> StrategyNeeds:
    """Return what the genome of any family needs; two parameters of one indicator are joined by an underscore."""
    family = get_family(genome.family)
    names = set()
    for indicator, keys in family.indicators(gene_arrays([genome])).items():
        for key, (first, second) in zip(keys.tolist(), zip(*unpair(keys), strict=True), strict=True):
            names.add(f"{indicator.name}_{first}_{second}" if first else f"{indicator.name}_{key}")
    return StrategyNeeds(tuple(sorted(names)), family.warmup(genome.genes) + 1)


def configured(type: str, parameters: Mapping[str, Any] | None = None) -> Genome:
    """Return the genome of a type and parameters; what is left out stands at its default.

    Raises
    ------
    InputError
        As `infer`.
    """
    given = {} if parameters is None else parameters
    if type in PLAIN_TYPES:
        plain = read_configured(type, given)
        return Genome(_CONDITIONS, {**default_genome(_CONDITIONS).genes, "document": plain.structure})
    if type not in configurable_families():
        known = sorted([*PLAIN_TYPES, *configurable_families()])
        raise InputError(f"unknown type {fields.shown(type)}", where="type", remedy=f"types are {', '.join(known)}")
    found = fields.mapping(given, "parameters", optional=[spec.name for spec in get_family(type).genes])
    return Genome(type, {**get_family(type).default_genes, **found})
