"""Liquidation: market orders first, then the liquidator vault, deleveraging last (reference: section 16)."""

from typing import Final

from quant_organism.exchange.protocol import texts
from quant_organism.exchange.protocol.decimals import MICRO_USD
from quant_organism.exchange.protocol.instruments import dex_of
from quant_organism.exchange.simulator.core import deleveraging, lifecycle, placing
from quant_organism.exchange.simulator.core.account import Account
from quant_organism.exchange.simulator.core.events import Liquidated
from quant_organism.exchange.simulator.core.matching import LiquidationTag
from quant_organism.exchange.simulator.core.order import Order
from quant_organism.exchange.simulator.core.state import LIQUIDATOR, World

LARGE_NOTIONAL: Final = 100_000 * MICRO_USD
COOLDOWN_MS: Final = 30_000


def liquidate_due(world: World) -> None:
    """Liquidate every account, and every isolated position, whose equity is below its maintenance margin."""
    for account in list(world.state.accounts.values()):
        if account.address == LIQUIDATOR or not any(holding.szi for holding in account.holdings.values()):
            continue
        for dex in account.dexs():
            _liquidate_on(world, account, dex)


def _liquidate_on(world: World, account: Account, dex: int) -> None:
    """Do it on one dex: the money on the others is not touched."""
    margin = world.margin(account, dex)
    for asset in margin.isolated_assets():
        _liquidate(world, account, [asset], margin.isolated_equity(asset), margin.maintenance(asset), cross=False)
    assets = margin.cross_assets()
    if assets:
        _liquidate(world, account, assets, margin.cross_equity(), margin.cross_maintenance(), cross=True)


def _liquidate(world: World, account: Account, assets: list[int], equity: int, needed: int, *, cross: bool) -> None:
    state, dex = world.state, dex_of(assets[0])
    lost = 3 * equity < 2 * needed
    if equity >= needed or (not lost and all(_is_cooling(world, account, asset) for asset in assets)):
        return
    state.blocks += 1
    state.liquidations += 1
    margin = world.margin(account, dex)
    notional = sum(margin.notional(asset) for asset in assets)
    world.events.append(Liquidated(account.address, state.liquidations, notional, equity))
    for oid in list(account.open_oids):
        order = state.orders[oid]
        if oid in account.open_oids and (order.asset in assets or (cross and dex_of(order.asset) == dex)):
            lifecycle.finish(world, order, texts.LIQUIDATED_CANCELED)
    if not lost:
        for asset in sorted(assets, key=lambda a: (-margin.notional(a), a)):
            if _is_short(world, account, asset, cross=cross):
                _sell_to_book(world, account, asset)
    if _is_lost(world, account, assets, cross=cross):
        _hand_over(world, account, assets, cross=cross)
    _cover(world, account, dex)


def _is_short(world: World, account: Account, asset: int, *, cross: bool) -> bool:
    margin = world.margin(account, dex_of(asset))
    if account.holdings[asset].szi == 0:
        return False
    if cross:
        return margin.cross_equity() < margin.cross_maintenance()
    return margin.isolated_equity(asset) < margin.maintenance(asset)


def _is_lost(world: World, account: Account, assets: list[int], *, cross: bool) -> bool:
    """Say whether equity is below two thirds of what maintenance needs."""
    margin = world.margin(account, dex_of(assets[0]))
    if not any(account.holdings[asset].szi for asset in assets):
        return False
    if cross:
        return 3 * margin.cross_equity() < 2 * margin.cross_maintenance()
    return 3 * margin.isolated_equity(assets[0]) < 2 * margin.maintenance(assets[0])


def _sell_to_book(world: World, account: Account, asset: int) -> None:
    """Close a position at market; of a large one a fifth first, and the rest after the cooldown."""
    holding, state = account.holdings[asset], world.state
    if _is_cooling(world, account, asset):
        return
    size, notional = abs(holding.szi), world.margin(account, dex_of(asset)).notional(asset)
    if asset not in account.cooldown_until_ms and notional > LARGE_NOTIONAL:
        size = max(1, size // 5)
        account.cooldown_until_ms[asset] = state.now_ms + COOLDOWN_MS
    else:
        account.cooldown_until_ms.pop(asset, None)
    is_buy = holding.szi < 0
    order = Order(
        oid=0,
        account=account.address,
        asset=asset,
        is_buy=is_buy,
        px=placing.tolerated_px(world, asset, is_buy=is_buy),
        sz=size,
        orig_sz=size,
        timestamp_ms=state.now_ms,
        reduce_only=True,
        tif="Ioc",
        status_ms=state.now_ms,
    )
    placing.enter(world, order, _tag(world, account, asset, "market"))


def _is_cooling(world: World, account: Account, asset: int) -> bool:
    until = account.cooldown_until_ms.get(asset)
    return until is not None and world.state.now_ms < until


def _hand_over(world: World, account: Account, assets: list[int], *, cross: bool) -> None:
    """Move positions at their marks, and all margin behind them, to the liquidator.

    Where even all margin would not pay for them, they are first closed against those who gain from them.
    """
    dex = dex_of(assets[0])
    vault, margin = world.state.accounts[LIQUIDATOR], world.margin(account, dex)
    is_unpaid = (margin.cross_equity() if cross else margin.isolated_equity(assets[0])) < 0
    for asset in assets:
        holding = account.holdings[asset]
        before = margin.cross_raw()
        if holding.szi:
            tag = _tag(world, account, asset, "backstop")
            if is_unpaid:
                deleveraging.deleverage(world, account, asset, tag)
            if holding.szi:
                mark = world.state.listings[asset].mark
                deleveraging.hand_over(world, account, vault, asset, holding.szi, mark, tag)
        if not cross:  # closing gave the account what was left of the margin, and that goes with the position
            _give_vault(account, vault, dex, margin.cross_raw() - before)
    if cross:
        _give_vault(account, vault, dex, margin.cross_raw())


def _cover(world: World, account: Account, dex: int) -> None:
    """Let the vault pay what an account without positions has lost beyond its money."""
    margin = world.margin(account, dex)
    if margin.cross_raw() < 0 and not margin.cross_assets():
        _give_vault(account, world.state.accounts[LIQUIDATOR], dex, margin.cross_raw())


def _give_vault(account: Account, vault: Account, dex: int, amount: int) -> None:
    account.add_raw(dex, -amount)
    vault.add_raw(dex, amount)


def _tag(world: World, account: Account, asset: int, method: str) -> LiquidationTag:
    holding, listing = account.holdings[asset], world.state.listings[asset]
    words = f"Liquidated {'Cross' if holding.is_cross else 'Isolated'} {'Long' if holding.szi > 0 else 'Short'}"
    return LiquidationTag(account.address, listing.px(listing.mark), method, words)
