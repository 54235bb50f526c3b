"""What the venue refuses: unreadable, forged, replayed and too many requests."""

import json
import random

import pytest
import requests
from hyperliquid.utils.signing import sign_agent, sign_l1_action
from websockets.sync.client import connect

from quant_organism.simulator.market.tape import Tape
from quant_organism.simulator.server.serving import RunningVenue
from quant_organism.simulator.spec import ServerSpec
from quant_organism_tests.simulator.conftest import ALICE, NONCES, TIMEOUT, make_server

JSON = {"Content-Type": "application/json"}


class TestHttp:
    @pytest.mark.parametrize(
        ("content", "kind", "status", "text"),
        [
            (b"{", "application/json", 400, "Failed to parse the request body as JSON"),
            (b"\xff\xfe", "application/json", 400, "Failed to parse the request body as JSON"),
            (b"{}", "text/plain", 415, "Expected request with `Content-Type: application/json`"),
            (b"{}", "application/json", 422, "Failed to deserialize the JSON body into the target type"),
            (b"[]", "application/json", 422, "Failed to deserialize the JSON body into the target type"),
            (b'{"type":"l2Book","coin":"ETH","nSigFigs":9}', "application/json", 500, "null"),
            (b'{"type":"l2Book","coin":"NOPE"}', "application/json", 200, "null"),
            (b'{"type":"userFills","user":"0x12"}', "application/json", 422, None),
            (b" " * (1 << 21), "application/json", 413, None),
        ],
    )
    def test_bodies_of_refusals(
        self, busy: RunningVenue, content: bytes, kind: str, status: int, text: str | None
    ) -> None:
        answer = requests.post(f"{busy.url}/info", data=content, headers={"Content-Type": kind}, timeout=TIMEOUT)
        assert answer.status_code == status
        assert text is None or answer.text == text

    def test_weight_runs_out_and_comes_back(self, small_tape: Tape) -> None:
        with RunningVenue(make_server(small_tape, ServerSpec(ip_weight_per_minute=120))) as served:
            codes = [
                requests.post(f"{served.url}/info", json={"type": "meta"}, timeout=TIMEOUT).status_code
                for _ in range(8)
            ]
            assert codes == [200] * 6 + [429] * 2
            requests.post(f"{served.url}/admin/step", json={"ms": 10_000}, timeout=TIMEOUT)
            assert requests.post(f"{served.url}/info", json={"type": "meta"}, timeout=TIMEOUT).status_code == 200


class TestForgery:
    """Nothing that is forged, replayed, mangled or random changes the state or brings the venue down."""

    def snapshot(self, served: RunningVenue) -> bytes:
        return requests.get(f"{served.url}/admin/snapshot", timeout=TIMEOUT).content

    def test_mangled_requests(self, busy: RunningVenue) -> None:
        rng = random.Random(5)
        before = self.snapshot(busy)
        order = {"a": 2, "b": True, "p": "1500", "s": "0.2", "r": False, "t": {"limit": {"tif": "Gtc"}}}
        action = {"type": "order", "orders": [order], "grouping": "na"}
        nonce = next(NONCES)
        signed = {
            "action": action,
            "nonce": nonce,
            "signature": sign_l1_action(ALICE, action, None, nonce, None, False),
        }
        text = json.dumps(signed)
        values = (None, True, -1, 1 << 70, 1.5, "", "x", [], {}, [[]] * 50, "0x" + "f" * 64, 0)
        session = requests.Session()
        for _ in range(150):
            broken = json.loads(text)
            at = broken
            while True:
                key = rng.choice(list(at) if isinstance(at, dict) else list(range(len(at))))
                if isinstance(at[key], dict | list) and at[key] and rng.random() < 0.7:
                    at = at[key]
                    continue
                if at[key] != (wrong := rng.choice(values)):
                    at[key] = wrong
                break
            if broken == signed or broken.get("vaultAddress", 1) is None:
                continue
            answer = session.post(f"{busy.url}/exchange", data=json.dumps(broken), headers=JSON, timeout=TIMEOUT)
            refused = answer.status_code in (400, 422) or answer.json()["status"] == "err"
            assert refused, (broken, answer.text)
        for _ in range(60):
            noise = rng.randbytes(rng.randrange(200))
            for endpoint in ("info", "exchange"):
                answer = session.post(f"{busy.url}/{endpoint}", data=noise, headers=JSON, timeout=TIMEOUT)
                assert answer.status_code in (400, 422)
        assert self.snapshot(busy) == before

    def test_replayed_requests(self, busy: RunningVenue) -> None:
        action = {"type": "noop"}
        nonce = next(NONCES)
        body = {"action": action, "nonce": nonce, "signature": sign_l1_action(ALICE, action, None, nonce, None, False)}
        answers = [requests.post(f"{busy.url}/exchange", json=body, timeout=TIMEOUT).json() for _ in range(2)]
        assert [answer["status"] for answer in answers] == ["ok", "err"]
        assert answers[1]["response"] == f"Invalid nonce: duplicate nonce {nonce}"

    def test_an_agent_for_another_chain(self, busy: RunningVenue) -> None:
        nonce = next(NONCES)
        action = {"type": "approveAgent", "agentAddress": "0x" + "cd" * 20, "agentName": "x", "nonce": nonce}
        signature = sign_agent(ALICE, action, True)
        answer = requests.post(
            f"{busy.url}/exchange", json={"action": action, "nonce": nonce, "signature": signature}, timeout=TIMEOUT
        )
        assert answer.status_code == 422

    def test_noise_on_sockets(self, busy: RunningVenue) -> None:
        rng = random.Random(6)
        before = self.snapshot(busy)
        with connect(busy.url.replace("http", "ws") + "/ws") as socket:
            socket.recv(timeout=TIMEOUT)
            for text in (
                "{",
                "[]",
                "5",
                '{"method":"subscribe"}',
                '{"method":["subscribe"]}',
                '{"method":"subscribe","subscription":{"type":[]}}',
                '{"method":"subscribe","subscription":{"type":"candle","coin":"ETH","interval":{}}}',
                '{"method":"subscribe","subscription":{"type":"l2Book","coin":"NOPE"}}',
                '{"method":"subscribe","subscription":{"type":"candle","coin":"ETH","interval":"7m"}}',
                '{"method":"post","id":"x"}',
                '{"method":"unsubscribe","subscription":{"type":"allMids"}}',
                *("".join(chr(rng.randrange(32, 1000)) for _ in range(50)) for _ in range(50)),
            ):
                socket.send(text)
                assert json.loads(socket.recv(timeout=TIMEOUT))["channel"] == "error"
            socket.send(rng.randbytes(100))
            assert json.loads(socket.recv(timeout=TIMEOUT))["channel"] == "error"
            socket.send('{"method":"post","id":4,"request":{"type":"info","payload":{"type":"meta"}}}')
            assert json.loads(socket.recv(timeout=TIMEOUT))["data"]["response"]["payload"]["type"] == "meta"
        assert self.snapshot(busy) == before

    def test_too_large_a_message_ends_the_socket_only(self, busy: RunningVenue) -> None:
        with connect(busy.url.replace("http", "ws") + "/ws", close_timeout=1) as socket:
            socket.send("x" * (1 << 18))
        assert requests.post(f"{busy.url}/info", json={"type": "meta"}, timeout=TIMEOUT).ok


class TestSocketLimits:
    def test_connections_subscriptions_and_users(self, small_tape: Tape) -> None:
        spec = ServerSpec(connections=1, subscriptions=3, users=1, greeting=False)
        with (
            RunningVenue(make_server(small_tape, spec)) as served,
            connect(served.url.replace("http", "ws") + "/ws") as s,
        ):
            with pytest.raises(Exception, match="429"), connect(served.url.replace("http", "ws") + "/ws"):
                pass
            users = ["0x" + f"{i}" * 40 for i in (1, 2)]
            for user in users:
                s.send(json.dumps({"method": "subscribe", "subscription": {"type": "orderUpdates", "user": user}}))
            assert json.loads(s.recv(timeout=TIMEOUT))["channel"] == "subscriptionResponse"
            assert "more than 1 total users" in json.loads(s.recv(timeout=TIMEOUT))["data"]

    def test_an_idle_socket_is_closed(self, small_tape: Tape) -> None:
        spec = ServerSpec(idle_seconds=0.2, greeting=False)
        with (
            RunningVenue(make_server(small_tape, spec)) as served,
            connect(served.url.replace("http", "ws") + "/ws") as s,
            pytest.raises(Exception, match="1000"),
        ):
            s.recv(timeout=TIMEOUT)
