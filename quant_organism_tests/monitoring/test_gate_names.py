"""What pages say of gates: signs that are those of the gates themselves, and a name for each."""

import math

import pytest

from quant_organism.monitoring.content import ReportedGate
from quant_organism.monitoring.pages import bound, gate_names, missing_of
from quant_organism.monitoring.report import _gate_rows
from quant_organism.validation.gates.gate import Gate
from quant_organism.validation.profile import Profile
from quant_organism_tests.monitoring.reports import cycle_report

SIGNS = {"at_least": "≥", "at_most": "≤", "above": ">"}
GATES = [gate for name in ("light", "full", "strict") for gate in Profile.load(name).gates]


def reported(gate: Gate, status: str = "passed") -> ReportedGate:
    return ReportedGate(
        stage=gate.stage,
        gate=gate.name,
        needed_for=("paper",),
        status=status,
        value=1.0,
        threshold=gate.threshold,
        reason="because",
    )


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: f"{gate.stage} {gate.name}")
def test_the_sign_is_that_of_the_gate(gate: Gate) -> None:
    (sign,) = [sign for field, sign in SIGNS.items() if getattr(gate, field, None) is not None] or [None]
    said = bound(reported(gate))
    assert sign is None or said.startswith(f"{sign} ")
    assert said[0] in SIGNS.values()


def test_two_gates_have_two_names() -> None:
    for profile in ("light", "full", "strict"):
        chosen = Profile.load(profile)
        lists = {"shadow": chosen.shadow, "paper": chosen.paper, "information": chosen.information}
        gates = [
            ReportedGate(
                stage=gate.stage,
                gate=gate.name,
                needed_for=() if name == "information" else (name,),
                status="passed",
                value=1.0,
                threshold=gate.threshold,
                reason="",
            )
            for name, listed in lists.items()
            for gate in listed
        ]
        names = [(gate.stage, name) for gate, name in zip(gates, gate_names(gates), strict=True)]
        assert len(set(names)) == len(names)


def test_what_is_missing_stands_first_and_what_only_informs_is_not_missing() -> None:
    rows = _gate_rows(cycle_report().candidates)
    missing = [row["missing"] for row in rows]
    assert True in missing
    assert missing == sorted(missing, reverse=True)
    assert rows[0]["heading"] == "what is missing"
    for row in rows:
        failed = any(gate.status != "passed" for gate in row["verdicts"])
        assert row["missing"] == (failed and bool(row["gate"].needed_for))
    gates = [reported(GATES[0], "failed"), reported(GATES[1]), reported(GATES[2], "not_run")]
    assert [gate for _, gate in missing_of(gates)] == [gates[0], gates[2]]


def test_a_bound_that_is_not_known_is_a_dash() -> None:
    gate = reported(GATES[0])
    assert bound(ReportedGate(**{**vars(gate), "threshold": math.nan})) == "–"


@pytest.mark.parametrize(
    ("name", "unit"), [("trades", " trades"), ("testnet_orders", " of all"), ("testnet_slippage", " times the model's")]
)
def test_a_bound_has_a_unit_where_the_name_does_not_say_it(name: str, unit: str) -> None:
    gate = next(gate for gate in GATES if gate.name == name)
    assert bound(reported(gate)).endswith(unit)
