"""Vetoes of robustness: the solid passes, the fragile falls, and what could not be shaken never passes."""

import math
from pathlib import Path

import numpy as np
import pytest

from quant_organism.errors import InputError
from quant_organism.evolution.candidates import Candidate
from quant_organism.market.splits import split
from quant_organism.validation.case import Case, Grounds
from quant_organism.validation.gates.robustness import GATES as ROBUSTNESS
from quant_organism.validation.holdout import HoldoutRegister
from quant_organism.validation.profile import Profile
from quant_organism.validation.robustness.subject import Subject
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.trial_record import TrialRecord
from quant_organism_tests.validation.robustness.strategies import idle, one_exact_parameter, one_lucky_trade, solid

BY_KIND = {gate.kind: gate for gate in ROBUSTNESS}
FEW = {
    "parameter_neighbourhood": {"neighbours": 30},
    "price_noise": {"draws": 3},
    "resampled_bars": {"draws": 3},
}
ALL = [gate(**FEW.get(gate.kind, {})) for gate in ROBUSTNESS]


def _unasked() -> TrialRecord:
    raise AssertionError("a gate of robustness asked for the trials")


def case_of(subject: Subject, folder: Path) -> Case:
    """Return a case whose unseen days nobody may open."""
    candidate = Candidate(subject.committee, "champion")
    grounds = Grounds(
        panel=subject.panel,
        splits=split(subject.panel.n_bars, subject.panel.interval),
        costs=subject.costs,
        evaluator=subject.evaluator,
        register=HoldoutRegister(folder),
        reason="a test",
        seed=3,
        candidates=(candidate,),
        read_trials=_unasked,
        find_significance=lambda: NotRun("not asked for"),
        pretest=NotRun("not asked for"),
    )
    return Case(candidate, grounds)


@pytest.mark.parametrize("gate", ALL, ids=lambda gate: gate.kind)
def test_a_solid_strategy_passes_with_its_number_and_its_reason(gate, tmp_path):
    verdict = gate.judge(case_of(solid(), tmp_path))
    assert (verdict.status, verdict.stage, verdict.gate) == ("passed", "robustness", gate.kind)
    assert math.isfinite(verdict.value)
    assert verdict.threshold == gate.threshold
    assert verdict.n_used > 0
    assert verdict.reason
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "plant"), [("trade_skip", one_lucky_trade), ("parameter_neighbourhood", one_exact_parameter)]
)
def test_a_fragile_strategy_is_vetoed(kind, plant, tmp_path):
    verdict = BY_KIND[kind]().judge(case_of(plant(), tmp_path))
    assert verdict.status == "failed"
    bound = (
        verdict.value < verdict.threshold if kind == "parameter_neighbourhood" else verdict.value > verdict.threshold
    )
    assert bound


@pytest.mark.parametrize("gate", ALL, ids=lambda gate: gate.kind)
def test_what_never_traded_does_not_pass(gate, tmp_path):
    verdict = gate.judge(case_of(idle(), tmp_path))
    assert verdict.status == "not_run"
    assert math.isnan(verdict.value)


def test_only_in_sample_bars_are_looked_at(tmp_path):
    subject = case_of(solid(), tmp_path)
    seen = ALL[0].subject(subject)
    assert seen.panel.n_bars == subject.grounds.splits.in_sample.stop
    np.testing.assert_array_equal(seen.panel.close, subject.grounds.in_sample.close)


def test_profiles_declare_them():
    entries = [{"gate": gate.kind, **FEW.get(gate.kind, {})} for gate in ROBUSTNESS]
    unseen = {"gate": "backtest", "metric": "sharpe", "span": "holdout", "at_least": 0.0}
    profile = Profile.of({"name": "shaken", "shadow": [unseen, *entries]})
    assert list(profile.shadow[1:]) == ALL
    for name in ("full", "strict"):
        known = Profile.load(name)
        vetoes = {gate.kind for gate in known.paper if gate.stage == "robustness"}
        shown = {gate.kind for gate in known.information if gate.stage == "robustness"}
        assert vetoes | shown == set(BY_KIND)
        assert {"parameter_neighbourhood", "trade_skip", "asset_left_out"} <= vetoes
    with pytest.raises(InputError, match="no such field") as caught:
        Profile.of({"name": "shaken", "shadow": [{"gate": "late_execution", "hours": 3}]})
    assert caught.value.where == "shadow[0].hours"
    with pytest.raises(InputError):
        Profile.of({"name": "shaken", "shadow": [{"gate": "parameter_neighbourhood", "at_least": 1.5}]})
