"""Copies of the market in which nothing can be found: how good a strategy's whole search looks by luck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from quant_organism.backtest import Costs
from quant_organism.judge.outside import CallableStrategy, DocumentStrategy
from quant_organism.kernels.closure import code_identity
from quant_organism.market import Panel
from quant_organism.validation import draw_null
from quant_organism.validation.draws import Statistics

SHARPE: Final = "sharpe"
_STREAM: Final = 7

Strategy = CallableStrategy | DocumentStrategy


@dataclass(frozen=True)
class OnCopies:
    """A strategy's whole search on copies of a market in which nothing can be found; makes a draw.

    Parameters
    ----------
    strategy, panel, costs, seed
        What is repeated, the days that it saw, what trading costs, and the seed of the copies.
    """

    strategy: Strategy
    panel: Panel
    costs: Costs
    seed: int

    def __call__(self, draw: int) -> Statistics:
        """Return the best Sharpe ratio on a copy."""
        signs = np.random.SeedSequence(self.seed, spawn_key=(_STREAM, draw))
        copy = draw_null(self.panel, "mean_preserving", signs, charge_funding=self.costs.charge_funding)
        return {SHARPE: self.strategy.best_sharpe(copy, self.costs)}

    @property
    def identity(self) -> dict[str, str]:
        """All that a draw is a function of."""
        return {
            "strategy": self.strategy.identity,
            "panel": self.panel.hash,
            "costs": self.costs.hash,
            "seed": str(self.seed),
            "code": code_identity(__name__),
        }
