"""One factory of definitions for the web UI, the command line and the tests."""

import os
from collections.abc import Sequence
from typing import Final

import dagster as dg

from quant_organism.cycle import Panels, Progress
from quant_organism.errors import QuantOrganismError
from quant_organism.orchestration.access import Signing, VenueRehearsals
from quant_organism.orchestration.assets import (
    deployment,
    evolution,
    market,
    operations,
    replay,
    significance,
    validation,
)
from quant_organism.orchestration.checks import checks_on
from quant_organism.orchestration.health import DataFolderResource, health_snapshot, health_watch, recorded_health
from quant_organism.orchestration.io_manager import lake_io_manager
from quant_organism.orchestration.jobs import jobs_of, nightly_of
from quant_organism.orchestration.logs import LOGGERS
from quant_organism.orchestration.markets import in_own_groups, joined, with_interval_of_files
from quant_organism.orchestration.partitions import on_days
from quant_organism.orchestration.resources import (
    LakeResource,
    MarketResource,
    ReportsResource,
    SearchResource,
    SignificanceResource,
    StrategiesResource,
    log_progress,
)
from quant_organism.orchestration.sensors import re_evolution_of
from quant_organism.orchestration.tables import CHECKED, in_memory, table_check, with_columns
from quant_organism.orchestration.workflows import workflow_definitions, workflow_files
from quant_organism.settings import Settings, folder_of_start, load_settings

_ASSETS: Final = (market, evolution, validation, replay, significance, deployment, operations)


def build_definitions(
    settings: Settings,
    *,
    key_prefix: Sequence[str] = (),
    at_hand: bool = True,
    progress: Progress = log_progress,
) -> dg.Definitions:
    """Return all assets, checks, jobs, schedules and sensors of a market, with resources as the settings say.

    Parameters
    ----------
    settings
        Market, search, folders.
    key_prefix
        What the keys of the market's assets begin with: nothing, or its name and bars.
    at_hand
        Whether it is the market that the web UI was started with: its nights are on until somebody says otherwise, and
        the health of the data folder stands beside it.
    progress
        Told what is going on while assets materialise; the run's log by default.
    """
    data_dir = settings.data_dir.resolve()
    site = settings.site_url.rstrip("/")
    source, lake = MarketResource.of(settings.market, settings.data_dir), LakeResource(folder=str(data_dir / "lake"))
    days = source.partitions()
    jobs = jobs_of(key_prefix)
    assets = dg.load_assets_from_modules(_ASSETS, key_prefix=list(key_prefix) or None)
    own = [asset for asset in assets if isinstance(asset, dg.AssetsDefinition)]
    nights = dg.DefaultScheduleStatus.RUNNING if at_hand else dg.DefaultScheduleStatus.STOPPED
    watch = dg.DefaultSensorStatus.RUNNING if at_hand else dg.DefaultSensorStatus.STOPPED
    return dg.Definitions(
        assets=[
            *on_days(days, in_own_groups(key_prefix, with_columns(own))),
            *(with_columns([recorded_health]) if at_hand else []),
        ],
        asset_checks=[*checks_on(days, key_prefix), *(table_check(table, days, key_prefix) for table in CHECKED)],
        jobs=[*jobs, *([health_snapshot] if at_hand else [])],
        schedules=[nightly_of(key_prefix, nights)],
        sensors=[re_evolution_of(jobs, watch), *([health_watch] if at_hand else [])],
        resources={
            "market": source,
            "lake": lake,
            "data_folder": DataFolderResource(folder=str(data_dir)),
            "duckdb": in_memory(),
            "search": SearchResource.of(settings),
            "significance": SignificanceResource.of(settings),
            "strategies": StrategiesResource(folder=str(data_dir / "strategies"), signing=Signing(settings)),
            "reports": ReportsResource(folder=str(data_dir / "reports"), site=site),
            "panels": Panels(),
            "rehearsals": VenueRehearsals(settings),
            "progress": progress,
            "io_manager": lake_io_manager,
        },
        loggers=LOGGERS,
        executor=dg.in_process_executor,
    )


def settings_at_hand() -> Settings:
    """Return what environment and settings file say, as from the folder that the web UI was started in."""
    if (folder := folder_of_start()) is not None:
        os.chdir(folder)
    return load_settings()


def with_workflows(definitions: dg.Definitions, settings: Settings) -> dg.Definitions:
    """Return definitions with the workflows of the data folder."""
    return dg.Definitions.merge(definitions, workflow_definitions(workflow_files(settings.data_dir), settings))


@dg.definitions
def defs() -> dg.Definitions:
    """Definitions of the market of environment and settings file, for Dagster's own tools, with the folder's workflows.

    A market that cannot be read has the plain names: the web UI opens, and what is materialised says why.
    """
    settings = settings_at_hand()
    try:
        settings, prefix = with_interval_of_files(settings), joined(settings).key_prefix
    except (QuantOrganismError, OSError):
        prefix = ()
    return with_workflows(build_definitions(settings, key_prefix=prefix), settings)
