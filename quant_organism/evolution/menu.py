"""The models that a search may fit: few, so that many genomes can share each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from quant_organism.strategies import GeneValue, Genome, default_genome, get_family, random_genome


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
