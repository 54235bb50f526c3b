"""Requests and answers: limits before, timeouts during, patience after. Questions are asked again, actions never.

Everything of the SDK and of requests ends here; what comes out is JSON or an error of this house.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import tenacity
from hyperliquid.api import API
from pybreaker import CircuitBreaker, CircuitBreakerError
from requests.adapters import HTTPAdapter

from quant_organism.exchange.client.failures import (
    VenueRefused,
    VenueUnreachable,
    VenueUnreadable,
    in_house_words,
    readable,
)
from quant_organism.exchange.client.limits import WeightLimiter
from quant_organism.exchange.client.network import VenueSpec
from quant_organism.exchange.protocol.weights import exchange_weight, info_weight

_PAUSE_SECONDS: Final = 0.25
_LONGEST_PAUSE_SECONDS: Final = 8.0
_LEFT_ALONE: Final = "left alone after failures in a row"


class Transport:
    """The only way to the venue over REST; one for all tasks of a process.

    Parameters
    ----------
    spec
        Where to, through what, how patiently.
    clock, sleep
        Seconds of a clock that never goes back, and how to wait.
    """

    def __init__(
        self,
        spec: VenueSpec,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        limits = spec.limits
        self.spec = spec
        self.weight = WeightLimiter(limits.ip_weight_per_minute, limits.ip_burst_weight, clock=clock, sleep=sleep)
        self.breakers = {
            name: CircuitBreaker(
                fail_max=limits.breaker_failures,
                reset_timeout=limits.breaker_seconds,
                exclude=[_is_refusal],
                name=name,
                throw_new_error_on_trip=False,
            )
            for name in ("info", "exchange")
        }
        self._locals = threading.local()  # a requests session belongs to one thread
        self._sleep = sleep

    def info(self, body: Mapping[str, Any]) -> Any:
        """Ask a question; return the answer's JSON.

        Asked again, after a random pause that may double each time, where there was no answer or none that says
        anything.

        Raises
        ------
        VenueUnreachable, VenueRefused, VenueUnreadable
            There still was none.
        """
        again = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_passing),
            stop=tenacity.stop_after_attempt(self.spec.limits.info_attempts),
            wait=tenacity.wait_random_exponential(multiplier=_PAUSE_SECONDS, max=_LONGEST_PAUSE_SECONDS),
            sleep=self._sleep,
            reraise=True,
        )
        return again(self._ask, dict(body))

    def exchange(self, payload: Mapping[str, Any], items: int, *, is_urgent: bool) -> Any:
        """Send a signed action, once; return the answer's JSON.

        Parameters
        ----------
        payload
            With nonce and signature.
        items
            Orders, cancels or modifications in it.
        is_urgent
            It lessens risk, and is sent even while the component is left alone.

        Raises
        ------
        VenueUnreachable, VenueRefused, VenueUnreadable
            What that says about the action: see each.
        """
        self.weight.spend(exchange_weight(items), is_action=True)
        where = f"exchange {payload['action']['type']}"
        if is_urgent:
            return self._post("/exchange", payload, where)
        try:
            return self.breakers["exchange"].call(self._post, "/exchange", payload, where)
        except CircuitBreakerError:
            raise VenueUnreachable(_LEFT_ALONE, where=where, never_left=True) from None

    def _ask(self, body: dict[str, Any]) -> Any:
        kind = str(body.get("type"))
        base = info_weight(kind)
        self.weight.spend(base)
        try:
            answer = self.breakers["info"].call(self._post, "/info", body, f"info {kind}")
        except CircuitBreakerError:
            raise VenueUnreachable(_LEFT_ALONE, where=f"info {kind}", never_left=True) from None
        self.weight.charge(info_weight(kind, len(answer) if isinstance(answer, list) else 0) - base)
        return answer

    def _post(self, path: str, body: Mapping[str, Any], where: str) -> Any:
        try:
            with in_house_words(where):
                return readable(self._api().post(path, body), where)
        except VenueRefused as error:
            if error.status == 429:
                self.weight.drain()
            raise

    def _api(self) -> API:
        api = getattr(self._locals, "api", None)
        if api is None:
            timeouts = (self.spec.connect_seconds, self.spec.read_seconds)
            api = self._locals.api = API(self.spec.base_url, timeouts)
            api.session.trust_env = False  # the proxy is the one that is set, or none; nothing of the environment
            if self.spec.proxy is not None:
                api.session.proxies = {"http": self.spec.proxy, "https": self.spec.proxy}
            for scheme in ("http://", "https://"):
                api.session.mount(scheme, HTTPAdapter(max_retries=0))
        return api


def _is_refusal(error: BaseException) -> bool:
    """Say whether the venue answered, so that it is not the one that is broken."""
    return isinstance(error, VenueRefused) and error.status != 429


def _is_passing(error: BaseException) -> bool:
    if isinstance(error, VenueRefused):
        return error.status == 429
    return isinstance(error, VenueUnreachable | VenueUnreadable)
