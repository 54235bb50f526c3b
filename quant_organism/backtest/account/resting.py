"""The two orders that rest for each position: a stop for all of it, a target for its members' part (rule A7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from quant_organism.backtest.account.book import STOP, TARGET, AccountBook, LegKey, StandingOrder, client_id, order_line
from quant_organism.backtest.account.rules import TradedAsset
from quant_organism.backtest.account.splits import towards_zero


class LegLevels(NamedTuple):
    """Prices in USD at which a leg leaves by itself; NaN where it has none.

    Parameters
    ----------
    stop
        The nearest of fixed stop, trailing stop and liquidation.
    target
        Where it takes its profit.
    """

    stop: float
    target: float


@dataclass(frozen=True)
class RestingChange:
    """A standing order to place, to replace, or to take away.

    Parameters
    ----------
    symbol, kind
        Which of the two orders of which asset.
    order
        What shall stand; none: take away what stands. The new one is placed before the old is cancelled.
    cloid
        Its identity at the venue; empty where it is taken away.
    """

    symbol: str
    kind: str
    order: StandingOrder | None
    cloid: str


@dataclass(frozen=True)
class RestingPlan:
    """What changes in the resting orders after fills.

    Parameters
    ----------
    time
        The close that was planned last.
    number
        Its place among all plans and sets of resting orders.
    changes
        In the order of symbols, the stop first.
    """

    time: int
    number: int
    changes: tuple[RestingChange, ...]

    def lines(self) -> list[str]:
        """Return the order lines that the second digest is made of."""
        return [
            order_line(self.time, change.symbol, change.kind, change.order.lots, change.order.level)
            for change in self.changes
            if change.order is not None
        ]


def plan_resting(
    book: AccountBook, levels: Mapping[LegKey, LegLevels], symbols: Iterable[str] | None = None
) -> RestingPlan:
    """Say which resting orders change, given the positions as they are; the book stays as it is.

    Parameters
    ----------
    book
        The account after its fills.
    levels
        Of the legs that were planned last, as they stand in the bar that has begun.
    symbols
        Assets to look at; all that have a position or an order without.
    """
    looked_at = {*book.positions, *book.resting} if symbols is None else set(symbols)
    legs: dict[str, list[LegKey]] = {}
    for key in sorted(book.units):
        legs.setdefault(key[2], []).append(key)
    balances = _balances(book)
    changes = []
    for symbol in sorted(looked_at):
        standing = book.resting.get(symbol, {})
        due = _due_orders(book, levels, symbol, legs.get(symbol, []), balances)
        for kind in (STOP, TARGET):
            before, after = standing.get(kind), due.get(kind)
            if before is not None and after is not None and not _moved(book, before, after):
                continue
            if before is None and after is None:
                continue
            cloid = client_id(book.account, book.risk.time, symbol, kind, book.number) if after else ""
            changes.append(RestingChange(symbol, kind, after, cloid))
    return RestingPlan(book.risk.time, book.number, tuple(changes))


def _due_orders(
    book: AccountBook,
    levels: Mapping[LegKey, LegLevels],
    symbol: str,
    legs: Sequence[LegKey],
    balances: Mapping[str, float],
) -> dict[str, StandingOrder]:
    # The orders that a position asks for, by kind; none without a position.
    held = book.positions.get(symbol, 0)
    if held == 0:
        return {}
    asset, side = book.assets[symbol], 1 if held > 0 else -1
    stops = stop_weights = targets = target_weights = 0.0
    for key in legs:
        units, leg = book.units[key], levels.get(key)
        if units * side <= 0.0 or leg is None or key in book.benched:
            continue
        weight = book.shares[key[0]] * abs(units)
        if leg.stop == leg.stop:
            stops += weight * leg.stop
            stop_weights += weight
        if leg.target == leg.target:
            targets += weight * leg.target
            target_weights += weight
    orders = {STOP: StandingOrder(-held, _stop_level(book, symbol, side, stops, stop_weights, balances[symbol]))}
    if target_weights > 0.0 and symbol not in book.frozen:
        lots = target_weights * book.risk.scale * (book.risk.base / 1e6) * asset.lots_per_unit
        size = min(towards_zero(lots), abs(held))
        level = asset.legal(max(targets / target_weights, 0.0) * asset.lot_price_per_usd, up=side < 0)
        if size == abs(held) or size * level >= book.rules.least_order:
            orders[TARGET] = StandingOrder(-side * size, level)
    return orders


def cross_liquidation(book: AccountBook, symbol: str) -> float:
    """Return the lot price at which a move of this asset alone would liquidate the account; 0 or infinite: none.

    Equity and margins are counted at the last known prices.
    """
    return _cross_liquidation(book, symbol, _balances(book)[symbol])


def _balances(book: AccountBook) -> dict[str, float]:
    # Of each position the equity less the maintenance margins of all others at the last known prices, which are taken
    # away in the order of symbols.
    symbols = sorted(book.positions)
    margins = [
        book.assets[symbol].maintenance_margin(float(abs(book.positions[symbol]) * book.marks[symbol]))
        for symbol in symbols
    ]
    balances, before = {}, float(book.equity())
    for place, symbol in enumerate(symbols):
        balance = before
        for margin in margins[place + 1 :]:
            balance -= margin
        balances[symbol] = balance
        before -= margins[place]
    return balances


def _cross_liquidation(book: AccountBook, symbol: str, balance: float) -> float:
    held, mark, asset = book.positions[symbol], book.marks[symbol], book.assets[symbol]
    side, quantity = (1, float(held)) if held > 0 else (-1, float(-held))
    return liquidation_level(asset, side, quantity, float(mark), balance)


def liquidation_level(asset: TradedAsset, side: int, quantity: float, mark: float, balance: float) -> float:
    """Return the lot price at which `balance` and the profit since `mark` are the maintenance margin."""
    rows = asset.maintenance_rates
    for place, (bound, rate, deduction) in enumerate(rows):
        level = (mark - side * (balance + deduction) / quantity) / (1.0 - side * rate)
        notional = quantity * level
        if notional >= bound and (place + 1 == len(rows) or notional < rows[place + 1][0]):
            return level
    return 0.0 if side > 0 else float("inf")


def _stop_level(
    book: AccountBook,
    symbol: str,
    side: int,
    stops: float,
    weights: float,
    balance: float,
) -> int:
    asset, mark = book.assets[symbol], float(book.marks[symbol])
    level = mark * (1.0 - side * book.rules.default_stop)
    if weights > 0.0:
        level = stops / weights * asset.lot_price_per_usd
    liquidation = _cross_liquidation(book, symbol, balance)
    if 0.0 < liquidation < float("inf"):
        inside = liquidation + book.rules.liquidation_share * (mark - liquidation)
        level = side * max(side * level, side * inside)
    return asset.legal(max(level, 0.0), up=side > 0)


def _moved(book: AccountBook, before: StandingOrder, after: StandingOrder) -> bool:
    return before.lots != after.lots or abs(after.level - before.level) > book.rules.replace_band * before.level
