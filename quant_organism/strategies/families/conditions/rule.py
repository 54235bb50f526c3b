"""conditions: a strategy that a person wrote down, as a document of comparisons or as a plain type with parameters."""

from __future__ import annotations

import numpy as np

from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.conditions.document import Condition, ConditionGroup, Document
from quant_organism.strategies.conditions.grammar import DocumentGrammar, structure_rules
from quant_organism.strategies.conditions.rules import write_targets
from quant_organism.strategies.family import GeneArrays, Genes, StrategyFamily
from quant_organism.strategies.genes import GeneSpec
from quant_organism.strategies.indicators.indicator import Indicator, Needs
from quant_organism.strategies.targets import Targets

_REFERENCE = Document(
    strategy_id="rsi_reversal",
    side="LONG",
    entry=ConditionGroup("ALL", (Condition("RSI_14", "<", 30.0),)),
    exit=ConditionGroup("ALL", (Condition("RSI_14", ">", 50.0),)),
    base_size_usd=1000.0,
)


class Conditions(StrategyFamily):
    """Enter and leave where the written conditions hold, on closed bars."""

    name = "conditions"
    seed_type = "hand_written"
    columns = ("open", "high", "low", "close", "volume")
    evolves = False
    own_genes = (
        GeneSpec(
            name="document",
            kind="structure",
            default=_REFERENCE.structure,
            grammar=DocumentGrammar(),
            unit="document",
            description="side, conditions of entry and exit, size and least confidence",
        ),
    )

    def warmup(self, genes: Genes) -> int:
        """Return the first bar on which every series of the document has a value."""
        return structure_rules(genes["document"]).history - 1

    def columns_of(self, genes: Genes) -> tuple[str, ...]:
        """Return prices and volume, and the funding rate where the document reads it."""
        reads_funding = "funding_rate" in structure_rules(genes["document"]).names
        return (*self.columns, "funding_rate") if reads_funding else self.columns

    def indicators(self, genes: GeneArrays) -> Needs:
        """Name the rows of all series that the documents compare."""
        needs: dict[Indicator, set[int]] = {}
        for structure in genes["document"]:
            for indicator, key in structure_rules(structure).rows:
                needs.setdefault(indicator, set()).add(key)
        return {indicator: np.array(sorted(keys), dtype=np.int64) for indicator, keys in needs.items()}

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        for genome, structure in enumerate(genes["document"]):
            write_targets(structure_rules(structure), bank, out, genome)
