"""Take-profit and stop orders fire on the mark price (reference: section 10)."""

from quant_organism.exchange.protocol import texts
from quant_organism.exchange.simulator.core import lifecycle, placing
from quant_organism.exchange.simulator.core.order import Order
from quant_organism.exchange.simulator.core.state import World


def fire_met(world: World, asset: int) -> None:
    """Fire the orders of an asset whose condition its mark meets, oldest first."""
    listing = world.state.listings[asset]
    for oid in list(listing.triggers):
        order = world.state.orders[oid]
        if oid in listing.triggers and order.trigger is not None and order.trigger.is_met(listing.mark):
            _fire(world, order)


def _fire(world: World, order: Order) -> None:
    account, trigger = world.state.accounts[order.account], order.trigger
    assert trigger is not None
    del world.state.listings[order.asset].triggers[order.oid]
    trigger.fired = True
    szi = world.holding(account, order.asset).szi
    lifecycle.announce(world, order, texts.TRIGGERED)
    if szi == 0 or (szi > 0) == order.is_buy:
        lifecycle.finish(world, order, texts.REDUCE_ONLY_CANCELED)
        return
    order.sz = abs(szi) if order.is_position_tpsl else min(order.sz, abs(szi))
    order.tif = "Ioc" if trigger.is_market else "Gtc"
    if trigger.is_market:
        order.px = placing.tolerated_px(world, order.asset, is_buy=order.is_buy)
    world.state.blocks += 1
    placing.execute(world, order)
