"""The account of a replay: fed with what streams held bar by bar, and compared with the compiled walk of the backtest.

Every plan is made at a close from what the bars so far have shown, and every fill is booked through the account's one
door. Where the order lines of the two differ, the code that trades is not the code that judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import Costs, Evaluator, path_metrics
from quant_organism.backtest.account import (
    AccountSetting,
    VirtualWindow,
    compounded,
    day_starts,
    member_name,
    plan,
    returns_of_days,
    stopless_members,
    trade_account_bar,
    virtual_costs,
    window_restraints,
)
from quant_organism.market import Panel, Span, format_ms
from quant_organism.strategies import Committee, Member

Floats = NDArray[np.float64]

PAST_DAYS: Final = 90
"""Days before a period over which the virtual book sets its risk scale, as far as there are so many."""

_DAYS_PER_YEAR: Final = 365


@dataclass(frozen=True, eq=False)
class HeldVirtually:
    """What the sleeves of one member held in a period of T bars, one column for each of the panel's N assets.

    Attributes
    ----------
    units, stops, targets
        As in `VirtualWindow`, the member's weight left out, shapes (T + 1, N), (T, N), (T, N).
    returns
        Of the member's portfolio in each bar, shape (T,).
    """

    units: Floats
    stops: Floats
    targets: Floats
    returns: Floats

    @classmethod
    def empty(cls, bars: int, assets: int) -> HeldVirtually:
        """Return the same of sleeves that hold nothing, to be filled."""
        return cls(
            np.zeros((bars + 1, assets)),
            np.full((bars, assets), np.nan),
            np.full((bars, assets), np.nan),
            np.zeros(bars),
        )

    def difference(self, expected: HeldVirtually, times: NDArray[np.int64], symbols: Sequence[str]) -> str:
        """Say where this is the first that is not as expected; empty where all is.

        Parameters
        ----------
        expected
            What the backtest held.
        times
            Open times of the bars, shape (T,).
        symbols
            Of the N assets.
        """
        for name in ("units", "stops", "targets"):
            own, other = getattr(self, name), getattr(expected, name)
            differs = ~((own == other) | (np.isnan(own) & np.isnan(other)))
            if differs.any():
                row, asset = (int(place[0]) for place in np.nonzero(differs))
                when = f"at {format_ms(int(times[row]))}" if row < len(times) else "at the end"
                return (
                    f"{name} of {symbols[asset]} {when}: the replay held {own[row, asset]!r}, the backtest "
                    f"{other[row, asset]!r}"
                )
        differs = self.returns != expected.returns
        if differs.any():
            row = int(np.argmax(differs))
            return (
                f"the bar of {format_ms(int(times[row]))}: the replay returned {self.returns[row]!r}, the backtest "
                f"{expected.returns[row]!r}"
            )
        return ""


def held_in_backtest(
    member: Member, panel: Panel, costs: Costs, span: Span, evaluator: Evaluator
) -> tuple[HeldVirtually, Floats]:
    """Return what the population evaluator has a member hold in a period, and its returns per bar in the days before.

    Parameters
    ----------
    member, panel, costs
        As in the backtest.
    span
        The period.
    evaluator
        Keeps indicators from call to call.
    """
    own, assets = virtual_costs(costs), [member.assets] if member.assets else None
    exposed = evaluator.exposures([member.genome], panel, own, start=span.start, stop=span.stop, assets=assets)
    held = HeldVirtually.empty(len(span), panel.n_assets)
    held.units[:, exposed.assets], held.returns[:] = exposed.units, exposed.returns[0]
    held.stops[:, exposed.assets], held.targets[:, exposed.assets] = exposed.stops, exposed.targets
    first = max(span.start - PAST_DAYS * panel.interval.bars_per_day, 0)
    if first == span.start:
        return held, np.empty(0)
    past = evaluator.exposures([member.genome], panel, own, start=first, stop=span.stop, assets=assets).returns[0]
    return held, np.asarray(past[: span.start - first])


@dataclass(frozen=True)
class PeriodAccount:
    """What an account did in one period, bar by bar.

    Attributes
    ----------
    sharpe
        Annual, of net daily returns; nan where nothing was traded.
    total_return
        Net, over the period.
    orders
        Fills.
    order_hash, backtest_hash
        Digest H2 of its order lines, bar by bar and by the compiled walk; the latter empty where its members held
        something else there.
    difference
        Where the two differ first, in words.
    """

    sharpe: float
    total_return: float
    orders: int
    order_hash: str
    backtest_hash: str
    difference: str


def replay_account(
    committee: Committee,
    held: Sequence[HeldVirtually],
    before: Sequence[Floats],
    panel: Panel,
    costs: Costs,
    span: Span,
    *,
    equity_usd: float,
    difference: str,
) -> PeriodAccount:
    """Trade an account bar by bar through a period, and compare its orders with those of the compiled walk.

    Parameters
    ----------
    committee, held, before
        The strategy, and of each member what its stream held in the period and its returns per bar in the days before.
    panel, costs, span
        The market, the costs of sleeves and fills, and the period.
    equity_usd
        Of the account, which begins the period flat.
    difference
        Where a member held something else in the backtest, in words; empty where none did.
    """
    order = sorted(range(len(held)), key=lambda number: member_name(committee.members[number]))
    past = np.zeros(before[0].size)
    for number in order:
        past += committee.members[number].weight * before[number]
    setting = AccountSetting.of(
        _window(committee, held, order, panel, span),
        panel,
        costs,
        start=span.start,
        stop=span.stop,
        daily_before=_by_day(past, panel.times[span.start - past.size : span.start + 1]),
    )
    times, equity, fills, order_hash, lines = _bar_by_bar(setting, equity_usd)
    daily = returns_of_days(times, equity)
    compiled = None if difference else setting.run(equity_usd)
    if compiled is not None and compiled.account.h2 != order_hash:
        difference = _first_difference(lines, compiled.path.order_lines)
    return PeriodAccount(
        sharpe=float(path_metrics(daily, _DAYS_PER_YEAR)["sharpe"][0]) if fills else float("nan"),
        total_return=float(equity[-1] / equity[0] - 1.0),
        orders=fills,
        order_hash=order_hash,
        backtest_hash="" if compiled is None else compiled.account.h2,
        difference=difference,
    )


def _bar_by_bar(setting: AccountSetting, equity_usd: float) -> tuple[NDArray[np.int64], Floats, int, str, list[str]]:
    # Closes and the equity at them, the number of fills, the digest of all order lines, and those of the plans.
    account, market, virtual = setting.opened(equity_usd), setting.market, setting.virtual
    times = np.append(market.times, market.times[-1] + market.interval_ms)
    equity, fills, lines = np.empty(market.n_bars + 1), 0, list[str]()
    for row in range(market.n_bars):
        made = plan(account, virtual.close(row, int(times[row]), market.prices(row)))
        equity[row] = made.risk.equity / 1e6
        lines += made.lines()
        fills += len(trade_account_bar(account, made, market.bar(row), virtual.levels(row), setting.model))
    last = plan(account, virtual.close(market.n_bars, int(times[-1]), market.prices(market.n_bars)))
    equity[-1] = last.risk.equity / 1e6
    return times, equity, fills, account.h2, lines


def _window(
    committee: Committee, held: Sequence[HeldVirtually], order: Sequence[int], panel: Panel, span: Span
) -> VirtualWindow:
    legs: dict[tuple[str, str, str], tuple[Floats, Floats, Floats]] = {}
    returns = np.zeros((len(held[0].returns) + 1, 1))
    for number in order:
        member, own = committee.members[number], held[number]
        returns[1:, 0] += member.weight * own.returns
        for asset, symbol in enumerate(panel.symbols):
            if not member.assets or symbol in member.assets:
                leg = committee.id, member_name(member), symbol
                legs[leg] = own.units[:, asset] * member.weight, own.stops[:, asset], own.targets[:, asset]
    sorted_legs = sorted(legs, key=lambda leg: (leg[2], leg[0], leg[1]))
    units, stops, targets = (np.column_stack([legs[leg][part] for leg in sorted_legs]) for part in range(3))
    return VirtualWindow(
        strategies=(committee.id,),
        legs=tuple(sorted_legs),
        stopless=stopless_members({committee.id: committee}),
        units=units,
        stops=stops,
        targets=targets,
        returns=returns,
        shares=np.ones(returns.shape),
        restraints=window_restraints(panel, span.start, span.stop),
    )


def _by_day(returns: Floats, times: NDArray[np.int64]) -> tuple[float, ...]:
    if not returns.size:
        return ()
    return tuple(compounded(returns, day_starts(times)).tolist())


def _first_difference(lines: Sequence[str], expected: Sequence[str]) -> str:
    sent = [line for line in expected if line.split("|")[2] == "ioc"]
    for place in range(max(len(lines), len(sent))):
        mine = lines[place] if place < len(lines) else "nothing"
        other = sent[place] if place < len(sent) else "nothing"
        if mine != other:
            return f"order {place + 1}: the replay sent {mine}, the backtest {other}"
    return "orders at the closes are alike, but not those that rest between them"
