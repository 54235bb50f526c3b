"""Strength, confidence and size of an entry, and the reasons for which one is rejected."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from quant_organism.errors import InputError
from quant_organism.strategies.conditions.document import REGIMES, SIDES, Condition, Document
from quant_organism.strategies.conditions.series import known_series
from quant_organism.strategies.handwritten.explanation import Explanation

MOST_OF_EQUITY: Final = 0.15
"""No asset holds more than this share of equity."""

COOLDOWN_SECONDS: Final = 60.0
"""Least time between two entries of one strategy in one symbol."""

_OVERSOLD, _OVERBOUGHT, _RSI_RANGE = 30.0, 70.0, 30.0
_BASE_STRENGTH, _MACD_BONUS, _MOMENTUM_BONUS = 0.5, 0.2, 0.1
_MOMENTUM = 0.01
_LARGEST_UNBOUNDED_MARGIN = 0.5
_STRENGTH_WEIGHT, _FITNESS_WEIGHT = 0.7, 0.3
_REGIME_FACTORS: Final = {"DEFENSIVE": 0.5, "NORMAL": 1.0, "AGGRESSIVE": 1.5}


def condition_margin(condition: Condition, side: str, left: float, right: float) -> float:
    """Return how far past its threshold a satisfied condition is.

    Parameters
    ----------
    condition
        A condition that holds.
    side
        Side of the trade, ``LONG`` or ``SHORT``.
    left, right
        Its two values.

    Returns
    -------
    For the RSI, the distance below 30 of a long and above 70 of a short, over 30. For another bounded indicator, the
    distance past the threshold over the distance from the threshold to the bound. For an unbounded one, the distance
    in units of the condition's scale, at most 0.5; 0 without a scale.
    """
    if condition.name.startswith("RSI_"):
        past = _OVERSOLD - left if side == "LONG" else left - _OVERBOUGHT
        return max(0.0, past / _RSI_RANGE)
    bounds = known_series(condition.name).bounds
    if bounds is None:
        scaled = abs(left - right) / condition.scale if condition.scale is not None else 0.0
        return min(_LARGEST_UNBOUNDED_MARGIN, scaled)
    if condition.operator in (">", ">=", "crosses_above"):
        past, room = left - right, bounds[1] - right
    elif condition.operator in ("<", "<=", "crosses_below"):
        past, room = right - left, right - bounds[0]
    else:
        return 0.0
    return max(0.0, past / room) if room > 0.0 else 0.0


def largest_margin(explanation: Explanation, side: str) -> float:
    """Return the largest margin among the satisfied conditions of entry on a bar; 0 if none is satisfied."""
    entries = (rule for rule in explanation.rules if rule.action == f"enter_{side.lower()}")
    margins = (
        condition_margin(found.condition, side, found.left, found.right)
        for rule in entries
        for found in rule.conditions
        if found.status == "holds"
    )
    return max(margins, default=0.0)


def signal_strength(
    side: str,
    margin: float,
    *,
    macd: float | None = None,
    macd_signal: float | None = None,
    five_bar_return: float | None = None,
) -> float:
    """Return the strength of an entry, in [0.5, 1].

    Parameters
    ----------
    side
        ``LONG`` or ``SHORT``.
    margin
        Largest margin of its satisfied conditions.
    macd, macd_signal
        Add 0.2 if the first is on the trade's side of the second; None where they are not supplied.
    five_bar_return
        Fraction; adds 0.1 if it exceeds 0.01 in the trade's direction; None where it is not supplied.
    """
    direction = _direction(side)
    bonus = 0.0
    if macd is not None and macd_signal is not None and direction * (macd - macd_signal) > 0.0:
        bonus += _MACD_BONUS
    if five_bar_return is not None and direction * five_bar_return > _MOMENTUM:
        bonus += _MOMENTUM_BONUS
    return min(1.0, _BASE_STRENGTH + margin + bonus)


def confidence(strength: float, fitness_score: float | None) -> float:
    """Return 0.7 strength + 0.3 fitness; the strength alone where there is no fitness. A fitness of 0 is one."""
    if fitness_score is None:
        return strength
    return _STRENGTH_WEIGHT * strength + _FITNESS_WEIGHT * fitness_score


def size_usd(
    base_size_usd: float,
    confidence: float,
    regime: str,
    *,
    confidence_scaling: bool = True,
    cap_usd: float = math.inf,
) -> float:
    """Return the notional of an entry.

    Parameters
    ----------
    base_size_usd
        Notional before scaling.
    confidence
        Of the entry, in [0, 1]; the size is scaled by 0.5 plus it, if it is scaled.
    regime
        ``DEFENSIVE`` halves, ``AGGRESSIVE`` adds half.
    confidence_scaling
        Scale the size with the confidence.
    cap_usd
        Largest notional allowed.

    Raises
    ------
    InputError
        An unknown regime.
    """
    if regime not in REGIMES:
        raise InputError(f"unknown regime {regime!r}", remedy=f"use one of {', '.join(REGIMES)}")
    scaled = base_size_usd * (0.5 + confidence) if confidence_scaling else base_size_usd
    return min(scaled * _REGIME_FACTORS[regime], cap_usd)


def stop_and_target(entry: float, side: str, stop_loss: float, take_profit: float) -> tuple[float, float]:
    """Return the prices of stop and target of an entry price; both distances are fractions."""
    direction = _direction(side)
    return entry * (1.0 - direction * stop_loss), entry * (1.0 + direction * take_profit)


def whole_dollars(amount: float) -> int:
    """Return an amount as it is shown: rounded to cents, then half to even to dollars."""
    cents = Decimal(amount).quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN)
    return int(cents.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What an entry meets.

    Parameters
    ----------
    price
        Price of the entry.
    margin
        Largest margin of the satisfied conditions.
    regime
        Risk regime in force.
    equity_usd
        Equity that the cap is a share of.
    open_positions
        Positions that the strategy holds.
    seconds_since_entry
        Time since its last entry in this symbol; None if there was none.
    minimum_confidence
        Least confidence that the account asks of every strategy.
    macd, macd_signal, five_bar_return
        As `signal_strength`.
    """

    price: float
    margin: float
    regime: str
    equity_usd: float
    open_positions: int = 0
    seconds_since_entry: float | None = None
    minimum_confidence: float = 0.0
    macd: float | None = None
    macd_signal: float | None = None
    five_bar_return: float | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry as it was judged.

    Parameters
    ----------
    rejections
        Why it is not made; empty if it is.
    strength, confidence
        In [0.5, 1] and [0, 1].
    size_usd
        Notional; 0 if it is rejected.
    stop, target
        Prices.
    """

    rejections: tuple[str, ...]
    strength: float
    confidence: float
    size_usd: float
    stop: float
    target: float


def judge_entry(
    document: Document, situation: Situation, *, stop_loss: float, take_profit: float, position_size_limit: float
) -> Entry:
    """Size an entry of a document, or say every reason to reject it.

    Parameters
    ----------
    document
        The strategy whose entry conditions hold.
    situation
        What the entry meets.
    stop_loss, take_profit
        Fractions of the entry price, as the genome carries them.
    position_size_limit
        Largest share of equity, as the genome carries it; never more than `MOST_OF_EQUITY`.

    Raises
    ------
    InputError
        A price that is not above 0, or an unknown regime.
    """
    if not (math.isfinite(situation.price) and situation.price > 0.0):
        raise InputError(f"price is {situation.price}, expected one above 0", where=document.strategy_id)
    strength = signal_strength(
        document.side,
        situation.margin,
        macd=situation.macd,
        macd_signal=situation.macd_signal,
        five_bar_return=situation.five_bar_return,
    )
    sure = confidence(strength, document.fitness_score)
    least = max(document.min_confidence, situation.minimum_confidence)
    size = size_usd(
        document.base_size_usd,
        sure,
        situation.regime,
        confidence_scaling=document.confidence_scaling,
        cap_usd=min(position_size_limit, MOST_OF_EQUITY) * situation.equity_usd,
    )
    rejections = []
    if sure < least:
        rejections.append(f"confidence {sure:.4f} is below {least:.4f}")
    if situation.regime not in document.allowed_regimes:
        rejections.append(f"regime {situation.regime} is not among {', '.join(document.allowed_regimes)}")
    if situation.open_positions >= document.max_positions:
        rejections.append(f"{situation.open_positions} of {document.max_positions} positions are open")
    since = situation.seconds_since_entry
    if since is not None and since < COOLDOWN_SECONDS:
        rejections.append(f"the last entry was {since:g} s ago, {COOLDOWN_SECONDS:g} s are needed")
    stop, target = stop_and_target(situation.price, document.side, stop_loss, take_profit)
    return Entry(
        rejections=tuple(rejections),
        strength=strength,
        confidence=sure,
        size_usd=0.0 if rejections else size,
        stop=stop,
        target=target,
    )


def _direction(side: str) -> float:
    if side not in SIDES:
        raise InputError(f"unknown side {side!r}", remedy=f"use one of {', '.join(SIDES)}")
    return 1.0 if side == "LONG" else -1.0
