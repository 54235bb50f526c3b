"""A person's answers: what is asked, what a yes does, and what is refused."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from quant_organism.deployment.decisions import ACCOUNT, Figure, book_decisions, decide
from quant_organism.market import Interval, Lake
from quant_organism.trading.policy import Policy
from quant_organism.trading.policy_store import FilePolicyStore, policy_folder
from quant_organism_tests.program import Said

Call = Callable[..., Said]


@pytest.fixture
def store(tmp_path: Path) -> FilePolicyStore:
    """Return the policies of a data folder in which normal is asked for, and defensive is in force."""
    today = datetime.now(UTC).date()
    where = {"market": "made", "interval": Interval.parse("1h")}
    up = decide("risk_adjustment", ACCOUNT, {"drawdown": Figure(0.01)}, today, in_force="defensive")
    pool = decide("pool_size", ACCOUNT, {"seats": Figure(10.0)}, today - timedelta(days=1))
    lake = Lake(tmp_path / "data" / "lake")
    for each in (up, pool):
        book_decisions(lake, [each], each.day, **where)
    policies = FilePolicyStore(policy_folder(tmp_path / "data"))
    policies.put(Policy(risk_mode="defensive", max_gross=1.0), author="me", reason="", at_ms=0)
    return policies


def listed(call: Call, *options: str) -> list[dict[str, object]]:
    said = call("decisions", "list", "--json", *options)
    assert said.code == 0, said.err
    return json.loads(said.out)


def test_a_yes_puts_the_mode_in_force_and_stands_on_record(call: Call, store: FilePolicyStore) -> None:
    (asked,) = listed(call, "--open")
    assert (asked["value"], asked["otherwise"]) == ("normal", "defensive")
    said = call("decisions", "approve", str(asked["id"])[:6], "--reason", "calm again")
    assert said.code == 0, said.err
    current = store.current()
    assert current is not None
    assert (current.policy.risk_mode, current.policy.max_gross, current.reason) == ("normal", 1.0, "calm again")
    assert listed(call, "--open") == []
    assert {row["type"]: row["state"] for row in listed(call)} == {"risk_adjustment": "approve", "pool_size": "taken"}
    again = call("decisions", "approve", str(asked["id"]), "--reason", "twice")
    assert again.code == 2
    assert "nobody is asked about it: approve" in again.err


def test_a_no_changes_nothing(call: Call, store: FilePolicyStore) -> None:
    (asked,) = listed(call, "--open")
    assert call("decisions", "reject", str(asked["id"]), "--reason", "not yet").code == 0
    current = store.current()
    assert current is not None
    assert current.policy.risk_mode == "defensive"
    assert listed(call)[0]["state"] in ("reject", "taken")


@pytest.mark.parametrize("id", ["", "zz"])
def test_what_is_no_decision_is_refused(call: Call, store: FilePolicyStore, id: str) -> None:
    said = call("decisions", "reject", id, "--reason", "no")
    assert said.code == 2
    assert "no decisions begin with" in said.err


def test_what_is_decided_again_is_listed_once(call: Call, store: FilePolicyStore, tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    for seats, age in ((10.0, 3), (10.0, 2), (4.0, 0)):
        pool = decide("pool_size", ACCOUNT, {"seats": Figure(seats)}, today - timedelta(days=age))
        book_decisions(Lake(tmp_path / "data" / "lake"), [pool], pool.day, market="made", interval=Interval.parse("1h"))
    assert [row["value"] for row in listed(call) if row["type"] == "pool_size"] == ["4", "10"]
    assert [row["value"] for row in listed(call, "--all") if row["type"] == "pool_size"] == ["4", "10", "10", "10"]


def test_an_empty_folder_says_where_decisions_come_from(call: Call) -> None:
    assert "marks of a night make them" in call("decisions", "list").out
    assert "Nothing waits" in call("decisions", "list", "--open").out
