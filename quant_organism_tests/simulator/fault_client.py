"""A plain client of a served venue, which arms faults and meets them."""

import json
import time
from typing import Any

import requests
from hyperliquid.utils.signing import sign_l1_action
from websockets.sync.client import ClientConnection, connect

from quant_organism.simulator.server.serving import RunningVenue
from quant_organism_tests.simulator.conftest import ALICE, NONCES, TIMEOUT

USER = ALICE.address.lower()


class Client:
    """A plain client of a served venue."""

    def __init__(self, served: RunningVenue) -> None:
        self.served, self.session = served, requests.Session()

    def fault(self, kind: str, **said: Any) -> None:
        assert self.admin("faults", {"kind": kind, **said}).status_code == 200

    def admin(self, name: str, body: dict[str, Any]) -> requests.Response:
        return requests.post(f"{self.served.url}/admin/{name}", json=body, timeout=TIMEOUT)

    def step(self, ms: int = 1_000) -> int:
        return int(self.admin("step", {"ms": ms}).json()["time"])

    def post(self, kind: str, **said: Any) -> requests.Response:
        return self.session.post(f"{self.served.url}/info", json={"type": kind, **said}, timeout=TIMEOUT)

    def info(self, kind: str, **said: Any) -> Any:
        return self.post(kind, **said).json()

    def act(self, action: dict[str, Any], nonce: int | None = None) -> requests.Response:
        nonce = next(NONCES) if nonce is None else nonce
        signature = sign_l1_action(ALICE, action, None, nonce, None, False)
        body = {"action": action, "nonce": nonce, "signature": signature}
        return self.session.post(f"{self.served.url}/exchange", json=body, timeout=TIMEOUT)

    def bid(self, factor: float = 0.9, count: int = 1, tif: str = "Gtc") -> requests.Response:
        px = str(round(float(self.info("allMids")["ETH"]) * factor))
        order = {"a": 2, "b": True, "p": px, "s": "0.2", "r": False, "t": {"limit": {"tif": tif}}}
        return self.act({"type": "order", "orders": [order] * count, "grouping": "na"})

    def open(self) -> int:
        return len(self.served.server.engine.venue.state.accounts[USER].open_oids)

    def socket(self) -> ClientConnection:
        return connect(self.served.url.replace("http", "ws") + "/ws", open_timeout=TIMEOUT)

    def log(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = requests.get(f"{self.served.url}/admin/faults", timeout=TIMEOUT).json()
        return found


def hear(socket: ClientConnection, channel: str | None = None) -> Any:
    """Return the next message, or the next of a channel."""
    end = time.monotonic() + 6 * TIMEOUT
    while time.monotonic() < end:
        text = socket.recv(timeout=TIMEOUT)
        if str(text).startswith("Websocket connection"):
            continue
        message = json.loads(text)
        if channel is None or message["channel"] == channel:
            return message
    raise AssertionError(f"no message of {channel} within {6 * TIMEOUT} s")


def subscribe(socket: ClientConnection, **sub: Any) -> None:
    socket.send(json.dumps({"method": "subscribe", "subscription": sub}))
