"""Death reports: what a strategy that held a seat had promised, what it did, and which assumption broke."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, Final, Literal

import numpy as np
import polars as pl

from quant_organism.deployment.booking import append_rows
from quant_organism.deployment.config import StrategyConfig
from quant_organism.deployment.lifecycle import SEATED
from quant_organism.deployment.live_evidence import DEAD_LATELY_DAYS
from quant_organism.deployment.moves import Move
from quant_organism.deployment.tables import BirthTable, EvidenceDayTable, PostmortemTable
from quant_organism.deployment.trader_days import MODE_OF, TraderDays
from quant_organism.deployment.watched import WatchedStrategy
from quant_organism.errors import InputError
from quant_organism.market.lake import Lake
from quant_organism.market.schema import Interval

Cause = Literal["hard limit", "execution", "edge gone", "luck", "person", "not known"]
"""Which assumption broke: that losses stay within a limit; that the venue fills as modelled; that the edge lasts; none,
what it did lies within what luck makes of a kept promise; none, a person ended it; or nothing can be said."""

BELOW_LUCK: Final = 0.05
"""Share of paths of a kept promise below which what a strategy did is no luck."""

WORST_SLIPPAGE: Final = 2.0
"""Slippage over that of the model from which on execution broke."""


def book_postmortems(
    lake: Lake, strategies: Iterable[WatchedStrategy], days: pl.DataFrame, *, market: str, interval: Interval
) -> int:
    """Enter the reports of those that were retired from paper or beyond and have none; return how many were added.

    Parameters
    ----------
    lake
        Where to.
    strategies
        All that were ever watched in the market.
    days
        `EvidenceDayTable` of the market with its `date`.
    market, interval
        Whose strategies.
    """
    added = 0
    for one in strategies:
        end = death_of(one.document)
        if end is not None:
            own = days.filter(pl.col(EvidenceDayTable.id) == one.document.id).sort("date")
            day = date.fromisoformat(end.at[:10])
            row = postmortem_row(one, end, own)
            added += append_rows(lake, PostmortemTable, [row], day, market=market, interval=interval.name)
    return added


def death_of(document: StrategyConfig) -> Move | None:
    """Return the move that retired a strategy which had held a seat; none where it lives, or never held one."""
    seated = any(move.to_stage in SEATED or move.from_stage in SEATED for move in document.history)
    last = document.history[-1]
    return last if last.to_stage == "retired" and seated else None


def postmortem_row(one: WatchedStrategy, end: Move, own: pl.DataFrame) -> dict[str, Any]:
    """Return the report of a strategy, by `PostmortemTable`.

    Parameters
    ----------
    one
        The strategy, its document, birth and what the trader booked of it.
    end
        The move that retired it.
    own
        Its booked days with their `date`, in order.
    """
    document, birth = one.document, one.birth
    recorded = own.filter(EvidenceDayTable.recorded)
    returns = recorded[EvidenceDayTable.net_return].to_numpy()
    equity = np.concatenate([[1.0], np.cumprod(1.0 + returns)])
    drawdown = float((1.0 - equity / np.maximum.accumulate(equity)).max())
    deviation = float(returns.std(ddof=1)) if returns.size > 1 else math.nan
    ranks = _ranks(one, recorded)
    retired = date.fromisoformat(end.at[:10])
    traded = _traded(one.trader, retired)
    slippage, breakers = traded["slippage_ratio"], traded["breakers"]
    outside = [day for day, rank in ranks if rank < BELOW_LUCK]
    stages = dict(own[EvidenceDayTable.stage].value_counts().iter_rows())
    return {
        PostmortemTable.id: document.id,
        PostmortemTable.cycle: birth[BirthTable.cycle],
        PostmortemTable.families: ", ".join(document.families),
        PostmortemTable.first_day: birth[BirthTable.first_day],
        PostmortemTable.rule: end.rule,
        PostmortemTable.cause: cause_of(end, slippage, breakers, ranks[-1][1] if ranks else None),
        PostmortemTable.reason: end.reason,
        PostmortemTable.promised_sharpe: birth[BirthTable.sharpe],
        PostmortemTable.earned_sharpe: float(returns.mean()) / deviation * math.sqrt(365.0) if deviation > 0 else None,
        PostmortemTable.promised_deviation: birth[BirthTable.deviation],
        PostmortemTable.earned_deviation: deviation if deviation == deviation else None,
        PostmortemTable.total_return: float(equity[-1] - 1.0),
        PostmortemTable.max_drawdown: drawdown,
        PostmortemTable.drawdown_bound: one.band.largest_drawdown(returns.size) if one.band and returns.size else None,
        PostmortemTable.luck: ranks[-1][1] if ranks else None,
        PostmortemTable.first_below: outside[0] if outside else None,
        PostmortemTable.starting_wealth: birth[BirthTable.starting_wealth],
        PostmortemTable.wealth: own[EvidenceDayTable.wealth][-1] if own.height else birth[BirthTable.starting_wealth],
        PostmortemTable.days: recorded.height,
        PostmortemTable.missing_days: own.height - recorded.height,
        PostmortemTable.seated_days: sum(stages.get(stage, 0) for stage in SEATED),
        PostmortemTable.decaying_days: stages.get("decaying", 0),
        **{f"trader_{name}" if name == "days" else name: value for name, value in traded.items()},
        PostmortemTable.no_credit_until: retired + timedelta(days=DEAD_LATELY_DAYS),
        PostmortemTable.rows: own[EvidenceDayTable.rows][-1] if own.height else "",
    }


def cause_of(end: Move, slippage: float | None, breakers: int | None, luck: float | None) -> Cause:
    """Say which assumption broke: the first of the causes, in their order, that the numbers show.

    Parameters
    ----------
    end
        The move that retired it.
    slippage, breakers
        Slippage over that of the model, and breakers that fired while it traded; none where no trader had it.
    luck
        Share of paths of a kept promise that did no better; none where they cannot be made.
    """
    if end.rule == "hard limit":
        return "hard limit"
    if (slippage is not None and slippage > WORST_SLIPPAGE) or breakers:
        return "execution"
    if luck is not None and luck < BELOW_LUCK:
        return "edge gone"
    if end.by == "person":
        return "person"
    return "not known" if luck is None else "luck"


def _ranks(one: WatchedStrategy, recorded: pl.DataFrame) -> list[tuple[date, float]]:
    if one.band is None:
        return []
    rows = recorded.select("date", EvidenceDayTable.recent_sum).iter_rows()
    return [(day, one.band.rank(total, number)) for number, (day, total) in enumerate(rows, start=1)]


def _traded(days: TraderDays, through: date) -> Mapping[str, Any]:
    booked = [
        each for day, rows in days.items() if day <= through for each in rows if each.mode in set(MODE_OF.values())
    ]
    if not booked:
        return {"days": 0, "closed_trades": None, "slippage_ratio": None, "breakers": None}
    modelled = sum(each.model_slippage_usd for each in booked)
    return {
        "days": len(booked),
        "closed_trades": sum(each.closed_trades for each in booked),
        "slippage_ratio": sum(each.paid_slippage_usd for each in booked) / modelled if modelled > 0 else None,
        "breakers": sum(each.breakers for each in booked),
    }


def postmortem_of(rows: pl.DataFrame, id: str) -> dict[str, Any]:
    """Return the report of a strategy among the rows of `PostmortemTable` of its market.

    Raises
    ------
    InputError
        It has none.
    """
    own = rows.filter(pl.col(PostmortemTable.id) == id)
    if own.is_empty():
        raise InputError(
            "there is no death report of it",
            where=id,
            remedy="reports are written of those that were retired from paper or beyond, by: strategies mark",
        )
    return own.row(0, named=True)
