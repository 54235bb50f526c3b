"""sma_trend_filter: follow the faster of two averages where price moves straight enough."""

from __future__ import annotations

import numpy as np

from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.families.sma_trend_filter.kernel import sma_trend_filter_targets
from quant_organism.strategies.family import GeneArrays, Genes, StrategyFamily
from quant_organism.strategies.genes import PERIODS, GeneSpec
from quant_organism.strategies.indicators.averages import SMA
from quant_organism.strategies.indicators.indicator import Needs
from quant_organism.strategies.indicators.trend import CLOSES_ABOVE_SMA, CLOSES_BELOW_SMA, EFFICIENCY_RATIO
from quant_organism.strategies.priors import RangePrior
from quant_organism.strategies.targets import Targets


class SmaTrendFilter(StrategyFamily):
    """Enter with the averages in a straight move whose closes are beyond the faster one; leave when they cross."""

    name = "sma_trend_filter"
    seed_type = "trend_following"
    columns = ("close",)
    memory = "direction"
    abreast = True
    own_genes = (
        GeneSpec(
            name="fast_sma_period",
            kind="int",
            default=50,
            low=10,
            high=80,
            scale="log",
            grid=PERIODS,
            unit="bars",
            description="period of the fast average",
        ),
        GeneSpec(
            name="slow_sma_period",
            kind="int",
            default=200,
            low=100,
            high=300,
            scale="log",
            grid=PERIODS,
            unit="bars",
            description="period of the slow average",
        ),
        GeneSpec(
            name="trend_strength_period",
            kind="int",
            default=30,
            low=10,
            high=100,
            grid=PERIODS,
            unit="bars",
            description="window of the efficiency ratio and of the confirming closes",
        ),
        GeneSpec(
            name="filter_sensitivity",
            kind="float",
            default=0.4,
            low=0.0,
            high=1.0,
            prior=RangePrior(0.0, 0.7),
            unit="x 0.5 of efficiency ratio",
            description="least straightness of the move at entry",
        ),
        GeneSpec(
            name="momentum_confirmation",
            kind="float",
            default=0.5,
            low=0.0,
            high=1.0,
            prior=RangePrior(0.0, 0.8),
            unit="share of closes",
            description="least share of closes beyond the fast average at entry",
        ),
    )

    def warmup(self, genes: Genes) -> int:
        """Return the first bar with both averages, a whole window of closes beyond the fast one, and of moves."""
        window = int(genes["trend_strength_period"])
        return max(int(genes["slow_sma_period"]) - 1, int(genes["fast_sma_period"]) + window - 2, window)

    def looks_back(self, genes: Genes, bar_hours: float) -> int:
        """Return the window of the confirming closes."""
        return int(genes["trend_strength_period"])

    def indicators(self, genes: GeneArrays) -> Needs:
        """Name both averages, the closes on either side of the fast one, and the efficiency ratio."""
        fast = genes["fast_sma_period"].astype(np.int64)
        return {
            SMA: np.concatenate([fast, genes["slow_sma_period"]]),
            CLOSES_ABOVE_SMA: fast,
            CLOSES_BELOW_SMA: fast,
            EFFICIENCY_RATIO: genes["trend_strength_period"].astype(np.int64),
        }

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        fast, slow, window = genes["fast_sma_period"], genes["slow_sma_period"], genes["trend_strength_period"]
        sma, fast_row = bank.rows(SMA, fast)
        above, above_row = bank.rows(CLOSES_ABOVE_SMA, fast)
        below, below_row = bank.rows(CLOSES_BELOW_SMA, fast)
        efficiency, efficiency_row = bank.rows(EFFICIENCY_RATIO, window)
        sma_trend_filter_targets(
            sma,
            above,
            below,
            efficiency,
            np.stack([fast_row, bank.rows(SMA, slow)[1], above_row, below_row, efficiency_row], axis=1),
            bank.firsts(np.maximum(np.maximum(slow - 1, fast + window - 2), window)),
            window,
            0.5 * genes["filter_sensitivity"],
            np.ceil(genes["momentum_confirmation"] * window).astype(np.int32),
            out,
        )
