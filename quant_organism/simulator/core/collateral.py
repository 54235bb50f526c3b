"""Where margin lies: leverage and isolated margin of positions (reference: section 6.2)."""

from quant_organism.simulator.core import lifecycle
from quant_organism.simulator.core.account import Account
from quant_organism.simulator.core.state import VenueCore
from quant_organism.venue.protocol import dex_of, texts


def update_leverage(core: VenueCore, account: Account, asset: int, leverage: int, *, is_cross: bool) -> str | None:
    """Set leverage and margin mode of an asset; return why not, or None where it is done."""
    if asset not in core.state.listings:
        return texts.UNKNOWN_ASSET
    instrument = core.state.listings[asset].instrument
    if not 1 <= leverage <= instrument.max_leverage:
        return texts.INVALID_LEVERAGE
    if is_cross and instrument.only_isolated:
        return texts.CROSS_FORBIDDEN
    holding = core.holding(account, asset)
    if holding.szi and holding.is_cross != is_cross:
        return texts.NO_SWITCH
    before, margin = holding.leverage, core.margin(account, dex_of(asset))
    if holding.szi and not holding.is_cross and leverage < before:
        more = margin.notional(asset) // leverage - margin.notional(asset) // before
        if margin.available() < more:
            return texts.LEVERAGE_MARGIN
        account.add_raw(dex_of(asset), -more)
        holding.raw += more
    _set_leverage(core, account, asset, leverage)
    if leverage < before and margin.available() < 0:
        _set_leverage(core, account, asset, before)
        return texts.LEVERAGE_MARGIN
    holding.is_cross = is_cross
    return None


def update_isolated_margin(core: VenueCore, account: Account, asset: int, micro_usd: int) -> str | None:
    """Move margin into an isolated position, or out of it with a negative amount; return why not, or None.

    What stays must be the initial margin, and a tenth of the notional.
    """
    holding = account.holdings.get(asset)
    if holding is None or holding.szi == 0 or holding.is_cross:
        return texts.NOT_ISOLATED
    margin = core.margin(account, dex_of(asset))
    needed = max(margin.notional(asset) // holding.leverage, margin.notional(asset) // 10)
    if micro_usd > 0 and margin.available() < micro_usd:
        return texts.MARGIN
    if micro_usd < 0 and margin.isolated_equity(asset) + micro_usd < needed:
        return texts.ISOLATED_MARGIN
    account.add_raw(dex_of(asset), -micro_usd)
    holding.raw += micro_usd
    return None


def _set_leverage(core: VenueCore, account: Account, asset: int, leverage: int) -> None:
    """Set it, and have open orders hold the margin that is now due."""
    orders = [core.state.orders[oid] for oid in account.open_oids if core.state.orders[oid].asset == asset]
    for order in orders:
        lifecycle.reserve(core, order, -1)
    account.holdings[asset].leverage = leverage
    for order in orders:
        lifecycle.reserve(core, order, 1)
