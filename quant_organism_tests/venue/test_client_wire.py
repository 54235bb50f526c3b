"""The client over a real socket: what every failure of the way becomes, and that nothing is sent twice."""

import json
import logging
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pybreaker import STATE_CLOSED, STATE_OPEN

from quant_organism.errors import InputError
from quant_organism.simulator.core.account import Agent
from quant_organism.trading.orders import cloid_of
from quant_organism.venue.client.hyperliquid import Fence, HyperliquidVenue, connect
from quant_organism.venue.client.network import Limits, VenueSpec
from quant_organism.venue.client.outcomes import Accepted, Rejected, Unknown, Why
from quant_organism.venue.client.requests import NewOrder, Trigger
from quant_organism.venue.client.transport import VenueRefused, VenueUnreachable, VenueUnreadable
from quant_organism.venue.keystore import wallet_of
from quant_organism_tests.simulator.loopback import Failure, LoopbackVenue, serving

KEY = "0x" + "0123456789" * 6 + "0123"
ADDRESS = wallet_of(KEY).address
AGENT_KEY = "0x" + "42" * 32
D = Decimal


@pytest.fixture
def server() -> Iterator[LoopbackVenue]:
    """Serve a venue."""
    with serving(ADDRESS) as venue:
        yield venue


def spec_of(server: LoopbackVenue, **changes: Any) -> VenueSpec:
    limits = Limits(info_attempts=3, breaker_failures=3, breaker_seconds=0.2)
    return replace(VenueSpec("simulator", ADDRESS, server.url, read_seconds=0.5, limits=limits), **changes)


@pytest.fixture
def venue(server: LoopbackVenue, tmp_path: Path) -> Iterator[HyperliquidVenue]:
    """Connect to it."""
    found = connect(spec_of(server), wallet_of(KEY), tmp_path)
    yield found
    found.close()


def bid(decision: str = "d", px: str = "1900", sz: str = "0.1", **changes: Any) -> NewOrder:
    return replace(NewOrder(cloid_of(decision), "ETH", True, D(px), D(sz)), **changes)


def once(endpoint: str, kind: str, failure: Failure) -> Any:
    """Fail the first request of a kind."""
    left = [failure]

    def inject(asked: str, body: dict[str, Any]) -> Failure | None:
        named = body.get("action", body).get("type")
        return left.pop() if left and (asked, named) == (endpoint, kind) else None

    return inject


def test_orders_of_every_kind_are_placed_amended_and_canceled(server: LoopbackVenue, venue: HyperliquidVenue) -> None:
    resting, taken = venue.place([bid("a"), bid("b", "2010", "0.2", tif="Ioc")], venue.draw_nonce())
    assert isinstance(resting, Accepted)
    assert resting.placed == "resting"
    assert taken == Accepted("filled", taken.oid, D("0.2"), D("2001.0"))  # type: ignore[union-attr]
    (amended,) = venue.amend([bid("a", "1950", "0.3")], venue.draw_nonce())
    assert isinstance(amended, Accepted)
    shown = venue.order_status(cloid_of("a"))
    assert shown is not None
    assert (shown.oid, shown.px, shown.left_sz) == (amended.oid, D(1950), D("0.3"))
    assert shown.oid > resting.oid  # type: ignore[operator]
    stop = bid("s", "1700", "0.2", is_buy=False, reduce_only=True, trigger=Trigger(D(1800), "sl"))
    assert isinstance(venue.place([stop], venue.draw_nonce())[0], Accepted)
    assert {order.cloid for order in venue.open_orders()} == {cloid_of("a"), cloid_of("s")}
    done = venue.cancel([("ETH", cloid_of("a")), ("ETH", cloid_of("s"))], venue.draw_nonce())
    assert done == [Accepted("done")] * 2
    assert venue.open_orders() == []
    (again,) = venue.cancel([("ETH", cloid_of("a"))], venue.draw_nonce())
    assert isinstance(again, Rejected)
    assert again.why is Why.NOT_OPEN
    assert [(item.coin, item.szi) for item in venue.account().positions] == [("ETH", D("0.2"))]
    (fill,) = venue.fills(0)
    assert (fill.cloid, fill.px, fill.sz, fill.is_buy) == (cloid_of("b"), D(2001), D("0.2"), True)
    assert venue.set_leverage("BTC", 5, venue.draw_nonce()) == Accepted("done")
    gate = venue.schedule_cancel(2_000_000_000_000, venue.draw_nonce())
    assert isinstance(gate, Rejected)
    assert gate.why is Why.VOLUME_GATE


BAD_ANSWERS = [
    Failure("after"),
    Failure("after", seconds=0.8, status=200, body=b"{}"),
    Failure("after", status=200, body=b""),
    Failure("after", status=200, body=b"null"),
    Failure("after", status=200, body=b'{"status":"ok","respon'),
    Failure("after", status=200, body=b"<html>busy</html>"),
    Failure("after", status=500, body=b"null"),
    Failure("after", status=502, body=b"<html>"),
    Failure("after", status=404, body=b'{"error":"no code"}'),
    Failure("after", status=404, body=b'"text"'),
    Failure("after", status=403, body=b'{"code":1,"msg":"m"}'),
    Failure("before"),
    Failure("before", status=503, body=b""),
]


@pytest.mark.parametrize(
    "failure", BAD_ANSWERS, ids=lambda failure: f"{failure.step}-{failure.status}-{failure.body!r}"
)
def test_an_action_without_a_usable_answer_is_unknown_and_sent_once(
    server: LoopbackVenue, venue: HyperliquidVenue, failure: Failure
) -> None:
    server.inject = once("exchange", "order", failure)
    (outcome,) = venue.place([bid()], venue.draw_nonce())
    assert isinstance(outcome, Unknown)
    assert sum(1 for endpoint, _ in server.requests if endpoint == "exchange") == 1
    assert len(server.orders(cloid_of("d"))) == (1 if failure.step == "after" else 0)


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (429, b"null", Why.IP_LIMIT),
        (422, b"Failed to deserialize the JSON body into the target type", Why.UNREADABLE),
        (415, b"Expected request with `Content-Type: application/json`", Why.UNREADABLE),
        (400, b"Failed to parse the request body as JSON", Why.UNREADABLE),
    ],
)
def test_what_the_venue_did_not_look_at_is_rejected(
    server: LoopbackVenue, venue: HyperliquidVenue, status: int, body: bytes, why: Why
) -> None:
    server.inject = once("exchange", "order", Failure("before", status=status, body=body))
    (outcome,) = venue.place([bid()], venue.draw_nonce())
    assert isinstance(outcome, Rejected)
    assert outcome.why is why


def test_an_action_that_never_left_is_rejected(tmp_path: Path) -> None:
    with serving(ADDRESS) as gone:
        other = connect(spec_of(gone), wallet_of(KEY), tmp_path / "other")
    with ThreadPoolExecutor(1) as pool:  # another thread has no connection that is still open
        (outcome,) = pool.submit(other.place, [bid()], other.draw_nonce()).result()
    assert isinstance(outcome, Rejected)
    assert outcome.why is Why.NOT_SENT


def test_fewer_statuses_than_orders_leave_all_unknown(server: LoopbackVenue, venue: HyperliquidVenue) -> None:
    def shortened(answer: Any) -> Any:
        answer["response"]["data"]["statuses"].pop()
        return answer

    server.inject = once("exchange", "order", Failure("after", edit=shortened))
    outcomes = venue.place([bid("a"), bid("b")], venue.draw_nonce())
    assert [type(outcome) for outcome in outcomes] == [Unknown, Unknown]


def test_questions_are_asked_again_until_they_are_answered(server: LoopbackVenue, venue: HyperliquidVenue) -> None:
    left = [Failure("before"), Failure("before", status=500, body=b"null")]
    server.inject = lambda endpoint, body: left.pop() if left and body["type"] == "allMids" else None
    assert venue.mids()["ETH"] == D(2000)
    assert sum(1 for _, body in server.requests if body.get("type") == "allMids") == 3


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (Failure("before"), VenueUnreachable),
        (Failure("before", status=500, body=b"null"), VenueUnreadable),
        (Failure("before", status=404, body=b'"text"'), VenueUnreadable),
        (Failure("after", status=200, body=b"<html>"), VenueUnreadable),
        (Failure("before", status=422, body=b"Failed"), VenueRefused),
    ],
)
def test_a_question_without_an_answer_ends_in_an_error_of_this_house(
    server: LoopbackVenue, venue: HyperliquidVenue, failure: Failure, error: type[Exception]
) -> None:
    server.inject = lambda endpoint, body: failure
    with pytest.raises(error):
        venue.mids()


def test_breakers_open_and_close_and_let_through_what_lessens_risk(
    server: LoopbackVenue, venue: HyperliquidVenue
) -> None:
    venue.place([bid("kept")], venue.draw_nonce())
    breaker = venue.transport.breakers["exchange"]
    server.inject = lambda endpoint, body: Failure("before") if body.get("action", {}).get("type") == "order" else None
    outcomes = [venue.place([bid(str(n))], venue.draw_nonce())[0] for n in range(4)]
    assert [type(outcome) for outcome in outcomes] == [Unknown, Unknown, Unknown, Rejected]
    assert outcomes[-1].why is Why.NOT_SENT  # type: ignore[union-attr]
    assert breaker.current_state == STATE_OPEN
    assert venue.cancel([("ETH", cloid_of("kept"))], venue.draw_nonce()) == [Accepted("done")]
    server.inject = lambda endpoint, body: None
    breaker.half_open()
    assert isinstance(venue.place([bid("last")], venue.draw_nonce())[0], Accepted)
    assert breaker.current_state == STATE_CLOSED


def test_a_refusal_of_the_venue_does_not_open_a_breaker(server: LoopbackVenue, venue: HyperliquidVenue) -> None:
    for number in range(6):
        (outcome,) = venue.place([bid(f"r{number}", "1900", "0.001")], venue.draw_nonce())
        assert isinstance(outcome, Rejected)
        assert outcome.why is Why.NOTIONAL
    assert venue.transport.breakers["exchange"].current_state == STATE_CLOSED


def test_a_fence_tells_what_never_came_from_what_did(server: LoopbackVenue, venue: HyperliquidVenue) -> None:
    lost, late = venue.draw_nonce(), venue.draw_nonce()
    server.inject = once("exchange", "order", Failure("before"))
    assert isinstance(venue.place([bid("lost")], lost)[0], Unknown)
    assert venue.fence(lost, venue.signer) is Fence.NEVER
    assert isinstance(venue.place([bid("lost")], lost)[0], Unknown)  # it comes after all: its nonce is gone
    assert server.orders(cloid_of("lost")) == []
    server.inject = once("exchange", "order", Failure("after"))
    assert isinstance(venue.place([bid("late")], late)[0], Unknown)
    assert venue.fence(late, venue.signer) is Fence.CLOSED
    server.inject = once("exchange", "noop", Failure("before"))
    assert venue.fence(venue.draw_nonce(), venue.signer) is Fence.UNSURE


def test_an_expired_action_is_refused_by_the_venue(server: LoopbackVenue, tmp_path: Path) -> None:
    venue = connect(spec_of(server, action_seconds=-1.0), wallet_of(KEY), tmp_path)
    (outcome,) = venue.place([bid()], venue.draw_nonce())
    assert isinstance(outcome, Rejected)
    assert outcome.why is Why.EXPIRED


@pytest.mark.parametrize("skew_ms", [120_000, -120_000, 0])
def test_what_is_signed_expires_by_the_venue_s_clock(server: LoopbackVenue, tmp_path: Path, skew_ms: int) -> None:
    server.skew_ms = skew_ms
    venue = connect(spec_of(server), wallet_of(KEY), tmp_path)
    assert isinstance(venue.place([bid()], venue.draw_nonce())[0], Accepted)
    (sent,) = [body for endpoint, body in server.requests if endpoint == "exchange"]
    lasts_ms = sent["expiresAfter"] - (sent["nonce"] + skew_ms)
    assert 25_000 <= lasts_ms <= 35_000
    assert abs(venue.venue_ms() - (sent["nonce"] + skew_ms)) <= 5_000
    venue.close()


def test_a_clock_that_jumps_costs_one_action_which_is_counted_as_the_venue_counts_it(
    server: LoopbackVenue, venue: HyperliquidVenue
) -> None:
    before = venue.budget.left(is_cancel=False)
    server.skew_ms = 120_000
    (outcome,) = venue.place([bid("a")], venue.draw_nonce())
    assert isinstance(outcome, Rejected)
    assert outcome.why is Why.EXPIRED
    assert venue.budget.left(is_cancel=False) == before - 5
    assert isinstance(venue.place([bid("b")], venue.draw_nonce())[0], Accepted)


def test_an_agent_trades_for_its_account_and_a_stranger_does_not(server: LoopbackVenue, tmp_path: Path) -> None:
    agent = wallet_of(AGENT_KEY)
    with pytest.raises(InputError, match="may not act for the account"):
        connect(spec_of(server), agent, tmp_path)
    server.account.agents = [Agent("trader", agent.address, 1 << 60)]
    venue = connect(spec_of(server), agent, tmp_path)
    assert isinstance(venue.place([bid()], venue.draw_nonce())[0], Accepted)
    assert [order.cloid for order in venue.open_orders()] == [cloid_of("d")]
    server.account.agents = []
    (outcome,) = venue.place([bid("revoked")], venue.draw_nonce())
    assert isinstance(outcome, Rejected)
    assert outcome.why is Why.WALLET


@pytest.mark.parametrize("mode", ["portfolioMargin", "aModeOf2031", None])
def test_an_account_whose_value_lies_elsewhere_is_refused(server: LoopbackVenue, tmp_path: Path, mode: Any) -> None:
    server.abstraction = mode
    with pytest.raises(InputError, match="not its equity"):
        connect(spec_of(server), wallet_of(KEY), tmp_path)
    server.abstraction = "default"
    connect(spec_of(server), wallet_of(KEY), tmp_path).close()  # the refused one holds nothing


def test_the_key_is_in_no_log_error_or_file(
    server: LoopbackVenue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    venue = connect(spec_of(server, limits=Limits(info_attempts=1)), wallet_of(KEY), tmp_path)
    shown = [repr(venue), repr(vars(venue)), repr(venue.transport.spec)]
    for failure in BAD_ANSWERS:
        server.inject = lambda endpoint, body, failure=failure: failure
        shown += [repr(outcome) for outcome in venue.place([bid()], venue.draw_nonce())]
        try:
            venue.mids()
        except Exception as error:
            shown += traceback.format_exception(error)
    shown += [record.getMessage() for record in caplog.records]
    shown += [path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    shown += [json.dumps(request) for request in server.requests]
    assert len(shown) > 30
    for secret in (KEY[2:], str(int(KEY, 16))):
        assert [text for text in shown if secret in text.lower()] == []
