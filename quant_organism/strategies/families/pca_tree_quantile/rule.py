"""pca_tree_quantile: trade when the levels of the coming return that a tree tells leave enough upside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.families.pca_tree_quantile.kernel import pca_tree_targets
from quant_organism.strategies.family import GeneArrays, Genes, StrategyFamily
from quant_organism.strategies.genes import GeneSpec
from quant_organism.strategies.indicators.indicator import Needs
from quant_organism.strategies.learning.grids import TREE_GRID, choices, tree_keys
from quant_organism.strategies.learning.pca_tree import RETURN_LEVELS
from quant_organism.strategies.learning.walk_forward import first_refit
from quant_organism.strategies.targets import Targets


class PcaTreeQuantile(StrategyFamily):
    """Fit a regression tree over principal components at fixed bars; weigh its upside against its downside."""

    name = "pca_tree_quantile"
    seed_type = "ml_classifier"
    columns = ("open", "high", "low", "close", "volume")
    memory = "direction"
    abreast = True
    foresees = True
    read_after_the_fit = ("min_edge", "risk_asymmetry")
    own_genes = (
        GeneSpec(
            name="feature_window",
            kind="choice",
            default="500",
            choices=choices(TREE_GRID["feature_window"]),
            unit="bars",
            description="training rows of a fit",
        ),
        GeneSpec(
            name="feature_count",
            kind="choice",
            default="12",
            choices=choices(TREE_GRID["feature_count"]),
            unit="features",
            description="how many of the twenty features are read, from the first on",
        ),
        GeneSpec(
            name="pca_components",
            kind="int",
            default=3,
            low=2,
            high=6,
            unit="components",
            description="principal components that the tree sees",
        ),
        GeneSpec(name="tree_depth", kind="int", default=4, low=2, high=7, unit="levels", description="greatest depth"),
        GeneSpec(
            name="min_samples_leaf",
            kind="choice",
            default="20",
            choices=choices(TREE_GRID["min_samples_leaf"]),
            unit="rows",
            description="least training rows of a leaf",
        ),
        GeneSpec(
            name="quantile_method",
            kind="choice",
            default="leaf",
            choices=choices(TREE_GRID["quantile_method"]),
            unit="method",
            description="leaf reads the quantiles of a leaf's training returns, linear regresses them",
        ),
        GeneSpec(
            name="quantile_alpha",
            kind="choice",
            default="0.01",
            choices=choices(TREE_GRID["quantile_alpha"]),
            unit="L1 strength",
            description="pull of the regressions' slopes towards zero; read by the linear method alone",
        ),
        GeneSpec(
            name="label_horizon",
            kind="choice",
            default="6",
            choices=choices(TREE_GRID["label_horizon"]),
            unit="bars",
            description="time over which the return is told",
        ),
        GeneSpec(
            name="refit_interval",
            kind="choice",
            default="168",
            choices=choices(TREE_GRID["refit_interval"]),
            unit="bars",
            description="absolute bar numbers that it divides are refits",
        ),
        GeneSpec(
            name="signal_quantile",
            kind="float",
            default=0.75,
            low=0.6,
            high=0.9,
            unit="quantile",
            description="upper level; the lower one is 1 minus it",
        ),
        GeneSpec(
            name="min_edge",
            kind="float",
            default=0.001,
            low=0.0,
            high=0.01,
            unit="log return",
            description="least median return that is traded",
        ),
        GeneSpec(
            name="risk_asymmetry",
            kind="float",
            default=1.0,
            low=0.5,
            high=3.0,
            unit="ratio",
            description="least upside per downside",
        ),
    )

    def warmup(self, genes: Genes) -> int:
        """Return the first bar on which a model may be fitted."""
        return first_refit(int(genes["feature_window"]), int(genes["label_horizon"]))

    def looks_back(self, genes: Genes, bar_hours: float) -> int:
        """Return 0: it compares values of one bar."""
        return 0

    def indicators(self, genes: GeneArrays) -> Needs:
        """Name the levels of the coming return."""
        return {RETURN_LEVELS: tree_keys(genes)}

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        levels, row = bank.rows(RETURN_LEVELS, tree_keys(genes))
        windows, horizons = (np.array(TREE_GRID[name])[genes[name]] for name in ("feature_window", "label_horizon"))
        firsts = bank.firsts(first_refit(windows, horizons))
        pca_tree_targets(levels, row, firsts, genes["min_edge"], genes["risk_asymmetry"], out)

    def foreseen_day(self, bank: IndicatorBank, genes: GeneArrays) -> NDArray[np.float64]:
        """Return the low and the high level of the coming day's log return, shape (G, 2, n).

        Those of the label horizon, which grow with the root of time.
        """
        figures = self.risk_figures(bank, genes)
        hours = np.array(TREE_GRID["label_horizon"])[genes["label_horizon"]] * bank.bars.bar_hours
        levels = np.stack([figures["lower"], figures["upper"]], axis=1)
        return np.asarray(levels * np.sqrt(24.0 / hours)[:, None, None])

    def risk_figures(self, bank: IndicatorBank, genes: GeneArrays) -> dict[str, NDArray[np.float64]]:
        """Return what the models tell of the coming return beside the signal.

        Returns
        -------
        Log returns over the label horizon, each of shape (G, n): ``lower``, ``median`` and ``upper`` level, their
        ``spread``, and ``upside_per_downside``, the upper level over the absolute lower one (NaN where that is 0).
        """
        levels, row = bank.rows(RETURN_LEVELS, tree_keys(genes))
        lower, median, upper = np.moveaxis(levels[row], 1, 0)
        per_downside = np.divide(upper, np.abs(lower), out=np.full(upper.shape, np.nan), where=lower != 0.0)
        return {
            "lower": lower,
            "median": median,
            "upper": upper,
            "spread": upper - lower,
            "upside_per_downside": per_downside,
        }
