"""The asset graph that a person sees."""

from pathlib import Path

import dagster as dg
import pytest

from quant_organism.orchestration.definitions import build_definitions, defs
from quant_organism.settings import Settings
from quant_organism.validation.gauntlet import BACKTEST, DECISION, REPLAY, TESTNET

GRAPH = {
    "candles": ("market", set()),
    "funding": ("market", set()),
    "sentiment": ("market", set()),
    "market_panel": ("market", {"candles", "funding", "sentiment"}),
    "edge_pretest": ("validation", {"market_panel"}),
    "evolved_population": ("evolution", {"market_panel", "edge_pretest"}),
    "strategy_archive": ("evolution", {"evolved_population"}),
    "backtest_validation": ("validation", {"market_panel", "evolved_population"}),
    "search_significance": ("validation", {"market_panel", "edge_pretest", "backtest_validation"}),
    "replay_validation": ("validation", {"market_panel", "backtest_validation"}),
    "testnet_validation": ("validation", {"market_panel", "replay_validation"}),
    "validated_strategies": (
        "validation",
        {"market_panel", "edge_pretest", "testnet_validation", "search_significance"},
    ),
    "strategy_configs": ("deployment", {"market_panel", "validated_strategies"}),
    "deployed_configs": ("deployment", {"market_panel", "validated_strategies", "strategy_configs"}),
    "tear_sheets": ("operations", {"market_panel", "validated_strategies"}),
    "cycle_report": (
        "operations",
        {
            "tear_sheets",
            "market_panel",
            "edge_pretest",
            "evolved_population",
            "search_significance",
            "validated_strategies",
            "deployed_configs",
        },
    ),
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
    assert set(checks) == {"data_quality", "something_to_find", "evidence_complete", "config_intact"} | gates
    assert all(len(check.description or "") > 40 for check in checks.values())
    assert {name for name, check in checks.items() if not check.blocking} == {"something_to_find"} | gates


def test_every_asset_has_one_partition_per_complete_utc_day(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        partitions = graph.get(key).partitions_def
        assert isinstance(partitions, dg.DailyPartitionsDefinition)
        assert partitions.get_first_partition_key() == "2015-01-01"
        assert partitions.timezone == "UTC"


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
