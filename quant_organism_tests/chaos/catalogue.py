"""The catalogue of faults that are staged on purpose, each where it hurts; after each the books are compared.

What strikes at random is in `plans`. Here each fault meets an account that holds something and has orders open.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np

from quant_organism.errors import InputError, IntegrityError
from quant_organism.simulator import Account
from quant_organism.simulator.core.liquidation import liquidate_due
from quant_organism.trading.orders import Journal, flatten, reconcile
from quant_organism.venue import NewOrder, VenueError, quantised_price, quantised_size
from quant_organism.venue.protocol import MICRO_USD, OrderRequest, PlaceOrders, PlaceTwap, round_units
from quant_organism_tests.chaos.market import COINS
from quant_organism_tests.chaos.scene import USD, Scene
from quant_organism_tests.chaos.session import Session, open_session

CROWD: Final = 5_000
VOLUME_FOR_A_CROWD: Final = 20_000_000_000 * MICRO_USD
TICK_SECONDS: Final = 120.0
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_NO_PRICES: Final = ("oops", "NaN", "Infinity", "-1.0", "0.0", "", "1e999")
_LOST: Final = frozenset({"reset_after", "reset_before", "truncate_answer", "fewer_statuses"})
_STRANGER: Final = "0x" + "57" * 20
_DAMAGES: Final = ((0.5, 1.0, b"\0"), (0.4, 0.6, b"\xff"), (0.0, 0.1, b"\0"))
"""Of a journal: shares of the file from which and up to which it is filled with what."""

_SKEWS_MS: Final = (-2 * 86_400_000, -40_000, 40_000, 3 * 86_400_000)


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
    engine = scene.engine
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


def journal_damaged(scene: Scene) -> None:
    """A part of the journal is overwritten: it is not opened, and says so in the house's own words."""
    scene.act()
    scene.trader.close()
    path = scene.trader.folder / "ledger.sqlite"
    whole = path.read_bytes()
    first, last, filling = _DAMAGES[int(scene.rng.integers(len(_DAMAGES)))]
    begin, end = (int(len(whole) * share) // 4096 * 4096 for share in (first, last))
    end = max(end, begin + 4096)
    path.write_bytes(whole[:begin] + filling * (end - begin) + whole[end:])
    try:
        Journal(path, f"simulator {scene.trader.address}").close()
    except IntegrityError:
        path.write_bytes(whole)
    else:
        raise AssertionError(f"a journal was opened in which bytes {begin} to {end} are damaged")


def restart(scene: Scene) -> None:
    """A process starts: it opens nothing before its books and the venue have been compared."""
    scene.act()
    order = scene.order("ETH", taking=False)
    scene.trader.close()
    before = set(scene.account.open_oids)
    manager = scene.trader.open(scene.session.running.url, scene.session.sleep, scene.session.watching)
    try:
        manager.place(f"{scene.name}/too early", [order])
    except InputError:
        assert set(scene.account.open_oids) == before, "an order was placed before the books were compared"
    else:
        raise AssertionError("an order was taken before the books were compared")


def spot_dust(scene: Scene) -> None:
    """The venue converts dust, and tells it twice: perpetual books stay as they were."""
    manager = scene.manager
    scene.place(scene.order("ETH", taking=True))
    manager.sync_fills()
    held, fill = manager.journal.positions(), manager.journal.fills()[-1]
    tid = int(scene.rng.integers(1 << 40, 1 << 41))
    dust = replace(fill, coin="@107", tid=tid, oid=tid, cloid=None, fee=Decimal(0), closed_pnl=Decimal(0))
    for _ in range(2):
        manager.hear_fills([dust])
    assert manager.journal.positions() == held, f"{manager.journal.positions()} after dust was converted, {held} before"
    assert manager.journal.spot_sizes()["@107"] == (fill.sz if fill.is_buy else -fill.sz)


def twap_order(scene: Scene) -> None:
    """A TWAP order runs that nobody here has begun: after flattening no position comes back."""
    scene.act()
    asset, listing = scene.listing("ETH")
    sz = quantised_size(2 * USD / Decimal(listing.px(listing.oracle)), scene.manager.venue.listed("ETH"))
    scene.engine.act(scene.account, PlaceTwap(asset, True, sz, False, 5, False))
    assert scene.engine.venue.state.twaps, "no TWAP order runs"
    flatten(scene.manager, scene.decision(), sleep=scene.session.sleep)
    scene.session.sleep(TICK_SECONDS)
    assert scene.account.positions() == [], f"a TWAP order brought back {scene.account.positions()}"
    assert scene.engine.venue.state.twaps == {}, "a TWAP order runs on"


def liquidation_of_another(scene: Scene) -> None:
    """Somebody else is liquidated into an order of ours: nothing of ours was liquidated."""
    asset, listing = scene.listing("ETH")
    listed = scene.manager.venue.listed("ETH")
    stranger = scene.engine.deposit(_STRANGER, 1_000 * MICRO_USD)
    px = quantised_price(Decimal(listing.px(listing.oracle)) * Decimal("1.05"), listed, up=True)
    taking = OrderRequest(asset, True, px, quantised_size(USD / px, listed), False, "Ioc", None, None)
    scene.engine.act(stranger, PlaceOrders((taking,), "na"))
    assert stranger.positions(), "nobody holds what could be liquidated"
    scene.strike("one_sided_book", coin="ETH", options={"side": "bid"})
    scene.session.sleep(1.0)
    order = scene.order("ETH", taking=False, usd=4 * USD)
    best = scene.engine.venue.core.books[asset].bids.best_px()
    if best is not None:  # of another trader: ours shall be the first that is met
        order = replace(order, px=quantised_price(Decimal(listing.px(best)) * Decimal("1.0005"), listed, up=True))
    scene.place(order)
    _liquidate(scene, stranger)
    assert stranger.positions() == [], f"not liquidated: {stranger.positions()}"
    scene.manager.sync_fills()
    fills = [fill for fill in scene.manager.journal.fills() if fill.oid in _numbers(scene, order)]
    assert [fill.liquidation_method for fill in fills] == ["market"], f"nobody was liquidated into {order}: {fills}"
    assert not fills[0].is_liquidation, "another's liquidation was taken for ours"


def liquidated(scene: Scene) -> None:
    """We are liquidated ourselves: the next comparison tells it, once, and is not clean."""
    scene.place(scene.order("ETH", taking=True, usd=4 * USD))
    scene.session.reconciled(scene.manager)
    taken = _liquidate(scene, scene.account)
    scene.engine.deposit(scene.trader.address, taken)
    result = reconcile(scene.manager)
    assert result.liquidations, f"a liquidation is not told: {result}"
    assert not result.is_clean, "books are called clean straight after a liquidation"
    assert not reconcile(scene.manager).liquidations, "a liquidation is told twice"


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
    "journal damaged": (journal_damaged, frozenset()),
    "restart": (restart, frozenset()),
    "spot dust": (spot_dust, frozenset()),
    "TWAP order": (twap_order, frozenset()),
    "liquidation of another": (liquidation_of_another, frozenset({"one_sided_book"})),
    "liquidated": (liquidated, frozenset()),
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
        engine, account = scene.engine, scene.account
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


def _liquidate(scene: Scene, account: Account) -> int:
    """Take so much out of an account that the venue closes its positions at market; return how many micro-USD."""
    margin = scene.engine.venue.core.margin(account, 0)
    taken = margin.cross_equity() - margin.cross_maintenance() * 9 // 10
    scene.engine.deposit(account.address, -taken)
    liquidate_due(scene.engine.venue.core)
    scene.engine.changed()
    return taken


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
