"""Liquidation: market orders first, then the liquidator vault, auto-deleveraging last (reference: sections 16, 22).

What nobody can pay for is closed against those who gain from it.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from quant_organism.simulator.core import lifecycle, placing, settlement
from quant_organism.simulator.core.account import Account, Filled, LedgerEntry, Liquidated, MoneyMoved, SimulatedFill
from quant_organism.simulator.core.book import SimulatedOrder
from quant_organism.simulator.core.matching import LiquidationTag
from quant_organism.simulator.core.state import HISTORY_FILLS, LIQUIDATOR, VenueCore
from quant_organism.venue.protocol import MICRO_USD, dex_of, texts, usd

DIRECTION: Final = "Auto-Deleveraging"
LARGE_NOTIONAL: Final = 100_000 * MICRO_USD
COOLDOWN_MS: Final = 30_000


def deleverage(core: VenueCore, account: Account, asset: int, tag: LiquidationTag) -> None:
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
    listing = core.state.listings[asset]
    px = listing.mark_before or listing.mark
    for other in _ranked(core, account, asset):
        left = account.holdings[asset].szi
        if not left:
            return
        size = min(abs(left), abs(other.holdings[asset].szi))
        hand_over(core, account, other, asset, size if left > 0 else -size, px, tag, DIRECTION)
        lifecycle.fit_reduce_only(core, other, asset)


def hand_over(
    core: VenueCore,
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
    state = core.state
    block, tid = core.block_hash(), core.next_tid()
    for owner, signed in ((giver, -size), (taker, size)):
        core.holding(owner, asset)
        start, pnl, words = settlement.apply_fill(owner, asset, signed, px, 0)
        fill = SimulatedFill(
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
        core.events.append(Filled(owner.address, fill))


def _ranked(core: VenueCore, account: Account, asset: int) -> list[Account]:
    """Return the accounts on the other side: those with the greatest gain and leverage first."""
    side = account.holdings[asset].szi
    others = [
        other
        for other in core.state.accounts.values()
        if other.address != LIQUIDATOR and asset in other.holdings and other.holdings[asset].szi * side < 0
    ]
    return sorted(others, key=lambda other: (-_rank(core, other, asset), other.address))


def _rank(core: VenueCore, account: Account, asset: int) -> Fraction:
    """Return price gain times leverage."""
    holding, margin = account.holdings[asset], core.margin(account, dex_of(asset))
    equity = margin.cross_equity() if holding.is_cross else margin.isolated_equity(asset)
    gain = Fraction(margin.notional(asset), max(holding.cost, 1))
    return (gain if holding.szi > 0 else 1 / gain) * Fraction(margin.notional(asset), max(equity, 1))


def liquidate_due(core: VenueCore) -> None:
    """Liquidate every account, and every isolated position, whose equity is below its maintenance margin."""
    for account in list(core.state.accounts.values()):
        if account.address == LIQUIDATOR or not any(holding.szi for holding in account.holdings.values()):
            continue
        for dex in account.dexs():
            _liquidate_on(core, account, dex)


def _liquidate_on(core: VenueCore, account: Account, dex: int) -> None:
    """Do it on one dex: the money on the others is not touched."""
    margin = core.margin(account, dex)
    for asset in margin.isolated_assets():
        _liquidate(core, account, [asset], margin.isolated_equity(asset), margin.maintenance(asset), cross=False)
    assets = margin.cross_assets()
    if assets:
        _liquidate(core, account, assets, margin.cross_equity(), margin.cross_maintenance(), cross=True)


def _liquidate(core: VenueCore, account: Account, assets: list[int], equity: int, needed: int, *, cross: bool) -> None:
    state, dex = core.state, dex_of(assets[0])
    lost = 3 * equity < 2 * needed
    if equity >= needed or (not lost and all(_is_cooling(core, account, asset) for asset in assets)):
        return
    state.blocks += 1
    state.liquidations += 1
    margin = core.margin(account, dex)
    notional = sum(margin.notional(asset) for asset in assets)
    core.events.append(Liquidated(account.address, state.liquidations, notional, equity))
    for oid in list(account.open_oids):
        order = state.orders[oid]
        if oid in account.open_oids and (order.asset in assets or (cross and dex_of(order.asset) == dex)):
            lifecycle.finish(core, order, texts.LIQUIDATED_CANCELED)
    if not lost:
        for asset in sorted(assets, key=lambda a: (-margin.notional(a), a)):
            if _is_short(core, account, asset, cross=cross):
                _sell_to_book(core, account, asset)
    if _is_lost(core, account, assets, cross=cross):
        _to_liquidator(core, account, assets, cross=cross)
    _cover(core, account, dex)


def _is_short(core: VenueCore, account: Account, asset: int, *, cross: bool) -> bool:
    margin = core.margin(account, dex_of(asset))
    if cross:
        return margin.cross_equity() < margin.cross_maintenance()
    return margin.isolated_equity(asset) < margin.maintenance(asset)


def _is_lost(core: VenueCore, account: Account, assets: list[int], *, cross: bool) -> bool:
    """Say whether equity is below two thirds of what maintenance needs."""
    margin = core.margin(account, dex_of(assets[0]))
    if not any(account.holdings[asset].szi for asset in assets):
        return False
    if cross:
        return 3 * margin.cross_equity() < 2 * margin.cross_maintenance()
    return 3 * margin.isolated_equity(assets[0]) < 2 * margin.maintenance(assets[0])


def _sell_to_book(core: VenueCore, account: Account, asset: int) -> None:
    """Close a position at market; of a large one a fifth first, and the rest after the cooldown."""
    holding, state = account.holdings[asset], core.state
    if _is_cooling(core, account, asset):
        return
    size, notional = abs(holding.szi), core.margin(account, dex_of(asset)).notional(asset)
    if asset not in account.cooldown_until_ms and notional > LARGE_NOTIONAL:
        size = max(1, size // 5)
        account.cooldown_until_ms[asset] = state.now_ms + COOLDOWN_MS
    else:
        account.cooldown_until_ms.pop(asset, None)
    is_buy = holding.szi < 0
    order = SimulatedOrder(
        oid=0,
        account=account.address,
        asset=asset,
        is_buy=is_buy,
        px=placing.tolerated_px(core, asset, is_buy=is_buy),
        sz=size,
        orig_sz=size,
        timestamp_ms=state.now_ms,
        reduce_only=True,
        tif="Ioc",
        status_ms=state.now_ms,
    )
    placing.enter(core, order, _tag(core, account, asset, "market"))


def _is_cooling(core: VenueCore, account: Account, asset: int) -> bool:
    until = account.cooldown_until_ms.get(asset)
    return until is not None and core.state.now_ms < until


def _to_liquidator(core: VenueCore, account: Account, assets: list[int], *, cross: bool) -> None:
    """Move positions at their marks, and all margin behind them, to the liquidator.

    Where even all margin would not pay for them, they are first closed against those who gain from them.
    """
    dex = dex_of(assets[0])
    margin, held = core.margin(account, dex), {asset: account.holdings[asset].szi for asset in assets}
    vault = core.state.accounts[LIQUIDATOR]
    is_unpaid = (margin.cross_equity() if cross else margin.isolated_equity(assets[0])) < 0
    for asset in assets:
        holding = account.holdings[asset]
        before = margin.cross_raw()
        if holding.szi:
            tag = _tag(core, account, asset, "backstop")
            if is_unpaid:
                deleverage(core, account, asset, tag)
            if holding.szi:
                mark = core.state.listings[asset].mark
                hand_over(core, account, vault, asset, holding.szi, mark, tag)
        if not cross:  # closing gave the account what was left of the margin, and that goes with the position
            _give_vault(core, account, dex, margin.cross_raw() - before, {asset: held[asset]}, cross=False)
    if cross:
        _give_vault(core, account, dex, margin.cross_raw(), held)


def _cover(core: VenueCore, account: Account, dex: int) -> None:
    """Let the vault pay what an account without positions has lost beyond its money."""
    margin = core.margin(account, dex)
    if margin.cross_raw() < 0 and not margin.cross_assets():
        _give_vault(core, account, dex, margin.cross_raw(), {})


def _give_vault(
    core: VenueCore, account: Account, dex: int, amount: int, held: Mapping[int, int], *, cross: bool = True
) -> None:
    """Move what is left of an account's money to the vault, or what it lacks from there; its ledger says so."""
    account.add_raw(dex, -amount)
    core.state.accounts[LIQUIDATOR].add_raw(dex, amount)
    listings = core.state.listings
    delta = {
        "type": "liquidation",
        "accountValue": usd(amount),
        "leverageType": "Cross" if cross else "Isolated",
        "liquidatedPositions": [
            {"coin": listings[asset].instrument.name, "szi": listings[asset].sz(szi)} for asset, szi in held.items()
        ],
    }
    entry = LedgerEntry(core.state.now_ms, core.block_hash(), delta)
    account.ledger.append(entry)
    core.events.append(MoneyMoved(account.address, entry))


def _tag(core: VenueCore, account: Account, asset: int, method: str) -> LiquidationTag:
    holding, listing = account.holdings[asset], core.state.listings[asset]
    words = f"Liquidated {'Cross' if holding.is_cross else 'Isolated'} {'Long' if holding.szi > 0 else 'Short'}"
    return LiquidationTag(account.address, listing.px(listing.mark), method, words)
