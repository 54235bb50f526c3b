"""TWAP orders: a large order in small ones that take what they find, one every half minute.

Of a TWAP the reference holds action and answers (section 7). How it trades is the venue's own description of it: no
part pays more than 3 % beyond the mark; what a part did not get the later ones make up for, each by at most three times
its share; with `randomize` they vary by a fifth.
"""

import random
from typing import Any, Final

from quant_organism.simulator.core import placing
from quant_organism.simulator.core.account import Account, TwapChanged
from quant_organism.simulator.core.book import SimulatedOrder
from quant_organism.simulator.core.state import Listing, Twap, VenueCore
from quant_organism.venue.protocol import PlaceTwap, for_asset, round_units, scaled, texts, usd

SLICE_MS: Final = 30_000
MIN_MINUTES, MAX_MINUTES = 5, 24 * 60
CATCH_UP: Final = 3
VARIATION: Final = 0.2
_BOUNDS: Final = (97, 103, 100)


def begin(core: VenueCore, account: Account, request: PlaceTwap) -> dict[str, Any]:
    """Take a TWAP order in, and trade its first part; return its status."""
    refused = _refusal(core, account, request)
    if refused is not None:
        return {"error": for_asset(refused, request.asset)}
    state = core.state
    sz = scaled(request.sz, state.listings[request.asset].instrument.sz_decimals) or 0
    twap = Twap(
        number=state.next_twap,
        account=account.address,
        asset=request.asset,
        is_buy=request.is_buy,
        sz=sz,
        minutes=request.minutes,
        reduce_only=request.reduce_only,
        randomize=request.randomize,
        begun_ms=state.now_ms,
    )
    state.next_twap += 1
    state.twaps[twap.number] = twap
    _announce(core, twap, "activated")
    fire_due(core)
    return {"running": {"twapId": twap.number}}


def cancel(core: VenueCore, account: Account, asset: int, number: int) -> dict[str, str] | str:
    """End a TWAP order; return its status."""
    twap = core.state.twaps.get(number)
    if twap is None or (twap.account, twap.asset) != (account.address, asset):
        return {"error": for_asset(texts.NO_TWAP, asset)}
    _end(core, twap, "terminated")
    return "success"


def next_ms(core: VenueCore) -> int | None:
    """Return when the next part is due, or None where no TWAP order runs."""
    return min((_due_ms(twap) for twap in core.state.twaps.values()), default=None)


def fire_due(core: VenueCore) -> None:
    """Trade every part whose time has come, in the order of their times."""
    while due := [twap for twap in core.state.twaps.values() if _due_ms(twap) <= core.state.now_ms]:
        _trade(core, min(due, key=lambda twap: (_due_ms(twap), twap.number)))


def form(twap: Twap, listing: Listing) -> dict[str, Any]:
    """Return a TWAP order's state as the wire has it."""
    return {
        "coin": listing.instrument.name,
        "user": twap.account,
        "side": "B" if twap.is_buy else "A",
        "sz": listing.sz(twap.sz),
        "executedSz": listing.sz(twap.executed_sz),
        "executedNtl": usd(twap.executed_ntl),
        "minutes": twap.minutes,
        "reduceOnly": twap.reduce_only,
        "randomize": twap.randomize,
        "timestamp": twap.begun_ms,
    }


def _refusal(core: VenueCore, account: Account, request: PlaceTwap) -> str | None:
    listings = core.state.listings
    if request.asset not in listings:
        return texts.UNKNOWN_ASSET
    listing = listings[request.asset]
    if listing.instrument.is_delisted or listing.halted or listing.mark == 0:
        return texts.HALTED
    sz = scaled(request.sz, listing.instrument.sz_decimals)
    if sz is None or sz <= 0:
        return texts.INVALID_SIZE
    if not MIN_MINUTES <= request.minutes <= MAX_MINUTES:
        return texts.TWAP_MINUTES
    if sz * listing.mark // _parts(request.minutes) < placing.MIN_NOTIONAL:
        return texts.MIN_NOTIONAL
    held = core.holding(account, request.asset).szi
    if request.reduce_only and (held == 0 or (held > 0) == request.is_buy):
        return texts.WOULD_INCREASE
    return None


def _trade(core: VenueCore, twap: Twap) -> None:
    """Trade the part that is due; what cannot be traded now is left to the later ones."""
    state, listing, parts = core.state, core.state.listings[twap.asset], _parts(twap.minutes)
    twap.fired += 1
    account = state.accounts[twap.account]
    if listing.instrument.is_delisted:
        _end(core, twap, "terminated")
        return
    order = None if listing.halted or state.now_ms < state.post_only_until_ms else _part(core, twap, account)
    if order is not None and placing.has_margin(core, account, order):
        placing.enter(core, order)
        twap.executed_sz += order.filled_sz
        twap.executed_ntl += order.filled_ntl
    if twap.fired == parts or twap.executed_sz == twap.sz:
        _end(core, twap, "finished")


def _part(core: VenueCore, twap: Twap, account: Account) -> SimulatedOrder | None:
    state, parts = core.state, _parts(twap.minutes)
    size = twap.sz * twap.fired // parts - twap.executed_sz
    if twap.randomize and twap.fired < parts:
        size = round(
            size * random.Random(f"{state.seed}/{twap.number}/{twap.fired}").uniform(1 - VARIATION, 1 + VARIATION)
        )
    size = min(size, CATCH_UP * -(-twap.sz // parts), twap.sz - twap.executed_sz)
    held = core.holding(account, twap.asset).szi
    if twap.reduce_only:
        size = min(size, abs(held)) if held * (1 if twap.is_buy else -1) < 0 else 0
    if size <= 0:
        return None
    low, high, hundred = _BOUNDS
    listing = state.listings[twap.asset]
    px = listing.mark * (high if twap.is_buy else low) // hundred
    return SimulatedOrder(
        oid=0,
        account=twap.account,
        asset=twap.asset,
        is_buy=twap.is_buy,
        px=round_units(max(px, 1), listing.instrument.px_decimals, up=not twap.is_buy),
        sz=size,
        orig_sz=size,
        timestamp_ms=state.now_ms,
        reduce_only=twap.reduce_only,
        tif="Ioc",
        status_ms=state.now_ms,
        twap=twap.number,
    )


def _parts(minutes: int) -> int:
    return minutes * 60_000 // SLICE_MS + 1


def _due_ms(twap: Twap) -> int:
    return twap.begun_ms + twap.fired * SLICE_MS


def _end(core: VenueCore, twap: Twap, status: str) -> None:
    del core.state.twaps[twap.number]
    _announce(core, twap, status)


def _announce(core: VenueCore, twap: Twap, status: str) -> None:
    state = form(twap, core.state.listings[twap.asset])
    row = {"time": core.state.now_ms // 1000, "state": state, "status": {"status": status}, "twapId": twap.number}
    core.state.accounts[twap.account].twap_history.append(row)
    core.events.append(TwapChanged(twap.account, row))
