"""A whole live trader: bars of a venue, decisions of a document, orders sent, and an account that is the venue's."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quant_organism.backtest.account import AccountClose
from quant_organism.errors import InputError, StorageError
from quant_organism.market import Interval, WorldSource, load_world
from quant_organism.simulator import MarketSpec, RunningVenue, ServerSpec, VenueClock, VenueServer, open_engine
from quant_organism.strategies import Committee, default_genome
from quant_organism.trading import LinesAtRest, lines, lines_file, read_lines
from quant_organism.trading.orders.states import OrderRecord
from quant_organism.trading.paper import LiveSession, trade_live
from quant_organism.trading.pipeline import CloseStanding, Pipeline
from quant_organism.trading.policy import Policy
from quant_organism.trading.policy_step import PolicyStep
from quant_organism.trading.policy_store import FilePolicyStore, policy_folder
from quant_organism.trading.preparing import prepare_live
from quant_organism.trading.profiles import session_profile
from quant_organism.trading.records import LedgerFill, LedgerPlan, Mode
from quant_organism.trading.runtime import CloseReport
from quant_organism.trading.sending import VenueAccount, check_policy, journal_path, rejected_share, venue_account
from quant_organism.venue import connect, info_of, open_feed, wallet_of
from quant_organism_tests.chaos.books import check_journal_is_venue
from quant_organism_tests.chaos.disk import full_disk
from quant_organism_tests.deployment.documents import document
from quant_organism_tests.trading.sessions import ledger
from quant_organism_tests.trading.test_follower import LINE
from quant_organism_tests.trading.trader import ADDRESS, KEY, D, eventually, new_order, spec

HOUR = Interval.parse("1h")
SYMBOLS = ("SIM-ASH", "SIM-BAY", "SIM-BOX")
CLOSES = 8
PATIENCE_S = 10.0


class WallClock:
    """This machine's."""

    def monotonic_s(self) -> float:
        """Return seconds since any fixed moment."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """Return UTC milliseconds."""
        return time.time_ns() // 1_000_000


class Pacer:
    """Lets the venue's time pass: an hour goes by once the trader has decided on the last, however long that takes."""

    def __init__(self, running: RunningVenue, told: list[CloseReport]) -> None:
        self._server, self._told = running.server, told
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join(60.0)

    def _run(self) -> None:
        engine = self._server.engine
        while not self._enough.wait(0.02):
            hour, seen = engine.now_ms // HOUR.milliseconds, len(self._told)
            self._server.step(engine.now_ms + HOUR.milliseconds // 10)
            if engine.now_ms // HOUR.milliseconds > hour:
                self._server.step(engine.now_ms + HOUR.milliseconds // 10)
                end = time.monotonic() + PATIENCE_S
                while len(self._told) == seen and time.monotonic() < end and not self._enough.wait(0.02):
                    pass


def test_a_live_trader_holds_what_the_venue_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "EVERY_S", 0.05)
    engine = open_engine(
        WorldSource(load_world("demo")), HOUR, symbols=SYMBOLS, future_days=180, spec=MarketSpec(ticks_per_bar=10)
    )
    engine.deposit(ADDRESS, 10_000_000_000)
    limits = ServerSpec(ip_weight_per_minute=None, limit_addresses=False)
    with RunningVenue(VenueServer(engine, VenueClock(engine.now_ms, 0.0, time.monotonic), limits)) as running:
        venue = connect(spec(running.url), wallet_of(KEY), tmp_path / "signers")
        policies = FilePolicyStore(policy_folder(tmp_path / "data"))
        policies.put(Policy(allowed_venues=("testnet",)), author="test", reason="to send", at_ms=0)
        check_policy(policies.current(), "testnet", engine.now_ms)
        ask, book = info_of(running.url, weight_per_minute=10**6), ledger(tmp_path)
        genomes = [default_genome(name) for name in ("ema_crossover", "donchian_breakout", "rsi_filter")]
        made = document(strategy=Committee.of(genomes), universe=SYMBOLS, interval="1h")
        opened = venue_account(
            venue,
            journal_path(tmp_path / "data", "testnet"),
            visibility_seconds=1.0,
            line=LINE,
            now_ms=lambda: engine.now_ms,
            late_ms=180 * 24 * HOUR.milliseconds,
        )
        with opened as account_at_venue:
            session, _ = prepare_live(
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
                mode="testnet",
                account=account_at_venue,
            )
            # An hour passes in a moment here, so that the guard would find all data stale.
            allowed = replace(session.spec, pipeline=lambda: Pipeline([PolicyStep(policies.current)]))
            session = replace(session, spec=allowed)
            told: list[CloseReport] = []
            at_rest: list[LinesAtRest] = []

            def hear(report: CloseReport) -> None:
                told.append(report)
                if (left := read_lines(lines_file(tmp_path / "data"))) is not None:
                    at_rest.append(left)
                if len(told) == 2:
                    for transport in list(running.server.transports.values()):
                        transport.abort()

            trading = trade_live(session, told=hear, closes=CLOSES)
            with Pacer(running, told):
                trader = asyncio.run(asyncio.wait_for(trading, 300.0))
            account, live = trader.main.account, account_at_venue.execution

            def is_the_venues() -> bool:
                trader.watch()
                return live.differences(account) == {}

            assert eventually(is_the_venues)
            check_lines_at_rest(at_rest[0], at_rest[-1])
            assert read_lines(lines_file(tmp_path / "data")) is None  # it has ended
            seen = account_at_venue.follower.standing()
            check_journal_is_venue(
                account_at_venue.follower.manager, engine.venue, engine.venue.state.accounts[ADDRESS]
            )
            assert set(seen.unprotected) == set()
            assert len(book.read(LedgerPlan)) >= CLOSES
            fills = [fill for fill in book.read(LedgerFill) if fill.account == account.account]
            assert sum(fill.lots for fill in fills if fill.symbol == "SIM-ASH") == account.positions.get("SIM-ASH", 0)
            assert fills
            close = AccountClose(engine.now_ms - 3 * HOUR.milliseconds, {}, {}, {})
            standing = CloseStanding(1, "testnet", close, account, (), HOUR.milliseconds)
            read = account_at_venue.readings(HOUR, lambda close_ms: 42.0)(standing)
            assert read.data_age_bars is not None
            assert 3.0 <= read.data_age_bars < 1_000.0
            assert (read.fear_greed, read.silent_lines) == (42.0, 0)
            assert read.clock_skew_s is not None
            assert read.clock_skew_s < 5.0
            check_full_disk(replace(session, now_ms=engine.now_ms), account_at_venue, running)
        book.close()
        venue.close()


def check_lines_at_rest(first: LinesAtRest, last: LinesAtRest) -> None:
    """Both lines were cut once: they were opened again, and what they had missed was fetched."""
    assert {name: line.reconnects for name, line in first.lines.items()} == {"market": 0, "account": 0}
    assert {name: line.reconnects for name, line in last.lines.items()} == {"market": 1, "account": 1}
    market, account = last.lines["market"], last.lines["account"]
    assert market.is_connected
    assert account.is_connected
    assert market.frames["trades"] > first.lines["market"].frames["trades"] > 0
    assert account.frames["orderUpdates"] > 0
    assert market.gaps_closed["bars"] > first.lines["market"].gaps_closed["bars"]
    assert account.gaps_closed["account"] == 2  # what was before the first socket is asked for as well
    silent = last.silent_s("market", last.written_ms + 1_000)
    assert silent is not None
    assert 1.0 <= silent < 1.0 + PATIENCE_S


def check_full_disk(session: LiveSession, account: VenueAccount, running: RunningVenue) -> None:
    """Where the ledger cannot be written nothing is sent, the session ends saying so, and what is held is protected."""

    engine = running.server.engine

    def entered() -> set[str]:
        return {
            record.order.cloid for record in account.follower.manager.journal.orders() if not record.order.reduce_only
        }

    def is_protected() -> bool:
        there, state = engine.venue.state.accounts[ADDRESS], engine.venue.state
        resting = [state.orders[oid] for oid in list(there.open_oids)]
        stops = {order.asset: order.sz for order in resting if order.trigger and order.trigger.tpsl == "sl"}
        return all(stops.get(asset) == abs(held.szi) for asset, held in there.positions())

    before, told = entered(), list[CloseReport]()
    with Pacer(running, told), full_disk(), pytest.raises(StorageError):
        asyncio.run(asyncio.wait_for(trade_live(session, told=told.append, closes=3), 300.0))
    assert told == []
    assert entered() == before
    assert eventually(is_protected)


@pytest.mark.parametrize(
    ("mode", "policy", "what"),
    [
        ("testnet", None, "no policy is in force"),
        ("mainnet", Policy(), "policy 1 allows replay, paper, testnet, and mainnet is not among it"),
        ("testnet", Policy(valid_until=datetime(2026, 1, 1, tzinfo=UTC)), "is not valid now"),
    ],
)
def test_nothing_is_sent_without_a_policy_that_says_so(
    tmp_path: Path, mode: Mode, policy: Policy | None, what: str
) -> None:
    store = FilePolicyStore(policy_folder(tmp_path))
    if policy is not None:
        store.put(policy, author="test", reason="to see", at_ms=0)
    with pytest.raises(InputError, match=what):
        check_policy(store.current(), mode, 1_767_312_000_000)  # 2026-01-02


def test_the_share_of_refusals_needs_orders_enough() -> None:
    placed = [OrderRecord(new_order(str(n)), str(n), "filled", n, D(0), D(0), "") for n in range(60)]
    assert rejected_share(placed[:49]) is None
    refused = [replace(record, state="rejected") for record in placed[50:]]
    assert rejected_share([*placed[:50], *refused]) == 0.2
    assert rejected_share([*refused, *placed[:50]]) == 0.0  # they were long ago
