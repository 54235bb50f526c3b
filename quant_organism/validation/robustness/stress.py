"""Stress: dearer trading, orders one bar late, one asset less, a later start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from quant_organism.backtest import Costs
from quant_organism.market import MS_PER_HOUR, Interval, Panel
from quant_organism.strategies import Member, get_family
from quant_organism.validation.robustness.subject import Shake, Subject, measured_on, of_members, once, without_models
from quant_organism.validation.statistics.evidence import NotRun

COST_FACTOR: Final = 2.0
SLIPPAGE_FACTOR: Final = 3.0
LATE_BARS: Final = 1

LATER_HOURS: Final = (1, 5, 11, 17, 23)
"""Hours by which the start is shifted: some of the 23 of a day, on both sides of each of its quarters."""


def later_bars(interval: Interval, hours: Sequence[int] = LATER_HOURS) -> tuple[int, ...]:
    """Return by how many whole bars a start is shifted, each once: by so many hours, or to the bar that begins next."""
    return tuple(dict.fromkeys(-(-hour * MS_PER_HOUR // interval.milliseconds) for hour in hours))


@once
def dearer_trading(
    subject: Subject, *, cost_factor: float = COST_FACTOR, slippage_factor: float = SLIPPAGE_FACTOR
) -> Shake | NotRun:
    """Measure a strategy with all costs of its fills times a factor, and with slippage and impact alone times another.

    Funding is no cost of a fill and stays as it is.

    Raises
    ------
    InputError
        A cost leaves the range that `Costs` allows.
    """
    if (idle := subject.idle) is not None:
        return idle
    costs = subject.costs
    slipping = replace(
        costs.of_sleeves,
        slippage_bps=slippage_factor * costs.slippage_bps,
        impact_bps=slippage_factor * costs.impact_bps,
    )
    changes = {f"costs x {cost_factor:g}": dearer(costs, cost_factor), f"slippage x {slippage_factor:g}": slipping}
    seen = [subject.measure([subject.committee], costs=changed).metrics for changed in changes.values()]
    return Shake.seen(subject, tuple(changes), *_columns(seen))


def dearer(costs: Costs, factor: float) -> Costs:
    """Return costs of fills times a factor; a rebate stays."""
    return replace(
        costs.of_sleeves,
        taker_fee=factor * costs.taker_fee,
        maker_fee=max(costs.maker_fee, factor * costs.maker_fee),
        slippage_bps=factor * costs.slippage_bps,
        impact_bps=factor * costs.impact_bps,
    )


@once
def late_execution(subject: Subject, *, bars: int = LATE_BARS) -> Shake | NotRun:
    """Measure a strategy whose every order reaches the market some bars late; stops and targets rest there in time.

    Raises
    ------
    InputError
        A negative number of bars.
    """
    if (idle := subject.idle) is not None:
        return idle
    seen = subject.measure([subject.committee], delay_bars=bars).metrics
    return Shake.seen(subject, (f"{bars} bar{'s' if bars != 1 else ''} late",), *_columns([seen]))


def _columns(seen: list[dict[str, np.typing.NDArray[np.float64]]]) -> tuple[np.typing.NDArray[np.float64], ...]:
    return tuple(np.array([float(metrics[name][0]) for metrics in seen]) for name in ("sharpe", "max_drawdown"))


@once
def later_start(subject: Subject, *, hours: Sequence[int] = LATER_HOURS) -> Shake | NotRun:
    """Measure a strategy as if both its history and its trading began some hours later; see `later_bars`."""
    if (idle := subject.idle) is not None:
        return idle
    interval = subject.panel.interval
    shifts = later_bars(interval, hours)
    found = without_models(subject)
    if isinstance(found, NotRun):
        return found
    rules, fitted = found
    if max(shifts) >= rules.panel.n_bars - rules.start:
        return NotRun(f"needs more than {max(shifts)} bars, has {rules.panel.n_bars - rules.start}")
    sharpe, drawdown = measured_on(
        rules, len(shifts), lambda place: rules.panel.window(shifts[place], rules.panel.n_bars)
    )
    names = [f"{shift * interval.hours:g} h later" for shift in shifts]
    return Shake.seen(rules, names, sharpe, drawdown, left_out=fitted)


@once
def asset_left_out(subject: Subject) -> Shake | NotRun:
    """Measure a strategy without each asset that it trades, by turns; its positions in the others stay as they are.

    Members that rank assets do so as if the one left out had never had a bar.
    """
    if (idle := subject.idle) is not None:
        return idle
    traded = traded_assets(subject)
    if len(traded) < 2:
        return NotRun(f"needs 2 assets to leave one out, trades {len(traded)}")
    without = [restricted(subject, [other for other in traded if other != symbol]) for symbol in traded]
    names = [f"without {symbol}" for symbol in traded]
    ranking = ranking_members(subject)
    if not ranking:
        seen = subject.measure([of_members(members) for members in without]).metrics
        return Shake.seen(subject, names, seen["sharpe"], seen["max_drawdown"])
    sharpe, drawdown = np.empty(len(traded)), np.empty(len(traded))
    for place, (symbol, members) in enumerate(zip(traded, without, strict=True)):
        evaluator = replace(subject.evaluator, ranked_on=without_asset(subject.panel, symbol))
        seen = replace(subject, evaluator=evaluator).measure([of_members([*members, *ranking])]).metrics
        sharpe[place], drawdown[place] = seen["sharpe"][0], seen["max_drawdown"][0]
    return Shake.seen(subject, names, sharpe, drawdown)


def ranking_members(subject: Subject) -> list[Member]:
    """Return the members that rank the assets of the panel, which cannot be restricted to some."""
    return [member for member in subject.committee.members if get_family(member.genome.family).ranks]


def without_asset(panel: Panel, symbol: str) -> Panel:
    """Return the panel as if an asset had never had a bar."""
    return Panel.from_arrays(
        symbols=panel.symbols,
        interval=panel.interval,
        times=panel.times,
        open=panel.open,
        high=panel.high,
        low=panel.low,
        close=panel.close,
        volume=panel.volume,
        funding_rate=panel.funding_rate,
        funding_paid=panel.funding_paid,
        valid=panel.valid & (np.array(panel.symbols) != symbol),
        fear_greed=panel.fear_greed,
        market=panel.market,
    )


def traded_assets(subject: Subject) -> tuple[str, ...]:
    """Return the symbols that some member may trade, sorted."""
    members = subject.committee.members
    return tuple(
        symbol
        for symbol in sorted(subject.panel.symbols)
        if any(not member.assets or symbol in member.assets for member in members)
    )


def restricted(subject: Subject, symbols: Sequence[str]) -> list[Member]:
    """Return the members on some assets only; without those that trade none of them, and those that rank assets."""
    kept, ranking = [], ranking_members(subject)
    for member in subject.committee.members:
        if member in ranking:
            continue
        assets = tuple(symbol for symbol in symbols if not member.assets or symbol in member.assets)
        if assets:
            kept.append(Member(member.weight, member.genome, assets))
    return kept
