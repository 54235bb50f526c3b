"""What is set beside orders, written down like them: leverage, isolated margin, requests that are paid for.

None of it is sent again because its answer is missing. What became of it is found out by `OrderManager.settle`; what
holds is shown by the venue (`Venue.room`).
"""

from decimal import Decimal
from typing import Final

from quant_organism.errors import InputError
from quant_organism.trading.orders.manager import OrderManager
from quant_organism.venue import Outcome

USD_PER_REQUEST: Final = Decimal("0.0005")
_MOST_REQUESTS: Final = 1_000_000


def set_leverage(manager: OrderManager, coin: str, leverage: int, *, is_cross: bool = True) -> Outcome:
    """Set leverage and margin mode of a coin.

    Raises
    ------
    InputError
        The venue has no such leverage or mode for the coin; nothing was sent.
    StorageError
        The journal cannot be written.
    """
    venue, listed = manager.venue, manager.venue.listed(coin)
    if not 1 <= leverage <= listed.max_leverage:
        raise InputError(f"a leverage of {leverage}", where=coin, remedy=f"use 1 to {listed.max_leverage}")
    if is_cross and listed.only_isolated:
        raise InputError("it has isolated margin only", where=coin, remedy="set is_cross to false")
    what = f"{coin} at {leverage}x, {'cross' if is_cross else 'isolated'}"
    return manager.set_aside(
        "leverage", what, lambda nonce: venue.set_leverage(coin, leverage, nonce, is_cross=is_cross)
    )


def move_isolated_margin(manager: OrderManager, coin: str, usd: Decimal) -> Outcome:
    """Move margin into an isolated position, or out of it with a negative amount.

    Raises
    ------
    InputError
        Nothing, or no whole number of micro-USD; nothing was sent.
    StorageError
        The journal cannot be written.
    """
    venue = manager.venue
    if not usd.is_finite() or usd == 0 or usd != usd.quantize(Decimal("1e-6")):
        raise InputError(f"a margin of {usd} USD", where=coin, remedy="give an amount of at most 6 decimals")
    return manager.set_aside(
        "margin", f"{usd} USD to {coin}", lambda nonce: venue.move_isolated_margin(coin, usd, nonce)
    )


def reserve_requests(manager: OrderManager, count: int) -> Outcome:
    """Buy requests for an account that has none left, at `USD_PER_REQUEST` each.

    Raises
    ------
    InputError
        None, or more than anybody can want; nothing was sent.
    StorageError
        The journal cannot be written.
    """
    venue = manager.venue
    if not 0 < count <= _MOST_REQUESTS:
        raise InputError(f"{count} requests", where="reserve_requests", remedy=f"buy 1 to {_MOST_REQUESTS}")
    return manager.set_aside("reserve", f"{count} requests", lambda nonce: venue.reserve_requests(count, nonce))
