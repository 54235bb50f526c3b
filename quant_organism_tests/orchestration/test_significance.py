"""On both sides of the search: is there anything to find, and is what was found more than luck?"""

from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from quant_organism.market.lake import Lake
from quant_organism.orchestration.resources import launch_config
from quant_organism.settings import Settings, SignificanceSettings, ValidationSettings
from quant_organism.validation.tables import SignificanceTable
from quant_organism_tests.tiny import FIRST, LAST, WORLD, Workshop, settings

DAYS = 160
DAY = FIRST + timedelta(days=DAYS - 1)
SMALL = SignificanceSettings(strategies=40, copies=19, searches=2)
RULES = ("donchian_breakout", "ema_crossover", "linear_svc_classifier")
ASSETS = ("market_panel", "edge_pretest", "evolved_population", "backtest_validation", "search_significance")


def read(workshop: Workshop, dataset: str, day: date = LAST) -> pl.DataFrame:
    lake = Lake(workshop.settings.data_dir / "lake")
    return lake.read(dataset, market=workshop.market.id, interval="1h", start=day, end=day)


def shown(workshop: Workshop, asset: str) -> dict[str, object]:
    event = workshop.instance.get_latest_materialization_event(dg.AssetKey(asset))
    assert event is not None
    assert event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def changed(workshop: Workshop, resource: str, **changes: object) -> dict[str, object]:
    """Return the run configuration of a resource with some fields otherwise."""
    return launch_config((workshop.definitions.resources or {})[resource], **changes)


def longer(folder: Path, strength: float) -> Settings:
    """Return settings of the tiny market, long enough for tests of luck, with an edge of this strength."""
    world = folder / "longer.yaml"
    text = WORLD.replace("days: 120", f"days: {DAYS}").replace("strength: 0.2", f"strength: {strength}")
    world.write_text(text, encoding="utf-8")
    chosen = {"significance": SMALL, "families": RULES, "validation": ValidationSettings(every_gate=True)}
    return settings(folder, world=world).model_copy(update=chosen)


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    with dg.DagsterInstance.ephemeral() as instance:
        workshop = Workshop(longer(tmp_path_factory.mktemp("proven"), 0.2), instance)
        assert workshop.ingest(FIRST, DAY).success
        assert workshop.materialize(*ASSETS, day=DAY).success
        yield workshop


def test_a_strong_edge_is_seen_before_the_search_and_the_choice_is_told(proven: Workshop) -> None:
    row = read(proven, "edge_pretest", DAY).row(0, named=True)
    assert (row["status"], row["p_value"], row["draws"]) == ("passed", 0.05, 19)
    assert shown(proven, "edge_pretest")["answer"] == row["sentence"]
    assert read(proven, "candidates", DAY)["origin"][0] == "best on all assets"


def test_the_significance_of_the_search_names_what_it_does_not_cover(proven: Workshop) -> None:
    rows = read(proven, "search_significance", DAY)
    assert rows["statistic"].to_list()[:2] == ["committee", "champion 1"]
    assert rows["draws"][0] == 2
    assert rows["left_out"][0].to_list() == ["linear_svc_classifier"]
    metadata = shown(proven, "search_significance")
    assert metadata["smallest p-value that so many copies can show"] == pytest.approx(1 / 3, abs=1e-3)
    assert "not enough to tell" in str(metadata["answer"])
    assert metadata["families left out"] == "linear_svc_classifier"


def test_repetitions_are_kept_and_not_made_again(proven: Workshop) -> None:
    folder = proven.settings.data_dir / "lake" / "null_draws"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}
    assert len(before) == 20 + 3
    first = read(proven, "search_significance", DAY)
    assert proven.materialize("edge_pretest", "search_significance", day=DAY).success
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")} == before
    assert read(proven, "search_significance", DAY).equals(first)


def test_what_a_time_limit_cuts_short_is_incomplete_and_goes_on_to_the_same_bytes(proven: Workshop) -> None:
    def measured(**changes: object) -> pl.DataFrame:
        config = {"resources": {"significance": changed(proven, "significance", **changes)}}
        assert proven.materialize("search_significance", day=DAY, run_config=config).success
        return read(proven, "search_significance", DAY)

    before = read(proven, "search_significance", DAY)
    assert measured(minutes=0.0).equals(before)  # what is kept takes no time
    *_, last = sorted((proven.settings.data_dir / "lake" / "null_draws" / "test=search").rglob("draw-*.parquet"))
    kept = last.read_bytes()
    last.unlink()
    row = measured(minutes=0.0).row(0, named=True)
    assert (row["status"], row["draws"]) == ("incomplete", 1)
    assert row["p_value"] >= 2 / 3
    assert row["sentence"].startswith("incomplete: 1 of 2 copies; go on with")
    assert measured().equals(before)
    assert last.read_bytes() == kept


def test_where_the_backtest_has_left_nobody_the_search_is_not_repeated(proven: Workshop, tmp_path: Path) -> None:
    hopeless = tmp_path / "hopeless.yaml"
    hopeless.write_text(
        "name: hopeless\nshadow:\n  - {gate: backtest, metric: sharpe, span: in_sample, at_least: 1000}\n"
        "  - {gate: luck, at_most: 0.05}\n"
    )
    config = {"gates_from": str(hopeless), "every_gate": False}
    before, first = read(proven, "search_significance", DAY), shown(proven, "search_significance")["cycle"]
    done = proven.cycle(DAY, run_config={"resources": {"search": changed(proven, "search", **config)}})
    assert done.success
    row = read(proven, "search_significance", DAY).row(0, named=True)
    assert (row["status"], row["sentence"]) == (
        "not_run",
        "no candidate is left that it could help, so none was repeated",
    )
    (standing,) = read(proven, "validated_strategies", DAY)["standing"]
    assert standing == "fallen"
    stored = Lake(proven.settings.data_dir / "lake").table(SignificanceTable, cycle=str(first))
    assert stored.read_day(DAY, market=proven.market.id, interval="1h").equals(before)


def test_where_there_is_nothing_to_find_a_check_warns_and_the_search_is_repeated_only_for_every_gate(
    tmp_path: Path,
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        workshop = Workshop(longer(tmp_path, 0.0).model_copy(update={"validation": ValidationSettings()}), instance)
        assert workshop.ingest(FIRST, DAY).success
        done = workshop.materialize(*ASSETS, day=DAY)
        assert done.success
        check = next(e for e in done.get_asset_check_evaluations() if e.check_name == "something_to_find")
        assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert "Nothing to find" in str(check.description)
        row = read(workshop, "search_significance", DAY).row(0, named=True)
        assert row["status"] == "not_run"
        assert "none was repeated" in row["sentence"]
        config = {"resources": {"search": changed(workshop, "search", every_gate=True)}}
        asked = workshop.materialize(*ASSETS, day=DAY, run_config=config)
        assert asked.success
        assert read(workshop, "search_significance", DAY)["draws"][0] == 2


def test_a_cycle_that_is_to_stop_where_nothing_is_to_be_found_does_and_says_so(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        chosen = longer(tmp_path, 0.0)
        stopping = ValidationSettings(when_nothing_to_find="stop")
        workshop = Workshop(chosen.model_copy(update={"validation": stopping}), instance)
        assert workshop.ingest(FIRST, DAY).success
        assert workshop.cycle(DAY).success
        assert read(workshop, "evolved_population", DAY).is_empty()
        assert read(workshop, "deployed_configs", DAY).is_empty()
        (report,) = (chosen.data_dir / "reports" / workshop.market.id / "1h" / DAY.isoformat()).glob("*/report.html")
        assert "Nothing was searched, since there was nothing to find" in report.read_text(encoding="utf-8")
        assert shown(workshop, "evolved_population")["ended by"] == "nothing to find before the search"


def test_on_too_few_days_neither_runs_and_both_say_so(finished: Workshop) -> None:
    assert read(finished, "edge_pretest").select("status", "sentence").row(0) == ("not_run", "needs 90 days, has 72")
    assert read(finished, "search_significance").select("status", "sentence").row(0) == (
        "not_run",
        "needs 90 days, has 72",
    )


def test_each_profile_spends_what_fits_it(tmp_path: Path) -> None:
    from quant_organism.orchestration.resources import SignificanceResource

    smoke = SignificanceResource.of(Settings(profile="smoke"))
    full = SignificanceResource.of(Settings(profile="full", significance=SignificanceSettings(minutes=2)))
    assert (smoke.copies, full.copies) == (39, 99)
    assert (smoke.minutes, full.minutes) == (None, 2)
