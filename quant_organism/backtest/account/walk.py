"""An account over a window: the compiled walk between two states of an `AccountBook`, and what it wrote down."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.account.book import (
    AccountBook,
    LegKey,
    digest_on,
    leg_name,
    lines_record,
    units_record,
)
from quant_organism.backtest.account.model import FillModel
from quant_organism.backtest.account.walk_kernel import walk_account
from quant_organism.backtest.account.walk_layout import (
    KINDS,
    N_FILL_COLUMNS,
    N_LINE_COLUMNS,
    SET,
    Floats,
    Ints,
    WalkLegs,
    WalkRecords,
    WalkRoom,
)
from quant_organism.backtest.account.walk_packing import (
    pack_assets,
    pack_bars,
    pack_legs,
    pack_state,
    unpack_state,
)
from quant_organism.backtest.account.window import AccountMarket, VirtualWindow
from quant_organism.errors import InputError

_LINES_OF_A_BAR, _FILLS_OF_A_BAR = 7, 4


@dataclass(frozen=True, eq=False)
class AccountPath:
    """What an account did over a window of T bars and N assets.

    Parameters
    ----------
    symbols
        The N assets.
    times
        Close before each bar and the last close, UTC milliseconds, shape (T + 1,).
    equity, execution
        Of the account, and profit of *execution*, at each close, micro-USD, shape (T + 1,).
    gross
        Notional of all positions at each close, micro-USD, shape (T + 1,).
    at_cap
        Whether a cap made the plan before a bar smaller, shape (T,).
    scale
        Risk scale of that plan, shape (T,).
    funding
        Paid in each bar, micro-USD, shape (T, N).
    lines, fills
        Orders and fills, columns by number in `walk_layout`.
    """

    symbols: tuple[str, ...]
    times: NDArray[np.int64]
    equity: Ints
    execution: Ints
    gross: Floats
    at_cap: NDArray[np.bool_]
    scale: Floats
    funding: Ints
    lines: Ints
    fills: Ints

    @cached_property
    def order_lines(self) -> list[str]:
        """The lines that the second digest is made of."""
        closes = [str(time) for time in self.times.tolist()]
        middles = [f"|{symbol}|{kind}|" for symbol in self.symbols for kind in KINDS]
        rows, assets, kinds, lots, levels, _ = self.lines.T
        places = (assets * len(KINDS) + kinds).tolist()
        columns = zip(rows.tolist(), places, lots.tolist(), levels.tolist(), strict=True)
        return [f"{closes[row]}{middles[place]}{count}|{level}" for row, place, count, level in columns]


def walk(
    account: AccountBook, market: AccountMarket, virtual: VirtualWindow, model: FillModel, *, digests: bool = True
) -> AccountPath:
    """Take an account over a window; the account is moved to its end.

    The same as a plan and a `trade_account_bar` for each bar, to the last bit.

    Parameters
    ----------
    account
        Of the assets of the market.
    market, virtual
        Bars and virtual positions of the window.
    model
        What fills cost.
    digests
        Whether to carry the account's digests on, which takes half of the time; without, they stay as they were.

    Raises
    ------
    InputError
        If account, market and virtual positions are not of the same assets and bars.
    """
    if tuple(sorted(account.assets)) != market.symbols:
        raise InputError(
            f"the account knows {', '.join(sorted(account.assets))}, the market {', '.join(market.symbols)}",
            where=f"account {account.account}",
        )
    if len(virtual.stops) != market.n_bars:
        raise InputError(f"virtual positions of {len(virtual.stops)} bars for a market of {market.n_bars}")
    legs, keys, members = pack_legs(account, market, virtual)
    state = pack_state(account, market.symbols, keys, members)
    bars, assets = pack_bars(account, market, model), pack_assets(account, market.symbols, model)
    rows, count = market.valid.shape
    records = WalkRecords(
        np.empty((_LINES_OF_A_BAR * rows * count, N_LINE_COLUMNS), dtype=np.int64),
        np.empty((_FILLS_OF_A_BAR * rows * count, N_FILL_COLUMNS), dtype=np.int64),
        np.zeros(2, dtype=np.int64),
        np.zeros(rows + 1, dtype=np.int64),
        np.zeros(rows + 1, dtype=np.int64),
        np.zeros(rows + 1),
        np.zeros(rows, dtype=np.bool_),
        np.zeros(rows),
        np.zeros((rows, count), dtype=np.int64),
    )
    walk_account(
        bars, legs, assets, account.rules, state, WalkRoom.empty(count, legs.shares.shape[1], len(keys)), records
    )
    path = AccountPath(
        market.symbols,
        bars.times,
        records.equity,
        records.execution,
        records.gross,
        records.at_cap,
        records.scale,
        records.funding,
        records.lines[: records.counts[0]].copy(),
        records.fills[: records.counts[1]].copy(),
    )
    if digests:
        account.h1 = _units_digest(account, legs, keys, bars.times)
        account.h2 = _lines_digest(account.h2, path)
    unpack_state(account, market.symbols, keys, members, state)
    _set_last_plan(account, virtual, rows - 1)
    return path


def _units_digest(account: AccountBook, legs: WalkLegs, keys: list[LegKey], times: NDArray[np.int64]) -> str:
    # The first record beside what was planned before, the others beside the close before, as `book` makes them.
    order = sorted(range(len(keys)), key=keys.__getitem__)
    first = {keys[place]: float(legs.units[0, place]) for place in order if legs.units[0, place]}
    digest = digest_on(account.h1, units_record(account.units, first, int(times[0])))
    units = legs.units[:-1, order]
    rows, places = np.nonzero(units[1:] != units[:-1])
    names = [leg_name(keys[place]) for place in order]
    raw = np.ascontiguousarray(units[rows + 1, places], dtype="<f8").tobytes()
    changes = [names[place] + raw[8 * at : 8 * at + 8] for at, place in enumerate(places.tolist())]
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    for start, stop in itertools.pairwise([*starts.tolist(), rows.size]):
        time = str(times[rows[start] + 1]).encode()
        digest = digest_on(digest, b"".join([time, *changes[start:stop]]))
    return digest


def _lines_digest(digest: str, path: AccountPath) -> str:
    lines, starts = path.order_lines, np.flatnonzero(np.diff(path.lines[:, SET], prepend=-1))
    for start, stop in itertools.pairwise([*starts.tolist(), len(lines)]):
        digest = digest_on(digest, lines_record(lines[start:stop]))
    return digest


def _set_last_plan(account: AccountBook, virtual: VirtualWindow, row: int) -> None:
    last = virtual.close(row, 0, {})
    account.units, account.shares, account.stopless = dict(last.units), dict(last.shares), set(last.stopless)
