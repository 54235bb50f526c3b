"""What a trader booked of a strategy, day by day, and the numbers that the table of moves asks of these days.

The trader hands its days in; nothing here knows of ledgers. A number whose rows are missing is not known, and what is
not known meets no requirement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Final

import orjson

from quant_organism.deployment.moves import Kind, source_of
from quant_organism.deployment.stages import Stage

MODE_OF: Final[Mapping[Stage, str]] = {
    "paper": "paper",
    "testnet": "testnet",
    "canary": "mainnet",
    "live": "mainnet",
}
"""In which mode of the trader the strategies of a stage trade; in every other stage they are only watched."""


@dataclass(frozen=True, kw_only=True)
class TraderDay:
    """One strategy on one UTC day of an account that it traded.

    Parameters
    ----------
    account, mode
        Whose orders they were, and what happened to them.
    is_whole
        Whether the strategy was followed at every close of the day.
    account_return
        Its profit over the account's equity, after fees, slippage and funding.
    weight
        What its virtual positions were multiplied with from the day's first plan on: share of the equity times risk
        scale; none where it was not booked.
    closed_trades
        Positions that it left.
    paid_slippage_usd, model_slippage_usd
        Of the fills in symbols that it had traded: what was paid, and what the model of fills states.
    breakers, liquidations
        Breakers that fired while it held anything, and positions that the venue took.
    is_reconciled
        Whether orders were sent and books and venue agreed all day.
    """

    account: str
    mode: str
    is_whole: bool
    account_return: float
    weight: float | None
    closed_trades: int
    paid_slippage_usd: float
    model_slippage_usd: float
    breakers: int
    liquidations: int
    is_reconciled: bool


TraderDays = Mapping[date, Sequence[TraderDay]]
"""Of one strategy; on a day on which sessions changed there is more than one."""


def own_return(days: TraderDays, day: date, stage: Stage, scale: float) -> float:
    """Return what a strategy earned on a day as if it had had the account alone; nan where no day was booked whole.

    Parameters
    ----------
    days
        Of the strategy.
    day, stage
        The day, and where the strategy stood on it.
    scale
        Risk scale of an account that trades it alone, set by the bars before the day.

    Notes
    -----
    A part of an account earns `weight` times what its virtual positions earn, an account of its own `scale` times
    that. Both are known before the day, so that the bet on it stays fair.
    """
    for booked in sorted(days.get(day, ()), key=lambda each: each.account):
        if booked.mode == MODE_OF.get(stage) and booked.is_whole and booked.weight:
            return booked.account_return / booked.weight * scale
    return float("nan")


@dataclass(frozen=True)
class StageFacts:
    """What the trader's days in a stage come to.

    Attributes
    ----------
    numbers
        What the table of moves asks; without those that are not known.
    n
        Days that they rest on.
    source
        Hash of the days.
    """

    numbers: Mapping[Kind, float]
    n: int
    source: str


def stage_facts(days: TraderDays, stage: Stage, since: date, through: date) -> StageFacts:
    """Sum up the days that the trader booked of a strategy in its stage.

    Parameters
    ----------
    days
        Of the strategy.
    stage, since
        Where it stands, and the day on which it got there.
    through
        Last day that counts.
    """
    own = list(_in_stage(days, stage, since, through))
    rows = orjson.dumps([[str(day), asdict(each)] for day, each in own])
    if not own:
        return StageFacts({}, 0, source_of(rows))
    booked = [each for _, each in own]
    numbers: dict[Kind, float] = {
        "closed_trades": sum(each.closed_trades for each in booked),
        "own_breakers": sum(each.breakers for each in booked),
        "reconciled_days": len({day for day, each in own if each.is_reconciled}),
    }
    modelled = sum(each.model_slippage_usd for each in booked)
    if modelled > 0.0:
        numbers["slippage_ratio"] = sum(each.paid_slippage_usd for each in booked) / modelled
    if any(each.liquidations for each in booked):
        numbers["hard_limit"] = 1.0
    return StageFacts(numbers, len({day for day, _ in own}), source_of(rows))


def _in_stage(days: TraderDays, stage: Stage, since: date, through: date) -> Iterator[tuple[date, TraderDay]]:
    for day in sorted(days):
        if since <= day <= through:
            for each in sorted(days[day], key=lambda each: each.account):
                if each.mode == MODE_OF.get(stage):
                    yield day, each
