"""What the order manager needs of a venue; Hyperliquid's client is one."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from quant_organism.venue import (
    AccountState,
    CashFlow,
    CoinContext,
    DepthSnapshot,
    FeeRates,
    Fence,
    Fill,
    Holdings,
    Listed,
    NewOrder,
    OpenOrder,
    Outcome,
    Resting,
    TradingRoom,
    VenueOrder,
)
from quant_organism.venue.protocol import MAX_ITEMS_PER_ACTION, Grouping


class Venue(Protocol):
    """An account of a venue.

    Actions take a nonce that was drawn, and written down, before. They return one outcome for each item and do not
    raise for what happens on the way; questions raise `VenueError` where there is no answer.
    """

    @property
    def address(self) -> str:
        """The account."""
        ...

    @property
    def signer(self) -> str:
        """The wallet that signs for it: its own, or an agent's, which may be another one tomorrow."""
        ...

    def listed(self, coin: str) -> Listed:
        """Return precision and limits of a coin."""
        ...

    def refresh_listings(self) -> None:
        """Read anew what is listed."""
        ...

    def venue_ms(self) -> int:
        """Return the venue's time, as its answers have shown it."""
        ...

    def find_dexs(self) -> list[str]:
        """Look on which dexs the account is; what is asked from then on covers them all."""
        ...

    def account(self, dex: str | None = None) -> AccountState:
        """Return money and positions of one dex, or of all together."""
        ...

    def open_orders(self) -> list[VenueOrder]:
        """Return all open orders."""
        ...

    def order_status(self, key: str | int) -> VenueOrder | None:
        """Return an order by cloid or oid; None: not known, or not yet."""
        ...

    def past_orders(self) -> list[VenueOrder]:
        """Return the newest orders that have ended, `PAST_ORDERS_PER_ANSWER` at most."""
        ...

    def fills(self, since_ms: int) -> list[Fill]:
        """Return all fills from a time on."""
        ...

    def fundings(self, since_ms: int) -> list[CashFlow]:
        """Return all funding from a time on."""
        ...

    def transfers(self, since_ms: int) -> list[CashFlow]:
        """Return all other money that came or went without a trade from a time on."""
        ...

    def mids(self) -> dict[str, Decimal]:
        """Return mid prices; a coin whose price cannot be used has none."""
        ...

    def contexts(self) -> dict[str, CoinContext]:
        """Return mark, oracle, funding and volumes by coin."""
        ...

    def depth(self, coin: str) -> DepthSnapshot:
        """Return the best levels of a book."""
        ...

    def fee_rates(self) -> FeeRates:
        """Return what the account pays of the notional."""
        ...

    def room(self, coin: str) -> TradingRoom:
        """Return a coin's leverage, and how much of it the account could trade."""
        ...

    def resting(self) -> Resting:
        """Return open and TWAP orders as far as they can be seen, and what cannot be; never raises `VenueError`."""
        ...

    def holdings(self) -> Holdings:
        """Return positions as far as they can be seen, and what cannot be; never raises `VenueError`."""
        ...

    def draw_nonce(self) -> int:
        """Return a nonce greater than all before."""
        ...

    def place(self, orders: Sequence[NewOrder], nonce: int, *, grouping: Grouping = "na") -> list[Outcome]:
        """Place orders."""
        ...

    def amend(self, orders: Sequence[NewOrder], nonce: int) -> list[Outcome]:
        """Replace open orders."""
        ...

    def cancel(self, targets: Sequence[tuple[str, str]], nonce: int) -> list[Outcome]:
        """Cancel by coin and cloid."""
        ...

    def cancel_oids(self, targets: Sequence[tuple[str, int]], nonce: int) -> list[Outcome]:
        """Cancel by coin and oid."""
        ...

    def cancel_twap(self, coin: str, number: int, nonce: int) -> Outcome:
        """End a TWAP order."""
        ...

    def schedule_cancel(self, time_ms: int | None, nonce: int) -> Outcome:
        """Have all open orders canceled at a time."""
        ...

    def set_leverage(self, coin: str, leverage: int, nonce: int, *, is_cross: bool = True) -> Outcome:
        """Set leverage and margin mode of a coin."""
        ...

    def move_isolated_margin(self, coin: str, usd: Decimal, nonce: int) -> Outcome:
        """Move margin into an isolated position, or out of it with a negative amount."""
        ...

    def reserve_requests(self, count: int, nonce: int) -> Outcome:
        """Buy requests for the account."""
        ...

    def fence(self, nonce: int, signer: str) -> Fence:
        """Make sure that an action whose outcome is not known cannot be processed any more."""
        ...


def cancel_in_batches(venue: Venue, orders: Sequence[OpenOrder | VenueOrder]) -> list[Outcome]:
    """Cancel any number of orders by their oids, as many at a time as the venue takes; return an outcome for each."""
    outcomes: list[Outcome] = []
    for start in range(0, len(orders), MAX_ITEMS_PER_ACTION):
        batch = [(order.coin, order.oid) for order in orders[start : start + MAX_ITEMS_PER_ACTION]]
        outcomes += venue.cancel_oids(batch, venue.draw_nonce())
    return outcomes
