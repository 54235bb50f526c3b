"""Decisions about the account that act: which of them hold on a day, and what was done about each, by whom and when.

A decision acts for three days, if nobody is asked or a person has said yes. What is older, open, lapsed or rejected
does nothing. Who may sit down reads the pool's size here; risk mode, sessions and the emergency stop are the trader's
(`trading.decided`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final, Literal

import orjson
import polars as pl

from quant_organism.deployment.booking import append_rows, read_rows
from quant_organism.deployment.lifecycle import MOST_SEATED
from quant_organism.deployment.tables import DecisionActionTable, DecisionAnswerTable, DeploymentDecisionTable
from quant_organism.market.lake import Lake
from quant_organism.market.schema import Interval

DecisionType = Literal["pool_size", "approval", "retirement", "emergency_stop", "risk_adjustment", "session"]

ACCOUNT: Final = "account"
"""Subject of decisions that are about no single strategy."""

ACTING_DAYS: Final = 3
"""Days, its own the first, on which a decision acts."""

_OF_THE_LIVING: Final = ("diversity", "candidates")
"""Figures of who lives already; a newcomer that is like nobody adds one to each of them."""


def state_of(decision: Mapping[str, Any], answers: pl.DataFrame, today: date) -> str:
    """Return how a decision stands: `taken`, `open`, `approve`, `reject`, or `lapsed` without an answer.

    Parameters
    ----------
    decision
        A row by `DeploymentDecisionTable`.
    answers
        By `DecisionAnswerTable`.
    today
        The day.
    """
    given = answers.filter(pl.col(DecisionAnswerTable.id) == decision[DeploymentDecisionTable.id])
    if given.height:
        return str(given[0, DecisionAnswerTable.answer])
    if not decision[DeploymentDecisionTable.needs_person]:
        return "taken"
    return "lapsed" if today > decision[DeploymentDecisionTable.valid_until] else "open"


def acting_decision(
    lake: Lake, kind: DecisionType, day: date, *, market: str, interval: Interval
) -> dict[str, Any] | None:
    """Return the newest decision of a kind about the account that acts on a day, with its `date`; none where none does.

    Parameters
    ----------
    lake, market, interval
        Where decisions are.
    kind
        Of decision.
    day
        Those taken on it or later are not known yet.
    """
    where = {"market": market, "interval": interval.name}
    known = read_rows(lake, DeploymentDecisionTable, **where).filter(
        (pl.col(DeploymentDecisionTable.type) == kind)
        & (pl.col(DeploymentDecisionTable.subject) == ACCOUNT)
        & (pl.col("date") < day)
        & (pl.col("date") >= day - timedelta(days=ACTING_DAYS))
    )
    answers = read_rows(lake, DecisionAnswerTable, **where)
    for row in known.sort("date", descending=True).iter_rows(named=True):
        if state_of(row, answers, day) in ("taken", "approve"):
            return dict(row)
    return None


def closed_seats(lake: Lake, day: date, *, market: str, interval: Interval, by: str) -> int:
    """Return how many of the pool's seats nobody may take on a day, and write down whose decision that was.

    Parameters
    ----------
    lake, market, interval
        Whose pool.
    day
        On which somebody may sit down; the decision is that of a day before.
    by
        Who asks.
    """
    decision = acting_decision(lake, "pool_size", day, market=market, interval=interval)
    if decision is None:
        return 0
    seats = open_seats(decision)
    book_action(lake, decision, day, by=by, what=f"{seats} seats at most", market=market, interval=interval)
    return MOST_SEATED - seats


def open_seats(decision: Mapping[str, Any]) -> int:
    """Return how many seats a decision on the pool's size leaves, a newcomer counted."""
    inputs = {each["input"]: each["value"] for each in orjson.loads(decision[DeploymentDecisionTable.inputs])}
    others = [value for name, value in inputs.items() if name not in _OF_THE_LIVING and value is not None]
    value = int(decision[DeploymentDecisionTable.value])
    if decision[DeploymentDecisionTable.rule] in _OF_THE_LIVING:
        value += 1
    return int(min([MOST_SEATED, value, *others]))


def book_action(
    lake: Lake, decision: Mapping[str, Any], day: date, *, by: str, what: str, market: str, interval: Interval
) -> None:
    """Write down what was done about a decision, once for whoever does it."""
    if (decision[DeploymentDecisionTable.id], by) in acted_upon(lake, market=market, interval=interval):
        return
    row = {
        DecisionActionTable.id: decision[DeploymentDecisionTable.id],
        DecisionActionTable.by: by,
        DecisionActionTable.type: decision[DeploymentDecisionTable.type],
        DecisionActionTable.decided: decision["date"],
        DecisionActionTable.what: what,
    }
    append_rows(lake, DecisionActionTable, [row], day, market=market, interval=interval.name)


def acted_upon(lake: Lake, *, market: str, interval: Interval) -> set[tuple[str, str]]:
    """Return the decisions about which something was done, and by whom."""
    rows = read_rows(lake, DecisionActionTable, market=market, interval=interval.name)
    return set(rows.select(DecisionActionTable.id, DecisionActionTable.by).iter_rows())
