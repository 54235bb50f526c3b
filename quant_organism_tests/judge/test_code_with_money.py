"""Sessions that send orders, with code beside a family: its server killed, or the trader, while it thinks."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import dedent
from typing import Any, Final

import pytest

from quant_organism.backtest import Costs
from quant_organism.deployment import ExternalStrategy, StrategyConfig, StrategyRepository
from quant_organism.judge import ServedRunner
from quant_organism.judge.running import SandboxAnswer
from quant_organism.market import Interval, Panel, WorldSource, load_world
from quant_organism.simulator import MarketSpec, RunningVenue, ServerSpec, VenueClock, VenueServer, open_engine
from quant_organism.strategies import Committee, default_genome
from quant_organism.trading import LedgerReader
from quant_organism.trading.paper import LiveSession, trade_live
from quant_organism.trading.pipeline import Pipeline
from quant_organism.trading.policy import Policy
from quant_organism.trading.policy_step import PolicyStep
from quant_organism.trading.policy_store import FilePolicyStore, policy_folder
from quant_organism.trading.preparing import prepare_live
from quant_organism.trading.profiles import session_profile
from quant_organism.trading.records import LedgerEvent, LedgerFill, TradeDecision
from quant_organism.trading.runtime import CloseReport, Trader
from quant_organism.trading.sending import VenueAccount, journal_path, venue_account
from quant_organism.venue import connect, info_of, open_feed, wallet_of
from quant_organism_tests.chaos.books import check_journal_is_venue
from quant_organism_tests.deployment.documents import document
from quant_organism_tests.judge.other_user import code_server, folder_of_nobody, no_other_user
from quant_organism_tests.trading.sessions import ledger
from quant_organism_tests.trading.test_follower import LINE
from quant_organism_tests.trading.test_live_trader import Pacer, WallClock
from quant_organism_tests.trading.trader import ADDRESS, KEY, eventually, spec

pytestmark = pytest.mark.skipif(bool(no_other_user()), reason=no_other_user())

HOUR: Final = Interval.parse("1h")
SYMBOLS: Final = ("SIM-ASH", "SIM-BAY", "SIM-BOX")
STANDS: Final = """
    import time
    import numpy as np

    def signal(panel):
        if panel.times[-1] == {thinks}:
            time.sleep({seconds})
        held = np.zeros(panel.close.shape)
        held[6:] = np.sign(panel.close[6:] - panel.close[:-6])
        return np.nan_to_num(held)
"""
"""Always holds something; at one bar it thinks for long."""
THINKS_AT: Final = 3
"""Bars after the beginning of the session."""


class Watched(ServedRunner):
    """Asks as the trader does, and tells before which bars it asks."""

    def __init__(self, told: Callable[[int], None], *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._told = told

    def ask(self, strategy: ExternalStrategy, panel: Panel, costs: Costs) -> SandboxAnswer:
        self._told(int(panel.times[-1]))
        return super().ask(strategy, panel, costs)


@dataclass(frozen=True)
class Place:
    """A venue, a data folder whose documents send orders there, and the bar at which the code thinks."""

    folder: Path
    running: RunningVenue
    bred: StrategyConfig
    code: StrategyConfig
    thinks_ms: int


@contextmanager
def place_of(folder: Path, thinks_seconds: float) -> Iterator[Place]:
    engine = open_engine(
        WorldSource(load_world("demo")), HOUR, symbols=SYMBOLS, future_days=180, spec=MarketSpec(ticks_per_bar=10)
    )
    engine.deposit(ADDRESS, 10_000_000_000)
    limits = ServerSpec(ip_weight_per_minute=None, limit_addresses=False)
    FilePolicyStore(policy_folder(folder / "data")).put(
        Policy(allowed_venues=("testnet",)), author="test", reason="to send", at_ms=0
    )
    thinks = (engine.now_ms // HOUR.milliseconds + THINKS_AT) * HOUR.milliseconds
    repository = StrategyRepository(folder / "data" / "strategies")
    source = repository.keep_source(dedent(STANDS.format(thinks=thinks, seconds=thinks_seconds)).encode())
    code = ExternalStrategy(
        name="made", form="callable", function="signal", source=source, seconds=20.0, memory_mb=1_024
    )
    with RunningVenue(VenueServer(engine, VenueClock(engine.now_ms, 0.0, time.monotonic), limits)) as running:
        yield Place(
            folder,
            running,
            document(strategy=Committee.of([default_genome("ema_crossover")]), universe=SYMBOLS, interval="1h"),
            document(strategy=code, universe=SYMBOLS, interval="1h"),
            thinks,
        )


@dataclass(frozen=True)
class Sending:
    """A session that sends orders, not begun."""

    session: LiveSession
    account: VenueAccount


@contextmanager
def sending(
    folder: Path, url: str, documents: list[StrategyConfig], runner: ServedRunner, now_ms: Any
) -> Iterator[Sending]:
    with ExitStack() as stack:
        venue = connect(spec(url), wallet_of(KEY), folder / "signers")
        stack.callback(venue.close)
        ask, book = info_of(url, weight_per_minute=10**6), ledger(folder)
        stack.callback(book.close)
        account = stack.enter_context(
            venue_account(
                venue,
                journal_path(folder / "data", "testnet"),
                visibility_seconds=1.0,
                line=LINE,
                now_ms=now_ms,
                late_ms=180 * 24 * HOUR.milliseconds,
            )
        )
        session, _ = prepare_live(
            folder / "data",
            session_profile("intraday"),
            10_000.0,
            book,
            base_url=url,
            ask=ask,
            feed=lambda interval, coins, begin_ms: open_feed(url, ask, interval, coins=coins, begin_ms=begin_ms),
            clock=WallClock(),
            documents=[(each, "trades") for each in documents],
            patience_s=1.0,
            mode="testnet",
            account=account,
            runner=stack.enter_context(runner),
        )
        policies = FilePolicyStore(policy_folder(folder / "data"))
        # An hour passes in a moment here, so that the guard would find all data stale.
        allowed = replace(session.spec, pipeline=lambda: Pipeline([PolicyStep(policies.current)]))
        yield Sending(replace(session, spec=allowed), account)


def traded(place: Place, runner: ServedRunner, closes: int) -> Trader:
    """Trade so many closes; afterwards the books are the venue's."""
    engine, told = place.running.server.engine, list[CloseReport]()
    with sending(place.folder, place.running.url, [place.bred, place.code], runner, lambda: engine.now_ms) as sent:
        with Pacer(place.running, told):
            trading = trade_live(sent.session, told=told.append, closes=closes)
            trader = asyncio.run(asyncio.wait_for(trading, 300.0))

        def is_the_venues() -> bool:
            trader.watch()
            return sent.account.execution.differences(trader.main.account) == {}

        assert eventually(is_the_venues)
        check_journal_is_venue(sent.account.follower.manager, engine.venue, engine.venue.state.accounts[ADDRESS])
        assert set(sent.account.follower.standing().unprotected) == set()
    return trader


def decisions(place: Place, strategy: StrategyConfig) -> list[TradeDecision]:
    reader = LedgerReader(place.folder / "ledger.sqlite")
    found = [each for each in reader.read(TradeDecision) if each.strategy == strategy.id]
    reader.close()
    return found


def test_its_server_killed_while_it_thinks_stops_it_alone(tmp_path: Path) -> None:
    with place_of(tmp_path, 15.0) as place, folder_of_nobody() as folder, code_server(folder) as (path, server):

        def strike(last_ms: int) -> None:
            if last_ms == place.thinks_ms:
                threading.Timer(1.0, server.kill).start()

        runner = Watched(strike, StrategyRepository(place.folder / "data" / "strategies"), path)
        trader = traded(place, runner, THINKS_AT + 24)
        stopped_ms = place.thinks_ms + HOUR.milliseconds
        reader = LedgerReader(place.folder / "ledger.sqlite")
        (event,) = [each for each in reader.read(LedgerEvent, level="error") if each.kind == "stopped"]
        fills = [each for each in reader.read(LedgerFill) if each.account == trader.main.account.account]
        reader.close()
        assert event.close_ms == stopped_ms
        assert f"{place.code.id} wants nothing any more: {place.code.id}, {path}: the server of code" in event.text
        own = decisions(place, place.code)
        assert {each.kind for each in own if each.close_ms < stopped_ms} >= {"enter"}
        assert {each.kind for each in own if each.close_ms == stopped_ms} == {"exit"}
        assert max(each.close_ms for each in own) == stopped_ms
        assert fills
        assert trader.main.strategies[place.code.id].units == {}
        # What is held at the end is the family's alone.
        bred = trader.main.strategies[place.bred.id]
        wanted = {symbol for (_, _, symbol), units in bred.units.items() if units}
        assert {symbol for symbol, lots in trader.main.account.positions.items() if lots} <= wanted
        assert max(each.close_ms for each in decisions(place, place.bred)) > stopped_ms


def test_a_time_out_stops_it_alone(tmp_path: Path) -> None:
    with place_of(tmp_path, 60.0) as place, folder_of_nobody() as folder, code_server(folder) as (path, _):
        repository = StrategyRepository(place.folder / "data" / "strategies")
        trader = traded(place, ServedRunner(repository, path, question_seconds=5.0), THINKS_AT + 3)
        reader = LedgerReader(place.folder / "ledger.sqlite")
        (event,) = [each for each in reader.read(LedgerEvent, level="error") if each.kind == "stopped"]
        reader.close()
        assert event.close_ms == place.thinks_ms + HOUR.milliseconds
        assert "the server of code did not answer in time" in event.text
        assert trader.main.strategies[place.code.id].units == {}


def test_a_trader_killed_while_it_thinks_is_taken_up_again(tmp_path: Path) -> None:
    """The next one asks again, sends what the first would have sent, and its books are the venue's."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with place_of(tmp_path, 3.0) as place, folder_of_nobody() as folder, code_server(folder) as (path, server):
        begun, asked, closes = context.Event(), context.Event(), context.Value("q", 0)
        events = (place.thinks_ms, begun, asked, closes)
        child = context.Process(
            target=_trade, args=(place.folder, place.running.url, place.bred, place.code, path, *events), daemon=True
        )
        child.start()
        assert begun.wait(120.0), f"the trader ended with {child.exitcode}"
        with Pacer(place.running, Counted(closes)):
            assert asked.wait(120.0), "the code was never asked"
        time.sleep(1.0)
        child.kill()
        child.join(60.0)
        assert child.exitcode == -9
        before = decisions(place, place.code)
        assert before
        assert max(each.close_ms for each in before) <= place.thinks_ms
        trader = traded(place, ServedRunner(StrategyRepository(place.folder / "data" / "strategies"), path), 4)
        assert server.poll() is None
        assert trader.last_close_ms > place.thinks_ms + HOUR.milliseconds
        assert not trader.main.strategies[place.code.id].trouble
        reader = LedgerReader(place.folder / "ledger.sqlite")
        assert [each for each in reader.read(LedgerEvent, level="error") if each.kind == "stopped"] == []
        reader.close()


class Counted(list[CloseReport]):
    """As many closes as another process has told of."""

    def __init__(self, closes: Any) -> None:
        super().__init__()
        self._closes = closes

    def __len__(self) -> int:
        return int(self._closes.value)


def _trade(
    folder: Path,
    url: str,
    bred: StrategyConfig,
    code: StrategyConfig,
    path: Path,
    thinks_ms: int,
    begun: Any,
    asked: Any,
    closes: Any,
) -> None:
    """Trade until killed; in a process of its own."""

    def strike(last_ms: int) -> None:
        if last_ms == thinks_ms:
            asked.set()

    def hear(report: CloseReport) -> None:
        closes.value += 1

    runner = Watched(strike, StrategyRepository(folder / "data" / "strategies"), path)
    ask = info_of(url, weight_per_minute=10**6)
    with sending(folder, url, [bred, code], runner, lambda: int(ask({"type": "exchangeStatus"})["time"])) as sent:
        begun.set()
        asyncio.run(trade_live(sent.session, told=hear))
