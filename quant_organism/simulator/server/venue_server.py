"""The venue as a service: clock, faults and limits around the engine; no HTTP in it."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from quant_organism.errors import InputError
from quant_organism.simulator.engine import Engine
from quant_organism.simulator.faults import effects as market_faults
from quant_organism.simulator.faults.effects import distort
from quant_organism.simulator.faults.injector import Circumstances, FaultInjector
from quant_organism.simulator.faults.plan import Fault, FaultPlan
from quant_organism.simulator.server import info
from quant_organism.simulator.server.actions import ActionDesk, WeightBucket
from quant_organism.simulator.server.envelope import Envelope, read_envelope
from quant_organism.simulator.server.hub import Hub, on_loop
from quant_organism.simulator.server.market_views import spot_tokens
from quant_organism.simulator.spec import ServerSpec, VenueClock
from quant_organism.venue.protocol import admission

TICK_SECONDS: Final = 0.05


class VenueServer:
    """Engine, clock, faults, limits and subscribers, as the endpoints use them.

    Parameters
    ----------
    engine
        The venue.
    clock
        Its time.
    spec
        Limits and habits.
    plan
        Faults from the beginning on; more can be added.
    wall_ms
        The wall clock, in ms, by which nonces are judged unless the venue's time is.
    """

    def __init__(
        self,
        engine: Engine,
        clock: VenueClock,
        spec: ServerSpec | None = None,
        plan: FaultPlan | None = None,
        wall_ms: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self.engine, self.clock, self.spec = engine, clock, spec or ServerSpec()
        self.injector = FaultInjector(plan or FaultPlan(), lambda: self.engine.now_ms)
        self.hub = Hub(engine, self.injector, self.spec.push_interval_ms)
        self.desk = ActionDesk(engine, self.spec, self.signing_time, self._refusal)
        self.transports: dict[tuple[str, int], asyncio.Transport] = {}
        """Of the connected clients, by their address: for faults that break connections."""
        self.loop: asyncio.AbstractEventLoop | None = None
        """Which serves the clients, while one does; a transport may be touched by its thread alone."""
        self._wall_ms = wall_ms
        self._buckets: dict[str, WeightBucket] = {}
        self._answers: dict[bytes, Any] = {}
        self._tell_clock(self.engine.now_ms)
        self._turn()

    def catch_up(self) -> None:
        """Let the venue reach the clock's time, faults of the venue beginning and ending on the way."""
        if self.clock.is_stepped:  # nothing moves but by a step, which another thread may be taking just now
            self._tell_clock(self.engine.now_ms)
        else:
            self.advance(self.clock.now_ms())

    def advance(self, to_ms: int) -> None:
        """Let the venue reach a time."""
        self._tell_clock(to_ms)
        while True:
            due = self.injector.next_turn_ms()
            if due is None or due > to_ms:
                break
            self.engine.advance(due)
            self._turn()
        self.engine.advance(to_ms)
        self._tell_clock(to_ms)
        self.hub.publish_states()

    def step(self, to_ms: int) -> None:
        """Set the clock on to a time and let the venue reach it."""
        self.clock.set(max(to_ms, self.engine.now_ms))
        self.advance(max(to_ms, self.engine.now_ms))

    def add_fault(self, fault: Fault) -> int:
        """Arm a fault; return its number.

        Raises
        ------
        InputError
            It begins at once and cannot: it names no coin or user that exists.
        """
        number = self.injector.add(fault)
        for error in self._turn():
            raise error
        return number

    def clear_faults(self) -> None:
        """Disarm all faults and end what lasts."""
        self.injector.clear()
        self._turn()

    def restore(self, snapshot: bytes) -> None:
        """Become what a snapshot says, and go on from its time."""
        self.engine.restore(snapshot)
        self.clock.set(self.engine.now_ms)
        self._tell_clock(self.engine.now_ms)

    def signing_time(self) -> int:
        """Return the time in ms by which nonces, expiry, agents and scheduled cancels are judged."""
        now = self._wall_ms() if self.spec.clock == "wall" else self.engine.now_ms
        for fault in self.injector.lasting("clock_offset"):
            drifted = self.engine.now_ms * fault.number("ppm", 0.0) / 1e6 if fault.options.get("ppm") else 0.0
            now += int(fault.number("ms", 0.0) + drifted)
        return now

    def break_connections(self) -> None:
        """Reset the connections of all clients without a word; any thread may."""
        if self.loop is not None:
            for transport in list(self.transports.values()):
                on_loop(self.loop, transport.abort)

    def _tell_clock(self, to_ms: int) -> None:
        """Tell the venue how far its other clock is ahead of its time, or will be when it reaches a time."""
        here = max(to_ms, self.engine.now_ms) if self.spec.clock == "wall" else self.engine.now_ms
        self.engine.venue.core.clock_ahead_ms = self.signing_time() - here

    def take_weight(self, client: str, weight: int) -> bool:
        """Charge a client for a request; say whether it had any weight left."""
        limit = self.spec.ip_weight_per_minute
        if self.injector.lasting("exhaust_ip"):
            return False
        if limit is None:
            return True
        return self._buckets.setdefault(client, WeightBucket(limit)).take(weight, self.engine.now_ms)

    def answer_info(self, body: Mapping[str, Any], key: bytes = b"") -> Any:
        """Return the answer to a question.

        Raises
        ------
        Malformed
            It cannot be read.
        Broken
            The venue breaks at it.
        """
        kind = str(body.get("type"))
        lag, stale = 0, False
        for fault in self.injector.strike("info", self.circumstances("info", body)):
            lag = max(lag, int(fault.number("ms", 700))) if fault.kind == "visibility_lag" else lag
            stale = stale or fault.kind == "stale_answer"
        if stale and key in self._answers:
            return self._answers[key]
        spot_meta = distort(self.injector, "spotMeta", spot_tokens(self.engine))
        answer = distort(self.injector, kind, info.answer(info.InfoRequest(self.engine, body, lag, spot_meta)))
        if self.injector.has("stale_answer"):
            self._answers[key] = orjson.loads(orjson.dumps(answer))
        return answer

    def answer_exchange(self, body: object) -> tuple[dict[str, Any], str | None]:
        """Return the answer to a signed request, and the account that it acts for.

        Raises
        ------
        Malformed
            It cannot be read.
        """
        answer = self.desk.take(read_envelope(body))
        self.hub.publish_states()
        return answer

    def info_weight(self, body: Mapping[str, Any], answer: Any) -> int:
        """Return what an answered question weighs."""
        return admission.info_weight(str(body.get("type")), len(answer) if isinstance(answer, list) else 0)

    def circumstances(self, endpoint: str, body: Any, user: str | None = None) -> Circumstances:
        """Return what faults can select a request by."""
        body = body if isinstance(body, Mapping) else {}
        action = body.get("action") if endpoint == "exchange" else body
        action = action if isinstance(action, Mapping) else {}
        request = action.get("req")
        coin = request.get("coin") if isinstance(request, Mapping) else action.get("coin")
        coins = {coin} if isinstance(coin, str) else self._coins_of(action)
        named = user or action.get("user") or body.get("vaultAddress")
        kind = action.get("type")
        return Circumstances(
            endpoint,
            kind if isinstance(kind, str) else None,
            frozenset(coins),
            named.lower() if isinstance(named, str) else None,
        )

    def _coins_of(self, action: Mapping[str, Any]) -> set[str]:
        listings, found = self.engine.venue.state.listings, set()
        items = [item for key in ("orders", "cancels", "modifies") for item in _list(action.get(key))] or [action]
        for item in items:
            order = item.get("order", item) if isinstance(item, Mapping) else {}
            asset = order.get("a", order.get("asset")) if isinstance(order, Mapping) else None
            if isinstance(asset, int) and asset in listings:
                found.add(listings[asset].instrument.name)
        return found

    def _refusal(self, envelope: Envelope, user: str) -> str | None:
        where = self.circumstances("exchange", {"action": envelope.action}, user)
        for fault in self.injector.strike("action", where):
            return str(fault.options.get("text", "Action refused."))
        return None

    def _turn(self) -> list[InputError]:
        """Let faults of the venue begin and end; return, and log, why some could not."""
        errors = []
        begun, ended = self.injector.turn()
        for fault in ended:
            market_faults.end(self.engine, fault)
        for fault in begun:
            try:
                market_faults.begin(self.engine, fault)
            except InputError as error:
                self.injector.withdraw(fault, str(error))
                errors.append(error)
                continue
            if fault.kind == "restart":
                self.break_connections()
            if fault.kind == "revised_candle":
                self.hub.publish_candles(market_faults.asset_of(self.engine, fault))
        return errors


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
