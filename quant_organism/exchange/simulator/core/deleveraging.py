"""Auto-deleveraging: what nobody can pay for is closed against those who gain from it (reference: sections 16, 22)."""

from fractions import Fraction
from typing import Final

from quant_organism.exchange.protocol.instruments import dex_of
from quant_organism.exchange.simulator.core import lifecycle, settlement
from quant_organism.exchange.simulator.core.account import Account, Fill
from quant_organism.exchange.simulator.core.events import Filled
from quant_organism.exchange.simulator.core.matching import LiquidationTag
from quant_organism.exchange.simulator.core.state import HISTORY_FILLS, LIQUIDATOR, World

DIRECTION: Final = "Auto-Deleveraging"


def deleverage(world: World, account: Account, asset: int, tag: LiquidationTag) -> None:
    """Close a position at the mark before this one against the accounts on its other side, in their rank.

    What the market itself holds against it is not touched: it has no account.

    Parameters
    ----------
    account
        Whose equity is below zero.
    asset
        Of its position.
    tag
        Marks its fills.
    """
    listing = world.state.listings[asset]
    px = listing.mark_before or listing.mark
    for other in _ranked(world, account, asset):
        left = account.holdings[asset].szi
        if not left:
            return
        size = min(abs(left), abs(other.holdings[asset].szi))
        hand_over(world, account, other, asset, size if left > 0 else -size, px, tag, DIRECTION)
        lifecycle.fit_reduce_only(world, other, asset)


def hand_over(
    world: World,
    giver: Account,
    taker: Account,
    asset: int,
    size: int,
    px: int,
    tag: LiquidationTag,
    direction: str | None = None,
) -> None:
    """Move a signed size from one account to another at a price, without fees and without the book.

    Parameters
    ----------
    direction
        Words of the taker's fill; None: those of any trade.
    """
    state = world.state
    block, tid = world.block_hash(), world.next_tid()
    for owner, signed in ((giver, -size), (taker, size)):
        world.holding(owner, asset)
        start, pnl, words = settlement.apply_fill(owner, asset, signed, px, 0)
        fill = Fill(
            asset=asset,
            px=px,
            sz=abs(size),
            is_buy=signed > 0,
            time_ms=state.now_ms,
            start_szi=start,
            direction=tag.direction if owner is giver else direction or words,
            closed_pnl=pnl,
            hash=block,
            oid=state.next_oid,
            crossed=owner is giver,
            fee=0,
            tid=tid,
            liquidation=tag.form(),
            fee_token=state.dex(asset).collateral,
        )
        state.next_oid += 1
        settlement.keep_fill(owner, fill, HISTORY_FILLS)
        world.events.append(Filled(owner.address, fill))


def _ranked(world: World, account: Account, asset: int) -> list[Account]:
    """Return the accounts on the other side: those with the greatest gain and leverage first."""
    side = account.holdings[asset].szi
    others = [
        other
        for other in world.state.accounts.values()
        if other.address != LIQUIDATOR and asset in other.holdings and other.holdings[asset].szi * side < 0
    ]
    return sorted(others, key=lambda other: (-_rank(world, other, asset), other.address))


def _rank(world: World, account: Account, asset: int) -> Fraction:
    """Return price gain times leverage."""
    holding, margin = account.holdings[asset], world.margin(account, dex_of(asset))
    equity = margin.cross_equity() if holding.is_cross else margin.isolated_equity(asset)
    gain = Fraction(margin.notional(asset), max(holding.cost, 1))
    return (gain if holding.szi > 0 else 1 / gain) * Fraction(margin.notional(asset), max(equity, 1))
