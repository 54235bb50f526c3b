"""sma_trend_filter: follow the faster of two averages where price moves straight enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.family import GeneArrays, Memory, register
from quant_organism.strategies.genes import GeneSpec

if TYPE_CHECKING:
    from quant_organism.strategies.bank import IndicatorBank
    from quant_organism.strategies.targets import Targets


@register
class SmaTrendFilter:
    """Enter with the averages in a straight move whose closes are beyond the faster one; leave when they cross."""

    name: ClassVar[str] = "sma_trend_filter"
    seed_type: ClassVar[str] = "trend_following"
    columns: ClassVar[tuple[str, ...]] = ("close",)
    conviction: ClassVar[bool] = False
    memory: ClassVar[Memory] = "direction"
    evolves: ClassVar[bool] = True
    genes: ClassVar[tuple[GeneSpec, ...]]
    own_genes: ClassVar[tuple[GeneSpec, ...]] = (
        GeneSpec(
            name="fast_sma_period",
            kind="int",
            default=50,
            low=10,
            high=80,
            unit="bars",
            description="period of the fast average",
        ),
        GeneSpec(
            name="slow_sma_period",
            kind="int",
            default=200,
            low=100,
            high=300,
            unit="bars",
            description="period of the slow average",
        ),
        GeneSpec(
            name="trend_strength_period",
            kind="int",
            default=30,
            low=10,
            high=100,
            unit="bars",
            description="window of the efficiency ratio and of the confirming closes",
        ),
        GeneSpec(
            name="filter_sensitivity",
            kind="float",
            default=0.4,
            low=0.0,
            high=1.0,
            unit="x 0.5 of efficiency ratio",
            description="least straightness of the move at entry",
        ),
        GeneSpec(
            name="momentum_confirmation",
            kind="float",
            default=0.5,
            low=0.0,
            high=1.0,
            unit="share of closes",
            description="least share of closes beyond the fast average at entry",
        ),
    )

    def warmup(self, genes: Mapping[str, Any]) -> int:
        """Return the first bar with both averages, a whole window of closes beyond the fast one, and of moves."""
        window = int(genes["trend_strength_period"])
        return max(int(genes["slow_sma_period"]) - 1, int(genes["fast_sma_period"]) + window - 2, window)

    def indicators(self, genes: GeneArrays) -> dict[str, NDArray[np.int64]]:
        """Name both averages, the closes on either side of the fast one, and the efficiency ratio."""
        fast = genes["fast_sma_period"].astype(np.int64)
        return {
            "sma": np.concatenate([fast, genes["slow_sma_period"]]),
            "closes_above_sma": fast,
            "closes_below_sma": fast,
            "efficiency_ratio": genes["trend_strength_period"].astype(np.int64),
        }

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        from quant_organism.strategies.kernels.sma_trend_filter import sma_trend_filter_targets

        fast, slow, window = genes["fast_sma_period"], genes["slow_sma_period"], genes["trend_strength_period"]
        sma, fast_row = bank.rows("sma", fast)
        above, above_row = bank.rows("closes_above_sma", fast)
        below, below_row = bank.rows("closes_below_sma", fast)
        efficiency, efficiency_row = bank.rows("efficiency_ratio", window)
        sma_trend_filter_targets(
            sma,
            above,
            below,
            efficiency,
            np.stack([fast_row, bank.rows("sma", slow)[1], above_row, below_row, efficiency_row], axis=1),
            np.maximum(np.maximum(slow - 1, fast + window - 2), window),
            window,
            0.5 * genes["filter_sensitivity"],
            np.ceil(genes["momentum_confirmation"] * window).astype(np.int32),
            out,
        )
