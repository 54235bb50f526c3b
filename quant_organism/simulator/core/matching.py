"""Matching by price and time, and what one trade does to both sides."""

from dataclasses import dataclass

from quant_organism.simulator.core import lifecycle, settlement
from quant_organism.simulator.core.account import Filled, SimulatedFill, Traded
from quant_organism.simulator.core.book import SimulatedOrder
from quant_organism.simulator.core.state import HISTORY_FILLS, MARKET, VenueCore
from quant_organism.venue.protocol import dex_of, texts


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


def match(core: VenueCore, taker: SimulatedOrder, tag: LiquidationTag | None = None) -> None:
    """Trade an order against the book as far as its price allows; what is left of it is the caller's to place.

    Parameters
    ----------
    taker
        Registered, not in the book.
    tag
        Given where the order is a liquidation.
    """
    core.prepare(taker.asset)
    side = core.books[taker.asset].side(is_buy=not taker.is_buy)
    while taker.sz:
        maker = side.best()
        if maker is None or (maker.px > taker.px if taker.is_buy else maker.px < taker.px):
            return
        if maker.account == taker.account:
            lifecycle.finish(core, maker, texts.SELF_TRADE_CANCELED)
            continue
        size = min(taker.sz, maker.sz)
        if maker.account != MARKET and not _can_afford(core, maker, size):
            lifecycle.finish(core, maker, texts.MARGIN_CANCELED)
            continue
        trade(core, taker, maker, size, maker.px, tag)
        if taker.reduce_only:
            left = abs(core.state.accounts[taker.account].holdings[taker.asset].szi)
            taker.sz = min(taker.sz, left)


def trade(
    core: VenueCore, taker: SimulatedOrder, maker: SimulatedOrder, size: int, px: int, tag: LiquidationTag | None = None
) -> None:
    """Let two orders trade a size at a price, and end the maker where nothing is left of it."""
    state = core.state
    listing, block, tid = state.listings[taker.asset], core.block_hash(), core.next_tid()
    listing.last = px
    for order in (taker, maker):
        lifecycle.reserve(core, order, -1)
        order.sz -= size
        lifecycle.reserve(core, order, 1)
        order.filled_sz += size
        order.filled_ntl += size * px
        _book_fill(core, order, size, px, tid, block, crossed=order is taker, tag=tag)
    buyer, seller = (taker, maker) if taker.is_buy else (maker, taker)
    core.events.append(
        Traded(taker.asset, taker.is_buy, px, size, state.now_ms, block, tid, buyer.account, seller.account)
    )
    if maker.sz == 0:
        lifecycle.finish(core, maker, texts.FILLED)
    for order in (maker, taker):
        if order.account != MARKET:
            account = state.accounts[order.account]
            lifecycle.cancel_siblings(core, order)
            lifecycle.fit_reduce_only(core, account, order.asset, sparing=taker)


def print_trade(core: VenueCore, asset: int, px: int, size: int, *, is_buy: bool) -> None:
    """Publish a trade of the market with itself: nobody's money moves."""
    state = core.state
    state.listings[asset].last = px
    block, tid = core.block_hash(), core.next_tid()
    core.events.append(Traded(asset, is_buy, px, size, state.now_ms, block, tid, MARKET, MARKET))


def opening_size(core: VenueCore, order: SimulatedOrder, size: int) -> int:
    """Return how much of a size adds to the position rather than reducing it."""
    szi = core.holding(core.state.accounts[order.account], order.asset).szi
    return size if szi == 0 or (szi > 0) == order.is_buy else max(0, size - abs(szi))


def _can_afford(core: VenueCore, maker: SimulatedOrder, size: int) -> bool:
    account = core.state.accounts[maker.account]
    opening = opening_size(core, maker, size)
    if maker.reduce_only or opening == 0:
        return True
    needed = opening * maker.px // account.holdings[maker.asset].leverage
    return core.margin(account, dex_of(maker.asset)).available(leaving_out=maker) >= needed


def _book_fill(
    core: VenueCore,
    order: SimulatedOrder,
    size: int,
    px: int,
    tid: int,
    block: str,
    *,
    crossed: bool,
    tag: LiquidationTag | None,
) -> None:
    state, signed, notional = core.state, (size if order.is_buy else -size), size * px
    dex = state.dex(order.asset)
    if order.account == MARKET:
        dex.market_raw -= signed * px
        state.listings[order.asset].market_szi += signed
        return
    account = state.accounts[order.account]
    taker_rate, maker_rate = settlement.fee_rates(account, state.now_ms)
    fee = settlement.fee(notional, taker_rate if crossed else maker_rate, dex.fee_percent)
    core.holding(account, order.asset)
    start, pnl, direction = settlement.apply_fill(account, order.asset, signed, px, fee)
    dex.fees += fee
    settlement.add_volume(account, notional, state.now_ms, crossed=crossed)
    if tag is not None and tag.user == account.address:
        direction = tag.direction
    fill = SimulatedFill(
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
    core.events.append(Filled(account.address, fill))
