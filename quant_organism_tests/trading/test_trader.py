"""The trader makes the orders of the backtest, writes every step down and, killed anywhere, goes on to the same."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quant_organism.backtest.account import AccountBook, AccountFunding, FillModel, Plan, book
from quant_organism.errors import InputError, IntegrityError
from quant_organism.market.panel import Panel
from quant_organism.trading import LedgerReader, LevelsAtOpen, ModelledExecution
from quant_organism.trading.parity import Parity, backtest_lane, first_difference
from quant_organism.trading.records import (
    LedgerEquity,
    LedgerEvent,
    LedgerFill,
    LedgerFlow,
    LedgerOrder,
    LedgerPlan,
    LedgerProfit,
    LedgerRecord,
    LedgerSessionEnd,
    LedgerStrategy,
    StrategySignal,
    TradeDecision,
)
from quant_organism.trading.replaying import panel_bars, replay_session
from quant_organism.trading.runtime import Trader
from quant_organism.trading.starting import SessionSpec, begin_session, resume_session
from quant_organism.venue import VenueError
from quant_organism_tests.trading.sessions import COSTS, START, ledger, market, spec, strategy


@pytest.fixture(scope="module")
def panel() -> Panel:
    return market()


def replayed(folder: Path, session: SessionSpec, panel: Panel, closes: int | None = None) -> Trader:
    folder.mkdir(exist_ok=True)
    book = ledger(folder)
    try:
        return replay_session(book, session, panel, START, started_ms=0, closes=closes)
    finally:
        book.close()


def compared(trader: Trader, path: Path, session: SessionSpec, panel: Panel, name: str = "") -> Parity:
    lane, reader = trader.lanes[name] if name else trader.main, LedgerReader(path)
    written = reader.read(LedgerOrder, account=lane.account.account)
    reader.close()
    return backtest_lane(lane, session, panel, START, written)


@pytest.fixture(scope="module")
def session(panel: Panel) -> SessionSpec:
    watched = strategy(("donchian_breakout",))
    return spec(panel, [(strategy(), "trades"), (watched, "shadow")], regime="known at {}".format)


@pytest.fixture(scope="module")
def whole(panel: Panel, session: SessionSpec, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trader, Path]:
    folder = tmp_path_factory.mktemp("whole")
    return replayed(folder, session, panel), folder / "ledger.sqlite"


def test_replay_makes_the_orders_of_the_backtest(
    whole: tuple[Trader, Path], session: SessionSpec, panel: Panel
) -> None:
    trader, path = whole
    assert [lane.role for lane in trader.lanes.values()] == ["trades", "shadow"]
    for name in trader.lanes:
        found = compared(trader, path, session, panel, name)
        assert found.is_equal
        assert found.difference == ""
        assert found.orders > 40


def test_strategies_that_share_an_account_make_the_orders_of_the_backtest(panel: Panel, tmp_path: Path) -> None:
    few = strategy(("donchian_breakout",), assets=2)
    session = spec(panel, [(strategy(), "trades"), (few, "trades")])
    trader = replayed(tmp_path, session, panel)
    found = compared(trader, tmp_path / "ledger.sqlite", session, panel)
    assert found.is_equal
    assert found.orders > 40
    assert trader.main.account.rules.strategy_cap == 0.25


def test_between_a_bar_and_its_orders_no_garbage_is_collected_and_afterwards_the_next_close_is_prepared(
    panel: Panel, tmp_path: Path
) -> None:
    book, seen = ledger(tmp_path), list[tuple[str, bool]]()
    trader = begin_session(book, spec(panel, [(strategy(), "trades")]), panel.window(0, START), 0)
    (followed,) = trader.strategies.values()

    def watched(close_ms: int, _: Trader) -> list[LedgerRecord]:
        seen.append(("decides", gc.isenabled()))
        return []

    trader.watcher = watched
    followed.prepare = lambda: seen.append(("prepares", trader.last_close_ms > 0))  # type: ignore[method-assign]
    bar = next(iter(panel_bars(panel, FillModel.of(COSTS), START)))
    trader.on_bar(bar)
    assert seen == [("decides", False), ("prepares", True)]
    assert gc.isenabled()
    with pytest.raises(InputError, match="not later than the last close"):
        trader.on_bar(bar)
    assert gc.isenabled()
    book.close()


def test_one_cent_of_difference_is_found(whole: tuple[Trader, Path], session: SessionSpec, panel: Panel) -> None:
    trader, path = whole
    dearer = replace(session, costs=replace(COSTS, slippage_bps=COSTS.slippage_bps + 20.0))
    found = compared(trader, path, dearer, panel)
    assert not found.is_equal
    order = r"(ioc of [+-][\d,]+ lots S\d at lot price \d+, planned at 2024-03-01 00:00 UTC)"
    said = re.fullmatch(f"order 1: the trader {order}, the backtest {order}", found.difference)
    assert said is not None
    assert said[1] != said[2]
    assert first_difference(["1|A|ioc|2|3"], ["1|A|ioc|2|3"]) == ""
    assert first_difference([], ["1|A|stop|-2|3"]).startswith("order 1: the trader made none, the backtest stop of -2")


def test_every_step_stands_in_the_ledger(whole: tuple[Trader, Path], panel: Panel) -> None:
    trader, path = whole
    reader, account = LedgerReader(path), trader.main.account
    plans = reader.read(LedgerPlan, account=account.account)
    assert len(plans) == 15 * 24 + 1
    decisions = reader.read(TradeDecision, role="trades")
    assert {decision.kind for decision in decisions} == {"enter", "exit", "adjust"}
    assert all(decision.regime == f"known at {decision.close_ms}" for decision in decisions)
    assert all(decision.is_allowed for decision in decisions)
    assert len({decision.decision_id for decision in decisions}) == len(decisions)
    signals = reader.read(StrategySignal)
    votes = [signal.conditions for signal in signals if signal.target]
    assert all(
        signal.target == pytest.approx(sum(vote["target"] for vote in signal.conditions.values()))
        for signal in signals
        if not signal.not_evaluated
    )
    assert {len(vote) for vote in votes} == {1, 2}  # of the strategy that is watched, and of the two that trade
    gaps = {(s.symbol, s.close_ms) for s in signals if s.not_evaluated == "no bar has closed" and not s.conditions}
    first = {symbol: int(np.flatnonzero(~panel.valid[START:, place])[0]) for place, symbol in enumerate(panel.symbols)}
    times = {symbol: int(panel.times[START + row]) + panel.interval.milliseconds for symbol, row in first.items()}
    assert gaps == set(times.items())  # said once for each gap, however long it is
    cloids = {order.cloid for order in reader.read(LedgerOrder, account=account.account)}
    assert {decision.cloid for decision in decisions if decision.cloid} <= cloids
    fills = reader.read(LedgerFill, account=account.account)
    assert {fill.kind for fill in fills} >= {"ioc", "stop"}
    assert all(fill.slippage >= 0 for fill in fills if fill.kind == "ioc")
    held = {position.symbol: position.lots for position in reader.positions(account.account)}
    assert held == account.positions
    assert reader.cash(account.account) == account.cash
    last = reader.read(LedgerEquity, latest=1, account=account.account)[0]
    profits = reader.profits(account.account)
    assert [record.strategy for record in profits] == list(trader.main.strategies)
    assert sum(record.profit for record in profits) + last.execution == last.equity - last.capital
    assert [record.reason for record in reader.read(LedgerSessionEnd)] == ["complete"]
    status = reader.status()
    assert status.is_ended
    assert status.h2 == account.h2
    assert status.decisions == len(decisions)
    reader.close()


@pytest.mark.parametrize("closes", [0, 157])
def test_a_replay_that_stops_goes_on_to_the_same_orders(
    closes: int, whole: tuple[Trader, Path], session: SessionSpec, panel: Panel, tmp_path: Path
) -> None:
    trader, path = whole
    replayed(tmp_path, session, panel, closes)
    again = replayed(tmp_path, session, panel)
    assert {name: lane.account for name, lane in again.lanes.items()} == {
        name: lane.account for name, lane in trader.lanes.items()
    }
    one, two = LedgerReader(path), LedgerReader(tmp_path / "ledger.sqlite")
    for kind in (LedgerPlan, LedgerOrder, LedgerFill, LedgerEquity, LedgerProfit, TradeDecision, StrategySignal):
        assert one.read(kind) == two.read(kind)
    one.close()
    two.close()


KILLED = """
import os, sys
from pathlib import Path
from quant_organism.trading.ledger import TraderLedger
from quant_organism.trading.replaying import replay_session
from quant_organism_tests.trading.sessions import START, ledger, market, spec, strategy

count, last, after = 0, int(sys.argv[2]), sys.argv[3] == "after"
write = TraderLedger.write

def counted(self, records, states=None):
    global count
    count += 1
    if count == last and not after:
        os.kill(os.getpid(), 9)
    write(self, records, states)
    if count == last:
        os.kill(os.getpid(), 9)

TraderLedger.write = counted
panel = market()
session = spec(panel, [(strategy(), "trades"), (strategy(("donchian_breakout",)), "shadow")])
replay_session(ledger(Path(sys.argv[1])), session, panel, START, started_ms=0)
"""


@pytest.mark.parametrize(("writes", "moment"), [(1, "after"), (90, "before")])
def test_killed_anywhere_it_goes_on_to_the_same_orders(
    writes: int, moment: str, whole: tuple[Trader, Path], session: SessionSpec, panel: Panel, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(writes), moment]
    killed = subprocess.run(command, check=False, timeout=300)
    assert killed.returncode == -9
    again = replayed(tmp_path, session, panel)
    for name, lane in whole[0].lanes.items():
        assert again.lanes[name].account == lane.account


def test_a_session_is_not_taken_up_on_other_bars(session: SessionSpec, panel: Panel, tmp_path: Path) -> None:
    replayed(tmp_path, session, panel, 10)
    book = ledger(tmp_path)
    begun = book.last_session(session.identity)
    assert begun is not None
    other = replace(panel, close=np.where(panel.times[:, None] == panel.times[5], panel.open, panel.close))
    with pytest.raises(IntegrityError, match="not the same"):
        resume_session(book, session, begun, other.window(0, START + 10))
    book.close()


def test_a_bar_is_handed_in_once(session: SessionSpec, panel: Panel, tmp_path: Path) -> None:
    book = ledger(tmp_path)
    trader = begin_session(book, session, panel.window(0, START), 0)
    bar = next(panel_bars(panel, FillModel.of(COSTS), START))
    trader.on_bar(bar)
    with pytest.raises(InputError, match="not later"):
        trader.on_bar(bar)
    book.close()


def test_a_strategy_joins_and_leaves_at_a_close(panel: Panel, session: SessionSpec, tmp_path: Path) -> None:
    book = ledger(tmp_path)
    trader = begin_session(book, replace(session, documents=session.documents[:1]), panel.window(0, START), 0)
    (first,) = trader.strategies
    bars = panel_bars(panel, FillModel.of(COSTS), START)
    for _ in range(150):
        trader.on_bar(next(bars))
    assert trader.main.account.positions
    record = trader.leave(first, "it was retired")
    book.write([record])
    for _ in range(3):
        trader.on_bar(next(bars))
    assert trader.main.account.positions == {}
    assert trader.strategies == {}
    assert [found.joins for found in book.read(LedgerStrategy)] == [True, False]
    book.close()


def test_nobody_who_trades_is_said(panel: Panel, session: SessionSpec, tmp_path: Path) -> None:
    book = ledger(tmp_path)
    with pytest.raises(InputError, match="no strategy trades"):
        begin_session(book, replace(session, documents=session.documents[1:]), panel.window(0, START), 0)
    book.close()


class Unanswered(ModelledExecution):
    """A venue that answers nothing at first; what is watched then comes."""

    silent = 3

    def begin(self, account: AccountBook, made: Plan, levels: LevelsAtOpen) -> list[object]:
        """Fail."""
        raise VenueError("no answer", where="venue")

    def watch(self, account: AccountBook, made: Plan, levels: LevelsAtOpen) -> list[object]:
        """Fail for a while; then book a deposit, once."""
        self.__class__.silent -= 1
        if self.silent > 0:
            raise VenueError("no answer", where="venue")
        if self.silent < 0:
            return []
        event = AccountFunding("S0", -5_000_000, 0.0)
        book(account, event)
        return [event]


def test_between_closes_what_comes_is_written_down_and_silence_is_noted_once(panel: Panel, tmp_path: Path) -> None:
    session = spec(panel, [(strategy(), "trades")], execution=Unanswered(FillModel.of(COSTS)))
    written = ledger(tmp_path)
    trader = begin_session(written, session, panel.window(0, START), 0)
    before = trader.main.account.cash
    reports = [trader.watch() for _ in range(4)]
    assert [len(report.records) for report in reports] == [0, 0, 1, 0]
    assert trader.main.account.cash == before + 5_000_000
    saved = written.state(trader.main.account.account)
    assert saved is not None
    assert AccountBook.from_dict(saved) == trader.main.account
    events = [event.text for event in written.read(LedgerEvent) if event.kind == "venue"]
    assert len(events) == 2  # of the beginning, and of all that was watched in vain
    assert [flow.amount for flow in written.read(LedgerFlow) if flow.kind == "funding"] == [5_000_000]
    written.close()
