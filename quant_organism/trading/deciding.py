"""What strategies say at a close: signals where what they want has changed, and the decisions that follow. Pure.

A signal also says what the rule evaluated, and where nothing could be evaluated, why not; it is written once, when that
changes, and not at every close.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quant_organism.backtest.account import AccountClose, LegKey, LegLevels
from quant_organism.trading.following import Followed
from quant_organism.trading.records import DecisionKind, Role, StrategySignal, TradeDecision

Pair = tuple[str, str]


@dataclass(frozen=True)
class DecidingAccount:
    """For whom is decided.

    Parameters
    ----------
    session, role
        Whose decisions they are, and what becomes of them.
    interval_ms
        Length of a bar: a decision is void after it.
    scale, base_usd
        Risk scale, and the equity that sizes are shares of.
    data_age_ms
        How long after the close its bar had come.
    regime
        Of the market, as it was known at the close; empty where it is not.
    """

    session: int
    role: Role
    interval_ms: int
    scale: float
    base_usd: float
    data_age_ms: int
    regime: str


def decide(
    strategies: Sequence[Followed],
    close: AccountClose,
    wanted: Mapping[LegKey, float],
    silent: Mapping[Pair, str],
    account: DecidingAccount,
) -> tuple[list[StrategySignal], list[TradeDecision], dict[Pair, str]]:
    """Return signals and decisions of a close.

    Parameters
    ----------
    strategies
        By identity.
    close
        Prices, and the virtual units of all of them.
    wanted
        Units that they wanted at the last close.
    silent
        Of each strategy and symbol that could not be evaluated then why not.
    account
        For whom.

    Returns
    -------
    tuple
        Signals; decisions, in the order of strategy, symbol and kind; and who cannot be evaluated now.
    """
    signals: list[StrategySignal] = []
    decisions: list[TradeDecision] = []
    now_silent: dict[Pair, str] = {}
    changes = _changes(close.units, wanted)
    for strategy in strategies:
        name = strategy.id
        changed = changes.get(name, {})
        levels: dict[LegKey, LegLevels] | None = None
        unseen = strategy.not_evaluated
        now_silent |= {(name, symbol): reason for symbol, reason in unseen.items()}
        fallen = {symbol for symbol, reason in unseen.items() if silent.get((name, symbol)) != reason}
        for symbol in sorted({*fallen, *(changed.keys() & close.prices.keys())}):
            price = close.prices.get(symbol, 0.0)
            if symbol in changed and symbol in close.prices:
                old, new = changed[symbol]
                was, target = price * _net(old), price * _net(new)
                signal = _signal(strategy, symbol, close.time, target, account)
                signals.append(signal)
                levels = strategy.levels(close.prices) if levels is None else levels
                legs = old, new
                decisions += _decisions(strategy, symbol, close, (was, target), legs, levels, account, signal.strength)
            else:
                held = {key: units for key, units in close.units.items() if (key[0], key[2]) == (name, symbol)}
                signals.append(_signal(strategy, symbol, close.time, price * _net(held), account))
    return signals, decisions, now_silent


def decision_id(strategy: str, symbol: str, time: int, kind: DecisionKind) -> str:
    """Return the identity of a decision: the first 32 hex digits of a SHA-256."""
    return hashlib.sha256(f"{strategy}|{symbol}|{time}|{kind}".encode()).hexdigest()[:32]


def _signal(strategy: Followed, symbol: str, time: int, target: float, account: DecidingAccount) -> StrategySignal:
    return StrategySignal(
        session=account.session,
        close_ms=time,
        strategy=strategy.id,
        symbol=symbol,
        side=_sign(target),
        strength=strategy.agreement(symbol),
        target=target,
        conditions=strategy.evaluated(symbol),
        data_age_ms=account.data_age_ms,
        not_evaluated=strategy.not_evaluated.get(symbol, ""),
    )


def _decisions(
    strategy: Followed,
    symbol: str,
    close: AccountClose,
    targets: tuple[float, float],
    legs: tuple[Mapping[LegKey, float], Mapping[LegKey, float]],
    all_levels: Mapping[LegKey, LegLevels],
    account: DecidingAccount,
    strength: float,
) -> list[TradeDecision]:
    price, (was, target), (before, after) = close.prices[symbol], targets, legs
    side = _sign(target)
    levels = [all_levels[key] for key in sorted(after)]
    stop, goal = _nearest([each.stop for each in levels], side), _nearest([each.target for each in levels], -side)
    return [
        TradeDecision(
            session=account.session,
            close_ms=close.time,
            decision_id=decision_id(strategy.id, symbol, close.time, kind),
            strategy=strategy.id,
            symbol=symbol,
            role=account.role,
            kind=kind,
            side="LONG" if of > 0.0 else "SHORT",
            confidence=1.0 if kind == "exit" else strength,
            size_usd=abs(wanted) * close.shares[strategy.id] * account.scale * account.base_usd,
            target=wanted,
            before=was,
            reference_price=price,
            stop_price=None if kind == "exit" else stop,
            take_profit_price=None if kind == "exit" else goal,
            regime=account.regime,
            risk_mode="",
            expires_ms=close.time + account.interval_ms,
            cloid="",
            correlation_id=f"{account.session}-{close.time}",
            is_allowed=True,
            reason=f"legs in a trade: {len(after)}, before: {len(before)}",
        )
        for kind, of, wanted in _kinds(was, target)
    ]


def _kinds(before: float, after: float) -> list[tuple[DecisionKind, float, float]]:
    # Kind, the position that it is about, and the position wanted then.
    if before * after < 0.0:
        return [("exit", before, 0.0), ("enter", after, after)]
    if before == 0.0:
        return [("enter", after, after)]
    return [("exit", before, 0.0)] if after == 0.0 else [("adjust", after, after)]


def _changes(
    after: Mapping[LegKey, float], before: Mapping[LegKey, float]
) -> dict[str, dict[str, tuple[dict[LegKey, float], dict[LegKey, float]]]]:
    # Of each strategy and symbol of which a leg has changed, all legs before and after.
    pairs = {(key[0], key[2]) for key, units in after.items() if before.get(key) != units}
    pairs |= {(key[0], key[2]) for key in before.keys() - after.keys()}
    found: dict[str, dict[str, tuple[dict[LegKey, float], dict[LegKey, float]]]] = {}
    for strategy, symbol in pairs:
        found.setdefault(strategy, {})[symbol] = {}, {}
    for place, legs in enumerate((before, after)):
        for key, units in legs.items():
            if (key[0], key[2]) in pairs:
                found[key[0]][key[2]][place][key] = units
    return found


def _sign(value: float) -> int:
    return (value > 0.0) - (value < 0.0)


def _net(legs: Mapping[LegKey, float]) -> float:
    total = 0.0
    for key in sorted(legs):
        total += legs[key]
    return total


def _nearest(levels: Sequence[float], side: int) -> float | None:
    # Of levels below a long (side 1) the highest, of those above it (side -1) the lowest.
    known = [level for level in levels if level == level]
    if not known:
        return None
    return max(known) if side > 0 else min(known)
