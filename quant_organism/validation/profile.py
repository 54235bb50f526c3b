"""Thresholds of the validation stages."""

import hashlib

import orjson
from pydantic import BaseModel, ConfigDict, Field


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
