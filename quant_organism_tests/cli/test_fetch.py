"""`quant-organism data fetch`: from the local exchange into the lake, what is kept, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from quant_organism.market.lake import Lake
from quant_organism.market.schema import MS_PER_HOUR, Interval, day_start_ms
from quant_organism.market.world import WorldSource, load_world
from quant_organism.simulator import Engine, RunningVenue, ServerSpec, VenueClock, VenueServer, read_tape
from quant_organism_tests.program import Said
from quant_organism_tests.tiny import FIRST, LAST, write_world

Call = Callable[..., Said]


def test_a_venue_is_fetched_into_the_lake_and_kept(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_ORGANISM_MARKET__WEIGHT_PER_MINUTE", "1000000")
    world = WorldSource(load_world(str(write_world(tmp_path))))
    engine = Engine(read_tape(world, Interval.parse("1h")), day_start_ms(LAST) + MS_PER_HOUR)
    server = VenueServer(engine, VenueClock(engine.now_ms, 0, lambda: 0.0), ServerSpec(ip_weight_per_minute=None))
    with RunningVenue(server) as venue:
        where = ("--from", "hyperliquid", "--base-url", venue.url, "--symbols", "SIM-ONE", "--market", "venue")
        said = call("data", "fetch", *where, "--json")
        assert said.code == 0, said.err
    found = json.loads(said.out)
    assert (found["market"], found["first"], found["symbols"]) == ("venue", FIRST.isoformat(), ["SIM-ONE"])
    days = (LAST - FIRST).days  # the last one is not over
    lake = Lake(tmp_path / "data" / "lake")
    assert lake.read("candles", market="venue", interval="1h").height == 24 * days
    assert lake.read("funding", market="venue").height == 24 * days
    assert "Download" in said.err
    assert list((tmp_path / "data" / "venue").rglob("candles-1h-SIM-ONE*"))  # an answer is not asked for twice


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["--from", "ftp"], "--from ccxt:VENUE"),
        (["--from", "ccxt:okx"], "--symbols BTC,ETH"),
        (["--from", "hyperliquid", "--since", "yesterday"], "YYYY-MM-DD"),
        (["--from", "ccxt:okx", "--symbols", "BTC", "--base-url", "http://127.0.0.1:9"], "without --base-url"),
    ],
)
def test_what_cannot_be_fetched_is_said(call: Call, arguments: list[str], remedy: str) -> None:
    said = call("data", "fetch", *arguments, "--json")
    assert said.code == 2
    assert remedy in json.loads(said.out)["error"]["remedy"]
