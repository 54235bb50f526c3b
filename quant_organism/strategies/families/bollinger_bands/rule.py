"""bollinger_bands: follow the break out of a squeeze, otherwise fade closes beyond the bands."""

from __future__ import annotations

import numpy as np

from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.families.bollinger_bands.kernel import LEFT, bollinger_bands_targets
from quant_organism.strategies.family import GeneArrays, Genes, StrategyFamily
from quant_organism.strategies.genes import PERIODS, GeneSpec
from quant_organism.strategies.indicators.dispersion import BANDWIDTH_RANK, Z_SCORE
from quant_organism.strategies.indicators.indicator import Needs
from quant_organism.strategies.priors import RangePrior
from quant_organism.strategies.targets import Targets


class BollingerBands(StrategyFamily):
    """Hold breakouts at full and fades at scaled conviction until price is back at the average."""

    name = "bollinger_bands"
    seed_type = "volatility"
    columns = ("close",)
    abreast = True
    conviction = True
    memory = "direction"
    left = LEFT
    own_genes = (
        GeneSpec(
            name="lookback_period",
            kind="int",
            default=20,
            low=10,
            high=160,
            scale="log",
            grid=PERIODS,
            prior=RangePrior(20, 160),
            unit="bars",
            description="window of mean and deviation",
        ),
        GeneSpec(
            name="volatility_multiplier",
            kind="float",
            default=2.0,
            low=1.0,
            high=2.5,
            prior=RangePrior(1.5, 2.5),
            unit="standard deviations",
            description="distance of the bands from the mean",
        ),
        GeneSpec(
            name="squeeze_threshold",
            kind="float",
            default=0.25,
            low=0.05,
            high=0.5,
            unit="share",
            description="a squeeze is a bandwidth in this lowest share of the previous five windows",
        ),
        GeneSpec(
            name="breakout_strength",
            kind="float",
            default=0.1,
            low=0.0,
            high=0.4,
            unit="standard deviations",
            description="how far beyond the band a close out of a squeeze must be",
        ),
        GeneSpec(
            name="position_scaling_factor",
            kind="float",
            default=0.5,
            low=0.0,
            high=1.0,
            unit="conviction",
            description="conviction of a fade; breakouts have 1, and 0 means no fades",
        ),
    )

    def warmup(self, genes: Genes) -> int:
        """Return the first bar whose predecessor has five windows of bandwidths."""
        return 6 * int(genes["lookback_period"]) - 1

    def looks_back(self, genes: Genes, bar_hours: float) -> int:
        """Return 0: what is held, and what ends it, is kept."""
        return 0

    def indicators(self, genes: GeneArrays) -> Needs:
        """Name the z-score and the rank of the bandwidth."""
        period = genes["lookback_period"].astype(np.int64)
        return {Z_SCORE: period, BANDWIDTH_RANK: period}

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        period = genes["lookback_period"]
        z_score, z_row = bank.rows(Z_SCORE, period)
        rank, rank_row = bank.rows(BANDWIDTH_RANK, period)
        bollinger_bands_targets(
            z_score,
            rank,
            z_row,
            rank_row,
            bank.firsts(6 * period - 1),
            period,
            genes["volatility_multiplier"],
            genes["squeeze_threshold"],
            genes["breakout_strength"],
            genes["position_scaling_factor"],
            out,
        )
