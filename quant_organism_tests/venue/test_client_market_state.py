"""The market at a moment, as recorded and as the simulator shows it; what is out of bounds is not believed."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from quant_organism.simulator import RunningVenue, Tape
from quant_organism.venue import HyperliquidVenue, VenueError
from quant_organism.venue.client.market_state import read_contexts, read_depth, read_fee_rates, read_room
from quant_organism.venue.client.transport import VenueUnreadable
from quant_organism.venue.protocol.decimals import MICRO_USD
from quant_organism_tests.simulator.conftest import make_server
from quant_organism_tests.trading.trader import ADDRESS, close, open_manager
from quant_organism_tests.venue.test_client_outcomes import sdk

D = Decimal
ROW = {
    "funding": "0.0000125",
    "openInterest": "688.11",
    "dayNtlVlm": "1169046.29406",
    "oraclePx": "14.32",
    "markPx": "14.3161",
    "midPx": None,
    "premium": None,
    "impactPxs": None,
}
ROOM = {
    "coin": "ETH",
    "leverage": {"type": "isolated", "value": 3, "rawUsd": "0.0"},
    "maxTradeSzs": ["1.5", "2.0"],
    "availableToTrade": ["10.0", "20.0"],
}


@pytest.fixture
def venue(small_tape: Tape, tmp_path: Path) -> Iterator[HyperliquidVenue]:
    """Connect to a simulator with ETH on `xyz`, where the account has money on both dexs."""
    server = make_server(small_tape.deployed({"ETH": "xyz"}))
    for dex in (0, 1):
        server.engine.deposit(ADDRESS, 5_000 * MICRO_USD, dex)
    with RunningVenue(server) as running:
        manager = open_manager(running.url, tmp_path)
        assert isinstance(manager.venue, HyperliquidVenue)
        yield manager.venue
        close(manager)


def test_the_simulator_is_seen_on_all_dexs(venue: HyperliquidVenue) -> None:
    contexts, mids = venue.contexts(), venue.mids()
    assert contexts.keys() == mids.keys() == {"BTC", "DOGE", "xyz:ETH"}
    for coin, context in contexts.items():
        assert abs(context.mark_px / context.oracle_px - 1) < D("0.02")
        assert context.mid_px == mids[coin]
        depth = venue.depth(coin)
        assert depth.bids[0].px < mids[coin] < depth.asks[0].px
        assert 0 < len(depth.bids) <= 20
    assert (venue.fee_rates().taker, venue.fee_rates().maker) == (D("0.00045"), D("0.00015"))
    assert abs(venue.venue_ms() - venue.transport.clock.now_ms()) < 5_000
    with pytest.raises(VenueError):
        venue.depth("NONE")


def test_room_to_trade_follows_the_leverage(venue: HyperliquidVenue) -> None:
    before = venue.room("BTC")
    assert (before.is_cross, before.buy_usd) == (True, D(5_000))
    venue.set_leverage("BTC", 4, venue.draw_nonce(), is_cross=False)
    after = venue.room("BTC")
    assert (after.leverage, after.is_cross) == (4, False)
    assert after.buy_sz < before.buy_sz
    assert after.mark_px is not None
    assert after.buy_sz * after.mark_px <= 4 * 5_000


def test_listings_are_read_anew_when_asked_for(venue: HyperliquidVenue) -> None:
    before = venue.listed("BTC")
    assert before.tiers[0].max_leverage == before.max_leverage
    cut = venue.transport.info

    def with_less(body: Any) -> Any:
        answer = cut(body)
        if body["type"] == "meta":
            for entry in answer["universe"]:
                entry["maxLeverage"], entry["marginTableId"] = 2, 2
        return answer

    venue.transport.info = with_less  # type: ignore[method-assign]
    assert venue.listed("BTC") == before
    venue.refresh_listings()
    assert (venue.listed("BTC").max_leverage, venue.listed("BTC").tiers[0].max_leverage) == (2, 2)


def test_recorded_contexts_and_books_are_read(shared_venue: Path) -> None:
    lines = (shared_venue / "jkorf_net" / "Endpoints_Futures_ExchangeData_GetExchangeInfoAndTickers.txt").read_text()
    import json

    contexts = read_contexts(json.loads(lines.split("\n", 3)[3]))
    assert (contexts["BTC"].mark_px, contexts["BTC"].premium) == (D("14.3161"), D("0.00031774"))
    book = sdk(shared_venue, "test_get_l2_snapshot.json")
    depth = read_depth(book, book["coin"])
    assert depth.bids[0].px < depth.asks[0].px


def test_a_coin_without_prices_is_left_out_and_holds_up_no_other() -> None:
    universe = {"universe": [{"name": name} for name in ("A", "B", "C", "D", "E")]}
    rows = [ROW, {**ROW, "markPx": "0.0"}, {**ROW, "oraclePx": "NaN"}, {**ROW, "funding": "0.5"}, None]
    contexts = read_contexts([universe, rows])
    assert list(contexts) == ["A"]
    assert (contexts["A"].mid_px, contexts["A"].premium) == (None, None)
    with pytest.raises(VenueUnreadable, match="5 coins and 1"):
        read_contexts([universe, [ROW]])


@pytest.mark.parametrize(
    "levels",
    [
        [[{"px": "1", "sz": "1", "n": 1}, {"px": "2", "sz": "1", "n": 1}], []],
        [[], [{"px": "2", "sz": "1", "n": 1}, {"px": "1", "sz": "1", "n": 1}]],
        [[{"px": "0", "sz": "1", "n": 1}], []],
        [[{"px": "1", "sz": "-1", "n": 1}], []],
        [[]],
        None,
    ],
)
def test_a_book_that_is_none_is_not_believed(levels: Any) -> None:
    assert read_depth({"coin": "ETH", "time": 1, "levels": [[], []]}, "ETH").bids == ()
    with pytest.raises(VenueUnreadable):
        read_depth({"coin": "ETH", "time": 1, "levels": levels}, "ETH")
    with pytest.raises(VenueUnreadable):
        read_depth({"coin": "BTC", "time": 1, "levels": [[], []]}, "ETH")


@pytest.mark.parametrize(
    "rates", [("0.45", "0.00015"), ("-0.0001", "0.00015"), ("0.00045", "-0.2"), ("NaN", "0"), (None, "0")]
)
def test_fees_out_of_bounds_are_not_believed(rates: tuple[str, str]) -> None:
    assert read_fee_rates({"userCrossRate": "0.00045", "userAddRate": "-0.00003"}).maker == D("-0.00003")
    with pytest.raises(VenueUnreadable):
        read_fee_rates({"userCrossRate": rates[0], "userAddRate": rates[1]})


@pytest.mark.parametrize(
    "change", [{"coin": "BTC"}, {"maxTradeSzs": ["1"]}, {"availableToTrade": None}, {"leverage": {"value": 0}}]
)
def test_room_of_something_else_is_not_believed(change: dict[str, Any]) -> None:
    room = read_room(ROOM, "ETH")
    assert (room.leverage, room.is_cross, room.buy_sz, room.sell_usd, room.mark_px) == (3, False, D("1.5"), 20, None)
    with pytest.raises(VenueUnreadable):
        read_room({**ROOM, **change}, "ETH")
