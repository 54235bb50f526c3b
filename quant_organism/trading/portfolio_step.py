"""The third step of the pipeline: shares of the equity, set anew at the first close of each UTC day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from quant_organism.market import MS_PER_DAY
from quant_organism.trading.outside import OUTSIDE
from quant_organism.trading.pipeline import Allowance, CloseStanding
from quant_organism.trading.portfolio import (
    LARGEST_SHARE,
    MOST_FORESEEN_LOSS,
    ShareFinding,
    StrategyRecord,
    StrategyShares,
    allocate,
    foreseen_factor,
    rebalanced,
)
from quant_organism.trading.records import StepVerdict


@dataclass(frozen=True)
class StrategyPromise:
    """What a strategy brings: its validated annual Sharpe ratio, and daily returns of its backtest by UTC day."""

    sharpe: float
    backtest: Mapping[int, float]


@dataclass
class PortfolioStep:
    """Allocates by what strategies promise and what their virtual books have earned since they are followed.

    The step only takes away: no strategy gets more than it would without.

    Parameters
    ----------
    promise
        Of a strategy, or none where nothing is known of it: it then gets nothing.
    shares
        As set last.
    day
        UTC day on which they were, -1 before.
    live
        Daily returns of each strategy since it is followed, by UTC day.
    growth
        What each has grown by since 00:00 UTC.
    findings
        What was said when the shares were set.
    foreseen
        Of each strategy the largest loss since then that its own models have foreseen of a day, where it is too large.
    """

    promise: Callable[[str], StrategyPromise | None]
    shares: dict[str, float] = field(default_factory=dict)
    day: int = -1
    live: dict[str, dict[int, float]] = field(default_factory=dict)
    growth: dict[str, float] = field(default_factory=dict)
    findings: tuple[ShareFinding, ...] = ()
    foreseen: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The step's place."""
        return "portfolio"

    def judge(self, standing: CloseStanding, left: Allowance) -> Allowance:
        """Leave each strategy its share; one that has the account alone keeps it, unless it decays."""
        today, at_midnight = standing.close.time // MS_PER_DAY, standing.close.time % MS_PER_DAY == 0
        begins = today != self.day
        if begins and not at_midnight:
            self._end_day(self.day)
        if self.day >= 0:  # what was earned before it is followed is the backtest's
            for strategy, earned in sorted(standing.virtual_returns.items()):
                self.growth[strategy] = self.growth.get(strategy, 1.0) * (1.0 + earned)
        if begins and at_midnight:
            self._end_day(today - 1)
        # Other sources promise nothing that could be scored: their own limits stand.
        scored = {name: share for name, share in left.shares.items() if not name.startswith(OUTSIDE)}
        if begins or self.shares.keys() != scored.keys():
            self._allocate(scored, left.limits.most_correlated)
            self.day = today
        self._foresee(standing.foreseen_losses, begins=begins)
        shares = {
            name: min(share, self.shares.get(name, share)) * foreseen_factor(self.foreseen.get(name, 0.0))
            for name, share in left.shares.items()
        }
        verdicts = tuple(
            StepVerdict(
                session=standing.session,
                close_ms=standing.close.time,
                decision_id="",
                step=self.name,
                subject=finding.strategy,
                passes=False,
                number=finding.number,
                bound=finding.bound,
                reason=finding.reason,
            )
            for finding in (*self.findings, *self._scaled())
        )
        return replace(left, shares=shares, verdicts=(*left.verdicts, *verdicts))

    def state(self) -> Mapping[str, Any]:
        """Return shares and records."""
        return {
            "shares": dict(sorted(self.shares.items())),
            "day": self.day,
            "live": {name: sorted(days.items()) for name, days in sorted(self.live.items())},
            "growth": dict(sorted(self.growth.items())),
            "foreseen": dict(sorted(self.foreseen.items())),
            "findings": [[each.strategy, each.number, each.bound, each.reason] for each in self.findings],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` returned."""
        self.shares, self.day, self.growth = dict(state["shares"]), state["day"], dict(state["growth"])
        self.live = {name: dict(map(tuple, days)) for name, days in state["live"].items()}
        self.foreseen = dict(state.get("foreseen", {}))  # states of earlier versions know none
        self.findings = tuple(ShareFinding(*fields) for fields in state["findings"])

    def _foresee(self, losses: Mapping[str, float], *, begins: bool) -> None:
        # Scaled down at once, and up again with a new day only: what is foreseen changes with every bar.
        before = {} if begins else self.foreseen
        self.foreseen = {
            name: max(loss, before.get(name, 0.0))
            for name, loss in sorted(losses.items())
            if max(loss, before.get(name, 0.0)) > MOST_FORESEEN_LOSS
        }

    def _scaled(self) -> list[ShareFinding]:
        reason = "a bad day by its own models would cost too much of its equity: its share is scaled down"
        return [ShareFinding(name, loss, MOST_FORESEEN_LOSS, reason) for name, loss in self.foreseen.items()]

    def _end_day(self, day: int) -> None:
        for strategy, growth in self.growth.items():
            if day >= 0:
                self.live.setdefault(strategy, {})[day] = growth - 1.0
        self.growth = {}

    def _allocate(self, before: Mapping[str, float], most_correlated: float) -> None:
        self.live = {name: days for name, days in self.live.items() if name in before}
        promises = {name: self.promise(name) for name in before}
        records = {
            name: StrategyRecord(promise.sharpe, promise.backtest, self.live.get(name, {}))
            for name, promise in promises.items()
            if promise is not None
        }
        made = allocate(records, most_correlated=most_correlated) if records else StrategyShares({}, ())
        unknown = [
            ShareFinding(name, 0.0, LARGEST_SHARE, "nothing is known of what it promises")
            for name in sorted(before.keys() - records.keys())
        ]
        wanted = {name: made.shares.get(name, 0.0) for name in before}
        if len(before) == 1:
            decays = {finding.strategy for finding in made.findings}
            wanted = {name: 0.0 if name in decays else share for name, share in before.items()}
        self.shares = rebalanced(self.shares, wanted)
        self.findings = (*made.findings, *unknown)
