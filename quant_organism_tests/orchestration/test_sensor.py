"""The re-evolution sensor, on a real instance, a real lake and real documents."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import orjson
import polars as pl
import pytest

from quant_organism.deployment.config import StrategyConfig
from quant_organism.deployment.records import Performance
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.market.lake import Lake
from quant_organism.orchestration.home import COMMAND_TAG
from quant_organism.orchestration.partitions import range_tags
from quant_organism.orchestration.run_lock import run_lock
from quant_organism.orchestration.sensors import re_evolution
from quant_organism_tests.deployment.documents import records
from quant_organism_tests.orchestration.conftest import copied
from quant_organism_tests.tiny import EARLIER, LAST, Workshop


def evaluate(workshop: Workshop, cursor: str | None = None) -> dg.SensorResult:
    with dg.build_sensor_context(
        instance=workshop.instance, cursor=cursor, resources=workshop.definitions.resources
    ) as context:
        result = re_evolution(context)
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


def watched(workshop: Workshop) -> tuple[StrategyRepository, StrategyConfig]:
    """Return the best strategy, moved to shadow: 120 days are too few for the evidence that it would need."""
    repository = StrategyRepository(workshop.settings.data_dir / "strategies")
    document = repository.load_all().documents[0]
    if document.stage == "born":
        document = repository.move(
            document.id, "shadow", at=LAST.isoformat(), reason="a test's", records=records("one look")
        )
    return repository, document


def searched(workshop: Workshop) -> pl.DataFrame:
    """Return what the newest search of the last day has tried."""
    lake = Lake(workshop.settings.data_dir / "lake")
    return lake.read("evolved_population", market=workshop.market.id, interval="1h", start=LAST, end=LAST)


def observe(workshop: Workshop, share: float, at: str = "2024-05-04") -> str:
    """Record a performance at some share of the validated Sharpe ratio; return whose."""
    repository, document = watched(workshop)
    record = Performance(
        observed_at=at, days=5, trades=9, sharpe=share * document.fitness, total_return=0.0, max_drawdown=0.1
    )
    repository.update_performance(document.id, record)
    return document.id


def test_before_any_cycle_it_waits_for_a_person(workshop: Workshop) -> None:
    assert "0 cycles so far" in reason(evaluate(workshop))


def test_nothing_new_is_skipped_with_the_numbers(evolved: Workshop) -> None:
    told = reason(evaluate(evolved))
    assert f"newest data {EARLIER}, last cycle {EARLIER}" in told
    assert "0 deployed strategies have a performance" in told


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


def test_a_fall_below_half_of_the_validated_sharpe_asks_for_another_search(deployed: Workshop) -> None:
    id = observe(deployed, 0.49)
    first = evaluate(deployed)
    (request,) = first.run_requests or ()
    assert request.partition_key == LAST.isoformat()
    assert id in str(request.run_key)
    assert request.run_config["resources"]["search"]["config"]["seed"] != deployed.settings.seed
    assert request.run_config["resources"]["search"]["config"]["profile"] == deployed.settings.profile
    assert "answered already" in reason(evaluate(deployed, first.cursor))


def test_the_search_that_a_fall_asks_for_is_a_different_one(deployed: Workshop) -> None:
    observe(deployed, 0.1)
    (request,) = evaluate(deployed).run_requests or ()
    before = searched(deployed)
    assets = ("market_panel", "edge_pretest", "evolved_population")
    assert deployed.materialize(*assets, run_config=request.run_config).success
    assert not searched(deployed).equals(before)


def test_half_is_not_yet_decayed(deployed: Workshop) -> None:
    observe(deployed, 0.51)
    assert "the lowest at 51%" in reason(evaluate(deployed))


def test_a_later_fall_of_the_same_strategy_is_asked_for_again(deployed: Workshop) -> None:
    observe(deployed, 0.4)
    first = evaluate(deployed)
    observe(deployed, 0.3, at="2024-05-09")
    second = evaluate(deployed, first.cursor)
    assert second.run_requests
    seeds = [r.run_requests[0].run_config["resources"]["search"]["config"]["seed"] for r in (first, second)]  # type: ignore[index]
    assert len(set(seeds)) == 2


def test_a_retired_strategy_no_longer_matters(deployed: Workshop) -> None:
    id = observe(deployed, 0.1)
    watched(deployed)[0].archive(id, "test", at="2024-05-10")
    assert "asked" not in reason(evaluate(deployed))


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
