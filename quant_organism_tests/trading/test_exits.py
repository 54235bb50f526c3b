"""Exits that nothing can stop: not the number of orders, not a bad price, not a coin that nobody knows."""

from typing import Any

import pytest

from quant_organism.trading.orders import NotFlat, OrderManager, cancel_all, flatten, reconcile
from quant_organism.venue.protocol import MICRO_USD, PlaceTwap
from quant_organism_tests.simulator.loopback import Failure, LoopbackVenue
from quant_organism_tests.simulator.venues import DOGE, ETH, order, place
from quant_organism_tests.trading.trader import D, new_order

MANY = 5_000


def no_wait(_: float) -> None:
    """Let the next try follow at once."""


def rest(server: LoopbackVenue, count: int) -> None:
    """Have orders of somebody else's making rest on the account, which has traded enough to have so many."""
    server.account.volume = 20_000_000_000 * MICRO_USD
    with server.lock:
        for _ in range(count):
            place(server.venue, server.account, order(ETH, "buy", "0.0053", 1900))
    assert len(server.account.open_oids) == count


def spoil(server: LoopbackVenue, kind: str, edit: Any) -> None:
    """Have every answer to a question changed."""
    server.inject = lambda endpoint, body: (
        Failure("after", edit=edit) if endpoint == "info" and body["type"] == kind else None
    )


def test_the_watchdog_cancels_five_thousand_orders(server: LoopbackVenue, manager: OrderManager) -> None:
    rest(server, MANY)
    assert cancel_all(manager.venue, sleep=no_wait)
    assert server.account.open_oids == {}


def test_flattening_cancels_five_thousand_orders_that_are_not_ours(
    server: LoopbackVenue, manager: OrderManager
) -> None:
    rest(server, MANY)
    flatten(manager, "stop now", sleep=no_wait)
    assert server.account.open_oids == {}


def test_reconciling_cancels_foreign_orders_in_batches(server: LoopbackVenue, manager: OrderManager) -> None:
    rest(server, 450)
    before = len(server.requests)
    reconcile(manager, cancel_foreign=True)
    assert server.account.open_oids == {}
    assert sum(1 for endpoint, _ in server.requests[before:] if endpoint == "exchange") == 3


def test_an_order_of_a_coin_that_is_not_listed_holds_up_no_other(server: LoopbackVenue, manager: OrderManager) -> None:
    rest(server, 3)
    strange = {"coin": "@1", "side": "B", "limitPx": "1.0", "sz": "1.0", "oid": 7, "timestamp": 1, "origSz": "1.0"}
    spoil(server, "frontendOpenOrders", lambda answer: [strange, *answer])
    assert not cancel_all(manager.venue, attempts=2, sleep=no_wait)
    assert server.account.open_oids == {}


@pytest.mark.parametrize("bad", [{"sz": "NaN"}, {"limitPx": "oops"}, {"side": "C"}, {"sz": "-1.0"}])
def test_an_order_that_cannot_be_read_is_canceled_all_the_same(
    server: LoopbackVenue, manager: OrderManager, bad: dict[str, str]
) -> None:
    rest(server, 3)
    spoil(
        server,
        "frontendOpenOrders",
        lambda answer: [{**row, **(bad if at == 1 else {})} for at, row in enumerate(answer)],
    )
    assert cancel_all(manager.venue, attempts=5, sleep=no_wait)
    assert server.account.open_oids == {}


@pytest.mark.parametrize(
    "bad", ["oops", "NaN", "Infinity", "-2000.0", "0.0", "", None, 7, ["1"], "1e999", "1e-99", "10001"]
)
def test_a_bad_mid_of_one_coin_keeps_nothing_open(server: LoopbackVenue, manager: OrderManager, bad: Any) -> None:
    manager.place("d", [new_order("d", px="2010")])
    manager.place("e", [new_order("e", coin="DOGE", px="0.21", sz="500")])
    spoil(server, "allMids", lambda answer: {**answer, "ETH": bad})
    flatten(manager, "stop now", sleep=no_wait)
    assert server.positions() == {}


@pytest.mark.parametrize("bad", [{"szi": "NaN"}, {"szi": "many"}, {"leverage": None}])
def test_a_position_that_cannot_be_read_keeps_no_other_open(
    server: LoopbackVenue, manager: OrderManager, bad: dict[str, Any]
) -> None:
    manager.place("d", [new_order("d", px="2010")])
    manager.place("e", [new_order("e", coin="DOGE", px="0.21", sz="500")])

    def edit(answer: Any) -> Any:
        for item in answer["assetPositions"]:
            if item["position"]["coin"] == "ETH":
                item["position"] |= bad
        return answer

    spoil(server, "clearinghouseState", edit)
    with pytest.raises(NotFlat, match="ETH"):
        flatten(manager, "stop now", sleep=no_wait)
    assert server.positions() == {"ETH": 1_000}


def test_prices_that_cannot_be_had_are_replaced_by_marks(server: LoopbackVenue, manager: OrderManager) -> None:
    manager.place("d", [new_order("d", px="2010")])
    server.inject = lambda endpoint, body: (
        Failure("before", status=500, body=b"null") if body.get("type") == "allMids" else None
    )
    flatten(manager, "stop now", sleep=no_wait)
    assert server.positions() == {}


def test_a_mark_that_stands_far_from_its_book_is_not_the_price_where_no_mid_can_be_had(
    server: LoopbackVenue, manager: OrderManager
) -> None:
    manager.place("d", [new_order("d", px="2010")])

    def marked_up(answer: Any) -> Any:
        for item in answer["assetPositions"]:
            item["position"]["positionValue"] = str(float(item["position"]["positionValue"]) * 1.2)
        return answer

    edits = {"allMids": lambda answer: dict.fromkeys(answer, "oops"), "clearinghouseState": marked_up}
    server.inject = lambda endpoint, body: (
        Failure("after", edit=edits[body["type"]]) if endpoint == "info" and body["type"] in edits else None
    )
    flatten(manager, "stop now", sleep=no_wait)
    assert server.positions() == {}


def test_flattening_may_be_asked_for_again_under_the_same_name(server: LoopbackVenue, manager: OrderManager) -> None:
    for _ in range(2):
        manager.place("d", [new_order(f"d{len(server.orders())}", px="2010")])
        flatten(manager, "stop now", sleep=no_wait)
        assert server.positions() == {}


def begin_twap(server: LoopbackVenue, asset: int, sz: str, *, reduce_only: bool = False) -> None:
    """Have a TWAP order of ten minutes run; its first part trades at once."""
    with server.lock:
        server.venue.act(server.account, PlaceTwap(asset, True, D(sz), reduce_only, 10, False))


def test_flattening_ends_twap_orders_so_that_no_position_comes_back(
    server: LoopbackVenue, manager: OrderManager
) -> None:
    begin_twap(server, ETH, "10")
    begin_twap(server, DOGE, "50000")
    flatten(manager, "stop now", sleep=no_wait)
    with server.lock:
        server.venue.pass_time(server.venue.state.now_ms + 120_000)
    assert server.positions() == {}
    assert server.venue.state.twaps == {}


def test_the_watchdog_ends_twap_orders(server: LoopbackVenue, manager: OrderManager) -> None:
    begin_twap(server, ETH, "10")
    assert cancel_all(manager.venue, sleep=no_wait)
    assert server.venue.state.twaps == {}


def test_flattening_one_coin_leaves_the_twap_orders_of_others(server: LoopbackVenue, manager: OrderManager) -> None:
    begin_twap(server, ETH, "10")
    begin_twap(server, DOGE, "50000")
    flatten(manager, "stop now", coins=["ETH"], sleep=no_wait)
    assert [twap.asset for twap in server.venue.state.twaps.values()] == [DOGE]
