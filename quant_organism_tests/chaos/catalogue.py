"""The catalogue of faults that are staged on purpose, each where it hurts; after each the books are compared.

What strikes at random is in `plans`. Here each fault meets an account that holds something and has orders open.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np

from quant_organism.errors import InputError
from quant_organism.simulator import Account
from quant_organism.simulator.core.state import Listing
from quant_organism.trading.orders import OrderManager, cloid_of, flatten
from quant_organism.venue import NewOrder, VenueError, quantised_price, quantised_size
from quant_organism.venue.protocol import MICRO_USD, OrderRequest, PlaceOrders, round_units
from quant_organism_tests.chaos.market import COINS
from quant_organism_tests.chaos.session import Session, Trader, open_session

USD: Final = Decimal(200)
CROWD: Final = 5_000
VOLUME_FOR_A_CROWD: Final = 20_000_000_000 * MICRO_USD
TICK_SECONDS: Final = 120.0
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_NO_PRICES: Final = ("oops", "NaN", "Infinity", "-1.0", "0.0", "", "1e999")
_LOST: Final = frozenset({"reset_after", "reset_before", "truncate_answer", "fewer_statuses"})
_SKEWS_MS: Final = (-2 * 86_400_000, -40_000, 40_000, 3 * 86_400_000)


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
    def account(self) -> Account:
        """What the venue has of it."""
        return self.session.running.server.engine.venue.state.accounts[self.trader.address]

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
        listings = self.session.running.server.engine.venue.state.listings.items()
        return next(pair for pair in listings if pair[1].instrument.name == coin)


def dripping_answer(scene: Scene) -> None:
    """Answers come byte by byte: an outcome is unknown after its time, however the bytes arrive."""
    for endpoint in ("exchange", "info"):
        scene.strike("trickle_answer", endpoint=endpoint, count=1, options={"ms": 100})
    scene.act()


def oversized_body(scene: Scene) -> None:
    """An answer does not end: nobody reads more of it than there can be."""
    scene.strike("endless_answer", endpoint="exchange", count=1, options={"mb": 40})
    scene.act()


def redirect(scene: Scene) -> None:
    """The venue sends elsewhere: what is signed is for it alone, so nothing may come there."""
    with _trap() as (port, visits):
        for status in _REDIRECTS:
            headers = {"Location": f"http://127.0.0.1:{port}/exchange"}
            for endpoint in ("exchange", "info"):
                scene.strike("http_status", endpoint=endpoint, options={"status": status, "headers": headers})
            scene.act()
        assert not visits, f"{len(visits)} requests followed a redirect"


def clock_skew(scene: Scene) -> None:
    """The venue's clock is wrong, or ours is; when it is right again, actions are taken again."""
    for skew in scene.rng.permutation(_SKEWS_MS)[:2].tolist():
        scene.strike("clock_offset", options={"ms": skew})
        scene.act()
        scene.compare()
        order = scene.order("ETH", taking=False)
        scene.place(order)
        state = scene.manager.journal.order(order.cloid).state
        assert state == "open", f"after {skew} ms of skew an order is {state}"


def bad_mid(scene: Scene) -> None:
    """No mid is a price: exits go on by the mark."""
    scene.act()
    for coin in COINS:
        scene.strike("bad_mid", coin=coin, options={"text": str(scene.rng.choice(_NO_PRICES))})
    flatten(scene.manager, scene.decision(), sleep=scene.session.sleep)
    assert scene.account.positions() == [], f"still held without a mid: {scene.account.positions()}"


def partial_amended(scene: Scene) -> None:
    """An order is partly filled while it is amended, and the answer is lost: size in all is what was asked for."""
    order = scene.order("ETH", taking=False, usd=USD * 4)
    scene.place(order)
    engine = scene.session.running.server.engine
    asset, listing = scene.listing("ETH")
    part = Decimal(int(scene.rng.integers(1, 4))) / 8
    units = int((order.sz * part).scaleb(listing.instrument.sz_decimals))
    engine.venue.take(asset, int(order.px.scaleb(listing.instrument.px_decimals)), units, is_buy=False)
    lost = str(scene.rng.choice(sorted(_LOST)))
    scene.strike(lost, endpoint="exchange", action="batchModify")
    px = quantised_price(order.px * Decimal("0.999"), scene.manager.venue.listed("ETH"), up=False)
    with contextlib.suppress(VenueError, InputError):
        scene.manager.amend(order.cloid, px, order.sz)
    scene.session.sleep(TICK_SECONDS)  # whatever was better has been taken with it: the market quotes anew
    scene.compare()
    record = scene.manager.journal.order(order.cloid)
    resting = sum(
        engine.venue.state.orders[oid].sz
        for oid in scene.account.open_oids
        if engine.venue.state.orders[oid].cloid == order.cloid
    )
    filled = sum((fill.sz for fill in scene.manager.journal.fills() if fill.oid in _numbers(scene, order)), Decimal(0))
    if record.state == "open":
        left = Decimal(listing.sz(resting))
        assert left + filled == order.sz, f"{lost}: {filled} filled and {left} open of {order.sz} after an amendment"


def agent_revoked(scene: Scene) -> None:
    """The answer to an action is lost, and the agent is gone when it is asked again; its successor finds out."""
    lost = str(scene.rng.choice(["reset_after", "reset_before"]))
    scene.strike(lost, endpoint="exchange", action="order", user=scene.trader.address)
    scene.strike("revoke_agents", user=scene.trader.address, after_ms=int(scene.rng.integers(1, 2_000)))
    scene.place(scene.order("ETH", taking=False))
    for _ in range(3):
        scene.session.sleep(1.0)
        with contextlib.suppress(VenueError):
            scene.manager.settle()


def full_disk(scene: Scene) -> None:
    """Nothing can be written any more: the account closes all the same, and the books are whole when it can be."""
    scene.act()
    scene.session.fill_disk(scene.trader, int(scene.rng.integers(1 << 30)))


def journal_lost(scene: Scene) -> None:
    """An old copy of the journal takes its place."""
    scene.session.lose_journal(scene.trader)
    scene.act()
    scene.compare()
    scene.session.lose_journal(scene.trader)


CATALOGUE: Final[Mapping[str, tuple[Callable[[Scene], None], frozenset[str]]]] = {
    "dripping answer": (dripping_answer, frozenset({"trickle_answer"})),
    "oversized body": (oversized_body, frozenset({"endless_answer"})),
    "redirect": (redirect, frozenset({"http_status"})),
    "clock skew": (clock_skew, frozenset({"clock_offset"})),
    "bad mid": (bad_mid, frozenset({"bad_mid"})),
    "partial fill amended": (partial_amended, _LOST),
    "agent revoked": (agent_revoked, frozenset({"revoke_agents"})),
    "disk full": (full_disk, frozenset()),
    "journal lost": (journal_lost, frozenset()),
}
"""What is staged, and the kinds of which one must have struck for it to count."""


def stage(session: Session, seed: int) -> None:
    """Let every fault of the catalogue strike, in an order of the seed's own.

    Raises
    ------
    AssertionError
        A rule was broken; the fault is named.
    """
    rng = np.random.default_rng([seed, 5])
    for name in rng.permutation(list(CATALOGUE)).tolist():
        usable = [each for each in session.traders if not each.is_bold and (each.uses_agent or name != "agent revoked")]
        scene = Scene(session, usable[int(rng.integers(len(usable)))], rng, name.replace(" ", "-"))
        act, kinds = CATALOGUE[name]
        before = sum(session.count.faults[kind] for kind in kinds)
        try:
            act(scene)
            scene.compare()
            assert not kinds or sum(session.count.faults[kind] for kind in kinds) > before, "it never struck"
        except AssertionError as error:
            raise AssertionError(f"{name}, {scene.trader.name}: {error}") from error


def crowd(seed: int, folder: Path, orders: int = CROWD) -> int:
    """Have an account with as many open orders as the venue allows, none of them ours, closed; return how many.

    The venue remembers the last 2,000 orders that have ended: it cannot be compared order by order afterwards.

    Raises
    ------
    AssertionError
        Something is still open or held.
    """
    with open_session(seed, folder, 1) as session:
        (trader,) = session.traders
        session.running.server.engine.deposit(trader.address, 100_000 * MICRO_USD)
        scene = Scene(session, trader, np.random.default_rng([seed, 6]), "crowd")
        scene.act()
        engine, account = session.running.server.engine, scene.account
        account.volume = VOLUME_FOR_A_CROWD
        asset, listing = scene.listing("ETH")
        px = Decimal(listing.px(round_units(listing.mark // 2, listing.instrument.px_decimals, up=False)))
        sz = Decimal(listing.sz(-(-12 * MICRO_USD // int(px.scaleb(listing.instrument.px_decimals)))))
        order = OrderRequest(asset, True, px, sz, False, "Gtc", None, None)
        engine.act(account, PlaceOrders((order,) * (orders - len(account.open_oids)), "na"))
        assert len(account.open_oids) == orders, f"{len(account.open_oids)} open orders of {orders}"
        flatten(scene.manager, scene.decision(), sleep=session.sleep)
        session.reconciled(scene.manager)
        assert account.open_oids == {}, f"{len(account.open_oids)} orders are still open"
        assert account.positions() == [], f"still held: {account.positions()}"
        assert scene.manager.journal.positions() == {}
    return orders


def _numbers(scene: Scene, order: NewOrder) -> set[int]:
    return set(scene.manager.journal.numbers(order.cloid))


@contextlib.contextmanager
def _trap() -> Iterator[tuple[int, list[float]]]:
    """Listen where nobody should come; give the port, and the times of visits."""
    visits: list[float] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    closed = threading.Event()

    def listen() -> None:
        while not closed.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                connection.close()
                visits.append(time.monotonic())

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], visits
    finally:
        closed.set()
        thread.join(10.0)
        listener.close()
