"""The cross-sectional families: what each ranks assets by."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.cross_section.family import FUNDING_TILT, CrossSectionFamily, rebalance_gene, yes_or_no
from quant_organism.strategies.cross_section.history import (
    BETA_HOURS,
    VOLATILITY_HOURS,
    CrossSectionView,
    Summed,
)
from quant_organism.strategies.family import Genes
from quant_organism.strategies.genes import GeneSpec

Floats = NDArray[np.float64]

_DAY_HOURS: Final = 24


def _hours(name: str, low: int, high: int, default: int, description: str) -> GeneSpec:
    return GeneSpec(
        name=name,
        kind="int",
        default=default,
        low=low,
        high=high,
        scale="log" if low > 0 else "linear",
        unit="hours",
        description=description,
    )


_SKIP = _hours("skip", 0, 48, 0, "latest hours that the window leaves out")
_SCALED = yes_or_no("scaled", "no", "whether returns are divided by volatility")


class CrossSectionalMomentum(CrossSectionFamily):
    """Hold what has risen most against what has risen least (Jegadeesh, Titman 1993)."""

    name = "xs_momentum"
    seed_type = "momentum"
    columns = ("close", "volume")
    own_genes = (
        rebalance_gene(24, 168, 48),
        FUNDING_TILT,
        _hours("lookback", 168, 1080, 504, "window of the return"),
        _SKIP,
        _SCALED,
    )

    def scores(self, view: CrossSectionView, genes: Genes) -> Floats:
        """Return the return over the lookback, over volatility where scaled."""
        return _scaled(view.change(genes["lookback"], genes["skip"]), view, genes["scaled"] == "yes")


class CrossSectionalResidualMomentum(CrossSectionFamily):
    """Hold what has risen most beyond its beta's share of the market (Blitz, Huij, Martens 2011)."""

    name = "xs_residual_momentum"
    seed_type = "momentum"
    columns = ("close", "volume")
    own_genes = (
        rebalance_gene(24, 168, 48),
        FUNDING_TILT,
        _hours("residual_lookback", 168, 1080, 504, "window of the return beyond the market's"),
        _SKIP,
        _SCALED,
    )

    def window(self, genes: Genes) -> int:
        """Return the hours of the return."""
        return int(genes["residual_lookback"])

    def scores(self, view: CrossSectionView, genes: Genes) -> Floats:
        """Return the return over the lookback less beta times the market's, over volatility where scaled."""
        window = self.window(genes), int(genes["skip"])
        residual = view.change(*window) - view.beta() * view.market(*window)
        return _scaled(residual, view, genes["scaled"] == "yes")


class CrossSectionalCarry(CrossSectionFamily):
    """Hold what pays its holder the most funding against what costs the most (Koijen and others 2018)."""

    name = "xs_carry"
    seed_type = "carry"
    columns = ("close", "volume", "funding_rate")
    own_genes = (rebalance_gene(24, 168, 48), _hours("lookback", 96, 720, 240, "window of the mean funding"))

    def scores(self, view: CrossSectionView, genes: Genes) -> Floats:
        """Return the mean funding received over the lookback."""
        return -view.mean(Summed.FUNDING, genes["lookback"])


class CrossSectionalVolumeShock(CrossSectionFamily):
    """Hold what is traded more than usual against what is traded less (Gervais, Kaniel, Mingelgrin 2001)."""

    name = "xs_volume_shock"
    seed_type = "volume"
    columns = ("close", "volume")
    own_genes = (
        rebalance_gene(24, 168, 48),
        FUNDING_TILT,
        _hours("short", 24, 168, 96, "window of the volume that is compared with that of 720 hours"),
    )

    def window(self, genes: Genes) -> int:
        """Return the hours of usual volume."""
        return BETA_HOURS

    def scores(self, view: CrossSectionView, genes: Genes) -> Floats:
        """Return the logarithm of the mean volume in USD of the short window over that of 720 hours."""
        short, usual = view.mean(Summed.VOLUME, genes["short"]), view.mean(Summed.VOLUME, BETA_HOURS)
        least = np.finfo(np.float64).tiny
        return np.asarray(np.log(np.maximum(short, least) / np.maximum(usual, least)))


class CrossSectionalLowRisk(CrossSectionFamily):
    """Hold calm assets against restless ones (Frazzini, Pedersen 2014; Bali, Cakici, Whitelaw 2011)."""

    name = "xs_low_risk"
    seed_type = "volatility"
    columns = ("close", "volume")
    own_genes = (
        rebalance_gene(24, 168, 48),
        FUNDING_TILT,
        _hours("lookback", 120, 1080, 480, "window of the risk"),
        GeneSpec(
            name="measure",
            kind="choice",
            default="volatility",
            choices=("volatility", "max_day"),
            unit="choice",
            description="what risk is: the volatility of bars, or the highest return of a whole day",
        ),
    )

    def scores(self, view: CrossSectionView, genes: Genes) -> Floats:
        """Return minus the risk."""
        if genes["measure"] == "volatility":
            return -view.volatility(genes["lookback"])
        days = [
            view.change(_DAY_HOURS, day * _DAY_HOURS) for day in range(max(1, int(genes["lookback"]) // _DAY_HOURS))
        ]
        return np.asarray(-np.max(days, axis=0))


class CrossSectionalReversal(CrossSectionFamily):
    """Hold what has fallen most in the last hours against what has risen most (Lehmann 1990)."""

    name = "xs_reversal"
    seed_type = "mean_reversion"
    columns = ("close", "volume")
    own_genes = (
        rebalance_gene(4, 24, 24),
        FUNDING_TILT,
        _hours("lookback", 4, 72, 24, "window of the return"),
    )

    def scores(self, view: CrossSectionView, genes: Genes) -> Floats:
        """Return minus the return over the lookback, over volatility."""
        return -_scaled(view.change(genes["lookback"]), view, True)


FAMILIES: Final = (
    CrossSectionalCarry(),
    CrossSectionalLowRisk(),
    CrossSectionalMomentum(),
    CrossSectionalResidualMomentum(),
    CrossSectionalReversal(),
    CrossSectionalVolumeShock(),
)
"""Sorted by name."""


def _scaled(returns: Floats, view: CrossSectionView, scaled: bool) -> Floats:
    if not scaled:
        return returns
    sigma = view.volatility(VOLATILITY_HOURS)
    return np.divide(returns, sigma, out=np.zeros_like(returns), where=sigma > 0.0)
