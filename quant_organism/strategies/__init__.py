"""What a strategy is: families with bounded genes, genomes, indicators, signals. Pure functions of arrays.

No orders, no costs, no equity: those belong to `backtest`.
"""

from quant_organism.strategies.committee import Committee, Member
from quant_organism.strategies.family import StrategyFamily, evolving_families, families, get_family
from quant_organism.strategies.gene_rows import GeneRows
from quant_organism.strategies.genes import GeneSpec, GeneValue
from quant_organism.strategies.genome import Genome
from quant_organism.strategies.operators import default_genome, random_genome

__all__ = [
    "Committee",
    "GeneRows",
    "GeneSpec",
    "GeneValue",
    "Genome",
    "Member",
    "StrategyFamily",
    "default_genome",
    "evolving_families",
    "families",
    "get_family",
    "random_genome",
]
