"""An account within a trader: the strategies that trade it, what they decide at a close, what it plans and what came.

The account that the session trades is one lane; each strategy that is only watched has one of its own, which is planned
and booked by the same code and of which nothing is ever sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from quant_organism.backtest.account import (
    AccountBar,
    AccountBook,
    AccountClose,
    AccountRules,
    LegKey,
    LegLevels,
    Plan,
    Restraint,
    plan,
    tightest,
)
from quant_organism.trading.closes import close_of, close_to_dict, part_of_bar
from quant_organism.trading.deciding import DecidingAccount, decide
from quant_organism.trading.entries import EntryCase
from quant_organism.trading.execution import Execution
from quant_organism.trading.following import Followed
from quant_organism.trading.noting import BreakerStandings, moved_breakers, noted, planned
from quant_organism.trading.outside import OUTSIDE
from quant_organism.trading.pipeline import Allowance, CloseStanding, Pair, Pipeline
from quant_organism.trading.records import (
    LedgerRecord,
    LedgerSession,
    Role,
    StepVerdict,
    TradeDecision,
)

LARGEST_SHARE: Final = 0.25
"""Of the equity that a strategy gets beside others; alone it has all of it."""

_COOLDOWN_MS: Final = 60_000


@dataclass
class AccountLane:
    """One account and those who trade it.

    Parameters
    ----------
    session
        The session that it belongs to.
    role
        Whether it is the session's account or that of a strategy that is watched.
    account
        Moved bar by bar.
    execution
        Carries its plans out.
    pipeline
        What decisions pass before they are planned.
    interval_ms
        Length of a bar.
    regime
        Says of which kind the market is at a close; empty where it is not known.
    strategies
        By identity.
    granted
        Units of each leg that passed the pipeline, as planned last.
    withheld
        Units of legs that a step did not let grow, with those that were granted in their place: it stays at these
        until the strategy decides anew.
    entered
        Close of the last entry of each strategy and symbol.
    silent
        Of each strategy and symbol that could not be evaluated at the last close why not.
    breakers
        Of the account's own those that are not closed.
    pending
        Plan that the bar which is now forming carries out.
    """

    session: LedgerSession
    role: Role
    account: AccountBook
    execution: Execution
    pipeline: Pipeline
    interval_ms: int
    regime: Callable[[int], str]
    strategies: dict[str, Followed] = field(default_factory=dict)
    granted: dict[LegKey, float] = field(default_factory=dict)
    withheld: dict[LegKey, tuple[float, float]] = field(default_factory=dict)
    entered: dict[Pair, int] = field(default_factory=dict)
    silent: dict[Pair, str] = field(default_factory=dict)
    breakers: BreakerStandings = field(default_factory=dict)
    pending: Plan | None = None

    def levels(self, opens: Mapping[str, float], /) -> dict[LegKey, LegLevels]:
        """Return the levels of all legs in the bar that has just opened at these prices, USD."""
        found: dict[LegKey, LegLevels] = {}
        for name in sorted(self.strategies):
            found |= self.strategies[name].levels(opens)
        return found

    def settle(self, bar: AccountBar) -> list[LedgerRecord]:
        """Bring the account to the close of a bar, and return what came: fills, funding, orders that rest."""
        if self.pending is None:
            return []
        events = self.execution.finish(self.account, self.pending, part_of_bar(bar, self.account.assets), self.levels)
        return noted(events, self.session.session, self.pending, self.account)

    def begin(self) -> list[LedgerRecord]:
        """Send the orders of the plan that has just been written down, and return what came of it at once."""
        if self.pending is None:
            return []
        events = self.execution.begin(self.account, self.pending, self.levels)
        return noted(events, self.session.session, self.pending, self.account)

    def watch(self) -> list[LedgerRecord]:
        """See to what was sent and what rests between two closes, and return what came."""
        if self.pending is None:
            return []
        events = self.execution.watch(self.account, self.pending, self.levels)
        return noted(events, self.session.session, self.pending, self.account)

    def decide(self, time: int, prices: Mapping[str, float], received_ms: int) -> list[LedgerRecord]:
        """Decide at a close, have the pipeline judge it, and plan; return all that was said.

        Parameters
        ----------
        time
            The close, UTC milliseconds.
        prices
            Of the symbols that had a bar, USD.
        received_ms
            When the last bar came, by the venue's clock.
        """
        units: dict[LegKey, float] = {}
        for name in sorted(self.strategies):
            units |= self.strategies[name].units
        known = {symbol: price for symbol, price in prices.items() if symbol in self.account.assets}
        shares = self.shares()
        stopless = frozenset[tuple[str, str]]().union(*(each.stopless for each in self.strategies.values()))
        self.account.rules = rules_for(self.documents)  # what a policy tightens of them, it says anew at each close
        close = AccountClose(
            time, known, units, shares, self._virtual_return(shares), stopless, tightest(self._restraints())
        )
        signals, decisions, self.silent = decide(
            [self.strategies[name] for name in sorted(self.strategies)],
            close,
            self._wanted(),
            self.silent,
            DecidingAccount(
                self.session.session,
                self.role,
                self.interval_ms,
                self.account.risk.scale,
                (self.account.risk.base or self.account.equity()) / 1e6,
                max(received_ms - time, 0),
                self.regime(time),
            ),
        )
        cooling, verdicts = self._cooling(decisions)
        standing = CloseStanding(
            self.session.session,
            self.session.mode,
            close,
            self.account,
            decisions,
            self.interval_ms,
            {name: strategy.virtual_return for name, strategy in self.strategies.items()},
            self._cases(decisions),
            tuple(sorted(self.granted)),
            received_ms,
            {name: strategy.weather for name, strategy in self.strategies.items()},
            {name: strategy.foreseen_loss for name, strategy in self.strategies.items()},
        )
        left = self.pipeline.judge(standing)
        left = replace(left, barred=left.barred | cooling.keys(), verdicts=(*verdicts, *left.verdicts))
        self.granted = self._grant(units, left, _factors(decisions, left))
        self.account.rules = left.limits.within(self.account.rules)
        made = plan(
            self.account,
            replace(
                close,
                units=self.granted,
                shares=left.shares,
                virtual_return=self._virtual_return(left.shares),
                restraint=left.restraint,
            ),
        )
        self.pending = made
        moves, self.breakers = moved_breakers(self.session.session, made.risk, self.account.rules, self.breakers)
        refused = {**cooling, **_by_pair(decisions, left)}
        cloids = {order.symbol: order.cloid for order in made.orders}
        final = [self._final(decision, refused, cloids, left) for decision in decisions]
        for decision in final:
            if decision.is_allowed and decision.kind == "enter":
                self.entered[decision.strategy, decision.symbol] = time
        return [
            *signals,
            *final,
            *left.verdicts,
            *left.readings,
            *left.breakers,
            *(moves if self.role == "trades" else ()),
            *planned(self.session.session, made, self.account, sorted(self.strategies)),
        ]

    def state(self) -> dict[str, Any]:
        """Return what the lane remembers beside its account, as values of JSON."""
        return {
            "close": None if self.pending is None else close_to_dict(self.pending.close),
            "withheld": [[*key, *pair] for key, pair in sorted(self.withheld.items())],
            "entered": [[*pair, time] for pair, time in sorted(self.entered.items())],
            "silent": [[*pair, reason] for pair, reason in sorted(self.silent.items())],
            "breakers": [[name, *standing] for name, standing in sorted(self.breakers.items())],
            "pipeline": self.pipeline.state(),
            "execution": self.execution.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` returned; the plan of the last close is made again, the same to the last bit."""
        self.withheld = {(a, b, c): (wanted, kept) for a, b, c, wanted, kept in state["withheld"]}
        self.entered = {(strategy, symbol): time for strategy, symbol, time in state["entered"]}
        # A ledger that was begun before these were kept has none.
        self.silent = {(strategy, symbol): reason for strategy, symbol, reason in state.get("silent", [])}
        self.breakers = {name: (phase, bound) for name, phase, bound in state.get("breakers", [])}
        self.pipeline.restore(state["pipeline"])
        self.execution.restore(state["execution"])
        if state["close"] is not None:
            close = close_of(state["close"])
            self.granted = dict(close.units)
            self.pending = plan(self.account, close)

    def shares(self) -> dict[str, float]:
        """Return the equity that each strategy has before the pipeline: all of it alone, else an equal part.

        Other sources have what their limits say, and take nothing away from the documents' parts.
        """
        count = self.documents
        share = 1.0 if count <= 1 else min(1.0 / count, LARGEST_SHARE)
        return {name: min(share, self.strategies[name].largest_share) for name in sorted(self.strategies)}

    @property
    def documents(self) -> int:
        """How many of those who trade it are documents' strategies."""
        return sum(not name.startswith(OUTSIDE) for name in self.strategies)

    def _virtual_return(self, shares: Mapping[str, float]) -> float:
        total = 0.0
        for name in sorted(self.strategies):
            total += shares[name] * self.strategies[name].virtual_return
        return total

    def _restraints(self) -> list[Restraint]:
        return [self.strategies[name].restraint for name in sorted(self.strategies)]

    def _wanted(self) -> dict[LegKey, float]:
        # What strategies wanted at the last close: what was granted, or what was withheld.
        return self.granted | {key: pair[0] for key, pair in self.withheld.items()}

    def _cooling(self, decisions: Sequence[TradeDecision]) -> tuple[dict[Pair, str], list[StepVerdict]]:
        # Entries that come too soon after the last of the same strategy in the same symbol, or from one that leaves.
        least = max(_COOLDOWN_MS, self.interval_ms)
        refused: dict[Pair, str] = {}
        verdicts: list[StepVerdict] = []
        for decision in decisions:
            pair = decision.strategy, decision.symbol
            since = decision.close_ms - self.entered.get(pair, decision.close_ms - least)
            leaves = self.strategies[decision.strategy].is_leaving
            if decision.kind == "exit" or (since >= least and not leaves):
                continue
            reason = "it leaves, and makes no entries" if leaves else f"its last entry was {since / 1000:g} s ago"
            refused[pair] = reason
            verdicts.append(
                StepVerdict(
                    session=decision.session,
                    close_ms=decision.close_ms,
                    decision_id=decision.decision_id,
                    step="policy",
                    subject=decision.symbol,
                    passes=False,
                    number=None if leaves else since / 1000,
                    bound=None if leaves else least / 1000,
                    reason=reason,
                )
            )
        return refused, verdicts

    def _cases(self, decisions: Sequence[TradeDecision]) -> dict[str, EntryCase]:
        # Of the entries of condition documents what holds at this close.
        cases: dict[str, EntryCase] = {}
        for decision in decisions:
            if decision.kind == "enter":
                case = self.strategies[decision.strategy].entry_case(decision.symbol, decision.reference_price)
                if case is not None:
                    cases[decision.decision_id] = case
        return cases

    def _grant(
        self, units: Mapping[LegKey, float], left: Allowance, factors: Mapping[Pair, float]
    ) -> dict[LegKey, float]:
        # Units that are planned with: of barred pairs no leg grows, an entry is no larger than its document says, and
        # what was withheld stays so until it changes.
        granted: dict[LegKey, float] = {}
        withheld: dict[LegKey, tuple[float, float]] = {}
        for key, wanted in units.items():
            known = self.withheld.get(key)
            before = self.granted.get(key, 0.0)
            given = known[1] if known is not None and known[0] == wanted else wanted
            if factors:
                given *= factors.get((key[0], key[2]), 1.0)
            grows = abs(given) > abs(before) or given * before < 0.0
            if grows and (key[0], key[2]) in left.barred:
                given = before if given * before > 0.0 else 0.0
            if given != wanted:
                withheld[key] = wanted, given
            if given != 0.0:
                granted[key] = given
        self.withheld = withheld
        return granted

    def _final(
        self, decision: TradeDecision, refused: Mapping[Pair, str], cloids: Mapping[str, str], left: Allowance
    ) -> TradeDecision:
        reason = refused.get((decision.strategy, decision.symbol)) if decision.kind != "exit" else None
        entry = left.entries.get(decision.decision_id)
        if entry is not None:
            size = min(decision.size_usd, entry.size_usd)
            decision = decision.changed(confidence=entry.confidence, size_usd=size)
        return decision.changed(
            cloid=cloids.get(decision.symbol, ""),
            risk_mode=left.risk_mode,
            is_allowed=reason is None,
            reason=decision.reason if reason is None else reason,
        )


def rules_for(strategies: int) -> AccountRules:
    """Return the rules of an account that so many strategies trade."""
    return AccountRules.alone() if strategies <= 1 else AccountRules()


def _factors(decisions: Sequence[TradeDecision], left: Allowance) -> dict[Pair, float]:
    # How much smaller an entry is than the account would make it, by what its document names.
    return {
        (decision.strategy, decision.symbol): left.entries[decision.decision_id].size_usd / decision.size_usd
        for decision in decisions
        if decision.decision_id in left.entries and left.entries[decision.decision_id].size_usd < decision.size_usd
    }


def _by_pair(decisions: Sequence[TradeDecision], left: Allowance) -> dict[Pair, str]:
    return {
        (decision.strategy, decision.symbol): left.refused[decision.decision_id]
        for decision in decisions
        if decision.decision_id in left.refused
    }
