"""What an account did over a window, trade by trade, and what its profit is made of: parts that sum to the whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.account import AccountRun
from quant_organism.backtest.account.walk_layout import (
    AIMED,
    ASSET,
    FEE,
    KIND,
    KINDS,
    LEVEL,
    NOTIONAL,
    ROW,
    STOP,
    TRADED,
)

_REASONS: Final = {"ioc": "signal", "stop": "stop", "target": "target", "settlement": "delisted"}


@dataclass(frozen=True, kw_only=True)
class AccountTrade:
    """One position of an account in one asset, from flat to flat; what turns round is two.

    Parameters
    ----------
    symbol, side
        What was held: `long` or `short`.
    opened, closed
        Open of the bars of the first and last fill, UTC milliseconds; the last close for one that is still open.
    entry_price, exit_price
        Mean price of what made it larger, and of what made it smaller, in USD; the mark for one that is open.
    stop
        Level in USD of the first stop that rested for it; nan without one.
    notional_usd
        The most that was bought or sold to hold it, at the prices of its fills.
    fees_usd, slippage_usd, funding_usd
        Paid; received where negative.
    pnl_usd, pnl
        Profit after all of it, in USD and as a share of the equity at the close before it was opened.
    reason
        What closed it: `signal`, `stop`, `target`, `delisted`, or `open`.
    fills
        How many orders it took.
    """

    symbol: str
    side: str
    opened: int
    closed: int
    entry_price: float
    exit_price: float
    stop: float
    notional_usd: float
    fees_usd: float
    slippage_usd: float
    funding_usd: float
    pnl_usd: float
    pnl: float
    reason: str
    fills: int

    @property
    def hours(self) -> float:
        """How long it was held."""
        return (self.closed - self.opened) / 3_600_000


@dataclass(frozen=True, kw_only=True)
class ProfitPart:
    """What one asset, member or side contributed, USD: prices alone, what trading cost, and what is left.

    A member's costs are inside its profit, so that only `net_usd` is known of it.
    """

    name: str
    gross_usd: float
    fees_usd: float
    slippage_usd: float
    funding_usd: float
    net_usd: float
    trades: int


@dataclass
class _Open:
    """A position on its way: lots, cash so far and lot prices in micro-USD."""

    row: int
    lots: int = 0
    most: int = 0
    bought: float = 0.0
    grown: int = 0
    sold: float = 0.0
    shrunk: int = 0
    cash: float = 0.0
    fees: float = 0.0
    slippage: float = 0.0
    funding: float = 0.0
    fills: int = 0


def account_trades(run: AccountRun) -> list[AccountTrade]:
    """Return every position that an account held, by symbol and time; their profits sum to that of the account."""
    return [trade for place in range(len(run.path.symbols)) for trade in _trades_of(run, place)]


def _trades_of(run: AccountRun, place: int) -> list[AccountTrade]:
    path, symbol = run.path, run.path.symbols[place]
    usd, mark = run.account.assets[symbol].lot_price_per_usd, last_marks(run)[symbol]
    fills = path.fills[path.fills[:, ASSET] == place]
    stops = path.lines[(path.lines[:, ASSET] == place) & (path.lines[:, KIND] == STOP)]
    funding = path.funding[:, place]
    made: list[AccountTrade] = []
    held: _Open | None = None
    paid_to = 0

    def finish(position: _Open, row: int, closed: int, reason: str) -> None:
        sign = 1 if position.most > 0 else -1
        rows = (stops[:, ROW] >= position.row - 1) & (stops[:, ROW] <= row)
        levels = stops[rows & (np.sign(stops[:, TRADED]) == -sign), LEVEL]
        pnl = (position.cash + position.lots * mark - position.funding) / 1e6
        exited = (position.sold + abs(position.lots) * mark) / (position.shrunk + abs(position.lots))
        made.append(
            AccountTrade(
                symbol=symbol,
                side="long" if sign > 0 else "short",
                opened=int(path.times[position.row]),
                closed=closed,
                entry_price=position.bought / position.grown / usd,
                exit_price=exited / usd,
                stop=float(levels[0]) / usd if levels.size else math.nan,
                notional_usd=position.bought / 1e6,
                fees_usd=position.fees / 1e6,
                slippage_usd=position.slippage / 1e6,
                funding_usd=position.funding / 1e6,
                pnl_usd=pnl,
                pnl=float(pnl / (path.equity[position.row] / 1e6)) if path.equity[position.row] > 0 else math.nan,
                reason=reason,
                fills=position.fills,
            )
        )

    def fund(position: _Open | None, until: int) -> None:
        nonlocal paid_to
        owed = float(funding[paid_to:until].sum())
        paid_to = until
        if position is not None:
            position.funding += owed
        elif owed and made:  # settled in the bar in which the position was closed
            last = made[-1]
            equity = last.pnl_usd / last.pnl if last.pnl else math.nan
            pnl = last.pnl_usd - owed / 1e6
            made[-1] = replace(
                last, funding_usd=last.funding_usd + owed / 1e6, pnl_usd=pnl, pnl=pnl / equity if equity else last.pnl
            )

    for fill in fills:
        row, lots = int(fill[ROW]), int(fill[TRADED])
        fund(held, row)
        while lots:
            if held is None:
                held = _Open(row)
            turns = held.lots and (held.lots > 0) != (lots > 0)
            part = -held.lots if turns and abs(lots) > abs(held.lots) else lots
            share = part / int(fill[TRADED])
            price, fee = share * float(fill[NOTIONAL]), share * float(fill[FEE])
            held.cash -= math.copysign(price, part) + fee
            held.fees += fee
            held.slippage += math.copysign(1.0, part) * (price - abs(part) * float(fill[AIMED]))
            held.fills += 1
            if turns:
                held.sold, held.shrunk = held.sold + price, held.shrunk + abs(part)
            else:
                held.bought, held.grown = held.bought + price, held.grown + abs(part)
            held.lots += part
            if abs(held.lots) > abs(held.most):
                held.most = held.lots
            lots -= part
            if not held.lots:
                finish(held, row, int(path.times[row]), _REASONS[KINDS[int(fill[KIND])]])
                held = None
    fund(held, len(funding))
    if held is not None:
        finish(held, len(funding), int(path.times[-1]), "open")
    return made


def last_marks(run: AccountRun) -> dict[str, int]:
    """Return the lot price of each asset at its last close in the window, 0 for one that never traded there."""
    market = run.setting.market
    last = np.where(market.valid.any(axis=0), len(market.valid) - 1 - np.argmax(market.valid[::-1], axis=0), -1)
    return {
        symbol: run.account.assets[symbol].lot_price(float(market.close[row, place])) if row >= 0 else 0
        for place, (symbol, row) in enumerate(zip(market.symbols, last.tolist(), strict=True))
    }


def profit_by_asset(trades: Sequence[AccountTrade]) -> list[ProfitPart]:
    """Return what each asset contributed, best first."""
    return _parts(trades, [trade.symbol for trade in trades])


def profit_by_side(trades: Sequence[AccountTrade]) -> list[ProfitPart]:
    """Return what longs and shorts contributed, best first."""
    return _parts(trades, [trade.side for trade in trades])


def profit_by_reason(trades: Sequence[AccountTrade]) -> list[ProfitPart]:
    """Return what trades contributed by what closed them, best first."""
    return _parts(trades, [trade.reason for trade in trades])


def profit_by_member(run: AccountRun) -> list[ProfitPart]:
    """Return what each member answers for, best first, and *execution*, for which none does."""
    subs = [(member, sub) for (_, member), sub in run.account.members.items()]
    subs.append(("execution", run.account.execution))
    nan, marks = math.nan, last_marks(run)
    parts = [
        ProfitPart(
            name=name,
            gross_usd=nan,
            fees_usd=nan,
            slippage_usd=nan,
            funding_usd=nan,
            net_usd=sub.profit(marks) / 1e6,
            trades=0,
        )
        for name, sub in subs
    ]
    return sorted(parts, key=lambda part: (-part.net_usd, part.name))


def _parts(trades: Sequence[AccountTrade], names: Sequence[str]) -> list[ProfitPart]:
    parts = []
    for name in sorted(set(names)):
        own = [trade for trade, other in zip(trades, names, strict=True) if other == name]
        fees, slippage, funding, net = (
            math.fsum(getattr(trade, field) for trade in own)
            for field in ("fees_usd", "slippage_usd", "funding_usd", "pnl_usd")
        )
        parts.append(
            ProfitPart(
                name=name,
                gross_usd=net + fees + slippage + funding,
                fees_usd=fees,
                slippage_usd=slippage,
                funding_usd=funding,
                net_usd=net,
                trades=len(own),
            )
        )
    return sorted(parts, key=lambda part: (-part.net_usd, part.name))


def held_from_the_start(close: NDArray[np.float64], equity_usd: float) -> NDArray[np.float64]:
    """Return what the equity would be had all of it bought one asset at the first close and been left alone.

    Parameters
    ----------
    close
        Closes from that one on, shape (T,); nan where there is no bar, which is valued at the close before.
    equity_usd
        At the first close.
    """
    known = np.maximum.accumulate(np.where(np.isfinite(close), np.arange(close.size), 0))
    filled = close[known]
    return np.asarray(equity_usd * filled / filled[0])
