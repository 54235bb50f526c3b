"""ichimoku_cloud: follow price, fast line and lagging comparison when they agree about the cloud."""

from __future__ import annotations

import numpy as np

from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.families.ichimoku_cloud.kernel import ichimoku_cloud_targets
from quant_organism.strategies.family import GeneArrays, Genes, StrategyFamily
from quant_organism.strategies.genes import PERIODS, GeneSpec, GeneValue
from quant_organism.strategies.indicators.extremes import MIDRANGE
from quant_organism.strategies.indicators.indicator import Needs
from quant_organism.strategies.priors import MultiplePrior, RangePrior
from quant_organism.strategies.targets import Targets


class IchimokuCloud(StrategyFamily):
    """Enter when the weighted votes of cloud, lines and lagging close carry half the weight; leave when they cancel."""

    name = "ichimoku_cloud"
    seed_type = "trend_following"
    columns = ("high", "low", "close")
    memory = "direction"
    abreast = True
    own_genes = (
        GeneSpec(
            name="tenkan_period",
            kind="int",
            default=9,
            low=7,
            high=48,
            scale="log",
            grid=PERIODS,
            prior=RangePrior(10, 48),
            unit="bars",
            description="window of the fast line",
        ),
        GeneSpec(
            name="kijun_period",
            kind="int",
            default=26,
            low=20,
            high=136,
            scale="log",
            grid=PERIODS,
            prior=MultiplePrior("tenkan_period", 2.6, 3.0),
            unit="bars",
            description="window of the slow line, also the displacement of cloud and lagging comparison",
        ),
        GeneSpec(
            name="senkou_span_b_period",
            kind="int",
            default=52,
            low=40,
            high=320,
            scale="log",
            grid=PERIODS,
            prior=MultiplePrior("kijun_period", 2.1, 2.4),
            unit="bars",
            description="window of the cloud's slow side",
        ),
        GeneSpec(
            name="cloud_strength_weight",
            kind="float",
            default=0.6,
            low=0.0,
            high=1.0,
            prior=RangePrior(0.4, 1.0),
            unit="weight",
            description="weight of price against the cloud; the two lines have the rest",
        ),
        GeneSpec(
            name="momentum_confirmation",
            kind="float",
            default=0.4,
            low=0.0,
            high=1.0,
            prior=RangePrior(0.0, 0.4),
            unit="weight",
            description="weight of the lagging comparison against both",
        ),
    )

    def warmup(self, genes: Genes) -> int:
        """Return the first bar with a whole cloud in force."""
        return int(genes["senkou_span_b_period"]) + int(genes["kijun_period"]) - 1

    def repair(self, genes: Genes) -> dict[str, GeneValue]:
        """Return genes whose windows stand in their order."""
        names = ("tenkan_period", "kijun_period", "senkou_span_b_period")
        return {**genes, **dict(zip(names, sorted(int(genes[name]) for name in names), strict=True))}

    def looks_back(self, genes: Genes, bar_hours: float) -> int:
        """Return the displacement of cloud and lagging comparison."""
        return int(genes["kijun_period"])

    def indicators(self, genes: GeneArrays) -> Needs:
        """Name the middle lines of all three windows."""
        lines = [genes["tenkan_period"], genes["kijun_period"], genes["senkou_span_b_period"]]
        return {MIDRANGE: np.concatenate(lines).astype(np.int64)}

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        kijun, span_b = genes["kijun_period"], genes["senkou_span_b_period"]
        midrange, tenkan_row = bank.rows(MIDRANGE, genes["tenkan_period"])
        ichimoku_cloud_targets(
            bank.prices("close"),
            bank.stands(kijun.size),
            midrange,
            tenkan_row,
            bank.rows(MIDRANGE, kijun)[1],
            bank.rows(MIDRANGE, span_b)[1],
            bank.firsts(span_b + kijun - 1),
            kijun,
            genes["cloud_strength_weight"],
            genes["momentum_confirmation"],
            out,
        )
