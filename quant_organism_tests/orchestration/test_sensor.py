"""The re-evolution sensor, on a real instance, a real lake and real documents."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import orjson
import pytest

from quant_organism.deployment.repository import StrategyRepository
from quant_organism.market.lake import Lake
from quant_organism.orchestration.home import COMMAND_TAG
from quant_organism.orchestration.jobs import jobs_of
from quant_organism.orchestration.partitions import range_tags
from quant_organism.orchestration.run_lock import run_lock
from quant_organism.orchestration.sensors import re_evolution_of
from quant_organism_tests.deployment.documents import account_at_birth, document, provenance, records
from quant_organism_tests.orchestration.conftest import copied
from quant_organism_tests.tiny import EARLIER, LAST, Workshop


def evaluate(workshop: Workshop, cursor: str | None = None) -> dg.SensorResult:
    with dg.build_sensor_context(
        instance=workshop.instance, cursor=cursor, resources=workshop.definitions.resources
    ) as context:
        result = re_evolution_of(jobs_of(()), dg.DefaultSensorStatus.RUNNING)(context)
    assert isinstance(result, dg.SensorResult)
    return result


def reason(result: dg.SensorResult) -> str:
    assert not result.run_requests
    assert isinstance(result.skip_reason, dg.SkipReason)
    return str(result.skip_reason.skip_message)


@pytest.fixture
def deployed(finished: Workshop, tmp_path: Path) -> Iterator[Workshop]:
    """Return a copy of a data folder in which a cycle has deployed strategies, and there are no data after it."""
    with copied(finished.settings.data_dir, tmp_path) as workshop:
        yield workshop


def decayed(workshop: Workshop, at: str = "2024-05-04", *, id: str = "") -> str:
    """Move a strategy, the best if none is named, to decaying, by records made for it; return which."""
    repository = StrategyRepository(workshop.settings.data_dir / "strategies")
    fallen = repository.load(id) if id else repository.load_all().documents[0]
    for rule in ("one look", "night door") if fallen.stage == "born" else ("recovered", "day door"):
        to = "paper" if rule.endswith("door") else "shadow"
        repository.move(fallen.id, to, at=at, reason="a test's", records=records(rule))
    repository.move(fallen.id, "decaying", at=at, reason="a test's", records=records("shortfall"))
    return fallen.id


def test_before_any_cycle_it_waits_for_a_person(workshop: Workshop) -> None:
    assert "0 cycles so far" in reason(evaluate(workshop))


def test_nothing_new_is_skipped_with_the_numbers(evolved: Workshop) -> None:
    told = reason(evaluate(evolved))
    assert f"newest data {EARLIER}, last cycle {EARLIER}" in told
    assert f"its week had its cycle on {EARLIER}; 0 strategies decay" in told


def test_newer_data_of_a_week_that_had_its_cycle_ask_for_none(evolved: Workshop) -> None:
    """Before, every night opened the unseen days once more, and promotion became impossible within a week."""
    evolved.ingest(EARLIER, EARLIER + timedelta(days=6))
    assert f"its week had its cycle on {EARLIER}" in reason(evaluate(evolved))
    evolved.ingest(EARLIER, EARLIER + timedelta(days=7))
    (request,) = evaluate(evolved).run_requests or ()
    assert request.partition_key == (EARLIER + timedelta(days=7)).isoformat()


def test_newer_data_ask_for_a_cycle_of_the_newest_day_once(evolved: Workshop) -> None:
    evolved.ingest(EARLIER + timedelta(days=1))
    first = evaluate(evolved)
    (request,) = first.run_requests or ()
    assert request.partition_key == LAST.isoformat()
    assert str(LAST) in str(request.run_key)
    second = evaluate(evolved, first.cursor)
    assert f"newest data {LAST}, last cycle {EARLIER}, asked for {LAST}" in reason(second)


def test_what_newer_data_ask_for_settles_the_matter(evolved: Workshop) -> None:
    evolved.ingest(EARLIER + timedelta(days=1))
    asked = evaluate(evolved)
    (request,) = asked.run_requests or ()
    assert evolved.materialize("market_panel", day=date.fromisoformat(str(request.partition_key))).success
    assert f"newest data {LAST}, last cycle {LAST}" in reason(evaluate(evolved, None))


def test_a_strategy_that_begins_to_decay_asks_for_another_search_once(deployed: Workshop) -> None:
    id = decayed(deployed)
    first = evaluate(deployed)
    (request,) = first.run_requests or ()
    assert request.partition_key == LAST.isoformat()
    assert id in str(request.run_key)
    assert request.run_config["resources"]["search"]["config"]["seed"] != deployed.settings.seed
    assert request.run_config["resources"]["search"]["config"]["profile"] == deployed.settings.profile
    assert "1 strategies decay, and were answered already" in reason(evaluate(deployed, first.cursor))


def test_what_a_fall_asks_for_feeds_the_archive_and_bears_nobody(deployed: Workshop) -> None:
    decayed(deployed)
    (request,) = evaluate(deployed).run_requests or ()
    assert request.job_name == "in_sample_evolution"
    lake = Lake(deployed.settings.data_dir / "lake")
    where = {"market": deployed.market.id, "interval": "1h", "start": LAST, "end": LAST}
    before = {name: lake.read(name, **where) for name in ("evolved_population", "strategy_archive", "cycles")}
    registers = ("holdout_openings", "official_cycles", "births", "validation_verdicts")
    left = {path: path.read_bytes() for name in registers for path in sorted((lake.root / name).rglob("*.parquet"))}
    assert deployed.run(request.job_name, run_config=request.run_config).success
    after = {name: lake.read(name, **where) for name in before}
    assert not any(after[name].equals(before[name]) for name in before)
    assert left
    found = {path: path.read_bytes() for name in registers for path in sorted((lake.root / name).rglob("*.parquet"))}
    assert found == left


def test_the_search_is_of_the_line_that_bore_the_fallen_whatever_the_settings_say(deployed: Workshop) -> None:
    decayed(deployed)
    short = deployed.settings.model_copy(update={"line": "short"})
    (request,) = evaluate(Workshop(short, deployed.instance)).run_requests or ()
    assert request.run_config["resources"]["search"]["config"]["line"] == "long"


def test_where_both_lines_lost_somebody_each_is_searched_once(deployed: Workshop) -> None:
    origin = provenance(market=deployed.market.id)
    in_sample = account_at_birth(0).model_copy(update={"in_sample": True})
    of_short_line = document(provenance=origin, account=in_sample, at="2024-05-01")
    StrategyRepository(deployed.settings.data_dir / "strategies").save(of_short_line)
    fallen = {decayed(deployed), decayed(deployed, id=of_short_line.id)}
    assert len(fallen) == 2
    requests = evaluate(deployed).run_requests or ()
    settings = [request.run_config["resources"]["search"]["config"] for request in requests]
    assert sorted(one["line"] for one in settings) == ["long", "short"]
    assert len({one["seed"] for one in settings}) == 2
    assert {of_short_line.id in str(request.run_key) for request in requests} == {False, True}


def test_a_later_fall_of_the_same_strategy_is_asked_for_again(deployed: Workshop) -> None:
    decayed(deployed)
    first = evaluate(deployed)
    decayed(deployed, at="2024-06-09")
    second = evaluate(deployed, first.cursor)
    assert second.run_requests
    seeds = [r.run_requests[0].run_config["resources"]["search"]["config"]["seed"] for r in (first, second)]  # type: ignore[index]
    assert len(set(seeds)) == 2


def test_a_retired_strategy_no_longer_matters(deployed: Workshop) -> None:
    id = decayed(deployed)
    StrategyRepository(deployed.settings.data_dir / "strategies").archive(id, "test", at="2024-05-10")
    assert "0 strategies decay" in reason(evaluate(deployed))


def test_while_an_import_goes_on_nothing_is_asked(evolved: Workshop) -> None:
    evolved.ingest(EARLIER + timedelta(days=1))
    instance, job = evolved.instance, evolved.definitions.resolve_job_def("ingest_market_data")
    tags = {COMMAND_TAG: "quant-organism", **range_tags(EARLIER, LAST)}
    instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    with run_lock(evolved.settings.data_dir):  # as the command holds it that imports
        assert "1 runs are queued or in progress" in reason(evaluate(evolved))
    assert evaluate(evolved).run_requests  # it was killed: nobody is at it any more


def test_a_run_that_never_started_holds_nothing_up(evolved: Workshop) -> None:
    evolved.ingest(EARLIER + timedelta(days=1))
    job = evolved.definitions.resolve_job_def("nightly_evolution")
    tags = {"dagster/partition": LAST.isoformat()}
    evolved.instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.NOT_STARTED)
    (request,) = evaluate(evolved).run_requests or ()
    assert request.partition_key == LAST.isoformat()


def test_the_cursor_is_small_json(evolved: Workshop) -> None:
    evolved.ingest(EARLIER + timedelta(days=1))
    cursor = evaluate(evolved).cursor or ""
    assert orjson.loads(cursor)["newest_day"] == {f"{evolved.market.id} 1h": LAST.isoformat()}
    assert len(cursor) < 500
