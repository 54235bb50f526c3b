"""What is configured in Dagster is the settings: the same names, defaults and words, and the same search of them."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from quant_organism.backtest import Costs
from quant_organism.cycle import SignificancePlan
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.market import SlippageTable
from quant_organism.orchestration.resources import (
    LakeResource,
    MarketResource,
    SearchResource,
    SignificanceResource,
    plan_at_hand,
)
from quant_organism.settings import MarketSettings, SearchSettings, Settings, ValidationSettings, load_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("resource", "group"),
    [(MarketResource, MarketSettings), (SearchResource, SearchSettings), (SearchResource, ValidationSettings)],
)
def test_every_setting_can_be_configured_in_its_own_words(resource, group):
    shown = {"spec": "spec_file", "gates": "gates_from"} if resource is SearchResource else {}
    for name, field in group.model_fields.items():
        configured = resource.model_fields[shown.get(name, name)]
        assert (configured.description, configured.default) == (field.description, field.default)


def test_a_market_resource_says_what_the_settings_say():
    settings = MarketSettings(source="files", path="candles", symbols="A,B", interval="4h", repair=True)
    resource = MarketResource.of(settings)
    said = {name: getattr(resource, name) for name in MarketSettings.model_fields}
    assert MarketSettings.model_validate(said) == settings


def test_a_search_resource_searches_by_what_the_settings_say():
    said = {"profile": "smoke", "families": "rsi_filter", "search": {"population": 24}, "market": {"world": "null"}}
    resource = SearchResource.of(load_settings(said))
    assert resource.spec == EvolutionSpec.profile("smoke", population=24, families=("rsi_filter",))
    demo = load_settings({"market": {"world": "demo"}})
    assert SearchResource.of(demo).spec == EvolutionSpec.profile("demo")
    assert SignificanceResource.of(demo).plan == SignificancePlan.profile("demo")
    assert not resource.stop_without_edge
    stopping = SearchResource.of(Settings(validation=ValidationSettings(when_nothing_to_find="stop")))
    assert stopping.stop_without_edge


def test_what_the_launchpad_says_is_searched_by():
    seen: list[EvolutionSpec] = []

    @dg.asset
    def look(search: SearchResource) -> None:
        seen.append(search.spec)

    job = dg.Definitions(assets=[look], resources={"search": SearchResource.of(load_settings())})
    job.resolve_implicit_global_asset_job_def().execute_in_process(
        run_config={"resources": {"search": {"config": {"profile": "smoke", "population": 36}}}}
    )
    assert seen == [EvolutionSpec.profile("smoke", population=36)]


def test_a_cycle_pays_the_slippage_that_was_measured_in_its_market(tmp_path: Path):
    settings = load_settings({"profile": "smoke"})
    market, lake = MarketResource.of(settings.market), LakeResource(folder=str(tmp_path / "lake"))
    at_hand = (market, lake, SearchResource.of(settings), SignificanceResource.of(settings))
    before = plan_at_hand(*at_hand)
    day = datetime(2026, 7, 28, tzinfo=UTC)
    frame = SlippageTable.frame([("SIM-ASH", 1_500.0, 1.0, 3.0, 500, 0, day, day, 0, None)])
    lake.open().table(SlippageTable).write(frame, market=market.id, day=day.date())
    after = plan_at_hand(*at_hand)
    assert (before.costs, after.costs) == (Costs(), Costs(own_slippage_bps={"SIM-ASH": (1.0, 3.0)}))
    assert before.hash != after.hash
