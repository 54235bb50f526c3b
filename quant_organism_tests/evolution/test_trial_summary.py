"""The ledger in figures: what was tried, per market and family, beside what luck shows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quant_organism.evolution.budget import expected_luck
from quant_organism.evolution.ledger import TrialLedger
from quant_organism.evolution.trial_summary import summarise_trials
from quant_organism_tests.evolution.evaluations import FAMILIES, IDENTITY, made_up, some_of


@pytest.fixture
def ledger(tmp_path: Path) -> TrialLedger:
    return TrialLedger(tmp_path)


def test_each_family_is_summed_up_beside_all_together(ledger: TrialLedger) -> None:
    evaluation = made_up(0, count=30, days=730)
    ledger.append([evaluation], IDENTITY)
    whole, *families = summarise_trials(ledger)
    assert (whole.market, whole.family, whole.trials, whole.behaviours) == ("world-demo", None, 30, 30)
    assert [found.family for found in families] == sorted(FAMILIES)
    assert {found.trials for found in families} == {10}
    for found in families:
        sharpe = [
            value
            for genome, value in zip(evaluation.genomes, evaluation.metrics["sharpe"], strict=True)
            if genome.family == found.family
        ]
        assert found.best_sharpe == np.nanmax(sharpe)
        assert found.median_sharpe == pytest.approx(np.nanmedian(sharpe))
        assert found.luck_sharpe == expected_luck(10, 2.0)
    assert whole.luck_sharpe == expected_luck(30, 2.0) > families[0].luck_sharpe
    assert whole.sentence.startswith("With 30 trials on 2.0 years, luck alone")


def test_luck_goes_by_what_differs_in_behaviour(ledger: TrialLedger) -> None:
    evaluation = made_up(0)
    ledger.append([replace(evaluation, behaviour=np.full(12, 7, dtype=np.uint64))], IDENTITY)
    whole = summarise_trials(ledger)[0]
    assert (whole.trials, whole.behaviours, whole.luck_sharpe) == (12, 1, 0.0)


def test_markets_are_summed_up_apart_and_one_can_be_chosen(ledger: TrialLedger) -> None:
    ledger.append([made_up(0)], IDENTITY)
    ledger.append([made_up(1)], replace(IDENTITY, panel_hash="b" * 64, market="files-mine"))
    assert [found.market for found in summarise_trials(ledger) if found.family is None] == ["files-mine", "world-demo"]
    assert {found.market for found in summarise_trials(ledger, "files-mine")} == {"files-mine"}
    assert summarise_trials(ledger, "elsewhere") == []


def test_a_family_that_never_traded_has_no_sharpe_ratio(ledger: TrialLedger) -> None:
    ledger.append([some_of(made_up(0), [11])], IDENTITY)
    idle = summarise_trials(ledger)[1]
    assert (idle.trials, idle.best_sharpe, idle.median_sharpe) == (1, None, None)


def test_histories_of_different_lengths_are_judged_by_the_middle_one(ledger: TrialLedger) -> None:
    for days, name in ((365, "b"), (730, "d"), (1460, "e")):
        ledger.append([made_up(0, days=days)], replace(IDENTITY, panel_hash=name * 64))
    assert summarise_trials(ledger)[0].years == 2.0
