"""vwap_reversion: fade distances from the volume-weighted price outside of trends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bank import IndicatorBank, row_of
from quant_organism.strategies.bars import AssetBars
from quant_organism.strategies.families.vwap_reversion.kernel import vwap_reversion_targets
from quant_organism.strategies.family import GeneArrays, Genes, StrategyFamily
from quant_organism.strategies.genes import PERIODS, GeneSpec
from quant_organism.strategies.indicators.indicator import Needs
from quant_organism.strategies.indicators.trend import EFFICIENCY_RATIO
from quant_organism.strategies.indicators.volume import PREVIOUS_MEAN_VOLUME, VWAP, VWAP_DEVIATION
from quant_organism.strategies.priors import QuantilePrior, RangePrior
from quant_organism.strategies.targets import Targets


def _distance(bars: AssetBars, genes: Genes) -> NDArray[np.float64]:
    return np.abs(bars.close / row_of(bars, VWAP, genes["vwap_period"]) - 1.0)


class VwapReversion(StrategyFamily):
    """Enter against a distant close on enough volume where price does not trend; leave at the volume-weighted price."""

    name = "vwap_reversion"
    seed_type = "mean_reversion"
    columns = ("high", "low", "close", "volume")
    memory = "direction"
    abreast = True
    own_genes = (
        GeneSpec(
            name="vwap_period",
            kind="int",
            default=50,
            low=10,
            high=200,
            scale="log",
            grid=PERIODS,
            prior=RangePrior(20, 200),
            unit="bars",
            description="window of weighted price, mean volume and efficiency ratio",
        ),
        GeneSpec(
            name="reversion_threshold",
            kind="float",
            default=0.008,
            low=0.0,
            high=0.03,
            prior=QuantilePrior(_distance, "abs(close / weighted price - 1)", ("vwap_period",), 0.5, 0.97),
            unit="fraction of weighted price",
            description="least distance of the close",
        ),
        GeneSpec(
            name="volume_confirmation",
            kind="float",
            default=1.0,
            low=0.0,
            high=2.5,
            prior=RangePrior(0.0, 1.2),
            unit="x mean volume of the window before",
            description="least volume of the entering bar; 0 is off",
        ),
        GeneSpec(
            name="deviation_multiplier",
            kind="float",
            default=2.0,
            low=0.5,
            high=4.0,
            prior=RangePrior(0.5, 2.5),
            unit="volume-weighted standard deviations",
            description="least distance of the close",
        ),
        GeneSpec(
            name="regime_detection_weight",
            kind="float",
            default=0.6,
            low=0.0,
            high=1.0,
            unit="x 0.8 of efficiency ratio",
            description="how much straightness forbids entries; 0 forbids none",
        ),
    )

    def warmup(self, genes: Genes) -> int:
        """Return the first bar with a whole window before it."""
        return int(genes["vwap_period"])

    def looks_back(self, genes: Genes, bar_hours: float) -> int:
        """Return 0: it compares values of one bar."""
        return 0

    def indicators(self, genes: GeneArrays) -> Needs:
        """Name the weighted price, the deviation about it, the usual volume and the efficiency ratio."""
        read = (VWAP, VWAP_DEVIATION, PREVIOUS_MEAN_VOLUME, EFFICIENCY_RATIO)
        return dict.fromkeys(read, genes["vwap_period"].astype(np.int64))

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        period = genes["vwap_period"]
        vwap, vwap_row = bank.rows(VWAP, period)
        deviation, deviation_row = bank.rows(VWAP_DEVIATION, period)
        volume, volume_row = bank.rows(PREVIOUS_MEAN_VOLUME, period)
        efficiency, efficiency_row = bank.rows(EFFICIENCY_RATIO, period)
        vwap_reversion_targets(
            bank.prices("close"),
            bank.prices("volume"),
            bank.stands(period.size),
            vwap,
            deviation,
            volume,
            efficiency,
            np.stack([vwap_row, deviation_row, volume_row, efficiency_row], axis=1),
            bank.firsts(period),
            genes["reversion_threshold"],
            genes["volume_confirmation"],
            genes["deviation_multiplier"],
            1.0 - 0.8 * genes["regime_detection_weight"],
            out,
        )
