"""Proposers from outside: every proposal is a trial, and none of them ever sees an unseen day."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from quant_organism.backtest import Costs, Evaluation
from quant_organism.errors import InputError
from quant_organism.evolution import LedgerIdentity, TrialLedger
from quant_organism.evolution.proposals import FileProposals, MeasuredGenomes, ProposalResult, genome_of, listen
from quant_organism.judge.spec import EXAMPLES
from quant_organism_tests.judge.conftest import market

PANEL = market(bars=24 * 60, edge=0.1)
IDENTITY = LedgerIdentity(
    spec_hash="0" * 64, panel_hash=PANEL.hash, costs_hash=Costs().hash, cycle="proposals", generation=0, market="made"
)


def measuring(ledger: TrialLedger) -> MeasuredGenomes:
    def record(evaluation: Evaluation, number: int) -> None:
        ledger.append([evaluation], replace(IDENTITY, generation=number))

    return MeasuredGenomes(panel=PANEL, costs=Costs(), record=record)


class Repeating:
    """Proposes the same two genomes for ever."""

    def __init__(self) -> None:
        self.told: list[ProposalResult] = []

    def ask(self, n: int) -> Sequence[dict[str, str]]:
        return [{"family": "ema_crossover"}, {"family": "rsi_filter"}][:n]

    def tell(self, results: Sequence[ProposalResult]) -> None:
        self.told.extend(results)


def test_proposals_of_a_file_are_measured_and_each_is_a_trial(tmp_path: Path) -> None:
    ledger, proposer = TrialLedger(tmp_path), FileProposals(EXAMPLES / "proposals.jsonl")
    told = listen(proposer, measuring(ledger), budget=100)
    assert proposer.results == told
    assert [result.refused != "" for result in told] == [False, False, False, False, True]
    assert "crystal_ball" in told[-1].refused
    measured = {result.genome.hash for result in told if result.genome is not None}
    assert set(ledger.frame(["genome_hash"])["genome_hash"]) == measured


def test_a_budget_ends_what_would_not_end_and_repetition_is_one_trial(tmp_path: Path) -> None:
    ledger, proposer = TrialLedger(tmp_path), Repeating()
    told = listen(proposer, measuring(ledger), budget=5)
    assert len(told) == len(proposer.told) == 5
    assert ledger.n_trials() == 2
    assert told[0].sharpe == told[2].sharpe


def test_more_proposals_than_were_asked_for_are_refused(tmp_path: Path) -> None:
    class Eager(Repeating):
        def ask(self, n: int) -> Sequence[dict[str, str]]:
            return [{"family": "ema_crossover"}] * (n + 1)

    with pytest.raises(InputError, match="3 proposals where 2 were asked for"):
        listen(Eager(), measuring(TrialLedger(tmp_path)), budget=2)


@pytest.mark.parametrize(
    ("line", "found"),
    [("not json", "line 2"), ("[1]", "no|not a JSON object")],
)
def test_a_line_that_is_no_proposal_is_named(tmp_path: Path, line: str, found: str) -> None:
    path = tmp_path / "proposals.jsonl"
    path.write_text(f"{json.dumps({'family': 'rsi_filter'})}\n{line}\n")
    with pytest.raises(InputError, match=found):
        FileProposals(path)


def test_a_genome_is_described_by_family_and_the_genes_that_are_not_default() -> None:
    assert genome_of({"family": "ema_crossover"}).family == "ema_crossover"
    with pytest.raises(InputError, match="not by colour"):
        genome_of({"family": "ema_crossover", "colour": "red"})
