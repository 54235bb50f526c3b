"""A recorded session becomes a test: the parsers make of it what the venue said, and nothing in it is secret."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests
from websockets.sync.client import connect as connect_socket

from quant_organism.errors import InputError
from quant_organism.simulator import RunningRecorder, RunningVenue, SessionFile, parse_target, read_session
from quant_organism.trading.orders import cloid_of
from quant_organism.venue import Accepted, HyperliquidVenue, Limits, NewOrder, VenueSpec, connect, wallet_of
from quant_organism.venue.client.account import read_account, read_fills, read_open_orders
from quant_organism.venue.client.outcomes import read_outcomes
from quant_organism.venue.feed.messages import Acknowledged, Book, Fills, Trades, Unreadable, read_message
from quant_organism_tests.simulator.conftest import ALICE, KEYS, TIMEOUT

MEGABYTE = 1_000_000


def trade(venue: HyperliquidVenue) -> None:
    """Rest with one order and take with another."""
    mid = venue.mids()["ETH"]
    resting = NewOrder(cloid_of("rest"), "ETH", True, Decimal(round(mid * Decimal("0.9"))), Decimal("0.1"))
    taking = NewOrder(cloid_of("take"), "ETH", True, Decimal(round(mid * Decimal("1.01"))), Decimal("0.1"), tif="Ioc")
    for order in (resting, taking):
        (outcome,) = venue.place([order], venue.draw_nonce())
        assert isinstance(outcome, Accepted)


@pytest.fixture
def recorded(served: RunningVenue, tmp_path: Path) -> Iterator[Path]:
    """Trade through a recorder, listen through it, and say a few things that should never be said."""
    path, wallet = tmp_path / "session.jsonl", wallet_of(KEYS["alice"])
    session = SessionFile(path, 16 * MEGABYTE)
    with RunningRecorder(served.url, session) as recorder:
        spec = VenueSpec("simulator", wallet.address, recorder.url, limits=Limits(10**6, 10**5))
        venue = connect(spec, wallet, tmp_path / "signers")
        with connect_socket(recorder.url.replace("http", "ws") + "/ws") as socket:
            for said in ({"type": "userFills", "user": wallet.address}, {"type": "l2Book", "coin": "ETH"}):
                socket.send(orjson.dumps({"method": "subscribe", "subscription": said}).decode())
            socket.send('{"method":"subscribe","subscription":{"type":"trades","coin":"ETH"}}')
            trade(venue)
            socket.send(KEYS["bob"])
            while '"error"' not in socket.recv(timeout=TIMEOUT):
                pass
        for kind in ("clearinghouseState", "openOrders", "userFills"):
            requests.post(f"{recorder.url}/info", json={"type": kind, "user": ALICE.address}, timeout=TIMEOUT)
        bare = {"type": "userFills", "user": ALICE.address, "vaultAddress": ALICE.address[2:], "key": KEYS["alice"]}
        requests.post(f"{recorder.url}/info", json=bare, timeout=TIMEOUT)
        requests.post(f"{recorder.url}/exchange", data=b"{", headers={"Content-Type": "text/plain"}, timeout=TIMEOUT)
        venue.close()
    session.close()
    return path


def answers(entries: list[dict[str, Any]], kind: str) -> list[Any]:
    return [
        entry["response"]
        for entry in entries
        if "request" in entry
        and isinstance(entry["request"], dict)
        and kind in (entry["request"].get("type"), entry["request"].get("action", {}).get("type"))
    ]


def test_a_recorded_session_is_read_by_the_parsers(served: RunningVenue, recorded: Path) -> None:
    entries = read_session(recorded)
    outcomes = [outcome for answer in answers(entries, "order") for outcome in read_outcomes(answer, 1)]
    resting, filled = outcomes
    assert isinstance(resting, Accepted)
    assert isinstance(filled, Accepted)
    assert (resting.placed, filled.placed, filled.filled_sz) == ("resting", "filled", Decimal("0.1"))
    (order,) = read_open_orders(answers(entries, "openOrders")[-1])
    assert order.oid == resting.oid
    fills = read_fills(answers(entries, "userFills")[-1], "0x" + "0" * 40)
    account = served.server.engine.venue.state.accounts[ALICE.address.lower()]
    assert [(fill.tid, fill.oid) for fill in fills] == [(fill.tid, fill.oid) for fill in reversed(account.fills)]
    (position,) = read_account(answers(entries, "clearinghouseState")[-1]).positions
    assert (position.coin, position.szi) == ("ETH", Decimal("0.1"))
    frames = [entry["received"] for entry in entries if "received" in entry]
    told = [read_message(orjson.dumps(frame)) for frame in frames if isinstance(frame, dict)]
    assert {Acknowledged, Fills, Book, Trades} <= {type(message) for message in told}
    assert not any(isinstance(message, Unreadable) for message in told)
    streamed = {fill.tid for message in told if isinstance(message, Fills) for fill in message.fills}
    assert {fill.tid for fill in account.fills} <= streamed


def test_nothing_secret_is_written(recorded: Path) -> None:
    text = recorded.read_text().lower()
    for secret in (*KEYS.values(), ALICE.address.lower()):
        assert secret.removeprefix("0x") not in text
    signed = [entry["request"] for entry in read_session(recorded) if entry["url"].endswith("/exchange")]
    assert any(isinstance(request, dict) for request in signed)
    assert {orjson.dumps(request["signature"]) for request in signed if isinstance(request, dict)} == {
        b'{"r":"0x0","s":"0x0","v":27}'
    }
    assert "0x" + "0" * 39 + "1" in text  # the same address is the same number throughout
    assert recorded.stat().st_mode & 0o077 == 0


def test_statuses_and_bodies_are_passed_on_as_they_are(served: RunningVenue, tmp_path: Path) -> None:
    session = SessionFile(tmp_path / "session.jsonl", MEGABYTE)
    with RunningRecorder(served.url, session) as recorder:
        for body, kind in ((b"{", "application/json"), (b"{}", "text/plain"), (b'{"type":"meta"}', "application/json")):
            both = [
                requests.post(f"{url}/info", data=body, headers={"Content-Type": kind}, timeout=TIMEOUT)
                for url in (served.url, recorder.url)
            ]
            assert both[0].status_code == both[1].status_code
            assert both[0].content == both[1].content
    session.close()
    assert [entry["status"] for entry in read_session(tmp_path / "session.jsonl")] == [400, 415, 200]


def test_a_file_is_never_larger_than_it_may_be_and_never_replaced(served: RunningVenue, tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    session = SessionFile(path, 2_000)
    with RunningRecorder(served.url, session) as recorder:
        for _ in range(3):
            requests.post(f"{recorder.url}/info", json={"type": "allMids"}, timeout=TIMEOUT)
            assert requests.post(f"{recorder.url}/info", json={"type": "meta"}, timeout=TIMEOUT).ok
    session.close()
    assert path.stat().st_size <= 2_000
    assert (session.written, session.left_out) == (len(read_session(path)), 6 - session.written)
    assert session.left_out > 0
    with pytest.raises(InputError, match="exists"):
        SessionFile(path, 2_000)


@pytest.mark.parametrize("url", ["", "127.0.0.1:80", "ftp://127.0.0.1", "http://127.0.0.1:80/info", "http://a:b@host"])
def test_what_is_no_base_url_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="--to"):
        parse_target(url)
