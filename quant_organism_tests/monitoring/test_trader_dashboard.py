"""A trader as it is seen: as of any close, and in a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from quant_organism.errors import InputError
from quant_organism.monitoring.trader_dashboard import TraderDashboard
from quant_organism.monitoring.trader_view import TraderHistory
from quant_organism.trading import (
    LedgerBar,
    LedgerBreaker,
    LedgerEquity,
    LedgerEvent,
    LedgerFill,
    LedgerOrder,
    LedgerReader,
    LedgerRecord,
    LedgerSession,
    LedgerSessionEnd,
    StepVerdict,
    TradeDecision,
    TraderLedger,
)

HOUR = 3_600_000
START = 1_767_225_600_000  # 2026-01-01
CLOSES = [START + hour * HOUR for hour in range(1, 31)]
BOUGHT, REFUSED, SOLD = CLOSES[1], CLOSES[11], CLOSES[20]

SESSION = LedgerSession(
    session=1,
    mode="paper",
    account="paper",
    profile="intraday",
    interval="1h",
    market="demo",
    policy_version="3",
    documents={},
    history_days=60,
    history_end="2025-12-31",
    history_hash="",
    identity="x",
    started_ms=START,
    first_close_ms=CLOSES[0],
)


def decision(close: int, kind: Any, target: float, reason: str = "17 of 30 members") -> TradeDecision:
    return TradeDecision(
        session=1,
        close_ms=close,
        decision_id=f"{close}",
        strategy="ema_crossover_3_1a2b3c4d",
        symbol="BTC",
        role="trades",
        kind=kind,
        side="LONG",
        confidence=0.7,
        size_usd=1_234.0,
        target=target,
        before=0.0,
        reference_price=100.0,
        stop_price=90.0,
        take_profit_price=None,
        regime="",
        risk_mode="normal",
        expires_ms=close + HOUR,
        cloid="0x1",
        correlation_id="1",
        is_allowed=close != REFUSED,
        reason=reason,
    )


def fill(close: int, lots: int, price: float) -> LedgerFill:
    return LedgerFill(
        session=1,
        close_ms=close,
        time_ms=close,
        account="paper",
        symbol="BTC",
        kind="ioc",
        lots=lots,
        size=lots / 1_000,
        price=price,
        notional=round(abs(lots) * price * 1_000),
        fee=45_000,
        aimed=1,
        slippage=0,
    )


def at_close(close: int) -> list[LedgerRecord]:
    """Return what the trader writes down at a close: it buys once, is refused once, sells half once."""
    number = CLOSES.index(close)
    records: list[LedgerRecord] = [
        LedgerBar(
            session=1,
            open_ms=close - HOUR,
            symbol="BTC",
            open=100.0,
            high=101.0,
            low=99.0,
            close=100.0 + number,
            volume=5.0,
            funding_rate=None,
            funding_paid=0.0,
            fear_greed=None,
            received_ms=close + 35,
        ),
        LedgerEquity(
            session=1,
            close_ms=close,
            account="paper",
            equity=10_000_000_000 + number * 1_000_000,
            cash=0,
            capital=10_000_000_000,
            gross=1_000_000_000,
            drawdown=0.01,
            execution=0,
        ),
    ]
    if close == CLOSES[0]:
        records += [
            LedgerBreaker(
                session=1, close_ms=close, name="daily_loss", state="closed", value=None, bound=0.03, reason=""
            )
        ]
    if close == BOUGHT:
        stop = LedgerOrder(
            session=1,
            close_ms=close,
            account="paper",
            symbol="BTC",
            kind="stop",
            lots=-80,
            level=90,
            size=-0.08,
            price=90.0,
            reduces=True,
            cloid="y",
        )
        records += [
            decision(close, "enter", 0.3),
            replace(stop, kind="ioc", lots=80, size=0.08),
            fill(close, 80, 101.0),
            stop,
        ]
    if close == REFUSED:
        records += [
            decision(close, "adjust", 0.4),
            StepVerdict(
                session=1,
                close_ms=close,
                decision_id=f"{close}",
                step="risk guard",
                subject="BTC",
                passes=False,
                number=0.034,
                bound=0.03,
                reason="3.4 % lost today",
            ),
            LedgerBreaker(
                session=1, close_ms=close, name="daily_loss", state="open", value=0.034, bound=0.03, reason=""
            ),
            LedgerEvent(session=1, at_ms=close, close_ms=close, level="warning", kind="breaker", text="no entries"),
        ]
    if close == SOLD:
        records += [decision(close, "exit", 0.0), fill(close, -30, 120.0)]
    return records


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[TraderLedger]:
    opened = TraderLedger(tmp_path / "ledger.sqlite")
    opened.write([SESSION])
    for close in CLOSES:
        opened.write(at_close(close))
    yield opened
    opened.close()


@pytest.fixture
def history(ledger: TraderLedger) -> Iterator[TraderHistory]:
    reader = LedgerReader(ledger.path)
    yield TraderHistory(reader)
    reader.close()


def test_the_newest_close(history: TraderHistory) -> None:
    view = history.view()
    assert view.close_ms == CLOSES[-1]
    assert view.equity_usd == 10_029.0
    assert view.total_return == pytest.approx(0.0029)
    (held,) = view.positions
    assert (held.symbol, held.size, held.price) == ("BTC", 0.05, 129.0)
    assert held.profit_usd == pytest.approx(0.05 * (129.0 - 101.0))
    assert held.strategies == ()  # its strategy has left, the rest waits
    assert [one.name for one in view.tripped] == ["daily_loss"]
    assert view.counts == {"decisions": 3, "orders": 2, "fills": 2}
    assert view.feed_delays_ms == (35,)
    assert not view.is_ended


def test_a_close_shows_nothing_of_later_ones(history: TraderHistory) -> None:
    for close in CLOSES:
        view = history.view(close)
        for records in (view.equity, view.decisions, view.orders, view.fills, view.events, view.breakers):
            assert all(record.close_ms <= close for record in records)
        assert [bool(view.positions)] == [close >= BOUGHT]
        assert [bool(view.tripped)] == [close >= REFUSED]
    (held,) = history.view(BOUGHT).positions
    assert held.strategies == (("ema_crossover_3_1a2b3c4d", 0.3),)


def test_what_was_refused_says_by_whom(history: TraderHistory) -> None:
    view = history.view(REFUSED)
    (verdict,) = view.refusals[f"{REFUSED}"]
    assert (verdict.step, verdict.reason) == ("risk guard", "3.4 % lost today")
    assert view.positions[0].strategies == (("ema_crossover_3_1a2b3c4d", 0.3),)  # what it wanted in vain does not count


def test_what_is_new_is_taken_over(ledger: TraderLedger, history: TraderHistory) -> None:
    assert not history.refresh()
    later = CLOSES[-1] + HOUR
    equity = [record for record in at_close(CLOSES[-1]) if isinstance(record, LedgerEquity)]
    ledger.write([replace(equity[0], close_ms=later)])
    ledger.write([LedgerSessionEnd(session=1, ended_ms=later, last_close_ms=later, reason="asked to")])
    assert history.refresh()
    assert history.closes == (*CLOSES, later)
    assert history.view().is_ended
    assert not history.view(CLOSES[-1]).is_ended


def test_another_account_is_not_shown(ledger: TraderLedger, history: TraderHistory) -> None:
    other = replace(SESSION, session=2, account="other")
    ledger.write([other, replace(fill(CLOSES[-1], 5, 1.0), session=2, account="other")])
    history.refresh()
    assert history.view().counts["fills"] == 2
    reader = LedgerReader(ledger.path)
    assert TraderHistory(reader).view().counts["fills"] == 1
    assert TraderHistory(reader, session=1).view().counts["fills"] == 2
    reader.close()


def test_a_day_is_its_closes(history: TraderHistory) -> None:
    assert history.closes_of(START) == tuple(CLOSES[:24])
    assert history.closes_of(START + 24 * HOUR) == tuple(CLOSES[24:])
    with pytest.raises(InputError, match="no close on 2026-01-09; it traded from 2026-01-01 01:00"):
        history.closes_of(START + 8 * 24 * HOUR)


Check = Callable[[TraderDashboard, Pilot[None]], Coroutine[Any, Any, None]]


def looked_at(history: TraderHistory, check: Check, *, size: tuple[int, int] = (80, 24), **options: Any) -> None:
    """Open the dashboard on a screen of this size, and check it."""

    async def look() -> None:
        app = TraderDashboard(history, now_ms=lambda: CLOSES[-1] + 60_000, every_seconds=3_600.0, **options)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await check(app, pilot)

    asyncio.run(look())


def said(app: TraderDashboard, name: str) -> str:
    return str(app.query_one(f"#{name}", Static).render())


def rows(app: TraderDashboard, name: str) -> list[list[str]]:
    table: DataTable[Any] = app.query_one(f"#{name}", DataTable)
    return [[str(cell) for cell in table.get_row_at(place)] for place in range(table.row_count)]


def test_a_small_screen_shows_everything_that_matters(history: TraderHistory) -> None:
    async def check(app: TraderDashboard, pilot: Pilot[None]) -> None:
        assert "paper · intraday · 1h" in said(app, "headline")
        assert "daily loss" in said(app, "headline")
        assert said(app, "figures").startswith("10,029.00 USD +0.29%  drawdown 1.00%  gross 10%  3 decisions")
        assert rows(app, "positions") == [["BTC", "0.05", "6", "+1.40", "nobody"]]
        assert rows(app, "breakers") == [["daily loss", "open", "0.034", "0.03"]]
        assert [row[1] for row in rows(app, "decisions")] == ["exit long", "adjust long", "enter long"]
        assert rows(app, "decisions")[1][4] == "risk guard: 3.4 % lost today"
        assert [row[2] for row in rows(app, "fills")] == ["-0.03", "+0.08"]
        assert rows(app, "orders") == [["stop", "BTC", "-0.08", "90"]]
        on_screen = [app.query_one(f"#{name}").region.height for name in ("positions", "decisions", "fills")]
        assert all(height >= 4 for height in on_screen)

    looked_at(history, check)


def test_a_large_screen_shows_events_too(history: TraderHistory) -> None:
    async def check(app: TraderDashboard, pilot: Pilot[None]) -> None:
        assert app.query_one("#events").region.height > 0
        assert rows(app, "events") == [["01-01", "warning", "no entries"]]

    looked_at(history, check, size=(140, 42))


def test_a_past_day_is_gone_through_by_keys(history: TraderHistory) -> None:
    async def check(app: TraderDashboard, pilot: Pilot[None]) -> None:
        assert "1 of 24 closes" in said(app, "headline")
        assert rows(app, "positions") == []
        await pilot.press("right", "right")
        assert "3 of 24 closes" in said(app, "headline")
        assert rows(app, "positions")[0][:2] == ["BTC", "0.08"]
        await pilot.press("left", "left", "left")
        assert "1 of 24 closes" in said(app, "headline")
        await pilot.press("end")
        assert "24 of 24 closes" in said(app, "headline")

    looked_at(history, check, day_ms=START)


def test_a_trader_that_is_silent_is_said_to_be(ledger: TraderLedger) -> None:
    reader = LedgerReader(ledger.path)
    app = TraderDashboard(TraderHistory(reader), now_ms=lambda: CLOSES[-1] + 5 * HOUR)

    async def look() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            assert "NOTHING FOR 5 BARS" in said(app, "headline")

    asyncio.run(look())
    reader.close()
