"""`quant-organism run --source hyperliquid`: the whole cycle, fed over the wire by the local exchange."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from quant_organism.deployment.repository import StrategyRepository
from quant_organism.market.lake import Lake
from quant_organism.market.schema import MS_PER_HOUR, Interval, day_start_ms
from quant_organism.market.tables import CandleTable, FundingTable
from quant_organism.market.world import load_world
from quant_organism.market.world.source import WorldSource
from quant_organism.simulator import Engine, RunningVenue, ServerSpec, VenueClock, VenueServer, read_tape
from quant_organism_tests.program import finish
from quant_organism_tests.tiny import FIRST, LAST, write_world

BEFORE = LAST - timedelta(days=1)


def test_a_cycle_over_the_wire_ends_with_strategies_bred_on_the_venues_bars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANT_ORGANISM_MARKET__WEIGHT_PER_MINUTE", "1000000")
    world = WorldSource(load_world(str(write_world(tmp_path))))
    engine = Engine(read_tape(world, Interval.parse("1h")), day_start_ms(LAST) + MS_PER_HOUR)
    server = VenueServer(engine, VenueClock(engine.now_ms, 0, lambda: 0.0), ServerSpec(ip_weight_per_minute=None))
    with RunningVenue(server) as venue:
        said = finish(
            *("run", "--source", "hyperliquid", "--base-url", venue.url, "--market", "venue"),
            *("--profile", "smoke", "--threads", "1", "--json"),
            folder=tmp_path,
        )
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert (found["market"], found["date"]) == ("venue", BEFORE.isoformat())
    documents = StrategyRepository(tmp_path / "data" / "strategies").load_all().documents
    assert [document.id for document in documents if document.provenance.market == "venue"]
    lake = Lake(tmp_path / "data" / "lake")
    candles, days = lake.table(CandleTable).read(market="venue", interval="1h"), (BEFORE - FIRST).days + 1
    for place, symbol in enumerate(world.symbols()):
        of_venue = engine.candles[place].within(MS_PER_HOUR, 0, day_start_ms(LAST) - 1)
        listing = engine.venue.state.listings[place]
        closes = [float(listing.px(candle.close)) for candle in of_venue]
        assert candles.filter(symbol=symbol)["close"].to_list() == closes
        assert len(closes) == days * 24
    assert len(lake.table(FundingTable).days(market="venue")) == days


def test_a_venue_that_is_not_there_is_an_error_with_what_to_do(tmp_path: Path) -> None:
    said = finish("run", "--base-url", "http://127.0.0.1:9", "--profile", "smoke", folder=tmp_path)
    assert said.code == 2
    assert "info meta" in said.err
    assert "network" in said.err
    assert "Traceback" not in said.err


def test_a_world_and_a_venue_at_once_are_refused(tmp_path: Path) -> None:
    said = finish("run", "--world", "demo", "--base-url", "http://127.0.0.1:9", folder=tmp_path)
    assert said.code == 2
    assert "a world and a venue" in said.err
