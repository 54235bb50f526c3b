"""Any JSON may come in: it is answered or refused, never more, and nothing that is not signed changes anything."""

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quant_organism.simulator.market.tape import Tape
from quant_organism.simulator.server.envelope import read_envelope
from quant_organism.simulator.server.info import Broken, kinds
from quant_organism.simulator.server.subscriptions import KINDS, first_message, parse_subscription
from quant_organism.simulator.server.venue_server import VenueServer
from quant_organism.venue.protocol import Malformed
from quant_organism_tests.simulator.conftest import ALICE, make_server

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)  # beyond, the parser makes floats of them
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["ETH", "xyz", "", "1h", "0x" + "a1" * 20, ALICE.address, "0x" + "0b" * 16, "1.5", "spot"])
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
FIELDS = ("coin", "user", "dex", "oid", "startTime", "endTime", "nSigFigs", "mantissa", "interval", "aggregateByTime")
BODIES = st.fixed_dictionaries({}, optional={**dict.fromkeys(FIELDS, JSON), "req": JSON})
OFTEN = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def server(small_tape: Tape) -> VenueServer:
    """Return a venue with two dexs of three coins."""
    return make_server(small_tape.deployed({"DOGE": "xyz"}))


def belongings(server: VenueServer) -> str:
    """Return all that anybody has; quotes are made when they are looked at."""
    state = server.engine.venue.state
    return repr((state.accounts, state.orders, state.dexs, state.bridge, state.signers, state.twaps, state.now_ms))


@given(st.sampled_from(sorted(kinds())) | JSON, BODIES, st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3))
@OFTEN
def test_any_question_is_answered_or_refused(
    server: VenueServer, kind: Any, body: dict[str, Any], req: dict[str, Any]
) -> None:
    before = belongings(server)
    for asked in ({**body, "type": kind}, {**body, "type": kind, "req": req}):
        try:
            answer = server.answer_info(asked, orjson.dumps(repr(asked)))
        except (Malformed, Broken):
            continue
        orjson.dumps(answer)
    assert belongings(server) == before


@given(st.sampled_from(sorted(KINDS)) | JSON, BODIES)
@OFTEN
def test_any_subscription_is_made_or_refused(server: VenueServer, kind: Any, body: dict[str, Any]) -> None:
    before = belongings(server)
    try:
        sub = parse_subscription(server.engine, {**body, "type": kind})
    except Malformed:
        return
    orjson.dumps([sub.echo({**body, "type": kind}), first_message(server.engine, sub)], default=str)
    assert belongings(server) == before


ACTIONS = ("order", "modify", "batchModify", "cancel", "cancelByCloid", "twapOrder", "scheduleCancel", "updateLeverage")
PARTS = ("orders", "grouping", "oid", "order", "modifies", "cancels", "twap", "time", "asset", "isCross", "leverage")
MORE = (
    "ntli",
    "isBuy",
    "agentAddress",
    "agentName",
    "nonce",
    "hyperliquidChain",
    "signatureChainId",
    "amount",
    "token",
)
SENDING = ("destination", "sourceDex", "destinationDex", "fromSubAccount", "type")
STANDING = (
    "signers",
    "payload",
    "signatures",
    "code",
    "builder",
    "maxFeeRate",
    "abstraction",
    "enabled",
    "user",
    "name",
)
MOVING = ("name", "subAccountUser", "isDeposit", "usd", "vaultAddress", "toPerp")
OTHER_ACTIONS = (
    *(
        "updateIsolatedMargin",
        "approveAgent",
        "sendAsset",
        "twapCancel",
        "noop",
        "usdSend",
        "usdClassTransfer",
        "spotSend",
    ),
    *("withdraw3", "createSubAccount", "subAccountTransfer", "subAccountSpotTransfer", "vaultTransfer", "setReferrer"),
    *("approveBuilderFee", "userSetAbstraction", "userDexAbstraction", "agentSetAbstraction", "convertToMultiSigUser"),
    *("multiSig", "tokenDelegate", "perpDeploy"),
)


@given(
    st.sampled_from([*ACTIONS, *OTHER_ACTIONS]) | JSON,
    st.fixed_dictionaries({}, optional=dict.fromkeys((*PARTS, *MORE, *SENDING, *STANDING, *MOVING), JSON)),
    st.fixed_dictionaries({}, optional=dict.fromkeys(("nonce", "signature", "vaultAddress", "expiresAfter"), JSON)),
    st.integers(0, 1 << 256),
)
@OFTEN
def test_nothing_that_is_not_signed_does_anything(
    server: VenueServer, kind: Any, action: dict[str, Any], envelope: dict[str, Any], number: int
) -> None:
    before = belongings(server)
    signature = {"r": hex(number), "s": hex(number // 3 + 1), "v": 27}
    for body in (
        {"action": {**action, "type": kind}, **envelope},
        {"action": {**action, "type": kind}, "nonce": number % (1 << 62), "signature": signature, **envelope},
        {"action": {**action, "type": kind}, "nonce": 7, "signature": signature},
    ):
        try:
            read_envelope(body)
            answer, user = server.answer_exchange(body)
        except Malformed:
            continue
        assert (answer["status"], user) == ("err", None)
    assert belongings(server) == before


@given(JSON)
@OFTEN
def test_a_request_that_is_no_object_is_refused(server: VenueServer, body: Any) -> None:
    with pytest.raises(Malformed):
        server.answer_exchange(body)
