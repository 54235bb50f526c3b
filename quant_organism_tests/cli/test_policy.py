"""The policy on the command line."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from quant_organism_tests.program import Said


def test_a_policy_is_put_in_force_shown_and_its_history_told(call: Callable[..., Said], tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    assert "None yet" in call("trade", "policy", "show").out
    file.write_text("risk_mode: defensive\n")
    first = call("trade", "policy", "set", str(file), "--author", "ada", "--reason", "news", "--json")
    assert (first.code, json.loads(first.out)["number"]) == (0, 1)
    file.write_text("risk_mode: normal\nmax_net: 0.5\n")
    assert call("trade", "policy", "set", str(file), "--author", "ben").out == "Version 2 is in force.\n"
    stale = call("trade", "policy", "set", str(file), "--after", "1")
    assert (stale.code, "version 2 is in force" in stale.err) == (2, True)
    assert json.loads(call("trade", "policy", "show", "--json").out)["policy"]["max_net"] == 0.5
    told = json.loads(call("trade", "policy", "history", "--json").out)
    assert [(each["author"], each["changes"]) for each in told] == [
        ("ada", {"risk_mode": ["normal", "defensive"]}),
        ("ben", {"risk_mode": ["defensive", "normal"], "max_net": [2.0, 0.5]}),
    ]
    assert "defensive to normal" in call("trade", "policy", "history").out
    file.write_text("max_nett: 0.5\n")
    assert "did you mean max_net?" in call("trade", "policy", "set", str(file)).err


def test_orders_are_sent_only_under_a_policy_and_to_the_network_that_was_meant(
    call: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: str) -> str:
        said = call("trade", *arguments, "--json")
        assert said.code == 2
        return str(json.loads(said.out)["error"]["what"])

    assert "no policy is in force" in refused("--mode", "testnet")
    assert "mode mainnet and the venue simulator do not go together" in refused("--mode", "mainnet")
    assert "mode testnet and the venue mainnet do not go together" in refused("--mode", "testnet", "--venue", "mainnet")
    file = tmp_path / "policy.yaml"
    file.write_text("allowed_venues: [testnet]\n")
    assert call("trade", "policy", "set", str(file), "--author", "ada").code == 0
    assert "no account is named" in refused("--mode", "testnet")
    assert "mainnet is not among it" in refused("--mode", "mainnet", "--venue", "mainnet")
    file.write_text("allowed_venues: [mainnet]\n")
    assert call("trade", "policy", "set", str(file), "--author", "ada").code == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))  # no terminal
    assert "a person has typed the account's address" in refused("--mode", "mainnet", "--venue", "mainnet")
