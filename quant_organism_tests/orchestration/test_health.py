"""Health with what Dagster knows: its daemon, its nights, and the history that an asset keeps."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import orjson
import pytest

from quant_organism.market import Lake
from quant_organism.market.tables import CandleTable
from quant_organism.monitoring.components import ComponentHealth
from quant_organism.monitoring.system_health import record
from quant_organism.orchestration.health import due_day, health_watch, measure_health
from quant_organism.orchestration.home import environment, open_instance
from quant_organism.orchestration.jobs import NIGHTLY
from quant_organism.orchestration.resources import CYCLE_TAG, MarketResource
from quant_organism.settings import MarketSettings
from quant_organism_tests.monitoring.trading_ledger import traded
from quant_organism_tests.program import Caller
from quant_organism_tests.tiny import LAST, Workshop, settings, write_world

LATER = datetime(2024, 6, 1, 12, tzinfo=UTC)


def measured(workshop: Workshop, now: datetime = LATER) -> dict[str, ComponentHealth]:
    found = measure_health(workshop.settings.data_dir, workshop.market, workshop.instance, now)
    return {one.component: one for one in found.components}


def filled(workshop: Workshop, last: date) -> None:
    """Have the lake hold candles of a few days."""
    stored = Lake(workshop.settings.data_dir / "lake").table(CandleTable)
    for n in range(3):
        stored.write(CandleTable.empty(), market=workshop.market.id, interval="1h", day=last - timedelta(days=n))


def test_nights_that_left_nothing_are_missed_and_a_market_that_ended_owes_none(workshop: Workshop) -> None:
    assert measured(workshop)["schedule"].status == "unused"
    filled(workshop, LAST - timedelta(days=2))
    assert (measured(workshop)["schedule"].status, measured(workshop)["schedule"].value) == ("failed", 2)
    filled(workshop, LAST)
    assert measured(workshop)["schedule"].status == "ok"


@pytest.mark.parametrize(("hour", "minute", "due"), [(3, 29, date(2024, 5, 30)), (3, 30, date(2024, 5, 31))])
def test_a_night_is_missed_once_it_should_be_over(hour: int, minute: int, due: date) -> None:
    market = MarketResource.of(MarketSettings(source="hyperliquid", base_url="http://127.0.0.1:9"))
    assert due_day(market, datetime(2024, 6, 1, hour, minute, tzinfo=UTC)) == due


def test_a_night_that_failed_is_seen_until_one_goes_through(workshop: Workshop) -> None:
    filled(workshop, LAST)

    @dg.op
    def night() -> None:
        raise ValueError("the venue did not answer")

    @dg.op
    def quiet_night() -> None:
        pass

    for op, expected in ((night, "failed"), (quiet_night, "ok")):
        job = dg.GraphDefinition(name=NIGHTLY, node_defs=[op]).to_job(executor_def=dg.in_process_executor)
        job.execute_in_process(instance=workshop.instance, raise_on_error=False, tags={CYCLE_TAG: "made/day/cycle"})
        found = measured(workshop)["schedule"]
        assert (found.status, found.run) == (expected, "made/day/cycle" if expected == "failed" else "")
    assert measured(workshop)["schedule"].found == f"candles to {LAST}"


def test_a_daemon_that_fell_silent_is_seen(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert measured(workshop)["dagster"].status == "unused"

    class Beat:
        timestamp = LATER.timestamp()
        errors = ()

    monkeypatch.setattr(workshop.instance, "get_daemon_heartbeats", lambda: {"SCHEDULER": Beat()})
    assert measured(workshop, LATER + timedelta(seconds=300))["dagster"].status == "ok"
    silent = measured(workshop, LATER + timedelta(seconds=301))["dagster"]
    assert (silent.status, silent.value, silent.age_s) == ("failed", 301.0, 301.0)


def test_a_market_that_cannot_be_read_is_unknown(workshop: Workshop, tmp_path: Path) -> None:
    market = MarketResource.of(MarketSettings(source="files", path=tmp_path / "nowhere"))
    found = measure_health(workshop.settings.data_dir, market, workshop.instance, LATER)
    unknown = {one.component for one in found.components if one.status == "unknown"}
    assert unknown == {"quality", "schedule", "search"}


@pytest.fixture
def lasting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    """Return a workshop with the instance of its data folder, which a schedule can open again."""
    chosen = settings(tmp_path)
    for name in environment(chosen.data_dir):
        monkeypatch.setenv(name, "")
    with open_instance(chosen.data_dir) as instance:
        yield Workshop(chosen, instance)


def test_the_asset_adds_to_the_history_and_the_sensor_asks_for_it_when_the_level_changes_or_a_day_is_over(
    lasting: Workshop,
) -> None:
    filled(lasting, LAST)
    traded(lasting.settings.data_dir).end()
    lake, market = Lake(lasting.settings.data_dir / "lake"), lasting.market

    def asked() -> dg.RunRequest | dg.SkipReason:
        with dg.build_sensor_context(instance=lasting.instance, resources=lasting.definitions.resources) as context:
            result = health_watch(context)
        assert isinstance(result, dg.RunRequest | dg.SkipReason)
        return result

    assert isinstance(asked(), dg.RunRequest)
    yesterday = datetime.now(UTC) - timedelta(days=1, minutes=1)
    old = measure_health(lasting.settings.data_dir, market, lasting.instance, yesterday)
    record(lake, old, market=market.id, interval="1h")
    assert old.level == "excellent"
    assert isinstance(asked(), dg.RunRequest)
    job = lasting.definitions.resolve_job_def("health_snapshot")
    assert job.execute_in_process(instance=lasting.instance).success
    rows = lake.read("system_health", market=market.id, interval="1h")
    assert set(rows["level"]) == {"excellent"}
    assert isinstance(asked(), dg.SkipReason)
    (lasting.settings.data_dir / "trader" / "killed.json").write_text("{")
    assert isinstance(asked(), dg.RunRequest)


def test_the_command_says_what_to_do_and_ends_with_1_where_something_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    call, world = Caller(tmp_path, monkeypatch, capfd), write_world(tmp_path)
    idle = call("health", "--world", world)
    assert (idle.code, "nothing is in use yet" in idle.out) == (0, True)
    traded(tmp_path / "data")
    told = call("health", "--world", world)
    assert (told.code, "Health is poor" in told.out) == (1, True)
    assert "\nfeed: look at the trader's log" in told.out
    document = orjson.loads(call("health", "--world", world, "--json").out)
    assert document["level"] == "poor"
    assert {one["component"]: one["status"] for one in document["components"]}["feed"] == "failed"
