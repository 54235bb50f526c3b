"""A whole live trader: bars of a venue, decisions of a document, orders sent, and an account that is the venue's."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from quant_organism.market import Interval, WorldSource, load_world
from quant_organism.simulator import MarketSpec, RunningVenue, ServerSpec, VenueClock, VenueServer, open_engine
from quant_organism.strategies import Committee, default_genome
from quant_organism.trading import AccountFollower, LiveExecution, Pipeline
from quant_organism.trading.paper import trade_live
from quant_organism.trading.preparing import prepare_paper
from quant_organism.trading.profiles import session_profile
from quant_organism.trading.records import LedgerFill, LedgerPlan
from quant_organism.trading.runtime import CloseReport
from quant_organism.venue import HyperliquidVenue, account_feed, info_of, open_feed
from quant_organism_tests.chaos.books import check_journal_is_venue
from quant_organism_tests.deployment.documents import document
from quant_organism_tests.trading.sessions import ledger
from quant_organism_tests.trading.test_follower import LINE
from quant_organism_tests.trading.trader import ADDRESS, close, eventually, open_manager

HOUR = Interval.parse("1h")
SYMBOLS = ("SIM-ASH", "SIM-BAY", "SIM-BOX")
CLOSES = 8


class WallClock:
    """This machine's."""

    def monotonic_s(self) -> float:
        """Return seconds since any fixed moment."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """Return UTC milliseconds."""
        return time.time_ns() // 1_000_000


def test_a_live_trader_holds_what_the_venue_holds(tmp_path: Path) -> None:
    engine = open_engine(
        WorldSource(load_world("demo")), HOUR, symbols=SYMBOLS, future_days=180, spec=MarketSpec(ticks_per_bar=10)
    )
    engine.deposit(ADDRESS, 10_000_000_000)
    limits = ServerSpec(ip_weight_per_minute=None, limit_addresses=False)
    with RunningVenue(VenueServer(engine, VenueClock(engine.now_ms, 3_600.0, time.monotonic), limits)) as running:
        manager = open_manager(running.url, tmp_path / "trader", visibility_seconds=1.0)
        assert isinstance(manager.venue, HyperliquidVenue)
        line = account_feed(manager.venue, rng=np.random.default_rng(0), line=LINE)
        follower = AccountFollower(manager, line)
        assert follower.start().is_clean
        live = LiveExecution(manager, now_ms=lambda: engine.now_ms, late_ms=24 * HOUR.milliseconds)
        ask, book = info_of(running.url, weight_per_minute=10**6), ledger(tmp_path)
        genomes = [default_genome(name) for name in ("ema_crossover", "donchian_breakout", "rsi_filter")]
        made = document(strategy=Committee.of(genomes), universe=SYMBOLS, interval="1h")
        session, _ = prepare_paper(
            tmp_path / "data",
            session_profile("intraday"),
            10_000.0,
            book,
            base_url=running.url,
            ask=ask,
            feed=lambda interval, coins, begin_ms: open_feed(
                running.url, ask, interval, coins=coins, begin_ms=begin_ms
            ),
            clock=WallClock(),
            documents=[(made, "trades")],
            patience_s=1.0,
        )
        session = replace(session, spec=replace(session.spec, mode="testnet", execution=live, pipeline=Pipeline))
        told: list[CloseReport] = []
        try:
            trader = asyncio.run(trade_live(session, told=told.append, closes=CLOSES))
            account = trader.main.account

            def is_the_venues() -> bool:
                trader.watch()
                return live.differences(account) == {}

            assert eventually(is_the_venues)
            check_journal_is_venue(manager, engine.venue, engine.venue.state.accounts[ADDRESS])
            assert {symbol for symbol in account.positions if symbol in follower.standing().unprotected} == set()
            assert len(book.read(LedgerPlan)) >= CLOSES
            fills = [fill for fill in book.read(LedgerFill) if fill.account == account.account]
            assert sum(fill.lots for fill in fills if fill.symbol == "SIM-ASH") == account.positions.get("SIM-ASH", 0)
            assert fills
        finally:
            follower.close()
            close(manager)
            book.close()
