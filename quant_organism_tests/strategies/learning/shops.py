"""Workshops over series of bars, in which fits can be looked at."""

import numpy as np
from numpy.typing import NDArray

from quant_organism.strategies import AssetBars, Genome, IndicatorStore, default_genome
from quant_organism.strategies.indicators.indicator import Workshop
from quant_organism.strategies.learning import features
from quant_organism_tests.strategies.scenarios import Columns

SVC, TREE = "linear_svc_classifier", "pca_tree_quantile"


def shop_of(columns: Columns, store: IndicatorStore | None = None, first_number: int = 0) -> Workshop:
    """Return a workshop over hourly bars that are numbered from `first_number` on."""
    n = columns["close"].size
    kept = {"funding_rate": np.zeros(n)} | columns
    bars = AssetBars(**kept, numbers=first_number + np.arange(n), bar_hours=1.0)
    return Workshop(bars, store)


def features_of(columns: Columns) -> NDArray[np.float64]:
    """Return all features, shape (20, n)."""
    return features.features_of(shop_of(columns))


def genome(family: str, **genes: object) -> Genome:
    """Return the reference genome with some genes changed."""
    return Genome(family, dict(default_genome(family).genes) | genes)
