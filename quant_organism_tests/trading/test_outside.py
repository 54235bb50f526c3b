"""Signals of other sources: what is hostile is refused with its reason, what counts is traded like any strategy."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest.account import FillModel
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.trading import LedgerFlow, LedgerOutsideSignal, StrategySignal, TradeDecision
from quant_organism.trading.outside import LONGEST_LINE, MOST_BYTES, OutsideSignal, SignalSource, SourceStore
from quant_organism.trading.outside_watch import MOST_LINES, SignalWatcher
from quant_organism.trading.replaying import panel_bars
from quant_organism.trading.runtime import Trader
from quant_organism.trading.signal_door import signal_door
from quant_organism.trading.starting import SessionSpec, begin_session, resumable, resume_session
from quant_organism_tests.trading.sessions import COSTS, START, ledger, market, spec, strategy

HOUR_MS = 3_600_000
DIGEST = "0" * 64
DESK = SignalSource(name="desk", symbols=("S0", "S1"), largest_target=0.8, widest_stop=0.05, token_digest=DIGEST)
SAID: dict[str, Any] = {
    "source": "desk",
    "signal_id": "a",
    "symbol": "S0",
    "side": "long",
    "target": 0.5,
    "stop_price": 97.0,
    "take_profit_price": 110.0,
    "sent_ms": 10 * HOUR_MS,
    "valid_hours": 3.0,
}


def said(**changes: Any) -> bytes:
    return orjson.dumps(SAID | changes)


def judged(line: bytes, *, price: float = 100.0, close_ms: int = 10 * HOUR_MS) -> OutsideSignal:
    signal = OutsideSignal.of(line, where="here")
    signal.check(DESK)
    signal.check_price(DESK, price, close_ms, HOUR_MS)
    return signal


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"[" * 4_000, "Invalid JSON"),
        (b"[]", "valid dictionary|an object"),
        (said(note="x" * LONGEST_LINE), "a line of"),
        (said(size_usd=1e9), "size_usd"),
        (said(target="0.5"), "target"),
        (said(target=True), "target"),
        (said().replace(b"0.5", b"NaN"), "Invalid JSON|finite"),
        (said().replace(b"0.5", b"1e999"), "target"),
        (said(target=-0.5), "target"),
        (said(target=0.9), "above 0.8"),
        (said(side="LONG"), "side"),
        (said(side="flat"), "does not go with"),
        (said(target=0.0), "does not go with"),
        (said(stop_price=None), "no stop"),
        (said(stop_price=0.0), "stop_price"),
        (said(stop_price=101.0), "on the losing side"),
        (said(stop_price=90.0), "0.1000 of 100"),
        (said(side="short"), "on the losing side"),
        (said(take_profit_price=99.0), "no gain"),
        (said(symbol="S9"), "none of its symbols"),
        (said(symbol="../S0"), "none of its symbols"),
        (said(symbol="S0\n"), "symbol"),
        (said(source="other"), "it is of other"),
        (said(source="../../desk"), "source"),
        (said(valid_hours=25.0), "longer than 24"),
        (said(sent_ms=2**60), "sent_ms"),
        (said(sent_ms=8 * HOUR_MS), "before the close"),
        (said(sent_ms=12 * HOUR_MS), "before the close"),
        (said(sent_ms=9 * HOUR_MS, valid_hours=1.0), "expired"),
    ],
)
def test_what_is_hostile_or_beyond_a_limit_is_refused_with_its_reason(line: bytes, why: str) -> None:
    with pytest.raises(InputError, match=why):
        judged(line)


def test_what_is_within_the_limits_is_taken() -> None:
    assert judged(said()).expires_ms == 13 * HOUR_MS
    short = judged(said(side="short", stop_price=103.0, take_profit_price=90.0))
    assert short.sign == -1
    assert judged(said(side="flat", target=0.0, stop_price=None, take_profit_price=None)).sign == 0


ANYTHING = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=9)
)


@settings(max_examples=60)
@given(st.binary(max_size=60) | st.dictionaries(st.sampled_from(sorted(SAID)), ANYTHING).map(lambda some: said(**some)))
def test_no_line_breaks_the_door(line: bytes) -> None:
    """Whatever comes is a signal within the limits, or is refused in words."""
    try:
        signal = judged(line)
    except InputError:
        return
    assert 0.0 <= signal.target <= DESK.largest_target
    assert signal.symbol in DESK.symbols


@pytest.mark.parametrize("name", ["", "Desk", "../desk", "a" * 41, "desk.json"])
def test_names_that_could_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="name"):
        SourceStore.of(tmp_path).add(name, ("S0",))


def test_a_source_has_one_name_limits_and_a_token_that_is_kept_nowhere(tmp_path: Path) -> None:
    store = SourceStore.of(tmp_path)
    made, token = store.add("desk", ("S0",), largest_share=0.1)
    assert store.sources() == {"desk": made}
    assert made.role == "shadow"
    assert made.accepts_token(token)
    assert not made.accepts_token(token + "x")
    assert token.encode() not in b"".join(path.read_bytes() for path in store.folder.iterdir() if path.is_file())
    with pytest.raises(InputError, match="there is a source"):
        store.add("desk", ("S0",))
    with pytest.raises(InputError, match="largest_share"):
        store.add("other", ("S0",), largest_share=0.3)
    store.remove("desk")
    with pytest.raises(InputError, match="no source"):
        store.remove("desk")


def test_an_inbox_is_read_by_whole_lines_and_never_without_bound(tmp_path: Path) -> None:
    store = SourceStore.of(tmp_path)
    store.add("desk", ("S0",))
    inbox = store.inbox("desk")
    assert store.unread("desk", 0) == ([], 0, 0)
    inbox.write_bytes(b"one\ntw")
    assert store.unread("desk", 0) == ([b"one"], 4, 0)
    inbox.write_bytes(b"one\ntwo\n")
    assert store.unread("desk", 4) == ([b"two"], 8, 0)
    inbox.write_bytes(b"x\n")  # begun anew
    assert store.unread("desk", 8) == ([b"x"], 2, 0)
    inbox.write_bytes(b"y" * (3 * MOST_BYTES))
    assert store.unread("desk", 2) == ([], 3 * MOST_BYTES, 3 * MOST_BYTES - 2)
    inbox.unlink()
    inbox.symlink_to(tmp_path / "elsewhere")
    assert store.unread("desk", 0) == ([], 0, 0)


class Session:
    """A session on made bars, with a source beside its document."""

    def __init__(self, folder: Path, panel: Panel, role: str = "trades") -> None:
        folder.mkdir()
        self.panel, self.book, self.store = panel, ledger(folder), SourceStore.of(folder)
        self.spec: SessionSpec = spec(panel, [(strategy(("donchian_breakout",)), "trades")])
        self.store.add("desk", ("S0", "S1"), role=role, largest_share=0.2, widest_stop=0.05)
        self.row = START
        self.trader = begin_session(self.book, self.spec, panel.window(0, START), 0)
        self.watch()

    def watch(self) -> None:
        """Follow the inbox."""
        taken = self.book.read(LedgerOutsideSignal)
        self.trader.watcher = SignalWatcher(self.store, COSTS, lambda close_ms: self.panel.window(0, self.row), taken)

    def restart(self) -> None:
        """Take the session up from its ledger."""
        begun = resumable(self.book, self.spec)
        assert begun is not None
        self.trader = resume_session(self.book, self.spec, begun, self.panel.window(0, self.row))
        self.watch()

    def close(self, count: int = 1) -> None:
        """Take bars in."""
        bars = list(panel_bars(self.panel.window(0, self.row + count), FillModel.of(COSTS), self.row))
        for bar in bars:
            self.row += 1
            self.trader.on_bar(bar)

    def send(self, name: str, side: str, **changes: Any) -> None:
        """Lay a signal in the inbox before the bar that closes next."""
        price = float(self.panel.close[self.row, 0])
        sign = {"long": 1, "short": -1, "flat": 0}[side]
        levels = {"stop_price": price * (1 - 0.04 * sign), "target": 0.5} if sign else {"target": 0.0}
        sent = int(self.panel.times[self.row]) + HOUR_MS - 1_000
        body = {"source": "desk", "signal_id": name, "symbol": "S0", "side": side, "sent_ms": sent, **levels, **changes}
        with self.store.inbox("desk").open("ab") as file:
            file.write(orjson.dumps(body) + b"\n")


@pytest.fixture(scope="module")
def panel() -> Panel:
    return market(days=63, holes=False)


def trade(session: Session, *, restarting: bool = False) -> Trader:
    """Send a few signals over a dozen closes."""
    session.send("1", "long", valid_hours=20.0)
    session.close(2)
    if restarting:
        session.restart()
    session.send("1", "short")  # its identity was seen
    session.send("2", "long", symbol="S2")
    session.close()
    session.send("3", "short", valid_hours=2.0, confidence=0.8)
    session.close()
    if restarting:
        session.restart()
    session.close(4)  # it expires
    session.send("4", "long", valid_hours=20.0)
    session.close(2)
    session.send("5", "flat")
    session.close(2)
    return session.trader


def test_a_source_trades_like_a_strategy_and_what_it_may_not_stands_in_the_ledger(panel: Panel, tmp_path: Path) -> None:
    session = Session(tmp_path / "one", panel)
    trader = trade(session)
    book = session.book
    heard = book.read(LedgerOutsideSignal)
    assert [(each.signal_id, each.is_accepted) for each in heard] == [
        ("1", True),
        ("1", False),
        ("2", False),
        ("3", True),
        ("4", True),
        ("5", True),
    ]
    assert [each.reason for each in heard if not each.is_accepted] == [
        "its identity was seen before",
        "S2 is none of its symbols",
    ]
    decisions = [each for each in book.read(TradeDecision) if each.strategy == "outside:desk"]
    assert [(each.kind, each.side) for each in decisions] == [
        ("enter", "LONG"),
        ("exit", "LONG"),
        ("enter", "SHORT"),
        ("exit", "SHORT"),
        ("enter", "LONG"),
        ("exit", "LONG"),
    ]
    assert all(each.is_allowed for each in decisions)
    entries = [each for each in decisions if each.kind == "enter"]
    assert [each.confidence for each in entries] == [1.0, 0.8, 1.0]
    assert all(each.stop_price for each in entries)
    account = trader.main.account
    for each in entries:  # half of the fifth of the equity that it disposes of, times the risk scale
        assert each.size_usd == pytest.approx(0.5 * 0.2 * account.risk.scale * account.risk.base / 1e6, rel=0.05)
    assert any(order for each in entries if (order := each.cloid))
    spoken = [each for each in book.read(StrategySignal) if each.strategy == "outside:desk"]
    assert {name for each in spoken for name in each.conditions} == {"1", "3", "4"}
    book.close()

    again = Session(tmp_path / "two", panel)
    assert trade(again, restarting=True).main.account == account
    again.book.close()


def test_what_is_only_watched_sends_nothing_and_who_is_removed_leaves_flat(panel: Panel, tmp_path: Path) -> None:
    session = Session(tmp_path / "shadow", panel, role="shadow")
    session.send("1", "long", valid_hours=20.0)
    session.close(3)
    trader = session.trader
    (lane,) = [lane for lane in trader.lanes.values() if lane.role == "shadow"]
    assert lane.account.positions["S0"] > 0
    assert all(each.role == "shadow" for each in session.book.read(TradeDecision) if each.strategy == "outside:desk")
    assert "outside:desk" not in trader.main.strategies
    session.store.remove("desk")
    session.close(2)
    assert "outside:desk" not in trader.strategies
    kinds = [each.kind for each in session.book.read(TradeDecision) if each.strategy == "outside:desk"]
    assert kinds == ["enter", "exit"]
    assert session.book.read(LedgerFlow)
    session.book.close()


def test_a_flood_is_counted_and_not_read(panel: Panel, tmp_path: Path) -> None:
    session = Session(tmp_path / "flood", panel)
    session.store.inbox("desk").write_bytes(b"{\n" * (MOST_LINES + 100) + b"z" * MOST_BYTES)
    session.send("1", "long")
    session.close()
    heard = session.book.read(LedgerOutsideSignal)
    assert len(heard) == MOST_LINES + 1
    assert not any(each.is_accepted for each in heard)
    assert heard[-1].reason.startswith("100 lines and ")
    session.send("2", "long")
    session.close()
    assert session.book.read(LedgerOutsideSignal)[-1].is_accepted
    session.book.close()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[tuple[SourceStore, str, int]]:
    """Open a door on loopback for one source; give its store, its token and the port."""
    store = SourceStore.of(tmp_path)
    _, token = store.add("desk", ("S0",))
    server = signal_door(store, 0)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield store, token, int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10.0)


def asked(port: int, body: bytes, path: str = "/signals", **headers: str) -> tuple[int, dict[str, Any]]:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        line.request("POST", path, body, headers)
        answer = line.getresponse()
        return answer.status, orjson.loads(answer.read())
    finally:
        line.close()


def test_the_door_takes_signals_with_a_token_and_refuses_the_rest(door: tuple[SourceStore, str, int]) -> None:
    store, token, port = door
    bearer = {"Authorization": f"Bearer {token}"}
    assert asked(port, said(), **bearer) == (202, {"signal_id": "a"})
    assert asked(port, said())[0] == 401
    assert asked(port, said(), Authorization="Bearer wrong")[0] == 401
    assert asked(port, said(source="other"), **bearer)[0] == 401
    status, why = asked(port, said(symbol="S1"), **bearer)
    assert (status, why["what"]) == (422, "S1 is none of its symbols")
    assert asked(port, b"{", **bearer)[0] == 422
    assert asked(port, said(), "/elsewhere", **bearer)[0] == 404
    assert asked(port, b"x" * (LONGEST_LINE + 1), **bearer)[0] == 413
    assert asked(port, b"", **bearer, **{"Content-Length": "0" * 30 + "9" * 9})[0] == 413
    assert asked(port, b"", **bearer, **{"Content-Length": "-1"})[0] == 411
    lines, _, _ = store.unread("desk", 0)
    assert [OutsideSignal.of(line, where="inbox").signal_id for line in lines] == ["a"]
    with pytest.raises(InputError, match="cannot be listened on"):
        signal_door(store, port)
