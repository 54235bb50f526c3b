"""The unmodified SDK works on the venue: every action, every question, every subscription."""

import inspect
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from eth_account import Account as Wallet
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from hyperliquid.utils.error import ClientError
from hyperliquid.utils.types import Cloid

from quant_organism.simulator.market.tape import Tape
from quant_organism.simulator.server.serving import RunningVenue
from quant_organism.simulator.spec import VenueClock
from quant_organism_tests.simulator.conftest import KEYS, make_server

TIMEOUT = 10


pytestmark = pytest.mark.usefixtures("sdk_nonces")


@pytest.fixture
def alice(served: RunningVenue) -> Exchange:
    return Exchange(Wallet.from_key(KEYS["alice"]), served.url, timeout=TIMEOUT)


@pytest.fixture
def bob(served: RunningVenue) -> Exchange:
    return Exchange(Wallet.from_key(KEYS["bob"]), served.url, timeout=TIMEOUT)


def admin(served: RunningVenue, name: str, **body: Any) -> Any:
    answer = requests.post(f"{served.url}/admin/{name}", json=body, timeout=TIMEOUT)
    assert answer.status_code == 200, answer.text
    return answer.json()


def statuses(answer: Any) -> list[Any]:
    assert answer["status"] == "ok", answer
    found: list[Any] = answer["response"]["data"]["statuses"]
    return found


def mid(info: Info, coin: str = "ETH") -> float:
    return float(info.all_mids()[coin])


GTC: Any = {"limit": {"tif": "Gtc"}}


class TestActions:
    def test_orders_modify_and_cancel(self, alice: Exchange) -> None:
        info, user = alice.info, alice.wallet.address
        px = float(round(mid(info) * 0.9))
        (status,) = statuses(alice.order("ETH", True, 0.2, px, GTC))
        oid = status["resting"]["oid"]
        assert info.query_order_by_oid(user, oid)["order"]["status"] == "open"
        (status,) = statuses(alice.modify_order(oid, "ETH", True, 0.1, px + 1, GTC))
        new = status["resting"]["oid"]
        assert new != oid
        assert info.query_order_by_oid(user, oid)["order"]["status"] == "canceled"
        assert [order["oid"] for order in info.open_orders(user)] == [new]
        assert statuses(alice.cancel("ETH", new)) == ["success"]
        (again,) = statuses(alice.cancel("ETH", new))
        assert again == {"error": "Order was never placed, already canceled, or filled. asset=2"}
        assert info.open_orders(user) == []

    def test_client_ids(self, alice: Exchange) -> None:
        info, user = alice.info, alice.wallet.address
        cloid = Cloid.from_str("0x" + "0a" * 16)
        (status,) = statuses(alice.order("ETH", True, 0.2, float(round(mid(info) * 0.9)), GTC, cloid=cloid))
        assert status["resting"]["cloid"] == cloid.to_raw()
        assert info.query_order_by_cloid(user, cloid)["order"]["order"]["cloid"] == cloid.to_raw()
        px = float(round(mid(info) * 0.91))
        (changed,) = statuses(alice.modify_order(cloid, "ETH", True, 0.2, px, GTC, cloid=cloid))
        assert changed["resting"]["cloid"] == cloid.to_raw()
        assert statuses(alice.cancel_by_cloid("ETH", cloid)) == ["success"]
        assert info.query_order_by_cloid(user, Cloid.from_str("0x" + "0b" * 16)) == {"status": "unknownOid"}

    def test_bulk_orders_answer_item_by_item(self, alice: Exchange) -> None:
        px = float(round(mid(alice.info) * 0.9))
        wanted = [
            {"coin": "ETH", "is_buy": True, "sz": sz, "limit_px": px, "order_type": GTC, "reduce_only": False}
            for sz in (0.1, 0.001, 0.3)
        ]
        found = statuses(alice.bulk_orders(wanted))
        assert found[1] == {"error": "Order must have minimum value of $10. asset=2"}
        oids = [found[i]["resting"]["oid"] for i in (0, 2)]
        assert statuses(alice.bulk_cancel([{"coin": "ETH", "oid": oid} for oid in oids])) == ["success"] * 2

    def test_market_open_and_close(self, alice: Exchange) -> None:
        user = alice.wallet.address
        (status,) = statuses(alice.market_open("ETH", True, 0.5))
        assert status["filled"]["totalSz"] == "0.5"
        (position,) = alice.info.user_state(user)["assetPositions"]
        assert position["position"]["szi"] == "0.5"
        (status,) = statuses(alice.market_close("ETH"))
        assert status["filled"]["totalSz"] == "0.5"
        assert alice.info.user_state(user)["assetPositions"] == []
        directions = [fill["dir"] for fill in alice.info.user_fills(user)]
        assert set(directions) == {"Open Long", "Close Long"}
        assert alice.market_close("ETH") is None

    def test_take_profit_and_stop(self, served: RunningVenue, alice: Exchange) -> None:
        info, user, px = alice.info, alice.wallet.address, mid(alice.info)
        orders = [
            {"coin": "ETH", "is_buy": True, "sz": 0.5, "limit_px": round(px * 1.03), "order_type": GTC},
            *(
                {
                    "coin": "ETH",
                    "is_buy": False,
                    "sz": 0.5,
                    "limit_px": round(px * factor),
                    "order_type": {"trigger": {"triggerPx": round(px * factor), "isMarket": True, "tpsl": word}},
                }
                for word, factor in (("tp", 1.5), ("sl", 0.7))
            ),
        ]
        for order in orders:
            order.setdefault("reduce_only", "trigger" in order["order_type"])
        parent, take, stop = statuses(alice.bulk_orders(orders, grouping="normalTpsl"))
        assert "filled" in parent
        assert [take, stop] == ["waitingForTrigger"] * 2
        kinds = {order["orderType"]: order for order in info.frontend_open_orders(user)}
        assert set(kinds) == {"Take Profit Market", "Stop Market"}
        assert kinds["Stop Market"]["triggerCondition"].startswith("Price below ")
        admin(served, "faults", kind="price_gap", coin="ETH", options={"factor": 0.69})
        admin(served, "step", ms=600_000)
        assert info.user_state(user)["assetPositions"] == []
        assert info.open_orders(user) == []
        ends = {record["status"] for record in info.historical_orders(user)}
        assert ends == {"filled", "siblingFilledCanceled"}

    def test_leverage_and_isolated_margin(self, alice: Exchange) -> None:
        assert alice.update_isolated_margin(5, "ETH") == {
            "status": "err",
            "response": "Position does not use isolated margin.",
        }
        assert alice.update_leverage(10, "ETH", is_cross=False)["status"] == "ok"
        statuses(alice.market_open("ETH", True, 0.5))
        assert alice.update_isolated_margin(25.5, "ETH")["status"] == "ok"
        (entry,) = alice.info.user_state(alice.wallet.address)["assetPositions"]
        assert entry["position"]["leverage"]["type"] == "isolated"
        assert entry["position"]["leverage"]["value"] == 10
        assert alice.update_leverage(26, "ETH")["status"] == "err"

    @pytest.mark.parametrize("name", [None, "bot"])
    def test_agents_act_for_the_account(self, served: RunningVenue, alice: Exchange, name: str | None) -> None:
        answer, key = alice.approve_agent(name)
        assert answer == {"status": "ok", "response": {"type": "default"}}
        agent = Exchange(Wallet.from_key(key), served.url, account_address=alice.wallet.address, timeout=TIMEOUT)
        statuses(agent.market_open("ETH", True, 0.1))
        assert len(alice.info.user_state(alice.wallet.address)["assetPositions"]) == 1
        named = alice.info.extra_agents(alice.wallet.address)
        assert [agent["name"] for agent in named] == ([] if name is None else ["bot"])
        assert alice.info.user_role(agent.wallet.address)["role"] == "agent"
        admin(served, "faults", kind="revoke_agents", user=alice.wallet.address)
        refused = agent.market_open("ETH", True, 0.1)
        assert refused["response"] == f"User or API Wallet {agent.wallet.address.lower()} does not exist."

    def test_scheduled_cancel(self, served: RunningVenue, alice: Exchange) -> None:
        """Nonces, expiry and this are judged by one clock, which is not the time of the bars."""
        now = int(time.time() * 1000)
        assert "Cannot set scheduled cancel time" in alice.schedule_cancel(now + 60_000)["response"]
        admin(served, "volume", user=alice.wallet.address, usd=1_000_000)
        statuses(alice.order("ETH", True, 0.2, float(round(mid(alice.info) * 0.9)), GTC))
        assert alice.schedule_cancel(now + 4_000)["response"] == (
            "Scheduled cancel time must be at least 5 seconds in the future."
        )
        assert alice.schedule_cancel(now + 60_000)["status"] == "ok"
        admin(served, "step", ms=600_000)
        assert len(alice.info.open_orders(alice.wallet.address)) == 1
        admin(served, "faults", kind="clock_offset", options={"ms": 60_000})
        admin(served, "step", ms=0)
        assert alice.info.open_orders(alice.wallet.address) == []
        assert alice.info.historical_orders(alice.wallet.address)[0]["status"] == "scheduledCancel"
        assert alice.schedule_cancel(None)["status"] == "ok"

    def test_noop_uses_its_nonce(self, alice: Exchange) -> None:
        nonce = int(time.time() * 1000)
        assert alice.noop(nonce)["status"] == "ok"
        assert alice.noop(nonce)["response"] == f"Invalid nonce: duplicate nonce {nonce}"

    def test_expired_actions_are_refused(self, alice: Exchange) -> None:
        alice.set_expires_after(int(time.time() * 1000) - 1)
        assert alice.market_open("ETH", True, 0.1)["status"] == "err"
        alice.set_expires_after(int(time.time() * 1000) + 60_000)
        assert alice.market_open("ETH", True, 0.1)["status"] == "ok"

    def test_strangers_and_other_networks_are_refused(self, served: RunningVenue, alice: Exchange) -> None:
        stranger = Exchange(Wallet.from_key("0x" + "77" * 32), served.url, timeout=TIMEOUT)
        refused = stranger.order("ETH", True, 0.1, 1_000.0, GTC)
        assert refused["response"] == f"User or API Wallet {stranger.wallet.address.lower()} does not exist."
        answer, _ = stranger.approve_agent()
        assert answer["response"] == (
            f"Must deposit before performing actions. User: {stranger.wallet.address.lower()}"
        )
        across = Exchange(
            stranger.wallet, served.url, vault_address=alice.wallet.address.lower(), timeout=TIMEOUT
        ).order("ETH", True, 0.1, 1_000.0, GTC)
        assert "does not exist" in across["response"]

    def test_a_master_acts_for_its_sub_account(self, served: RunningVenue, alice: Exchange) -> None:
        sub = "0x" + "5a" * 20
        admin(served, "deposit", user=sub, usd="1000")
        admin(served, "subaccount", user=sub, master=alice.wallet.address)
        acting = Exchange(alice.wallet, served.url, vault_address=sub, timeout=TIMEOUT)
        statuses(acting.market_open("ETH", True, 0.1))
        assert len(alice.info.user_state(sub)["assetPositions"]) == 1
        assert alice.info.user_state(alice.wallet.address)["assetPositions"] == []


def test_every_question_of_the_sdk_is_answered(served: RunningVenue, alice: Exchange) -> None:
    info, user = alice.info, alice.wallet.address
    statuses(alice.market_open("ETH", True, 0.5))
    given = {
        "address": user,
        "user": user,
        "multi_sig_user": user,
        "name": "ETH",
        "startTime": 1,
        "start_time": 1,
        "endTime": 4_000_000_000_000,
        "interval": "1h",
        "oid": 5,
        "cloid": Cloid.from_int(1),
    }
    left_out = {"post", "subscribe", "unsubscribe", "disconnect_websocket", "name_to_asset", "set_perp_meta"}
    asked = 0
    for name, method in inspect.getmembers(info, inspect.ismethod):
        if name.startswith("_") or name in left_out:
            continue
        needed = [p for p in inspect.signature(method).parameters.values() if p.default is p.empty]
        answer = method(**{p.name: given[p.name] for p in needed})
        assert not (isinstance(answer, dict) and "error" in answer), name
        asked += 1
    assert asked >= 36
    for kind, extra in (
        ("predictedFundings", {}),
        ("recentTrades", {"coin": "ETH"}),
        ("activeAssetData", {"user": user, "coin": "ETH"}),
        ("allPerpMetas", {}),
        ("exchangeStatus", {}),
        ("perpsAtOpenInterestCap", {}),
        ("maxBuilderFee", {"user": user, "builder": user}),
        ("l2Book", {"coin": "ETH", "nSigFigs": 3}),
        ("metaAndAssetCtxs", {"dex": ""}),
    ):
        assert info.post("/info", {"type": kind, **extra}) is not None
    with pytest.raises(ClientError) as caught:
        info.post("/info", {"type": "noSuchThing"})
    assert caught.value.status_code == 422


class TestSubscriptions:
    @pytest.fixture
    def info(self, served: RunningVenue) -> Iterator[Info]:
        connected = Info(served.url, timeout=TIMEOUT)
        yield connected
        connected.disconnect_websocket()

    def test_all_thirteen_deliver(self, served: RunningVenue, info: Info, alice: Exchange) -> None:
        user = alice.wallet.address
        kinds: list[dict[str, Any]] = [
            {"type": "allMids"},
            *({"type": kind, "coin": "ETH"} for kind in ("l2Book", "bbo", "trades", "activeAssetCtx")),
            {"type": "candle", "coin": "ETH", "interval": "1m"},
            {"type": "activeAssetData", "user": user, "coin": "ETH"},
            *(
                {"type": kind, "user": user}
                for kind in (
                    "userEvents",
                    "userFills",
                    "orderUpdates",
                    "userFundings",
                    "userNonFundingLedgerUpdates",
                    "webData2",
                )
            ),
        ]
        assert len(kinds) == 13
        seen: dict[str, list[Any]] = {kind["type"]: [] for kind in kinds}
        for kind in kinds:
            info.subscribe(dict(kind), seen[kind["type"]].append)
        eventually(lambda: all(seen[kind] for kind in seen if kind not in ("userEvents", "orderUpdates", "trades")))
        statuses(alice.market_open("ETH", True, 0.5))
        admin(served, "step", ms=3_700_000)
        eventually(lambda: all(seen.values()))
        eventually(lambda: any("funding" in message["data"] for message in seen["userEvents"]))
        eventually(lambda: len(seen["userFundings"]) >= 2)
        first = seen["userFills"][0]["data"]
        assert first["isSnapshot"] is True
        later = [fill for message in seen["userFills"][1:] for fill in message["data"]["fills"]]
        assert sum(float(fill["sz"]) for fill in later) == pytest.approx(0.5)
        assert seen["orderUpdates"][-1]["data"][-1]["status"] == "filled"
        assert isinstance(seen["candle"][-1]["data"], dict)
        assert seen["l2Book"][0]["data"]["levels"][0]

    def test_unsubscribing_ends_the_stream(self, served: RunningVenue, info: Info) -> None:
        seen: list[Any] = []
        number = info.subscribe({"type": "l2Book", "coin": "ETH"}, seen.append)
        eventually(lambda: bool(seen))
        assert info.unsubscribe({"type": "l2Book", "coin": "ETH"}, number)
        eventually(lambda: admin(served, "step", ms=1_000) is not None and not _members(served))


def test_accelerated_time_goes_on_by_itself(small_tape: Tape) -> None:
    server = make_server(small_tape)
    server.clock = VenueClock(server.engine.now_ms, 7_200, time.monotonic)
    start = server.engine.now_ms
    with RunningVenue(server) as served:
        info = Info(served.url, timeout=TIMEOUT)
        try:
            seen: list[Any] = []
            info.subscribe({"type": "candle", "coin": "ETH", "interval": "1h"}, seen.append)
            eventually(lambda: len({message["data"]["t"] for message in seen}) >= 3)
        finally:
            info.disconnect_websocket()
    assert server.engine.now_ms > start + 2 * 3_600_000


def _members(served: RunningVenue) -> int:
    return sum(len(socket.subscriptions) for socket in served.server.hub.sockets)


def eventually(condition: Any) -> None:
    """Wait for something that another thread brings about."""
    waited = threading.Event()
    for _ in range(1_000):
        if condition():
            return
        waited.wait(0.01)
    raise AssertionError("it did not come to pass within ten seconds")
