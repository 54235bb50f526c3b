"""Every kind of fault strikes where and when the plan says, is logged, and is drawn from its seed."""

import json
import time
from collections.abc import Callable, Iterator

import pytest
import requests
from eth_account import Account as Wallet
from websockets.exceptions import ConnectionClosed, InvalidStatus

from quant_organism.simulator.faults.plan import KINDS
from quant_organism.simulator.market.tape import Tape
from quant_organism.simulator.server.serving import RunningVenue
from quant_organism.venue.protocol import ApproveAgent
from quant_organism_tests.conftest import REPOSITORY
from quant_organism_tests.simulator.conftest import TIMEOUT, make_server
from quant_organism_tests.simulator.fault_client import USER, Client, hear, subscribe

HOUR_MS = 3_600_000

Check = Callable[["Client"], None]
CHECKS: dict[str, Check] = {}


def check(*kinds: str) -> Callable[[Check], Check]:
    def keep(function: Check) -> Check:
        for kind in kinds:
            CHECKS[kind] = function
        return function

    return keep


@pytest.fixture
def client(small_tape: Tape) -> Iterator[Client]:
    with RunningVenue(make_server(small_tape)) as served:
        yield Client(served)


@check("refuse_connection")
def _refuse_connection(client: Client) -> None:
    client.fault("refuse_connection")
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{client.served.url}/info", json={"type": "meta"}, timeout=TIMEOUT)
    assert client.post("meta").status_code == 200


@check("latency", "answer_latency")
def _latency(client: Client) -> None:
    for kind in ("latency", "answer_latency"):
        client.fault(kind, endpoint="info", action="meta", options={"ms": 60_000})
        with pytest.raises(requests.Timeout):
            requests.post(f"{client.served.url}/info", json={"type": "meta"}, timeout=0.3)
        assert client.post("meta").status_code == 200


@check("reset_before")
def _reset_before(client: Client) -> None:
    client.fault("reset_before", endpoint="exchange", action="order", coin="ETH")
    with pytest.raises(requests.ConnectionError):
        client.bid()
    assert client.open() == 0


@check("reset_after")
def _reset_after(client: Client) -> None:
    client.fault("reset_after", endpoint="exchange", action="order", user=USER)
    with pytest.raises(requests.ConnectionError):
        client.bid()
    assert client.open() == 1


@check("drop_idle")
def _drop_idle(client: Client) -> None:
    client.fault("drop_idle", endpoint="info", options={"ms": 1})
    assert client.post("meta").status_code == 200
    time.sleep(0.2)
    before = set(client.served.server.transports)
    assert client.session.post(f"{client.served.url}/info", json={"type": "meta"}, timeout=TIMEOUT).ok
    assert set(client.served.server.transports) != before


@check("http_status")
def _http_status(client: Client) -> None:
    client.fault("http_status", options={"status": 429, "body": "null", "headers": {"Retry-After": "3"}})
    client.fault("http_status", nth=2, options={"status": 502, "body": "<html>bad gateway</html>"})
    first = client.post("meta")
    assert (first.status_code, first.text, first.headers["Retry-After"]) == (429, "null", "3")
    assert client.post("meta").text.startswith("<html>")


@check("refuse_action")
def _refuse_action(client: Client) -> None:
    client.fault("refuse_action", action="order", user=USER, options={"text": "Too many cumulative requests sent"})
    assert client.bid().json() == {"status": "err", "response": "Too many cumulative requests sent"}
    assert client.open() == 0


@check("visibility_lag")
def _visibility_lag(client: Client) -> None:
    client.fault("visibility_lag", count=None, options={"ms": 700})
    oid = client.bid().json()["response"]["data"]["statuses"][0]["resting"]["oid"]
    assert client.info("orderStatus", user=USER, oid=oid) == {"status": "unknownOid"}
    assert client.info("openOrders", user=USER) == []
    client.step(700)
    assert len(client.info("openOrders", user=USER)) == 1
    client.act({"type": "cancel", "cancels": [{"a": 2, "o": oid}]})
    assert len(client.info("openOrders", user=USER)) == 1  # a cancelled order still seen open


@check("stale_answer")
def _stale_answer(client: Client) -> None:
    client.fault("stale_answer", action="openOrders", nth=2)
    assert client.info("openOrders", user=USER) == []
    client.bid()
    assert client.info("openOrders", user=USER) == []
    assert len(client.info("openOrders", user=USER)) == 1


@check("replace_answer", "truncate_answer")
def _answers(client: Client) -> None:
    client.fault("replace_answer", options={"body": "<html></html>"})
    client.fault("truncate_answer", nth=2)
    assert client.post("meta").text == "<html></html>"
    with pytest.raises(requests.JSONDecodeError):
        client.info("meta")


@check("fewer_statuses")
def _fewer_statuses(client: Client) -> None:
    client.fault("fewer_statuses", endpoint="exchange")
    assert len(client.bid(count=3).json()["response"]["data"]["statuses"]) == 2
    assert client.open() == 3


@check("refuse_socket")
def _refuse_socket(client: Client) -> None:
    client.fault("refuse_socket", options={"status": 503})
    with pytest.raises(InvalidStatus) as caught:
        client.socket()
    assert caught.value.response.status_code == 503
    with client.socket() as socket:
        socket.send('{"method":"ping"}')
        assert hear(socket) == {"channel": "pong"}


@check("close_socket", "abort_socket")
def _close(client: Client) -> None:
    for kind in ("close_socket", "abort_socket"):
        client.fault(kind, action="ping")
        with client.socket() as socket:
            socket.send('{"method":"ping"}')
            with pytest.raises(ConnectionClosed) as caught:
                hear(socket)
        received = caught.value.rcvd
        assert (None if received is None else received.code) == (1000 if kind == "close_socket" else None)


@check("silence_socket", "withhold_pong")
def _silence(client: Client) -> None:
    client.fault("withhold_pong")
    with client.socket() as socket:
        socket.send('{"method":"ping"}')
        socket.send('{"method":"ping"}')
        assert hear(socket) == {"channel": "pong"}
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.2)
        client.fault("silence_socket")
        socket.send('{"method":"ping"}')
        subscribe(socket, type="allMids")
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.2)


@check("withhold_ack", "delay_ack", "refuse_subscription")
def _acknowledgements(client: Client) -> None:
    for kind, channels in (
        ("withhold_ack", ["l2Book", "pong"]),
        ("delay_ack", ["l2Book", "pong", "subscriptionResponse"]),
        ("refuse_subscription", ["error", "pong"]),
    ):
        client.fault(kind, channel="l2Book", options={"ms": 300})
        with client.socket() as socket:
            subscribe(socket, type="l2Book", coin="ETH")
            socket.send('{"method":"ping"}')
            assert [hear(socket)["channel"] for _ in channels] == channels


@check("drop_frame", "duplicate_frame", "reorder_frame", "delay_frame")
def _frames(client: Client) -> None:
    with client.socket() as socket:
        for kind, channels in (
            ("drop_frame", ["subscriptionResponse", "pong"]),
            ("duplicate_frame", ["subscriptionResponse", "l2Book", "l2Book", "pong"]),
            ("reorder_frame", ["subscriptionResponse", "pong", "l2Book"]),
            ("delay_frame", ["subscriptionResponse", "pong", "l2Book"]),
        ):
            client.fault(kind, channel="l2Book", options={"ms": 200})
            subscribe(socket, type="l2Book", coin="ETH")
            socket.send('{"method":"ping"}')
            assert [hear(socket)["channel"] for _ in channels] == channels, kind
            socket.send(json.dumps({"method": "unsubscribe", "subscription": {"type": "l2Book", "coin": "ETH"}}))
            assert hear(socket)["data"]["method"] == "unsubscribe"


@check("malform_frame", "unknown_channel", "unknown_keys", "null_fields", "unknown_status")
def _spoilt(client: Client) -> None:
    with client.socket() as socket:
        client.fault("unknown_channel", channel="bbo")
        client.fault("unknown_keys", channel="bbo")
        client.fault("null_fields", channel="bbo")
        client.fault("unknown_status", channel="orderUpdates")
        client.fault("malform_frame", channel="activeAssetCtx")
        subscribe(socket, type="bbo", coin="ETH")
        assert hear(socket)["channel"] == "subscriptionResponse"
        assert hear(socket)["channel"] == "unheardOf"
        spoilt = hear(socket)
        assert spoilt["data"]["bbo"] == [None, None]
        assert "unheardOf" in spoilt["data"]
        subscribe(socket, type="orderUpdates", user=USER)
        client.bid()
        assert hear(socket, "orderUpdates")["data"][0]["status"] == "unheardOfCanceled"
        subscribe(socket, type="activeAssetCtx", coin="ETH")
        hear(socket, "subscriptionResponse")
        with pytest.raises(json.JSONDecodeError):
            hear(socket)


@check("clock_offset")
def _clock_offset(client: Client) -> None:
    client.fault("clock_offset", duration_ms=1_000, options={"ms": 3 * 86_400_000})
    assert "nonce too low" in client.bid().json()["response"]
    client.step(1_000)
    client.fault("clock_offset", duration_ms=1_000, options={"ms": -2 * 86_400_000})
    assert "nonce too high" in client.bid().json()["response"]


@check("exhaust_ip")
def _exhaust_ip(client: Client) -> None:
    client.fault("exhaust_ip", duration_ms=1_000)
    refused = client.post("meta")
    assert (refused.status_code, refused.text) == (429, "null")
    client.step(1_000)
    assert client.post("meta").status_code == 200


@check("exhaust_address")
def _exhaust_address(client: Client) -> None:
    client.fault("exhaust_address", user=USER)
    assert client.bid().json()["status"] == "ok"  # one passes in ten seconds
    assert client.bid().json()["response"].startswith("Too many cumulative requests sent (110002 > 10000)")
    client.step(10_000)
    assert client.bid().json()["status"] == "ok"


@check("expire_agents", "revoke_agents", "unify_account")
def _identities(client: Client) -> None:
    account = client.served.server.engine.venue.state.accounts[USER]
    for kind in ("expire_agents", "revoke_agents"):
        agent = Wallet.create()
        venue = client.served.server.engine.venue
        assert venue.act(account, ApproveAgent(agent.address.lower(), None))["status"] == "ok"
        assert client.info("userRole", user=agent.address) == {"role": "agent", "data": {"user": USER}}
        client.fault(kind, user=USER)
        assert client.served.server.desk.owner_of(agent.address.lower()) is None
    client.fault("unify_account", user=USER, duration_ms=1_000)
    assert client.info("userAbstraction", user=USER) == "unifiedAccount"
    margin = {"type": "updateIsolatedMargin", "asset": 2, "isBuy": True, "ntli": 1}
    assert client.act(margin).json()["response"] == "Action disabled when unified account is active"
    client.step(1_000)
    assert client.info("userAbstraction", user=USER) == "default"


@check("empty_book", "one_sided_book", "thin_book", "crossed_book")
def _books(client: Client) -> None:
    whole = client.info("l2Book", coin="ETH")["levels"]
    client.fault("empty_book", coin="ETH", duration_ms=1_000)
    assert client.info("l2Book", coin="ETH")["levels"] == [[], []]
    listing = client.served.server.engine.venue.state.listings[2]
    assert client.info("allMids")["ETH"] == listing.px(listing.last)  # of the last trade, for want of a mid
    assert client.info("metaAndAssetCtxs")[1][2]["midPx"] is None
    order = {"a": 2, "b": True, "p": "2500", "s": "0.2", "r": False, "t": {"limit": {"tif": "Ioc"}}}
    (status,) = client.act({"type": "order", "orders": [order], "grouping": "na"}).json()["response"]["data"][
        "statuses"
    ]
    assert status["error"].startswith("Order could not immediately match")
    client.step(1_000)
    client.fault("one_sided_book", coin="ETH", duration_ms=1_000, options={"side": "ask"})
    bids, asks = client.info("l2Book", coin="ETH")["levels"]
    assert (len(bids), asks) == (20, [])
    client.step(1_000)
    client.fault("thin_book", coin="ETH", duration_ms=1_000, options={"factor": 0.01})
    thin = client.info("l2Book", coin="ETH")["levels"]
    assert float(thin[0][0]["sz"]) < 0.1 * float(whole[0][0]["sz"])
    client.step(1_000)
    client.fault("crossed_book", coin="ETH", duration_ms=1_000)
    bids, asks = client.info("l2Book", coin="ETH")["levels"]
    assert float(bids[0]["px"]) > float(asks[0]["px"])
    client.step(1_000)
    assert client.info("l2Book", coin="ETH")["levels"] == whole


@check("price_gap", "mark_gap")
def _gaps(client: Client) -> None:
    before = client.info("metaAndAssetCtxs")[1][2]
    client.fault("mark_gap", coin="ETH", options={"factor": 0.8})
    client.step(HOUR_MS // 12)
    apart = client.info("metaAndAssetCtxs")[1][2]
    assert float(apart["markPx"]) < 0.85 * float(apart["oraclePx"])
    client.fault("price_gap", coin="ETH", options={"factor": 0.5})
    client.step(HOUR_MS // 12)
    assert float(client.info("metaAndAssetCtxs")[1][2]["oraclePx"]) < 0.55 * float(before["oraclePx"])


@check("funding_rate", "late_funding")
def _funding(client: Client) -> None:
    client.bid(1.01, tif="Ioc")
    client.fault("funding_rate", coin="ETH", duration_ms=2 * HOUR_MS, options={"rate": -0.04})
    client.fault("late_funding", options={"ms": 60_000})
    start = client.step(0)
    client.step(HOUR_MS + 30_000)
    assert client.info("userFunding", user=USER, startTime=0) == []
    client.step(31_000)
    (paid,) = client.info("userFunding", user=USER, startTime=0)
    assert paid["delta"]["fundingRate"] == "-0.04"
    assert float(paid["delta"]["usdc"]) > 0
    assert 60_000 <= paid["time"] - start - HOUR_MS <= 60_051


@check("missing_candles", "revised_candle")
def _candles(client: Client) -> None:
    start = client.step(0)
    client.step(2 * HOUR_MS)
    client.fault("missing_candles", coin="ETH", duration_ms=HOUR_MS)
    client.step(3 * HOUR_MS)
    request = {"coin": "ETH", "interval": "1h", "startTime": start, "endTime": start + 5 * HOUR_MS}
    found = [(row["t"] - start) // HOUR_MS for row in client.info("candleSnapshot", req=request)]
    assert found == [0, 1, 3, 4, 5]
    last = client.info("candleSnapshot", req=request)[-1]
    with client.socket() as socket:
        subscribe(socket, type="candle", coin="ETH", interval="1h")
        assert hear(socket, "candle")["data"] == last
        client.fault("revised_candle", coin="ETH")
        revised = hear(socket, "candle")["data"]
    assert (revised["t"], revised["c"]) != (last["t"], last["c"]) or last["n"] == 1


@check("halt", "post_only", "open_interest_cap")
def _periods(client: Client) -> None:
    for kind, text in (
        ("halt", "Trading is halted."),
        ("post_only", "Only post-only orders allowed immediately after a network upgrade"),
        ("open_interest_cap", "Order would increase open interest while open interest is capped."),
    ):
        client.fault(kind, coin="ETH", duration_ms=1_000)
        (status,) = client.bid().json()["response"]["data"]["statuses"]
        assert status == {"error": f"{text} asset=2"}
        client.step(1_000)
        assert "resting" in client.bid().json()["response"]["data"]["statuses"][0]


@check("delist", "append_asset", "change_asset", "malformed_spot", "null_contexts")
def _listings(client: Client) -> None:
    client.bid()
    client.fault("append_asset", coin="NEW")
    client.fault("change_asset", coin="DOGE", options={"max_leverage": 3})
    client.fault("delist", coin="ETH")
    client.fault("null_contexts", coin="BTC")
    client.fault("malformed_spot")
    client.step(HOUR_MS)
    universe = client.info("meta")["universe"]
    assert [entry["name"] for entry in universe] == ["BTC", "DOGE", "ETH", "NEW"]
    assert universe[2]["isDelisted"] is True
    assert universe[1]["maxLeverage"] == 3
    contexts = client.info("metaAndAssetCtxs")[1]
    assert all(contexts[i][key] is None for i in (0, 2) for key in ("premium", "midPx", "impactPxs"))
    assert contexts[1]["midPx"] is not None
    assert client.info("historicalOrders", user=USER)[0]["status"] == "delistedCanceled"
    assert client.info("spotMeta")["universe"][0]["tokens"][0] == 9_999


@check("trickle_answer", "endless_answer")
def _trickle(client: Client) -> None:
    client.fault("trickle_answer", endpoint="info", action="exchangeStatus", options={"ms": 1})
    with requests.post(f"{client.served.url}/info", json={"type": "exchangeStatus"}, stream=True) as answer:
        pieces = list(answer.raw.stream(1 << 16))
    assert len(pieces) > 10
    assert json.loads(b"".join(pieces))["time"] > 0
    client.fault("endless_answer", endpoint="info", action="exchangeStatus", options={"mb": 2})
    assert len(client.post("exchangeStatus").content) > 2_000_000


@check("bad_mid")
def _bad_mid(client: Client) -> None:
    client.fault("bad_mid", coin="ETH", duration_ms=HOUR_MS, options={"text": "oops"})
    mids = client.post("allMids").json()
    assert mids["ETH"] == "oops"
    assert float(mids["BTC"]) > 0


@check("restart")
def _restart(client: Client) -> None:
    client.bid()
    client.fault("restart", after_ms=500)
    with client.socket() as socket:
        assert str(socket.recv(timeout=TIMEOUT)).startswith("Websocket")
        with pytest.raises(requests.ConnectionError):
            client.step(500)
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=TIMEOUT)
    client.session = requests.Session()
    assert len(client.info("openOrders", user=USER)) == 1


@pytest.mark.parametrize("function", dict.fromkeys(CHECKS.values()), ids=lambda function: function.__name__[1:])
def test_faults_strike_and_are_logged(client: Client, function: Check) -> None:
    function(client)
    logged = {entry["kind"] for entry in client.log()}
    assert {kind for kind, known in CHECKS.items() if known is function} <= logged


def test_every_kind_is_checked_and_documented() -> None:
    assert set(CHECKS) == set(KINDS)
    page = (REPOSITORY / "docs" / "simulator.md").read_text()
    assert [kind for kind, (_, does) in KINDS.items() if f"| `{kind}` | {does} |" not in page] == []


def test_a_fault_that_cannot_begin_is_refused_and_does_no_harm(client: Client) -> None:
    for body in (
        {"kind": "empty_book", "coin": "NOPE"},
        {"kind": "unify_account"},
        {"kind": "latency", "options": {"ms": "x"}},
    ):
        assert client.admin("faults", body).status_code == 400
    client.fault("halt", coin="NOPE", after_ms=500)
    client.step()
    assert "no coin is called" in client.log()[-1]["error"]
    assert client.post("meta").status_code == 200
