"""Genomes: a family's name with a value for every gene; immutable, with an identity that is its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from quant_organism.errors import InputError, IntegrityError
from quant_organism.strategies.families import get_family
from quant_organism.strategies.family import GeneArrays
from quant_organism.strategies.genes import GeneValue, check_genes

_FIELDS = ("family", "generation", "hash", "genes")
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(genes: Mapping[str, GeneValue]) -> str:
    """Write genes in their canonical text: sorted keys, no spaces, shortest round-trip numbers.

    The values must be canonical themselves (`GeneSpec.check`): ints as ``int``, floats of ten significant digits.
    """
    return _CANONICAL.encode(dict(genes))


def genes_hash(genes: Mapping[str, GeneValue]) -> str:
    """Return the SHA-256 of the canonical text of `genes`, in hex."""
    return hashlib.sha256(canonical_json(genes).encode()).hexdigest()


@dataclass(frozen=True)
class Genome:
    """One strategy: a family and a value for each of its own genes and of those that all genomes carry.

    Parameters
    ----------
    family
        Name of a registered family.
    genes
        Every gene of the family and every common gene; kept in the family's order and in canonical form
        (floats with ten significant digits), so that equal hashes mean equal behaviour.
    generation
        Generation of the search that bore it, 0 for random and hand-written genomes.

    Raises
    ------
    InputError
        If the family is unknown, the generation negative, or a gene missing, unknown, out of bounds or
        contradicting another.
    """

    family: str
    genes: Mapping[str, GeneValue]
    generation: int = 0

    def __post_init__(self) -> None:
        family = get_family(self.family)
        if isinstance(self.generation, bool) or not isinstance(self.generation, int) or self.generation < 0:
            raise InputError(
                f"generation is {self.generation!r}, expected an integer >= 0", where=f"genome of {self.family}"
            )
        checked = check_genes(family.genes, self.genes, where=f"genome of {self.family}")
        family.check(checked, f"genome of {self.family}")
        object.__setattr__(self, "genes", MappingProxyType(checked))

    def changed(self, genes: Mapping[str, GeneValue]) -> Genome:
        """Return this genome with other values of some genes; the others, which were checked, are not checked again.

        Raises
        ------
        InputError
            As where a genome is made.
        """
        if not genes.keys() <= self.genes.keys():
            return Genome(self.family, {**self.genes, **genes}, self.generation)  # which names the unknown ones
        family, where = get_family(self.family), f"genome of {self.family}"
        merged = {**self.genes, **{name: family.gene(name).check(value, where) for name, value in genes.items()}}
        family.check(merged, where)
        other = object.__new__(Genome)
        vars(other).update(family=self.family, genes=MappingProxyType(merged), generation=self.generation)
        return other

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical text of all genes, in hex. Gene names tell families apart."""
        return genes_hash(self.genes)

    @property
    def id(self) -> str:
        """Identity ``{family}_{generation}_{first 8 digits of the hash}``; parse it from the right."""
        return f"{self.family}_{self.generation}_{self.hash[:8]}"

    def __hash__(self) -> int:
        return int(self.hash[:15], 16) ^ self.generation

    def __reduce__(self) -> tuple[Callable[..., Genome], tuple[str, dict[str, GeneValue], int]]:
        return Genome, (self.family, dict(self.genes), self.generation)

    def to_dict(self) -> dict[str, Any]:
        """Return the stored form: family, generation, full hash, genes."""
        return {
            "family": self.family,
            "generation": self.generation,
            "hash": self.hash,
            "genes": dict(self.genes),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Genome:
        """Read the stored form back.

        Raises
        ------
        InputError
            If a field is missing, unknown or of the wrong kind.
        IntegrityError
            If the stored hash is not that of the genes.
        """
        if not isinstance(record, Mapping) or set(record) != set(_FIELDS):
            found = sorted(map(str, record)) if isinstance(record, Mapping) else type(record).__name__
            raise InputError(f"a genome has exactly the fields {', '.join(_FIELDS)}; found {found}", where="genome")
        if not isinstance(record["family"], str):
            raise InputError(f"field family is {record['family']!r}, expected a family's name", where="genome")
        if not isinstance(record["genes"], Mapping):
            raise InputError(f"field genes is {record['genes']!r}, expected a mapping of genes", where="genome")
        genome = cls(record["family"], record["genes"], record["generation"])
        if record["hash"] != genome.hash:
            raise IntegrityError(
                f"field hash is {record['hash']!r}, but the genes hash to {genome.hash}",
                where=f"genome {genome.id}",
                remedy="the genes were altered after they were stored; restore the document",
            )
        return genome


def gene_arrays(genomes: Sequence[Genome]) -> GeneArrays:
    """Collect the genes of genomes of one family into arrays of shape (G,), as `StrategyFamily.arrays` does."""
    return get_family(genomes[0].family).arrays([genome.genes for genome in genomes])
