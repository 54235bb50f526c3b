"""conditions: a strategy that a person wrote down, as a document of comparisons or as a plain type with parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.conditions.document import Condition, Document, Group
from quant_organism.strategies.conditions.grammar import DocumentGrammar, structure_rules
from quant_organism.strategies.family import GeneArrays, register
from quant_organism.strategies.genes import GeneSpec

if TYPE_CHECKING:
    from quant_organism.strategies.bank import IndicatorBank
    from quant_organism.strategies.targets import Targets

_REFERENCE = Document(
    strategy_id="rsi_reversal",
    side="LONG",
    entry=Group("ALL", (Condition("RSI_14", "<", 30.0),)),
    exit=Group("ALL", (Condition("RSI_14", ">", 50.0),)),
    base_size_usd=1000.0,
)


@register
class Conditions:
    """Enter and leave where the written conditions hold, on closed bars."""

    name: ClassVar[str] = "conditions"
    seed_type: ClassVar[str] = "hand_written"
    columns: ClassVar[tuple[str, ...]] = ("open", "high", "low", "close", "volume")
    conviction: ClassVar[bool] = False
    evolves: ClassVar[bool] = False
    genes: ClassVar[tuple[GeneSpec, ...]]
    own_genes: ClassVar[tuple[GeneSpec, ...]] = (
        GeneSpec(
            name="document",
            kind="structure",
            default=_REFERENCE.structure,
            grammar=DocumentGrammar(),
            unit="document",
            description="side, conditions of entry and exit, size and least confidence",
        ),
    )

    def warmup(self, genes: Mapping[str, Any]) -> int:
        """Return the first bar on which every series of the document has a value."""
        return structure_rules(genes["document"]).history - 1

    def columns_of(self, genes: Mapping[str, Any]) -> tuple[str, ...]:
        """Return prices and volume, and the funding rate where the document reads it."""
        reads_funding = "funding_rate" in structure_rules(genes["document"]).names
        return (*self.columns, "funding_rate") if reads_funding else self.columns

    def check(self, genes: Mapping[str, Any], where: str) -> None:
        """Accept all genes: a document bounds no other."""

    def repair(self, genes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the genes as they are."""
        return dict(genes)

    def indicators(self, genes: GeneArrays) -> dict[str, NDArray[np.int64]]:
        """Name the rows of all series that the documents compare."""
        needs: dict[str, set[int]] = {}
        for structure in genes["document"]:
            for name, key in structure_rules(structure).rows:
                needs.setdefault(name, set()).add(key)
        return {name: np.array(sorted(keys), dtype=np.int64) for name, keys in needs.items()}

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        from quant_organism.strategies.conditions.evaluate import write_targets

        for genome, structure in enumerate(genes["document"]):
            write_targets(structure_rules(structure), bank, out, genome)
