"""A cycle deploys its survivors; again it deploys the same bytes; what others have done since it leaves alone."""

from pathlib import Path

import numpy as np
import pytest

from quant_organism.deployment.deploy import Earned, deploy, pool_at
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.errors import IntegrityError
from quant_organism_tests.deployment.documents import document, observation, provenance

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


UNPROVEN = Earned(False, "unproven: fell short of paper at decision", "p = 0.04 on unseen days")
PROVEN = Earned(True, "passed every gate of profile full", "p = 0.003 on search and unseen days")


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
    found = survivors(FIRST, range(4))
    result = run(repository, FIRST, found, limit=3)
    assert [config.stage for config in result.documents] == ["shadow"] * 3 + ["born"]
    assert list(repository.load_all().documents) == list(result.documents)
    assert len(result.deployed) == 3
    best = result.documents[0]
    assert best.history[-1].at == "2025-05-30T00:00:00Z"
    assert best.history[-1].evidence == result.decisions[0].reason
    assert result.decisions[-1].reason == "pool full: 3 of 3"


def test_the_proven_go_on_to_paper_and_the_others_are_marked_unproven(repository):
    found = survivors(FIRST, range(3))
    proven = found[2].id
    result = run(repository, FIRST, found, proven=[proven])
    stages = {config.id: config.stage for config in result.documents}
    assert stages == {found[0].id: "shadow", found[1].id: "shadow", proven: "paper"}
    born, watched, promoted = repository.load(proven).history
    assert (born.to_stage, watched.to_stage, promoted.to_stage) == ("born", "shadow", "paper")
    assert (promoted.reason, promoted.evidence) == (PROVEN.why, PROVEN.evidence)
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
    found = survivors(FIRST, range(5))
    first = run(repository, FIRST, found, limit=3)
    before = snapshot(repository.root)
    assert run(repository, FIRST, found, limit=3) == first
    assert snapshot(repository.root) == before


def test_an_earlier_day_repeated_decides_as_it_did_then(repository):
    first = run(repository, FIRST, survivors(FIRST, range(4)), limit=6)
    second = run(repository, SECOND, survivors(SECOND, range(10, 14)), limit=6)
    assert [config.stage for config in second.documents] == ["shadow", "shadow", "born", "born"]
    before = snapshot(repository.root)
    assert run(repository, FIRST, survivors(FIRST, range(4)), limit=6) == first
    assert run(repository, SECOND, survivors(SECOND, range(10, 14)), limit=6) == second
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
    repository.move(papered, "paper", at="2025-06-10", reason="two good weeks", evidence="Sharpe 1.4")
    repository.update_performance(observed, observation(9))
    repository.archive(retired, "lost money", at="2025-06-11", evidence="Sharpe -2")
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
    run(repository, FIRST, survivors(FIRST, range(2)), limit=1)
    waiting = document(0).id
    assert repository.load(waiting).stage == "born"
    run(repository, SECOND, survivors(SECOND, [0]), limit=2)
    assert repository.load(waiting).stage == "shadow"
    assert repository.load(waiting).provenance == SECOND
    result = run(repository, FIRST, survivors(FIRST, range(2)), limit=1)
    (kept,) = [decision for decision in result.decisions if decision.id == waiting]
    assert (kept.action, kept.reason[:32]) == ("keep", "in shadow since 2025-05-31T00:00")


def test_the_retired_do_not_come_back(repository):
    found = survivors(FIRST, [0])
    run(repository, FIRST, found)
    repository.archive(found[0].id, "lost money", at="2025-05-30T12:00:00Z", evidence="Sharpe -2")
    result = run(repository, SECOND, survivors(SECOND, [0]))
    (decision,) = result.decisions
    assert decision.action == "keep"
    assert "retired at 2025-05-30T12:00:00Z (lost money)" in decision.reason
    assert repository.load_all().documents == ()


def test_markets_and_intervals_have_pools_of_their_own(repository):
    run(repository, FIRST, survivors(FIRST, range(2)), limit=2)
    elsewhere = provenance(market="files-hl_perp_1h", date="2025-05-31")
    result = run(repository, elsewhere, survivors(elsewhere, range(5, 7)), limit=2)
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
