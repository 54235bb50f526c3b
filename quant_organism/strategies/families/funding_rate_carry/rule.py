"""funding_rate_carry: take the side that receives funding while the mean rate pays for it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bank import IndicatorBank, row_of
from quant_organism.strategies.bars import AssetBars
from quant_organism.strategies.families.funding_rate_carry.kernel import LEFT, funding_rate_carry_targets
from quant_organism.strategies.family import GeneArrays, Genes, StrategyFamily
from quant_organism.strategies.genes import PERIODS, GeneSpec
from quant_organism.strategies.indicators.averages import MEAN_FUNDING_RATE
from quant_organism.strategies.indicators.indicator import Needs
from quant_organism.strategies.priors import QuantilePrior, RangePrior
from quant_organism.strategies.targets import Targets


def _mean_rate(bars: AssetBars, genes: Genes) -> NDArray[np.float64]:
    return np.abs(row_of(bars, MEAN_FUNDING_RATE, genes["funding_persistence"]))


class FundingRateCarry(StrategyFamily):
    """Short what longs pay for, and the reverse; leave when the carry fades or after the longest hold.

    A longest hold blocks its direction until the rate has once ceased to call for it. The edge is the funding itself,
    so an evaluation that does not book funding says nothing about this family.
    """

    name = "funding_rate_carry"
    seed_type = "carry"
    columns = ("funding_rate",)
    memory = "direction"
    left = LEFT
    abreast = True
    own_genes = (
        GeneSpec(
            name="funding_threshold",
            kind="float",
            default=0.00003,
            low=0.000005,
            high=0.0005,
            scale="log",
            prior=QuantilePrior(
                _mean_rate, "abs(mean rate over `funding_persistence`)", ("funding_persistence",), 0.5, 0.97
            ),
            unit="fraction per hour",
            description="least expected rate, of either sign, that is worth a position",
        ),
        GeneSpec(
            name="carry_duration",
            kind="int",
            default=24,
            low=1,
            high=72,
            scale="log",
            prior=RangePrior(12, 72),
            unit="hours",
            description="longest hold",
        ),
        GeneSpec(
            name="rate_momentum",
            kind="float",
            default=0.3,
            low=0.0,
            high=1.0,
            unit="weight",
            description="share of the mean rate's last change that is expected to come again",
        ),
        GeneSpec(
            name="reversal_sensitivity",
            kind="float",
            default=0.5,
            low=0.0,
            high=1.0,
            prior=RangePrior(0.0, 0.6),
            unit="x threshold",
            description="a position ends when the mean rate it receives falls below this",
        ),
        GeneSpec(
            name="funding_persistence",
            kind="int",
            default=4,
            low=1,
            high=24,
            scale="log",
            grid=PERIODS,
            unit="hours",
            description="window of the mean rate",
        ),
    )

    def warmup(self, genes: Genes) -> int:
        """Return the first bar with two windows of rates, for bars of one hour."""
        return 2 * int(genes["funding_persistence"]) - 1

    def looks_back(self, genes: Genes, bar_hours: float) -> int:
        """Return two windows of rates, in bars."""
        return 2 * max(1, math.ceil(int(genes["funding_persistence"]) / bar_hours)) - 1

    def indicators(self, genes: GeneArrays) -> Needs:
        """Name the mean rate, by hours."""
        return {MEAN_FUNDING_RATE: genes["funding_persistence"].astype(np.int64)}

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        mean_rate, row = bank.rows(MEAN_FUNDING_RATE, genes["funding_persistence"])
        funding_rate_carry_targets(
            mean_rate,
            row,
            bank.firsts(2 * bank.bars.count_of(genes["funding_persistence"]) - 1),
            bank.bars.count_of(genes["funding_persistence"]),
            bank.bars.count_of(genes["carry_duration"]),
            genes["funding_threshold"],
            genes["rate_momentum"],
            genes["reversal_sensitivity"],
            out,
        )
