"""ema_crossover: follow the faster average when it leads the slower one and price has momentum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bank import IndicatorBank, row_of
from quant_organism.strategies.bars import AssetBars
from quant_organism.strategies.families.ema_crossover.kernel import ema_crossover_targets
from quant_organism.strategies.family import GeneArrays, Genes, StrategyFamily
from quant_organism.strategies.genes import PERIODS, GeneSpec, GeneValue
from quant_organism.strategies.indicators.averages import EMA, RATE_OF_CHANGE
from quant_organism.strategies.indicators.indicator import Needs
from quant_organism.strategies.priors import QuantilePrior
from quant_organism.strategies.targets import Targets


def _change(bars: AssetBars, genes: Genes) -> NDArray[np.float64]:
    return np.abs(row_of(bars, RATE_OF_CHANGE, genes["fast_ema_period"]))


def _gap(bars: AssetBars, genes: Genes) -> NDArray[np.float64]:
    fast, slow = (row_of(bars, EMA, genes[name]) for name in ("fast_ema_period", "slow_ema_period"))
    return np.abs(fast / slow - 1.0)


class EmaCrossover(StrategyFamily):
    """Enter with the gap between two exponential averages and the rate of change, leave when the gap closes."""

    name = "ema_crossover"
    seed_type = "momentum"
    columns = ("close",)
    memory = "direction"
    abreast = True
    own_genes = (
        GeneSpec(
            name="fast_ema_period",
            kind="int",
            default=12,
            low=5,
            high=40,
            scale="log",
            grid=PERIODS,
            unit="bars",
            description="period of the fast average, also the span of the momentum test",
        ),
        GeneSpec(
            name="slow_ema_period",
            kind="int",
            default=26,
            low=18,
            high=120,
            scale="log",
            grid=PERIODS,
            unit="bars",
            description="period of the slow average",
        ),
        GeneSpec(
            name="momentum_threshold",
            kind="float",
            default=0.005,
            low=0.0,
            high=0.05,
            prior=QuantilePrior(_change, "abs(change)", ("fast_ema_period",), 0.3, 0.95),
            unit="fraction",
            description="least rate of change over the fast period",
        ),
        GeneSpec(
            name="trend_filter",
            kind="float",
            default=0.001,
            low=0.0,
            high=0.02,
            prior=QuantilePrior(_gap, "abs(gap)", ("fast_ema_period", "slow_ema_period"), 0.0, 0.8),
            unit="fraction",
            description="least gap between the averages",
        ),
    )

    def warmup(self, genes: Genes) -> int:
        """Return the first bar on which the slow average exists."""
        return int(genes["slow_ema_period"]) - 1

    def repair(self, genes: Genes) -> dict[str, GeneValue]:
        """Return genes whose fast average is the faster one; of two equal ones the slow takes the next window."""
        fast, slow = sorted((int(genes["fast_ema_period"]), int(genes["slow_ema_period"])))
        if slow == fast:
            slow = next(period for period in PERIODS if period > fast)
        return {**genes, "fast_ema_period": fast, "slow_ema_period": slow}

    def looks_back(self, genes: Genes, bar_hours: float) -> int:
        """Return 0: it compares values of one bar."""
        return 0

    def indicators(self, genes: GeneArrays) -> Needs:
        """Name both averages and the rate of change."""
        fast = genes["fast_ema_period"]
        return {
            EMA: np.concatenate([fast, genes["slow_ema_period"]]).astype(np.int64),
            RATE_OF_CHANGE: fast.astype(np.int64),
        }

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        fast, slow = genes["fast_ema_period"], genes["slow_ema_period"]
        ema, fast_row = bank.rows(EMA, fast)
        _, slow_row = bank.rows(EMA, slow)
        change, change_row = bank.rows(RATE_OF_CHANGE, fast)
        ema_crossover_targets(
            ema,
            change,
            fast_row,
            slow_row,
            change_row,
            bank.firsts(slow - 1),
            genes["momentum_threshold"],
            genes["trend_filter"],
            out,
        )
