"""One factory of definitions for the web UI, the command line and the tests."""

import os

import dagster as dg

from quant_organism.cycle import Panels, Progress
from quant_organism.orchestration.access import VenueRehearsals
from quant_organism.orchestration.assets.deployment import (
    deployed_configs,
    deployment_decisions,
    documents_of_survivors,
)
from quant_organism.orchestration.assets.evolution import search_of_the_day, strategy_archive
from quant_organism.orchestration.assets.market import market_data, market_regime, panel_of_the_day
from quant_organism.orchestration.assets.operations import cycle_report, evidence_days, tear_sheets_of_survivors
from quant_organism.orchestration.assets.replay import replays_of_the_day, testnet_validation
from quant_organism.orchestration.assets.significance import edge_pretest, significance_of_search
from quant_organism.orchestration.assets.validation import decision_of_the_day, gates_of_the_backtest
from quant_organism.orchestration.checks import checks_on
from quant_organism.orchestration.health import DataFolderResource, health_snapshot, health_watch, recorded_health
from quant_organism.orchestration.home import FOLDER_VARIABLE
from quant_organism.orchestration.io_manager import lake_io_manager
from quant_organism.orchestration.jobs import JOBS, nightly
from quant_organism.orchestration.logs import LOGGERS
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
from quant_organism.orchestration.sensors import re_evolution
from quant_organism.orchestration.tables import CHECKED, in_memory, table_check, with_columns
from quant_organism.orchestration.workflows import workflow_definitions, workflow_files
from quant_organism.settings import Settings, load_settings


def build_definitions(settings: Settings, *, progress: Progress = log_progress) -> dg.Definitions:
    """Return all assets, checks, jobs, schedules and sensors, with resources as the settings say.

    Parameters
    ----------
    settings
        Market, search, folders.
    progress
        Told what is going on while assets materialise; the run's log by default.
    """
    data_dir = settings.data_dir.resolve()
    site = settings.site_url.rstrip("/")
    market, lake = MarketResource.of(settings.market, settings.data_dir), LakeResource(folder=str(data_dir / "lake"))
    days = market.partitions()
    return dg.Definitions(
        assets=[
            *on_days(
                days,
                with_columns(
                    [
                        market_data,
                        market_regime,
                        panel_of_the_day,
                        edge_pretest,
                        search_of_the_day,
                        strategy_archive,
                        gates_of_the_backtest,
                        replays_of_the_day,
                        testnet_validation,
                        significance_of_search,
                        decision_of_the_day,
                        documents_of_survivors,
                        evidence_days,
                        deployed_configs,
                        deployment_decisions,
                        tear_sheets_of_survivors,
                        cycle_report,
                    ]
                ),
            ),
            *with_columns([recorded_health]),
        ],
        asset_checks=[*checks_on(days), *(table_check(table, days) for table in CHECKED)],
        jobs=[*JOBS, health_snapshot],
        schedules=[nightly, health_watch],
        sensors=[re_evolution],
        resources={
            "market": market,
            "lake": lake,
            "data_folder": DataFolderResource(folder=str(data_dir)),
            "duckdb": in_memory(),
            "search": SearchResource.of(settings),
            "significance": SignificanceResource.of(settings),
            "strategies": StrategiesResource(folder=str(data_dir / "strategies")),
            "reports": ReportsResource(folder=str(data_dir / "reports"), site=site),
            "panels": Panels(),
            "rehearsals": VenueRehearsals(settings),
            "progress": progress,
            "io_manager": lake_io_manager,
        },
        loggers=LOGGERS,
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Definitions for the web UI and the daemon, from environment and settings file, with the folder's workflows."""
    if FOLDER_VARIABLE in os.environ:
        os.chdir(os.environ[FOLDER_VARIABLE])
    settings = load_settings()
    own = workflow_definitions(workflow_files(settings.data_dir), settings)
    return dg.Definitions.merge(build_definitions(settings), own)
