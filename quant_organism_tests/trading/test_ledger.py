"""The ledger: facts stay, a close is whole or absent, readers rebuild what the account says."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest.account import AccountBook, AccountRules, TradedAsset
from quant_organism.errors import BusyError, InputError, IntegrityError
from quant_organism.trading import (
    RECORDS,
    LedgerEquity,
    LedgerEvent,
    LedgerFill,
    LedgerFlow,
    LedgerProfit,
    LedgerReader,
    LedgerRecord,
    LedgerSession,
    StepVerdict,
    TraderLedger,
    ledger_path,
)
from quant_organism.trading.ledger import of_row, to_row

OLD = Path(__file__).parent / "old_ledgers"
SESSION = LedgerSession(
    session=1,
    mode="paper",
    account="paper",
    profile="intraday",
    interval="1h",
    market="demo",
    policy_version="",
    documents={"rsi_filter_0_00000000": "ab"},
    identity="x",
    started_ms=5,
    first_close_ms=3_600_000,
    history_days=1,
    history_end="1970-01-01",
    history_hash="",
)


def event(text: str, close_ms: int = 0) -> LedgerEvent:
    return LedgerEvent(session=1, at_ms=1, close_ms=close_ms, level="info", kind="note", text=text)


def fill(lots: int, lot_price: int, time_ms: int = 0) -> LedgerFill:
    notional = abs(lots) * lot_price
    return LedgerFill(
        session=1,
        close_ms=0,
        time_ms=time_ms,
        account="paper",
        symbol="BTC",
        kind="ioc",
        lots=lots,
        size=lots / 1000,
        price=lot_price / 1000,
        notional=notional,
        fee=notional // 2000,
        aimed=lot_price,
        slippage=0,
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    verdict = StepVerdict(
        session=1,
        close_ms=2,
        decision_id="d",
        step="policy",
        subject="BTC",
        passes=False,
        number=None,
        bound=0.5,
        reason="no",
    )
    ledger = TraderLedger(tmp_path / "ledger.sqlite")
    ledger.write([SESSION, verdict, event("one"), event("two", 7)])
    assert ledger.read(LedgerSession) == [SESSION]
    assert ledger.read(StepVerdict) == [verdict]
    assert [record.text for record in ledger.read(LedgerEvent, close_ms=7)] == ["two"]
    assert ledger.last_session("x") == SESSION
    assert ledger.last_session("y") is None
    assert ledger.next_session() == 2
    ledger.close()


@pytest.mark.parametrize("kind", RECORDS)
def test_every_table_has_the_fields_of_its_record(tmp_path: Path, kind: type[LedgerRecord]) -> None:
    TraderLedger(tmp_path / "ledger.sqlite").close()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        stored = [row[1] for row in db.execute(f"PRAGMA table_info({kind.table})")]
    assert stored == [field.name for field in fields(kind)]  # type: ignore[arg-type]


def test_a_row_is_a_record_again() -> None:
    assert of_row(LedgerSession, to_row(SESSION)) == SESSION


@pytest.mark.parametrize("change", ["UPDATE events SET text = 'other'", "DELETE FROM events"])
def test_no_fact_is_changed(tmp_path: Path, change: str) -> None:
    ledger = TraderLedger(tmp_path / "ledger.sqlite")
    ledger.write([event("first")])
    ledger.close()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db, pytest.raises(sqlite3.IntegrityError, match="never"):
        db.execute(change)


def test_a_close_is_whole_or_absent(tmp_path: Path) -> None:
    ledger = TraderLedger(tmp_path / "ledger.sqlite")
    broken = LedgerEvent(session=1, at_ms=1, close_ms=1, level="info", kind="x", text=None)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        ledger.write([event("first"), broken])
    assert ledger.read(LedgerEvent) == []
    ledger.close()


def test_a_killed_writer_leaves_whole_closes(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path\n"
        "from quant_organism_tests.trading.test_ledger import TraderLedger, event\n"
        f"ledger = TraderLedger(Path({str(tmp_path / 'ledger.sqlite')!r}))\n"
        "ledger.write([event('a', 1), event('b', 1)])\n"
        "def rows():\n"
        "    yield event('c', 2)\n"
        "    os.kill(os.getpid(), 9)\n"
        "ledger._store.write(lambda: [ledger._store.execute('INSERT INTO events VALUES (1,1,2,?,?,?)',"
        " ('info', 'k', r.text)) for r in rows()])\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=120).returncode == -9
    ledger = TraderLedger(tmp_path / "ledger.sqlite")
    assert [record.text for record in ledger.read(LedgerEvent)] == ["a", "b"]
    ledger.close()


def test_one_process_writes_and_others_read_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = TraderLedger(path)
    ledger.write([SESSION, event("one")])
    with pytest.raises(BusyError, match="writes this ledger"):
        TraderLedger(path)
    reader = LedgerReader(path)
    with reader.snapshot():
        seen = reader.read(LedgerEvent)
        ledger.write([event("two")])
        assert reader.read(LedgerEvent) == seen
    found, place = reader.after(LedgerEvent, 0)
    assert [record.text for record in found] == ["one", "two"]
    assert reader.after(LedgerEvent, place) == ([], place)
    assert reader.read(LedgerEvent, latest=1)[0].text == "two"
    reader.close()
    ledger.close()
    assert path.stat().st_mode & 0o077 == 0
    reader = LedgerReader(path)
    assert reader.status().session == SESSION
    reader.close()


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing has traded"):
        LedgerReader(ledger_path(tmp_path, "paper"))
    (tmp_path / "new").touch()
    with pytest.raises(InputError, match="nothing has traded"):
        LedgerReader(tmp_path / "new")
    (tmp_path / "text").write_text("no database" * 100)
    with pytest.raises(IntegrityError, match="not a ledger"):
        LedgerReader(tmp_path / "text")
    with pytest.raises(IntegrityError, match="not a ledger"):
        TraderLedger(tmp_path / "text")


def test_a_page_that_was_overwritten_is_named_by_whoever_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = TraderLedger(path)
    ledger.write([SESSION, fill(1, 1)])
    ledger.close()
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'fills'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    whole = path.read_bytes()
    path.write_bytes(whole[: (page - 1) * size] + b"?" * size + whole[page * size :])
    reader = LedgerReader(path)
    with pytest.raises(IntegrityError, match="damaged one") as refused:
        reader.read(LedgerFill)
    reader.close()
    assert (refused.value.where, "doctor" in (refused.value.remedy or "")) == (str(path), True)


def test_a_ledger_of_the_first_version_is_brought_up_to_date_by_its_trader_and_not_by_a_reader(tmp_path: Path) -> None:
    """The file was written by the first version that traded, with one row in each of its tables."""
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript((OLD / "version_1.sql").read_text(encoding="utf-8"))
    with pytest.raises(IntegrityError, match="version 2") as refused:
        LedgerReader(path)
    assert "brings it up to date" in (refused.value.remedy or "")
    ledger = TraderLedger(path)
    new = LedgerProfit(session=1, close_ms=5, account="paper-1", strategy="x", profit=6, gross=7, share=0.25)
    ledger.write([new])
    assert ledger.state("paper") == {"x": 1}
    rows = {kind.table: len(ledger.read(kind)) for kind in RECORDS}
    assert rows == {kind.table: 1 for kind in RECORDS} | {"profits": 2, "readings": 0, "outside_signals": 0}
    old, _ = ledger.read(LedgerProfit)
    assert (old.profit, old.gross, old.share) == (5, 6, None)
    ledger.close()
    reader = LedgerReader(path)
    assert reader.read(LedgerProfit) == [old, new]
    reader.close()


def test_a_ledger_of_a_newer_version_is_refused_by_name_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    TraderLedger(path).close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE facts SET value = '99' WHERE name = 'schema_version'")
    before = path.read_bytes()
    for opened in (TraderLedger, LedgerReader):
        with pytest.raises(IntegrityError, match=r"newer version of quant-organism .schema version 99") as refused:
            opened(path)
        assert refused.value.where == str(path)
    assert path.read_bytes() == before


def test_replays_have_a_ledger_of_their_own(tmp_path: Path) -> None:
    assert ledger_path(tmp_path, "replay") != ledger_path(tmp_path, "paper") == ledger_path(tmp_path, "mainnet")


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(-50, 50).filter(bool), st.integers(900, 1100)), max_size=12))
def test_positions_and_cash_are_the_sum_of_the_fills(trades: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = TraderLedger(Path(folder) / "ledger.sqlite", survives_power_cut=False)
        paid_in = LedgerFlow(session=1, close_ms=0, account="paper", kind="capital", symbol="", amount=10**9)
        ledger.write([paid_in, *(fill(lots, price) for lots, price in trades)])
        ledger.close()
        reader = LedgerReader(Path(folder) / "ledger.sqlite")
        held = {position.symbol: position for position in reader.positions("paper")}
        total = sum(lots for lots, _ in trades)
        assert {name: position.lots for name, position in held.items()} == ({"BTC": total} if total else {})
        if total:
            assert held["BTC"].size == pytest.approx(total / 1000)
            assert 0.9 - 1e-9 <= held["BTC"].entry_price <= 1.1 + 1e-9
        spent = sum(lots * price + abs(lots) * price // 2000 for lots, price in trades)
        assert reader.cash("paper") == 10**9 - spent
        reader.close()


def test_the_state_of_an_account_goes_with_its_close(tmp_path: Path) -> None:
    account = AccountBook.opened("paper", AccountRules.alone(), {"BTC": TradedAsset(3)}, 10**10)
    ledger = TraderLedger(tmp_path / "ledger.sqlite")
    record = LedgerEquity(
        session=1,
        close_ms=1,
        account="paper",
        equity=10**10,
        cash=10**10,
        capital=10**10,
        gross=0,
        drawdown=0.0,
        execution=0,
    )
    ledger.write([SESSION, record], {"paper": account.to_dict()})
    kept = ledger.state("paper")
    assert kept is not None
    assert AccountBook.from_dict(kept) == account
    assert ledger.state("other") is None
    reader = LedgerReader(tmp_path / "ledger.sqlite")
    assert reader.account("paper") == account
    account.cash -= 1
    ledger.write([], {"paper": account.to_dict()})
    again = reader.account("paper")
    assert again is not None
    assert again.cash == 10**10 - 1
    assert reader.equity_curve("paper") == [record]
    assert reader.status().equity == record
    reader.close()
    ledger.close()


def test_json_columns_hold_json(tmp_path: Path) -> None:
    ledger = TraderLedger(tmp_path / "ledger.sqlite")
    ledger.write([SESSION])
    ledger.close()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        assert json.loads(db.execute("SELECT documents FROM sessions").fetchone()[0]) == SESSION.documents
