"""The official SDK, which is among the packages of this project, driven as `make conformance` drives it."""

import pytest
from hyperliquid.exchange import Exchange

from quant_organism.simulator.server.serving import RunningVenue
from quant_organism_tests.conformance import official
from quant_organism_tests.conformance.trial import Trials

pytestmark = pytest.mark.usefixtures("sdk_nonces")


def test_every_method_of_the_exchange_is_tried() -> None:
    offered = official.methods_of(Exchange, official.NO_METHODS)
    assert offered == set(official.METHODS)


def test_every_method_and_stream_of_the_sdk_is_answered(served: RunningVenue) -> None:
    trials = Trials()
    official.drive(served.url, trials)
    assert [trial for trial in trials.found if trial.result == "failed"] == []
    assert {trial.method for trial in trials.found if trial.part == "WebSocket"} == set(official.STREAMS)
    refused = {trial.method.split("_")[0] for trial in trials.found if trial.result == "refused"}
    assert refused == {"spot", "perp", "c", "token", "gossip"}  # deploying, validating, staking, buying priority
