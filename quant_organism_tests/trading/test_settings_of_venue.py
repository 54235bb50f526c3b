"""What is set beside orders is written down before it is sent, sent once, and settled by asking."""

from types import SimpleNamespace
from typing import Any

import pytest

from quant_organism.errors import InputError
from quant_organism.trading.orders import (
    OrderManager,
    cloid_of,
    move_isolated_margin,
    reserve_requests,
    set_leverage,
)
from quant_organism.venue import Accepted, Listed, Rejected, Trigger, Unknown, Why
from quant_organism_tests.simulator.loopback import Failure, LoopbackVenue
from quant_organism_tests.simulator.venues import ETH
from quant_organism_tests.trading.trader import D, fail_once, new_order


def sent(server: LoopbackVenue, kind: str) -> list[dict[str, Any]]:
    """Return the actions of a kind that came."""
    return [
        body["action"]
        for endpoint, body in server.requests
        if endpoint == "exchange" and body["action"]["type"] == kind
    ]


def test_leverage_is_written_down_before_it_is_sent(server: LoopbackVenue, manager: OrderManager) -> None:
    seen: list[tuple[str, str]] = []

    def look(endpoint: str, body: dict[str, Any]) -> None:
        if endpoint == "exchange":
            (action,) = manager.journal.unsettled()
            seen.append((action.kind, action.text))

    server.inject = look
    assert set_leverage(manager, "ETH", 7, is_cross=False) == Accepted("done")
    assert seen == [("leverage", "ETH at 7x, isolated")]
    assert manager.journal.unsettled() == []
    holding = server.account.holdings[ETH]
    assert (holding.leverage, holding.is_cross) == (7, False)


@pytest.mark.parametrize(("failure", "leverage"), [(Failure("after"), 7), (Failure("before"), 20)])
def test_leverage_without_an_answer_is_settled_and_not_sent_again(
    server: LoopbackVenue, manager: OrderManager, failure: Failure, leverage: int
) -> None:
    manager.place("d", [new_order("d", px="2010")])
    fail_once(server, "updateLeverage", failure)
    assert isinstance(set_leverage(manager, "ETH", 7), Unknown)
    assert [action.kind for action in manager.journal.unsettled()] == ["leverage"]
    assert manager.settle() == []
    assert len(sent(server, "updateLeverage")) == 1
    assert server.account.holdings[ETH].leverage == leverage


def test_margin_moves_into_an_isolated_position_and_equity_stays(server: LoopbackVenue, manager: OrderManager) -> None:
    set_leverage(manager, "ETH", 10, is_cross=False)
    manager.place("d", [new_order("d", px="2010", sz="1")])
    before = server.account.holdings[ETH].raw
    assert move_isolated_margin(manager, "ETH", D("12.5")) == Accepted("done")
    assert server.account.holdings[ETH].raw - before == 12_500_000
    refused = move_isolated_margin(manager, "BTC", D(1))
    assert isinstance(refused, Rejected)
    assert refused.why is Why.LEVERAGE
    assert manager.journal.unsettled() == []


@pytest.mark.parametrize("usd", ["0", "0.0000001", "NaN", "Infinity"])
def test_margin_that_is_none_is_not_sent(server: LoopbackVenue, manager: OrderManager, usd: str) -> None:
    with pytest.raises(InputError):
        move_isolated_margin(manager, "ETH", D(usd))
    assert sent(server, "updateIsolatedMargin") == []


@pytest.mark.parametrize("leverage", [0, -1, 51])
def test_leverage_that_the_venue_does_not_have_is_not_sent(
    server: LoopbackVenue, manager: OrderManager, leverage: int
) -> None:
    with pytest.raises(InputError, match="1 to 50"):
        set_leverage(manager, "ETH", leverage)
    assert sent(server, "updateLeverage") == []


@pytest.mark.parametrize("leverage", [1, 50])
def test_the_least_and_the_most_leverage_of_the_venue_are_sent(
    server: LoopbackVenue, manager: OrderManager, leverage: int
) -> None:
    assert set_leverage(manager, "ETH", leverage) == Accepted("done")
    assert [action["leverage"] for action in sent(server, "updateLeverage")] == [leverage]
    assert [action["isCross"] for action in sent(server, "updateLeverage")] == [True]


@pytest.mark.parametrize("is_cross", [True, False, None])
def test_cross_margin_is_not_sent_where_there_is_only_isolated(is_cross: bool | None) -> None:
    listed = Listed("ETH", 0, 4, 50, only_isolated=True, is_delisted=False, tiers=())
    manager: Any = SimpleNamespace(
        venue=SimpleNamespace(listed=lambda coin: listed), set_aside=lambda kind, what, send: (kind, what)
    )
    if is_cross is False:
        assert set_leverage(manager, "ETH", 7, is_cross=False) == ("leverage", "ETH at 7x, isolated")
    else:
        with pytest.raises(InputError, match="it has isolated margin only"):
            set_leverage(manager, "ETH", 7, **({} if is_cross is None else {"is_cross": is_cross}))


@pytest.mark.parametrize("usd", ["0.000001", "-0.000001"])
def test_a_millionth_of_a_dollar_is_margin(server: LoopbackVenue, manager: OrderManager, usd: str) -> None:
    move_isolated_margin(manager, "ETH", D(usd))
    assert [action["ntli"] for action in sent(server, "updateIsolatedMargin")] == [int(D(usd) * 1_000_000)]


@pytest.mark.parametrize("count", [-1, 0, 1_000_001])
def test_no_request_is_bought_and_no_more_than_a_million(
    server: LoopbackVenue, manager: OrderManager, count: int
) -> None:
    with pytest.raises(InputError, match=f"{count} requests"):
        reserve_requests(manager, count)
    assert sent(server, "reserveRequestWeight") == []


@pytest.mark.parametrize("count", [1, 1_000_000])
def test_one_request_may_be_bought_and_a_million(server: LoopbackVenue, manager: OrderManager, count: int) -> None:
    reserve_requests(manager, count)
    assert [action["weight"] for action in sent(server, "reserveRequestWeight")] == [count]


def test_requests_are_bought_by_number(server: LoopbackVenue, manager: OrderManager) -> None:
    with pytest.raises(InputError):
        reserve_requests(manager, 0)
    outcome = reserve_requests(manager, 500)
    assert sent(server, "reserveRequestWeight") == [{"type": "reserveRequestWeight", "weight": 500}]
    assert not isinstance(outcome, Unknown)
    assert manager.journal.unsettled() == []


def test_what_was_paid_for_counts_into_the_budget(server: LoopbackVenue, manager: OrderManager) -> None:
    budget = manager.venue.budget  # type: ignore[attr-defined]
    before = budget.left(is_cancel=False)
    fail_once(server, "userRateLimit", Failure("after", edit=lambda row: {**row, "nRequestsCap": 10_500}))
    manager.venue.refresh_budget()  # type: ignore[attr-defined]
    assert budget.left(is_cancel=False) == before + 500


def test_a_stop_entry_is_written_down_as_one(server: LoopbackVenue, manager: OrderManager) -> None:
    """The venue has been seen to refuse such orders; what it says is believed."""
    entry = new_order("d", px="2300", trigger=Trigger(D(2200), "sl", opens=True))
    (record,) = manager.place("d", [entry])
    assert (record.state, record.order) == ("rejected", entry)
    assert manager.journal.order(cloid_of("d")).order.trigger == entry.trigger
