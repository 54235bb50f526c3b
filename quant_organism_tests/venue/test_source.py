"""The venue as a source: the rows of its /info and nothing else, whole days, nothing that still forms."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from polars.testing import assert_frame_equal

from quant_organism.errors import InputError, IntegrityError
from quant_organism.market.ingest import ingest
from quant_organism.market.lake import Lake
from quant_organism.market.schema import Interval, day_of, day_start_ms
from quant_organism.market.table import check_frame
from quant_organism.market.tables import CandleTable, FundingTable
from quant_organism.market.world import load_world
from quant_organism.market.world.source import WorldSource
from quant_organism.venue.client.transport import VenueRefused, info_of
from quant_organism.venue.side_data import fetch_fear_greed
from quant_organism.venue.source import HyperliquidSource, market_name
from quant_organism_tests.simulator.wire_venue import HOUR, WireVenue, served
from quant_organism_tests.tiny import FIRST, LAST, write_world

FEAR_AND_GREED = b"""{"name": "Fear and Greed Index", "data": [
 {"value": "40", "value_classification": "Fear", "timestamp": "1551157200", "time_until_update": "68499"},
 {"value": "47", "value_classification": "Neutral", "timestamp": "1551070800"}],
 "metadata": {"error": null}}"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> WorldSource:
    """Return the market behind the wire."""
    return WorldSource(load_world(str(write_world(tmp_path_factory.mktemp("world")))))


def source_of(venue: WireVenue, **how: Any) -> HyperliquidSource:
    """Return a source that asks without a socket."""
    return HyperliquidSource(venue.ask, base_url="http://127.0.0.1:1", **how)


def test_candles_and_funding_are_those_behind_the_wire_page_by_page(world: WorldSource) -> None:
    venue = WireVenue(world, keeps=700)
    source = source_of(venue)
    venue.keeps = 5_000
    candles = source.candles(world.symbols(), HOUR, FIRST, LAST)
    assert_frame_equal(
        check_frame(candles, CandleTable.schema, where="test"), world.candles(world.symbols(), HOUR, FIRST, LAST)
    )
    funding = source.funding(world.symbols(), FIRST, LAST)
    assert_frame_equal(
        check_frame(funding, FundingTable.schema, where="test"), world.funding(world.symbols(), FIRST, LAST)
    )
    pages = [body for body in venue.asked if body["type"] == "fundingHistory"]
    assert len(pages) == len(world.symbols()) * 6, "2,879 settlements of a coin, 500 in an answer"


def test_where_an_answer_is_full_the_older_candles_are_asked_for(
    world: WorldSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quant_organism.venue.source.MAX_CANDLES", 700)
    source = source_of(WireVenue(world, keeps=700))
    assert_frame_equal(source.candles(["SIM-ONE"], HOUR, FIRST, LAST), world.candles(["SIM-ONE"], HOUR, FIRST, LAST))


def test_the_universe_keeps_the_delisted_and_the_span_ends_with_the_last_whole_day(world: WorldSource) -> None:
    venue = WireVenue(world)
    source = source_of(venue)
    assert source.symbols() == ("GONE", *world.symbols())
    assert source.span(HOUR) == (FIRST, LAST)
    venue.now_ms = day_start_ms(LAST + timedelta(days=1)) + 1_000
    assert source.span(HOUR) == (FIRST, LAST - timedelta(days=1))
    assert source.candles(["GONE"], HOUR, FIRST, LAST).is_empty()


@pytest.mark.parametrize("ahead_ms", [0, 1, 1_800_000, 3_599_999])
def test_a_forming_candle_is_not_handed_out(world: WorldSource, ahead_ms: int) -> None:
    venue = WireVenue(world)
    venue.now_ms = day_start_ms(LAST) + 5 * 3_600_000 + ahead_ms
    day = source_of(venue).candles(["SIM-ONE"], HOUR, LAST, LAST)
    assert day["timestamp"].dt.hour().to_list() == [0, 1, 2, 3, 4]


def test_what_closed_since_the_last_look_is_read_again(world: WorldSource) -> None:
    venue = WireVenue(world)
    venue.now_ms = day_start_ms(LAST) + 120_000
    source = source_of(venue)
    assert source.span(HOUR) == (FIRST, LAST - timedelta(days=1))
    assert source.candles(["SIM-ONE"], HOUR, LAST, LAST).is_empty()
    venue.now_ms = day_start_ms(LAST + timedelta(days=1)) + 120_000
    assert source.span(HOUR)[1] == LAST
    assert source.candles(["SIM-ONE"], HOUR, LAST, LAST).height == 24


def test_a_second_look_asks_only_for_what_is_new(world: WorldSource, tmp_path: Path) -> None:
    venue = WireVenue(world)
    venue.now_ms = day_start_ms(LAST) + 120_000
    before = LAST - timedelta(days=1)
    for end in (before, LAST):
        venue.asked.clear()
        source = source_of(venue, kept=tmp_path)
        source.candles(["SIM-ONE"], HOUR, FIRST, end)
        source.funding(["SIM-ONE"], FIRST, end)
        asked = [body for body in venue.asked if body["type"] in ("candleSnapshot", "fundingHistory")]
        venue.now_ms = day_start_ms(LAST + timedelta(days=1)) + 120_000
    assert [body["type"] for body in asked] == ["candleSnapshot", "fundingHistory"]
    assert asked[0]["req"]["startTime"] == asked[1]["startTime"] == day_start_ms(LAST)
    again = source_of(venue, kept=tmp_path)
    assert_frame_equal(again.candles(["SIM-ONE"], HOUR, FIRST, LAST), world.candles(["SIM-ONE"], HOUR, FIRST, LAST))
    assert_frame_equal(again.funding(["SIM-ONE"], FIRST, LAST), world.funding(["SIM-ONE"], FIRST, LAST))


def test_a_torn_file_of_kept_answers_is_named(world: WorldSource, tmp_path: Path) -> None:
    venue = WireVenue(world)
    source_of(venue, kept=tmp_path).candles(["SIM-ONE"], HOUR, FIRST, LAST)
    (file,) = tmp_path.rglob("*.zst")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(IntegrityError, match="delete it"):
        source_of(venue, kept=tmp_path).candles(["SIM-ONE"], HOUR, FIRST, LAST)


def test_what_the_venue_no_longer_has_is_said_plainly(world: WorldSource) -> None:
    source = source_of(WireVenue(world))
    earlier = FIRST - timedelta(days=30)
    assert source.candles(world.symbols(), HOUR, earlier, LAST)["timestamp"].dt.date().min() == FIRST
    (note,) = source.notes()
    assert f"no 1h candles before {FIRST}" in note
    assert "SIM-ONE, SIM-SIX, SIM-TWO" in note


def test_rows_that_cannot_be_read_are_set_aside_with_their_reason(world: WorldSource) -> None:
    venue = WireVenue(world)
    real = venue.ask

    def torn(body: Mapping[str, Any]) -> Any:
        answer = real(body)
        if body["type"] == "candleSnapshot" and answer:
            answer[3] = {**answer[3], "o": None}
            answer[5] = {**answer[5], "h": "0.000001"}
        return answer

    source = HyperliquidSource(torn, base_url="http://127.0.0.1:1")
    assert source.candles(["SIM-ONE"], HOUR, FIRST, FIRST).height == 22
    aside = source.set_aside()
    assert aside["reason"].to_list() == ["unreadable", "unreadable"]
    assert aside["timestamp"].dt.hour().to_list() == [3, 5]


@pytest.mark.parametrize("answer", [None, {"error": "x"}, [1], "no"])
def test_an_answer_that_says_nothing_is_an_error_not_an_empty_day(world: WorldSource, answer: Any) -> None:
    venue = WireVenue(world)
    source = HyperliquidSource(
        lambda body: answer if body["type"] == "fundingHistory" else venue.ask(body), base_url="http://127.0.0.1:1"
    )
    with pytest.raises(InputError, match="fundingHistory"):
        source.funding(["SIM-ONE"], FIRST, LAST)


def test_ingested_over_http_the_lake_holds_what_the_source_behind_the_wire_would_give(
    world: WorldSource, tmp_path: Path
) -> None:
    with served(WireVenue(world)) as url:
        source = HyperliquidSource(info_of(url, weight_per_minute=10**6), base_url=url, market="over-the-wire")
        ingest(source, Lake(tmp_path / "wire"), HOUR, FIRST, LAST, world.symbols())
    ingest(world, Lake(tmp_path / "direct"), HOUR, FIRST, LAST)
    wire, direct = Lake(tmp_path / "wire"), Lake(tmp_path / "direct")
    for dataset, interval in (("candles", "1h"), ("funding", None)):
        of_wire = wire.read(dataset, market="over-the-wire", interval=interval)
        assert_frame_equal(of_wire, direct.read(dataset, market=world.market, interval=interval))


@contextmanager
def answering(*answers: tuple[int, bytes]) -> Iterator[str]:
    """Serve these answers one after the other, the last for ever."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        timeout = 30  # one that asks nothing must not keep the server from ending

        def do_POST(self) -> None:
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_question_is_asked_again_where_the_answer_says_nothing() -> None:
    with answering((429, b"null"), (502, b"<html>"), (200, b"{"), (200, b'{"time": 1}')) as url:
        assert info_of(url)({"type": "exchangeStatus"}) == {"time": 1}
    with answering((422, b"Failed to deserialize")) as url, pytest.raises(VenueRefused, match="422"):
        info_of(url)({"type": "exchangeStatus"})


def test_the_index_is_read_from_its_publisher(tmp_path: Path) -> None:
    with answering((200, FEAR_AND_GREED)) as url:
        index = fetch_fear_greed(f"{url}/fng/?limit=0")
    assert index["fear_greed"].to_list() == [47.0, 40.0]
    source = HyperliquidSource(lambda body: None, base_url="http://127.0.0.1:1", index=index)
    assert source.sentiment(date(2019, 2, 26), date(2019, 2, 26))["fear_greed"].to_list() == [40.0]
    with answering((500, b"")) as url, pytest.raises(InputError, match="sentiment_url"):
        fetch_fear_greed(url)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.hyperliquid.xyz", "hyperliquid"),
        ("https://api.hyperliquid-testnet.xyz", "hyperliquid-testnet"),
        ("http://127.0.0.1:8123", "hyperliquid-127.0.0.1-8123"),
    ],
)
def test_venues_have_markets_of_their_own(url: str, name: str) -> None:
    assert market_name(url) == name


def test_recorded_answers_are_read(shared_venue: Path) -> None:
    folder = shared_venue / "hl_python_sdk" / "json"

    def recorded(body: Mapping[str, Any]) -> Any:
        name = {"candleSnapshot": "test_get_candles_snapshot", "fundingHistory": "test_get_funding_history[None]"}
        if body["type"] == "exchangeStatus":
            return {"time": 1_800_000_000_000}
        if body["type"] == "meta":
            return {"universe": [{"name": "kPEPE"}, {"name": "BTC"}]}
        entries = json.loads((folder / f"{name[body['type']]}.json").read_text())
        return next(entry["response"] for entry in entries if entry["request"]["type"] == body["type"])

    source = HyperliquidSource(recorded, base_url="http://127.0.0.1:1")
    rows = recorded({"type": "candleSnapshot"})
    coin, interval = rows[0]["s"], Interval.parse(rows[0]["i"])
    first, last = (day_of(pick(row["t"] for row in rows)) for pick in (min, max))
    assert source.candles([coin], interval, first, last).height == len(rows)
    assert source.set_aside().is_empty()
