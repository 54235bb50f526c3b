"""The plan: from virtual units to orders, pure and exact (rules A1 to A6 and A8 to A12 of docs/execution.md).

Sums run in the order of keys, so that neither the order of members nor that of assets changes a bit. Amounts are in
micro-USD and prices are lot prices (`rules.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from operator import itemgetter

from quant_organism.backtest.account.book import IOC, AccountBook, LegKey, client_id, order_line
from quant_organism.backtest.account.limits import at_close
from quant_organism.backtest.account.risk import Restraint, RiskState
from quant_organism.backtest.account.rules import AccountRules, TradedAsset
from quant_organism.backtest.account.splits import split_to, towards_zero

_NO_LEGS: Set[tuple[str, str]] = frozenset()
_NO_RESTRAINT = Restraint()


@dataclass(frozen=True)
class AccountClose:
    """What an account knows at a close.

    Parameters
    ----------
    time
        The close, UTC milliseconds.
    prices
        Close of each symbol that has a bar, USD.
    units
        Virtual units per unit of equity of each leg that is in a trade (A1); weights of members are in them.
    shares
        Of each strategy its share of the equity; 1 where it has the account alone.
    virtual_return
        Of the virtual book in the bar that closes here, shares counted.
    stopless
        Members, as (strategy, member), whose levels are no stops of their own.
    restraint
        What is held against the targets from outside.
    """

    time: int
    prices: Mapping[str, float]
    units: Mapping[LegKey, float]
    shares: Mapping[str, float]
    virtual_return: float = 0.0
    stopless: Set[tuple[str, str]] = field(default=_NO_LEGS)
    restraint: Restraint = _NO_RESTRAINT


@dataclass(frozen=True)
class AccountOrder:
    """An order that fills at once or not at all (IOC).

    Parameters
    ----------
    symbol, lots
        What to buy, negative to sell.
    limit
        Lot price that it may fill at, at worst.
    reduces
        Whether it only makes the position smaller; sent as reduce-only.
    cloid
        Its identity at the venue.
    """

    symbol: str
    lots: int
    limit: int
    reduces: bool
    cloid: str


@dataclass(frozen=True)
class Plan:
    """What an account wants at a close.

    Parameters
    ----------
    close
        What it was made from.
    number
        Its place among all plans and sets of resting orders.
    risk
        At this close.
    marks
        Lot prices at this close, by symbol.
    targets
        Net lots wanted of each symbol that could be planned.
    lots
        Of these what each leg answers for.
    orders
        To send, in this order.
    benched, locked
        As in `AccountBook`, after this close.
    at_cap
        Whether a cap made anything smaller.
    """

    close: AccountClose
    number: int
    risk: RiskState
    marks: Mapping[str, int]
    targets: Mapping[str, int]
    lots: Mapping[LegKey, int]
    orders: tuple[AccountOrder, ...]
    benched: Mapping[LegKey, float]
    locked: Mapping[str, int]
    at_cap: bool

    def lines(self) -> list[str]:
        """Return the order lines that the second digest is made of."""
        return [order_line(self.close.time, order.symbol, IOC, order.lots, order.limit) for order in self.orders]


def plan(book: AccountBook, close: AccountClose) -> Plan:
    """Say what to trade at a close; the book stays as it is.

    Planned again at the same close, whatever has filled since, it is measured against the same equity.

    Parameters
    ----------
    book
        The account.
    close
        Prices and virtual units.
    """
    rules, assets = book.rules, book.assets
    marks = dict(book.marks)
    for symbol in sorted(close.prices):
        marks[symbol] = assets[symbol].lot_price(close.prices[symbol])
    risk = at_close(
        book.risk,
        rules,
        time=close.time,
        equity=book.equity(marks),
        maintenance=book.maintenance(marks),
        flat=not book.positions,
        virtual_return=close.virtual_return,
    )
    benched = {key: units for key, units in book.benched.items() if close.units.get(key, 0.0) == units}
    active = {
        key: units
        for key, units in sorted(close.units.items(), key=itemgetter(0))
        if units != 0.0 and key not in benched and key[2] in marks
    }
    open_now = {symbol for symbol in close.prices if symbol not in book.frozen and symbol not in book.gone}
    wanted, quotas, at_cap = _wanted(active, close, marks, risk, book, open_now)
    entry = min(risk.entry(rules), close.restraint.entry)
    locked = _still_locked(book.locked, active, close.shares)

    targets: dict[str, int] = {}
    lots: dict[LegKey, int] = {}
    legs_of: dict[str, list[LegKey]] = {}
    for key in quotas:
        legs_of.setdefault(key[2], []).append(key)
    for symbol in sorted(open_now):
        held, whole = book.positions.get(symbol, 0), towards_zero(wanted.get(symbol, 0.0))
        target = _grown(whole, held, 0.0 if symbol in locked else entry)
        targets[symbol] = target
        legs = legs_of.get(symbol, [])
        kept = target / whole if whole else 1.0
        for key, part in zip(legs, split_to(target, [quotas[key] * kept for key in legs]) if legs else [], strict=True):
            lots[key] = part
    orders = _orders(book, close.time, risk, marks, targets)
    return Plan(close, book.number, risk, marks, targets, lots, orders, benched, locked, at_cap)


def _wanted(
    units: Mapping[LegKey, float],
    close: AccountClose,
    marks: Mapping[str, int],
    risk: RiskState,
    book: AccountBook,
    open_now: Set[str],
) -> tuple[dict[str, float], dict[LegKey, float], bool]:
    # A4, steps 1 to 7: net lots of each symbol that can be traded, and of each leg its part, not yet whole; and whether
    # a cap made anything smaller. Units come in the order of their keys, and so do the parts.
    rules, assets, equity = book.rules, book.assets, float(max(risk.equity, 0))
    strategies = sorted({strategy for strategy, _, _ in units})
    symbols = sorted({symbol for _, _, symbol in units})
    scales = {name: close.shares[name] * risk.scale * (risk.base / 1e6) for name in strategies}
    sums: dict[str, dict[str, float]] = {name: {} for name in strategies}
    for (strategy, _, symbol), held in units.items():
        own = sums[strategy]
        own[symbol] = own.get(symbol, 0.0) + held
    cuts: dict[str, float] = {}
    totals = dict.fromkeys(symbols, 0.0)
    for strategy in strategies:
        own, scale = sums[strategy], scales[strategy]
        lots = {symbol: scale * own[symbol] * assets[symbol].lots_per_unit for symbol in sorted(own)}
        gross = 0.0
        for symbol, amount in lots.items():
            gross += abs(amount * marks[symbol])
        most = rules.strategy_cap * equity
        cut = cuts[strategy] = most / gross if gross > most else 1.0
        for symbol, amount in lots.items():
            totals[symbol] += amount * cut
    net: dict[str, float] = {}
    clips: dict[str, float] = {}
    for symbol in symbols:
        total = totals[symbol]
        value, most = abs(total) * marks[symbol], rules.asset_cap * equity
        clips[symbol] = most / value if value > most else 1.0
        net[symbol] = total * clips[symbol]
    fitted = _fitted(net, marks, rules, book, equity, open_now)
    at_cap = min((fitted, *cuts.values(), *clips.values())) < 1.0
    for symbol in symbols:
        side = close.restraint.long if net[symbol] > 0.0 else close.restraint.short
        net[symbol] *= side
        clips[symbol] *= side
    factor = fitted * risk.factor(rules)
    wanted = {symbol: net[symbol] * factor for symbol in symbols if symbol in open_now}
    quotas = {
        key: scales[key[0]] * held * assets[key[2]].lots_per_unit * (cuts[key[0]] * clips[key[2]] * factor)
        for key, held in units.items()
        if key[2] in open_now
    }
    return wanted, quotas, at_cap


def _fitted(
    net: Mapping[str, float],
    marks: Mapping[str, int],
    rules: AccountRules,
    book: AccountBook,
    equity: float,
    open_now: Set[str],
) -> float:
    # A4, steps 5 and 6: what all positions are scaled with. What cannot be traded counts, and cannot be scaled.
    gross = margin = stuck = stuck_margin = 0.0
    for symbol in sorted(book.assets):
        rate = book.assets[symbol].initial_rate(rules.leverage)
        if symbol in open_now:
            value = abs(net.get(symbol, 0.0)) * marks[symbol]
            gross += value
            margin += value * rate
        elif symbol in book.positions:
            value = float(abs(book.positions[symbol]) * marks[symbol])
            stuck += value
            stuck_margin += value * rate
    room = max(rules.gross_cap * equity - stuck, 0.0)
    factor = room / gross if gross > room else 1.0
    room = max(rules.margin_cap * equity - stuck_margin, 0.0)
    return factor * (room / (margin * factor)) if margin * factor > room else factor


def _still_locked(
    locked: Mapping[str, int], units: Mapping[LegKey, float], shares: Mapping[str, float]
) -> dict[str, int]:
    # A liquidated asset opens again when its virtual net has been 0 or of the other sign.
    nets = virtual_nets(units, shares) if locked else {}
    return {symbol: sign for symbol, sign in locked.items() if nets.get(symbol, 0.0) * sign > 0.0}


def virtual_nets(units: Mapping[LegKey, float], shares: Mapping[str, float]) -> dict[str, float]:
    """Return the virtual net of each symbol per unit of equity, summed in the order of keys."""
    nets: dict[str, float] = {}
    for strategy, member, symbol in sorted(units):
        nets[symbol] = nets.get(symbol, 0.0) + shares[strategy] * units[strategy, member, symbol]
    return nets


def _grown(target: int, held: int, entry: float) -> int:
    # What of a target lies between 0 and what is held, or is no more than a share of it.
    kept = min(abs(target), abs(held)) if target * held > 0 else 0
    size = max(kept, math.floor(abs(target) * entry))
    return size if target > 0 else -size


def _orders(
    book: AccountBook, time: int, risk: RiskState, marks: Mapping[str, int], targets: Mapping[str, int]
) -> tuple[AccountOrder, ...]:
    # A5 and A6: reductions first, then increases, each by symbol.
    reductions: list[AccountOrder] = []
    increases: list[AccountOrder] = []
    for symbol in sorted(targets):
        held = book.positions.get(symbol, 0)
        lots = traded_lots(
            book.assets[symbol],
            book.rules,
            held=held,
            target=targets[symbol],
            mark=marks[symbol],
            equity=risk.equity,
            whatever_the_band=symbol in book.restored,
        )
        if lots == 0:
            continue
        reduces = held * lots < 0 and abs(lots) <= abs(held)
        limit = limit_price(book.assets[symbol], marks[symbol], lots, book.rules.slippage_bound)
        cloid = client_id(book.account, time, symbol, IOC, book.number)
        order = AccountOrder(symbol, lots, limit, reduces, cloid)
        (reductions if abs(held + lots) < abs(held) else increases).append(order)
    return (*reductions, *increases)


def traded_lots(
    asset: TradedAsset,
    rules: AccountRules,
    *,
    held: int,
    target: int,
    mark: int,
    equity: int,
    whatever_the_band: bool = False,
) -> int:
    """Return the lots to buy, negative to sell, that lead from a position to its target, or 0 where that waits (A5)."""
    delta = target - held
    if delta == 0:
        return 0
    if target == 0:
        return delta
    limit = limit_price(asset, mark, delta, rules.slippage_bound)
    if held * target < 0:
        return delta if abs(target) * limit >= rules.least_order else -held
    if abs(delta) * limit < rules.least_order:
        return 0
    exceeds = abs(held) * mark > (1.0 + rules.cap_excess) * (rules.asset_cap * max(equity, 0))
    waits = abs(delta) * mark < rules.order_band * equity and not (exceeds and abs(target) < abs(held))
    return 0 if waits and not whatever_the_band else delta


def limit_price(asset: TradedAsset, mark: int, lots: int, bound: float) -> int:
    """Return the lot price that an order may fill at, at worst: the close and the bound, rounded inwards (A6)."""
    return asset.legal(mark * (1.0 + bound), up=False) if lots > 0 else asset.legal(mark * (1.0 - bound), up=True)
