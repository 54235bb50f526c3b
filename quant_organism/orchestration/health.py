"""The health of an installation, with what only Dagster knows: whether its daemon lives and its nights went through."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import dagster as dg

from quant_organism.errors import InputError, IntegrityError, QuantOrganismError, StorageError
from quant_organism.market import Lake
from quant_organism.monitoring.alerts.book import alerts_health
from quant_organism.monitoring.components import (
    ComponentHealth,
    disk_health,
    lake_health,
    nights_missed,
    quality_health,
    search_health,
    strategies_health,
    trader_health,
    unknown_market,
    workflows_health,
)
from quant_organism.monitoring.system_health import SystemHealth, last_recorded, record
from quant_organism.orchestration.failures import plainly
from quant_organism.orchestration.home import open_instance
from quant_organism.orchestration.jobs import NIGHTLY
from quant_organism.orchestration.metadata import number, table
from quant_organism.orchestration.resources import CYCLE_TAG, MarketResource
from quant_organism.settings import Settings

_NIGHT: Final = timedelta(hours=3, minutes=30)
"""Time of day, UTC, by which the night that begins at 00:30 should have fetched the day before."""
_SILENT_S: Final = 300.0
_WATCHED: Final = ("SCHEDULER", "SENSOR", "QUEUED_RUN_COORDINATOR")
_RECORD_EVERY: Final = timedelta(days=1)


def measure_health(
    data_dir: Path, market: MarketResource, instance: dg.DagsterInstance | None, now: datetime
) -> SystemHealth:
    """Return the health of a data folder; nothing is changed.

    Parameters
    ----------
    data_dir
        The data folder.
    market
        Whose candles, quality and cycles are looked at.
    instance
        Of Dagster; none where there is none yet.
    now
        UTC.
    """
    now_ms = int(now.timestamp() * 1_000)
    return SystemHealth(
        now_ms,
        (
            *trader_health(data_dir, now_ms),
            disk_health(data_dir),
            lake_health(data_dir, now_ms),
            *_of_market(Lake(data_dir / "lake"), market, instance, now),
            strategies_health(data_dir, now_ms),
            workflows_health(Lake(data_dir / "lake"), now_ms),
            _dagster(instance, now_ms / 1e3),
            alerts_health(data_dir, now_ms),
        ),
    )


def health_of(settings: Settings) -> SystemHealth:
    """Return the health of an installation as its settings describe it, now."""
    market, data_dir = MarketResource.of(settings.market, settings.data_dir), settings.data_dir
    if not (data_dir / "dagster_home" / "dagster.yaml").exists():
        return measure_health(data_dir, market, None, datetime.now(UTC))
    try:
        with open_instance(data_dir) as instance:
            return measure_health(data_dir, market, instance, datetime.now(UTC))
    except (IntegrityError, InputError, StorageError) as error:  # damaged, or its server does not answer
        found = measure_health(data_dir, market, None, datetime.now(UTC))
        damaged = ComponentHealth("dagster", "failed", error.what, remedy=error.remedy or "")
        others = (one for one in found.components if one.component != damaged.component)
        return SystemHealth(found.at_ms, (*others, damaged))


def due_day(market: MarketResource, now: datetime) -> date:
    """Return the newest day that the nights should have brought by now: of a market that has ended, its last."""
    yesterday = (now.astimezone(UTC) - _NIGHT).date() - timedelta(days=1)
    return yesterday if market.source == "hyperliquid" else min(yesterday, market.open().span(market.bars)[1])


def _of_market(
    lake: Lake, market: MarketResource, instance: dg.DagsterInstance | None, now: datetime
) -> Iterator[ComponentHealth]:
    now_ms = int(now.timestamp() * 1_000)
    try:
        name, due = market.id, due_day(market, now)
    except (QuantOrganismError, OSError) as error:
        yield from unknown_market(("quality", "schedule", "search"), error)
        return
    yield quality_health(lake, name, market.interval, market.min_quality, now_ms)
    nights = nights_missed(lake, name, market.interval, due, now_ms)
    yield _failed_night(instance, now_ms / 1e3) or nights if nights.status == "ok" else nights
    yield search_health(lake, name, market.interval, due, now_ms)


def _failed_night(instance: dg.DagsterInstance | None, now_s: float) -> ComponentHealth | None:
    """Return how the newest night failed, if it did."""
    newest = [] if instance is None else instance.get_run_records(dg.RunsFilter(job_name=NIGHTLY), limit=1)
    if not newest or newest[0].dagster_run.status is not dg.DagsterRunStatus.FAILURE:
        return None
    run, began = newest[0].dagster_run, newest[0].create_timestamp
    return ComponentHealth(
        "schedule",
        "failed",
        f"the night of {began:%Y-%m-%d %H:%M} UTC failed",
        0,
        "nights missed",
        now_s - began.timestamp(),
        f"read why under Runs in the web UI, run {run.run_id[:8]}",
        run.tags.get(CYCLE_TAG, ""),
    )


def _dagster(instance: dg.DagsterInstance | None, now_s: float) -> ComponentHealth:
    beats = {} if instance is None else instance.get_daemon_heartbeats()
    ages = {name: now_s - beats[name].timestamp for name in _WATCHED if name in beats}
    if not ages:
        return ComponentHealth("dagster", "unused", "its daemon has never run here")
    oldest = max(ages, key=lambda name: ages[name])
    errors = [
        str(error.message).splitlines()[0] for name in _WATCHED if name in beats for error in beats[name].errors or ()
    ]
    if ages[oldest] > _SILENT_S:
        remedy = "start quant-organism ui, or the service of the daemon"
        found = (
            f"its daemon has not answered since {datetime.fromtimestamp(now_s - ages[oldest], UTC):%Y-%m-%d %H:%M} UTC"
        )
        return ComponentHealth("dagster", "failed", found, ages[oldest], "s", ages[oldest], remedy)
    if errors:
        remedy = "see Deployment, Daemons in the web UI"
        return ComponentHealth("dagster", "degraded", errors[0], ages[oldest], "s", ages[oldest], remedy)
    return ComponentHealth("dagster", "ok", "its daemon answers", ages[oldest], "s", ages[oldest])


class DataFolderResource(dg.ConfigurableResource["DataFolderResource"]):
    """The data folder, for what only looks: it waits for no run that computes there."""

    folder: str

    @property
    def path(self) -> Path:
        """The folder."""
        return Path(self.folder)


@dg.asset(name="system_health", group_name="operations", kinds={"parquet"})
@plainly
def recorded_health(
    context: dg.AssetExecutionContext, market: MarketResource, data_folder: DataFolderResource
) -> dg.MaterializeResult[None]:
    """How trader, data, nights and machine are at this moment, each measured; added to the history of the day."""
    health = measure_health(data_folder.path, market, context.instance, datetime.now(UTC))
    rows = record(Lake(data_folder.path / "lake"), health, market=market.id, interval=market.interval)
    return dg.MaterializeResult(
        metadata={
            "level": health.level,
            "score": number(health.score),
            "components": table(rows.select("component", "status", "found", "value", "unit", "age_s", "remedy")),
        }
    )


health_snapshot = dg.define_asset_job(
    "health_snapshot",
    selection=dg.AssetSelection.assets("system_health"),
    description="One measurement of the health of the installation, added to its history.",
)


# A sensor rather than a schedule: of a schedule that missed its ticks while nothing ran Dagster warns at each start.
@dg.sensor(
    job=health_snapshot,
    minimum_interval_seconds=900,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Every quarter of an hour health is measured; it is recorded where its level has changed, and daily.",
)
def health_watch(
    context: dg.SensorEvaluationContext, market: MarketResource, data_folder: DataFolderResource
) -> dg.RunRequest | dg.SkipReason:
    """Ask for a record where the level is another than that of the newest one, or that one is a day old."""
    now = datetime.now(UTC)
    health = measure_health(data_folder.path, market, context.instance, now)
    last = last_recorded(Lake(data_folder.path / "lake"), market=market.id, interval=market.interval)
    if last is None or last[1] != health.level or now - last[0] >= _RECORD_EVERY:
        return dg.RunRequest(run_key=f"health {now.isoformat()}")
    return dg.SkipReason(f"health is {health.level} as at {last[0]:%Y-%m-%d %H:%M} UTC.")
