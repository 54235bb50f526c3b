"""What a strategy is: families with bounded genes, genomes, indicators, signals. Pure functions of arrays.

No orders, no costs, no equity: those belong to `backtest`.
"""

from quant_organism.strategies.bars import COLUMNS, AssetBars, Histories
from quant_organism.strategies.birth import SAMPLE_BARS, Flaw, birth_sample, check_birth, check_ranked_birth
from quant_organism.strategies.committee import Committee, Member
from quant_organism.strategies.common_genes import COMMON_GENES
from quant_organism.strategies.families import (
    configurable_families,
    evolving_families,
    family_names,
    get_family,
    ranking_family_names,
)
from quant_organism.strategies.family import StrategyFamily
from quant_organism.strategies.gene_rows import GeneRows
from quant_organism.strategies.genes import GeneSpec, GeneValue, Structure
from quant_organism.strategies.genome import Genome
from quant_organism.strategies.operators import crossover, default_genome, mutate, random_genome
from quant_organism.strategies.sampler import GenomeSampler
from quant_organism.strategies.signals import FittedModels, SignalStream, signal
from quant_organism.strategies.store import IndicatorStore

__all__ = [
    "COLUMNS",
    "COMMON_GENES",
    "SAMPLE_BARS",
    "AssetBars",
    "Committee",
    "FittedModels",
    "Flaw",
    "GeneRows",
    "GeneSpec",
    "GeneValue",
    "Genome",
    "GenomeSampler",
    "Histories",
    "IndicatorStore",
    "Member",
    "SignalStream",
    "StrategyFamily",
    "Structure",
    "birth_sample",
    "check_birth",
    "check_ranked_birth",
    "configurable_families",
    "crossover",
    "default_genome",
    "evolving_families",
    "family_names",
    "get_family",
    "mutate",
    "random_genome",
    "ranking_family_names",
    "signal",
]
