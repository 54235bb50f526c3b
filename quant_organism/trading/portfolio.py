"""How much of the equity each strategy gets: a score of four factors times a fraction of Kelly, under caps.

`score = s c d a`: the Sharpe ratio that promise and record leave together, winning weeks, how much of its own drawdown
is used up, and age. The shares are the score times those of a quarter of Kelly on shrunk means and a shrunk covariance,
each at most a quarter; of two strategies that go together, the one with the lower score gets nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.validation.statistics.decay import graded_size
from quant_organism.validation.statistics.resampling import stationary_rows

Floats = NDArray[np.float64]
Days = Mapping[int, float]
"""Daily returns by the number of the UTC day."""

KELLY: Final = 0.25
"""Part of the Kelly fraction that is taken."""

LARGEST_SHARE: Final = 0.25
MOST_CORRELATED: Final = 0.7
MOST_FORESEEN_LOSS: Final = 0.03
"""Most of its own equity that a strategy's day may cost by its own models, before its share is scaled down."""

LIVE_DAYS: Final = 60
"""Days of a record from which correlations are taken; before, those of the backtests."""

NO_TRADE_BAND: Final = 0.2
"""Change of a share, over the new one, below which it stays."""

DAYS_PER_YEAR: Final = 365
DRAWDOWN_LEVEL: Final = 0.99
_DRAWS: Final = 500
_MEAN_BLOCK: Final = 10.0
LEAST_DAYS: Final = 20
"""Fewest days of a backtest that anything can be drawn from."""

_SWEEPS: Final = 500


@dataclass(frozen=True)
class StrategyRecord:
    """What is known of a strategy on a day.

    Parameters
    ----------
    promised_sharpe
        Validated annual Sharpe ratio.
    backtest, live
        Daily returns of its own equity, in the backtest and since it is followed.
    """

    promised_sharpe: float
    backtest: Days
    live: Days


@dataclass(frozen=True)
class StrategyScore:
    """The four factors, each in [0, 1].

    Parameters
    ----------
    sharpe
        Half the annual Sharpe ratio that promise and record leave.
    consistency
        Winning weeks of its record, four of eight added.
    drawdown
        What is left of the drawdown that one in a hundred of its own histories exceeds.
    age
        Days of its record, over themselves and 90.
    expected_sharpe
        The annual Sharpe ratio behind the first.
    drawn, usual
        The record's drawdown, and the one that one in a hundred of its own histories exceeds.
    """

    sharpe: float
    consistency: float
    drawdown: float
    age: float
    expected_sharpe: float
    drawn: float
    usual: float

    @property
    def decays(self) -> bool:
        """Whether its drawdown is beyond what one in a hundred of its own histories reaches."""
        return self.drawn > 0.0 and self.drawn >= self.usual

    @property
    def value(self) -> float:
        """The score."""
        return self.sharpe * self.consistency * self.drawdown * self.age


def strategy_score(strategy: str, record: StrategyRecord) -> StrategyScore:
    """Return the score of a strategy.

    Parameters
    ----------
    strategy
        Its identity; seeds the resampling of its drawdowns.
    record
        What is known of it.
    """
    live = _in_order(record.live)
    days, expected = live.size, 0.0
    if record.promised_sharpe > 0.0:
        deviation = float(np.std(live)) if days else 0.0
        seen = float(np.mean(live)) / deviation * math.sqrt(DAYS_PER_YEAR) if deviation > 0.0 else 0.0
        expected = graded_size(days, seen, prior_sharpe=record.promised_sharpe / 2).sharpe
    weeks = [sum(live[start : start + 7]) for start in range(0, days - days % 7, 7)]
    won = sum(1 for week in weeks if week > 0.0)
    drawn, usual = current_drawdown(live), _usual(strategy, record)
    return StrategyScore(
        sharpe=min(max(expected / 2, 0.0), 1.0),
        consistency=(won + 4) / (len(weeks) + 8),
        drawdown=max(1.0 - drawn / usual, 0.0) if usual > 0.0 else float(drawn == 0.0),
        age=days / (days + 90),
        expected_sharpe=expected,
        drawn=drawn,
        usual=usual,
    )


def current_drawdown(returns: Floats) -> float:
    """Return the loss of one unit from its highest point, as a fraction, after daily returns; 0 after none."""
    equity = np.concatenate([[1.0], np.cumprod(np.maximum(1.0 + returns, 0.0))])
    return float(1.0 - equity[-1] / equity.max())


def drawdown_quantile(backtest: Floats, days: int, *, seed: int) -> float:
    """Return the largest drawdown that one in a hundred histories of so many days exceeds.

    Parameters
    ----------
    backtest
        Daily returns that histories are drawn from, in blocks of ten days on average.
    days
        Length of a history.
    seed
        Of the drawing.

    References
    ----------
    .. [1] Politis, Romano. The stationary bootstrap. JASA 89 (1994).
    """
    rng = np.random.default_rng(seed)
    repeats = -(-days // backtest.size)
    rows = [stationary_rows(rng, backtest.size, _MEAN_BLOCK, _DRAWS)[0] for _ in range(repeats)]
    drawn = backtest[np.concatenate(rows, axis=1)[:, :days]]
    equity = np.cumprod(np.maximum(1.0 + drawn, 0.0), axis=1)
    highest = np.maximum(np.maximum.accumulate(equity, axis=1), 1.0)
    return float(np.quantile(np.max(1.0 - equity / highest, axis=1), DRAWDOWN_LEVEL))


def shrunk_covariance(returns: Floats) -> Floats:
    """Return a covariance whose correlations are shrunk towards 0 as far as their own noise asks for.

    Parameters
    ----------
    returns
        Shape (T, N), T at least 3.

    References
    ----------
    .. [1] Schäfer, Strimmer. A shrinkage approach to large-scale covariance matrix estimation. 2005.
    """
    rows = len(returns)
    deviations = returns.std(axis=0, ddof=1)
    safe = np.where(deviations > 0.0, deviations, 1.0)
    standard = (returns - returns.mean(axis=0)) / safe
    products = standard[:, :, None] * standard[:, None, :]
    means = products.mean(axis=0)
    correlations = means * rows / (rows - 1)
    noise = ((products - means) ** 2).sum(axis=0) * rows / (rows - 1) ** 3
    off = ~np.eye(returns.shape[1], dtype=bool)
    signal = float((correlations[off] ** 2).sum())
    kept = 1.0 - min(max(float(noise[off].sum()) / signal, 0.0), 1.0) if signal > 0.0 else 0.0
    shrunk = np.where(off, correlations * kept, 1.0)
    return np.asarray(shrunk * np.outer(deviations, deviations))


def kelly_shares(means: Floats, covariance: Floats, *, fraction: float = KELLY, cap: float = math.inf) -> Floats:
    """Return the shares in [0, cap] with the largest `fraction x means - covariance x shares / 2`.

    Without a bound in force these are the fraction of Kelly's shares. Found by going over one share after the other,
    which the convexity of the question brings to its only answer.

    Parameters
    ----------
    means, covariance
        Daily, shapes (N,) and (N, N).
    fraction, cap
        Of Kelly, and the most of one share.
    """
    shares = np.zeros(means.size)
    for _ in range(_SWEEPS):
        before = shares.copy()
        for place in range(means.size):
            own = covariance[place, place]
            others = float(covariance[place] @ shares) - own * shares[place]
            wanted = (fraction * means[place] - others) / own if own > 0.0 else 0.0
            shares[place] = min(max(wanted, 0.0), cap)
        if np.max(np.abs(shares - before), initial=0.0) <= 1e-12:
            break
    return shares


@dataclass(frozen=True)
class ShareFinding:
    """What was said of a strategy's share.

    Parameters
    ----------
    strategy
        Of whom.
    number, bound
        What was measured, and what it was held against.
    reason
        In a sentence.
    """

    strategy: str
    number: float
    bound: float
    reason: str


@dataclass(frozen=True)
class StrategyShares:
    """Shares of the equity by strategy, and what was said of them."""

    shares: Mapping[str, float]
    findings: tuple[ShareFinding, ...]


def allocate(records: Mapping[str, StrategyRecord], *, most_correlated: float = MOST_CORRELATED) -> StrategyShares:
    """Return the share of each strategy.

    Parameters
    ----------
    records
        By strategy.
    most_correlated
        Correlation of two above which the one with the lower score gets nothing.

    Raises
    ------
    InputError
        A backtest of fewer than twenty days.
    """
    names = sorted(records)
    scores = {name: strategy_score(name, records[name]) for name in names}
    findings = []
    chosen: list[str] = []
    for name in sorted(names, key=lambda each: (-scores[each].value, each)):
        score = scores[name]
        if score.decays:
            reason = "its drawdown is beyond what one in a hundred of its own histories reaches: it decays"
            findings.append(ShareFinding(name, score.drawn, score.usual, reason))
            continue
        nearest = max(((_correlation(records[name], records[other]), other) for other in chosen), default=(0.0, ""))
        if nearest[0] > most_correlated:
            findings.append(ShareFinding(name, nearest[0], most_correlated, f"it goes together with {nearest[1]}"))
            continue
        chosen.append(name)
    shares = dict.fromkeys(names, 0.0)
    chosen.sort()
    if chosen:
        covariance = shrunk_covariance(_together([records[name] for name in chosen]))
        deviations = np.sqrt(np.diag(covariance))
        expected = np.array([scores[name].expected_sharpe for name in chosen])
        kelly = kelly_shares(expected * deviations / math.sqrt(DAYS_PER_YEAR), covariance)
        for name, share in zip(chosen, kelly.tolist(), strict=True):
            shares[name] = min(share * scores[name].value, LARGEST_SHARE)
    return StrategyShares(shares, tuple(findings))


def rebalanced(current: Mapping[str, float], wanted: Mapping[str, float]) -> dict[str, float]:
    """Return the shares after a rebalancing: one that would change by no more than a fifth stays, but for an end."""
    return {
        name: current[name]
        if name in current and share > 0.0 and abs(share - current[name]) <= NO_TRADE_BAND * share
        else share
        for name, share in sorted(wanted.items())
    }


def foreseen_factor(loss: float) -> float:
    """Return what a share is multiplied with, 0 to 1: as much as brings a loss to `MOST_FORESEEN_LOSS`.

    Parameters
    ----------
    loss
        Of a strategy's own equity in a bad day by its own models.
    """
    return MOST_FORESEEN_LOSS / loss if loss > MOST_FORESEEN_LOSS else 1.0


def _in_order(days: Days) -> Floats:
    return np.array([days[day] for day in sorted(days)])


def _usual(strategy: str, record: StrategyRecord) -> float:
    backtest = _in_order(record.backtest)
    if backtest.size < LEAST_DAYS:
        raise InputError(
            f"a backtest of {backtest.size} days",
            where=strategy,
            remedy=f"bring back the bars of at least {LEAST_DAYS} days before it trades",
        )
    if not record.live:
        return math.inf
    seed = int.from_bytes(hashlib.sha256(strategy.encode()).digest()[:8], "big")
    # In whole months, so that the figure does not wander from day to day.
    return drawdown_quantile(backtest, -(-len(record.live) // 30) * 30, seed=seed)


def _correlation(one: StrategyRecord, other: StrategyRecord) -> float:
    matrix = _together([one, other])
    if np.any(matrix.std(axis=0) <= 0.0):
        return 0.0
    return float(np.asarray(np.corrcoef(matrix.T))[0, 1])


def _together(records: Sequence[StrategyRecord]) -> Floats:
    # Live days that all have, once there are enough; else those of the backtests; shape (T, N).
    for series in ([record.live for record in records], [record.backtest for record in records]):
        common = sorted(set.intersection(*(set(days) for days in series)))
        if len(common) >= LIVE_DAYS or (series[0] is records[0].backtest and len(common) >= LEAST_DAYS):
            return np.array([[days[day] for days in series] for day in common])
    raise InputError(
        "the backtests of the strategies have no days in common",
        where="portfolio",
        remedy=f"give them the same {LEAST_DAYS} days or more of history",
    )
