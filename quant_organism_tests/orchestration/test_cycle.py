"""One cycle, from days of candles to documents in the shadow pool."""

import json
import math
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from quant_organism.deployment.repository import StrategyRepository
from quant_organism.evolution.budget import luck_sentence
from quant_organism.market.lake import Lake
from quant_organism.market.panel import build_panel
from quant_organism.orchestration.resources import CYCLE_TAG, launch_config
from quant_organism_tests.orchestration.conftest import copied
from quant_organism_tests.tiny import EARLIER, FIRST, LAST, Workshop


def latest(workshop: Workshop, asset: str) -> dict[str, object]:
    event = workshop.instance.get_latest_materialization_event(dg.AssetKey(asset))
    assert event is not None
    assert event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def lake(workshop: Workshop) -> Lake:
    return Lake(workshop.settings.data_dir / "lake")


def read(workshop: Workshop, dataset: str, day: date = LAST) -> pl.DataFrame:
    return lake(workshop).read(dataset, market=workshop.market.id, interval="1h", start=day, end=day)


def report_folder(workshop: Workshop) -> Path:
    of_day = workshop.settings.data_dir / "reports" / workshop.market.id / "1h" / LAST.isoformat()
    return of_day / str(latest(workshop, "cycle_report")["cycle"])


def test_every_day_of_a_range_is_a_partition_with_its_own_numbers(finished: Workshop) -> None:
    days = {(FIRST + timedelta(days=n)).isoformat() for n in range(120)}
    for asset in ("candles", "funding"):
        assert finished.instance.get_materialized_partitions(dg.AssetKey(asset)) == days
        assert latest(finished, asset) == {"market": finished.market.id, "rows": 72, "symbols": 3}


def test_the_panel_is_described_by_symbol_and_content_hash(finished: Workshop) -> None:
    manifest = read(finished, "market_panel")
    panel = build_panel(lake(finished), finished.market.id, finished.market.bars, LAST, None, None)
    assert manifest["symbol"].to_list() == list(panel.symbols)
    assert set(manifest["panel_hash"]) == {panel.hash}
    assert manifest["bars"].to_list() == [2880] * 3
    assert manifest["coverage"].to_list() == [1.0] * 3


def test_numbers_of_a_cycle_are_metadata_that_plot_over_time(finished: Workshop) -> None:
    panel, population = latest(finished, "market_panel"), latest(finished, "evolved_population")
    assert (panel["bars"], panel["assets"], panel["days"]) == (2880, 3, 120)
    assert population["trials"] == read(finished, "evolved_population").height
    # The only search so far: what the ledger knows of these days is what it tried.
    tried = read(finished, "evolved_population")["behaviour"].n_unique()
    assert population["trial budget"] == luck_sentence(tried, 72 / 365)
    assert population["founders from there"] == 0
    assert latest(finished, "validated_strategies")["survivors"] == latest(finished, "strategy_configs")["documents"]


def test_who_survived_on_too_few_days_is_not_watched_and_the_decision_names_what_it_lacks(finished: Workshop) -> None:
    """72 days in sample are too few for the test before the search, and 34 unseen days for their p-value."""
    decisions = read(finished, "deployed_configs")
    documents = StrategyRepository(finished.settings.data_dir / "strategies").load_all().documents
    survivors = read(finished, "validated_strategies").filter("passed")["candidate"]
    assert {document.id for document in documents} == set(survivors)
    assert {document.stage for document in documents} == {"born"}
    assert set(decisions["id"]) == set(survivors)
    assert set(decisions["action"]) == {"wait"}
    for reason in decisions["reason"]:
        assert "pretest_p is not known, at most 0.1 needed" in reason
        assert "unseen_p is not known, at most 0.5 needed" in reason
    assert latest(finished, "deployed_configs")["deployed"] == 0


def test_everything_found_names_the_data_and_the_search_it_comes_from(finished: Workshop) -> None:
    document = StrategyRepository(finished.settings.data_dir / "strategies").load_all().documents[0]
    assert document.provenance.panel_hash == read(finished, "market_panel")["panel_hash"][0]
    assert document.provenance.date == LAST.isoformat()
    assert document.provenance.seed == finished.settings.seed
    recorded = read(finished, "cycles").drop("archive_hash", "founded_by", "plan").row(0, named=True)
    assert document.provenance.model_dump().items() >= recorded.items()
    assert document.provenance.cycle == latest(finished, "evolved_population")["cycle"]


def test_the_report_and_its_plots_are_files_named_in_the_metadata(finished: Workshop) -> None:
    shown = latest(finished, "cycle_report")
    folder = report_folder(finished)
    address = f"http://127.0.0.1:3001/reports/{folder.relative_to(finished.settings.data_dir / 'reports')}"
    assert shown["report"] == f"[open the report]({address}/report.html)"
    assert shown["report file"] == str(folder / "report.html")
    pictures = {f"{name}.png" for name in ("equity", "pareto", "progress", "families", "genealogy")}
    assert f'url={folder.name}/report.html"' in (folder.parent / "report.html").read_text()
    assert {path.name for path in folder.iterdir()} == {"report.html", "report.json", "tear_sheets", *pictures}
    drawn = str(shown["pictures"])
    assert all(
        f"({address}/{name}.png?cell)]({address}/report.html)" in drawn for name in ("equity", "pareto", "families")
    )
    assert "base64" not in drawn


def test_each_survivor_has_a_tear_sheet_that_the_report_leads_to(finished: Workshop) -> None:
    folder = report_folder(finished)
    survivors = set(read(finished, "validated_strategies").filter("passed")["candidate"])
    assert survivors
    assert {path.stem for path in (folder / "tear_sheets").iterdir()} == survivors
    shown, report = latest(finished, "tear_sheets"), (folder / "report.html").read_text()
    for name in survivors:
        assert str(shown[f"tear sheet of {name}"]).endswith(f"/{folder.name}/tear_sheets/{name}.html)")
        assert f'href="tear_sheets/{name}.html"' in report
    shaken = read(finished, "tear_sheets")
    assert set(shaken["candidate"]) == survivors
    assert shaken.filter(change="slightly different genes")["count"].to_list() == [100] * len(survivors)


def test_a_cycle_sees_nothing_after_its_day(evolved: Workshop) -> None:
    """On a lake that ends with its day and on one that goes on, a cycle finds the same."""
    datasets = (
        "market_panel",
        "evolved_population",
        "validation_verdicts",
        "strategy_configs",
        "deployed_configs",
        "tear_sheets",
    )
    before = {dataset: read(evolved, dataset, EARLIER) for dataset in datasets}
    evolved.ingest(EARLIER + timedelta(days=1))
    assert evolved.cycle(EARLIER).success
    assert all(read(evolved, dataset, EARLIER).equals(frame) for dataset, frame in before.items())


def test_candles_that_changed_since_the_panel_was_made_are_refused(ingested: Workshop) -> None:
    workshop = ingested
    assert workshop.materialize("market_panel", "edge_pretest").success
    candles = lake(workshop).read("candles", market=workshop.market.id, interval="1h", start=FIRST, end=FIRST)
    altered = candles.with_columns(pl.col("volume") + 1.0)
    lake(workshop).write("candles", altered, market=workshop.market.id, interval="1h", day=FIRST)
    job = workshop.definitions.resolve_job_def("evolution_cycle")
    with pytest.raises(dg.Failure, match="changed since the panel"):
        job.execute_in_process(
            instance=workshop.instance,
            partition_key=LAST.isoformat(),
            asset_selection=workshop.together("evolved_population"),
        )


def test_another_seed_of_the_same_day_leaves_every_record_report_and_tear_sheet_as_it_was(
    finished: Workshop, tmp_path: Path
) -> None:
    def files(folder: Path) -> dict[Path, bytes]:
        kept = (path for place in ("lake", "reports") for path in (folder / place).rglob("*") if path.is_file())
        return {path.relative_to(folder): path.read_bytes() for path in kept}

    before = files(finished.settings.data_dir)
    with copied(finished.settings.data_dir, tmp_path) as workshop:
        search = launch_config(workshop.definitions.resources["search"], seed=5)
        assert workshop.cycle(run_config={"resources": {"search": search}}).success
        after = files(workshop.settings.data_dir)
        changed = {path for path, content in before.items() if after.get(path) != content}
        assert {(path.parts[1], path.name) for path in changed} == {
            ("cycle_index", "part.parquet"),
            (finished.market.id, "report.html"),
        }
        second = latest(workshop, "cycle_report")["cycle"]
        link = workshop.settings.data_dir / "reports" / workshop.market.id / "1h" / LAST.isoformat() / "report.html"
        assert f'url={second}/report.html"' in link.read_text()
        assert read(workshop, "cycles")["seed"].to_list() == [5]
        assert not read(workshop, "evolved_population").equals(read(finished, "evolved_population"))


def test_a_run_and_its_report_name_the_cycle(finished: Workshop) -> None:
    folder = report_folder(finished)
    tags = [run.tags.get(CYCLE_TAG) for run in finished.instance.get_runs(dg.RunsFilter(job_name="evolution_cycle"))]
    assert f"{finished.market.id}/{LAST.isoformat()}/{folder.name}" in tags
    assert json.loads((folder / "report.json").read_bytes())["report"]["provenance"]["cycle"] == folder.name


def test_no_number_that_a_cycle_shows_is_undefined(finished: Workshop) -> None:
    """NaN and infinity are no JSON: the web UI drops every row of a table that has one."""
    cells = [
        cell
        for run in finished.instance.get_runs()
        for entry in finished.instance.all_logs(run.run_id)
        if (event := entry.dagster_event) is not None
        for shown in _shown(event)
        for cell in _cells(shown)
    ]
    numbers = [cell for cell in cells if isinstance(cell, float)]
    assert None in cells  # what is undefined in a table is an empty cell
    assert len(numbers) > 100
    assert all(math.isfinite(number) for number in numbers)


def _shown(event: dg.DagsterEvent) -> list[dg.MetadataValue]:
    if event.is_step_materialization:
        return list(event.step_materialization_data.materialization.metadata.values())
    if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        return list(event.asset_check_evaluation_data.metadata.values())
    return []


def _cells(value: dg.MetadataValue) -> list[object]:
    if isinstance(value, dg.TableMetadataValue):
        return [cell for record in value.records for cell in record.data.values()]
    return [value.value]


def test_a_failure_says_what_where_and_what_to_do_and_shows_no_traceback_of_its_causes(evolved: Workshop) -> None:
    job = evolved.definitions.resolve_job_def("evolution_cycle")
    chosen = evolved.together("backtest_validation")
    asked = {"partition_key": LAST.isoformat(), "asset_selection": chosen, "raise_on_error": False}
    failed = job.execute_in_process(instance=evolved.instance, **asked)
    failure = failed.failure_data_for_node("backtest_validation")
    assert failure is not None
    assert failure.error is not None
    assert failure.user_failure_data is not None
    said = {name: value.value for name, value in failure.user_failure_data.metadata.items()}
    assert f"no cycle of {LAST} was begun" in str(said["what"])
    assert said["remedy"].startswith("materialise market_panel")
    assert failure.error.message.startswith("dagster._core.definitions.events.Failure: market world-tiny")
    assert failure.error.cause is None
