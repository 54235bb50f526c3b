"""Modelled fills, bar by bar: what replay and paper trading book, and the reference of the compiled walk.

An account plans at a close, its orders fill at the next open, its resting orders are set and may fill inside the bar,
and funding is paid at the close (A6, A7).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from quant_organism.backtest.account.book import IOC, STOP, TARGET, AccountBook, LegKey
from quant_organism.backtest.account.door import (
    SETTLED,
    AccountFill,
    AccountFunding,
    PlanSent,
    RestingSent,
    book,
    fill_amounts,
)
from quant_organism.backtest.account.plan import Plan
from quant_organism.backtest.account.resting import LegLevels, plan_resting
from quant_organism.backtest.costs import Costs
from quant_organism.errors import InputError
from quant_organism.market.funding import UNKNOWN_FUNDING

Door = Callable[[AccountBook, object], None]
"""Books an event into an account, as `book` does."""

UNLIMITED = 2**53
"""Lots that a bar fills where its volume does not count."""

DEFAULT_PARTICIPATION = 0.1
"""Share of a bar's volume that is filled at most where nothing else is said."""

MOST_IMPACT = 0.5
"""Most that impact makes a fill worse."""


@dataclass(frozen=True, kw_only=True)
class FillModel:
    """What modelled fills cost.

    Parameters
    ----------
    taker_fee, maker_fee
        Fractions of the notional.
    open_slippage_bps, stop_slippage_bps
        By how much orders at the open, and stops, fill worse.
    own_slippage_bps
        The two of symbols for which they were measured.
    max_participation
        Largest share of a bar's volume that is filled; none: all.
    impact
        Further slippage of an order in daily volatilities, times the root of its share of the volume of 24 hours.
    charge_funding
        Whether positions pay and receive funding at all.
    unknown_funding
        Fraction an hour that a position pays, long or short, while its funding is unknown: none is free.

    Raises
    ------
    InputError
        If a figure is out of range.
    """

    taker_fee: float = 0.00045
    maker_fee: float = 0.00015
    open_slippage_bps: float = 5.0
    stop_slippage_bps: float = 10.0
    own_slippage_bps: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    max_participation: float | None = DEFAULT_PARTICIPATION
    impact: float = 0.0
    charge_funding: bool = True
    unknown_funding: float = UNKNOWN_FUNDING

    def __post_init__(self) -> None:
        for open_bps, stop_bps in ((self.open_slippage_bps, self.stop_slippage_bps), *self.own_slippage_bps.values()):
            if not (0.0 <= open_bps < 10_000.0 and 0.0 <= stop_bps < 10_000.0):
                raise InputError(f"slippages of {open_bps} and {stop_bps} bps, expected 0 to 10,000", where="fills")
        if self.max_participation is not None and not 0.0 < self.max_participation <= 1.0:
            raise InputError(
                f"max_participation is {self.max_participation!r}, expected a share in (0, 1] or none", where="fills"
            )
        if self.impact < 0.0 or self.unknown_funding < 0.0:
            raise InputError("impact and unknown_funding must not be negative", where="fills")

    @classmethod
    def of(cls, costs: Costs, **others: Any) -> FillModel:
        """Return the model of an account at a backtest's costs; `others` as in the class.

        Stated where not measured: stops slip twice as much as orders at the open, and a bar's volume counts even where
        that of sleeves does not.
        """
        stated = {
            "taker_fee": costs.taker_fee,
            "maker_fee": costs.maker_fee,
            "open_slippage_bps": costs.slippage_bps,
            "stop_slippage_bps": 2.0 * costs.slippage_bps,
            "own_slippage_bps": costs.own_slippage_bps,
            "max_participation": costs.max_participation or DEFAULT_PARTICIPATION,
            "charge_funding": costs.charge_funding,
        }
        return cls(**{**stated, **others})

    def slippages(self, symbol: str) -> tuple[float, float]:
        """Return the slippage at the open and of stops, as fractions."""
        at_open, at_stop = self.own_slippage_bps.get(symbol, (self.open_slippage_bps, self.stop_slippage_bps))
        return at_open / 10_000.0, at_stop / 10_000.0


@dataclass(frozen=True)
class AccountBar:
    """One bar as modelled fills see it; each mapping is by the symbols that have the bar.

    Parameters
    ----------
    time
        Open time, UTC milliseconds.
    open, high, low, close
        Prices in USD.
    volume
        In units of the asset.
    funding_long, funding_short
        Fraction of the notional that a long pays at the close, and that a short receives.
    impact_rate
        Further slippage of an order of one micro-USD; it goes with the root of the notional.
    ended
        Symbols that are not traded after this bar.
    """

    time: int
    open: Mapping[str, float]
    high: Mapping[str, float]
    low: Mapping[str, float]
    close: Mapping[str, float]
    volume: Mapping[str, float]
    funding_long: Mapping[str, float]
    funding_short: Mapping[str, float]
    impact_rate: Mapping[str, float]
    ended: Set[str] = frozenset()


def trade_account_bar(
    account: AccountBook,
    made: Plan,
    bar: AccountBar,
    levels: Mapping[LegKey, LegLevels],
    model: FillModel,
    door: Door = book,
) -> list[AccountFill]:
    """Take an account from a plan through the bar that follows, and return its fills.

    Parameters
    ----------
    account
        Moved to the bar's close, but for its marks: the next plan sets them.
    made
        The plan of the close before.
    bar
        What happened.
    levels
        Of the legs, as they stand within the bar.
    model
        What fills cost.
    door
        Books each event; whoever keeps a record of events gives one that does both.
    """
    symbols = sorted(bar.open)
    opens = {symbol: account.assets[symbol].lot_price(bar.open[symbol]) for symbol in symbols}
    room: dict[str, int] = {}
    fills: list[AccountFill] = []

    def fill(
        symbol: str, lots: int, base: int, worse: float, fee_rate: float, kind: str, *, rests: bool = False
    ) -> None:
        if symbol not in room:
            room[symbol] = _room(bar.volume[symbol] * account.assets[symbol].lots_per_unit, model)
        size = min(abs(lots), room[symbol]) if kind != SETTLED else abs(lots)
        if size == 0:
            return
        signed = size if lots > 0 else -size
        impact = 0.0 if rests else min(bar.impact_rate[symbol] * math.sqrt(float(size * base)), MOST_IMPACT)
        notional, fee = fill_amounts(signed, float(base), worse + impact, fee_rate)
        room[symbol] -= size
        fills.append(AccountFill(bar.time, symbol, signed, notional, fee, kind, base))
        door(account, fills[-1])

    door(account, PlanSent(made, opens))
    for order in made.orders:
        if order.symbol in opens:
            worse = model.slippages(order.symbol)[0]
            fill(order.symbol, order.lots, opens[order.symbol], worse, model.taker_fee, IOC)
    _set_resting(account, levels, symbols, door)
    for symbol in sorted(account.resting.keys() & opens.keys()):
        standing, count = account.resting[symbol], len(fills)
        if STOP not in standing:
            continue
        asset, stop = account.assets[symbol], standing[STOP]
        low, high = asset.lot_price(bar.low[symbol]), asset.lot_price(bar.high[symbol])
        if low <= stop.level if stop.lots < 0 else high >= stop.level:
            base = min(stop.level, opens[symbol]) if stop.lots < 0 else max(stop.level, opens[symbol])
            fill(symbol, stop.lots, base, model.slippages(symbol)[1], model.taker_fee, STOP)
        elif TARGET in standing:
            target = standing[TARGET]
            if high > target.level if target.lots < 0 else low < target.level:
                base = max(target.level, opens[symbol]) if target.lots < 0 else min(target.level, opens[symbol])
                fill(symbol, target.lots, base, 0.0, model.maker_fee, TARGET, rests=True)
        if len(fills) > count:
            _set_resting(account, levels, [symbol], door)
    held_by_any = {symbol for sub in (account.execution, *account.members.values()) for symbol in sub.lots}
    for symbol in sorted(held_by_any & opens.keys()):
        _pay_funding(account, symbol, bar, door)
    for symbol in sorted(bar.ended):
        close = account.assets[symbol].lot_price(bar.close[symbol])
        held = account.positions.get(symbol, 0)
        fill(symbol, -held, close, model.slippages(symbol)[0], model.taker_fee, SETTLED)
        account.gone.add(symbol)
        _set_resting(account, levels, [symbol], door)
    return fills


def _set_resting(account: AccountBook, levels: Mapping[LegKey, LegLevels], symbols: list[str], door: Door) -> None:
    # Where nothing is held and no order stands, none is due.
    concerned = account.positions.keys() | account.resting.keys()
    due = plan_resting(account, levels, [symbol for symbol in symbols if symbol in concerned])
    if due.changes:
        door(account, RestingSent(due))


def _pay_funding(account: AccountBook, symbol: str, bar: AccountBar, door: Door) -> None:
    held = account.positions.get(symbol, 0)
    fraction = bar.funding_long[symbol] if held >= 0 else bar.funding_short[symbol]
    if fraction == 0.0:
        return
    per_lot = account.assets[symbol].lot_price(bar.close[symbol]) * fraction
    door(account, AccountFunding(symbol, math.floor(held * per_lot + 0.5), per_lot))


def _room(volume_lots: float, model: FillModel) -> int:
    if model.max_participation is None:
        return UNLIMITED
    return math.floor(min(model.max_participation * volume_lots, float(UNLIMITED)))
