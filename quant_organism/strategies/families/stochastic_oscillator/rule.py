"""stochastic_oscillator: fade the ends of the recent range when %K turns across its mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.families.stochastic_oscillator.kernel import stochastic_oscillator_targets
from quant_organism.strategies.family import GeneArrays, Genes, StrategyFamily
from quant_organism.strategies.genes import PERIODS, GeneSpec
from quant_organism.strategies.indicators.indicator import Needs, pair
from quant_organism.strategies.indicators.oscillators import STOCHASTIC_CROSSING, STOCHASTIC_DIVERGENCE, STOCHASTIC_K
from quant_organism.strategies.priors import RangePrior
from quant_organism.strategies.targets import Targets


class StochasticOscillator(StrategyFamily):
    """Buy when %K crosses above %D out of the oversold zone, sell when it crosses below out of the overbought one."""

    name = "stochastic_oscillator"
    seed_type = "mean_reversion"
    columns = ("high", "low", "close")
    memory = "direction"
    abreast = True
    own_genes = (
        GeneSpec(
            name="k_period",
            kind="int",
            default=14,
            low=5,
            high=120,
            scale="log",
            grid=PERIODS,
            prior=RangePrior(20, 120),
            unit="bars",
            description="window of highs and lows, also of the divergence",
        ),
        GeneSpec(
            name="d_period",
            kind="int",
            default=3,
            low=2,
            high=20,
            scale="log",
            grid=PERIODS,
            prior=RangePrior(3, 20),
            unit="bars",
            description="smoothing of %D",
        ),
        GeneSpec(
            name="overbought_level",
            kind="float",
            default=80.0,
            low=70.0,
            high=90.0,
            prior=RangePrior(78.0, 90.0),
            unit="points of %K",
            description="zone for shorts, exit of longs",
        ),
        GeneSpec(
            name="oversold_level",
            kind="float",
            default=20.0,
            low=10.0,
            high=30.0,
            prior=RangePrior(10.0, 22.0),
            unit="points of %K",
            description="zone for longs, exit of shorts",
        ),
        GeneSpec(
            name="divergence_sensitivity",
            kind="float",
            default=0.5,
            low=0.0,
            high=1.0,
            prior=RangePrior(0.0, 0.6),
            unit="x 20 points of %K",
            description="widens the zone when price and %K diverge",
        ),
    )

    def warmup(self, genes: Genes) -> int:
        """Return the first bar with two divergence windows of %K."""
        return 3 * int(genes["k_period"]) - 2

    def looks_back(self, genes: Genes, bar_hours: float) -> int:
        """Return 1: an entry asks for %K of the bar before."""
        return 1

    def indicators(self, genes: GeneArrays) -> Needs:
        """Name %K, its crossings of %D and its divergence from price."""
        period = genes["k_period"].astype(np.int64)
        return {
            STOCHASTIC_K: period,
            STOCHASTIC_CROSSING: _lines(genes),
            STOCHASTIC_DIVERGENCE: period,
        }

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        period = genes["k_period"]
        index, index_row = bank.rows(STOCHASTIC_K, period)
        crossing, crossing_row = bank.rows(STOCHASTIC_CROSSING, _lines(genes))
        divergence, divergence_row = bank.rows(STOCHASTIC_DIVERGENCE, period)
        stochastic_oscillator_targets(
            index,
            crossing,
            divergence,
            index_row,
            crossing_row,
            divergence_row,
            bank.firsts(3 * period - 2),
            genes["overbought_level"],
            genes["oversold_level"],
            genes["divergence_sensitivity"],
            out,
        )


def _lines(genes: GeneArrays) -> NDArray[np.int64]:
    return np.asarray(pair(genes["k_period"], genes["d_period"]), dtype=np.int64)
