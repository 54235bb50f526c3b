"""What every report shows of an account: figures at three sizes, the smallest equity and the capacity."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.account.committee import (
    AccountRun,
    AccountSetting,
    compounded,
    day_starts,
)
from quant_organism.backtest.account.model import FillModel
from quant_organism.backtest.account.risk import DAYS_PER_YEAR
from quant_organism.backtest.account.walk import AccountPath
from quant_organism.backtest.account.walk_layout import (
    AIMED,
    ASSET,
    FEE,
    IOC,
    KIND,
    LEVEL,
    NOTIONAL,
    ROW,
    STOP,
    TARGET,
    TRADED,
    Ints,
)
from quant_organism.backtest.metrics import path_metrics
from quant_organism.market.panel import Panel
from quant_organism.market.schema import MS_PER_DAY, MS_PER_HOUR

SIZES_USD: Final = (1_000.0, 10_000.0, 100_000.0)
"""Equities that every report shows."""

EQUITY_USD: Final = 10_000.0
"""Equity of the account in which strategies are judged where nothing else is said."""

REFERENCE_USD: Final = 1_000_000.0
"""Equity at which lots and minimum orders no longer matter."""

MOST_TRACKING_ERROR: Final = 0.02
MOST_TRACKING_SHARE: Final = 0.2
"""Tracking error a year, and as a share of the volatility, up to which an account is large enough."""

_SMALL_USD: Final = (100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5)
_TRIED_USD: Final = tuple(10.0 ** (place / 2) for place in range(6, 19))

LEAST_TRIED_USD: Final = _TRIED_USD[0]
LARGEST_USD: Final = _TRIED_USD[-1]
"""Least and largest equity at which impact is looked for."""


@dataclass(frozen=True)
class AccountFigures:
    """Figures of one account over a window; money in USD, shares are of the first equity, years have 365 days.

    Parameters
    ----------
    equity_usd
        At the start.
    total_return, max_drawdown
        Of the equity; the drawdown at closes.
    annual_return, annual_return_usd
        The total return compounded to a year, and that times the first equity.
    fees_usd, fees_usd_year, slippage_usd, funding_usd
        Paid, fees also by the year; received where negative. Slippage is against the open, or the level of a stop.
    fees, slippage, funding
        The same as shares.
    volatility, sharpe
        A year, of daily returns, where the metrics of a backtest are of bars.
    sharpe_sleeves
        Of the virtual book's daily returns at the same risk scale.
    tracking_error
        Volatility a year of the difference of the two.
    orders_per_day, median_order_usd
        Orders that filled, and what they traded in all; one that several bars fill is one (`order_notionals`).
    smallest_order_usd
        Least notional, at its limit price, of the orders sent that do not close a position whole; nan without any.
    turnover
        Notional traded a year over the mean equity.
    gross_mean, gross_max
        Gross over equity at closes.
    hours_at_cap
        In which a cap made a plan smaller.
    execution_usd
        Profit of *execution*: what the account earned that no member answers for.
    """

    equity_usd: float
    total_return: float
    annual_return: float
    annual_return_usd: float
    max_drawdown: float
    fees_usd: float
    fees_usd_year: float
    slippage_usd: float
    funding_usd: float
    fees: float
    slippage: float
    funding: float
    volatility: float
    sharpe: float
    sharpe_sleeves: float
    tracking_error: float
    orders_per_day: float
    median_order_usd: float
    smallest_order_usd: float
    turnover: float
    gross_mean: float
    gross_max: float
    hours_at_cap: float
    execution_usd: float


def account_metrics(
    run: AccountRun, market_returns: NDArray[np.float64], *, start: int = 0, stop: int | None = None
) -> dict[str, float]:
    """Return the metrics of an account over some bars of its window, of daily returns but for what says otherwise.

    Parameters
    ----------
    run
        The account.
    market_returns
        Mean return of all assets in each of these bars, for beta and alpha.
    start, stop
        Bars of the window. Default: all.

    Returns
    -------
    Those of `path_metrics`, the drawdown at closes; sharpe_sleeves, tracking_error, turnover_per_year and exposure, as
    in `AccountFigures`.
    """
    path, last = run.path, run.path.scale.size if stop is None else stop
    times, equity = path.times[start : last + 1], path.equity[start : last + 1] / 1e6
    starts, years = day_starts(times), int(times[-1] - times[0]) / (MS_PER_DAY * DAYS_PER_YEAR)
    daily = run.returns_by_day(start, stop)
    ideal = compounded(run.ideal_returns[start:last], starts)
    metrics = path_metrics(daily, DAYS_PER_YEAR, compounded(market_returns, starts))
    grown = float(equity[-1] / equity[0]) if equity[0] > 0.0 else 1.0
    annual = grown ** (1.0 / years) - 1.0 if grown > 0.0 else -1.0
    drawdown = float(np.max(1.0 - equity / np.maximum.accumulate(equity)))
    rows = path.fills[:, ROW]
    traded = path.fills[(rows >= start) & (rows < last), NOTIONAL].sum() / 1e6
    gross = np.divide(path.gross[start : last + 1] / 1e6, equity, out=np.zeros_like(equity), where=equity > 0.0)
    return {name: float(values[0]) for name, values in metrics.items()} | {
        "total_return": grown - 1.0,
        "annual_return": annual,
        "max_drawdown": drawdown,
        "calmar": annual / drawdown if drawdown > 0.0 else math.nan,
        "sharpe_sleeves": float(path_metrics(ideal, DAYS_PER_YEAR)["sharpe"][0]),
        "tracking_error": _tracking_error(daily, ideal),
        "turnover_per_year": float(traded / equity.mean() / years),
        "exposure": float(gross.mean()),
    }


def account_figures(run: AccountRun) -> AccountFigures:
    """Return the figures of one account."""
    path, first = run.path, float(run.path.equity[0] / 1e6)
    fills = path.fills
    metrics = account_metrics(run, np.zeros(path.scale.size))
    notional = fills[:, NOTIONAL] / 1e6
    aimed = np.abs(fills[:, TRADED]).astype(np.float64) * fills[:, AIMED] / 1e6
    slippage = float(np.sum(np.sign(fills[:, TRADED]) * (notional - aimed)))
    fees, funding = float(fills[:, FEE].sum() / 1e6), float(path.funding.sum() / 1e6)
    equity = path.equity / 1e6
    years = int(path.times[-1] - path.times[0]) / (MS_PER_DAY * DAYS_PER_YEAR)
    gross = np.divide(path.gross / 1e6, equity, out=np.zeros_like(equity), where=equity > 0.0)
    orders = order_notionals(path)
    bar_hours = (path.times[1] - path.times[0]) / MS_PER_HOUR
    return AccountFigures(
        equity_usd=first,
        total_return=metrics["total_return"],
        annual_return=metrics["annual_return"],
        annual_return_usd=metrics["annual_return"] * first,
        max_drawdown=metrics["max_drawdown"],
        fees_usd=fees,
        fees_usd_year=fees / years,
        slippage_usd=slippage,
        funding_usd=funding,
        fees=fees / first,
        slippage=slippage / first,
        funding=funding / first,
        volatility=metrics["volatility"],
        sharpe=metrics["sharpe"],
        sharpe_sleeves=metrics["sharpe_sleeves"],
        tracking_error=metrics["tracking_error"],
        orders_per_day=orders.size / (years * DAYS_PER_YEAR),
        median_order_usd=float(np.median(orders)) if orders.size else math.nan,
        smallest_order_usd=_smallest_order(path),
        turnover=metrics["turnover_per_year"],
        gross_mean=metrics["exposure"],
        gross_max=float(gross.max()),
        hours_at_cap=float(path.at_cap.sum() * bar_hours),
        execution_usd=float(path.execution[-1] / 1e6),
    )


def order_notionals(path: AccountPath) -> NDArray[np.float64]:
    """Return what each order that filled traded in all, USD, without settlements; those of plans stand first.

    A thin asset takes many bars to fill an order, and each close sends what is left of it. So an order of a plan goes
    on where the next close asks for more on its side because the bar between left something of it; a resting order,
    where the next bar fills it on before any plan did.

    Parameters
    ----------
    path
        Of an account.
    """
    planned, rested = [], []
    for asset in range(len(path.symbols)):
        fills = path.fills[path.fills[:, ASSET] == asset]
        lines = path.lines[(path.lines[:, ASSET] == asset) & (path.lines[:, KIND] == IOC)]
        filled = fills[fills[:, KIND] == IOC]
        place = np.searchsorted(lines[:, ROW], filled[:, ROW])
        left = lines[:, TRADED].copy()
        left[place] -= filled[:, TRADED]
        goes_on = _next_bar_same_side(lines) & (left[:-1] != 0)
        planned.append(_totals(filled, _numbers(goes_on)[place]))
        held = np.cumsum(fills[:, TRADED])
        for kind in (STOP, TARGET):
            own = np.flatnonzero(fills[:, KIND] == kind)
            between = np.isin(fills[own, ROW][1:], filled[:, ROW])
            goes_on = _next_bar_same_side(fills[own]) & (held[own][:-1] != 0) & ~between
            rested.append(_totals(fills[own], _numbers(goes_on)))
    notionals = np.concatenate([*planned, *rested]) / 1e6
    return notionals[notionals > 0.0]


def _next_bar_same_side(rows: Ints) -> NDArray[np.bool_]:
    # Of each line or fill of an asset but the first, whether it follows the one before at once, on its side.
    return np.asarray((np.diff(rows[:, ROW]) == 1) & (np.diff(np.sign(rows[:, TRADED])) == 0))


def _numbers(goes_on: NDArray[np.bool_]) -> Ints:
    return np.concatenate([[0], np.cumsum(~goes_on)])


def _totals(fills: Ints, numbers: Ints) -> NDArray[np.float64]:
    return np.bincount(numbers[: len(fills)], weights=fills[:, NOTIONAL].astype(np.float64)).astype(np.float64)


def _smallest_order(path: AccountPath) -> float:
    # An order of a plan closes what was held before its bar; a resting one what the bar's open, or a fill in it, left.
    smallest = math.nan
    for asset in range(len(path.symbols)):
        fills = path.fills[path.fills[:, ASSET] == asset]
        held = np.concatenate([[0], np.cumsum(fills[:, TRADED])])
        for line in path.lines[(path.lines[:, ASSET] == asset) & (path.lines[:, KIND] != STOP)]:
            first, last = np.searchsorted(fills[:, ROW], [line[ROW], line[ROW] + 1])
            closes = held[first : first + 1] if line[KIND] == IOC else held[first : last + 1]
            if -line[TRADED] not in closes:
                smallest = np.fmin(smallest, abs(int(line[TRADED])) * int(line[LEVEL]) / 1e6)
    return float(smallest)


def smallest_equity(setting: AccountSetting, sizes: Sequence[float] = _SMALL_USD) -> float | None:
    """Return the least of some equities from which on an account follows one of 1,000,000 USD; none: at none of them.

    Lots and minimum orders are what makes small accounts different; volume, which tells on large ones, is left out. Of
    sizes of which one follows, all larger ones are taken to follow. Where even the reference trades nothing, there is
    nothing to follow.
    """
    free = replace(setting.model, max_participation=None, impact=0.0)
    large = setting.run(REFERENCE_USD, model=free, digests=False)
    if not large.path.fills.size:
        return None
    reference = large.daily_returns
    most = MOST_TRACKING_SHARE * float(path_metrics(reference, DAYS_PER_YEAR)["volatility"][0])
    ascending = sorted(sizes)

    def follows(size: float) -> bool:
        error = _tracking_error(setting.run(size, model=free, digests=False).daily_returns, reference)
        return error <= min(most, MOST_TRACKING_ERROR)

    place = bisect_left(ascending, True, key=follows)
    return ascending[place] if place < len(ascending) else None


def capacity(
    setting: AccountSetting,
    panel: Panel,
    *,
    start: int = 0,
    stop: int | None = None,
    sizes: Sequence[float] = _TRIED_USD,
) -> float | None:
    """Return the equity at which impact halves the return, between the sizes tried in the logarithm; none: no return.

    The return is that of 1,000,000 USD without impact, where lots and minimum orders do not matter. Impact is daily
    volatility times the root of an order's share of the volume of 24 hours, on top of the slippage.

    Parameters
    ----------
    setting, panel, start, stop
        Of the strategy on the window, and the panel and rows that it is of; its volume is looked at.
    sizes
        Equities to try. The first is returned where it earns no more than half itself, infinity where the last still
        earns more.
    """
    free = replace(setting.model, max_participation=None, impact=0.0)
    earned = _return_at(setting, REFERENCE_USD, free)
    if not earned > 0.0:
        return None
    hit = setting.with_model(panel, replace(free, impact=1.0), start=start, stop=stop)
    ascending = sorted(sizes)
    kept = cache(lambda size: _return_at(hit, size, hit.model))
    place = bisect_left(ascending, True, key=lambda size: kept(size) <= 0.5 * earned)
    if place == len(ascending):
        return math.inf
    before, size = ascending[max(place - 1, 0)], ascending[place]
    fallen = kept(before) - kept(size)
    share = (kept(before) - 0.5 * earned) / fallen if fallen > 0.0 else 0.0
    return float(before * (size / before) ** share)


def _return_at(setting: AccountSetting, size: float, model: FillModel) -> float:
    run = setting.run(size, model=model, digests=False)
    return float(run.path.equity[-1] / run.path.equity[0] - 1.0)


def _tracking_error(returns: NDArray[np.float64], against: NDArray[np.float64]) -> float:
    return float(np.std(returns - against, ddof=1) * math.sqrt(DAYS_PER_YEAR)) if returns.size > 1 else math.nan
