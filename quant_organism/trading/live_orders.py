"""An account's orders as the venue takes them, and the venue's fills and money as the account books them. Pure.

An account counts in lots and micro-USD, the venue in coins and USD; both are exact, so that neither direction rounds.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from quant_organism.backtest.account import (
    BY_HAND,
    DELEVERAGED,
    IOC,
    LIQUIDATED,
    SETTLED,
    STOP,
    TARGET,
    AccountBook,
    AccountFill,
    AccountFunding,
    AccountOrder,
    CapitalPaid,
    CashTaken,
    StandingOrder,
    TradedAsset,
)
from quant_organism.errors import IntegrityError
from quant_organism.trading.orders.states import OrderRecord
from quant_organism.venue import FUNDING, CashFlow, Fill, Listed, NewOrder, Trigger
from quant_organism.venue.protocol import MICRO_USD

UNPROTECTED: Final = "unprotected"
"""Kind of the orders that close a position for which no stop can be placed."""
_USD_DECIMALS: Final = 6
_STOP_TOLERANCE: Final = 0.1
"""How far beyond its level a stop may fill, which goes to the market: the venue's own tolerance."""
_LOST: Final = frozenset({"liquidation", "accepted"})
"""Flows that are the account's loss; all others but funding are capital."""
_KINDS: Final = (IOC, STOP, TARGET, UNPROTECTED)


def order_name(kind: str, account: str, symbol: str, cloid: str) -> str:
    """Return the decision's name of an order: what it is can be told from the journal alone."""
    return f"{kind}|{account}|{symbol}|{cloid}"


def kind_of(record: OrderRecord, account: str) -> str | None:
    """Return what an order of the journal is for an account; None: it is none of its own."""
    kind, _, rest = record.decision_id.partition("|")
    return kind if kind in _KINDS and rest.startswith(f"{account}|{record.order.coin}|") else None


def traded_asset(listed: Listed) -> TradedAsset:
    """Return what an account knows of an asset as the venue lists it."""
    tiers = tuple((tier.lower_micro_usd / MICRO_USD, tier.max_leverage) for tier in listed.tiers)
    return TradedAsset(listed.sz_decimals, tiers)


def price_of(asset: TradedAsset, lot_price: int) -> Decimal:
    """Return the price in USD that a lot price stands for, exactly."""
    return Decimal(lot_price).scaleb(asset.sz_decimals - _USD_DECIMALS)


def size_of(asset: TradedAsset, lots: int) -> Decimal:
    """Return coins of a number of lots, exactly."""
    return Decimal(abs(lots)).scaleb(-asset.sz_decimals)


def lots_of(asset: TradedAsset, sz: Decimal, where: str) -> int:
    """Return the lots of a size.

    Raises
    ------
    IntegrityError
        It is no whole number of them: the venue has changed the asset's precision.
    """
    lots = sz.scaleb(asset.sz_decimals)
    if lots != int(lots):
        raise IntegrityError(f"{sz} is no whole number of lots", where=where, remedy="read the listings anew")
    return int(lots)


def micro(usd: Decimal) -> int:
    """Return whole micro-USD; the venue counts in them."""
    return int(usd.scaleb(_USD_DECIMALS).to_integral_value(ROUND_HALF_EVEN))


def taking_order(asset: TradedAsset, order: AccountOrder) -> NewOrder:
    """Return an order of a plan as it is sent: filled at once up to its limit, or not at all (A6)."""
    return NewOrder(
        cloid=order.cloid,
        coin=order.symbol,
        is_buy=order.lots > 0,
        px=price_of(asset, order.limit),
        sz=size_of(asset, order.lots),
        tif="Ioc",
        reduce_only=order.reduces,
    )


def resting_order(asset: TradedAsset, symbol: str, kind: str, order: StandingOrder, cloid: str) -> NewOrder:
    """Return an order that rests, as it is sent: a stop that goes to the market, or a target that waits (A7)."""
    buys, level = order.lots > 0, price_of(asset, order.level)
    if kind == TARGET:
        return NewOrder(cloid, symbol, buys, level, size_of(asset, order.lots), reduce_only=True)
    worst = order.level * (1.0 + _STOP_TOLERANCE if buys else 1.0 - _STOP_TOLERANCE)
    bound = price_of(asset, asset.legal(worst, up=not buys))
    return NewOrder(
        cloid, symbol, buys, bound, size_of(asset, order.lots), reduce_only=True, trigger=Trigger(level, "sl")
    )


def stands_as(asset: TradedAsset, record: OrderRecord, wanted: StandingOrder) -> bool:
    """Say whether a live order is the one that shall stand, in side, size and level."""
    order = record.order
    level = order.px if order.trigger is None else order.trigger.px
    is_size = order.sz - record.filled_sz == size_of(asset, wanted.lots)
    return order.is_buy == (wanted.lots > 0) and is_size and level == price_of(asset, wanted.level)


def fill_event(account: AccountBook, fill: Fill, record: OrderRecord | None) -> AccountFill:
    """Return a fill as the account books it.

    Parameters
    ----------
    account
        Knows the asset.
    fill
        Of a perpetual.
    record
        Its order in the journal; None: of none, so that it is the venue's doing or somebody else's.

    Raises
    ------
    IntegrityError
        It is no whole number of lots.
    """
    asset = account.assets[fill.coin]
    size = lots_of(asset, fill.sz, f"fill {fill.tid} of {fill.coin}")
    kind = None if record is None else kind_of(record, account.account)
    aimed = micro(fill.px.scaleb(-asset.sz_decimals))
    if kind in (IOC, UNPROTECTED):
        reference = account.references.get(fill.coin)
        kind, aimed = (BY_HAND, aimed) if reference is None else (IOC, reference)
    elif kind in (STOP, TARGET) and record is not None:
        level = record.order.px if record.order.trigger is None else record.order.trigger.px
        aimed = micro(level.scaleb(-asset.sz_decimals))
    elif record is None and fill.coin in account.gone:
        kind = SETTLED  # the venue's doing: nobody trades there any more
    elif fill.is_liquidation:
        kind = LIQUIDATED
    elif record is None and fill.liquidation_method is not None:
        kind = DELEVERAGED  # somebody else's liquidation took what we held
    else:
        kind = BY_HAND
    return AccountFill(
        time=fill.time_ms,
        symbol=fill.coin,
        lots=size if fill.is_buy else -size,
        notional=micro(fill.px * fill.sz),
        fee=micro(fill.fee),
        kind=kind,
        aimed=aimed,
    )


def flow_event(account: AccountBook, flow: CashFlow) -> AccountFunding | CapitalPaid | CashTaken:
    """Return money that came or went without a trade as the account books it."""
    amount = micro(flow.usd)
    if flow.kind == FUNDING:
        held = account.positions.get(flow.coin, 0)
        return AccountFunding(flow.coin, -amount, -amount / held if held else 0.0)
    return CashTaken(-amount) if flow.kind in _LOST else CapitalPaid(amount)
