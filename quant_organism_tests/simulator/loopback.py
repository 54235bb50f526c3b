"""A venue on a loopback socket whose inside a test can look at: the simulator's core behind plain HTTP.

Signatures, nonces and orders are judged as by the simulator; the market stands still unless a test moves it. Failures
are injected by a function that is asked at each request.
"""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from quant_organism.simulator.core import lifecycle
from quant_organism.simulator.core.account import Account
from quant_organism.simulator.core.venue import err
from quant_organism.venue.protocol import (
    Malformed,
    NonceWindow,
    admission,
    meta_form,
    parse_action,
    signing,
    texts,
    usd,
)
from quant_organism_tests.simulator.venues import BTC, DOGE, ETH, fund, make_venue, quotes

ZERO_HASH = "0x" + "0" * 64
Step = Literal["before", "after"]


_MIDS = {"ETH": "2000.0", "BTC": "100000.0", "DOGE": "0.2"}


def _book(coin: str, now_ms: int) -> dict[str, Any]:
    """Return a level of each side, half of a thousandth from the mid."""
    prices = [f"{float(_MIDS[coin]) * factor:.5g}" for factor in (0.9995, 1.0005)]
    return {"coin": coin, "time": now_ms, "levels": [[{"px": px, "sz": "1.0", "n": 1}] for px in prices]}


@dataclass(frozen=True)
class Failure:
    """What happens to a request, before or after it is processed; with neither status nor body: a reset."""

    step: Step
    status: int | None = None
    body: bytes = b""
    seconds: float = 0.0
    edit: Callable[[Any], Any] | None = None


Injector = Callable[[str, dict[str, Any]], Failure | None]


class LoopbackVenue:
    """ETH at 2000, BTC at 100000 and DOGE at 0.2, quoted on both sides; one account with money."""

    def __init__(self, account: str) -> None:
        self.venue, self.lock = make_venue(), threading.RLock()
        self.account = fund(self.venue, account)
        for asset, bid, ask in ((ETH, "1999", "2001"), (BTC, "99990", "100010"), (DOGE, "0.199", "0.201")):
            quotes(self.venue, asset, bid, ask, 1_000_000 if asset == DOGE else 100)
        self.windows: dict[str, NonceWindow] = {}
        self.inject: Injector = lambda endpoint, body: None
        self.lag_seconds = 0.0
        self.skew_ms = 0
        self.abstraction: Any = "default"
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.url = ""
        self._seen: dict[int, float] = {}

    def orders(self, cloid: str | None = None) -> list[Any]:
        """Return all orders that ever were on the venue, or those of a client id."""
        with self.lock:
            found = [order for order in self.venue.state.orders.values() if order.account == self.account.address]
        return [order for order in found if cloid is None or order.cloid == cloid]

    def positions(self) -> dict[str, int]:
        """Return signed sizes in lots by coin."""
        with self.lock:
            listings = self.venue.state.listings
            return {listings[asset].instrument.name: held.szi for asset, held in self.account.positions()}

    def answer(self, endpoint: str, body: dict[str, Any]) -> Any:
        """Return the JSON of an answer."""
        with self.lock:
            self.venue.state.now_ms += 1
            return self._act(body) if endpoint == "exchange" else self._info(body)

    def _act(self, body: dict[str, Any]) -> Any:
        action, nonce, expires = body["action"], body["nonce"], body["expiresAfter"]
        signer = signing.l1_signer(
            action, body["signature"], nonce, vault=None, expires_after_ms=expires, mainnet=False
        )
        agents = [agent.address for agent in self.account.agents]
        if signer is None or signer not in (self.account.address, *agents):
            return err(texts.no_such_user(str(signer)))
        now, window = int(time.time() * 1000) + self.skew_ms, self.windows.setdefault(signer, NonceWindow())
        refused = window.refusal(nonce, now)
        if refused is not None:
            return err(refused)
        window.consume(nonce)
        if expires is not None and expires < now:
            return err("Action expired.")
        if admission.batch_length(action) > admission.MAX_ITEMS_PER_ACTION:
            return err(texts.OVER_WEIGHT)
        parsed = parse_action(action)
        return err(texts.UNSUPPORTED) if parsed is None else self.venue.act(self.account, parsed)

    def _visible(self, oid: int) -> bool:
        since = self._seen.setdefault(oid, time.monotonic())
        return time.monotonic() - since >= self.lag_seconds

    def _shown(self, oid: int) -> dict[str, Any]:
        orders = self.venue.state.orders
        return lifecycle.frontend_order(orders[oid], self.venue.state.listings[orders[oid].asset], orders)

    def _record(self, oid: int) -> dict[str, Any]:
        order = self.venue.state.orders[oid]
        return {"order": self._shown(oid), "status": order.status, "statusTimestamp": order.status_ms}

    def _info(self, body: dict[str, Any]) -> Any:
        state, account, kind = self.venue.state, self._asked(body), body["type"]
        if kind == "orderStatus":
            key = body["oid"]
            oid = account.cloids.get(key) if isinstance(key, str) else key
            if oid not in state.orders or not self._visible(oid):
                return {"status": "unknownOid"}
            return {"status": "order", "order": self._record(oid)}
        ledger = [{"time": row.time_ms, "hash": row.hash, "delta": row.delta} for row in account.ledger]
        answers: dict[str, Callable[[], Any]] = {
            "userFunding": lambda: [row for row in self._fundings(account) if row["time"] >= body["startTime"]],
            "userNonFundingLedgerUpdates": lambda: [row for row in ledger if row["time"] >= body["startTime"]],
            "meta": lambda: meta_form([listing.instrument for listing in state.listings.values()]),
            "perpDexs": lambda: [None],
            "spotMeta": lambda: {"universe": [{"name": "@367", "tokens": [9, 0], "index": 367}], "tokens": []},
            "userAbstraction": lambda: self.abstraction,
            "userRole": lambda: self._role(body["user"]),
            "userRateLimit": lambda: {"cumVlm": usd(account.volume), "nRequestsUsed": 0, "nRequestsCap": 10_000},
            "allMids": lambda: dict(_MIDS),
            "l2Book": lambda: _book(body["coin"], state.now_ms),
            "clearinghouseState": lambda: self._clearinghouse(account),
            "frontendOpenOrders": lambda: [self._shown(oid) for oid in account.open_oids if self._visible(oid)],
            "historicalOrders": lambda: [self._record(oid) for oid in reversed(account.history[-2_000:])],
            "twapHistory": lambda: list(reversed(account.twap_history)),
            "userFillsByTime": lambda: [
                lifecycle.fill_form(fill, state.listings[fill.asset])
                for fill in reversed(account.fills)
                if fill.time_ms >= body["startTime"] and self._visible(fill.oid)
            ],
        }
        return answers[kind]()

    def _fundings(self, account: Account) -> list[dict[str, Any]]:
        coins = {asset: listing.instrument.name for asset, listing in self.venue.state.listings.items()}
        return [
            {"time": row.time_ms, "hash": ZERO_HASH, "delta": {"coin": coins[row.asset], "usdc": usd(row.micro_usd)}}
            for row in account.fundings
        ]

    def _asked(self, body: dict[str, Any]) -> Account:
        return self.account if body.get("user") == self.account.address else Account("0x" + "0" * 40)

    def _role(self, address: str) -> dict[str, Any]:
        if any(agent.address == address for agent in self.account.agents):
            return {"role": "agent", "data": {"user": self.account.address}}
        return {"role": "user" if address == self.account.address else "missing"}

    def _clearinghouse(self, account: Account) -> dict[str, Any]:
        margin, listings = self.venue.core.margin(account, 0), self.venue.state.listings
        value = usd(margin.cross_equity())
        held = [
            {
                "coin": listings[asset].instrument.name,
                "szi": listings[asset].sz(holding.szi),
                "entryPx": "1.0",
                "liquidationPx": None,
                "leverage": {"type": "cross", "value": holding.leverage},
                "marginUsed": "0.0",
                "positionValue": usd(abs(holding.szi) * listings[asset].mark),
            }
            for asset, holding in account.positions()
        ]
        return {
            "marginSummary": {"accountValue": value, "totalMarginUsed": "0.0"},
            "withdrawable": value,
            "assetPositions": [{"type": "oneWay", "position": position} for position in held],
            "time": self.venue.state.now_ms,
        }


def _handler(venue: LoopbackVenue) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or the body of each answer waits 40 ms for the client to confirm the header

        def do_POST(self) -> None:
            try:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            except (OSError, ValueError, TypeError):  # the client was killed in the middle of it
                self.close_connection = True
                return
            endpoint = self.path.strip("/")
            venue.requests.append((endpoint, body))
            failure = venue.inject(endpoint, body)
            if failure is not None and failure.step == "before":
                self._fail(failure, None)
                return
            try:
                answer = venue.answer(endpoint, body)
            except Malformed:
                self._send(422, b"Failed to deserialize the JSON body into the target type")
                return
            if failure is None:
                self._send(200, json.dumps(answer).encode())
            else:
                self._fail(failure, answer)

        def _fail(self, failure: Failure, answer: Any) -> None:
            time.sleep(failure.seconds)
            if failure.edit is not None:
                self._send(200, json.dumps(failure.edit(answer)).encode())
            elif failure.status is not None:
                self._send(failure.status, failure.body)
            else:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()

        def _send(self, status: int, content: bytes) -> None:
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                self.close_connection = True

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(time.time() + venue.skew_ms / 1000 if timestamp is None else timestamp)

        def finish(self) -> None:
            try:
                super().finish()
            except (OSError, ValueError):
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            return

    return Handler


@contextmanager
def serving(account: str) -> Iterator[LoopbackVenue]:
    """Serve a venue for as long as the block lasts."""
    venue = LoopbackVenue(account)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(venue))
    server.daemon_threads = True
    server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    venue.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield venue
    finally:
        server.shutdown()
        thread.join(10.0)
        server.server_close()
