"""A live account between two closes: what the line hears is booked, also over a cut, and fills are not asked for."""

import queue
import threading
from pathlib import Path
from typing import Any

import numpy as np

from quant_organism.backtest.account import STOP, AccountClose, AccountFill, plan
from quant_organism.simulator import RunningVenue, Tape
from quant_organism.trading import AccountFollower, LineRestored
from quant_organism.venue import HyperliquidVenue, account_feed
from quant_organism.venue.protocol.decimals import MICRO_USD
from quant_organism_tests.simulator.conftest import make_server, small_tape
from quant_organism_tests.trading.test_follower import LINE, SPEC
from quant_organism_tests.trading.test_live import Desk
from quant_organism_tests.trading.trader import ADDRESS, close, eventually

__all__ = ["small_tape"]


def hold(desk: Desk, symbol: str) -> None:
    """Buy a tenth of the equity, and have its stop rest."""
    px = float(desk.manager.venue.mids()[symbol])
    desk.entries["s", "m", symbol] = px
    units = {("s", "m", symbol): 0.1 / px}
    desk.made = plan(desk.account, AccountClose(desk.engine.now_ms, {symbol: px}, units, {"s": 1.0}))
    desk.live.begin(desk.account, desk.made, desk.levels)
    assert desk.account.positions[symbol] > 0


def test_stops_that_fire_over_a_cut_line_are_booked_once(small_tape: Tape, tmp_path: Path) -> None:
    server = make_server(small_tape)
    server.engine.deposit(ADDRESS, 10_000 * MICRO_USD)
    with RunningVenue(server) as running:
        desk = Desk(running, tmp_path, np.random.default_rng(3))
        desk.connect()
        assert isinstance(desk.manager.venue, HyperliquidVenue)
        transport = desk.manager.venue.transport
        feed = account_feed(desk.manager.venue, rng=np.random.default_rng(0), line=LINE)
        follower = AccountFollower(desk.manager, feed, SPEC)
        follower.start()
        asked: list[str] = []
        original, mine = transport._post, threading.get_ident()

        def post(path: str, body: Any, where: str) -> Any:
            if threading.get_ident() == mine:
                asked.append(where)
            return original(path, body, where)

        transport._post = post  # type: ignore[method-assign]
        fired = 0
        try:
            for number, symbol in enumerate(("ETH", "BTC", "DOGE")):
                desk.pass_ms(60_000)
                hold(desk, symbol)
                assert eventually(lambda: follower.standing().is_known)
                if number != 1:
                    running.server.break_connections()
                asset = desk.manager.venue.listed(symbol).asset
                listing = server.engine.venue.state.listings[asset]
                server.engine.venue.set_prices({asset: (int(listing.mark * 0.94), listing.oracle)})
                server.step(server.engine.now_ms + 1_000)
                asked.clear()
                events: list[object] = []

                def is_booked() -> bool:
                    events.extend(desk.watch())  # noqa: B023
                    return not desk.account.positions

                assert eventually(is_booked)
                fills = [event for event in events if isinstance(event, AccountFill)]
                assert {fill.kind for fill in fills} == {STOP}
                # Of a target that rests no more, and of fills where the stop was known to have filled before them.
                assert set(asked) <= {"exchange cancelByCloid", "info orderStatus", "info userFillsByTime"}
                fired += len(fills)
                assert eventually(lambda: follower.standing().is_known)
                assert desk.live.differences(desk.account) == {}
            desk.check()
            assert sum(1 for fill in desk.there.fills if not fill.is_buy) == fired
            restored = 0
            while True:
                try:
                    restored += isinstance(follower.events.get_nowait(), LineRestored)
                except queue.Empty:
                    break
            assert restored == 2
        finally:
            follower.close()
            close(desk.manager)
