"""ema_crossover: follow the faster average when it leads the slower one and price has momentum."""

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
class EmaCrossover:
    """Enter with the gap between two exponential averages and the rate of change, leave when the gap closes."""

    name: ClassVar[str] = "ema_crossover"
    seed_type: ClassVar[str] = "momentum"
    columns: ClassVar[tuple[str, ...]] = ("close",)
    conviction: ClassVar[bool] = False
    memory: ClassVar[Memory] = "direction"
    evolves: ClassVar[bool] = True
    genes: ClassVar[tuple[GeneSpec, ...]]
    own_genes: ClassVar[tuple[GeneSpec, ...]] = (
        GeneSpec(
            name="fast_ema_period",
            kind="int",
            default=12,
            low=5,
            high=15,
            unit="bars",
            description="period of the fast average, also the span of the momentum test",
        ),
        GeneSpec(
            name="slow_ema_period",
            kind="int",
            default=26,
            low=18,
            high=34,
            unit="bars",
            description="period of the slow average",
        ),
        GeneSpec(
            name="momentum_threshold",
            kind="float",
            default=0.005,
            low=0.0,
            high=0.05,
            unit="fraction",
            description="least rate of change over the fast period",
        ),
        GeneSpec(
            name="trend_filter",
            kind="float",
            default=0.001,
            low=0.0,
            high=0.02,
            unit="fraction",
            description="least gap between the averages",
        ),
    )

    def warmup(self, genes: Mapping[str, Any]) -> int:
        """Return the first bar on which the slow average exists."""
        return int(genes["slow_ema_period"]) - 1

    def indicators(self, genes: GeneArrays) -> dict[str, NDArray[np.int64]]:
        """Name both averages and the rate of change."""
        fast = genes["fast_ema_period"]
        return {
            "ema": np.concatenate([fast, genes["slow_ema_period"]]).astype(np.int64),
            "rate_of_change": fast.astype(np.int64),
        }

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        from quant_organism.strategies.kernels.ema_crossover import ema_crossover_targets

        fast, slow = genes["fast_ema_period"], genes["slow_ema_period"]
        ema, fast_row = bank.rows("ema", fast)
        _, slow_row = bank.rows("ema", slow)
        change, change_row = bank.rows("rate_of_change", fast)
        ema_crossover_targets(
            ema,
            change,
            fast_row,
            slow_row,
            change_row,
            slow - 1,
            genes["momentum_threshold"],
            genes["trend_filter"],
            out,
        )
