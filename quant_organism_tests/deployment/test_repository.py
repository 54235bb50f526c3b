"""The folder of documents: what is saved is found again, in order, and what is wrong is told and left alone."""

import itertools
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from quant_organism.deployment import repository as repositories
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.errors import BusyError, InputError
from quant_organism_tests.deployment.documents import document, observation, records


@pytest.fixture
def repository(tmp_path):
    return StrategyRepository(tmp_path / "strategies")


def ids(loaded):
    return [config.id for config in loaded.documents]


def test_documents_come_back_best_first_and_ties_by_id(repository):
    documents = [document(seed, fitness=fitness) for seed, fitness in enumerate([0.5, 2.0, -1.0, 2.0])]
    repository.save_many(documents)
    loaded = repository.load_all()
    assert loaded.problems == ()
    assert list(loaded.documents) == sorted(documents, key=lambda d: (-d.fitness, d.id))
    assert all(repository.load(config.id) == config for config in documents)


def test_a_folder_that_does_not_exist_yet_is_an_empty_one(repository):
    assert repository.load_all(archived=True).documents == ()
    assert repository.summary().fitness_quartiles is None
    assert not repository.root.exists()


def test_equal_documents_make_equal_bytes_in_any_order(tmp_path):
    documents = [document(seed) for seed in range(5)]
    for name, order in (("a", documents), ("b", documents[::-1])):
        StrategyRepository(tmp_path / name).save_many(order)
    for left, right in itertools.product(*(sorted((tmp_path / name / "active").iterdir()) for name in "ab")):
        assert (left.read_bytes() == right.read_bytes()) == (left.name == right.name)


def test_queries_by_stage_fitness_activity_and_number(repository):
    repository.save_many([document(seed, fitness=seed / 10) for seed in range(6)])
    by_fitness = ids(repository.load_all())
    best, second, third = by_fitness[:3]
    repository.move(best, "shadow", at="2025-06-10", reason="chosen", records=records("one look"))
    repository.update_performance(second, observation(20))
    repository.archive(third, "lost money", at="2025-06-05")

    assert ids(repository.load_all(stage="shadow")) == [best]
    assert ids(repository.load_all(min_fitness=0.35)) == [best, second]
    assert ids(repository.load_all(limit=2)) == [best, second]
    assert ids(repository.load_all(active_since="2025-06-01")) == [best, second]
    assert ids(repository.load_all(active_since="2025-06-15")) == [second]
    assert ids(repository.load_all(stage="retired")) == [third]
    assert ids(repository.load_all(archived=True)) == by_fitness
    assert third not in ids(repository.load_all())


def test_bounds_of_queries_belong_to_what_they_find(repository):
    config = document(fitness=0.5)
    repository.save(config)
    repository.update_performance(config.id, observation(20))
    assert ids(repository.load_all(min_fitness=0.5)) == [config.id]
    assert ids(repository.load_all(min_fitness=0.5000001)) == []
    assert ids(repository.load_all(active_since="2025-06-20")) == [config.id]
    assert ids(repository.load_all(active_since="2025-06-20T00:00:01Z")) == []


def test_the_archived_move_to_their_folder_with_the_reason_and_stay_there(repository):
    config = document()
    repository.save(config)
    retired = repository.archive(config.id, "lost money", at="2025-06-05")
    assert [path.parent.name for path in repository.root.rglob("*.json")] == ["archive"]
    assert repository.load(config.id) == retired
    assert (retired.history[-1].to_stage, retired.history[-1].reason) == ("retired", "lost money")
    for attempt in (
        lambda: repository.save(config),
        lambda: repository.update_performance(config.id, observation(9)),
        lambda: repository.move(config.id, "shadow", at="2025-06-09", reason="r", records=records("one look")),
        lambda: repository.archive(config.id, "again", at="2025-06-09"),
    ):
        with pytest.raises(InputError, match="retired"):
            attempt()


def test_a_refused_move_leaves_the_document_as_it_was(repository):
    config = document()
    path = repository.save(config)
    before = path.read_bytes()
    with pytest.raises(InputError, match="from born to live"):
        repository.move(config.id, "live", at="2025-06-05", reason="greed", records=[])
    with pytest.raises(InputError, match="no reason"):
        repository.archive(config.id, "", at="2025-06-05")
    assert path.read_bytes() == before


def test_only_what_was_never_watched_can_be_discarded(repository):
    configs = [document(seed) for seed in range(3)]
    repository.save_many(configs)
    repository.update_performance(configs[1].id, observation(1))
    with pytest.raises(InputError, match="not discarded"):
        repository.discard([configs[0].id, configs[1].id])
    assert len(repository.load_all().documents) == 3
    repository.discard([configs[0].id, configs[2].id])
    assert ids(repository.load_all()) == [configs[1].id]


@pytest.mark.parametrize(
    "id", ["../../etc/passwd", "a/b_0_00000000", "", "rsi_filter_0_0000000G", ".hidden_0_00000000"]
)
def test_an_id_is_never_a_way_out_of_the_folder(repository, id):
    with pytest.raises(InputError, match="not a strategy's id"):
        repository.load(id)


def test_an_unknown_id_says_how_to_see_the_known_ones(repository):
    with pytest.raises(InputError, match="there is no strategy rsi_filter_0_00000000") as caught:
        repository.load("rsi_filter_0_00000000")
    assert "quant-organism strategies list" in caught.value.remedy


def test_the_summary_counts_stages_and_families_and_describes_fitness(repository):
    configs = [document(seed, fitness=float(seed)) for seed in range(5)]
    repository.save_many([*configs, document(9, members=30, fitness=2.0)])
    repository.move(configs[4].id, "shadow", at="2025-06-10", reason="chosen", records=records("one look"))
    repository.archive(configs[0].id, "dull", at="2025-06-10")
    summary = repository.summary()
    assert {stage: count for stage, count in summary.stages.items() if count} == {"born": 4, "shadow": 1, "retired": 1}
    assert summary.fitness_quartiles == (1.0, 2.0, 2.0, 3.0, 4.0)
    alive = repository.load_all().documents
    assert summary.families == {
        family: sum(family in config.families for config in alive)
        for family in sorted({family for config in alive for family in config.families})
    }


def test_after_a_crash_between_archiving_and_removal_the_archived_document_counts(repository):
    config = document()
    path = repository.save(config)
    alive = path.read_bytes()
    retired = repository.archive(config.id, "lost money", at="2025-06-05")
    path.write_bytes(alive)
    assert repository.load(config.id) == retired
    assert repository.load_all().documents == ()
    repository.save(document(1))
    assert not path.exists()
    assert repository.load(config.id) == retired


def test_where_the_archived_copy_is_unreadable_the_active_one_is_not_cleared_away(repository):
    config = document()
    path = repository.save(config)
    alive = path.read_bytes()
    repository.archive(config.id, "lost money", at="2025-06-05")
    path.write_bytes(alive)
    archived = repository.root / "archive" / path.name
    archived.write_bytes(archived.read_bytes()[:900])
    torn = archived.read_bytes()
    repository.save(document(1))
    assert path.read_bytes() == alive
    assert archived.read_bytes() == torn


WRITER = """
import sys
from pathlib import Path
from quant_organism.deployment.repository import StrategyRepository
from quant_organism_tests.deployment.documents import observation

repository, id = StrategyRepository(Path(sys.argv[1])), sys.argv[2]
for _ in range(15):
    with repository.writing():
        known = repository.load(id)
        seen = len(known.performance) + (known.earlier_performance.records if known.earlier_performance else 0)
        repository.update_performance(id, observation(seen + 1))
"""


def test_two_processes_that_write_at_once_lose_no_update(repository):
    config = document()
    repository.save(config)
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(repository.root), config.id]) for _ in range(2)]
    assert [writer.wait() for writer in writers] == [0, 0]
    after = repository.load(config.id)
    assert len(after.performance) + after.earlier_performance.records == 30


def test_writers_wait_half_a_minute_unless_told_otherwise(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(repositories, "FileLock", lambda path, timeout: asked.append((path, timeout)))
    StrategyRepository(tmp_path)
    StrategyRepository(tmp_path, patience_s=1.5)
    assert asked == [(tmp_path / ".lock", 30.0), (tmp_path / ".lock", 1.5)]


def test_a_move_may_be_dated_now_but_no_second_later(tmp_path):
    repository = StrategyRepository(tmp_path / "strategies", now=lambda: datetime(2025, 6, 1, tzinfo=UTC))
    config = document()
    repository.save(config)
    chosen = {"reason": "chosen", "records": records("one look")}
    with pytest.raises(InputError, match="in the future"):
        repository.move(config.id, "shadow", at="2025-06-01T00:00:01Z", **chosen)
    assert repository.move(config.id, "shadow", at="2025-06-01", **chosen).history[-1].at == "2025-06-01T00:00:00Z"


def test_a_writer_that_waited_too_long_says_so(repository):
    impatient = StrategyRepository(repository.root, patience_s=0.05)
    with repository.writing(), pytest.raises(BusyError, match="another process"):
        impatient.save(document())


def test_where_orders_are_sent_a_strategy_stays_by_the_repository_s_clock(tmp_path):
    """Whoever dates a move back does not shorten the stay: a week on testnet is a week of the clock."""
    moment = [datetime(2025, 6, 1, tzinfo=UTC)]
    repository = StrategyRepository(tmp_path / "strategies", now=lambda: moment[0])
    config = document()
    repository.save(config)
    repository.move(config.id, "shadow", at="2025-05-31", reason="r", records=records("one look"))
    repository.move(config.id, "paper", at="2025-05-31", reason="r", records=records("night door"))
    week = {"reason": "r", "records": records("paper by trades")}
    with pytest.raises(InputError, match="the clock says 1"):
        repository.move(config.id, "testnet", at="2025-06-20", **week)
    with pytest.raises(InputError, match="in the future"):
        repository.move(config.id, "decaying", at="2025-06-20", reason="r", records=records("drawdown"))
    moment[0] += timedelta(days=7)
    moved = repository.move(config.id, "testnet", at="2025-06-07", **week)
    assert moved.history[-1].at == "2025-06-08T00:00:00Z"
    canary = {"reason": "r", "records": records("canary"), "by": "person"}
    with pytest.raises(InputError, match="the clock says 0"):
        repository.move(config.id, "canary", **canary)
    moment[0] += timedelta(days=7)
    with pytest.raises(InputError, match="for a person"):
        repository.move(config.id, "canary", reason="r", records=records("canary"))
    assert repository.move(config.id, "canary", **canary).stage == "canary"
