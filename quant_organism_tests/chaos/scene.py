"""One account at the moment of a fault that is staged, and what is done around it."""

import contextlib
from decimal import Decimal
from typing import Any, Final

import numpy as np

from quant_organism.simulator import Account, Engine
from quant_organism.simulator.core.state import Listing
from quant_organism.trading.orders import OrderManager, cloid_of
from quant_organism.venue import NewOrder, VenueError, quantised_price, quantised_size
from quant_organism_tests.chaos.market import COINS
from quant_organism_tests.chaos.session import Session, Trader

USD: Final = Decimal(200)


class Scene:
    """One account at the moment of a fault.

    Parameters
    ----------
    session
        Venue and traders.
    trader
        Who meets it.
    rng
        Draws what it does.
    name
        Of the fault; decisions begin with it.
    """

    def __init__(self, session: Session, trader: Trader, rng: np.random.Generator, name: str) -> None:
        self.session, self.trader, self.rng, self.name = session, trader, rng, name
        self._decisions = 0

    @property
    def manager(self) -> OrderManager:
        """The trader's, connected and reconciled."""
        return self.session.opened(self.trader)

    @property
    def engine(self) -> Engine:
        """The venue itself."""
        return self.session.running.server.engine

    @property
    def account(self) -> Account:
        """What the venue has of it."""
        return self.engine.venue.state.accounts[self.trader.address]

    def decision(self) -> str:
        """Return the name of the next decision."""
        self._decisions += 1
        return f"{self.trader.name}/{self.name}/{self._decisions}"

    def strike(self, kind: str, **said: Any) -> None:
        """Arm a fault."""
        self.session.admin("faults", {"kind": kind, **said})

    def clear(self) -> None:
        """Disarm all, counting what has struck."""
        self.session.clear_faults()

    def order(self, coin: str, *, taking: bool, is_buy: bool = True, usd: Decimal = USD) -> NewOrder:
        """Return an order for some dollars of a coin, beyond the market or well behind it.

        By the oracle: a gap of the mark, which lasts until the next tick, moves no book.
        """
        listed, (_, listing) = self.manager.venue.listed(coin), self.listing(coin)
        oracle = Decimal(listing.px(listing.oracle))
        away = (Decimal("0.01") if taking else Decimal("-0.01")) * (1 if is_buy else -1)
        px, sz = quantised_price(oracle * (1 + away), listed, up=is_buy == taking), quantised_size(usd / oracle, listed)
        return NewOrder(cloid_of(self.decision()), coin, is_buy, px, sz, tif="Ioc" if taking else "Gtc")

    def place(self, order: NewOrder) -> None:
        """Place an order; whether it came to be is another matter."""
        with contextlib.suppress(VenueError):
            self.manager.place(f"{self.trader.name}/{self.name}/{self._decisions}", [order])

    def act(self) -> None:
        """Hold something and have an order rest, whatever becomes of it."""
        coin = str(self.rng.choice(COINS))
        self.place(self.order(coin, taking=True, is_buy=bool(self.rng.integers(2))))
        self.place(self.order(coin, taking=False, is_buy=bool(self.rng.integers(2))))

    def compare(self) -> None:
        """Heal everything, and find the journal equal to the venue."""
        self.clear()
        self.session.heal(self.trader)
        manager = self.manager
        self.session.reconciled(manager)
        self.session.check(self.trader, manager)

    def listing(self, coin: str) -> tuple[int, Listing]:
        """Return asset id and listing of a coin."""
        listings = self.engine.venue.state.listings.items()
        return next(pair for pair in listings if pair[1].instrument.name == coin)
