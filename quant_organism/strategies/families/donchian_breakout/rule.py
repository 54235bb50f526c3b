"""donchian_breakout: follow a confirmed close beyond the channel of the previous bars."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.families.donchian_breakout.kernel import LEFT, donchian_breakout_targets
from quant_organism.strategies.family import GeneArrays, Genes, StrategyFamily
from quant_organism.strategies.genes import PERIODS, GeneSpec
from quant_organism.strategies.indicators.extremes import PREVIOUS_HIGH, PREVIOUS_LOW
from quant_organism.strategies.indicators.indicator import Needs
from quant_organism.strategies.indicators.volume import PREVIOUS_MEAN_VOLUME
from quant_organism.strategies.priors import RangePrior
from quant_organism.strategies.targets import Targets

_EXIT_RATIOS = (0.25, 0.3, 0.36, 0.42, 0.5, 0.6, 0.7, 0.85, 1.0)


class DonchianBreakout(StrategyFamily):
    """Enter on a break of the N-bar channel that volume, trend and later closes confirm; leave by a shorter one."""

    name = "donchian_breakout"
    seed_type = "breakout"
    columns = ("high", "low", "close", "volume")
    memory = "direction"
    left = LEFT
    abreast = True
    own_genes = (
        GeneSpec(
            name="channel_period",
            kind="int",
            default=20,
            low=10,
            high=168,
            scale="log",
            grid=PERIODS,
            prior=RangePrior(20, 168),
            unit="bars",
            description="entry channel",
        ),
        GeneSpec(
            name="breakout_threshold",
            kind="float",
            default=0.001,
            low=0.0,
            high=0.02,
            scale="log",
            prior=RangePrior(1e-4, 0.006),
            unit="fraction of price",
            description="how far beyond the channel a close must be",
        ),
        GeneSpec(
            name="volume_confirmation",
            kind="float",
            default=1.0,
            low=0.0,
            high=3.0,
            prior=RangePrior(0.0, 1.5),
            unit="x mean volume of the channel's bars",
            description="least volume of the breaking bar; 0 is off",
        ),
        GeneSpec(
            name="false_breakout_filter",
            kind="int",
            default=2,
            low=0,
            high=10,
            prior=RangePrior(0, 4),
            unit="bars",
            description="bars that must close beyond the broken level before entry; 0 enters at once",
        ),
        GeneSpec(
            name="trend_bias",
            kind="float",
            default=0.5,
            low=0.0,
            high=1.0,
            unit="fraction of the range of three channels",
            description="how near the long extreme a break must be: 0 anywhere, 1 at it",
        ),
        GeneSpec(
            name="exit_period_ratio",
            kind="float",
            default=0.5,
            low=0.25,
            high=1.0,
            grid=_EXIT_RATIOS,
            prior=RangePrior(0.4, 1.0),
            unit="fraction of the channel",
            description="length of the exit channel",
        ),
    )

    def warmup(self, genes: Genes) -> int:
        """Return the first bar with three channels behind it."""
        return 3 * int(genes["channel_period"])

    def looks_back(self, genes: Genes, bar_hours: float) -> int:
        """Return 0: a break that is not confirmed yet is kept."""
        return 0

    def indicators(self, genes: GeneArrays) -> Needs:
        """Name the entry, trend and exit channels and the mean volume."""
        period = genes["channel_period"].astype(np.int64)
        channels = np.concatenate([period, 3 * period, _exit_period(genes)])
        return {PREVIOUS_HIGH: channels, PREVIOUS_LOW: channels, PREVIOUS_MEAN_VOLUME: period}

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        period, exit_period = genes["channel_period"], _exit_period(genes)
        high, channel_row = bank.rows(PREVIOUS_HIGH, period)
        low, low_channel_row = bank.rows(PREVIOUS_LOW, period)
        volume, volume_row = bank.rows(PREVIOUS_MEAN_VOLUME, period)
        rows = np.stack(
            [
                channel_row,
                low_channel_row,
                bank.rows(PREVIOUS_HIGH, 3 * period)[1],
                bank.rows(PREVIOUS_LOW, 3 * period)[1],
                bank.rows(PREVIOUS_HIGH, exit_period)[1],
                bank.rows(PREVIOUS_LOW, exit_period)[1],
                volume_row,
            ],
            axis=1,
        )
        donchian_breakout_targets(
            bank.prices("close"),
            bank.prices("volume"),
            bank.stands(period.size),
            high,
            low,
            volume,
            rows,
            bank.firsts(3 * period),
            genes["breakout_threshold"],
            genes["volume_confirmation"],
            genes["false_breakout_filter"],
            genes["trend_bias"],
            out,
        )


def _exit_period(genes: GeneArrays) -> NDArray[np.int64]:
    shorter = np.floor(genes["channel_period"] * genes["exit_period_ratio"])
    return np.asarray(np.maximum(2, shorter), dtype=np.int64)
