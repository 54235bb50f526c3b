"""What a cross-sectional family is: genes of the book, who is eligible, when it decides, and what it then holds."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.cross_section.history import (
    BETA_HOURS,
    LIQUIDITY_HOURS,
    VOLATILITY_HOURS,
    CrossSectionBars,
    CrossSectionView,
    Summed,
)
from quant_organism.strategies.cross_section.weights import Weighing, Weighting, book_weights, without_least
from quant_organism.strategies.family import GeneArrays, Genes, StrategyFamily
from quant_organism.strategies.genes import GeneSpec
from quant_organism.strategies.indicators.indicator import Needs
from quant_organism.strategies.priors import NeutralPrior
from quant_organism.strategies.targets import Targets

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_DAY_HOURS: Final = 24
_MOST_IDLE: Final = 0.25
"""Share of the last day's bars that may be without volume."""


def rebalance_gene(low: int, high: int, default: int) -> GeneSpec:
    """Return the gene of the time between decisions."""
    return GeneSpec(
        name="rebalance_hours",
        kind="int",
        default=default,
        low=low,
        high=high,
        scale="log",
        unit="hours",
        description="time between decisions, rounded up to whole bars",
    )


def yes_or_no(name: str, default: str, description: str) -> GeneSpec:
    """Return a gene that is on or off."""
    return GeneSpec(
        name=name, kind="choice", default=default, choices=("no", "yes"), unit="choice", description=description
    )


FUNDING_TILT: Final = GeneSpec(
    name="funding_tilt",
    kind="float",
    default=0.0,
    low=0.0,
    high=1.0,
    unit="weight",
    description="weight of the funding received in the last week beside the score, both standardised",
)

BOOK_GENES: Final = (
    GeneSpec(
        name="phase",
        kind="float",
        default=0.0,
        low=0.0,
        high=0.999,
        unit="share of rebalance_hours",
        description="when decisions fall, counted from 1970",
    ),
    GeneSpec(
        name="tail_share",
        kind="float",
        default=0.25,
        low=0.1,
        high=0.4,
        unit="share of the assets",
        description="assets held on each side where the weighting is tails",
    ),
    GeneSpec(
        name="liquidity_share",
        kind="float",
        default=0.0,
        low=0.0,
        high=0.5,
        prior=NeutralPrior(0.0, share=0.5),
        unit="share of the assets",
        description="least traded of the week that are left out",
    ),
    GeneSpec(
        name="band",
        kind="float",
        default=0.25,
        low=0.0,
        high=0.5,
        unit="mean position",
        description="difference to the wanted position below which nothing is traded",
    ),
    GeneSpec(
        name="weighting",
        kind="choice",
        default="score",
        choices=("rank", "score", "tails"),
        unit="choice",
        description="what weights are in proportion to: places, standardised scores, or the best and worst alone",
    ),
    yes_or_no("inverse_volatility", "yes", "whether assets are held at equal risk instead of equal weight"),
    GeneSpec(
        name="neutrality",
        kind="choice",
        default="beta",
        choices=("dollar", "beta"),
        unit="choice",
        description="what longs and shorts are equal in: USD, or beta against the mean of all assets",
    ),
)
"""Genes of every cross-sectional genome, beside its family's own: they take the place of risk and allocation."""


class CrossSectionFamily(StrategyFamily):
    """Hold the assets of a panel that score high against those that score low.

    A genome of it is on all assets or on none: its sleeves share one book, which is resized at each decision and knows
    no stop. `warmup` is in bars of an hour.
    """

    ranks = True
    conviction = True
    evolves = False
    common_genes = BOOK_GENES

    @abstractmethod
    def scores(self, view: CrossSectionView, genes: Genes) -> Floats:
        """Return the score of each asset at each decision, shape (N, D); anything where it cannot be known."""

    def window(self, genes: Genes) -> int:
        """Return the hours that the score looks at, less those that it skips."""
        return int(genes["lookback"])

    def warmup(self, genes: Genes) -> int:
        """Return how many bars of an hour an asset has before the first at which it may be held."""
        return max(BETA_HOURS, self.window(genes) + int(genes.get("skip", 0)))

    def eligible(self, view: CrossSectionView, genes: Genes) -> Flags:
        """Tell who may be held: old enough, traded lately, every column known; shape (N, D)."""
        history = view.history
        skip = int(genes.get("skip", 0))
        read = history.bars_of(self.window(genes)) + (history.bars_of(skip) if skip else 0)
        least = max(history.bars_of(BETA_HOURS), read)
        day = history.bars_of(_DAY_HOURS)
        known = view.present & (view.ends > least) & (view.total(Summed.IDLE, _DAY_HOURS) <= _MOST_IDLE * day)
        if "funding_rate" in self.columns:
            known &= view.total(Summed.UNRATED, self.window(genes)) == 0.0
        known &= view.volatility(VOLATILITY_HOURS) > 0.0
        return without_least(known, view.total(Summed.VOLUME, LIQUIDITY_HOURS), float(genes["liquidity_share"]))

    def decides(self, genes: Genes, numbers: NDArray[np.int64], bar_hours: float) -> Flags:
        """Tell at the closes of which bars, by their absolute numbers, a genome decides; shape of `numbers`."""
        every = max(1, math.ceil(int(genes["rebalance_hours"]) / bar_hours))
        return np.asarray(numbers % every == math.floor(float(genes["phase"]) * every))

    def weights(self, view: CrossSectionView, genes: Genes) -> Floats:
        """Return what is wanted of each asset at each row of a view, shape (N, D): shares of equity, signed."""
        eligible = self.eligible(view, genes)
        unrated = view.total(Summed.UNRATED, LIQUIDITY_HOURS)
        received = np.where(unrated == 0.0, -view.mean(Summed.FUNDING, LIQUIDITY_HOURS), np.nan)
        weighing = Weighing(
            weighting=cast("Weighting", genes["weighting"]),
            tail_share=float(genes["tail_share"]),
            inverse_volatility=genes["inverse_volatility"] == "yes",
            beta_neutral=genes["neutrality"] == "beta",
            funding_tilt=float(genes.get("funding_tilt", 0.0)),
        )
        sigma, beta = view.volatility(VOLATILITY_HOURS), view.beta()
        return book_weights(self.scores(view, genes), eligible, sigma, beta, received, weighing)

    def wanted(self, bars: CrossSectionBars, genes: Genes, bar_hours: float) -> Floats:
        """Return what is wanted of each asset at each close, as last decided and 0 before, shape (T, N)."""
        decided = np.flatnonzero(self.decides(genes, bars.numbers, bar_hours))
        weights = np.vstack([np.zeros((1, bars.ends.shape[1])), self.weights(bars.view(decided), genes).T])
        return weights[np.searchsorted(decided, np.arange(bars.numbers.size), side="right")]

    def indicators(self, genes: GeneArrays) -> Needs:
        """Name no indicator: a cross-section reads all assets at once."""
        return {}

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Refuse to decide one asset alone."""
        raise InputError(
            f"{self.name} ranks all assets of a panel against each other; one asset alone has no target",
            remedy="evaluate its genome on a panel",
        )
