"""fibonacci_retracement: join a swing again after price has given back a set share of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.families.fibonacci_retracement.kernel import LEFT, fibonacci_retracement_targets
from quant_organism.strategies.family import GeneArrays, Genes, StrategyFamily
from quant_organism.strategies.genes import PERIODS, GeneSpec
from quant_organism.strategies.indicators.indicator import Needs, pair
from quant_organism.strategies.indicators.swings import SWING_END, SWING_START
from quant_organism.strategies.indicators.volatility import ATR
from quant_organism.strategies.indicators.volume import PREVIOUS_MEAN_VOLUME
from quant_organism.strategies.targets import Targets

LEVELS = ("0.236", "0.382", "0.5", "0.618", "0.786")
METHODS = ("highest_close", "highest_high_low", "swing_detection")
"""In the order of the methods of `indicators.swings`."""

ATR_PERIOD = 14


class FibonacciRetracement(StrategyFamily):
    """Enter in the swing's direction where a bar touches its retracement and closes back; aim at the swing's end."""

    name = "fibonacci_retracement"
    seed_type = "mean_reversion"
    columns = ("high", "low", "close", "volume")
    memory = "direction"
    left = LEFT
    abreast = True
    evolves = False
    own_genes = (
        GeneSpec(
            name="fibonacci_window",
            kind="int",
            default=50,
            low=20,
            high=100,
            grid=PERIODS,
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

    def warmup(self, genes: Genes) -> int:
        """Return the first bar with a full window before it."""
        return int(genes["fibonacci_window"])

    def looks_back(self, genes: Genes, bar_hours: float) -> int:
        """Return 1: a bar is compared with the one before."""
        return 1

    def indicators(self, genes: GeneArrays) -> Needs:
        """Name the swing's ends, the average true range and the mean volume."""
        swing = _swing(genes)
        return {
            SWING_START: swing,
            SWING_END: swing,
            ATR: np.array([ATR_PERIOD]),
            PREVIOUS_MEAN_VOLUME: genes["fibonacci_window"].astype(np.int64),
        }

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        start, start_row = bank.rows(SWING_START, _swing(genes))
        end, end_row = bank.rows(SWING_END, _swing(genes))
        volume, volume_row = bank.rows(PREVIOUS_MEAN_VOLUME, genes["fibonacci_window"])
        atr, atr_row = bank.rows(ATR, np.full(start_row.size, ATR_PERIOD))
        fibonacci_retracement_targets(
            bank.prices("high"),
            bank.prices("low"),
            bank.prices("close"),
            bank.prices("volume"),
            bank.stands(start_row.size),
            atr,
            start,
            end,
            volume,
            atr_row,
            start_row,
            end_row,
            volume_row,
            bank.firsts(genes["fibonacci_window"]),
            np.array([float(level) for level in LEVELS])[genes["fibonacci_level"]],
            genes["confluence_threshold"],
            2.0 + 8.0 * genes["trend_confirmation"],
            1.5 * genes["volume_confirmation"],
            out,
        )


def _swing(genes: GeneArrays) -> NDArray[np.int64]:
    return np.asarray(pair(genes["fibonacci_window"], genes["pivot_detection_method"]), dtype=np.int64)
