"""Variation: what the parents of a brood beget, at which rates (they may follow success), and with which models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from deap import base

from quant_organism.errors import InputError
from quant_organism.evolution.selection import Method, survive
from quant_organism.strategies import (
    GeneRows,
    GeneValue,
    Genome,
    crossover,
    default_genome,
    get_family,
    mutate,
    random_genome,
)

CROSSOVER: Final = "crossover"
MUTATION: Final = "mutation"

_TARGET_SUCCESS = 0.2
_DAMPING = 3.0
_MUTATION_RATES = (0.02, 0.5)
_LEAST_PROBABILITY = 0.1
_LEARNING_RATE = 0.3


@dataclass(frozen=True, kw_only=True)
class VariationRates:
    """How often and how far operators act.

    Parameters
    ----------
    crossover_probability
        Probability that a pair of parents crosses its genes before its children mutate.
    mutation_rate
        Probability that a gene of a child moves; of a child that was not crossed at least one does.
    crossover_eta, mutation_eta
        Distribution indices of simulated binary crossover and of polynomial mutation: the larger, the nearer children
        are to their parents.

    Raises
    ------
    InputError
        If a probability is not in [0, 1], or an index not a number >= 0.
    """

    crossover_probability: float = 0.8
    mutation_rate: float = 0.15
    crossover_eta: float = 15.0
    mutation_eta: float = 20.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            most = math.inf if field.name.endswith("eta") else 1.0
            if not (0.0 <= value <= most and math.isfinite(value)):
                expected = "a number >= 0" if math.isinf(most) else "a number in [0, 1]"
                raise InputError(f"{field.name} is {value!r}, expected {expected}", where="rates")

    def adapted(self, success: Mapping[str, float]) -> VariationRates:
        """Return rates that follow the success of the last brood.

        The mutation rate follows the one-fifth rule: it grows while more than a fifth of the children of mutation alone
        survive, else it shrinks; by exp((s - 1/5) / (1 - 1/5) / 3), within [0.02, 0.5]. The crossover probability moves
        three tenths of the way to crossover's share of success (probability matching), no operator below one tenth.

        Parameters
        ----------
        success
            Share of each operator's children that survived, in [0, 1]; an operator without children is left out, and
            what hangs on it stays.

        Notes
        -----
        Rechenberg 1973, "Evolutionsstrategie", with the smooth update of Igel, Suttorp, Hansen 2006, GECCO, equation 3;
        Thierens 2005, GECCO, section 2.
        """
        adapted = self
        if MUTATION in success:
            drive = (success[MUTATION] - _TARGET_SUCCESS) / (1.0 - _TARGET_SUCCESS)
            rate = self.mutation_rate * math.exp(drive / _DAMPING)
            adapted = replace(adapted, mutation_rate=min(max(rate, _MUTATION_RATES[0]), _MUTATION_RATES[1]))
        total = success.get(CROSSOVER, 0.0) + success.get(MUTATION, 0.0)
        if len(success) == 2 and total > 0.0:
            matched = _LEAST_PROBABILITY + (1.0 - 2.0 * _LEAST_PROBABILITY) * success[CROSSOVER] / total
            moved = self.crossover_probability + _LEARNING_RATE * (matched - self.crossover_probability)
            adapted = replace(adapted, crossover_probability=moved)
        return adapted


@dataclass(frozen=True)
class Offspring:
    """A child.

    Attributes
    ----------
    genome
        Of the family of its first parent, and different from it.
    parents
        Places of its parents among those that were given, the first one first: two after crossover, else one.
    operator
        ``"crossover"``, after which genes may have mutated as well, or ``"mutation"`` alone.
    """

    genome: Genome
    parents: tuple[int, ...]
    operator: str


def toolbox(rates: VariationRates, rng: np.random.Generator, method: Method = "nsga2") -> base.Toolbox:
    """Return DEAP's toolbox with this engine's operators.

    ``mate`` and ``mutate`` take and return `GeneRows`, a whole brood at once; ``select`` takes an objective matrix and
    the number to keep, and returns places.
    """
    tools = base.Toolbox()
    tools.register("mate", crossover, rng=rng, eta=rates.crossover_eta)
    tools.register("mutate", mutate, rng=rng, rate=rates.mutation_rate, eta=rates.mutation_eta)
    tools.register("select", survive, method=method, rng=rng)
    return tools


def vary(
    parents: Sequence[Genome], rates: VariationRates, rng: np.random.Generator, generation: int
) -> list[Offspring]:
    """Return one child per parent: of the first and second, third and fourth, ... together, or of each alone.

    Parameters
    ----------
    parents
        Two by two; the last of an odd number mutates alone.
    rates
        How often and how far operators act.
    rng
        Source of randomness.
    generation
        Generation of the children.

    Returns
    -------
    list of Offspring
        In the order of `parents`; each within bounds, repaired, of its parent's family and different from it.
    """
    tools = toolbox(rates, rng)
    rows = GeneRows.of(parents)
    first = 2 * np.flatnonzero(rng.random(len(parents) // 2) < rates.crossover_probability)
    alone = np.setdiff1d(np.arange(len(parents)), np.concatenate([first, first + 1]))
    crossed = tools.mate(rows.take(first), rows.take(first + 1))
    order = np.argsort(np.concatenate([first, first + 1, alone]))
    bred = GeneRows.joined([*crossed, rows.take(alone)]).take(order)
    single = np.isin(np.arange(len(parents)), alone)
    born = tools.mutate(bred, single).genomes(generation)
    # Luck, rounding and repair may leave a child as its parent was.
    while unmoved := [i for i, child in enumerate(born) if child.genes == parents[i].genes]:
        moved = tools.mutate(rows.take(np.array(unmoved)), np.ones(len(unmoved), dtype=bool))
        for i, child in zip(unmoved, moved.genomes(generation), strict=True):
            born[i] = child
    return [
        Offspring(child, (i,), MUTATION) if single[i] else Offspring(child, (i, i ^ 1), CROSSOVER)
        for i, child in enumerate(born)
    ]


class ModelMenu:
    """For each fitted family a few sets of the genes that its models depend on.

    Fits cost a thousand times what it costs to trade by them, and are shared by all genomes with equal model genes. A
    search therefore fits the models of its menu alone; the genes that are read after the fit, and those that all
    genomes carry, stay free. The first set is that of the family's reference genome, the others are drawn.

    Parameters
    ----------
    families
        Families of the search; those that fit nothing have no menu.
    size
        Sets per family.
    rng
        Draws them.
    """

    def __init__(self, families: Sequence[str], size: int, rng: np.random.Generator) -> None:
        self._sets: dict[str, list[Mapping[str, GeneValue]]] = {}
        for name in sorted(families):
            genes = get_family(name).model_genes
            if genes:
                models = [default_genome(name), *(random_genome(rng, name) for _ in range(size - 1))]
                self._sets[name] = [{gene: model.genes[gene] for gene in genes} for model in models]

    def settled(self, genome: Genome, rng: np.random.Generator) -> Genome:
        """Return a genome whose model genes are on the menu: its own if they are, else those of a set drawn."""
        sets = self._sets.get(genome.family)
        if sets is None or any(all(genome.genes[gene] == value for gene, value in one.items()) for one in sets):
            return genome
        chosen = sets[int(rng.integers(len(sets)))]
        return Genome(genome.family, {**genome.genes, **chosen}, genome.generation)
