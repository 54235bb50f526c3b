"""Matching by price and time, and what one trade does to both sides."""

from dataclasses import dataclass

from quant_organism.exchange.protocol import texts
from quant_organism.exchange.protocol.instruments import dex_of
from quant_organism.exchange.simulator.core import fees, lifecycle, settlement
from quant_organism.exchange.simulator.core.account import Fill
from quant_organism.exchange.simulator.core.events import Filled, Traded
from quant_organism.exchange.simulator.core.order import Order
from quant_organism.exchange.simulator.core.state import HISTORY_FILLS, MARKET, World


@dataclass(frozen=True, slots=True)
class LiquidationTag:
    """Marks the fills of a liquidation.

    Parameters
    ----------
    user
        Who is liquidated.
    mark_px
        Mark at that moment, as on the wire.
    method
        `market` or `backstop`.
    direction
        Words for the liquidated side.
    """

    user: str
    mark_px: str
    method: str
    direction: str

    def form(self) -> dict[str, str]:
        """Return what the fills carry."""
        return {"liquidatedUser": self.user, "markPx": self.mark_px, "method": self.method}


def match(world: World, taker: Order, tag: LiquidationTag | None = None) -> None:
    """Trade an order against the book as far as its price allows; what is left of it is the caller's to place.

    Parameters
    ----------
    taker
        Registered, not in the book.
    tag
        Given where the order is a liquidation.
    """
    world.prepare(taker.asset)
    side = world.books[taker.asset].side(is_buy=not taker.is_buy)
    while taker.sz:
        maker = side.best()
        if maker is None or (maker.px > taker.px if taker.is_buy else maker.px < taker.px):
            return
        if maker.account == taker.account:
            lifecycle.finish(world, maker, texts.SELF_TRADE_CANCELED)
            continue
        size = min(taker.sz, maker.sz)
        if maker.account != MARKET and not _can_afford(world, maker, size):
            lifecycle.finish(world, maker, texts.MARGIN_CANCELED)
            continue
        trade(world, taker, maker, size, maker.px, tag)
        if taker.reduce_only:
            left = abs(world.state.accounts[taker.account].holdings[taker.asset].szi)
            taker.sz = min(taker.sz, left)


def trade(world: World, taker: Order, maker: Order, size: int, px: int, tag: LiquidationTag | None = None) -> None:
    """Let two orders trade a size at a price, and end the maker where nothing is left of it."""
    state = world.state
    listing, block, tid = state.listings[taker.asset], world.block_hash(), world.next_tid()
    listing.last = px
    for order in (taker, maker):
        lifecycle.reserve(world, order, -1)
        order.sz -= size
        lifecycle.reserve(world, order, 1)
        order.filled_sz += size
        order.filled_ntl += size * px
        _book_fill(world, order, size, px, tid, block, crossed=order is taker, tag=tag)
    buyer, seller = (taker, maker) if taker.is_buy else (maker, taker)
    world.events.append(
        Traded(taker.asset, taker.is_buy, px, size, state.now_ms, block, tid, buyer.account, seller.account)
    )
    if maker.sz == 0:
        lifecycle.finish(world, maker, texts.FILLED)
    for order in (maker, taker):
        if order.account != MARKET:
            account = state.accounts[order.account]
            lifecycle.cancel_siblings(world, order)
            lifecycle.fit_reduce_only(world, account, order.asset, sparing=taker)


def print_trade(world: World, asset: int, px: int, size: int, *, is_buy: bool) -> None:
    """Publish a trade of the market with itself: nobody's money moves."""
    state = world.state
    state.listings[asset].last = px
    block, tid = world.block_hash(), world.next_tid()
    world.events.append(Traded(asset, is_buy, px, size, state.now_ms, block, tid, MARKET, MARKET))


def opening_size(world: World, order: Order, size: int) -> int:
    """Return how much of a size adds to the position rather than reducing it."""
    szi = world.holding(world.state.accounts[order.account], order.asset).szi
    return size if szi == 0 or (szi > 0) == order.is_buy else max(0, size - abs(szi))


def _can_afford(world: World, maker: Order, size: int) -> bool:
    account = world.state.accounts[maker.account]
    opening = opening_size(world, maker, size)
    if maker.reduce_only or opening == 0:
        return True
    needed = opening * maker.px // account.holdings[maker.asset].leverage
    return world.margin(account, dex_of(maker.asset)).available(leaving_out=maker) >= needed


def _book_fill(
    world: World, order: Order, size: int, px: int, tid: int, block: str, *, crossed: bool, tag: LiquidationTag | None
) -> None:
    state, signed, notional = world.state, (size if order.is_buy else -size), size * px
    dex = state.dex(order.asset)
    if order.account == MARKET:
        dex.market_raw -= signed * px
        state.listings[order.asset].market_szi += signed
        return
    account = state.accounts[order.account]
    taker_rate, maker_rate = fees.rates(account, state.now_ms)
    fee = fees.fee(notional, taker_rate if crossed else maker_rate, dex.fee_percent)
    world.holding(account, order.asset)
    start, pnl, direction = settlement.apply_fill(account, order.asset, signed, px, fee)
    dex.fees += fee
    fees.add_volume(account, notional, state.now_ms, crossed=crossed)
    if tag is not None and tag.user == account.address:
        direction = tag.direction
    fill = Fill(
        asset=order.asset,
        px=px,
        sz=size,
        is_buy=order.is_buy,
        time_ms=state.now_ms,
        start_szi=start,
        direction=direction,
        closed_pnl=pnl,
        hash=block,
        oid=order.oid,
        crossed=crossed,
        fee=fee,
        tid=tid,
        cloid=order.cloid,
        twap=order.twap,
        liquidation=None if tag is None else tag.form(),
        fee_token=dex.collateral,
    )
    settlement.keep_fill(account, fill, HISTORY_FILLS)
    world.events.append(Filled(account.address, fill))
