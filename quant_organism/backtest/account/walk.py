"""An account over a window: the compiled walk between two states of an `AccountBook`, and what it wrote down."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest.account.book import (
    STOP,
    TARGET,
    AccountBook,
    LegKey,
    StandingOrder,
    SubAccount,
    digest_on,
    leg_name,
    lines_record,
    units_record,
)
from quant_organism.backtest.account.model import UNLIMITED, FillModel
from quant_organism.backtest.account.risk import RiskState
from quant_organism.backtest.account.walk_kernel import walk_account
from quant_organism.backtest.account.walk_layout import (
    CASH,
    DAYS,
    EXECUTION_CASH,
    EXECUTION_LOTS,
    FROZEN,
    GONE,
    GROWTH,
    KINDS,
    LOCKED,
    LOTS,
    MARK,
    MOVED,
    N_ASSET_COLUMNS,
    N_FILL_COLUMNS,
    N_LEG_COLUMNS,
    N_LINE_COLUMNS,
    N_MONEY,
    N_RISK,
    N_RISK_FLOATS,
    NUMBER,
    ORDERED,
    POSITION,
    REFERENCE,
    RESTORED,
    SCALE,
    SET,
    STOP_LEVEL,
    STOP_LOTS,
    TARGET_LEVEL,
    TARGET_LOTS,
    Floats,
    Ints,
    WalkAssets,
    WalkBars,
    WalkLegs,
    WalkRecords,
    WalkRoom,
    WalkState,
)
from quant_organism.backtest.account.window import AccountMarket, VirtualWindow
from quant_organism.errors import InputError

_LINES_OF_A_BAR, _FILLS_OF_A_BAR = 7, 4
_INT_RISK = (
    "time",
    "equity",
    "base",
    "peak",
    "halved",
    "stopped",
    "flat_since",
    "on_probation",
    "calm_since",
    "rearmed",
    "halved_until",
    "margin_is_short",
)
_FLAG_RISK = frozenset({"halved", "stopped", "on_probation", "rearmed", "margin_is_short"})
_FLAG_SETS = ((ORDERED, "ordered"), (FROZEN, "frozen"), (RESTORED, "restored"), (GONE, "gone"))


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
    legs, keys, members = _pack_legs(account, market, virtual)
    state = _pack_state(account, market.symbols, keys, members)
    bars, assets = _pack_bars(account, market, model), _pack_assets(account, market.symbols, model)
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
    _unpack_state(account, market.symbols, keys, members, state)
    _set_last_plan(account, virtual, rows - 1)
    return path


def _pack_legs(
    account: AccountBook, market: AccountMarket, virtual: VirtualWindow
) -> tuple[WalkLegs, list[LegKey], list[tuple[str, str]]]:
    # Legs of the window, and those that members of the account still hold or have moved.
    held = {(*member, symbol) for member, sub in account.members.items() for symbol in {*sub.lots, *sub.moved}} | set(
        account.benched
    )
    keys = sorted({*virtual.legs, *held}, key=lambda leg: (leg[2], leg[0], leg[1]))
    members = sorted({*account.members, *(key[:2] for key in keys)})
    rows = market.n_bars
    units, stops, targets = np.zeros((rows + 1, len(keys))), np.full((rows, len(keys)), np.nan), None
    targets = stops.copy()
    places = [keys.index(leg) for leg in virtual.legs] if len(keys) != len(virtual.legs) else slice(None)
    units[:, places], stops[:, places], targets[:, places] = virtual.units, virtual.stops, virtual.targets
    strategies = sorted({*virtual.strategies, *(key[0] for key in keys)})
    shares = np.zeros((rows + 1, len(strategies)))
    shares[:, [strategies.index(name) for name in virtual.strategies]] = virtual.shares
    symbols = [key[2] for key in keys]
    packed = WalkLegs(
        units,
        stops,
        targets,
        virtual.virtual_returns,
        shares,
        np.array([strategies.index(key[0]) for key in keys], dtype=np.int64),
        np.array([members.index(key[:2]) for key in keys], dtype=np.int64),
        np.searchsorted(np.array(symbols, dtype=object), [*market.symbols, chr(0x10FFFF)]).astype(np.int64)
        if keys
        else np.zeros(len(market.symbols) + 1, dtype=np.int64),
        np.array([key[:2] in virtual.stopless for key in keys], dtype=np.bool_),
    )
    return packed, keys, members


def _pack_bars(account: AccountBook, market: AccountMarket, model: FillModel) -> WalkBars:
    per_usd = np.array([account.assets[symbol].lot_price_per_usd for symbol in market.symbols])
    lots = np.array([account.assets[symbol].lots_per_unit for symbol in market.symbols])

    def lot_prices(prices: Floats) -> Ints:
        known = np.isfinite(prices)
        whole = np.floor(np.where(known, prices, 0.0) * per_usd + 0.5)
        return np.where(known, np.maximum(whole, 1.0), 0.0).astype(np.int64)

    closes = np.where(market.valid, market.close, np.nan)
    room = np.full(market.valid.shape, UNLIMITED, dtype=np.int64)
    if model.max_participation is not None:
        share = model.max_participation * (np.where(market.valid, market.volume, 0.0) * lots)
        room = np.floor(np.minimum(share, float(UNLIMITED))).astype(np.int64)
    return WalkBars(
        np.append(market.times, market.times[-1] + market.interval_ms),
        lot_prices(np.vstack([market.close_before, closes])),
        lot_prices(np.where(market.valid, market.open, np.nan)),
        lot_prices(np.where(market.valid, market.high, np.nan)),
        lot_prices(np.where(market.valid, market.low, np.nan)),
        room,
        np.ascontiguousarray(market.funding_long),
        np.ascontiguousarray(market.funding_short),
        np.ascontiguousarray(market.impact_rate),
        market.ended,
    )


def _pack_assets(account: AccountBook, symbols: tuple[str, ...], model: FillModel) -> WalkAssets:
    assets = [account.assets[symbol] for symbol in symbols]
    tiers = [asset.maintenance_rates() for asset in assets]
    table = np.zeros((3, len(assets), max(map(len, tiers))))
    for place, rows in enumerate(tiers):
        table[:, place, : len(rows)] = np.array(rows).T
    slippages = np.array([model.slippages(symbol) for symbol in symbols])
    return WalkAssets(
        np.array([asset.lots_per_unit for asset in assets]),
        np.array([asset.lot_price_per_usd for asset in assets]),
        np.array([asset.initial_rate(account.rules.leverage) for asset in assets]),
        np.array([round(np.log10(asset.lot_price_per_usd)) for asset in assets], dtype=np.int64),
        np.array([len(rows) for rows in tiers], dtype=np.int64),
        table[0],
        table[1],
        table[2],
        np.ascontiguousarray(slippages[:, 0]),
        np.ascontiguousarray(slippages[:, 1]),
        model.taker_fee,
        model.maker_fee,
    )


def _pack_state(
    account: AccountBook, symbols: tuple[str, ...], keys: list[LegKey], members: list[tuple[str, str]]
) -> WalkState:
    money = np.zeros(N_MONEY, dtype=np.int64)
    money[CASH], money[EXECUTION_CASH], money[NUMBER] = account.cash, account.execution.cash, account.number
    risk, floats = np.zeros(N_RISK, dtype=np.int64), np.zeros(N_RISK_FLOATS)
    risk[: len(_INT_RISK)] = [int(getattr(account.risk, name)) for name in _INT_RISK]
    daily = np.zeros(account.rules.volatility_days)
    kept = account.risk.daily[-daily.size :]
    daily[: len(kept)], risk[DAYS] = kept, len(kept)
    floats[SCALE], floats[GROWTH] = account.risk.scale, account.risk.growth
    assets = np.zeros((len(symbols), N_ASSET_COLUMNS), dtype=np.int64)
    for row, symbol in zip(assets, symbols, strict=True):
        row[POSITION], row[MARK] = account.positions.get(symbol, 0), account.marks.get(symbol, 0)
        row[REFERENCE], row[LOCKED] = account.references.get(symbol, 0), account.locked.get(symbol, 0)
        row[EXECUTION_LOTS] = account.execution.lots.get(symbol, 0)
        for column, name in _FLAG_SETS:
            row[column] = symbol in getattr(account, name)
        standing = account.resting.get(symbol, {})
        for kind, lots, level in ((STOP, STOP_LOTS, STOP_LEVEL), (TARGET, TARGET_LOTS, TARGET_LEVEL)):
            if kind in standing:
                row[lots], row[level] = standing[kind].lots, standing[kind].level
    legs = np.zeros((len(keys), N_LEG_COLUMNS), dtype=np.int64)
    for row, key in zip(legs, keys, strict=True):
        sub = account.members.get(key[:2], SubAccount())
        row[LOTS], row[MOVED] = sub.lots.get(key[2], 0), sub.moved.get(key[2], 0)
    return WalkState(
        money,
        risk,
        floats,
        daily,
        assets,
        legs,
        np.array([account.benched.get(key, 0.0) for key in keys]),
        np.array([account.members.get(key, SubAccount()).cash for key in members], dtype=np.int64),
        np.array([key in account.members for key in members], dtype=np.bool_),
    )


def _unpack_state(
    account: AccountBook,
    symbols: tuple[str, ...],
    keys: list[LegKey],
    members: list[tuple[str, str]],
    state: WalkState,
) -> None:
    account.cash, account.execution.cash, account.number = (int(amount) for amount in state.money)
    whole = {
        name: bool(value) if name in _FLAG_RISK else int(value)
        for name, value in zip(_INT_RISK, state.risk, strict=False)
    }
    daily = tuple(state.daily[: state.risk[DAYS]].tolist())
    account.risk = RiskState(
        **whole,  # type: ignore[arg-type]
        scale=float(state.risk_floats[SCALE]),
        growth=float(state.risk_floats[GROWTH]),
        daily=daily,
    )

    def column(number: int) -> dict[str, int]:
        return {symbol: int(row[number]) for symbol, row in zip(symbols, state.assets, strict=True) if row[number]}

    account.positions, account.marks = column(POSITION), column(MARK)
    account.references, account.locked = column(REFERENCE), column(LOCKED)
    account.execution.lots = column(EXECUTION_LOTS)
    for number, name in _FLAG_SETS:
        setattr(account, name, set(column(number)))
    account.resting = {}
    for kind, lots, level in ((STOP, STOP_LOTS, STOP_LEVEL), (TARGET, TARGET_LOTS, TARGET_LEVEL)):
        for symbol, count in column(lots).items():
            account.resting.setdefault(symbol, {})[kind] = StandingOrder(count, column(level)[symbol])
    account.members = {
        key: SubAccount(int(cash))
        for key, cash, known in zip(members, state.member_cash, state.member_known, strict=True)
        if known
    }
    for key, row in zip(keys, state.legs, strict=True):
        if row[LOTS]:
            account.members[key[:2]].lots[key[2]] = int(row[LOTS])
        if row[MOVED]:
            account.members[key[:2]].moved[key[2]] = int(row[MOVED])
    account.benched = {key: float(units) for key, units in zip(keys, state.benched, strict=True) if units}
    for symbol in {symbols[place] for place in np.flatnonzero(state.assets[:, REFERENCE])}:
        account.rejects.pop(symbol, None)


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
