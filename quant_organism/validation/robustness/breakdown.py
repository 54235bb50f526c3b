"""Where and when a result was earned: by asset, by regime of the market, by every choice of a fifth of the days."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import path_metrics
from quant_organism.market import MS_PER_DAY, Panel
from quant_organism.validation.robustness.stress import ranking_members, restricted, traded_assets
from quant_organism.validation.robustness.subject import Shake, Subject, of_members, without_models
from quant_organism.validation.statistics.cross_validation import GROUPS, TEST_GROUPS, purged_splits
from quant_organism.validation.statistics.evidence import NotRun, too_few

DAYS_A_YEAR: Final = 365
REGIME_DAYS: Final = 30
"""Days before a day by which its regime is told."""

REGIMES: Final = ("rising, calm", "rising, turbulent", "falling, calm", "falling, turbulent")


@dataclass(frozen=True)
class Part:
    """What was earned in a part of the market or of the time.

    Attributes
    ----------
    name
        The asset or the regime.
    days
        How many days belong to it.
    sharpe
        Annual net Sharpe ratio, of bars for an asset, of days for a regime; nan where nothing was traded.
    total_return, max_drawdown
        Fractions of equity; of a regime, of its days strung together.
    """

    name: str
    days: int
    sharpe: float
    total_return: float
    max_drawdown: float


def by_asset(subject: Subject) -> tuple[Part, ...]:
    """Measure the strategy on each asset that it trades alone, in the order of the symbols.

    Its positions are those that it has among the others (rule 19 of docs/execution.md); of members that rank assets it
    is what the asset brought to their books.
    """
    traded = traded_assets(subject)
    if ranking_members(subject):
        return tuple(_brought(subject, traded))
    seen = subject.measure([of_members(restricted(subject, [symbol])) for symbol in traded])
    return tuple(
        Part(
            symbol,
            len(seen.days),
            *(float(seen.metrics[name][row]) for name in ("sharpe", "total_return", "max_drawdown")),
        )
        for row, symbol in enumerate(traded)
    )


def _brought(subject: Subject, traded: Sequence[str]) -> Iterator[Part]:
    # Of each asset the members' returns on it, weighted as far as they trade it.
    panel, ranking = subject.panel, ranking_members(subject)
    books = []
    for member in ranking:
        paths = subject.evaluator.equity(member.genome, panel, subject.costs, start=subject.start)
        before = np.vstack([np.ones((1, panel.n_assets)), paths.sleeves[:-1]])
        books.append(np.divide(paths.sleeves, before, out=np.ones_like(before), where=before > 0.0) - 1.0)
    bars_per_year = DAYS_A_YEAR * panel.interval.bars_per_day
    for symbol in traded:
        others = restricted(subject, [symbol])
        total = sum(member.weight for member in (*ranking, *others))
        returns = np.zeros(panel.n_bars - subject.start)
        for member, book in zip(ranking, books, strict=True):
            returns += member.weight / total * book[:, panel.symbols.index(symbol)]
        if others:
            share = sum(member.weight for member in others) / total
            returns += share * subject.measure([of_members(others)]).bar_returns[0]
        found = path_metrics(returns, bars_per_year)
        names = ("sharpe", "total_return", "max_drawdown")
        yield Part(symbol, len(subject.measured.days), *(float(found[name][0]) for name in names))


def by_regime(subject: Subject) -> tuple[Part, ...]:
    """Split the strategy's days by what the market did in the thirty days before each.

    Rising or falling: the sign of the mean asset's return over these days. Calm or turbulent: its volatility over them,
    at most its median over the span or above. Days with a shorter past belong to none.
    """
    seen = subject.measured
    regime = market_regimes(subject.panel, seen.days)
    returns = seen.daily_returns[0]
    return tuple(_part(name, returns[regime == place]) for place, name in enumerate(REGIMES))


def market_regimes(panel: Panel, days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place in `REGIMES` of each day, -1 where the thirty days before are not complete.

    Parameters
    ----------
    panel
        The market.
    days
        First milliseconds of UTC days of the panel, int64 (D,).
    """
    known, market = _daily_market(panel)
    trend, spread = np.full(len(known), np.nan), np.full(len(known), np.nan)
    if len(known) > REGIME_DAYS:
        windows = np.lib.stride_tricks.sliding_window_view(market, REGIME_DAYS)[:-1]
        trend[REGIME_DAYS:], spread[REGIME_DAYS:] = windows.sum(axis=1), windows.std(axis=1)
    own = np.searchsorted(known, days)
    trend, spread = trend[own], spread[own]
    told = np.isfinite(trend)
    turbulent = spread > np.median(spread[told]) if told.any() else np.zeros(len(days), dtype=np.bool_)
    return np.where(told, 2 * (trend < 0) + turbulent, -1)


def day_unions(subject: Subject) -> Shake | NotRun:
    """Measure the days of every choice of two tenths, as combinatorial purged cross-validation (10, 2) tests them.

    A rule without a fit has nothing to train, so all its paths coincide; what is left is block resampling, and the
    45 test unions show how evenly the result is spread over time. Sharpe ratios are of days.
    """
    if (idle := subject.idle) is not None:
        return idle
    found = without_models(subject)
    if isinstance(found, NotRun):
        return found
    rules, fitted = found
    returns = rules.measured.daily_returns[0]
    if (few := too_few(3 * GROUPS, len(returns), "days")) is not None:
        return few
    splits = purged_splits(len(returns), groups=GROUPS, test_groups=TEST_GROUPS)
    parts = [_part("", returns[split.test]) for split in splits]
    names = ["tenths " + " and ".join(str(group + 1) for group in split.groups) for split in splits]
    sharpe, drawdown = np.array([p.sharpe for p in parts]), np.array([p.max_drawdown for p in parts])
    return Shake.seen(rules, names, sharpe, drawdown, left_out=fitted)


def _part(name: str, returns: NDArray[np.float64]) -> Part:
    if not len(returns):
        return Part(name, 0, float("nan"), float("nan"), float("nan"))
    found = path_metrics(returns, DAYS_A_YEAR)
    return Part(name, len(returns), *(float(found[metric][0]) for metric in ("sharpe", "total_return", "max_drawdown")))


def _daily_market(panel: Panel) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the days of a panel and the mean asset's return on each, summed over its bars."""
    moves = np.zeros(panel.n_bars)
    listed = np.zeros(panel.n_bars)
    for asset in sorted(range(panel.n_assets), key=panel.symbols.__getitem__):
        rows = np.flatnonzero(panel.valid[:, asset])
        close = panel.close[rows, asset]
        moves[rows[1:]] += close[1:] / close[:-1] - 1
        listed[rows[1:]] += 1
    day = panel.times // MS_PER_DAY * MS_PER_DAY
    starts = np.flatnonzero(np.diff(day, prepend=day[0] - MS_PER_DAY))
    return day[starts], np.add.reduceat(moves / np.maximum(listed, 1), starts)
