"""An order's life on the venue, and where it stands in it."""

from dataclasses import dataclass, field

from quant_organism.exchange.protocol.texts import OPEN, Tif, Tpsl


@dataclass(slots=True)
class Trigger:
    """Condition on the mark price under which an order becomes active.

    Parameters
    ----------
    px
        Scaled price.
    above
        Fires at or above `px`; else at or below.
    is_market
        Becomes an immediate-or-cancel order with 10 % tolerance, else a limit order.
    tpsl
        Take profit or stop loss.
    fired
        It did; the order is an ordinary one from then on.
    """

    px: int
    above: bool
    is_market: bool
    tpsl: Tpsl
    fired: bool = False

    def is_met(self, mark: int) -> bool:
        """Say whether the mark has reached it."""
        return mark >= self.px if self.above else mark <= self.px


@dataclass(slots=True)
class Order:
    """An order; prices and sizes are scaled integers of its asset.

    Parameters
    ----------
    oid
        Number; quotes of the market itself have negative ones.
    account
        Address, in lower case.
    asset
        Asset id.
    sz, orig_sz
        What is left of it, and what was asked for.
    tif
        None while it waits for its trigger.
    parent, children
        Orders placed together as normalTpsl.
    is_waiting
        A child whose parent is not filled yet.
    is_position_tpsl
        Closes whatever the position is when it fires.
    priority
        Place in time among the orders of a price level.
    filled_ntl
        Micro-USD that it has traded.
    twap
        Number of the TWAP order that it is a part of.
    """

    oid: int
    account: str
    asset: int
    is_buy: bool
    px: int
    sz: int
    orig_sz: int
    timestamp_ms: int
    reduce_only: bool = False
    tif: Tif | None = None
    cloid: str | None = None
    trigger: Trigger | None = None
    parent: int | None = None
    children: list[int] = field(default_factory=list)
    is_waiting: bool = False
    is_position_tpsl: bool = False
    priority: int = 0
    filled_sz: int = 0
    filled_ntl: int = 0
    status: str = OPEN
    status_ms: int = 0
    twap: int | None = None

    @property
    def is_live_trigger(self) -> bool:
        """Whether it is watching the mark."""
        return self.trigger is not None and not self.trigger.fired and not self.is_waiting

    @property
    def is_resting(self) -> bool:
        """Whether it stands in the book."""
        return self.trigger is None or self.trigger.fired
