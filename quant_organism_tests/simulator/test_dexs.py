"""Builder-deployed perpetuals: ids, money of their own, fees, transfers; in the core and over the SDK's wire."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from eth_account import Account as Wallet
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from websockets.sync.client import connect

from quant_organism.errors import InputError
from quant_organism.simulator.core.account import Account
from quant_organism.simulator.core.state import LIQUIDATOR, Dex
from quant_organism.simulator.core.venue import SimulatedVenue
from quant_organism.simulator.engine import Engine
from quant_organism.simulator.market.driver import MarketSpec
from quant_organism.simulator.market.tape import Tape
from quant_organism.simulator.server.serving import RunningVenue
from quant_organism.simulator.server.venue_server import VenueServer
from quant_organism.simulator.spec import VenueClock
from quant_organism.venue.protocol import MICRO_USD, SendAsset, number_coins, wire
from quant_organism_tests.simulator.conftest import KEYS, make_server
from quant_organism_tests.simulator.test_contract import differences, shape
from quant_organism_tests.simulator.test_core_money import conserved
from quant_organism_tests.simulator.venues import (
    ALICE,
    BOB,
    CARBON,
    ETH,
    GOLD,
    OIL,
    fund,
    make_venue,
    order,
    place,
    quotes,
    set_mark,
)

TIMEOUT = 10


def send(
    venue: SimulatedVenue, account: Account, source: str, target: str, amount: str, to: str = ALICE, token: str = "USDC"
) -> Any:
    """Send collateral; return the answer."""
    return venue.act(account, SendAsset(to, source, target, token, Decimal(amount), 7))


def test_each_dex_counts_its_own_assets() -> None:
    """Numbers are those of the venue: 100000 + 10000 times the dex's index + the position."""
    coins = ["BTC", "xyz:GOLD", "ETH", "abc:CARBON", "xyz:OIL"]
    assert number_coins(coins) == [0, 110_000, 1, 120_000, 110_001]


class TestMoney:
    def test_fees_are_those_of_the_dex(self) -> None:
        """Twice the usual ones; a fifth on the dex in growth mode: 0.09 % and 0.009 % for who takes."""
        venue = make_venue(deployed=True)
        alice, bob = fund(venue, dex=1), fund(venue, BOB, dex=1)
        fund(venue, dex=2), fund(venue, BOB, dex=2)
        for asset, sz, px in ((OIL, 100, 60), (CARBON, 100, 8)):
            place(venue, bob, order(asset, "sell", sz, px))
            place(venue, alice, order(asset, "buy", sz, px, "Ioc"))
        assert [(fill.fee, fill.fee_token) for fill in alice.fills] == [(5_400_000, "USDC"), (72_000, "USDH")]
        assert [fill.fee for fill in bob.fills] == [1_800_000, 24_000]
        assert [dex.fees for dex in venue.state.dexs] == [0, 7_200_000, 96_000]
        assert conserved(venue)

    def test_money_of_one_dex_is_no_margin_on_another(self) -> None:
        venue = make_venue(deployed=True)
        alice = fund(venue, usd=100_000)
        quotes(venue, OIL, "59.9", "60.1", 1_000)
        (status,) = place(venue, alice, order(OIL, "buy", 10, 61, "Ioc"))
        assert status == {"error": f"Insufficient margin to place order. asset={OIL}"}
        assert send(venue, alice, "", "xyz", "100")["status"] == "ok"
        (status,) = place(venue, alice, order(OIL, "buy", 10, 61, "Ioc"))
        assert status["filled"]["totalSz"] == "10.0"
        assert alice.cross_raw[0] == 99_900 * MICRO_USD
        assert conserved(venue)

    def test_a_coin_with_isolated_margin_only_takes_it_from_its_own_dex(self) -> None:
        venue = make_venue(deployed=True)
        alice = fund(venue, usd=1_000)
        fund(venue, usd=1_000, dex=1)
        quotes(venue, GOLD, 2999, 3001, 10)
        place(venue, alice, order(GOLD, "buy", 1, 3001, "Ioc"))
        holding = alice.holdings[GOLD]
        assert not holding.is_cross
        assert holding.raw == 3_001 * MICRO_USD // 20 - 3_001 * MICRO_USD - 2_700_900
        assert alice.cross_raw == {0: 1_000 * MICRO_USD, 1: 1_000 * MICRO_USD - 3_001 * MICRO_USD // 20}
        refused = venue.act(alice, wire.UpdateLeverage(GOLD, True, 5))
        assert refused == {"status": "err", "response": "Cross margin is not allowed for this asset."}

    def test_a_liquidation_on_one_dex_leaves_the_others_alone(self) -> None:
        venue = make_venue(deployed=True)
        alice = fund(venue, usd=5_000)
        fund(venue, usd=600, dex=1)
        quotes(venue, ETH, 1999, 2001)
        quotes(venue, OIL, "59.9", "60.1", 1_000)
        place(venue, alice, order(ETH, "buy", 1, 2001, "Ioc"), order(OIL, "buy", 90, "60.1", "Ioc"))
        place(venue, alice, order(ETH, "buy", 1, 1500), order(OIL, "buy", 1, 50))
        before = alice.cross_raw[0]
        venue.withdraw_quotes(OIL)
        set_mark(venue, OIL, 54)
        assert alice.holdings[OIL].szi == 0
        assert alice.holdings[ETH].szi == 10_000
        assert (alice.cross_raw[0], alice.cross_raw[1]) == (before, 0)
        assert [venue.state.orders[oid].asset for oid in alice.open_oids] == [ETH]
        assert venue.state.accounts[LIQUIDATOR].cross_raw.get(0, 0) == 0
        assert conserved(venue)

    def test_funding_is_paid_in_the_dexs_own_money(self) -> None:
        venue = make_venue(deployed=True)
        alice = fund(venue, usd=1_000, dex=2)
        fund(venue, usd=1_000)
        quotes(venue, CARBON, "7.99", "8", 100)
        place(venue, alice, order(CARBON, "buy", 100, 8, "Ioc"))
        before = alice.cross_raw[2]
        venue.pay_funding({CARBON: 10**6}, venue.state.now_ms)
        assert before - alice.cross_raw[2] == 80_000
        assert alice.cross_raw[0] == 1_000 * MICRO_USD
        assert conserved(venue)


class TestTransfers:
    @pytest.mark.parametrize(
        ("source", "target", "amount", "token", "text"),
        [
            ("", "moon", "1", "USDC", "Unknown perp dex."),
            ("spot", "", "1", "USDC", "Insufficient balance for token transfer."),
            ("", "abc", "1", "USDC", "Token is not the collateral of the perp dex."),
            ("", "xyz", "1", "USDH", "Token is not the collateral of the perp dex."),
            ("", "xyz", "100.000001", "USDC", "Insufficient balance for token transfer."),
            ("", "xyz", "0", "USDC", "Insufficient balance for token transfer."),
            ("", "xyz", "-5", "USDC", "Insufficient balance for token transfer."),
            ("xyz", "", "1", "USDC", "Insufficient balance for token transfer."),
        ],
    )
    def test_what_cannot_be_sent_stays(self, source: str, target: str, amount: str, token: str, text: str) -> None:
        venue = make_venue(deployed=True)
        alice = fund(venue, usd=100)
        assert send(venue, alice, source, target, amount, token=token) == {"status": "err", "response": text}
        assert (alice.cross_raw, len(alice.ledger)) == ({0: 100 * MICRO_USD}, 1)

    def test_margin_in_use_cannot_be_sent(self) -> None:
        venue = make_venue(deployed=True)
        alice = fund(venue, usd=100)
        place(venue, alice, order(ETH, "buy", "0.5", 1900))
        assert send(venue, alice, "", "xyz", "52.500001")["response"] == "Insufficient balance for token transfer."
        assert send(venue, alice, "", "xyz", "52.5")["status"] == "ok"

    def test_who_is_sent_money_has_an_account(self) -> None:
        venue = make_venue(deployed=True)
        send(venue, fund(venue, usd=100), "", "xyz", "40", to=BOB)
        assert venue.state.accounts[BOB].cross_raw == {0: 0, 1: 40 * MICRO_USD}
        assert conserved(venue)

    def test_the_ledger_says_it_as_recorded(self, shared_venue: Path) -> None:
        path = shared_venue / "hypaper_testnet_captures" / "11_userNonFundingLedgerUpdates.json"
        rows = [row["delta"] for row in json.loads(path.read_text())["response"]]
        recorded = next(delta for delta in rows if delta.get("destinationDex") == "xyz")
        venue = make_venue(deployed=True)
        alice = fund(venue)
        send(venue, alice, "", "xyz", "100")
        found = alice.ledger[-1].delta
        own = {"user": alice.address, "destination": alice.address, "nonce": 7}
        assert found == {**recorded, **own}
        assert list(found) == list(recorded)


class TestWire:
    """Through the unmodified SDK, on a venue whose ETH is listed on `xyz` and DOGE on `abc`."""

    @pytest.fixture
    def served(self, small_tape: Tape) -> Iterator[RunningVenue]:
        with RunningVenue(make_server(small_tape.deployed({"ETH": "xyz", "DOGE": "abc"}))) as running:
            yield running

    @pytest.fixture
    def alice(self, served: RunningVenue, sdk_nonces: None) -> Exchange:
        return Exchange(Wallet.from_key(KEYS["alice"]), served.url, perp_dexs=["", "xyz", "abc"], timeout=TIMEOUT)

    def test_what_is_listed(self, served: RunningVenue) -> None:
        info = Info(served.url, skip_ws=True, perp_dexs=["", "xyz", "abc"], timeout=TIMEOUT)
        assert info.coin_to_asset == {"BTC": 0, "abc:DOGE": 110_000, "xyz:ETH": 120_000}
        assert [dex if dex is None else dex["name"] for dex in info.perp_dexs()] == [None, "abc", "xyz"]
        assert set(info.all_mids()) == {"BTC"}
        assert set(info.all_mids("xyz")) == {"xyz:ETH"}
        (entry,) = info.meta("xyz")["universe"]
        assert (entry["name"], entry["onlyIsolated"]) == ("xyz:ETH", True)
        metas = info.post("/info", {"type": "allPerpMetas"})
        assert metas == [info.meta(dex) for dex in ("", "abc", "xyz")]
        both = [info.post("/info", {"type": "metaAndAssetCtxs", "dex": dex}) for dex in ("", "xyz")]
        assert shape(both[0][1]) == shape(both[1][1])
        assert [len(each[1]) for each in both] == [1, 1]
        assert info.post("/info", {"type": "meta", "dex": "moon"}) is None

    def test_orders_positions_and_money_of_a_dex(self, served: RunningVenue, alice: Exchange) -> None:
        info, user = alice.info, alice.wallet.address
        sent = alice.send_asset(user.lower(), "", "xyz", "USDC", 1_000)
        assert sent == {"status": "ok", "response": {"type": "default"}}
        assert float(info.user_state(user)["withdrawable"]) == 99_000
        assert float(info.user_state(user, "xyz")["withdrawable"]) == 1_000
        (opened,) = alice.market_open("xyz:ETH", True, 0.5)["response"]["data"]["statuses"]
        assert opened["filled"]["totalSz"] == "0.5"
        (status,) = alice.order("xyz:ETH", True, 0.1, 1_500.0, {"limit": {"tif": "Gtc"}})["response"]["data"][
            "statuses"
        ]
        assert [each["coin"] for each in info.open_orders(user, "xyz")] == ["xyz:ETH"]
        assert info.open_orders(user) == info.open_orders(user, "abc") == []
        own, there = info.user_state(user), info.user_state(user, "xyz")
        assert own["assetPositions"] == []
        assert [item["position"]["coin"] for item in there["assetPositions"]] == ["xyz:ETH"]
        fill = info.user_fills(user)[0]
        assert Decimal(fill["fee"]) == (Decimal(fill["sz"]) * Decimal(fill["px"]) * Decimal("0.0009")).quantize(
            Decimal("0.000001")
        )
        assert info.query_order_by_oid(user, status["resting"]["oid"])["order"]["order"]["coin"] == "xyz:ETH"
        assert alice.update_leverage(5, "xyz:ETH", is_cross=False)["status"] == "ok"
        assert alice.update_isolated_margin(20, "xyz:ETH")["status"] == "ok"
        assert alice.cancel("xyz:ETH", status["resting"]["oid"])["response"]["data"]["statuses"] == ["success"]
        requests.post(f"{served.url}/admin/step", json={"ms": 3_700_000}, timeout=TIMEOUT)
        assert {row["delta"]["coin"] for row in info.user_funding_history(user, 0)} == {"xyz:ETH"}
        (closed,) = alice.market_close("xyz:ETH")["response"]["data"]["statuses"]
        assert closed["filled"]["totalSz"] == "0.5"
        assert info.user_state(user, "xyz")["assetPositions"] == []
        state = requests.get(f"{served.url}/admin/state", timeout=TIMEOUT).json()
        assert state["unaccounted"] == "0.0"
        by_period = dict(info.portfolio(user))
        paid = Decimal(by_period["allTime"]["pnlHistory"][0][1])
        assert -5 < paid < 5  # neither the deposit nor the transfer counts as gain

    def test_a_dexs_answers_have_the_shape_of_the_recorded_ones(
        self, served: RunningVenue, alice: Exchange, shared_venue: Path
    ) -> None:
        user = alice.wallet.address
        alice.send_asset(user.lower(), "", "xyz", "USDC", 1_000)
        alice.market_open("xyz:ETH", True, 0.5)
        alice.order("xyz:ETH", True, 0.1, 1_500.0, {"limit": {"tif": "Gtc"}})
        for name, asked in (
            ("Endpoints_Futures_Account_GetAccountInfo", {"type": "clearinghouseState", "user": user, "dex": "xyz"}),
            ("Endpoints_Futures_ExchangeData_GetExchangeInfoAndTickers", {"type": "metaAndAssetCtxs", "dex": "xyz"}),
            (
                "Endpoints_Spot_Trading_GetOpenOrdersExtended",
                {"type": "frontendOpenOrders", "user": user, "dex": "xyz"},
            ),
        ):
            recorded = json.loads((shared_venue / "jkorf_net" / f"{name}.txt").read_text().split("\n", 3)[3])
            found = requests.post(f"{served.url}/info", json=asked, timeout=TIMEOUT).json()
            assert differences(shape(recorded), shape(found)) == [], name

    def test_a_master_sends_what_its_sub_account_has(self, served: RunningVenue, alice: Exchange) -> None:
        user, sub = alice.wallet.address.lower(), "0x" + "5b" * 20
        requests.post(f"{served.url}/admin/subaccount", json={"user": sub, "master": user}, timeout=TIMEOUT)
        requests.post(f"{served.url}/admin/deposit", json={"user": sub, "usd": "70"}, timeout=TIMEOUT)
        for owner, expected in ((BOB, "Must deposit before"), (sub, {"type": "default"})):
            acting = Exchange(alice.wallet, served.url, vault_address=owner, timeout=TIMEOUT)
            answer = acting.send_asset(user, "", "xyz", "USDC", 60)["response"]
            assert answer == expected or answer.startswith(expected)
        assert float(alice.info.user_state(sub)["withdrawable"]) == 10
        assert float(alice.info.user_state(user, "xyz")["withdrawable"]) == 60

    def test_a_forged_transfer_moves_nothing(self, served: RunningVenue, alice: Exchange) -> None:
        thief = Exchange(Wallet.from_key("0x" + "77" * 32), served.url, timeout=TIMEOUT)
        answer = thief.send_asset(alice.wallet.address.lower(), "", "xyz", "USDC", 1)
        assert answer["response"].startswith("Must deposit before performing actions. User: 0x")
        assert float(alice.info.user_state(alice.wallet.address)["withdrawable"]) == 100_000

    def test_subscriptions_by_dex(self, served: RunningVenue) -> None:
        user = Wallet.from_key(KEYS["alice"]).address.lower()
        subscriptions: list[dict[str, Any]] = [
            {"type": "allMids", "dex": "xyz"},
            {"type": "allMids"},
            {"type": "clearinghouseState", "user": user, "dex": "abc"},
            {"type": "openOrders", "user": user, "dex": "xyz"},
            {"type": "trades", "coin": "xyz:ETH"},
            {"type": "allDexsAssetCtxs"},
            {"type": "allMids", "dex": "moon"},
        ]
        with connect(served.url.replace("http", "ws") + "/ws") as socket:
            socket.recv(timeout=TIMEOUT)
            for sub in subscriptions:
                socket.send(json.dumps({"method": "subscribe", "subscription": sub}))
            heard: dict[str, list[Any]] = {}
            while "error" not in heard:
                message = json.loads(socket.recv(timeout=TIMEOUT))
                heard.setdefault(message["channel"], []).append(message["data"])
        assert [(set(data["mids"]), data.get("dex")) for data in heard["allMids"]] == [
            ({"xyz:ETH"}, "xyz"),
            ({"BTC"}, None),
        ]
        assert [data["dex"] for data in heard["clearinghouseState"] + heard["openOrders"]] == ["abc", "xyz"]
        assert {row["coin"] for row in heard["trades"][0]} == {"xyz:ETH"}
        assert [name for name, _ in heard["allDexsAssetCtxs"][0]["ctxs"]] == ["", "abc", "xyz"]
        assert "Invalid subscription" in heard["error"][0]

    def test_faults_and_snapshots_know_a_dexs_coins(self, served: RunningVenue, alice: Exchange) -> None:
        user = alice.wallet.address.lower()
        alice.send_asset(user, "", "xyz", "USDC", 1_000)
        listed = {"kind": "append_asset", "coin": "xyz:NEW"}
        assert requests.post(f"{served.url}/admin/faults", json=listed, timeout=TIMEOUT).status_code == 200
        info = Info(served.url, skip_ws=True, perp_dexs=["xyz"], timeout=TIMEOUT)
        assert info.coin_to_asset == {"xyz:ETH": 120_000, "xyz:NEW": 120_001}
        snapshot = requests.get(f"{served.url}/admin/snapshot", timeout=TIMEOUT).content
        alice.send_asset(user, "xyz", "", "USDC", 1_000)
        requests.post(f"{served.url}/admin/restore", data=snapshot, timeout=TIMEOUT)
        assert float(alice.info.user_state(user, "xyz")["withdrawable"]) == 1_000


def test_a_dex_keeps_the_token_that_it_is_given(small_tape: Tape) -> None:
    """Listed as collateral, counted in the ledger of its own, and not to be had for USDC."""
    tape = small_tape.deployed({"ETH": "abc"})
    engine = Engine(tape, int(tape.times[48]), MarketSpec(ticks_per_bar=12), dexs=[Dex("abc", "USDH", fee_percent=20)])
    with RunningVenue(VenueServer(engine, VenueClock(engine.now_ms, 0, lambda: 0.0))) as served:
        info = Info(served.url, skip_ws=True, perp_dexs=["", "abc"], timeout=TIMEOUT)
        assert [info.meta(dex)["collateralToken"] for dex in ("", "abc")] == [0, 1]
        assert [token["name"] for token in info.spot_meta()["tokens"]] == ["USDC", "USDH"]
        given = {"user": ALICE, "usd": "50", "dex": "abc"}
        requests.post(f"{served.url}/admin/deposit", json=given, timeout=TIMEOUT)
        assert [float(info.user_state(ALICE, dex)["withdrawable"]) for dex in ("", "abc")] == [0, 50]
        refused = requests.post(f"{served.url}/admin/deposit", json={**given, "dex": "moon"}, timeout=TIMEOUT)
        assert refused.status_code == 400
        assert "no dex is called 'moon'" in refused.json()["error"]
    assert engine.venue.state.bridge == {"USDH": -50 * MICRO_USD}
    assert engine.venue.state.dexs[1].fee_percent == 20


@pytest.mark.parametrize("dexs", [{"GOLD": "xyz"}, {"ETH": ""}, {"ETH": "much-too-long"}, {"ETH": "a:b"}])
def test_a_coin_or_dex_that_cannot_be_is_named(dexs: dict[str, str], small_tape: Tape) -> None:
    with pytest.raises(InputError, match=r"GOLD|dex"):
        small_tape.deployed(dexs)
