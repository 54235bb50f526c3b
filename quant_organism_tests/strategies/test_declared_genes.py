"""Bounds, priors, defaults and warm-ups of all families are those of a table that changes only on purpose."""

from collections.abc import Iterator
from pathlib import Path

from quant_organism.strategies import (
    COMMON_GENES,
    GeneSpec,
    StrategyFamily,
    default_genome,
    family_names,
    get_family,
)

DECLARED = Path(__file__).with_name("declared_genes.txt")
"""To change it on purpose: write what `lines()` returns."""


def of_gene(gene: GeneSpec) -> str:
    bounds = "|".join(gene.choices) if gene.kind == "choice" else f"{gene.low} to {gene.high}"
    return f"  {gene.name} {gene.kind} {gene.default!r} of {bounds} in {gene.unit}, drawn {gene.drawn_from}"


def of_family(family: StrategyFamily) -> Iterator[str]:
    yield f"{family.name} {family.seed_type} evolves={family.evolves} {','.join(family.columns)}"
    genes = dict(default_genome(family.name).genes)
    yield f"  bars before the first target: {family.warmup(genes)}"
    for gene in family.own_genes:
        yield of_gene(gene)
        numbers = (gene.low, gene.high) if gene.kind in ("int", "float") else gene.choices
        reach = [family.warmup(genes | {gene.name: value}) for value in numbers]
        if set(reach) - {family.warmup(genes)}:
            yield f"    bars before the first target: {', '.join(map(str, reach))}"


def lines() -> list[str]:
    """Return the table as it is declared now."""
    table = ["all families", *map(of_gene, COMMON_GENES)]
    for name in family_names():
        table += of_family(get_family(name))
    return table


def test_genes_and_warm_ups_are_those_of_the_table() -> None:
    assert lines() == DECLARED.read_text(encoding="utf-8").splitlines()
