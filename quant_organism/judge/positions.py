"""From targets to what an account follows: virtual units, decided at closes and held until a target changes."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import Costs
from quant_organism.backtest.account import VirtualWindow, compounded, day_starts, virtual_costs
from quant_organism.errors import InputError
from quant_organism.evolution import DAYS_A_YEAR
from quant_organism.judge.trade_rules import RuledTrades
from quant_organism.market import Panel

Floats = NDArray[np.float64]

MEMBER: Final = "signal"
"""The one member of a strategy that is not made of genomes."""

ENDED_HOURS: Final = 24
"""An asset without a bar for so long at the panel's end is not traded any more."""


def follow(wanted: Floats | RuledTrades, panel: Panel, costs: Costs, *, strategy: str) -> VirtualWindow:
    """Return what targets, or trades with levels of their own, hold over a panel.

    A target of 1 is an N-th of the equity in the asset, N being all assets of the panel. It is turned into units at the
    close at which it changes, filled at the next open, and held until it changes again; in a gap what is held stays.
    Where a level was reached within a bar, what is wanted at its close is decided anew.
    What holds an account back is left out (`deployment.restrained`): it takes longer than all else.

    Parameters
    ----------
    wanted
        Targets: positions in [-1, 1], each decided at its bar's close, float64 (T, N). Or trades.
    panel, costs
        The market and the costs of the virtual book; limits on volume are left to the account's own fills.
    strategy
        Its name in the account.

    Raises
    ------
    InputError
        Targets of another shape.
    """
    bars, assets = panel.valid.shape
    none = np.full((bars, assets), np.nan)
    trades = wanted if isinstance(wanted, RuledTrades) else RuledTrades(wanted, none, none, none)
    targets = trades.targets
    if targets.shape != (bars, assets):
        raise InputError(f"targets have shape {targets.shape}, expected {(bars, assets)} (bars, assets)")
    order = sorted(range(assets), key=panel.symbols.__getitem__)
    units, gained = np.zeros((bars + 1, assets)), np.zeros(bars + 1)
    own = virtual_costs(costs)
    for place, asset in enumerate(order):
        held, earned = _followed(trades, panel, asset, own)
        units[1:, place] = held
        gained[1:] += earned
    return VirtualWindow(
        strategies=(strategy,),
        legs=tuple((strategy, MEMBER, panel.symbols[asset]) for asset in order),
        stopless=frozenset(),
        units=units,
        stops=trades.stops[:, order],
        targets=trades.limits[:, order],
        returns=gained[:, None],
        shares=np.ones((bars + 1, 1)),
    )


def _followed(trades: RuledTrades, panel: Panel, asset: int, costs: Costs) -> tuple[Floats, Floats]:
    # Units after each close, and what each bar earned after costs, per unit of equity; both (T,).
    bars = panel.n_bars
    held, earned = np.zeros(bars), np.zeros(bars)
    rows = np.flatnonzero(panel.valid[:, asset])
    if rows.size == 0:
        return held, earned
    opens, close = panel.open[rows, asset], panel.close[rows, asset]
    wanted, exits = trades.targets[rows, asset].copy(), trades.exits[rows, asset]
    if (bars - 1 - rows[-1]) * panel.interval.hours >= ENDED_HOURS:
        wanted[-1] = 0.0
    left = np.isfinite(exits)
    changed = (np.diff(wanted, prepend=0.0) != 0.0) | left
    latest = np.maximum.accumulate(np.where(changed, np.arange(rows.size), 0))
    units = wanted[latest] / (panel.n_assets * close[latest])
    before = np.concatenate([[0.0], units[:-1]])  # what was decided at the close before, filled at this open
    kept = np.where(left, 0.0, before)  # what is still held at this close
    older = np.concatenate([[0.0], kept[:-1]])
    last_close = np.concatenate([opens[:1], close[:-1]])
    rate = costs.taker_fee + costs.slippage_bps / 10_000.0
    # A target is a limit order; a stop is by market.
    with np.errstate(invalid="ignore"):
        at_limit = before * (exits - trades.stops[rows, asset]) > 0.0
    leaving = np.where(at_limit, costs.maker_fee, rate) * np.nan_to_num(exits)
    paid = panel.funding_paid[rows, asset] if costs.charge_funding else 0.0
    earned[rows] = (
        before * (np.where(left, exits, close) - opens)
        + older * (opens - last_close)
        - np.abs(before - older) * opens * rate
        - np.where(left, np.abs(before) * leaving, kept * close * paid)
    )
    held[rows] = units
    gaps = np.maximum.accumulate(np.where(panel.valid[:, asset], np.arange(bars), -1))
    return np.where(gaps >= 0, held[np.maximum(gaps, 0)], 0.0), earned


def daily_returns(window: VirtualWindow, panel: Panel, start: int, stop: int) -> Floats:
    """Return what the virtual book of a window of rows `start` to `stop` returned per UTC day, float64 (days,)."""
    times = np.append(panel.times[start:stop], panel.times[stop - 1] + panel.interval.milliseconds)
    return compounded(window.virtual_returns[1:], day_starts(times))


def annual_sharpe(daily: Floats) -> float:
    """Return the annual Sharpe ratio of daily returns; 0 where nothing varies, which is nothing earned."""
    deviation = float(daily.std(ddof=1)) if daily.size > 1 else 0.0
    return float(daily.mean() / deviation * np.sqrt(DAYS_A_YEAR)) if deviation > 0.0 else 0.0
