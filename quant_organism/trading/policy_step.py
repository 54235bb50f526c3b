"""The first step of the pipeline: what the policy in force leaves of a close."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from quant_organism.backtest.account import Restraint, plan
from quant_organism.trading.entries import open_symbols
from quant_organism.trading.pipeline import Allowance, CloseStanding, refuse
from quant_organism.trading.policy import Policy, PolicyVersion
from quant_organism.trading.profiles import session_profile
from quant_organism.trading.records import StepVerdict, TradeDecision

_NAME = "policy"
_NOTHING = Policy(allowed_venues=())


@dataclass(frozen=True)
class PolicyStep:
    """Judges by the policy in force.

    Parameters
    ----------
    current
        Returns it at each close; where there is none, the free one of replay and paper trading is in force, and where
        real orders are sent, none may enter.
    session
        Profile of the session, which limits the ranked symbols further; empty: none that a policy could block.
    """

    current: Callable[[], PolicyVersion | None]
    session: str = ""

    @property
    def name(self) -> str:
        """The step's place."""
        return _NAME

    def judge(self, standing: CloseStanding, left: Allowance) -> Allowance:
        """Take away what the policy does not allow: shares, entries, a part of everything."""
        version = self.current()
        is_simulated = standing.mode in ("replay", "paper")
        policy = version.policy if version is not None else Policy() if is_simulated else _NOTHING
        left = _capped(standing, replace(left, risk_mode=policy.risk_mode, limits=policy.limits), policy)
        left = _barred(standing, left, policy, self.session)
        left = _judged(standing, left, policy)
        return _netted(standing, left, policy)

    def state(self) -> Mapping[str, Any]:
        """Return nothing: each close is judged by itself."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Do nothing."""


def _capped(standing: CloseStanding, left: Allowance, policy: Policy) -> Allowance:
    verdicts, shares = [], dict(left.shares)
    for strategy, cap in sorted(policy.strategy_caps.items()):
        if shares.get(strategy, 0.0) > cap:
            reason = f"its share is capped at {cap:g}"
            verdicts.append(_verdict(standing, strategy, reason, number=shares[strategy], bound=cap))
            shares[strategy] = cap
    if policy.factor < 1.0:
        reason = f"the risk mode is {policy.risk_mode}"
        verdicts.append(_verdict(standing, standing.account.account, reason, number=policy.factor, bound=1.0))
    held_back = left.restraint.also(Restraint(policy.factor, policy.factor))
    return replace(left, shares=shares, restraint=held_back, verdicts=(*left.verdicts, *verdicts))


def _barred(standing: CloseStanding, left: Allowance, policy: Policy, session: str) -> Allowance:
    reason = ""
    if standing.mode not in policy.allowed_venues:
        reason = f"{standing.mode} is not among its venues"
    elif not policy.is_valid_at(standing.close.time):
        reason = "it is not valid at this close"
    elif "ioc" not in policy.order_types:
        reason = "it allows no kind of order that enters"
    elif session in policy.blocked_sessions:
        reason = f"{session} sessions may not enter"
    verdicts, barred = [], set(left.barred)
    most = session_profile(session).symbols if session else None
    if reason:
        verdicts.append(_verdict(standing, standing.account.account, reason))
    for strategy in sorted(left.shares):
        may_enter = policy.allows_strategy(strategy)
        if not may_enter:
            verdicts.append(_verdict(standing, strategy, "the strategy may not enter"))
        for symbol in sorted(standing.account.assets):
            if reason or not may_enter or not policy.allows_symbol(symbol, most):
                barred.add((strategy, symbol))
    verdicts += [
        _verdict(standing, symbol, *_why_not(symbol, policy, most))
        for symbol in sorted(standing.account.assets)
        if not policy.allows_symbol(symbol, most)
    ]
    return replace(left, barred=barred, verdicts=(*left.verdicts, *verdicts))


def _why_not(symbol: str, policy: Policy, most: int | None) -> tuple[str, int | None]:
    """Return why a symbol may not be entered, and how many may."""
    if policy.most_symbols is None or not policy.unranked().allows_symbol(symbol):
        return "the symbol may not be entered", policy.most_symbols
    if policy.ranked_symbols is None:
        return "nothing is ranked yet", policy.most_symbols
    return "the symbol is not among the best ranked", min(policy.most_symbols, most or policy.most_symbols)


def _judged(standing: CloseStanding, left: Allowance, policy: Policy) -> Allowance:
    passed, opened = 0, {name: open_symbols(name, standing.held) for name in left.shares}
    equity_usd = max(standing.account.risk.equity, 0) / 1e6
    for decision in standing.decisions:
        if decision.kind == "exit":
            continue
        case = standing.cases.get(decision.decision_id)
        entry = (
            None
            if case is None
            else case.judged(policy, equity_usd=equity_usd, open_positions=opened[decision.strategy])
        )
        confidence = decision.confidence if entry is None else entry.confidence
        if (decision.strategy, decision.symbol) in left.barred:
            left = _refused(left, standing, decision, "the policy lets nobody enter there", None, None)
        elif case is not None and entry is not None and entry.rejections:
            least = max(case.document.min_confidence, policy.minimum_confidence)
            left = _refused(left, standing, decision, "; ".join(entry.rejections), confidence, least)
        elif confidence < policy.minimum_confidence:
            reason = f"confidence {confidence:.4f} is below {policy.minimum_confidence:.4f}"
            left = _refused(left, standing, decision, reason, confidence, policy.minimum_confidence)
        elif passed >= policy.max_orders_per_minute:
            reason = f"{passed} entries and changes have passed at this close"
            left = _refused(left, standing, decision, reason, float(passed), float(policy.max_orders_per_minute))
        else:
            passed += 1
            if entry is not None:
                opened[decision.strategy] += 1
                left = replace(left, entries={**left.entries, decision.decision_id: entry})
    return left


def _netted(standing: CloseStanding, left: Allowance, policy: Policy) -> Allowance:
    # What the account would plan now says how much longs would exceed shorts; gross is one of the account's own caps.
    account = replace(standing.account, rules=left.limits.within(standing.account.rules))
    made = plan(account, replace(standing.close, shares=left.shares, restraint=left.restraint))
    equity = max(made.risk.equity, 0)
    worth = [lots * made.marks[symbol] for symbol, lots in made.targets.items()]
    # Targets are whole lots of what is wanted, and it is that which is held back: up to a lot more in each symbol.
    cut_off = sum(made.marks[symbol] for symbol, lots in made.targets.items() if lots)
    verdicts, factor = [], 1.0
    for what, amount, most in (
        ("gross", sum(map(abs, worth)), policy.max_gross),
        ("net", abs(sum(worth)), policy.max_net),
    ):
        if amount * factor > most * equity:
            reason = f"{what} would be {amount / equity if equity else 0.0:.4f} of equity"
            verdicts.append(
                _verdict(standing, standing.account.account, reason, number=amount / max(equity, 1), bound=most)
            )
            factor = most * equity / (amount + cut_off)
    held_back = left.restraint.also(Restraint(factor, factor))
    return replace(left, restraint=held_back, verdicts=(*left.verdicts, *verdicts))


def _refused(
    left: Allowance,
    standing: CloseStanding,
    decision: TradeDecision,
    reason: str,
    number: float | None,
    bound: float | None,
) -> Allowance:
    verdict = _verdict(standing, decision.symbol, reason, number=number, bound=bound, decision_id=decision.decision_id)
    return refuse(left, decision, verdict)


def _verdict(
    standing: CloseStanding,
    subject: str,
    reason: str,
    bound: float | None = None,
    *,
    number: float | None = None,
    decision_id: str = "",
) -> StepVerdict:
    return StepVerdict(
        session=standing.session,
        close_ms=standing.close.time,
        decision_id=decision_id,
        step=_NAME,
        subject=subject,
        passes=False,
        number=number,
        bound=bound,
        reason=reason,
    )
