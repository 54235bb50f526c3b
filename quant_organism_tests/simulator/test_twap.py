"""TWAP orders: parts in time, what they miss and make up for, how they end, and how the wire shows it."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from websockets.sync.client import connect

from quant_organism.simulator.core import settlement
from quant_organism.simulator.core.account import Account, Filled
from quant_organism.simulator.core.venue import SimulatedVenue
from quant_organism.simulator.server.serving import RunningVenue
from quant_organism.venue.protocol import MICRO_USD, CancelTwap, PlaceTwap, texts
from quant_organism_tests.simulator.conftest import TIMEOUT, act
from quant_organism_tests.simulator.fault_client import USER, Client, hear, subscribe
from quant_organism_tests.simulator.venues import (
    ALICE,
    BOB,
    BTC,
    DOGE,
    ETH,
    fund,
    held,
    make_venue,
    order,
    place,
    quotes,
)

D = Decimal
PARTS = 11
"""Of five minutes: one at once, then one every half minute."""


def twap(sz: str = "1.1", *, is_buy: bool = True, minutes: int = 5, reduce_only: bool = False, **how: Any) -> PlaceTwap:
    return PlaceTwap(ETH, is_buy, D(sz), reduce_only, minutes, how.get("randomize", False))


@pytest.fixture
def venue() -> SimulatedVenue:
    found = make_venue()
    quotes(found, ETH, 1999, 2001, sz=1000)
    return found


def status(answer: dict[str, Any]) -> Any:
    return answer["response"]["data"]["status"]


def wait(venue: SimulatedVenue, seconds: int) -> None:
    venue.pass_time(venue.state.now_ms + seconds * 1000)


def test_equal_parts_every_half_minute(venue: SimulatedVenue) -> None:
    alice = fund(venue)
    number = status(venue.act(alice, twap()))["running"]["twapId"]
    for part in range(1, PARTS + 1):
        assert alice.holdings[ETH].szi == part * 1_000
        assert venue.next_ms() == (venue.state.now_ms + 30_000 if part < PARTS else None)
        wait(venue, 30)
    assert {fill.twap for fill in alice.fills} == {number}
    assert [row["status"]["status"] for row in alice.twap_history] == ["activated", "finished"]
    assert alice.twap_history[-1]["state"]["executedSz"] == "1.1"
    assert alice.twap_history[-1]["state"]["executedNtl"] == "2201.1"
    assert settlement.total_money(venue.core) == 0


def test_parts_that_find_nothing_are_made_up_for_by_at_most_three_at_a_time(venue: SimulatedVenue) -> None:
    alice = fund(venue)
    venue.withdraw_quotes(ETH)
    venue.act(alice, twap())
    wait(venue, 30 * 4)
    assert alice.holdings[ETH].szi == 0
    quotes(venue, ETH, 1999, 2001, sz=1000)
    held = []
    for _ in range(5, PARTS):
        wait(venue, 30)
        held.append(alice.holdings[ETH].szi)
    assert held == [3_000, 6_000, 8_000, 9_000, 10_000, 11_000]


def test_a_part_may_be_the_least_that_can_be_traded(venue: SimulatedVenue) -> None:
    alice = fund(venue)
    place(venue, alice, order(ETH, "sell", "0.0061", 1999, "Ioc"), order(ETH, "buy", "0.006", 2001, "Ioc"))
    assert alice.holdings[ETH].szi == -1
    venue.act(alice, twap(reduce_only=True))
    assert alice.holdings[ETH].szi == 0


@pytest.mark.parametrize(("more_ms", "held"), [(0, 2_000), (1, 1_000)])
def test_while_only_post_only_orders_are_taken_no_part_is_traded(
    venue: SimulatedVenue, more_ms: int, held: int
) -> None:
    alice = fund(venue)
    venue.act(alice, twap())
    venue.state.post_only_until_ms = venue.state.now_ms + 30_000 + more_ms
    wait(venue, 30)
    assert alice.holdings[ETH].szi == held


def test_no_part_pays_more_than_three_percent_beyond_the_mark(venue: SimulatedVenue) -> None:
    alice = fund(venue)
    venue.withdraw_quotes(ETH)
    quotes(venue, ETH, 1900, 2061, sz=1000)
    venue.act(alice, twap())
    wait(venue, 600)
    assert alice.fills == []
    assert [row["status"]["status"] for row in alice.twap_history] == ["activated", "finished"]


def test_with_randomness_the_parts_vary_and_the_whole_does_not(venue: SimulatedVenue) -> None:
    alice = fund(venue)
    venue.act(alice, twap(randomize=True))
    for _ in range(PARTS):
        wait(venue, 30)
    sizes = [fill.sz for fill in alice.fills]
    assert len(set(sizes)) > 5
    assert sum(sizes) == 11_000


def test_a_reducing_one_never_turns_the_position(venue: SimulatedVenue) -> None:
    alice = fund(venue)
    place(venue, alice, order(ETH, "buy", "0.5", 2001, "Ioc"))
    assert "error" in status(venue.act(alice, twap(reduce_only=True)))
    venue.act(alice, twap(is_buy=False, reduce_only=True))
    wait(venue, 600)
    assert alice.holdings[ETH].szi == 0
    assert sum(fill.sz for fill in alice.fills if fill.twap is not None) == 5_000
    assert len(alice.history) == 1 + 5  # nothing more is sent once all is closed


def test_it_ends_when_its_owner_wants(venue: SimulatedVenue) -> None:
    alice, bob = fund(venue), fund(venue, BOB)
    number = status(venue.act(alice, twap()))["running"]["twapId"]
    assert "error" in status(venue.act(bob, CancelTwap(ETH, number)))
    assert status(venue.act(alice, CancelTwap(ETH, number))) == "success"
    wait(venue, 600)
    assert alice.holdings[ETH].szi == 1_000
    error = status(venue.act(alice, CancelTwap(ETH, number)))["error"]
    assert error == "TWAP was never placed, already canceled, or filled. asset=0"


def begin(venue: SimulatedVenue, account: Account, **how: Any) -> Any:
    settings = {"asset": ETH, "is_buy": True, "sz": D("1.1"), "reduce_only": False, "minutes": 5} | how
    return status(venue.act(account, PlaceTwap(**settings, randomize=False)))


class TestLevels:
    @pytest.mark.parametrize(
        ("how", "text"),
        [
            ({"minutes": 4, "sz": D(9)}, texts.TWAP_MINUTES),
            ({"minutes": 5}, None),
            ({"minutes": 1_440, "sz": D(100)}, None),
            ({"minutes": 1_441, "sz": D(100)}, texts.TWAP_MINUTES),
            ({"sz": D("0.055")}, None),  # eleven parts of ten dollars
            ({"sz": D("0.0549")}, texts.MIN_NOTIONAL),
            ({"sz": D(0)}, texts.INVALID_SIZE),
            ({"sz": D(-1)}, texts.INVALID_SIZE),
            ({"sz": D("0.00001")}, texts.INVALID_SIZE),
            ({"sz": D("0.0001")}, texts.MIN_NOTIONAL),
            ({"asset": 99}, texts.UNKNOWN_ASSET),
        ],
    )
    def test_what_is_refused_does_not_run(self, venue: SimulatedVenue, how: dict[str, Any], text: str | None) -> None:
        found = begin(venue, fund(venue, usd=10**6), **how)
        assert found.get("error") == (None if text is None else f"{text} asset={how.get('asset', ETH)}")
        assert len(venue.state.twaps) == (text is None)

    @pytest.mark.parametrize(("szi", "closes"), [(20_000, False), (1, False), (0, None), (-1, True), (-20_000, True)])
    def test_one_that_only_reduces_has_something_to_reduce(
        self, venue: SimulatedVenue, szi: int, closes: bool | None
    ) -> None:
        account = held(venue, ALICE, szi, 10_000 * MICRO_USD)
        for is_buy in (True, False):
            found = begin(venue, account, is_buy=is_buy, reduce_only=True)
            assert ("running" in found) == (is_buy is closes)

    def test_it_is_ended_by_its_number_and_asset(self, venue: SimulatedVenue) -> None:
        account, other = fund(venue), fund(venue, BOB)
        number = begin(venue, account)["running"]["twapId"]
        for who, asset, which in ((account, BTC, number), (other, ETH, number), (account, ETH, number + 1)):
            refused = status(venue.act(who, CancelTwap(asset, which)))
            assert refused == {"error": f"{texts.NO_TWAP} asset={asset}"}
        assert status(venue.act(account, CancelTwap(ETH, number))) == "success"
        assert account.twap_history[-1]["status"] == {"status": "terminated"}
        assert venue.next_ms() is None

    def test_of_an_asset_that_is_delisted_it_ends_with_its_next_part(self, venue: SimulatedVenue) -> None:
        account = fund(venue)
        begin(venue, account)
        listing = venue.state.listings[ETH]
        listing.instrument = replace(listing.instrument, is_delisted=True)
        venue.pass_time(venue.state.now_ms + 29_999)
        assert len(venue.state.twaps) == 1
        venue.pass_time(venue.state.now_ms + 1)
        assert venue.state.twaps == {}
        assert account.twap_history[-1]["status"] == {"status": "terminated"}
        assert len(account.fills) == 1

    @pytest.mark.parametrize(("usd", "fills"), [(10, 1), (9, 0)])
    def test_a_part_that_nobody_can_pay_for_is_not_traded(self, venue: SimulatedVenue, usd: int, fills: int) -> None:
        """A tenth of an ETH at 3 % above the mark takes 10.30 USD at 20 times."""
        account = fund(venue, usd=usd)
        account.cross_raw[0] += 300_000
        begin(venue, account)
        assert len(account.fills) == fills
        assert len(account.history) == fills

    def test_parts_of_several_come_in_the_order_of_their_times(self, venue: SimulatedVenue) -> None:
        early, late = fund(venue), fund(venue, BOB)
        begin(venue, early)
        venue.pass_time(venue.state.now_ms + 10_000)
        begin(venue, late)
        assert venue.next_ms() == venue.state.now_ms + 20_000
        venue.core.drain()
        venue.pass_time(venue.state.now_ms + 60_000)
        filled = [event.account for event in venue.core.drain() if isinstance(event, Filled)]
        assert filled == [early.address, late.address] * 2
        assert venue.next_ms() == venue.state.now_ms + 20_000

    @pytest.mark.parametrize("is_buy", [True, False])
    def test_a_part_is_worth_the_least_price_at_least(self, venue: SimulatedVenue, is_buy: bool) -> None:
        venue.state.listings[DOGE].mark = 1
        venue.core.refresh()
        venue.quote(DOGE, 1, 10**9, is_buy=not is_buy)
        account = fund(venue)
        begin(venue, account, asset=DOGE, is_buy=is_buy, sz=D(110_000_000))
        assert [(fill.px, fill.sz) for fill in account.fills] == [(1, 10_000_000)]

    def test_while_trading_is_halted_no_part_is_traded(self, venue: SimulatedVenue) -> None:
        account = fund(venue)
        begin(venue, account)
        venue.state.listings[ETH].halted = True
        venue.pass_time(venue.state.now_ms + 30_000)
        venue.state.listings[ETH].halted = False
        assert account.holdings[ETH].szi == 1_000
        venue.pass_time(venue.state.now_ms + 30_000)
        assert account.holdings[ETH].szi == 3_000


def test_the_wire(served: RunningVenue) -> None:
    client = Client(served)
    with connect(served.url.replace("http", "ws") + "/ws", open_timeout=TIMEOUT) as socket:
        for kind in ("userTwapHistory", "userTwapSliceFills"):
            subscribe(socket, type=kind, user=USER)
            assert hear(socket, kind)["data"]["isSnapshot"] is True
        # the request as it was recorded, of another asset
        placed = act(
            served, {"type": "twapOrder", "twap": {"a": 2, "b": True, "s": "1.1", "r": False, "m": 5, "t": False}}
        )
        assert (placed["status"], placed["response"]["type"]) == ("ok", "twapOrder")
        number = placed["response"]["data"]["status"]["running"]["twapId"]
        assert hear(socket, "userTwapHistory")["data"]["history"][0]["status"] == {"status": "activated"}
        first = hear(socket, "userTwapSliceFills")["data"]["twapSliceFills"][0]
        assert first["twapId"] == first["fill"]["twapId"] == number
    client.step(60_000)
    assert len(client.info("userTwapSliceFills", user=USER)) == 3
    canceled = act(served, {"type": "twapCancel", "a": 2, "t": number})
    assert canceled == {"status": "ok", "response": {"type": "twapCancel", "data": {"status": "success"}}}
    snapshot = served.server.engine.snapshot()
    served.server.engine.restore(snapshot)
    assert json.loads(served.server.engine.snapshot()) == json.loads(snapshot)
