"""atr_stop_loss: follow breaks of the range of closes behind a stop that moves with volatility."""

from __future__ import annotations

import numpy as np

from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.families.atr_stop_loss.kernel import LEFT, atr_stop_loss_targets
from quant_organism.strategies.family import GeneArrays, Genes, StrategyFamily
from quant_organism.strategies.genes import PERIODS, GeneSpec
from quant_organism.strategies.indicators.extremes import CLOSE_BREAKOUT
from quant_organism.strategies.indicators.indicator import Needs
from quant_organism.strategies.indicators.volatility import ATR, LOG_ATR_RATIO
from quant_organism.strategies.priors import RangePrior
from quant_organism.strategies.targets import Targets


class AtrStopLoss(StrategyFamily):
    """Enter on a close beyond the closes before it, sized by risk; leave at a stop that trails once it breaks even."""

    name = "atr_stop_loss"
    seed_type = "risk_management"
    columns = ("high", "low", "close")
    abreast = True
    conviction = True
    memory = "direction"
    left = LEFT
    own_genes = (
        GeneSpec(
            name="atr_period",
            kind="int",
            default=14,
            low=5,
            high=120,
            scale="log",
            grid=PERIODS,
            prior=RangePrior(20, 120),
            unit="bars",
            description="period of the average true range, and of the entry channel of closes",
        ),
        GeneSpec(
            name="stop_loss_multiplier",
            kind="float",
            default=2.0,
            low=1.0,
            high=4.0,
            prior=RangePrior(2.0, 4.0),
            unit="x average true range",
            description="distance of the first stop from the entry close",
        ),
        GeneSpec(
            name="trailing_stop_multiplier",
            kind="float",
            default=3.0,
            low=0.5,
            high=5.0,
            prior=RangePrior(2.5, 5.0),
            unit="x average true range",
            description="distance of the trailing stop from the best close",
        ),
        GeneSpec(
            name="position_size_atr_factor",
            kind="float",
            default=0.5,
            low=0.1,
            high=2.0,
            unit="percent of price",
            description="risk per average true range; more volatile entries are smaller",
        ),
        GeneSpec(
            name="volatility_adjustment",
            kind="float",
            default=0.7,
            low=0.0,
            high=1.0,
            unit="exponent",
            description="widens stops when the average true range is above its mean",
        ),
    )

    def warmup(self, genes: Genes) -> int:
        """Return the first bar with a mean of three periods of average true ranges."""
        return 4 * int(genes["atr_period"]) - 1

    def looks_back(self, genes: Genes, bar_hours: float) -> int:
        """Return 0: the trade and its stop are kept."""
        return 0

    def indicators(self, genes: GeneArrays) -> Needs:
        """Name the average true range, its ratio to its mean, and the breaks of the channel of closes."""
        period = genes["atr_period"].astype(np.int64)
        return {ATR: period, LOG_ATR_RATIO: period, CLOSE_BREAKOUT: period}

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        period = genes["atr_period"]
        atr, atr_row = bank.rows(ATR, period)
        ratio, ratio_row = bank.rows(LOG_ATR_RATIO, period)
        breakout, breakout_row = bank.rows(CLOSE_BREAKOUT, period)
        atr_stop_loss_targets(
            bank.prices("close"),
            bank.stands(period.size),
            atr,
            ratio,
            breakout,
            atr_row,
            ratio_row,
            breakout_row,
            bank.firsts(4 * period - 1),
            genes["stop_loss_multiplier"],
            genes["trailing_stop_multiplier"],
            genes["position_size_atr_factor"] / 100.0,
            genes["volatility_adjustment"],
            out,
        )
