"""nadaraya_watson: follow the slope of a kernel regression that looks at the past only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bank import IndicatorBank, row_of
from quant_organism.strategies.bars import AssetBars
from quant_organism.strategies.families.nadaraya_watson.kernel import LEFT, nadaraya_watson_targets
from quant_organism.strategies.family import GeneArrays, Genes, StrategyFamily
from quant_organism.strategies.genes import PERIODS, GeneSpec
from quant_organism.strategies.indicators.averages import EMA, KERNEL_REGRESSION
from quant_organism.strategies.indicators.indicator import Needs, pair
from quant_organism.strategies.indicators.volatility import VOLATILITY_RATIO
from quant_organism.strategies.priors import QuantilePrior, RangePrior
from quant_organism.strategies.targets import Targets

KERNELS = ("gaussian", "epanechnikov")
"""In the order of `averages.GAUSSIAN` and `averages.EPANECHNIKOV`."""


def _slope(bars: AssetBars, genes: Genes) -> NDArray[np.float64]:
    # An average of the same memory stands in for the regression, which costs a hundred times more.
    average, half = row_of(bars, EMA, genes["bandwidth"]), (genes["bandwidth"] + 1) // 2
    return np.abs(average[half:] / average[:-half] - 1.0)


class NadarayaWatson(StrategyFamily):
    """Enter where the smoothed regression line is steep and price lies beyond it; leave when the slope turns."""

    name = "nadaraya_watson"
    seed_type = "trend_following"
    columns = ("close",)
    memory = "direction"
    left = LEFT
    abreast = True
    own_genes = (
        GeneSpec(
            name="bandwidth",
            kind="int",
            default=10,
            low=3,
            high=40,
            scale="log",
            grid=PERIODS,
            prior=RangePrior(5, 40),
            unit="bars",
            description="width of the kernel; the slope is taken over half of it",
        ),
        GeneSpec(
            name="kernel_type",
            kind="choice",
            default="gaussian",
            choices=KERNELS,
            unit="kernel",
            description="how the weight of a bar falls with its age",
        ),
        GeneSpec(
            name="trend_threshold",
            kind="float",
            default=0.003,
            low=0.0,
            high=0.02,
            prior=QuantilePrior(_slope, "abs(change of an EMA over half of `bandwidth`)", ("bandwidth",), 0.5, 0.97),
            unit="fraction",
            description="least change of the line over half the bandwidth",
        ),
        GeneSpec(
            name="smoothing_factor",
            kind="float",
            default=0.3,
            low=0.0,
            high=0.9,
            unit="weight",
            description="memory of the line: its weight against the newest regression",
        ),
        GeneSpec(
            name="volatility_adaptation",
            kind="float",
            default=0.5,
            low=0.0,
            high=1.0,
            unit="exponent",
            description="raises the threshold when returns deviate more over one bandwidth than over four",
        ),
    )

    def warmup(self, genes: Genes) -> int:
        """Return the first bar with four bandwidths of returns."""
        return 4 * int(genes["bandwidth"])

    def looks_back(self, genes: Genes, bar_hours: float) -> int:
        """Return over how many bars the slope is taken."""
        return _span(int(genes["bandwidth"]))

    def indicators(self, genes: GeneArrays) -> Needs:
        """Name the regression and the ratio of volatilities."""
        return {KERNEL_REGRESSION: _regression(genes), VOLATILITY_RATIO: genes["bandwidth"].astype(np.int64)}

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        bandwidth = genes["bandwidth"]
        regression, regression_row = bank.rows(KERNEL_REGRESSION, _regression(genes))
        ratio, ratio_row = bank.rows(VOLATILITY_RATIO, bandwidth)
        nadaraya_watson_targets(
            bank.prices("close"),
            bank.stands(bandwidth.size),
            regression,
            ratio,
            regression_row,
            ratio_row,
            bank.firsts(4 * bandwidth),
            bandwidth,
            bank.firsts(np.where(genes["kernel_type"] == KERNELS.index("gaussian"), 3 * bandwidth, bandwidth - 1)),
            genes["trend_threshold"],
            genes["smoothing_factor"],
            genes["volatility_adaptation"],
            out,
        )


def _span(bandwidth: int) -> int:
    # As in the kernel.
    return max(1, (bandwidth + 1) // 2)


def _regression(genes: GeneArrays) -> NDArray[np.int64]:
    return np.asarray(pair(genes["bandwidth"], genes["kernel_type"]), dtype=np.int64)
