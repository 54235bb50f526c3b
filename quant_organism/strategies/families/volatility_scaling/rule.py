"""volatility_scaling: follow the direction of price with a size that keeps volatility at a target."""

from __future__ import annotations

import numpy as np

from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.families.volatility_scaling.kernel import LEFT, volatility_scaling_targets
from quant_organism.strategies.family import GeneArrays, Genes, StrategyFamily
from quant_organism.strategies.genes import PERIODS, GeneSpec
from quant_organism.strategies.indicators.indicator import Needs
from quant_organism.strategies.indicators.volatility import LOG_RETURN_DEVIATION
from quant_organism.strategies.priors import RangePrior
from quant_organism.strategies.targets import Targets

HOURS_PER_YEAR = 8760.0


class VolatilityScaling(StrategyFamily):
    """Hold the direction of two windows of price, sized by target over realised volatility, less in lasting stress."""

    name = "volatility_scaling"
    seed_type = "volatility"
    columns = ("close",)
    abreast = True
    conviction = True
    memory = "direction"
    left = LEFT
    own_genes = (
        GeneSpec(
            name="volatility_window",
            kind="int",
            default=20,
            low=10,
            high=150,
            scale="log",
            grid=PERIODS,
            prior=RangePrior(30, 150),
            unit="bars",
            description="short window of volatility and direction; the long one is four times as long",
        ),
        GeneSpec(
            name="regime_threshold",
            kind="float",
            default=1.5,
            low=1.1,
            high=1.9,
            unit="ratio",
            description="short over long volatility from which on a bar counts as stress",
        ),
        GeneSpec(
            name="scaling_factor",
            kind="float",
            default=0.5,
            low=0.2,
            high=0.8,
            unit="factor",
            description="factor on the size in stress",
        ),
        GeneSpec(
            name="regime_persistence",
            kind="int",
            default=3,
            low=1,
            high=10,
            unit="bars",
            description="bars of stress in a row before the size is scaled",
        ),
        GeneSpec(
            name="multi_timeframe_weight",
            kind="float",
            default=0.3,
            low=0.0,
            high=1.0,
            prior=RangePrior(0.6, 1.0),
            unit="weight",
            description="weight of the long window's direction against the short one's",
        ),
        GeneSpec(
            name="target_volatility",
            kind="float",
            default=0.40,
            low=0.1,
            high=1.0,
            unit="per year",
            description="volatility at which the position is full; above it the size falls in proportion",
        ),
        GeneSpec(
            name="rebalance_band",
            kind="float",
            default=0.1,
            low=0.0,
            high=0.5,
            unit="conviction",
            description="least change of the size that is passed on",
        ),
    )

    def warmup(self, genes: Genes) -> int:
        """Return the first bar with a long window of returns."""
        return 4 * int(genes["volatility_window"])

    def indicators(self, genes: GeneArrays) -> Needs:
        """Name the deviation of returns over both windows."""
        window = genes["volatility_window"].astype(np.int64)
        return {LOG_RETURN_DEVIATION: np.concatenate([window, 4 * window])}

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        window = genes["volatility_window"]
        deviation, short_row = bank.rows(LOG_RETURN_DEVIATION, window)
        _, long_row = bank.rows(LOG_RETURN_DEVIATION, 4 * window)
        volatility_scaling_targets(
            bank.prices("close"),
            bank.stands(window.size),
            deviation,
            short_row,
            long_row,
            HOURS_PER_YEAR / bank.bars.bar_hours,
            bank.firsts(4 * window),
            window,
            genes["regime_threshold"],
            genes["scaling_factor"],
            genes["regime_persistence"],
            genes["multi_timeframe_weight"],
            genes["target_volatility"],
            genes["rebalance_band"],
            out,
        )
