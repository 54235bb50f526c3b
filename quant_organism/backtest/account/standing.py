"""Where an account's own breakers stand at a close: what its plan has decided by closes and fills alone."""

from __future__ import annotations

from dataclasses import dataclass

from quant_organism.backtest.account.breaker import Phase
from quant_organism.backtest.account.risk import FLAT, HALF_OPEN, NO_ENTRIES, RiskState
from quant_organism.backtest.account.rules import AccountRules


@dataclass(frozen=True)
class AccountBreaker:
    """A breaker of an account's plan at a close.

    Parameters
    ----------
    name
        As docs/risk.md calls it.
    phase
        Closed, open or half-open.
    value
        The number that it goes by; none where only time counts since it tripped.
    bound
        That acts: of several levels the highest that is reached.
    action
        What it does while it is not closed.
    """

    name: str
    phase: Phase
    value: float | None
    bound: float
    action: str


def account_breakers(risk: RiskState, rules: AccountRules) -> tuple[AccountBreaker, ...]:
    """Return the breakers that closes and fills alone decide, as they stand at the risk's close."""
    return (
        _total_drawdown(risk, rules),
        _loss_of_a_day(risk, rules),
        _rapid_losses(risk, rules),
        AccountBreaker(
            "tail", _open(risk.tail > rules.tail_loss_at), risk.tail, rules.tail_loss_at, "scaled down, nothing grows"
        ),
        AccountBreaker("margin", _open(risk.margin_is_short), None, rules.margin_multiple, "half size"),
        AccountBreaker("liquidation", _open(risk.time < risk.halved_until), None, 0.0, "half size for a day"),
    )


def _total_drawdown(risk: RiskState, rules: AccountRules) -> AccountBreaker:
    phase: Phase = "open"
    if risk.stopped:
        bound, action = rules.flat_at, "everything is closed"
    elif risk.drawdown >= rules.no_entries_at:
        bound, action = rules.no_entries_at, "nothing grows"
    elif risk.halved:
        bound, action = rules.halve_at, "half size"
    else:
        phase, bound, action = "half-open" if risk.on_probation else "closed", rules.halve_at, "half size on trial"
    return AccountBreaker("total drawdown", phase, risk.drawdown, bound, action)


def _loss_of_a_day(risk: RiskState, rules: AccountRules) -> AccountBreaker:
    lost = 1.0 - risk.equity / risk.base if risk.base > 0 else 0.0
    if risk.day == FLAT:
        return AccountBreaker("loss of a day", "open", lost, rules.day_flat_at, "everything is closed")
    if risk.day == HALF_OPEN:
        return AccountBreaker("loss of a day", "half-open", lost, rules.day_no_entries_at, "grows to half")
    return AccountBreaker(
        "loss of a day", _open(risk.day == NO_ENTRIES), lost, rules.day_no_entries_at, "nothing grows"
    )


def _rapid_losses(risk: RiskState, rules: AccountRules) -> AccountBreaker:
    if risk.paused_until <= risk.time < risk.eased_until:
        return AccountBreaker("rapid losses", "half-open", None, rules.rapid_loss, "grows to half")
    return AccountBreaker("rapid losses", _open(risk.time < risk.paused_until), None, rules.rapid_loss, "nothing grows")


def _open(is_open: bool) -> Phase:
    return "open" if is_open else "closed"
