"""How the compiled walk takes up an account and its window, and leaves the account again."""

from __future__ import annotations

import numpy as np

from quant_organism.backtest.account.book import (
    STOP,
    TARGET,
    AccountBook,
    LegKey,
    StandingOrder,
    SubAccount,
)
from quant_organism.backtest.account.limits import MOST_RECENT
from quant_organism.backtest.account.model import UNLIMITED, FillModel
from quant_organism.backtest.account.risk import RiskState
from quant_organism.backtest.account.walk_layout import (
    CASH,
    DAYS,
    EXECUTION_CASH,
    EXECUTION_LOTS,
    FROZEN,
    GAINS,
    GONE,
    GROWTH,
    LOCKED,
    LOSING_EXITS,
    LOTS,
    MARK,
    MOVED,
    N_ASSET_COLUMNS,
    N_LEG_COLUMNS,
    N_MONEY,
    N_RISK,
    N_RISK_FLOATS,
    NUMBER,
    ORDERED,
    POSITION,
    RECENT,
    REFERENCE,
    RESTORED,
    SCALE,
    SPENT,
    STOP_LEVEL,
    STOP_LOTS,
    TAIL,
    TARGET_LEVEL,
    TARGET_LOTS,
    Floats,
    Ints,
    WalkAssets,
    WalkBars,
    WalkLegs,
    WalkState,
)
from quant_organism.backtest.account.window import AccountMarket, VirtualWindow

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
    "day",
    "paused_until",
    "eased_until",
)
_FLAG_RISK = frozenset({"halved", "stopped", "on_probation", "rearmed", "margin_is_short"})
_FLAG_SETS = ((ORDERED, "ordered"), (FROZEN, "frozen"), (RESTORED, "restored"), (GONE, "gone"))


def pack_legs(
    account: AccountBook, market: AccountMarket, virtual: VirtualWindow
) -> tuple[WalkLegs, list[LegKey], list[tuple[str, str]]]:
    """Return the legs of a window and those that members still hold or have moved, their keys, and all members."""
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
        virtual.restraints,
    )
    return packed, keys, members


def pack_bars(account: AccountBook, market: AccountMarket, model: FillModel) -> WalkBars:
    """Return the bars of a window, prices as lot prices."""
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


def pack_assets(account: AccountBook, symbols: tuple[str, ...], model: FillModel) -> WalkAssets:
    """Return what the venue says of the assets, and what fills cost there."""
    assets = [account.assets[symbol] for symbol in symbols]
    tiers = [asset.maintenance_rates for asset in assets]
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


def pack_state(
    account: AccountBook, symbols: tuple[str, ...], keys: list[LegKey], members: list[tuple[str, str]]
) -> WalkState:
    """Return an account as arrays."""
    money = np.zeros(N_MONEY, dtype=np.int64)
    money[CASH], money[EXECUTION_CASH], money[NUMBER] = account.cash, account.execution.cash, account.number
    risk, floats = np.zeros(N_RISK, dtype=np.int64), np.zeros(N_RISK_FLOATS)
    risk[: len(_INT_RISK)] = [int(getattr(account.risk, name)) for name in _INT_RISK]
    daily = np.zeros(account.rules.volatility_days)
    kept = account.risk.daily[-daily.size :]
    daily[: len(kept)], risk[DAYS] = kept, len(kept)
    gains = np.zeros(account.rules.volatility_days)
    own = account.risk.gains[-gains.size :]
    gains[: len(own)], risk[GAINS] = own, len(own)
    exits = np.zeros(account.rules.rapid_exits, dtype=np.int64)
    lost = account.risk.losing_exits[-exits.size :]
    exits[: len(lost)], risk[LOSING_EXITS] = lost, len(lost)
    recent = np.zeros((MOST_RECENT, 2), dtype=np.int64)
    known = account.risk.recent[-MOST_RECENT:]
    recent[: len(known)], risk[RECENT] = np.array(known, dtype=np.int64).reshape(-1, 2), len(known)
    floats[SCALE], floats[GROWTH], floats[TAIL] = account.risk.scale, account.risk.growth, account.risk.tail
    assets = np.zeros((len(symbols), N_ASSET_COLUMNS), dtype=np.int64)
    for row, symbol in zip(assets, symbols, strict=True):
        row[POSITION], row[MARK] = account.positions.get(symbol, 0), account.marks.get(symbol, 0)
        row[REFERENCE], row[LOCKED] = account.references.get(symbol, 0), account.locked.get(symbol, 0)
        row[SPENT] = account.spent.get(symbol, 0)
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
        gains,
        exits,
        recent,
        assets,
        legs,
        np.array([account.benched.get(key, 0.0) for key in keys]),
        np.array([account.members.get(key, SubAccount()).cash for key in members], dtype=np.int64),
        np.array([key in account.members for key in members], dtype=np.bool_),
    )


def unpack_state(
    account: AccountBook,
    symbols: tuple[str, ...],
    keys: list[LegKey],
    members: list[tuple[str, str]],
    state: WalkState,
) -> None:
    """Write arrays back into the account that they were made of."""
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
        losing_exits=tuple(state.losing_exits[: state.risk[LOSING_EXITS]].tolist()),
        recent=tuple((time, equity) for time, equity in state.recent[: state.risk[RECENT]].tolist()),
        gains=tuple(state.gains[: state.risk[GAINS]].tolist()),
        tail=float(state.risk_floats[TAIL]),
    )

    def column(number: int) -> dict[str, int]:
        return {symbol: int(row[number]) for symbol, row in zip(symbols, state.assets, strict=True) if row[number]}

    account.positions, account.marks, account.spent = column(POSITION), column(MARK), column(SPENT)
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
