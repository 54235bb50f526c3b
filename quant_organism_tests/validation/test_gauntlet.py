"""Candidates go through all gates, cheap ones first, and get one decision; nothing passes that did not run."""

import math
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.account import EQUITY_USD, account_figures, committee_run
from quant_organism.errors import IntegrityError
from quant_organism.evolution.candidates import Candidate
from quant_organism.strategies import Committee
from quant_organism.validation.case import Case, PValue
from quant_organism.validation.gates.gate import Gate
from quant_organism.validation.gates.significance import CombinedSignificance
from quant_organism.validation.gauntlet import BACKTEST, DECISION, anybody_left, run_gauntlet
from quant_organism.validation.holdout import Opening
from quant_organism.validation.profile import Profile
from quant_organism.validation.records import (
    metrics_frame,
    read_judgements,
    returns_frame,
    summary_frame,
    verdicts_frame,
)
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.verdict import STAGES, Stage, Verdict
from quant_organism_tests.chain import PROFILE, edge, grounds_of, luck, without_tail


def again(found, *, search_p=None, candidates=None, panel=None, **changes):
    """Return fresh grounds of a cycle, with other evidence."""
    chosen = found.search.candidates if candidates is None else candidates
    trials = found.search.search.trials
    return replace(grounds_of(chosen, panel or found.panel, found.splits, trials=trials, search_p=search_p), **changes)


def of_full(*kinds):
    """Return the small profile's way into shadow, and of the full profile's other gates those of some kinds."""
    full = Profile.load("full")
    paper, information = (
        tuple(gate for gate in gates if gate.kind in kinds) for gates in (full.paper, full.information)
    )
    assert paper or information
    return replace(full, shadow=PROFILE.shadow, paper=paper, information=information)


def statuses(review):
    return {judgement.verdict.gate: judgement.verdict.status for judgement in review.judgements}


def test_an_edge_that_is_hard_to_miss_gets_into_shadow_and_without_a_p_value_no_further():
    (review,) = edge().reviews
    assert review.standing == "shadow"
    assert review.why.startswith("unproven: fell short of paper at decision")
    assert "the search has no p-value" in review.why


def test_with_evidence_from_search_and_unseen_days_it_goes_to_paper():
    (review,) = run_gauntlet(again(edge(), search_p=0.01), PROFILE)
    assert (review.standing, review.why) == ("paper", "passed every gate of profile test")


def test_the_decision_is_the_starting_wealth_that_both_p_values_buy():
    (review,) = run_gauntlet(again(edge(), search_p=0.05), PROFILE)
    found = {judgement.verdict.gate: judgement.verdict for judgement in review.judgements}
    unseen = found["holdout_mean"].value
    assert found["decision"].value == pytest.approx(1 / (4 * np.sqrt(0.05 * unseen)))
    assert found["decision"].n_used == 99


@pytest.mark.parametrize(
    ("search", "unseen", "rerun", "candidates", "wealth", "status"),
    [
        (0.1, 0.2, 0, 1, 1.767767, "passed"),
        (0.1, 0.205, 0, 1, 1.746076, "failed"),
        (0.001, 0.25, 0, 1, 15.811388, "passed"),
        (0.001, 0.2501, 0, 1, 15.808227, "failed"),
        (0.01, 0.01, 1, 1, 12.5, "passed"),
        (0.01, 0.01, 4, 1, 1.5625, "failed"),
        (0.01, 0.01, 0, 5, 5.0, "passed"),
    ],
)
def test_the_door_is_wealth_with_a_veto_of_the_unseen_days(search, unseen, rerun, candidates, wealth, status):
    """Further looks of a week halve it, and candidates that are looked at together share it."""
    grounds = SimpleNamespace(
        significance={"committee": PValue(search, 99)},
        candidates=(),
        opening=Opening(number=5, look="x", nth=5, candidates=candidates, rerun=rerun),
    )
    seen = Verdict("holdout", "holdout_mean", "passed", unseen, 0.5, 278, "so")
    case = Case(SimpleNamespace(origin="committee", id="a"), grounds, [seen])
    verdict = CombinedSignificance(at_least=1.748163).judge(case)
    assert (verdict.value, verdict.status) == (pytest.approx(wealth, abs=1e-6), status)
    assert ("vetoed" in verdict.reason) == (unseen > 0.25)


def test_without_an_edge_nothing_is_earned_here():
    assert [review.standing for review in luck().reviews] == ["fallen"]


def test_every_candidate_meets_every_gate_in_the_order_of_the_stages():
    found = edge()
    alone = Candidate(Committee.of([found.search.candidates[0].committee.genomes[0]]), "champion")
    reviews = run_gauntlet(again(found, candidates=[*found.search.candidates, alone]), PROFILE)
    orders = [[judgement.verdict.stage for judgement in review.judgements] for review in reviews]
    assert orders[0] == orders[1] == sorted(orders[0], key=STAGES.index)
    assert len(orders[0]) == len(PROFILE.gates)


def test_metrics_of_the_days_that_the_search_saw_are_of_sleeves_and_trades_are_everywhere():
    found = edge()
    case, committees = Case(found.search.candidates[0], found.grounds), [c.committee for c in found.search.candidates]
    for name, span in (("in_sample", found.splits.in_sample), ("out_of_sample", found.splits.out_of_sample)):
        measured = Evaluator(threads=1).evaluate_committees(
            committees, found.panel, Costs(), start=span.start, stop=span.stop
        )
        compared = ("sharpe", "trades") if name == "in_sample" else ("trades", "win_rate")
        assert [case.metrics(name)[key] for key in compared] == [measured.metrics[key][0] for key in compared]


def test_metrics_of_unseen_days_are_of_one_account_that_trades_all_of_them():
    found = edge()
    case, committee, costs = (
        Case(found.search.candidates[0], found.grounds),
        found.search.candidates[0].committee,
        Costs(),
    )
    seen, unseen, spans = found.splits.in_sample, found.splits.unseen, ("out_of_sample", "walk_forward")
    before = committee_run(committee, found.panel, costs, EQUITY_USD, start=seen.start, stop=seen.stop)
    run = committee_run(committee, found.panel, costs, EQUITY_USD, start=unseen.start, stop=unseen.stop, after=before)
    figures = asdict(account_figures(run))
    alike = (
        "total_return",
        "annual_return",
        "sharpe",
        "sharpe_sleeves",
        "tracking_error",
        "volatility",
        "max_drawdown",
    )
    assert {name: case.metrics("holdout")[name] for name in alike} == {name: figures[name] for name in alike}
    np.testing.assert_array_equal(case.daily_returns("holdout"), run.daily_returns)
    np.testing.assert_array_equal(np.concatenate([case.daily_returns(span) for span in spans]), run.daily_returns)
    grown = math.prod(1 + case.metrics(span)["total_return"] for span in spans)
    assert grown - 1 == pytest.approx(figures["total_return"], rel=1e-12)


def test_a_candidate_whose_account_is_too_small_to_trade_falls_with_a_sentence_and_the_search_is_not_touched():
    found = edge()
    (review,) = run_gauntlet(again(found, search_p=0.01, equity_usd=1.0), PROFILE)
    verdicts = {(j.verdict.stage, j.verdict.gate): j.verdict for j in review.judgements}
    fallen = verdicts["out_of_sample", "sharpe"]
    assert (review.standing, fallen.status) == ("fallen", "failed")
    assert fallen.reason == (
        "an account of 1 USD cannot trade it: all of its orders would be below 10 USD, or 1 % of its equity"
    )
    first = found.reviews[0].judgements[0].verdict
    assert verdicts["in_sample", "sharpe"] == first


def test_another_equity_is_another_look():
    found = edge()
    openings = [again(found, equity_usd=equity) for equity in (10_000.0, 20_000.0)]
    for grounds in openings:
        grounds.admit(grounds.candidates)
    assert openings[0].opening.look != openings[1].opening.look


def test_in_sample_verdicts_do_not_depend_on_what_came_later():
    found = edge()
    altered = without_tail(found.panel, found.splits.unseen.stop - found.splits.unseen.start)
    (changed,) = run_gauntlet(again(found, panel=altered), PROFILE)
    for before, after in zip(found.reviews[0].judgements, changed.judgements, strict=True):
        if before.verdict.stage in ("in_sample", "overfitting"):
            assert before.verdict == after.verdict


class Dear(Gate):
    """A gate that counts how often it is asked."""

    kind: ClassVar[str] = "dear"
    asked: ClassVar[list[str]] = []

    @property
    def stage(self) -> Stage:
        return "robustness"

    @property
    def threshold(self) -> float:
        return 0.0

    def judge(self, case: Case) -> Verdict:
        self.asked.append(case.candidate.id)
        return self.at_least_threshold(1.0, 1)


@pytest.mark.parametrize(("found", "every_gate", "times"), [(edge, False, 1), (luck, False, 0), (luck, True, 1)])
def test_dear_gates_are_asked_about_those_that_have_not_fallen_unless_every_gate_is_wanted(found, every_gate, times):
    # Of cheap gates, the deflated Sharpe ratio tells the two apart.
    cheap = [gate for gate in (*PROFILE.shadow, *PROFILE.paper) if gate.stage in ("in_sample", "overfitting")]
    profile = Profile("dear", tuple(cheap), (*cheap, Dear()))
    Dear.asked.clear()
    (review,) = run_gauntlet(again(found()), profile, every_gate=every_gate)
    assert len(Dear.asked) == times
    last = review.judgements[-1].verdict
    assert last.status == ("passed" if times else "not_run")
    assert times or last.reason.startswith("not looked at: it fell before")


def test_a_gate_that_informs_decides_nothing():
    (review,) = run_gauntlet(again(edge(), search_p=0.01), replace(PROFILE, information=(Dear(), *PROFILE.information)))
    assert review.standing == "paper"
    told = Profile("told", PROFILE.shadow, information=(*PROFILE.paper, *PROFILE.information))
    (review,) = run_gauntlet(again(edge()), told)
    assert statuses(review)["decision"] == "not_run"
    assert review.standing == "shadow"
    assert review.why == "unproven: profile told promotes nobody beyond the shadow pool"


def test_one_decision_whether_judged_at_once_or_in_parts():
    whole = run_gauntlet(again(edge(), search_p=0.01), PROFILE)
    first = run_gauntlet(again(edge()), PROFILE, stages=BACKTEST)
    assert first[0].open_goals == ("shadow", "paper")
    stored = read_judgements(verdicts_frame(first, PROFILE), PROFILE)
    assert anybody_left(stored, PROFILE)
    grounds = again(edge(), search_p=0.01)
    grounds.admit(grounds.candidates)
    parts = run_gauntlet(grounds, PROFILE, stages=DECISION, before=stored)
    assert verdicts_frame(parts, PROFILE).equals(verdicts_frame(whole, PROFILE), null_equal=True)
    assert [review.standing for review in parts] == ["paper"]


def test_verdicts_of_other_gates_are_refused():
    frame = verdicts_frame(edge().reviews, PROFILE)
    with pytest.raises(IntegrityError, match="judged by profile test"):
        read_judgements(frame, Profile.load("light"))


@pytest.mark.parametrize(
    ("changes", "gate", "words"),
    [
        ({"pretest": NotRun("needs 90 days, has 72")}, "pretest", "needs 90 days"),
        ({"find_significance": lambda: NotRun("incomplete: 7 of 19 copies")}, "decision", "7 of 19 copies"),
        ({"find_significance": lambda: {"champion 1": PValue(0.01, 99)}}, "decision", "have no committee"),
    ],
)
def test_what_did_not_run_says_why_and_never_passes(changes, gate, words):
    (review,) = run_gauntlet(again(edge(), **changes), of_full("pretest", "decision"))
    verdict = next(j.verdict for j in review.judgements if j.verdict.gate == gate)
    assert verdict.status == "not_run"
    assert words in verdict.reason
    assert review.standing == "shadow"


def test_clones_have_the_same_verdicts_whose_p_values_do_not_depend_on_how_many_they_are():
    found = edge()
    (candidate,) = found.search.candidates
    alone = run_gauntlet(again(found), PROFILE, every_gate=True)
    clones = run_gauntlet(again(found, candidates=[candidate] * 3), PROFILE, every_gate=True)
    assert [len(review.judgements) for review in clones] == 3 * [len(PROFILE.gates)]
    assert len({str([j.verdict for j in review.judgements]) for review in clones}) == 1
    paid = [
        next(j.verdict.value for j in r.judgements if j.verdict.gate == "holdout_mean") for r in (alone[0], clones[0])
    ]
    assert paid[1] == paid[0]


def test_champions_have_the_p_value_of_their_rank():
    found = edge()
    genomes = found.search.candidates[0].committee.genomes[:2]
    champions = [Candidate(Committee.of([genome]), "champion") for genome in genomes]
    known = {"committee": PValue(0.5, 99), "champion 1": PValue(0.01, 99), "champion 2": PValue(0.3, 99)}
    reviews = run_gauntlet(
        again(found, candidates=[*found.search.candidates, *champions], find_significance=lambda: known),
        of_full("search_luck"),
        every_gate=True,
    )
    values = [next(j.verdict.value for j in r.judgements if j.verdict.gate == "search_luck") for r in reviews]
    assert values == [0.5, 0.01, 0.3]


def test_returns_cover_the_scored_days_once():
    found = edge()
    frame = returns_frame(found.grounds)
    assert frame.group_by("candidate").len()["len"].to_list() == [
        (len(found.splits.in_sample) + len(found.splits.unseen)) // 24
    ]
    assert frame.select("candidate", "day").is_unique().all()


def test_no_candidates_give_an_empty_result_with_frames_of_the_same_shape():
    nobody = again(edge(), candidates=[])
    reviews = run_gauntlet(nobody, Profile.load("full"))
    assert reviews == []
    assert verdicts_frame(reviews, PROFILE).schema == edge().verdicts.schema
    assert summary_frame(reviews, metrics_frame(nobody)).schema == edge().summary.schema
    assert returns_frame(nobody).schema == returns_frame(edge().grounds).schema
    assert nobody.register.frame(edge().panel.market).is_empty()


@pytest.mark.parametrize("found", [edge, luck])
def test_the_summary_agrees_with_the_verdicts(found):
    verdicts, summary = found().verdicts, found().summary
    for row in summary.to_dicts():
        own = verdicts.filter(candidate=row["candidate"])
        shadow = own.filter(own["needed_for"].list.contains("shadow"))["status"].to_list()
        assert row["passed"] == (set(shadow) == {"passed"})
