"""rsi_filter: fade the extremes of Wilder's relative strength index, freely or along the trend only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bank import IndicatorBank, row_of
from quant_organism.strategies.bars import AssetBars
from quant_organism.strategies.families.rsi_filter.kernel import rsi_filter_targets
from quant_organism.strategies.family import GeneArrays, Genes, StrategyFamily
from quant_organism.strategies.genes import PERIODS, GeneSpec
from quant_organism.strategies.indicators.averages import SMA
from quant_organism.strategies.indicators.indicator import Needs
from quant_organism.strategies.indicators.oscillators import RSI, RSI_DIVERGENCE
from quant_organism.strategies.priors import NeutralPrior, QuantilePrior
from quant_organism.strategies.targets import Targets

TREND_MODE = 1
"""Index of trend_filter among the choices of operation_mode."""


def _index(bars: AssetBars, genes: Genes) -> NDArray[np.float64]:
    return row_of(bars, RSI, genes["rsi_period"])


class RsiFilter(StrategyFamily):
    """Buy oversold and sell overbought bars, sooner when price and index diverge; leave near the middle."""

    name = "rsi_filter"
    seed_type = "mean_reversion"
    columns = ("close",)
    memory = "direction"
    abreast = True
    own_genes = (
        GeneSpec(
            name="rsi_period",
            kind="int",
            default=14,
            low=5,
            high=30,
            scale="log",
            grid=PERIODS,
            unit="bars",
            description="period of the index",
        ),
        GeneSpec(
            name="oversold_threshold",
            kind="float",
            default=30.0,
            low=15.0,
            high=35.0,
            prior=QuantilePrior(_index, "the index", ("rsi_period",), 0.01, 0.12, tail="lower"),
            unit="RSI points",
            description="long at or below",
        ),
        GeneSpec(
            name="overbought_threshold",
            kind="float",
            default=70.0,
            low=65.0,
            high=85.0,
            prior=QuantilePrior(_index, "the index", ("rsi_period",), 0.88, 0.99, tail="upper"),
            unit="RSI points",
            description="short at or above",
        ),
        GeneSpec(
            name="operation_mode",
            kind="choice",
            default="reversion",
            choices=("reversion", "trend_filter"),
            prior=NeutralPrior("reversion", 0.9),
            unit="mode",
            description="trend_filter takes longs only above the average of five periods, shorts only below",
        ),
        GeneSpec(
            name="divergence_weight",
            kind="float",
            default=0.3,
            low=0.0,
            high=1.0,
            unit="x 10 RSI points",
            description="moves the threshold towards 50 when price and index diverge",
        ),
        GeneSpec(
            name="exit_level",
            kind="float",
            default=50.0,
            low=45.0,
            high=60.0,
            unit="RSI points",
            description="a long ends at or above it, a short at or below 100 minus it",
        ),
    )

    def warmup(self, genes: Genes) -> int:
        """Return the first bar with two divergence windows of the index, or with the trend's average."""
        windows = 5 if genes["operation_mode"] == "trend_filter" else 3
        return windows * int(genes["rsi_period"]) - 1

    def looks_back(self, genes: Genes, bar_hours: float) -> int:
        """Return 0: it compares values of one bar."""
        return 0

    def indicators(self, genes: GeneArrays) -> Needs:
        """Name the index, its divergence from price, and the trend's average where it is read."""
        period = genes["rsi_period"].astype(np.int64)
        return {
            RSI: period,
            RSI_DIVERGENCE: period,
            SMA: 5 * period[genes["operation_mode"] == TREND_MODE],
        }

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        period = genes["rsi_period"]
        trend = genes["operation_mode"] == TREND_MODE
        rsi, rsi_row = bank.rows(RSI, period)
        divergence, divergence_row = bank.rows(RSI_DIVERGENCE, period)
        sma, row = bank.rows(SMA, 5 * period[trend])
        sma_row = np.full(period.size, -1, dtype=np.int64)
        sma_row[trend] = row
        rsi_filter_targets(
            bank.prices("close"),
            bank.stands(period.size),
            rsi,
            divergence,
            sma,
            rsi_row,
            divergence_row,
            sma_row,
            bank.firsts(np.where(trend, 5, 3) * period - 1),
            genes["oversold_threshold"],
            genes["overbought_threshold"],
            genes["divergence_weight"],
            genes["exit_level"],
            out,
        )
