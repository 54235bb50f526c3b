"""linear_svc_classifier: trade the sign of the coming return that linear classifiers of the past agree on."""

from __future__ import annotations

import numpy as np

from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.families.linear_svc_classifier.kernel import linear_svc_targets
from quant_organism.strategies.family import GeneArrays, Genes, StrategyFamily
from quant_organism.strategies.genes import GeneSpec
from quant_organism.strategies.indicators.indicator import Needs
from quant_organism.strategies.learning.grids import SVC_GRID, choices, svc_keys
from quant_organism.strategies.learning.linear_svc import SVC_SCORE
from quant_organism.strategies.learning.walk_forward import first_refit
from quant_organism.strategies.targets import Targets


class LinearSvcClassifier(StrategyFamily):
    """Fit a linear support vector classifier at fixed bars; take the side of the mean score of the last few."""

    name = "linear_svc_classifier"
    seed_type = "ml_classifier"
    columns = ("open", "high", "low", "close", "volume")
    memory = "direction"
    abreast = True
    read_after_the_fit = ("ensemble_size", "decision_margin")
    own_genes = (
        GeneSpec(
            name="lookback_window",
            kind="choice",
            default="500",
            choices=choices(SVC_GRID["lookback_window"]),
            unit="bars",
            description="training rows of a fit",
        ),
        GeneSpec(
            name="feature_count",
            kind="choice",
            default="8",
            choices=choices(SVC_GRID["feature_count"]),
            unit="features",
            description="how many of the twenty features are read, from the first on",
        ),
        GeneSpec(
            name="regularization",
            kind="choice",
            default="1.0",
            choices=choices(SVC_GRID["regularization"]),
            unit="C",
            description="weight of errors against small coefficients",
        ),
        GeneSpec(
            name="penalty",
            kind="choice",
            default="l2",
            choices=choices(SVC_GRID["penalty"]),
            unit="norm",
            description="norm of the coefficients; l1 makes some of them zero",
        ),
        GeneSpec(
            name="class_weight",
            kind="choice",
            default="none",
            choices=choices(SVC_GRID["class_weight"]),
            unit="mode",
            description="balanced weighs rises and falls alike however many there are",
        ),
        GeneSpec(
            name="quantile_bins",
            kind="choice",
            default="3",
            choices=choices(SVC_GRID["quantile_bins"]),
            unit="bins",
            description="2 learns from every move, 3 and 4 from the outer quantiles of returns alone",
        ),
        GeneSpec(
            name="label_horizon",
            kind="choice",
            default="6",
            choices=choices(SVC_GRID["label_horizon"]),
            unit="bars",
            description="time over which the return is labelled",
        ),
        GeneSpec(
            name="refit_interval",
            kind="choice",
            default="72",
            choices=choices(SVC_GRID["refit_interval"]),
            unit="bars",
            description="absolute bar numbers that it divides are refits",
        ),
        GeneSpec(
            name="ensemble_size",
            kind="int",
            default=3,
            low=1,
            high=5,
            unit="fits",
            description="the last so many fits are averaged",
        ),
        GeneSpec(
            name="decision_margin",
            kind="float",
            default=0.1,
            low=0.0,
            high=1.0,
            unit="score",
            description="least score, up or down, that is traded",
        ),
    )

    def warmup(self, genes: Genes) -> int:
        """Return the first bar on which a model may be fitted."""
        return first_refit(int(genes["lookback_window"]), int(genes["label_horizon"]))

    def looks_back(self, genes: Genes, bar_hours: float) -> int:
        """Return 0: it compares values of one bar."""
        return 0

    def indicators(self, genes: GeneArrays) -> Needs:
        """Name the scores of the models."""
        return {SVC_SCORE: svc_keys(genes)}

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        scores, row = bank.rows(SVC_SCORE, svc_keys(genes))
        windows, horizons = (np.array(SVC_GRID[name])[genes[name]] for name in ("lookback_window", "label_horizon"))
        firsts = bank.firsts(first_refit(windows, horizons))
        linear_svc_targets(scores, row, firsts, genes["decision_margin"], out)
