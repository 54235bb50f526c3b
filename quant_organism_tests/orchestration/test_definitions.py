"""The asset graph that a person sees."""

import warnings
from datetime import UTC, datetime, timedelta
from importlib import reload
from pathlib import Path

import dagster as dg
import pytest

import quant_organism.orchestration as orchestration
from quant_organism.monitoring.tables import table_named
from quant_organism.orchestration.definitions import build_definitions, defs
from quant_organism.orchestration.jobs import MARKS
from quant_organism.orchestration.partitions import DAILY
from quant_organism.orchestration.resources import MarketResource
from quant_organism.settings import MarketSettings, Settings
from quant_organism.validation.gauntlet import BACKTEST, DECISION, REPLAY, TESTNET
from quant_organism_tests.tiny import FIRST, LAST, settings

MARKET = {"candles", "funding", "sentiment"}
SEARCHED = {"market_panel", "edge_pretest"}
LOOKED_AT = {"market_panel", "evolved_population", "candidates", "candidate_metrics"}
SURVIVED = {"market_panel", "candidates", "validated_strategies", "validation_verdicts"}
GRAPH = {
    **{name: ("market", set()) for name in MARKET},
    **dict.fromkeys(("market_panel", "candle_quality"), ("market", MARKET)),
    "market_regime": ("market", {"candles", "sentiment"}),
    "edge_pretest": ("validation", {"market_panel"}),
    "evolved_population": ("evolution", SEARCHED),
    "search_progress": ("evolution", SEARCHED),
    "search_families": ("evolution", SEARCHED),
    "candidates": ("evolution", SEARCHED),
    "elites": ("evolution", SEARCHED),
    "rejected": ("evolution", SEARCHED),
    "lost_batches": ("evolution", SEARCHED),
    "cycles": ("evolution", MARKET),
    "strategy_archive": ("evolution", {"market_panel", "evolved_population", "elites"}),
    **{
        name: ("validation", {"market_panel", "evolved_population", "candidates"})
        for name in ("backtest_validation", "candidate_metrics", "candidate_returns")
    },
    "search_significance": ("validation", {"market_panel", "edge_pretest", "backtest_validation"}),
    **{name: ("validation", LOOKED_AT | {"backtest_validation"}) for name in ("replay_validation", "strategy_replays")},
    "testnet_validation": ("validation", LOOKED_AT | {"replay_validation"}),
    **{
        name: ("validation", LOOKED_AT | {"edge_pretest", "testnet_validation", "search_significance"})
        for name in ("validated_strategies", "validation_verdicts")
    },
    **dict.fromkeys(("strategy_configs", "strategy_accounts"), ("deployment", SURVIVED)),
    "evidence_days": ("operations", {"candles", "funding"}),
    "deployed_configs": ("deployment", SURVIVED | {"strategy_configs", "evidence_days"}),
    "deployment_decisions": ("deployment", {"deployed_configs", "evidence_days", "market_regime"}),
    "tear_sheets": ("operations", SURVIVED | {"candidate_returns", "strategy_accounts"}),
    "cycle_report": (
        "operations",
        SURVIVED
        | {
            "tear_sheets",
            "edge_pretest",
            "evolved_population",
            "search_progress",
            "search_families",
            "search_significance",
            "candidate_returns",
            "strategy_accounts",
            "deployed_configs",
        },
    ),
    "system_health": ("operations", set()),
}
"""Renaming an asset orphans its history: this table is meant to be changed rarely."""


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions(Settings())


def test_assets_stand_in_their_groups_and_depend_on_what_they_read(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    found = {
        node.key.to_user_string(): (node.group_name, {parent.to_user_string() for parent in node.parent_keys})
        for node in (graph.get(key) for key in graph.get_all_asset_keys())
    }
    assert found == GRAPH


def test_every_asset_and_check_explains_itself(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    assert all(len(graph.get(key).description or "") > 40 for key in graph.get_all_asset_keys())
    checks = {key.name: graph.get(key) for key in graph.asset_check_keys}
    gates = {f"{stage}_gates" for stage in (*BACKTEST, *REPLAY, *TESTNET, *DECISION)}
    own = {"data_quality", "something_to_find", "evidence_complete", "config_intact", "as_described"}
    assert set(checks) == own | gates
    assert all(len(check.description or "") > 40 for check in checks.values())
    assert {name for name, check in checks.items() if not check.blocking} == {"something_to_find"} | gates


def test_every_asset_but_the_report_shows_the_columns_of_its_table_and_those_of_a_cycle_are_checked(
    definitions: dg.Definitions,
) -> None:
    graph = definitions.resolve_asset_graph()
    made = set(GRAPH) - {"cycle_report"}
    for name in made:
        shown = graph.get(dg.AssetKey(name)).metadata["dagster/column_schema"]
        assert [column.name for column in shown.columns] == table_named(name).schema.names()
    checked = {key.asset_key.to_user_string() for key in graph.asset_check_keys if key.name == "as_described"}
    assert checked == made - {*MARKS, "system_health"}


def test_every_asset_and_check_has_the_days_of_the_market_and_no_others(tmp_path: Path) -> None:
    definitions = build_definitions(settings(tmp_path))
    graph = definitions.resolve_asset_graph()
    now = dg.AssetKey("system_health")
    assert graph.get(now).partitions_def is None  # of this moment, whatever day the market has come to
    keys = [*(graph.get_all_asset_keys() - {now}), *graph.asset_check_keys]
    assert len(keys) > len(GRAPH)
    for key in keys:
        partitions = graph.get(key).partitions_def
        assert isinstance(partitions, dg.DailyPartitionsDefinition)
        assert (partitions.get_first_partition_key(), partitions.get_last_partition_key()) == (str(FIRST), str(LAST))
        assert partitions.timezone == "UTC"


def test_a_venue_has_a_new_day_every_night_and_is_not_asked_for_it() -> None:
    market = MarketSettings(source="hyperliquid", base_url="http://127.0.0.1:9")
    days = MarketResource.of(market).partitions()
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    assert (days.get_first_partition_key(), days.get_last_partition_key()) == ("2023-01-01", str(yesterday))


def test_a_market_that_cannot_be_read_has_all_days_so_that_the_web_ui_opens(tmp_path: Path) -> None:
    market = MarketSettings(source="files", path=tmp_path / "nowhere")
    assert MarketResource.of(market).partitions() == DAILY


def test_a_panel_depends_on_two_years_of_candles_and_on_nothing_later(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    panel = graph.get(dg.AssetKey("market_panel"))
    day = panel.partitions_def.subset_with_partition_keys(["2024-12-30"])
    mapping = panel.partition_mappings[dg.AssetKey("candles")]
    mapped = mapping.get_upstream_mapped_partitions_result_for_partitions(
        day, panel.partitions_def, graph.get(dg.AssetKey("candles")).partitions_def
    )
    keys = sorted(mapped.partitions_subset.get_partition_keys())
    assert (keys[0], keys[-1], len(keys)) == ("2023-01-01", "2024-12-30", 730)


def test_a_range_of_market_data_is_one_run_and_cycles_are_one_each(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    single = {key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).backfill_policy is not None}
    assert single == {"candles", "funding", "sentiment"}


def test_the_web_ui_loads_definitions_from_environment_and_settings_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUANT_ORGANISM_MARKET__WORLD", "null")
    (tmp_path / "quant_organism.toml").write_text("seed = 11\n", encoding="utf-8")
    loaded = defs()
    assert loaded.resources is not None
    assert loaded.resources["market"].world == "null"
    assert loaded.resources["search"].seed == 11


def test_whoever_loads_the_definitions_is_told_no_warning(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.resetwarnings()  # pytest's own, and those of an earlier import
        reload(orchestration)
        build_definitions(settings(tmp_path)).resolve_job_def("nightly_evolution")
    assert [str(one.message) for one in told] == []
