"""A cycle deploys its survivors; again it deploys the same bytes; what others have done since it leaves alone."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from quant_organism.deployment.booking import append_rows, read_rows
from quant_organism.deployment.decisions import DeploymentDecision, Figure, book_decisions, decide
from quant_organism.deployment.deploy import Earned, dead_lately, deploy, judged_lately, pool_at
from quant_organism.deployment.effects import ACCOUNT, closed_seats
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.deployment.selection import nearest_of
from quant_organism.deployment.tables import DecisionActionTable, DecisionAnswerTable
from quant_organism.errors import IntegrityError
from quant_organism.evolution import Candidate, CandidateTable
from quant_organism.evolution.records import candidates_frame
from quant_organism.market import Interval, Lake
from quant_organism.market.tables import CycleIndexTable
from quant_organism.validation import VerdictTable
from quant_organism_tests.deployment.documents import (
    SOURCE,
    committee,
    document,
    enough,
    observation,
    provenance,
    records,
    rule_of,
)

FIRST = provenance(date="2025-05-30")
SECOND = provenance(date="2025-05-31")


@pytest.fixture
def repository(tmp_path):
    return StrategyRepository(tmp_path / "strategies")


def survivors(cycle, seeds, **changes):
    return [document(seed, provenance=cycle, at=cycle.date, **changes) for seed in seeds]


def returns_of(*groups):
    """Give each strategy returns of its own, which depend on nothing but its id."""
    return {
        config.id: np.random.default_rng(list(config.id.encode())).normal(0, 0.01, 200)
        for group in groups
        for config in group
    }


NIGHT = {**enough(rule_of("one look")), **enough(rule_of("night door"))}
"""Numbers of the strategy itself; those of the pool come from its returns."""

UNPROVEN = Earned(False, "unproven: fell short of paper at decision", NIGHT, SOURCE)
PROVEN = Earned(True, "passed every gate of profile full", NIGHT, SOURCE)


def run(repository, cycle, found, *, proven=(), **changes):
    pool = pool_at(repository, cycle, "1h", at=cycle.date)
    returns = returns_of(found, pool)
    earned = {config.id: PROVEN if config.id in proven else UNPROVEN for config in found}
    return deploy(repository, found, returns, cycle=cycle, interval="1h", at=cycle.date, earned=earned, **changes)


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.json"))}


def actions(result):
    return {decision.id: decision.action for decision in result.decisions}


def test_the_chosen_enter_shadow_with_their_evidence_and_the_others_wait_as_born(repository):
    found = survivors(FIRST, range(11))
    result = run(repository, FIRST, found)
    assert [config.stage for config in result.documents] == ["shadow"] * 10 + ["born"]
    assert list(repository.load_all().documents) == list(result.documents)
    assert len(result.deployed) == 10
    last = result.documents[0].history[-1]
    assert (last.at, last.rule) == ("2025-05-30T00:00:00Z", "one look")
    assert {record.kind: record.value for record in last.records}["unseen_p"] == NIGHT["unseen_p"]
    assert result.decisions[-1].action == "wait"
    assert result.decisions[-1].reason.startswith("in_shadow is 10, below 10 needed")


def test_the_proven_go_on_to_paper_and_the_others_are_marked_unproven(repository):
    found = survivors(FIRST, range(3))
    proven = found[2].id
    result = run(repository, FIRST, found, proven=[proven])
    stages = {config.id: config.stage for config in result.documents}
    assert stages == {found[0].id: "shadow", found[1].id: "shadow", proven: "paper"}
    born, watched, promoted = repository.load(proven).history
    assert (born.to_stage, watched.to_stage, promoted.to_stage) == ("born", "shadow", "paper")
    assert (promoted.reason, promoted.rule) == (PROVEN.why, "night door")
    assert "unproven: fell short of paper at decision" in repository.load(found[0].id).history[-1].reason
    before = snapshot(repository.root)
    assert run(repository, FIRST, found, proven=[proven]) == result
    assert snapshot(repository.root) == before


def test_what_a_repeated_cycle_finds_less_proven_goes_back(repository):
    found = survivors(FIRST, range(1))
    run(repository, FIRST, found, proven=[found[0].id])
    run(repository, FIRST, found)
    assert repository.load(found[0].id).stage == "shadow"


def test_nothing_survived_means_nothing_written(repository):
    result = run(repository, FIRST, [])
    assert result.decisions == result.documents == ()
    assert snapshot(repository.root) == {}


def test_the_same_cycle_again_gives_the_same_bytes_and_decisions(repository):
    found = survivors(FIRST, range(12))
    first = run(repository, FIRST, found)
    before = snapshot(repository.root)
    assert run(repository, FIRST, found) == first
    assert snapshot(repository.root) == before


def test_an_earlier_day_repeated_decides_as_it_did_then(repository):
    first = run(repository, FIRST, survivors(FIRST, range(8)))
    second = run(repository, SECOND, survivors(SECOND, range(20, 24)))
    assert [config.stage for config in second.documents] == ["shadow", "shadow", "born", "born"]
    before = snapshot(repository.root)
    assert run(repository, FIRST, survivors(FIRST, range(8))) == first
    assert run(repository, SECOND, survivors(SECOND, range(20, 24))) == second
    assert snapshot(repository.root) == before


def test_what_a_repeated_cycle_no_longer_finds_disappears(repository):
    run(repository, FIRST, survivors(FIRST, range(4)))
    again = run(repository, FIRST, survivors(FIRST, range(2)))
    assert len(again.documents) == 2
    assert repository.load_all().documents == again.documents


def test_documents_that_moved_on_are_kept_and_said_to_be(repository):
    found = survivors(FIRST, range(5))
    run(repository, FIRST, found)
    papered, observed, retired = (config.id for config in found[:3])
    repository.move(papered, "paper", at="2025-06-10", reason="two good weeks", records=records("day door"))
    repository.update_performance(observed, observation(9))
    repository.archive(retired, "lost money", at="2025-06-11")
    before = snapshot(repository.root)

    result = run(repository, FIRST, found)
    assert snapshot(repository.root) == before
    assert [actions(result)[id] for id in (papered, observed, retired)] == ["keep"] * 3
    assert {config.id for config in result.documents} == {config.id for config in found[3:]}

    nothing = run(repository, FIRST, [])
    assert {config.id for config in repository.load_all(archived=True).documents} == {papered, observed, retired}
    assert set(actions(nothing).values()) == {"keep"}


def test_a_strategy_found_again_by_a_later_cycle_stays_where_it_is(repository):
    run(repository, FIRST, survivors(FIRST, range(3)))
    before = snapshot(repository.root)
    result = run(repository, SECOND, survivors(SECOND, range(3)))
    assert set(actions(result).values()) == {"keep"}
    assert snapshot(repository.root) == before


def test_one_that_only_waited_gets_its_chance_in_the_cycle_that_finds_it_again(repository):
    run(repository, FIRST, survivors(FIRST, range(11)))
    waiting = document(0).id
    assert repository.load(waiting).stage == "born"
    repository.archive(document(10).id, "room for another", at="2025-05-30T12:00:00Z")
    run(repository, SECOND, survivors(SECOND, [0]))
    assert repository.load(waiting).stage == "shadow"
    assert repository.load(waiting).provenance == SECOND
    result = run(repository, FIRST, survivors(FIRST, range(11)))
    (kept,) = [decision for decision in result.decisions if decision.id == waiting]
    assert (kept.action, kept.reason[:32]) == ("keep", "in shadow since 2025-05-31T00:00")


def together(first, second, correlation):
    """Return the returns of two strategies that correlate just so."""
    rng = np.random.default_rng(0)
    x, y = np.linalg.qr(rng.normal(0, 1, (200, 2)) - rng.normal(0, 1, (200, 2)).mean(axis=0))[0].T
    x, y = x - x.mean(), y - y.mean()
    y -= x * (x @ y) / (x @ x)
    y *= np.linalg.norm(x) / np.linalg.norm(y)
    return {first: x, second: correlation * x + np.sqrt(1 - correlation**2) * y}


@pytest.mark.parametrize(("correlation", "stage"), [(0.69, "paper"), (0.8, "shadow"), (0.91, "born")])
def test_who_is_like_the_holder_of_a_seat_stands_by_in_shadow_and_who_is_the_same_bet_is_not_born(
    repository, correlation, stage
):
    """On the second night a committee that correlated by .94 with the first waited for ever."""
    holder, newcomer = document(0), document(1)
    earned = dict.fromkeys([holder.id, newcomer.id], PROVEN)
    returns = together(holder.id, newcomer.id, correlation)
    for cycle, config in ((FIRST, 0), (SECOND, 1)):
        found = survivors(cycle, [config])
        deploy(repository, found, returns, cycle=cycle, interval="1h", at=cycle.date, earned=earned)
    assert repository.load(holder.id).stage == "paper"
    assert repository.load(newcomer.id).stage == stage


@pytest.mark.parametrize("kind", ["pretest_p", "gates", "unseen_p"])
def test_nobody_is_watched_without_the_evidence_of_its_birth(repository, kind):
    (config,) = survivors(FIRST, [0])
    numbers = {name: value for name, value in NIGHT.items() if name != kind}
    earned = {config.id: Earned(True, "passed", numbers, SOURCE)}
    result = deploy(
        repository, [config], returns_of([config]), cycle=FIRST, interval="1h", at=FIRST.date, earned=earned
    )
    assert (result.decisions[0].action, repository.load(config.id).stage) == ("wait", "born")
    assert f"{kind} is not known" in result.decisions[0].reason


def test_the_retired_do_not_come_back(repository):
    found = survivors(FIRST, [0])
    run(repository, FIRST, found)
    repository.archive(found[0].id, "lost money", at="2025-05-30T12:00:00Z")
    result = run(repository, SECOND, survivors(SECOND, [0]))
    (decision,) = result.decisions
    assert decision.action == "keep"
    assert "retired at 2025-05-30T12:00:00Z (lost money)" in decision.reason
    assert repository.load_all().documents == ()


def test_who_died_lately_beyond_shadow_is_remembered_for_292_days(repository):
    """A near copy of it is not credited for days on which the dead edge still lived."""
    found = survivors(FIRST, range(2))
    run(repository, FIRST, found, proven=[found[0].id])
    for config in found:
        repository.archive(config.id, "lost money", at="2025-06-01")
    within = [dead.id for dead in dead_lately(repository, SECOND, "1h", at="2026-03-20")]
    assert within == [found[0].id]
    assert dead_lately(repository, SECOND, "1h", at="2026-03-21") == []
    assert dead_lately(repository, SECOND, "1h", at="2025-05-31") == []
    assert dead_lately(repository, SECOND, "4h", at="2025-06-02") == []
    returns = together("new", "dead", 0.6)
    assert nearest_of("new", ["dead"], returns) == pytest.approx(0.6)
    assert nearest_of("new", [], returns) == -1.0


def test_markets_and_intervals_have_pools_of_their_own(repository):
    run(repository, FIRST, survivors(FIRST, range(2)))
    elsewhere = provenance(market="files-hl_perp_1h", date="2025-05-31")
    result = run(repository, elsewhere, survivors(elsewhere, range(5, 7)))
    assert len(result.deployed) == 2
    assert pool_at(repository, SECOND, "4h", at="2025-06-01") == []
    assert len(pool_at(repository, SECOND, "1h", at="2025-06-01")) == 2
    assert pool_at(repository, SECOND, "1h", at="2025-05-29") == []


def test_an_unreadable_document_stops_the_step_before_it_writes(repository):
    run(repository, FIRST, survivors(FIRST, range(2)))
    path = next((repository.root / "active").glob("*.json"))
    path.write_bytes(b"{")
    before = snapshot(repository.root)
    with pytest.raises(IntegrityError, match="1 unreadable document") as caught:
        deploy(repository, survivors(SECOND, [5]), {}, cycle=SECOND, interval="1h", at=SECOND.date, earned={})
    assert path.name in caught.value.what
    assert snapshot(repository.root) == before


def test_who_failed_its_look_is_remembered_for_ninety_days_and_near_copies_of_it_are_not_born(repository, tmp_path):
    found = survivors(SECOND, range(2))
    copied, own = found
    returns = returns_of(found)
    returns["judged"] = returns[copied.id] + np.random.default_rng(9).normal(0, 0.001, 200)
    earned = {config.id: UNPROVEN for config in found}
    result = deploy(
        repository, found, returns, cycle=SECOND, interval="1h", at=SECOND.date, earned=earned, judged={"judged"}
    )
    assert {config.id: config.stage for config in result.documents} == {copied.id: "born", own.id: "shadow"}
    assert any("near_judged is 0.99" in decision.reason for decision in result.decisions)

    lake, failed, passed = Lake(tmp_path / "lake"), committee(1, 3), committee(1, 4)
    day = date(2025, 3, 1)
    made = candidates_frame([Candidate(one, "elite") for one in (failed, passed)])
    where = {"market": "world-demo-0a1b2c", "interval": "1h"}
    lake.table(CandidateTable, cycle="c").write(made, **where, day=day)
    verdicts = [
        (one.id, "elite", "light", "h", "holdout", "holdout_mean", ["shadow"], status, p, 0.5, 100, "said")
        for one, p, status in ((failed, 0.51, "failed"), (passed, 0.5, "passed"))
    ]
    lake.table(VerdictTable, cycle="c").write(VerdictTable.frame(verdicts), **where, day=day)
    lake.table(CycleIndexTable).write(CycleIndexTable.frame([("c", "p", 7, True)]), **where, day=day)
    for days, ids in ((0, set()), (1, {failed.id}), (90, {failed.id}), (91, set())):
        lately = judged_lately(lake, "world-demo-0a1b2c", "1h", day + timedelta(days=days))
        assert set(lately) == ids


def pool_decision(day: date, **figures: float) -> DeploymentDecision:
    return decide("pool_size", ACCOUNT, {name: Figure(value) for name, value in figures.items()}, day)


def test_the_decided_size_of_the_pool_keeps_the_next_cycle_from_seating_more(repository, tmp_path):
    lake, hour, today = Lake(tmp_path / "lake"), Interval.parse("1h"), date(2025, 5, 30)
    small = pool_decision(today - timedelta(days=1), seats=10.0, profile=5.0, capital=2.9, candidates=9.0)
    book_decisions(lake, [small], small.day, market="made", interval=hour)
    found = survivors(FIRST, range(4))
    closed = closed_seats(lake, today, market="made", interval=hour, by="deployment of cycle a")
    result = run(repository, FIRST, found, proven={config.id for config in found}, closed_seats=closed)
    assert [config.stage for config in result.documents] == ["paper", "paper", "shadow", "shadow"]
    seated = {record.kind: record for record in result.documents[1].history[-1].records}["seated"]
    assert (seated.value, seated.bound) == (1 + closed, 10)  # one sits, eight seats are closed
    done = read_rows(lake, DecisionActionTable, market="made", interval="1h")
    assert done.select("id", "by", "type", "decided", "what").rows() == [
        (small.id, "deployment of cycle a", "pool_size", small.day, "2 seats at most")
    ]
    assert closed_seats(lake, today, market="made", interval=hour, by="deployment of cycle a") == 8
    assert read_rows(lake, DecisionActionTable, market="made", interval="1h").height == 1


@pytest.mark.parametrize(
    ("age", "answer", "figures", "seats"),
    [
        (1, "", {"seats": 10.0, "profile": 3.0}, 3),
        (3, "", {"seats": 10.0, "profile": 3.0}, 3),
        (4, "", {"seats": 10.0, "profile": 3.0}, 10),  # stale
        (0, "", {"seats": 10.0, "profile": 3.0}, 10),  # not known yet
        (1, "reject", {"seats": 10.0, "profile": 3.0}, 10),
        (1, "", {"seats": 10.0, "profile": 3.0, "diversity": 1.0, "candidates": 2.0}, 2),  # a newcomer adds itself
        (1, "", {"seats": 10.0, "profile": 3.0, "diversity": 3.0}, 3),
        (1, "", {"seats": 10.0, "candidates": 0.0}, 1),
    ],
)
def test_a_decision_on_the_pools_size_acts_while_it_is_new(tmp_path, age, answer, figures, seats):
    lake, hour, today = Lake(tmp_path / "lake"), Interval.parse("1h"), date(2025, 5, 30)
    decision = pool_decision(today - timedelta(days=age), **figures)
    book_decisions(lake, [decision], decision.day, market="made", interval=hour)
    if answer:
        given = {"id": decision.id, "answer": answer, "reason": "", "at": "", "outcome": ""}
        append_rows(lake, DecisionAnswerTable, [given], decision.day, market="made", interval="1h")
    assert closed_seats(lake, today, market="made", interval=hour, by="me") == 10 - seats
    assert read_rows(lake, DecisionActionTable, market="made", interval="1h").height == (seats != 10)
