"""Gates on what a candidate did in a span: any metric against a bound, and windows with a gain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from quant_organism.validation.case import OF_TRADES, Case, SpanName
from quant_organism.validation.gates.gate import Gate
from quant_organism.validation.verdict import Verdict

METRICS: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "sharpe": (-math.inf, math.inf),
        "sortino": (-math.inf, math.inf),
        "calmar": (-math.inf, math.inf),
        "total_return": (-1.0, math.inf),
        "annual_return": (-1.0, math.inf),
        "volatility": (0.0, math.inf),
        "max_drawdown": (0.0, 1.0),
        "consistency": (0.0, 1.0),
        "win_rate": (0.0, 1.0),
        "trades": (0.0, math.inf),
        "turnover_per_year": (0.0, math.inf),
        "exposure": (0.0, math.inf),
    }
)
"""Metrics that can be bounded, and the range in which a bound makes sense."""


class Backtest(Gate):
    """A metric of the backtest over one span: of the ideal sleeves in sample, of the account on unseen days.

    Closed trades and their win rate are the members' everywhere.

    Parameters
    ----------
    metric
        One of `METRICS`.
    span
        Over which bars.
    at_least, at_most
        The bound; one of them.
    """

    kind: ClassVar[str] = "backtest"

    metric: str
    span: SpanName
    at_least: float | None = Field(None, allow_inf_nan=False)
    at_most: float | None = Field(None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if self.metric not in METRICS:
            raise ValueError(f"no metric is called {self.metric!r}; choose from {', '.join(METRICS)}")
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give at_least or at_most, one of them")
        low, high = METRICS[self.metric]
        if not low <= self.threshold <= high:
            raise ValueError(f"{self.threshold:g} is no bound of {self.metric}, which lies in [{low:g}, {high:g}]")
        return self

    @property
    def stage(self) -> SpanName:
        """The span."""
        return self.span

    @property
    def name(self) -> str:
        """The metric."""
        return self.metric

    @property
    def threshold(self) -> float:
        """The bound."""
        return self.at_least if self.at_least is not None else float(self.at_most or 0.0)

    def judge(self, case: Case) -> Verdict:
        """Compare the metric with its bound; an account that cannot trade what its members do fails."""
        metrics, of_trades = case.metrics(self.span), self.metric in OF_TRADES
        n_used = int(metrics["trades"]) if of_trades else len(case.daily_returns(self.span))
        compare = self.at_least_threshold if self.at_least is not None else self.at_most_threshold
        if of_trades:
            return compare(metrics[self.metric], n_used)
        if why := case.why_idle(self.span):
            return self.fails(why, n_used)
        if self.span == "in_sample":
            return compare(metrics[self.metric], n_used)
        return compare(metrics[self.metric], n_used, of=self._of_account(case, metrics))

    def _of_account(self, case: Case, metrics: Mapping[str, float]) -> str:
        beside = ""
        if self.metric == "sharpe":
            beside = (
                f" ({metrics['sharpe_sleeves']:.3g} of its ideal sleeves, "
                f"tracking error {100 * metrics['tracking_error']:.1f} % a year)"
            )
        return f" in an account of {case.grounds.equity_usd:,.0f} USD{beside}"


class PositiveWindows(Gate):
    """The share of equal windows of days, in time order, that ended with a gain; one without trades is no gain.

    Parameters
    ----------
    span
        Over which bars.
    windows
        Number of windows that it is cut into.
    at_least
        Least share.
    """

    kind: ClassVar[str] = "positive_windows"

    span: Literal["in_sample", "out_of_sample", "walk_forward"] = "walk_forward"
    windows: int = Field(4, ge=3, le=1_000)
    at_least: float = Field(ge=0, le=1)

    @property
    def stage(self) -> SpanName:
        """The span."""
        return self.span

    @property
    def threshold(self) -> float:
        """The least share."""
        return self.at_least

    def judge(self, case: Case) -> Verdict:
        """Count the windows."""
        if why := case.why_idle(self.span):
            return self.fails(why, self.windows)
        returns = case.daily_returns(self.span)
        if len(returns) < self.windows:
            return self.without(f"needs {self.windows} days, has {len(returns)}", self.windows)
        if not np.any(returns):
            return self.without("nothing was traded in any window", self.windows)
        totals = np.array([np.prod(1 + part) - 1 for part in np.array_split(returns, self.windows)])
        return self.at_least_threshold(float(np.mean(totals > 0)), self.windows)


GATES: Final[tuple[type[Gate], ...]] = (Backtest, PositiveWindows)
