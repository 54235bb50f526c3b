"""fibonacci_retracement: join a swing again after price has given back a set share of it."""

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

LEVELS = ("0.236", "0.382", "0.5", "0.618", "0.786")
METHODS = ("highest_close", "highest_high_low", "swing_detection")
"""In the order of the methods of `indicators.swings`."""

ATR_PERIOD = 14


@register
class FibonacciRetracement:
    """Enter in the swing's direction where a bar touches its retracement and closes back; aim at the swing's end."""

    name: ClassVar[str] = "fibonacci_retracement"
    seed_type: ClassVar[str] = "mean_reversion"
    columns: ClassVar[tuple[str, ...]] = ("high", "low", "close", "volume")
    conviction: ClassVar[bool] = False
    evolves: ClassVar[bool] = False
    genes: ClassVar[tuple[GeneSpec, ...]]
    own_genes: ClassVar[tuple[GeneSpec, ...]] = (
        GeneSpec(
            name="fibonacci_window",
            kind="int",
            default=50,
            low=20,
            high=100,
            unit="bars",
            description="previous bars in which pivots are sought",
        ),
        GeneSpec(
            name="fibonacci_level",
            kind="choice",
            default="0.618",
            choices=LEVELS,
            unit="share of the swing",
            description="share of the swing that price gives back",
        ),
        GeneSpec(
            name="pivot_detection_method",
            kind="choice",
            default="highest_high_low",
            choices=METHODS,
            unit="method",
            description="extreme closes, extreme highs and lows, or the latest bars that stand out among neighbours",
        ),
        GeneSpec(
            name="confluence_threshold",
            kind="float",
            default=0.005,
            low=0.001,
            high=0.05,
            unit="fraction of price",
            description="how near to the level a bar's extreme counts as a touch",
        ),
        GeneSpec(
            name="trend_confirmation",
            kind="float",
            default=0.3,
            low=0.0,
            high=1.0,
            unit="share of eight average true ranges",
            description="how much more than two average true ranges of 14 bars the swing must span",
        ),
        GeneSpec(
            name="volume_confirmation",
            kind="float",
            default=0.3,
            low=0.0,
            high=1.0,
            unit="x 1.5 mean volumes of the window",
            description="least volume of the entry bar; 0 is off",
        ),
    )

    def warmup(self, genes: Mapping[str, Any]) -> int:
        """Return the first bar with a full window before it."""
        return int(genes["fibonacci_window"])

    def indicators(self, genes: GeneArrays) -> dict[str, NDArray[np.int64]]:
        """Name the swing's ends, the average true range and the mean volume."""
        swing = _swing(genes)
        return {
            "swing_start": swing,
            "swing_end": swing,
            "atr": np.array([ATR_PERIOD]),
            "previous_mean_volume": genes["fibonacci_window"].astype(np.int64),
        }

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        from quant_organism.strategies.kernels.fibonacci_retracement import fibonacci_retracement_targets

        start, start_row = bank.rows("swing_start", _swing(genes))
        end, end_row = bank.rows("swing_end", _swing(genes))
        volume, volume_row = bank.rows("previous_mean_volume", genes["fibonacci_window"])
        atr, (atr_row,) = bank.rows("atr", np.array([ATR_PERIOD]))
        fibonacci_retracement_targets(
            bank.bars.high,
            bank.bars.low,
            bank.bars.close,
            bank.bars.volume,
            atr[atr_row],
            start,
            end,
            volume,
            start_row,
            end_row,
            volume_row,
            genes["fibonacci_window"],
            np.array([float(level) for level in LEVELS])[genes["fibonacci_level"]],
            genes["confluence_threshold"],
            2.0 + 8.0 * genes["trend_confirmation"],
            1.5 * genes["volume_confirmation"],
            out,
        )


def _swing(genes: GeneArrays) -> NDArray[np.int64]:
    from quant_organism.strategies.bank import pair

    return np.asarray(pair(genes["fibonacci_window"], genes["pivot_detection_method"]), dtype=np.int64)
