"""One book, bar by bar: rules X1 to X6 of docs/execution.md. The evaluator and the stream both walk in these steps."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.layout import (
    DELISTED,
    ENTRY_BAR,
    ENTRY_PRICE,
    EXIT_BAR,
    EXIT_PRICE,
    FEES,
    FUNDING,
    OPEN,
    PNL,
    QUANTITY,
    REASON,
    RETURN,
    RUINED,
    SIDE,
    SIGNAL,
)
from quant_organism.kernels.compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

# What is known of an asset between two bars: what is held, what is still to be traded, the last close and its row, what
# was decided last, the trade that is under way, and what the last bar brought.
HELD = 0
WANTED = 1
PENDING = 2
MARK = 3
LATEST = 4
UNITS = 5
GUARD = 6
OPENED = 7
OPENED_VALUE = 8
CLOSED = 9
CLOSED_VALUE = 10
PAID_FEES = 11
PAID_FUNDING = 12
ENTRY_ROW = 13
ENTRY_EQUITY = 14
GAIN = 15
BOUGHT = 16
PRICE = 17
FEE = 18
N_BOOK = 19

ASSET = REASON + 1
N_BOOK_TRADE = ASSET + 1
"""Columns of a recorded trade of a book: those of `layout`, entry and exit by row of the panel, and the asset."""

GUARD_DISTANCE: Final = 0.5
"""How far from the close of a decision the level stands that guards an account against disaster."""

GONE_HOURS: Final = 24
"""Time without a bar after which an asset counts as delisted."""


class BookFriction(NamedTuple):
    """What trading costs.

    Parameters
    ----------
    taker_fee, slippage
        Fractions.
    participation
        Largest share of a bar's volume that orders take; infinite where they fill at once.
    impact
        Further slippage of a fill that takes a whole bar's volume, as a fraction.
    gone_rows
        Rows without a bar after which an asset counts as delisted.
    """

    taker_fee: float
    slippage: float
    participation: float
    impact: float
    gone_rows: int


def new_book(assets: int) -> Floats:
    """Return a flat book, shape (N, N_BOOK)."""
    book = np.zeros((assets, N_BOOK))
    book[:, LATEST] = -math.inf
    return book


@compiled
def trade_book_bar(
    row: int,
    opens: Floats,
    close: Floats,
    volume: Floats,
    paid: Floats,
    valid: Flags,
    decides: bool,
    equity: float,
    friction: BookFriction,
    book: Floats,
    trades: Floats,
    count: int,
) -> tuple[float, int]:
    """Fill what is wanted at the opens, mark the book at the closes, and return equity and number of trades ended.

    Parameters
    ----------
    row
        Place of the bar on the time grid.
    opens, close, volume, paid, valid
        Of each asset: prices, base volume per unit of capital, funding paid per unit of notional, and whether it has
        this bar; shape (N,).
    decides
        Whether the book decides at this close: then what is held of delisted assets is sold first.
    equity
        At the close before, positive.
    friction
        What trading costs.
    book
        Moved to the close, shape (N, N_BOOK); `GAIN` is what each asset brought as a fraction of `equity`.
    trades, count
        Written as far as they reach: trades that ended, shape (any, N_BOOK_TRADE), after the `count` first.
    """
    total = 0.0
    for a in range(valid.size):
        book[a, GAIN] = book[a, BOUGHT] = book[a, FEE] = 0.0
        earned = 0.0
        if valid[a]:
            held = book[a, HELD]
            if held != 0.0:
                earned = held * (close[a] - book[a, MARK])
            if book[a, PENDING] != 0.0:
                amount, slippage = book[a, WANTED] - held, friction.slippage
                after = book[a, WANTED]
                if friction.participation < np.inf:
                    room = friction.participation * volume[a]
                    if abs(amount) > room:
                        amount = math.copysign(room, amount)
                        after = held + amount
                    if amount != 0.0:
                        slippage += friction.impact * math.sqrt(abs(amount) / volume[a])
                if after == book[a, WANTED]:
                    book[a, PENDING] = 0.0
                if amount != 0.0:
                    price = opens[a] * (1.0 + math.copysign(slippage, amount))
                    fee = friction.taker_fee * abs(amount) * price
                    earned += amount * (close[a] - price) - fee
                    count = _fill(a, row, amount, after, price, fee, SIGNAL, equity, book, trades, count)
            if book[a, HELD] != 0.0:
                funding = book[a, HELD] * close[a] * paid[a]
                book[a, PAID_FUNDING] += funding
                earned -= funding
            book[a, MARK], book[a, LATEST] = close[a], row
        elif decides and book[a, HELD] != 0.0 and row - book[a, LATEST] >= friction.gone_rows:
            amount = -book[a, HELD]
            price = book[a, MARK] * (1.0 + math.copysign(friction.slippage, amount))
            fee = friction.taker_fee * abs(amount) * price
            earned = amount * (book[a, MARK] - price) - fee
            book[a, PENDING] = 0.0
            count = _fill(a, row, amount, 0.0, price, fee, DELISTED, equity, book, trades, count)
        book[a, GAIN] = earned / equity
        total += earned
    after_bar = equity + total
    if after_bar > 0.0:
        return after_bar, count
    # Rule X5: what more was lost than there was is nobody's.
    lost = 0.0
    for a in range(valid.size):
        lost -= book[a, GAIN]
    for a in range(valid.size):
        book[a, GAIN] /= lost
        if book[a, HELD] != 0.0:
            count = _fill(a, row, -book[a, HELD], 0.0, book[a, MARK], 0.0, RUINED, equity, book, trades, count)
        book[a, PENDING] = book[a, UNITS] = book[a, BOUGHT] = 0.0
    return 0.0, count


@compiled
def decide_book(equity: float, weights: Floats, band: float, book: Floats) -> None:
    """Say at a close what the book wants to hold from the next opens on.

    Parameters
    ----------
    equity
        At this close.
    weights
        Shares of equity wanted, signed, shape (N,).
    band
        Difference to the wanted position, over the mean position, up to which nothing is traded.
    book
        Written.
    """
    legs = 0
    for a in range(weights.size):
        legs += 1 if weights[a] != 0.0 else 0
    for a in range(weights.size):
        mark, held = book[a, MARK], book[a, HELD]
        book[a, PENDING] = book[a, UNITS] = book[a, GUARD] = 0.0
        if equity <= 0.0 or (weights[a] == 0.0 and held == 0.0):
            continue
        wanted = weights[a] * equity
        if weights[a] == 0.0 or abs(wanted - held * mark) > band * equity / legs:
            book[a, WANTED] = wanted / mark
            book[a, PENDING] = 1.0
            held = book[a, WANTED]
        book[a, UNITS] = held / equity
        if held != 0.0:
            book[a, GUARD] = mark * (1.0 - math.copysign(GUARD_DISTANCE, held))


@compiled
def end_book(row: int, equity: float, book: Floats, trades: Floats, count: int) -> int:
    """Record what is still held as open trades, and return the number of trades; the book is spent afterwards."""
    for a in range(book.shape[0]):
        if book[a, HELD] != 0.0:
            at = int(book[a, LATEST])
            count = _fill(a, at, -book[a, HELD], 0.0, book[a, MARK], 0.0, OPEN, equity, book, trades, count)
    return count


@compiled
def _fill(
    a: int,
    row: int,
    amount: float,
    after: float,
    price: float,
    fee: float,
    reason: int,
    equity: float,
    book: Floats,
    trades: Floats,
    count: int,
) -> int:
    # A fill that passes through zero ends one trade and begins another; its fee is shared by quantity.
    held = book[a, HELD]
    book[a, BOUGHT], book[a, PRICE], book[a, FEE] = amount, price, fee
    rest, rest_fee = abs(amount), fee
    if held * amount < 0.0:
        part = min(rest, abs(held)) if held * after >= 0.0 and after != 0.0 else abs(held)
        own_fee = fee * min(part / rest, 1.0)
        book[a, CLOSED] += part
        book[a, CLOSED_VALUE] += part * price
        book[a, PAID_FEES] += own_fee
        rest, rest_fee = abs(after) if held * after < 0.0 else 0.0, fee - own_fee
        if held * after <= 0.0:
            count = _record(a, row, 1.0 if held > 0.0 else -1.0, reason, book, trades, count)
            book[a, OPENED] = book[a, OPENED_VALUE] = book[a, CLOSED] = book[a, CLOSED_VALUE] = 0.0
            book[a, PAID_FEES] = book[a, PAID_FUNDING] = 0.0
            held = 0.0
    if rest > 0.0:
        if held == 0.0:
            book[a, ENTRY_ROW], book[a, ENTRY_EQUITY] = row, equity
        book[a, OPENED] += rest
        book[a, OPENED_VALUE] += rest * price
        book[a, PAID_FEES] += rest_fee
    book[a, HELD] = after
    return count


@compiled
def _record(a: int, row: int, side: float, reason: int, book: Floats, trades: Floats, count: int) -> int:
    if count < trades.shape[0]:
        trade = trades[count]
        pnl = side * (book[a, CLOSED_VALUE] - book[a, OPENED_VALUE]) - book[a, PAID_FEES] - book[a, PAID_FUNDING]
        trade[ENTRY_BAR], trade[EXIT_BAR], trade[SIDE] = book[a, ENTRY_ROW], row, side
        trade[QUANTITY] = book[a, OPENED]
        trade[ENTRY_PRICE] = book[a, OPENED_VALUE] / book[a, OPENED]
        trade[EXIT_PRICE] = book[a, CLOSED_VALUE] / book[a, CLOSED]
        trade[FEES], trade[FUNDING], trade[PNL] = book[a, PAID_FEES], book[a, PAID_FUNDING], pnl
        trade[RETURN], trade[REASON], trade[ASSET] = pnl / book[a, ENTRY_EQUITY], reason, a
    return count + 1
