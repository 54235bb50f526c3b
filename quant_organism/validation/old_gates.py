"""Gates of the stages."""

import hashlib
import math

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from quant_organism.validation.holdout import Opening
from quant_organism.validation.statistics.sharpe import MIN_PERIODS, probabilistic_sharpe_ratio, sharpe_moments
from quant_organism.validation.verdict import Stage, Status, Verdict, at_least


class ValidationProfile(BaseModel):
    """What a strategy must show to enter the shadow pool.

    Parameters
    ----------
    in_sample_sharpe, out_of_sample_sharpe, walk_forward_sharpe
        Least annual net Sharpe ratio on bars in each span.
    in_sample_trades, out_of_sample_trades
        Least number of closed trades.
    max_drawdown
        Largest drawdown in any span, as a fraction of equity.
    positive_windows
        Least share of walk-forward windows with a positive net return.
    windows
        Number of equal windows that the walk-forward span is cut into.
    luck
        Largest probability that strategies without any edge would have done as well on the unseen spans, after
        multiplying by the number of candidates that were judged on them (Bonferroni).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    in_sample_sharpe: float = 1.0
    out_of_sample_sharpe: float = 0.5
    walk_forward_sharpe: float = 0.5
    in_sample_trades: int = Field(30, ge=1)
    out_of_sample_trades: int = Field(10, ge=1)
    max_drawdown: float = Field(0.15, gt=0, le=1)
    positive_windows: float = Field(0.5, ge=0, le=1)
    windows: int = Field(4, ge=3)
    luck: float = Field(0.05, gt=0, lt=1)

    @property
    def hash(self) -> str:
        """SHA-256 of the profile's canonical JSON."""
        return hashlib.sha256(orjson.dumps(self.model_dump(), option=orjson.OPT_SORT_KEYS)).hexdigest()


def window_consistency(stage: Stage, bar_returns: NDArray[np.float64], windows: int, threshold: float) -> Verdict:
    """Judge the share of equal windows, in time order, that ended with a gain; a window without trades is no gain."""
    totals = np.array([np.prod(1 + part) - 1 for part in np.array_split(bar_returns, windows)])
    if not np.any(bar_returns):
        return Verdict(
            stage, "positive_windows", "not_run", np.nan, threshold, windows, "nothing was traded in any window"
        )
    return at_least(stage, "positive_windows", float(np.mean(totals > 0)), threshold, windows)


def luck(daily_returns: NDArray[np.float64], opening: Opening, threshold: float) -> Verdict:
    """Judge how probable so good a result would be without an edge.

    Parameters
    ----------
    daily_returns
        Net daily returns of the candidate over all unseen days, float64 (days,).
    opening
        The look at those days: the probability is multiplied by the number of candidates that were judged in it
        (Bonferroni), and doubled for each earlier look at any of them.
    threshold
        Largest accepted probability.

    Returns
    -------
    Verdict
        `value` is the adjusted p-value of "true Sharpe ratio at most 0" (autocorrelation-aware, 2025).
    """
    days = len(daily_returns)
    if days < MIN_PERIODS:
        reason = f"needs {MIN_PERIODS} days, has {days}"
        return Verdict("holdout", "luck", "not_run", np.nan, threshold, days, reason)
    chance = 1.0 - probabilistic_sharpe_ratio(sharpe_moments(daily_returns))
    if math.isnan(chance):
        return Verdict("holdout", "luck", "not_run", np.nan, threshold, days, "the returns do not vary")
    adjusted = opening.adjusted(chance)
    status: Status = "passed" if adjusted <= threshold else "failed"
    reason = (
        f"without an edge, the best of {opening.candidates} does as well with probability {adjusted:.3g} "
        f"(these days are {opening.sentence}); at most {threshold:.3g} accepted"
    )
    return Verdict("holdout", "luck", status, adjusted, threshold, days, reason)
