"""`quant-organism run --source hyperliquid`: the whole cycle, fed over the wire."""

import json
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from quant_organism.deployment.repository import StrategyRepository
from quant_organism.market.lake import Lake
from quant_organism.market.world import load_world
from quant_organism.market.world.source import WorldSource
from quant_organism_tests.cli.conftest import finish
from quant_organism_tests.exchange.wire_venue import HOUR, WireVenue, served
from quant_organism_tests.tiny import FIRST, LAST, write_world


def test_a_cycle_over_the_wire_ends_with_strategies_deployed_from_the_venues_bars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANT_ORGANISM_MARKET__WEIGHT_PER_MINUTE", "1000000")
    world = WorldSource(load_world(str(write_world(tmp_path))))
    venue = WireVenue(world)
    with served(venue) as url:
        said = finish(
            *("run", "--source", "hyperliquid", "--base-url", url, "--market", "venue", "--profile", "smoke"),
            *("--symbols", ",".join(world.symbols()), "--threads", "1", "--json"),
            folder=tmp_path,
        )
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert (found["market"], found["date"]) == ("venue", LAST.isoformat())
    documents = StrategyRepository(tmp_path / "data" / "strategies").load_all().documents
    assert [document.id for document in documents if document.stage == "testing"]
    lake = Lake(tmp_path / "data" / "lake")
    assert_frame_equal(
        lake.read("candles", market="venue", interval="1h"), world.candles(world.symbols(), HOUR, FIRST, LAST)
    )
    assert lake.days("candles", market="venue", interval="1h")[-1] == LAST
    assert max(body["req"]["endTime"] for body in venue.asked if body["type"] == "candleSnapshot") <= venue.now_ms
    assert (LAST - FIRST).days + 1 == len(lake.days("funding", market="venue"))
    questions = [str(body) for body in venue.asked if body["type"] in ("candleSnapshot", "fundingHistory")]
    assert len(set(questions)) == len(questions), "what was answered once is not asked again"


def test_a_venue_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    said = finish("run", "--base-url", "http://127.0.0.1:9", "--profile", "smoke", folder=tmp_path)
    assert said.code == 2
    assert "http://127.0.0.1:9/info" in said.err
    assert "base URL" in said.err
    assert "Traceback" not in said.err


def test_a_world_and_a_venue_at_once_are_refused(tmp_path: Path) -> None:
    said = finish("run", "--world", "demo", "--base-url", "http://127.0.0.1:9", folder=tmp_path)
    assert said.code == 2
    assert "a world and a venue" in said.err
