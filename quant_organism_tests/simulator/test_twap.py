"""TWAP orders: parts in time, what they miss and make up for, how they end, and how the wire shows it."""

import json
from decimal import Decimal
from typing import Any

import pytest
from websockets.sync.client import connect

from quant_organism.simulator.core import settlement
from quant_organism.simulator.core.venue import SimulatedVenue
from quant_organism.simulator.server.serving import RunningVenue
from quant_organism.venue.protocol import CancelTwap, PlaceTwap
from quant_organism_tests.simulator.conftest import TIMEOUT, act
from quant_organism_tests.simulator.fault_client import USER, Client, hear, subscribe
from quant_organism_tests.simulator.venues import BOB, ETH, fund, make_venue, order, place, quotes

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


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (twap(minutes=4), "Invalid TWAP duration."),
        (twap("0.05"), "Order must have minimum value of $10."),
        (twap("0.00001"), "Order has invalid size."),
        (PlaceTwap(9, True, D(1), False, 5, False), "Unknown asset."),
    ],
)
def test_refusals(venue: SimulatedVenue, wrong: PlaceTwap, text: str) -> None:
    assert status(venue.act(fund(venue), wrong))["error"] == f"{text} asset={wrong.asset}"
    assert venue.state.twaps == {}


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
