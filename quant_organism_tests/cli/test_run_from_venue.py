"""`quant-organism run --source hyperliquid`: the whole cycle, fed over the wire by the local exchange."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from quant_organism.deployment.repository import StrategyRepository
from quant_organism.market.lake import Lake
from quant_organism.market.schema import MS_PER_HOUR, day_start_ms
from quant_organism.market.tables import CandleTable, FundingTable
from quant_organism_tests.cli.over_the_wire import over_the_wire
from quant_organism_tests.program import Said
from quant_organism_tests.tiny import FIRST, LAST

BEFORE = LAST - timedelta(days=1)


@pytest.mark.slow
def test_a_cycle_over_the_wire_ends_with_strategies_bred_on_the_venues_bars() -> None:
    ran = over_the_wire()
    found, data_dir = ran.found, ran.folder / "data"
    assert (found["market"], found["date"]) == ("venue", BEFORE.isoformat())
    documents = StrategyRepository(data_dir / "strategies").load_all().documents
    assert [document.id for document in documents if document.provenance.market == "venue"]
    world, engine = ran.exchange()
    lake = Lake(data_dir / "lake")
    candles, days = lake.table(CandleTable).read(market="venue", interval="1h"), (BEFORE - FIRST).days + 1
    for place, symbol in enumerate(world.symbols()):
        of_venue = engine.candles[place].within(MS_PER_HOUR, 0, day_start_ms(LAST) - 1)
        listing = engine.venue.state.listings[place]
        closes = [float(listing.px(candle.close)) for candle in of_venue]
        assert candles.filter(symbol=symbol)["close"].to_list() == closes
        assert len(closes) == days * 24
    assert len(lake.table(FundingTable).days(market="venue")) == days


def test_a_venue_that_is_not_there_is_an_error_with_what_to_do(call: Callable[..., Said]) -> None:
    said = call("run", "--base-url", "http://127.0.0.1:9", "--profile", "smoke")
    assert said.code == 2
    assert "info meta" in said.err
    assert "network" in said.err
    assert "Traceback" not in said.err


def test_a_world_and_a_venue_at_once_are_refused(call: Callable[..., Said]) -> None:
    said = call("run", "--world", "demo", "--base-url", "http://127.0.0.1:9")
    assert said.code == 2
    assert "a world and a venue" in said.err
