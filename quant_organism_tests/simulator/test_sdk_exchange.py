"""What the SDK's `Exchange` can ask for beside trading: money, sub-accounts, vaults, agents, and what an account is."""

import time
from typing import Any

import pytest
import requests
from eth_account import Account as Wallet
from hyperliquid.exchange import Exchange
from hyperliquid.utils.signing import sign_l1_action

from quant_organism.simulator.server.serving import RunningVenue
from quant_organism_tests.simulator.conftest import ALICE, KEYS, NONCES, TIMEOUT

pytestmark = pytest.mark.usefixtures("sdk_nonces")
OK = {"status": "ok", "response": {"type": "default"}}
BOB = Wallet.from_key(KEYS["bob"]).address.lower()
VAULT = "0x" + "7a" * 20


@pytest.fixture
def alice(served: RunningVenue) -> Exchange:
    return Exchange(ALICE, served.url, timeout=TIMEOUT)


def admin(served: RunningVenue, name: str, **body: Any) -> Any:
    answer = requests.post(f"{served.url}/admin/{name}", json=body, timeout=TIMEOUT)
    assert answer.status_code == 200, answer.text
    return answer.json()


def worth(alice: Exchange, address: str) -> float:
    return float(alice.info.user_state(address)["marginSummary"]["accountValue"])


class TestMoney:
    def test_between_addresses_perpetuals_and_spot(self, alice: Exchange) -> None:
        info, user = alice.info, alice.wallet.address
        assert alice.usd_class_transfer(500.0, False) == OK
        assert alice.spot_transfer(100.0, BOB, "USDC:0x6d1e7cde53ba9467b783cb7c530ce054") == OK
        assert alice.usd_transfer(50.0, BOB) == OK
        assert alice.send_asset(BOB, "spot", "", "USDC", 25.0) == OK
        assert alice.withdraw_from_bridge(10.0, user) == OK
        (balance,) = info.spot_user_state(user)["balances"]
        assert balance == {"coin": "USDC", "token": 0, "total": "375.0", "hold": "0.0", "entryNtl": "0.0"}
        assert (worth(alice, user), worth(alice, BOB)) == (99_440.0, 100_075.0)
        types = [row["delta"]["type"] for row in info.user_non_funding_ledger_updates(user, 0)]
        assert types == ["deposit", "accountClassTransfer", "spotTransfer", "internalTransfer", "send", "withdraw"]
        periods = dict(info.portfolio(user))
        assert periods["allTime"]["pnlHistory"][-1][1] == "0.0"  # money that was moved is neither won nor lost

    def test_an_agent_trades_and_moves_no_money(self, served: RunningVenue, alice: Exchange) -> None:
        _, key = alice.approve_agent("bot")
        agent = Exchange(Wallet.from_key(key), served.url, account_address=alice.wallet.address, timeout=TIMEOUT)
        before = worth(alice, alice.wallet.address)
        assert agent.usd_transfer(5.0, BOB)["response"].startswith("Must deposit before performing actions.")
        admin(served, "vault", user=VAULT, master=BOB)
        refused = agent.vault_usd_transfer(VAULT, True, 5_000_000)
        assert refused["response"] == f"User or API Wallet {agent.wallet.address.lower()} does not exist."
        assert worth(alice, alice.wallet.address) == before

    def test_sub_accounts(self, served: RunningVenue, alice: Exchange) -> None:
        user = alice.wallet.address
        assert alice.create_sub_account("grid")["response"] == (
            "Cannot create sub-accounts until enough volume traded. Required: $100000. Traded: $0.00."
        )
        admin(served, "volume", user=user, usd=100_000)
        sub = alice.create_sub_account("grid")["response"]["data"]
        assert alice.sub_account_transfer(sub, True, 1_000_000_000) == OK
        acting = Exchange(ALICE, served.url, vault_address=sub, timeout=TIMEOUT)
        assert acting.usd_class_transfer(100.0, False) == OK
        assert alice.sub_account_spot_transfer(sub, False, "USDC", 40.0) == OK
        assert "filled" in acting.market_open("ETH", True, 0.1)["response"]["data"]["statuses"][0]
        (shown,) = alice.info.query_sub_accounts(user)
        assert (shown["name"], shown["subAccountUser"], shown["master"]) == ("grid", sub, user.lower())
        assert shown["spotState"]["balances"][0]["total"] == "60.0"
        assert shown["clearinghouseState"]["assetPositions"][0]["position"]["szi"] == "0.1"
        assert alice.info.user_role(sub) == {"role": "subAccount", "data": {"master": user.lower()}}

    def test_vaults(self, served: RunningVenue, alice: Exchange) -> None:
        admin(served, "vault", user=VAULT, master=BOB)
        assert alice.vault_usd_transfer(VAULT, True, 200_000_000) == OK
        (equity,) = alice.info.user_vault_equities(alice.wallet.address)
        assert (equity["vaultAddress"], equity["equity"]) == (VAULT, "200.0")
        leader = Exchange(Wallet.from_key(KEYS["bob"]), served.url, vault_address=VAULT, timeout=TIMEOUT)
        assert (
            "resting"
            in leader.order("ETH", True, 0.1, 1000, {"limit": {"tif": "Gtc"}})["response"]["data"]["statuses"][0]
        )
        assert alice.vault_usd_transfer(VAULT, False, 1)["response"] == "Vault deposit is still locked up."
        admin(served, "step", ms=86_400_000)
        busy = alice.vault_usd_transfer(VAULT, False, 200_000_000)  # five dollars are the margin of the order
        assert busy["response"] == "Vault cannot pay that much while its positions are open."
        assert alice.vault_usd_transfer(VAULT, False, 195_000_000) == OK
        assert alice.info.user_role(VAULT) == {"role": "vault"}


class TestAgents:
    def test_a_name_may_say_until_when(self, alice: Exchange) -> None:
        until = int(time.time() * 1000) + 3_600_000
        assert alice.approve_agent(f"bot valid_until {until}")[0] == OK
        (agent,) = alice.info.extra_agents(alice.wallet.address)
        assert (agent["name"], agent["validUntil"]) == ("bot", until)
        for late in (1, until + 181 * 86_400_000):
            refused, _ = alice.approve_agent(f"bot valid_until {late}")
            assert refused["status"] == "err"

    def test_it_ends_then_by_the_clock_of_the_nonces(self, served: RunningVenue, alice: Exchange) -> None:
        until = int(time.time() * 1000) + 60_000
        _, key = alice.approve_agent(f"bot valid_until {until}")
        agent = Exchange(Wallet.from_key(key), served.url, account_address=alice.wallet.address, timeout=TIMEOUT)
        admin(served, "step", ms=600_000)
        assert agent.noop(next(NONCES)) == OK
        admin(served, "faults", kind="clock_offset", options={"ms": 61_000})
        refused = agent.noop(next(NONCES))
        assert refused["response"] == f"User or API Wallet {agent.wallet.address.lower()} does not exist."

    def test_three_names_and_each_wallet_once(self, alice: Exchange) -> None:
        answers = [alice.approve_agent(name)[0] for name in ("a", "b", "c", "c", None, None, "d")]
        assert answers[:-1] == [OK] * 6
        assert answers[-1]["response"] == "Too many extra agents."
        assert sorted(agent["name"] for agent in alice.info.extra_agents(alice.wallet.address)) == ["a", "b", "c"]


def test_what_an_account_says_of_itself(alice: Exchange) -> None:
    info, user = alice.info, alice.wallet.address
    assert alice.set_referrer("FRIEND") == OK
    assert info.query_referral_state(user)["referredBy"]["code"] == "FRIEND"
    assert alice.set_referrer("OTHER")["response"] == "Referrer already set."
    assert alice.approve_builder_fee(BOB, "0.001%") == OK
    assert info.post("/info", {"type": "maxBuilderFee", "user": user, "builder": BOB}) == 1
    assert alice.user_dex_abstraction(user, True) == OK
    assert info.query_user_dex_abstraction_state(user) is True
    assert alice.user_set_abstraction(user, "unifiedAccount") == OK
    assert info.query_user_abstraction_state(user) == "unifiedAccount"
    assert alice.agent_set_abstraction("p")["response"] == "Portfolio margin is not available to this account."
    assert alice.agent_set_abstraction("i") == OK
    assert info.query_user_abstraction_state(user) == "default"
    assert alice.agent_enable_dex_abstraction() == OK
    assert alice.use_big_blocks(True) == OK


def test_the_address_of_a_vault_may_lack_its_prefix(served: RunningVenue) -> None:
    """As some clients send it; what is signed is the same."""
    sub = "0x" + "5a" * 20
    admin(served, "deposit", user=sub, usd="1000")
    admin(served, "subaccount", user=sub, master=ALICE.address)
    action = {"type": "updateLeverage", "asset": 2, "isCross": True, "leverage": 7}
    for named in (sub, sub[2:]):
        nonce = next(NONCES)
        signature = sign_l1_action(ALICE, action, sub, nonce, None, False)
        body = {"action": action, "nonce": nonce, "signature": signature, "vaultAddress": named}
        assert requests.post(f"{served.url}/exchange", json=body, timeout=TIMEOUT).json() == OK


class TestQuestions:
    @pytest.mark.parametrize("kind", ["userFillsByTime", "userFunding", "userNonFundingLedgerUpdates"])
    def test_a_start_need_not_be_given(self, busy: RunningVenue, kind: str) -> None:
        asked = {"type": kind, "user": ALICE.address}
        whole, dated = (
            requests.post(f"{busy.url}/info", json=body, timeout=TIMEOUT) for body in (asked, {**asked, "startTime": 0})
        )
        assert whole.json() == dated.json() != []

    def test_fees_and_limits_are_whole(self, alice: Exchange) -> None:
        fees = alice.info.user_fees(alice.wallet.address)
        schedule = fees["feeSchedule"]
        rates = {"cross", "add", "spotCross", "spotAdd"}
        assert rates | {"tiers", "referralDiscount", "stakingDiscountTiers"} == set(schedule)
        assert all(set(tier) == rates | {"ntlCutoff"} for tier in schedule["tiers"]["vip"])
        assert (fees["userCrossRate"], fees["userAddRate"]) == (schedule["cross"], schedule["add"])
        assert (fees["userSpotCrossRate"], fees["userSpotAddRate"]) == ("0.0007", "0.0004")
        before = alice.info.user_rate_limit(alice.wallet.address)
        alice.noop(next(NONCES))
        after = alice.info.user_rate_limit(alice.wallet.address)
        assert after["nRequestsUsed"] == before["nRequestsUsed"] + 1
        assert after["nRequestsCap"] - after["nRequestsUsed"] == after["nRequestsSurplus"] > 0


class TestAdmin:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Host": "evil.example"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Host": "127.0.0.1.evil.example"},
        ],
    )
    def test_no_page_of_the_web_commands_the_venue(self, busy: RunningVenue, headers: dict[str, str]) -> None:
        before = requests.get(f"{busy.url}/admin/state", timeout=TIMEOUT).json()
        for name in ("step", "restore"):
            answer = requests.post(f"{busy.url}/admin/{name}", json={"ms": 1_000}, headers=headers, timeout=TIMEOUT)
            assert answer.status_code == 403
        assert requests.get(f"{busy.url}/admin/state", timeout=TIMEOUT).json() == before

    @pytest.mark.parametrize("headers", [{}, {"Host": "localhost"}, {"Origin": "http://localhost:3000"}])
    def test_a_page_of_this_machine_does(self, busy: RunningVenue, headers: dict[str, str]) -> None:
        answer = requests.get(f"{busy.url}/admin/state", headers=headers, timeout=TIMEOUT)
        assert answer.status_code == 200

    def test_what_it_is_sent_is_limited(self, busy: RunningVenue) -> None:
        answer = requests.post(f"{busy.url}/admin/step", data=b" " * (1 << 21), timeout=TIMEOUT)
        assert answer.status_code == 415
        large = requests.post(
            f"{busy.url}/admin/step",
            data=b" " * (1 << 21),
            headers={"Content-Type": "application/json"},
            timeout=TIMEOUT,
        )
        assert large.status_code == 413
