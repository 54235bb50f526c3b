"""Sessions on the live bars of a local exchange: decisions at each close, and the orders of a replay of its bars."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from quant_organism.backtest import Costs
from quant_organism.backtest.account import TradedAsset
from quant_organism.deployment import StrategyConfig, StrategyRepository
from quant_organism.deployment.stages import Stage
from quant_organism.errors import InputError
from quant_organism.market import Interval, Lake, WorldSource, load_world
from quant_organism.market.panel import build_panel
from quant_organism.simulator import MarketSpec, RunningVenue, ServerSpec, VenueClock, VenueServer, open_engine
from quant_organism.trading import LedgerReader, LedgerSession, LedgerStrategy, ledger_path
from quant_organism.trading.demonstration import demonstration_document
from quant_organism.trading.lines import LineKeeper
from quant_organism.trading.live_bars import BarCollector, FeedInstruments, Settlements, extended
from quant_organism.trading.paper import LiveSession, trade_live
from quant_organism.trading.profiles import PROFILES, session_profile
from quant_organism.trading.records import LedgerBar, LedgerEvent, LedgerPlan
from quant_organism.trading.replaying import replay_session
from quant_organism.trading.starting import SessionSpec
from quant_organism.venue import Bar, Feed
from quant_organism_tests.deployment.documents import records
from quant_organism_tests.program import Caller, finish, start
from quant_organism_tests.trading.sessions import START, ledger, market, spec, strategy
from quant_organism_tests.trading.trader import eventually

HOUR = Interval.parse("1h")


def bar(coin: str, open_ms: int) -> Bar:
    return Bar(coin, "1h", open_ms, 1.0, 1.0, 1.0, 1.0, 1.0, 1, "trades")


def test_bars_wait_for_each_other_but_not_for_ever() -> None:
    step = HOUR.milliseconds
    collector = BarCollector(("A", "B"), HOUR, step, patience_s=5.0)
    collector.add(bar("A", step), 0.0)
    assert collector.complete(4.9) == []
    collector.add(bar("B", step), 4.9)
    assert [(open_ms, sorted(bars)) for open_ms, bars in collector.complete(4.9)] == [(step, ["A", "B"])]
    collector.add(bar("A", 2 * step), 10.0)
    assert [(open_ms, sorted(bars)) for open_ms, bars in collector.complete(15.0)] == [(2 * step, ["A"])]
    collector.add(bar("B", 2 * step), 15.0)
    assert collector.late == 1


def test_a_coin_that_shows_a_later_bar_had_none() -> None:
    step = HOUR.milliseconds
    collector = BarCollector(("A", "B"), HOUR, step)
    for coin, open_ms in (("A", step), ("A", 3 * step), ("B", 3 * step)):
        collector.add(bar(coin, open_ms), 0.0)
    found = [(open_ms // step, sorted(bars)) for open_ms, bars in collector.complete(0.0)]
    assert found == [(1, ["A"]), (2, []), (3, ["A", "B"])]


def test_funding_is_paid_once_also_where_it_comes_late() -> None:
    """A venue stamps after the hour, and what it had not yet when the hour closed is paid an hour later."""
    step, late = HOUR.milliseconds, 3 * HOUR.milliseconds + 40
    stored = {hour * step + 40: 0.0001 * hour for hour in range(1, 6)}
    held_back = {late}

    def ask(body: Mapping[str, Any]) -> list[dict[str, Any]]:
        found = range(body["startTime"], body["endTime"] + 1)
        return [
            {"coin": "A", "time": time_ms, "fundingRate": str(rate)}
            for time_ms, rate in stored.items()
            if time_ms in found and time_ms not in held_back
        ]

    settlements, paid = Settlements(ask, ("A",), 0), []
    for close in (2, 3, 4, 5):
        settlements.fetch(close * step)
        rate, of_bar = settlements.of_bar((close - 1) * step, HOUR)
        paid.append(of_bar["A"])
        if close == 3:
            held_back.clear()
    assert paid == pytest.approx([0.0002, 0.0, 0.0003 + 0.0004, 0.0005])
    assert rate["A"] == pytest.approx(0.0005)


class BarsAtHand:
    """A feed of bars that are there at once."""

    def __init__(self, bars: Sequence[Bar]) -> None:
        self.bars = bars

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def events(self) -> AsyncIterator[Bar]:
        for each in self.bars:
            yield each
        await asyncio.Event().wait()


class ClockByHand:
    """A clock that a test moves."""

    now_s = 0.0

    def monotonic_s(self) -> float:
        return self.now_s

    def wall_ms(self) -> int:
        return 0


def test_after_a_close_that_failed_nothing_more_is_decided_and_its_reason_is_told(tmp_path: Path) -> None:
    """The next bar is due as well by then, and who looks for due bars every moment waits already for its turn."""
    history = market(holes=False).window(0, START)
    step, clock, asked = HOUR.milliseconds, ClockByHand(), 0
    first = int(history.times[-1]) + step

    def ask(body: Mapping[str, Any]) -> list[dict[str, Any]]:
        nonlocal asked
        asked += 1
        clock.now_s = 100.0
        time.sleep(0.2)  # in a thread of its own
        raise InputError(f"no answer to question {asked}")

    brought = [bar("S0", first), bar("S0", first + step), bar("S1", first), bar("S2", first)]
    book = ledger(tmp_path)
    session = LiveSession(
        ledger=book,
        spec=spec(history, [(strategy(), "trades")], mode="paper"),
        history=history,
        feed=lambda _: cast(Feed, BarsAtHand(brought)),
        settlements=lambda begin: Settlements(ask, history.symbols, begin),
        now_ms=first,
        clock=clock,
        instruments=FeedInstruments(clock.wall_ms),
        lines=LineKeeper(tmp_path / "lines.json", {}, clock.wall_ms, is_real_time=False),
    )
    with pytest.raises(InputError, match="question 1"):
        asyncio.run(trade_live(session, told=lambda report: None))
    book.close()
    assert asked == 1


SYMBOLS = ("SIM-ASH", "SIM-BAY", "SIM-BOX")


@pytest.fixture
def url() -> Iterator[str]:
    """Serve a market, two hours a second."""
    spec = MarketSpec(ticks_per_bar=10)
    source = WorldSource(load_world("demo"))
    engine = open_engine(source, HOUR, symbols=SYMBOLS, future_days=180, spec=spec)
    limits = ServerSpec(ip_weight_per_minute=None, limit_addresses=False)
    with RunningVenue(VenueServer(engine, VenueClock(engine.now_ms, 7_200.0, time.monotonic), limits)) as venue:
        yield venue.url


def deployed(folder: Path) -> StrategyConfig:
    """Put a strategy in stage paper, and return its document."""
    repository = StrategyRepository(folder / "data" / "strategies")
    document = demonstration_document(SYMBOLS, "1h")
    ways: tuple[tuple[Stage, str], ...] = (("shadow", "one look"), ("paper", "night door"))
    for stage, rule in ways:
        document = document.moved(stage, at="1970-01-02", reason="for a test", records=records(rule))
    repository.save(document)
    return document


def replayed_orders(folder: Path) -> tuple[str, str]:
    """Return the order hash of the paper session, and that of a replay of the bars that it wrote down."""
    reader = LedgerReader(ledger_path(folder / "data", "paper"))
    session, status = reader.session(), reader.status()
    bars, account = reader.read(LedgerBar, session=session.session), reader.account(session.account)
    documents = [
        (StrategyConfig.from_json(each.document.encode(), where=each.strategy), each.role)
        for each in reader.read(LedgerStrategy)
    ]
    reader.close()
    assert account is not None
    assert status.close_ms is not None
    end = date.fromisoformat(session.history_end)
    lake = Lake(folder / "data" / "lake")
    history = build_panel(lake, session.market, HOUR, end, session.history_days, SYMBOLS)
    panel = extended(history, bars, status.close_ms)
    assets = {symbol: TradedAsset(asset.sz_decimals, asset.tiers) for symbol, asset in account.assets.items()}
    spec = SessionSpec(
        mode="replay",
        profile="intraday",
        market=session.market,
        interval=HOUR,
        capital_usd=10_000.0,
        costs=Costs(),
        assets=assets,
        documents=documents,
        history_days=session.history_days,
        history_end=session.history_end,
    )
    begin = int((session.first_close_ms - int(panel.times[0])) // HOUR.milliseconds)
    (folder / "again").mkdir()
    book = ledger(folder / "again")
    trader = replay_session(book, spec, panel, begin, started_ms=0)
    book.close()
    return status.h2, trader.main.account.h2


def test_killed_and_started_again_a_paper_trader_makes_the_orders_of_a_replay(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # an hour's funding is asked for twice a second here: more than the real venue would allow
    monkeypatch.setenv("QUANT_ORGANISM_MARKET__WEIGHT_PER_MINUTE", "1000000")
    document = deployed(tmp_path)
    command = ("trade", "--mode", "paper", "--base-url", url)
    path = ledger_path(tmp_path / "data", "paper")
    with start(*command, folder=tmp_path) as process:
        traded = eventually(lambda: closes(path) >= 8 or process.poll() is not None, seconds=90.0)
        process.kill()
    assert traded
    before = closes(path)
    said = finish(*command, "--bars", "12", "--json", folder=tmp_path)
    assert said.code == 0, said.err
    shown = orjson.loads(said.out)
    assert {"mode", "equity_usd", "decisions", "orders", "fills", "positions", "breakers"} <= shown.keys()
    assert shown["mode"] == "paper"
    assert shown["strategies"][0]["strategy"] == document.id
    reader = LedgerReader(path)
    assert len(reader.read(LedgerSession)) == 1
    assert len(reader.read(LedgerPlan)) == closes(path) == before + 12
    assert [event.kind for event in reader.read(LedgerEvent)] == ["resumed"]
    reader.close()
    paper, replay = replayed_orders(tmp_path)
    assert paper == replay != ""
    again = orjson.loads(Caller(tmp_path, monkeypatch, capfd)("trade", "status", "--json").out)
    assert again == shown


def closes(path: Path) -> int:
    try:
        reader = LedgerReader(path)
    except InputError:
        return 0
    try:
        return len(reader.read(LedgerPlan))
    finally:
        reader.close()


def test_nobody_to_trade_is_said_with_a_way_on(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    said = Caller(tmp_path, monkeypatch, capfd)("trade", "--base-url", url)
    assert said.code == 2
    assert "--demo" in said.err


def test_profiles_are_of_one_factory() -> None:
    made = [session_profile(name) for name in PROFILES]
    assert [(p.strategies, p.watched, p.symbols) for p in made] == [(3, 6, 5), (5, 7, 10), (8, 8, 20)]
    with pytest.raises(InputError, match="scalp"):
        session_profile("scalp")
