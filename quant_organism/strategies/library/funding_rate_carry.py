"""funding_rate_carry: take the side that receives funding while the mean rate pays for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.family import GeneArrays, register
from quant_organism.strategies.genes import GeneSpec

if TYPE_CHECKING:
    from quant_organism.strategies.bank import IndicatorBank
    from quant_organism.strategies.targets import Targets


@register
class FundingRateCarry:
    """Short what longs pay for, and the reverse; leave when the carry fades or after the longest hold.

    A longest hold blocks its direction until the rate has once ceased to call for it. The edge is the funding itself,
    so an evaluation that does not book funding says nothing about this family.
    """

    name: ClassVar[str] = "funding_rate_carry"
    seed_type: ClassVar[str] = "carry"
    columns: ClassVar[tuple[str, ...]] = ("funding_rate",)
    conviction: ClassVar[bool] = False
    evolves: ClassVar[bool] = True
    genes: ClassVar[tuple[GeneSpec, ...]]
    own_genes: ClassVar[tuple[GeneSpec, ...]] = (
        GeneSpec(
            name="funding_threshold",
            kind="float",
            default=0.00003,
            low=0.000005,
            high=0.0005,
            unit="fraction per hour",
            description="least expected rate, of either sign, that is worth a position",
        ),
        GeneSpec(
            name="carry_duration", kind="int", default=24, low=1, high=72, unit="hours", description="longest hold"
        ),
        GeneSpec(
            name="rate_momentum",
            kind="float",
            default=0.3,
            low=0.0,
            high=1.0,
            unit="weight",
            description="share of the mean rate's last change that is expected to come again",
        ),
        GeneSpec(
            name="reversal_sensitivity",
            kind="float",
            default=0.5,
            low=0.0,
            high=1.0,
            unit="x threshold",
            description="a position ends when the mean rate it receives falls below this",
        ),
        GeneSpec(
            name="funding_persistence",
            kind="int",
            default=4,
            low=1,
            high=24,
            unit="hours",
            description="window of the mean rate",
        ),
    )

    def warmup(self, genes: Mapping[str, Any]) -> int:
        """Return the first bar with two windows of rates, for bars of one hour."""
        return 2 * int(genes["funding_persistence"]) - 1

    def indicators(self, genes: GeneArrays) -> dict[str, NDArray[np.int64]]:
        """Name the mean rate, by hours."""
        return {"mean_funding_rate": genes["funding_persistence"].astype(np.int64)}

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        from quant_organism.strategies.kernels.funding_rate_carry import funding_rate_carry_targets

        mean_rate, row = bank.rows("mean_funding_rate", genes["funding_persistence"])
        funding_rate_carry_targets(
            mean_rate,
            row,
            bank.bars.count_of(genes["funding_persistence"]),
            bank.bars.count_of(genes["carry_duration"]),
            genes["funding_threshold"],
            genes["rate_momentum"],
            genes["reversal_sensitivity"],
            out,
        )
