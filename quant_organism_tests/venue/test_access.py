"""Who may use which network with which wallet: the rules between what a person has said and a connected account."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quant_organism.errors import InputError
from quant_organism.venue import (
    AccessPlan,
    Keystore,
    Limits,
    checked_network,
    open_account,
    signing_wallet,
    venue_spec,
    wallet_of,
)

KEY = "0x" + "0123456789" * 6 + "0123"
OTHER_KEY = "11" * 32
ACCOUNT = "0x" + "Ab" * 20
PASSPHRASE = "correct horse"


@pytest.fixture
def plan(tmp_path: Path) -> AccessPlan:
    """Return a plan of the simulator, whose wallet is in the keystore."""
    Keystore(tmp_path / "keys", iterations=4).add("trader", KEY, PASSPHRASE)
    return AccessPlan(
        network="simulator",
        keystore=tmp_path / "keys",
        signers=tmp_path / "signers",
        passphrase=lambda: PASSPHRASE,
        account_address=ACCOUNT,
        base_url="http://127.0.0.1:1",
        key="trader",
    )


@pytest.mark.parametrize("name", ["simulator", "testnet", "mainnet"])
def test_a_network_is_one_of_three(name: str) -> None:
    assert checked_network(name) == name


@pytest.mark.parametrize("name", ["moon", "Mainnet", "", "main"])
def test_no_other_network_is_believed(name: str, plan: AccessPlan) -> None:
    with pytest.raises(InputError, match="no network is called"):
        checked_network(name)
    with pytest.raises(InputError, match="no network is called"):
        venue_spec(replace(plan, network=name))


@pytest.mark.parametrize(
    ("confirmed", "named", "missing"),
    [
        (None, None, "venue.confirm_mainnet"),
        (None, "mainnet", "venue.confirm_mainnet"),
        ("0x" + "cd" * 20, "mainnet", "venue.confirm_mainnet"),
        ("", "mainnet", "venue.confirm_mainnet"),
        (ACCOUNT, None, "--venue mainnet"),
        (ACCOUNT, "testnet", "--venue mainnet"),
        (ACCOUNT, "simulator", "--venue mainnet"),
    ],
)
def test_real_money_must_be_meant_twice(
    confirmed: str | None, named: str | None, missing: str, plan: AccessPlan
) -> None:
    """By the account's address once more, and by the network's name for this very call; one alone is not enough."""
    meant = replace(plan, network="mainnet", base_url=None, confirm_mainnet=confirmed, named_network=named)
    with pytest.raises(InputError) as caught:
        venue_spec(meant)
    assert missing in str(caught.value)
    with pytest.raises(InputError):
        open_account(meant)


@pytest.mark.parametrize("confirmed", [ACCOUNT, ACCOUNT.lower(), ACCOUNT.upper()])
def test_with_both_the_main_network_is_signed_for(confirmed: str, plan: AccessPlan) -> None:
    meant = replace(plan, network="mainnet", base_url=None, confirm_mainnet=confirmed, named_network="mainnet")
    spec = venue_spec(meant)
    assert (spec.is_mainnet, spec.base_url) == (True, "https://api.hyperliquid.xyz")
    assert spec.account_address == ACCOUNT.lower()


def test_no_account_is_never_the_confirmed_one(plan: AccessPlan) -> None:
    with pytest.raises(InputError, match="real money"):
        venue_spec(replace(plan, network="mainnet", base_url=None, account_address=None, named_network="mainnet"))


@pytest.mark.parametrize("network", ["simulator", "testnet"])
def test_without_money_at_risk_nothing_need_be_confirmed(network: str, plan: AccessPlan) -> None:
    base_url = plan.base_url if network == "simulator" else None
    assert not venue_spec(replace(plan, network=network, base_url=base_url)).is_mainnet
    with pytest.raises(InputError, match="no account is named"):
        venue_spec(replace(plan, network=network, base_url=base_url, account_address=None))


def test_a_plan_reaches_the_venue_as_it_is(plan: AccessPlan) -> None:
    said: dict[str, Any] = {
        "proxy": "http://127.0.0.1:3128",
        "connect_seconds": 1.0,
        "read_seconds": 2.0,
        "action_seconds": 3.0,
        "limits": Limits(ip_weight_per_minute=600, ip_burst_weight=100),
    }
    spec = venue_spec(replace(plan, **said))
    assert {name: getattr(spec, name) for name in said} == said


def test_the_wallet_is_the_keystores_or_the_one_that_is_given(plan: AccessPlan) -> None:
    assert signing_wallet(plan).address == wallet_of(KEY).address
    given = replace(plan, key=None, private_key=lambda: OTHER_KEY, passphrase=lambda: pytest.fail("asked in vain"))
    assert signing_wallet(given).address == wallet_of(OTHER_KEY).address


def test_no_wallet_or_two_are_none(plan: AccessPlan) -> None:
    with pytest.raises(InputError, match="no wallet is named"):
        signing_wallet(replace(plan, key=None))
    with pytest.raises(InputError, match="both a key of the keystore and a private key"):
        signing_wallet(replace(plan, private_key=lambda: OTHER_KEY))


def test_the_network_is_judged_before_any_secret_is_asked_for(plan: AccessPlan) -> None:
    def never() -> str:
        return pytest.fail("a secret was asked for")

    with pytest.raises(InputError, match="real money"):
        open_account(replace(plan, network="mainnet", base_url=None, passphrase=never))
    with pytest.raises(InputError, match="real money"):
        open_account(replace(plan, network="mainnet", base_url=None, key=None, private_key=never))


def test_a_plan_holds_no_secret(plan: AccessPlan) -> None:
    given = replace(plan, key=None, private_key=lambda: OTHER_KEY)
    assert [text for text in (KEY[2:], OTHER_KEY, PASSPHRASE) if text in repr((plan, given))] == []
