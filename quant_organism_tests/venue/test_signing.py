"""Signatures: the SDK's vectors, recorded requests, and forgeries."""

import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from hyperliquid.utils.signing import get_timestamp_ms, sign_agent, sign_l1_action

from quant_organism.venue.protocol.decimals import Malformed
from quant_organism.venue.protocol.signing import connection_id, l1_signer, user_signer

WALLET = Account.from_key("0x0123456789012345678901234567890123456789012345678901234567890123")
ADDRESS = "0x14791697260e4c9a71f18484c9f997b308e59325"
RECORDED_SIGNER = "0x4a1ae5a6cfb24390a704b1cc1ab88d0f89ef596b"
DUMMY = {"type": "dummy", "num": 100000000000}
UNPADDED = {  # r has 63 digits
    "r": "0x53749d5b30552aeb2fca34b530185976545bb22d0b3ce6f62e31be961a59298",
    "s": "0x755c40ba9bf05223521753995abb2f73ab3229be8ec921f350cb447e384d8ed8",
    "v": 27,
}


def test_unpadded_values_are_accepted() -> None:
    assert l1_signer(DUMMY, UNPADDED, 0, vault=None, expires_after_ms=None, mainnet=True) == ADDRESS


def test_every_vector_of_the_sdk(shared_venue: Path) -> None:
    vectors = json.loads((shared_venue / "signing_vectors.json").read_text())
    for vector in vectors["l1"]:
        for network in ("mainnet", "testnet"):
            found = l1_signer(
                vector["action"],
                vector[network],
                vector["nonce"],
                vault=vector.get("vault"),
                expires_after_ms=vector.get("expiresAfter"),
                mainnet=network == "mainnet",
            )
            assert found == ADDRESS


def test_recorded_requests_verify_to_the_recorded_signer(shared_venue: Path) -> None:
    signed = [
        body["request"]
        for path in sorted((shared_venue / "hypaper_testnet_captures").glob("*.json"))
        if "signature" in (body := json.loads(path.read_text()))["request"]
    ]
    assert len(signed) >= 8
    for request in signed:
        found = l1_signer(
            request["action"], request["signature"], request["nonce"], vault=None, expires_after_ms=None, mainnet=False
        )
        assert found == RECORDED_SIGNER


@pytest.mark.parametrize("vault", [None, "0x1719884eb866cb12b2287399b15f7db5e7d775ea"])
@pytest.mark.parametrize("expires", [None, 1_800_000_000_000])
def test_what_the_sdk_signs_verifies(vault: str | None, expires: int | None) -> None:
    action = {"type": "order", "orders": [{"a": 1, "b": True, "p": "100", "s": "100"}], "grouping": "na"}
    signature = sign_l1_action(WALLET, action, vault, 7, expires, False)
    assert l1_signer(action, signature, 7, vault=vault, expires_after_ms=expires, mainnet=False) == ADDRESS


@pytest.mark.parametrize(
    "change",
    [{"nonce": 8}, {"vault": "0x1719884eb866cb12b2287399b15f7db5e7d775ea"}, {"expires_after_ms": 9}, {"mainnet": True}],
)
def test_a_forged_field_gives_another_signer(change: dict[str, Any]) -> None:
    signature = sign_l1_action(WALLET, DUMMY, None, 7, None, False)
    said = {"nonce": 7, "vault": None, "expires_after_ms": None, "mainnet": False, **change}
    assert l1_signer(DUMMY, signature, **said) != ADDRESS


def test_the_order_of_keys_is_signed() -> None:
    assert connection_id({"type": "a", "n": 1}, 0, None, None) != connection_id({"n": 1, "type": "a"}, 0, None, None)


@pytest.mark.parametrize("name", [None, "bot"])
def test_agents_are_approved_with_and_without_a_name(name: str | None) -> None:
    action: dict[str, Any] = {
        "type": "approveAgent",
        "agentAddress": "0x" + "ab" * 20,
        "agentName": name or "",
        "nonce": get_timestamp_ms(),
    }
    signature = sign_agent(WALLET, action, False)
    if name is None:
        del action["agentName"]
    assert user_signer(action, signature) == ADDRESS


@pytest.mark.parametrize(
    "signature",
    [{}, {"r": "x", "s": "0x1", "v": 27}, {"r": "0x1", "s": "0x1", "v": 29}, {"r": 1, "s": 1, "v": 27}, {"r": "0x1"}],
)
def test_unreadable_signatures_are_malformed(signature: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        l1_signer(DUMMY, signature, 0, vault=None, expires_after_ms=None, mainnet=False)


def test_impossible_values_recover_nobody() -> None:
    nobody = {"r": "0x0", "s": "0x0", "v": 27}
    assert l1_signer(DUMMY, nobody, 0, vault=None, expires_after_ms=None, mainnet=False) is None
