"""Bounds of breakers, portfolio and ranker that a policy sets tighter than their ceilings; none is ever looser."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from quant_organism.backtest import LEAST_SCORE
from quant_organism.backtest.account import AccountRules
from quant_organism.trading.portfolio import MOST_CORRELATED

_CEILINGS: Final = AccountRules()


class RiskLimits(BaseModel):
    """What a policy tightens; what is left out stays at its ceiling, which is its default.

    A level that stands above a tighter one of the same breaker counts as this one: under `flat_at` of 0.04 an account
    is at half size, too, from there on.

    Parameters
    ----------
    halve_at, no_entries_at, flat_at
        Drawdowns of the account from which on it has half size, nothing grows, and everything is closed (A8). It is
        whole again below half of the first.
    day_no_entries_at, day_flat_at
        Loss since 00:00 UTC from which on nothing grows, and everything is closed, over the day's first equity.
    rapid_loss
        Loss within a quarter of an hour that lets nothing grow for an hour.
    tail_loss_at
        Loss of a day that one in a hundred exceeds, as foreseen, to which everything is scaled down.
    most_correlated
        Correlation of two strategies' days above which the one with the lower score gets no share.
    least_score
        Score that a ranked symbol has to exceed to be entered, 0.1 or more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    halve_at: float = Field(_CEILINGS.halve_at, gt=0.0)
    no_entries_at: float = Field(_CEILINGS.no_entries_at, gt=0.0)
    flat_at: float = Field(_CEILINGS.flat_at, gt=0.0)
    day_no_entries_at: float = Field(_CEILINGS.day_no_entries_at, gt=0.0)
    day_flat_at: float = Field(_CEILINGS.day_flat_at, gt=0.0)
    rapid_loss: float = Field(_CEILINGS.rapid_loss, gt=0.0)
    tail_loss_at: float = Field(_CEILINGS.tail_loss_at, gt=0.0)
    most_correlated: float = Field(MOST_CORRELATED, ge=0.0)
    least_score: float = Field(LEAST_SCORE, le=1.0)

    @field_validator("*")
    @classmethod
    def _keeps_its_ceiling(cls, value: float, field: ValidationInfo) -> float:
        ceiling, is_least = cls.model_fields[str(field.field_name)].default, field.field_name == "least_score"
        if value < ceiling if is_least else value > ceiling:
            side = "more" if is_least else "less"
            raise ValueError(f"looser than its ceiling of {ceiling:g}: give {side}, or leave it out")
        return value

    def within(self, rules: AccountRules) -> AccountRules:
        """Return the rules of an account with no bound looser than these, nor than it was."""
        flat_at = min(rules.flat_at, self.flat_at)
        no_entries_at = min(rules.no_entries_at, self.no_entries_at, flat_at)
        halve_at = min(rules.halve_at, self.halve_at, no_entries_at)
        day_flat_at = min(rules.day_flat_at, self.day_flat_at)
        return rules._replace(
            flat_at=flat_at,
            no_entries_at=no_entries_at,
            halve_at=halve_at,
            restore_below=min(rules.restore_below, halve_at / 2),
            day_flat_at=day_flat_at,
            day_no_entries_at=min(rules.day_no_entries_at, self.day_no_entries_at, day_flat_at),
            rapid_loss=min(rules.rapid_loss, self.rapid_loss),
            tail_loss_at=min(rules.tail_loss_at, self.tail_loss_at),
        )

    def is_within(self, other: RiskLimits) -> bool:
        """Say whether none of these is looser than another's."""
        lower = type(self).model_fields.keys() - {"least_score"}
        return self.least_score >= other.least_score and all(getattr(self, n) <= getattr(other, n) for n in lower)
