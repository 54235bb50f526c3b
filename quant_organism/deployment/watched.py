"""A strategy that is watched: its document, its birth and its days so far, and what is known of it after each."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, Final

import polars as pl

from quant_organism.deployment.bands import ReturnBand
from quant_organism.deployment.booking import read_rows
from quant_organism.deployment.config import StrategyConfig
from quant_organism.deployment.deploy import all_documents
from quant_organism.deployment.lifecycle import HARD_DRAWDOWN, SEATED
from quant_organism.deployment.live_evidence import LiveEvidence, Promise
from quant_organism.deployment.moves import Kind
from quant_organism.deployment.pool import Life
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.deployment.stages import Stage
from quant_organism.deployment.tables import BirthTable, EvidenceDayTable
from quant_organism.deployment.trader_days import MODE_OF, StageFacts, TraderDays, own_return, stage_facts
from quant_organism.errors import IntegrityError
from quant_organism.market.lake import Lake
from quant_organism.market.schema import Interval
from quant_organism.validation import CandidateReturnTable

_OF_DAYS: Final[tuple[Kind, ...]] = (
    "wealth",
    "fresh_wealth",
    "recent_sum",
    "recent_rank",
    "shortfall",
    "size_factor",
    "drawdown_share",
    "fresh_days",
    "hard_limit",
)
"""Numbers that rest on its fresh days."""


@dataclass(eq=False)
class WatchedStrategy:
    """A document, its birth, and its days so far."""

    lake: Lake
    document: StrategyConfig
    birth: Mapping[str, Any]
    promise: Promise
    evidence: LiveEvidence
    trader: TraderDays
    rows: str = ""
    last: date | None = None
    stage: str = ""
    returns: Mapping[date, float] = field(default_factory=dict)
    scales: Mapping[date, float] = field(default_factory=dict)
    days: list[tuple[date, float]] = field(default_factory=list)

    @classmethod
    def at_birth(
        cls, lake: Lake, document: StrategyConfig, birth: Mapping[str, Any], trader: TraderDays
    ) -> WatchedStrategy:
        """Return it before its first day."""
        promise = Promise(birth[BirthTable.deviation], birth[BirthTable.sharpe])
        evidence = LiveEvidence.born(promise, birth[BirthTable.starting_wealth])
        return cls(lake, document, birth, promise, evidence, trader)

    @cached_property
    def band(self) -> ReturnBand | None:
        """Paths of its own backtest; none where the returns that judged it are not to be found any more."""
        born, judged_from = self.document.provenance, self.birth[BirthTable.judged_from]
        day = date.fromisoformat(born.date)
        stored = self.lake.table(CandidateReturnTable, cycle=self.birth[BirthTable.cycle])
        where = {"market": born.market, "interval": self.document.interval}
        if judged_from is None or day not in stored.days(**where):
            return None
        own = stored.read_day(day, **where).filter(
            pl.col(CandidateReturnTable.candidate) == self.document.id,
            pl.col(CandidateReturnTable.day) >= judged_from,
        )
        returns = own.sort(CandidateReturnTable.day)[CandidateReturnTable.net_return].to_numpy()
        is_same = returns.size > 1 and math.isclose(float(returns.std(ddof=1)), self.promise.deviation, rel_tol=1e-9)
        if self.document.promises_in_sample:  # less than was shown, and the paths of a kept promise earn no more
            returns = returns - returns.mean() + self.promise.sharpe * self.promise.deviation / math.sqrt(365.0)
        return ReturnBand(self.document.id, returns, self.promise) if is_same else None

    @property
    def next_day(self) -> date:
        """First day that is not booked yet."""
        first: date = self.birth[BirthTable.first_day]
        return first if self.last is None else self.last + timedelta(days=1)

    def book(self, day: date, stage: str, net_return: float, source: str) -> dict[str, Any]:
        """Take a day in and return its row."""
        if (self.stage, stage) == ("decaying", "shadow"):
            self.evidence = self.evidence.restarted()
        self.evidence = self.evidence.after(net_return, self.promise)
        said = f"{self.rows}|{self.document.id}|{day}|{stage}|{net_return!r}|{source}"
        self.rows, self.last, self.stage = hashlib.sha256(said.encode()).hexdigest(), day, stage
        state = self.evidence
        if net_return == net_return:
            self.days.append((day, state.standardised))
        return {
            EvidenceDayTable.id: self.document.id,
            EvidenceDayTable.stage: stage,
            EvidenceDayTable.source: source,
            EvidenceDayTable.recorded: net_return == net_return,
            EvidenceDayTable.net_return: _known(net_return),
            EvidenceDayTable.deviation: _known(state.deviation),
            EvidenceDayTable.standardised: _known(state.standardised),
            EvidenceDayTable.wealth: state.wealth,
            EvidenceDayTable.fresh_wealth: state.fresh_wealth,
            EvidenceDayTable.recent_sum: state.recent_sum,
            EvidenceDayTable.shortfall: state.shortfall,
            EvidenceDayTable.factor: state.factor,
            EvidenceDayTable.fresh_days: state.fresh_days,
            EvidenceDayTable.rows: self.rows,
        }

    def earned(self, day: date, stage: Stage) -> tuple[float, str]:
        """Return what it earned on a day, and who says so: the trader from its first day on, never both."""
        if stage in MODE_OF and self.trader and day >= min(self.trader):
            return own_return(self.trader, day, stage, self.scales.get(day, float("nan"))), "ledger"
        return self.returns.get(day, float("nan")), "account"

    def life(self, day: date) -> Life:
        """Return it at the end of a day."""
        known: dict[Kind, float] = {}
        for kind in ("pretest_p", "search_p", "unseen_p", "trade_parity", "perturbations"):
            if self.birth[kind] is not None:
                known[kind] = self.birth[kind]
        known["old_days"] = float(self.birth[BirthTable.credit] != "no old days")
        known["hard_limit"] = float(self.evidence.drawdown >= HARD_DRAWDOWN)
        known.update(self._within_luck())
        known.update(self.facts(day).numbers)
        return Life(
            id=self.document.id,
            stage=self.document.stage,
            since=datetime.fromisoformat(self.document.entered_stage).toordinal(),
            born=self.birth[BirthTable.first_day].toordinal(),
            promise=self.promise,
            evidence=self.evidence,
            known=known,
            may_send=self.document.may_send,
        )

    def facts(self, day: date) -> StageFacts:
        """Return what the trader's days in its stage come to, up to a day."""
        since = date.fromisoformat(self.document.entered_stage[:10])
        return stage_facts(self.trader, self.document.stage, since, day)

    def counts(self, day: date) -> dict[Kind, int]:
        """Return how many days its numbers rest on."""
        facts = self.facts(day)
        return dict.fromkeys(_OF_DAYS, self.evidence.fresh_days) | dict.fromkeys(facts.numbers, facts.n)

    def sources(self, day: date) -> dict[Kind, str]:
        """Return the hashes of rows, other than its own days, that numbers come from."""
        facts = self.facts(day)
        return dict.fromkeys(facts.numbers, facts.source)

    def _within_luck(self) -> dict[Kind, float]:
        # Asked of those with a seat only, and known only where the returns that judged it still stand in the lake.
        if self.document.stage not in SEATED or self.band is None:
            return {}
        numbers: dict[Kind, float] = {}
        if self.days:
            numbers["recent_rank"] = self.band.rank(self.evidence.recent_sum, len(self.days))
        if self.evidence.fresh_days:
            most = self.band.drawdown_alarm(self.evidence.fresh_days)
            if most > 0.0:
                numbers["drawdown_share"] = self.evidence.drawdown / most
        return numbers


def watched_strategies(
    lake: Lake,
    repository: StrategyRepository,
    market: str,
    interval: Interval,
    through: date,
    trader: Mapping[str, TraderDays] | None,
) -> dict[str, WatchedStrategy]:
    documents = {document.id: document for document in all_documents(repository)}
    births = read_rows(lake, BirthTable, market=market, interval=interval.name)
    found: dict[str, WatchedStrategy] = {}
    for row in births.iter_rows(named=True):
        id = row[BirthTable.id]
        if id in documents and id not in found and row[BirthTable.first_day] <= through:
            found[id] = WatchedStrategy.at_birth(lake, documents[id], row, (trader or {}).get(id, {}))
    return found


def take_in(strategies: Mapping[str, WatchedStrategy], stored: pl.DataFrame) -> None:
    """Compute the evidence of stored days again, and compare it with what is stored."""
    for row in stored.sort("date").iter_rows(named=True):
        one = strategies.get(row[EvidenceDayTable.id])
        if one is None:
            continue
        value = row[EvidenceDayTable.net_return]
        again = one.book(
            row["date"], row[EvidenceDayTable.stage], float("nan") if value is None else value, row["source"]
        )
        if any(again[name] != row[name] for name in (EvidenceDayTable.rows, EvidenceDayTable.wealth)):
            raise IntegrityError(
                f"the day {row['date']} of {one.document.id} is not what its days give: wealth {row['wealth']}, "
                f"but {again[EvidenceDayTable.wealth]} follows",
                where=f"{EvidenceDayTable.dataset}, {row['date']}",
                remedy="bring the files of these days back from a copy",
            )


def _known(value: float) -> float | None:
    return value if value == value else None
