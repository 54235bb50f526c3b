"""Where the search saw all days, gates on unseen days are not applicable: neither missing nor passed."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.deployment.records import StageEvidence
from quant_organism.errors import InputError
from quant_organism.evolution.cycle import EvolutionResult, evolve
from quant_organism.market.lines import splits_of
from quant_organism.market.panel import Panel
from quant_organism.validation.case import Case, Grounds
from quant_organism.validation.gates.overfitting import HaircutSharpe
from quant_organism.validation.gates.replay import SecondOpinionOnBooks
from quant_organism.validation.gauntlet import Review, run_gauntlet
from quant_organism.validation.profile import Profile
from quant_organism.validation.records import metrics_frame, read_judgements, returns_frame, verdicts_frame
from quant_organism.validation.replay import Replay
from quant_organism.validation.replay_evidence import replay_of
from quant_organism.validation.verdict import UNSEEN, Verdict
from quant_organism_tests.chain import PROFILE, SPEC, edge, grounds_of
from quant_organism_tests.kept import kept
from quant_organism_tests.panels import trending_panel

SHORT = PROFILE.without_unseen


@cache
def searched() -> tuple[Panel, EvolutionResult]:
    """Return a market with an edge that is hard to miss, and the search of all of its days."""
    panel = trending_panel(days=240, drift=0.0015)
    return panel, kept(f"chain-{panel.hash}-{SPEC.hash}", lambda: evolve(panel, SPEC, Costs(), Evaluator(), seed=0))


def fresh() -> Grounds:
    panel, found = searched()
    splits = splits_of("short", panel.n_bars, panel.interval)
    return grounds_of(found.candidates, panel, splits, trials=found.search.trials, search_p=0.01)


@cache
def reviewed() -> tuple[Grounds, Review]:
    grounds = fresh()
    (review,) = run_gauntlet(grounds, SHORT)
    return grounds, review


def test_gates_on_unseen_days_and_the_decision_are_not_applicable_and_nothing_is_opened():
    grounds, review = reviewed()
    told = {(j.verdict.stage, j.verdict.gate): j.verdict for j in review.judgements}
    unseen = {place for place in told if place[0] in UNSEEN}
    assert len(unseen) == 5
    assert {told[place].status for place in unseen} == {"not_applicable"}
    assert told["significance", "decision"].status == "not_applicable"
    assert all(np.isnan(told[place].value) for place in unseen)
    assert told["in_sample", "sharpe"].status == told["overfitting", "deflated_sharpe"].status == "passed"
    assert grounds.register.frame("arrays").is_empty()
    with pytest.raises(InputError, match="no unseen days to open"):
        _ = grounds.opening


def test_who_passes_all_that_applies_gets_into_shadow_and_never_to_paper_the_same_night():
    _, review = reviewed()
    assert (review.standing, review.stopped("shadow"), review.stopped("paper")) == ("shadow", None, None)
    assert review.why == "unproven: there are no unseen days, so that only days to come can open paper"
    everything = replace(review, profile=replace(SHORT, paper=()))
    assert everything.standing == "shadow"


def test_an_account_that_cannot_trade_it_falls_in_sample():
    grounds = replace(fresh(), equity_usd=1.0)
    (review,) = run_gauntlet(grounds, SHORT)
    assert review.standing == "fallen"
    assert review.why.startswith("fell at sharpe (in sample): an account of 1 USD cannot trade it")


def test_a_profile_none_of_whose_gates_applies_lets_nobody_in():
    _, review = reviewed()
    judged = tuple(j for j in review.judgements if j.verdict.status == "not_applicable" and "shadow" in j.goals)
    blind = replace(PROFILE, shadow=tuple(gate for gate in PROFILE.shadow if gate.stage in UNSEEN))
    assert len(judged) == len(blind.shadow) == 3
    assert replace(review, judgements=judged, profile=blind).standing == "fallen"


def test_filters_against_overfitting_stand_before_the_shadow_pool_where_no_look_follows():
    full = Profile.load("full")
    hard = {gate for gate in full.paper if gate.stage in ("in_sample", "overfitting")}
    assert {gate.kind for gate in hard} == {"backtest", "deflated_sharpe", "backtest_overfitting"}
    assert hard <= set(full.without_unseen.shadow)
    assert set(full.without_unseen.shadow) - set(full.shadow) == hard - set(full.shadow)
    assert (full.without_unseen.paper, full.without_unseen.information) == (full.paper, full.information)
    demanding = replace(PROFILE, paper=(*PROFILE.paper, HaircutSharpe(at_least=1_000.0)))
    (review,) = run_gauntlet(fresh(), demanding.without_unseen)
    assert review.standing == "fallen"
    assert review.why.startswith("fell at haircut sharpe (overfitting)")


def test_verdicts_are_stored_and_read_back():
    _, review = reviewed()
    frame = verdicts_frame([review], SHORT)
    assert frame.filter(status="not_applicable").height == 6
    (judged,) = read_judgements(frame, SHORT).values()
    assert [j.verdict.status for j in judged] == [j.verdict.status for j in review.judgements]


def test_scores_returns_and_replays_are_of_the_in_sample_account():
    grounds, review = reviewed()
    (row,) = metrics_frame(grounds).to_dicts()
    case = Case(review.candidate, grounds)
    run = grounds.account_before(review.candidate)
    daily = run.daily_returns
    assert case.account() is run
    assert row["score"] == pytest.approx(daily.mean() / daily.std(ddof=1) * np.sqrt(365), rel=1e-6)
    assert '"holdout"' not in row["metrics"]
    assert returns_frame(grounds).height == grounds.panel.n_bars // 24
    found = replay_of(case, "minimal")
    assert isinstance(found, Replay)
    assert found.is_equal
    assert found.periods[-1].stop == grounds.panel.n_bars
    assert SecondOpinionOnBooks().judge(case).status == "passed"


def test_a_stage_without_anything_to_look_at_is_told_so_in_a_document():
    beside = Verdict("holdout", "luck", "not_applicable", float("nan"), 0.05, 0, "none")
    passed = Verdict("holdout", "account", "passed", 1.0, 1.0, 1, "traded")
    failed = Verdict("holdout", "mean", "failed", 1.0, 0.5, 1, "too little")
    assert StageEvidence.of([beside, beside], {}).status == "not_applicable"
    assert StageEvidence.of([beside, beside], {}).reason == "none"
    assert StageEvidence.of([beside, passed], {}).status == "passed"
    assert StageEvidence.of([beside, passed, failed], {}).status == "failed"


def test_offers_and_looks_of_a_week_pay_for_one_another_and_the_same_offer_is_one():
    grounds = fresh()
    register, panel = grounds.register, grounds.panel
    first = register.offer(panel, ["b", "a"], reason="a test")
    assert (first.number, first.nth, first.candidates, first.rerun) == (1, 0, 2, 0)
    assert register.offer(panel, ["a", "b"], reason="again") == first
    assert register.offer(panel, ["c"], reason="another").rerun == 1
    seen = edge().grounds
    look = register.open(panel, seen.splits.unseen, ["d"], measured_with="x", reason="a test")
    assert (look.number, look.nth, look.rerun) == (3, 1, 2)
    assert register.frame(panel.market)["event"].to_list() == ["offered", "offered", "opened"]
    assert register.opening_of(panel.market, panel.hash, "a") == first
    with pytest.raises(InputError, match="never opened"):
        register.check_opened(panel.market, panel.hash, "a")
