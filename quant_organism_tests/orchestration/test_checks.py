"""What stands between market and evolution, and between validation and deployment."""

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import dagster as dg
import orjson
import polars as pl
import pytest

from quant_organism.deployment.tables import DocumentTable
from quant_organism.market.cycles import CycleIndex
from quant_organism.market.lake import Lake
from quant_organism_tests.orchestration.conftest import copied
from quant_organism_tests.tiny import LAST, Workshop, settings, write_world

WEEKS_MISSING = """\
gaps:
  - {symbol: SIM-ONE, start: 2024-02-01 00:00:00, bars: 400}
"""


def failed_checks(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    return {e.check_name: e.description or "" for e in result.get_asset_check_evaluations() if not e.passed}


def materialized(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key}


@pytest.fixture(scope="module")
def gappy(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Return a workshop with data of a world in which weeks are missing; look, do not touch."""
    folder = tmp_path_factory.mktemp("gappy")
    with dg.DagsterInstance.ephemeral() as instance:
        workshop = Workshop(settings(folder, world=write_world(folder, WEEKS_MISSING)), instance)
        assert workshop.ingest().success
    return workshop


def copy_of(gappy: Workshop, folder: Path, **market: object) -> AbstractContextManager[Workshop]:
    """Return a copy of it under other settings of the market."""
    return copied(gappy.settings.data_dir, folder, world=Path(str(gappy.settings.market.world)), **market)


def test_poor_data_stop_the_cycle_before_the_search_and_say_why(gappy: Workshop, tmp_path: Path) -> None:
    with copy_of(gappy, tmp_path) as workshop:
        result = workshop.cycle()
        assert not result.success
        assert materialized(result) == {"market_panel", "candle_quality", "cycles", "market_regime", "evidence_days"}
        assert "SIM-ONE scores 86.11%, below 95%" in failed_checks(result)["data_quality"]
        assert "gap 400" in failed_checks(result)["data_quality"]


def through_the_first_checks(workshop: Workshop) -> bool:
    """Say whether the panel and what comes behind its blocking checks are made."""
    result = workshop.materialize("market_panel", "edge_pretest")
    return result.success and materialized(result) == {"market_panel", "candle_quality", "cycles", "edge_pretest"}


def test_a_lower_bound_lets_the_same_data_through(gappy: Workshop, tmp_path: Path) -> None:
    with copy_of(gappy, tmp_path, min_quality=0.8) as workshop:
        assert through_the_first_checks(workshop)


def test_leaving_the_poor_symbol_out_lets_the_others_through(gappy: Workshop, tmp_path: Path) -> None:
    with copy_of(gappy, tmp_path, symbols="SIM-TWO,SIM-SIX") as workshop:
        assert through_the_first_checks(workshop)


@pytest.fixture
def at_deployment(finished: Workshop, tmp_path: Path) -> Iterator[Workshop]:
    """Return a copy of a cycle's data as they were when its documents were written, which may be changed."""
    with copied(finished.settings.data_dir, tmp_path) as workshop:
        data = workshop.settings.data_dir
        for made_later in ("strategies", "reports", "lake/deployed_configs"):
            shutil.rmtree(data / made_later)
        yield workshop


def tamper(workshop: Workshop, field: str, value: object, *, with_checksum: bool) -> None:
    """Change a field of the first stored document, with a fitting checksum or without."""
    from quant_organism.deployment.config import StrategyConfig

    lake = Lake(workshop.settings.data_dir / "lake")
    where = {"market": workshop.market.id, "interval": "1h"}
    cycle = CycleIndex(lake.root, workshop.market.id, workshop.market.bars).latest(LAST)
    stored = lake.table(DocumentTable, cycle=cycle)
    frame = stored.read_day(LAST, **where)
    texts = frame["document"].to_list()
    if with_checksum:
        document = StrategyConfig.from_json(texts[0].encode(), where="test")
        texts[0] = document.model_copy(update={field: value}).to_json().decode()
    else:
        texts[0] = orjson.dumps({**orjson.loads(texts[0]), field: value}).decode()
    stored.write(frame.with_columns(document=pl.Series(texts)), **where, day=LAST)


def check_and_deploy(workshop: Workshop) -> dg.ExecuteInProcessResult:
    """Run the checks of the stored documents, and deployment behind them."""
    job = dg.define_asset_job(
        "check_and_deploy",
        dg.AssetSelection.assets("deployed_configs")
        | dg.AssetSelection.checks_for_assets(dg.AssetKey("strategy_configs")),
    )
    definitions = dg.Definitions.merge(workshop.definitions, dg.Definitions(jobs=[job]))
    return definitions.resolve_job_def("check_and_deploy").execute_in_process(
        instance=workshop.instance, partition_key=LAST.isoformat(), raise_on_error=False
    )


def test_whole_documents_are_deployed(at_deployment: Workshop) -> None:
    result = check_and_deploy(at_deployment)
    assert result.success
    assert materialized(result) == {"deployed_configs"}


def test_a_document_that_was_changed_by_hand_stops_deployment(at_deployment: Workshop) -> None:
    tamper(at_deployment, "fitness", 99.0, with_checksum=False)
    result = check_and_deploy(at_deployment)
    assert "config_intact" in failed_checks(result)
    assert materialized(result) == set()
    assert not (at_deployment.settings.data_dir / "strategies").exists()


def test_a_document_without_evidence_of_a_stage_stops_deployment(at_deployment: Workshop) -> None:
    lake = Lake(at_deployment.settings.data_dir / "lake")
    stored = lake.table(DocumentTable).read(market=at_deployment.market.id, interval="1h", start=LAST, end=LAST)
    from quant_organism.cycle.documents import read_documents

    evidence = dict(read_documents(stored)[0].evidence)
    del evidence["walk_forward"]
    tamper(at_deployment, "evidence", evidence, with_checksum=True)
    result = check_and_deploy(at_deployment)
    assert set(failed_checks(result)) == {"evidence_complete"}
    assert materialized(result) == set()


def test_gates_are_checked_stage_by_stage_and_warn_where_nobody_passed(finished: Workshop) -> None:
    """On so short a market the backtest lets the candidate through, and the tests of luck cannot be run."""
    checks = {
        key.name: finished.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
        for key in (
            dg.AssetCheckKey(dg.AssetKey(asset), name)
            for asset, name in [
                ("backtest_validation", "in_sample_gates"),
                ("backtest_validation", "holdout_gates"),
                ("validated_strategies", "significance_gates"),
            ]
        )
    }
    found = {name: record.event.dagster_event.event_specific_data for name, record in checks.items()}
    assert {name: evaluation.passed for name, evaluation in found.items()} == {
        "in_sample_gates": True,
        "holdout_gates": True,
        "significance_gates": False,
    }
    assert {evaluation.severity for evaluation in found.values()} == {dg.AssetCheckSeverity.WARN}
    assert found["significance_gates"].description == "0 of 1 candidates passed"
