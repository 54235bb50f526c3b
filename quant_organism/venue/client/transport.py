"""Requests and answers: limits before, timeouts during, patience after. Questions are asked again, actions never.

Everything of requests ends here; what comes out is JSON or an error of this house.
"""

import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import requests
import tenacity
import urllib3
from pybreaker import CircuitBreaker, CircuitBreakerError

from quant_organism.errors import QuantOrganismError
from quant_organism.venue.client.clock import ClockOffset
from quant_organism.venue.client.limits import WeightLimiter
from quant_organism.venue.client.line import Line, Reply, TooLarge, TooSlow
from quant_organism.venue.client.network import BASE_URLS, Limits, VenueSpec
from quant_organism.venue.protocol.admission import IP_WEIGHT_PER_MINUTE, exchange_weight, info_weight

REFUSING_STATUSES: Final = frozenset({400, 415, 422, 429})
"""HTTP statuses with which the venue says that it did not look at the request."""

_REMEDIES: Final = {
    429: "ask less often: lower venue.limits.ip_weight_per_minute",
    422: "the venue could not read the request: compare it with the venue's documentation",
}
_PAUSE_SECONDS: Final = 0.25
_LONGEST_PAUSE_SECONDS: Final = 8.0
_LEFT_ALONE: Final = "left alone after failures in a row"

AskInfo = Callable[[Mapping[str, Any]], Any]
"""Puts a question to /info and returns the JSON of its answer; may block and be called from several threads, and raises
a `QuantOrganismError` where there is no answer."""

_NOBODY: Final = "0x" + "0" * 40


class VenueError(QuantOrganismError):
    """The venue did not answer as it should."""


class VenueUnreachable(VenueError):
    """No answer: whether the request was processed is not known, unless it is said that it never left.

    Parameters
    ----------
    never_left
        No connection was made.
    """

    def __init__(self, what: str, *, where: str, never_left: bool = False) -> None:
        super().__init__(what, where=where, remedy="see to the network; the venue's state page says whether it is up")
        self.never_left = never_left


class VenueRefused(VenueError):
    """The request was refused unread.

    Parameters
    ----------
    status
        Of HTTP.
    text
        Body of the answer.
    """

    def __init__(self, status: int, text: str, *, where: str) -> None:
        super().__init__(f"refused with HTTP {status}: {text[:200]}", where=where, remedy=_REMEDIES.get(status))
        self.status, self.text = status, text


class VenueUnreadable(VenueError):
    """An answer came that says nothing: an error of the server, or a body that is not what was asked for."""

    def __init__(self, what: str, *, where: str) -> None:
        super().__init__(what, where=where, remedy="ask again later; where it stays, the venue has changed its answers")


@contextmanager
def in_house_words(where: str) -> Iterator[None]:
    """Turn what can happen on the way into errors of this house.

    Raises
    ------
    VenueUnreachable, VenueUnreadable
        See each.
    """
    try:
        yield
    except (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError) as error:
        raise VenueUnreachable(f"no connection: {type(error).__name__}", where=where, never_left=True) from None
    except requests.exceptions.RequestException as error:
        never_left = "NewConnectionError" in repr(error)
        raise VenueUnreachable(f"no answer: {type(error).__name__}", where=where, never_left=never_left) from None
    except urllib3.exceptions.HTTPError as error:
        raise VenueUnreachable(f"no answer: {type(error).__name__}", where=where) from None
    except TooSlow as error:
        raise VenueUnreachable(str(error), where=where) from None
    except (TooLarge, zlib.error) as error:
        raise VenueUnreadable(str(error), where=where) from None


def content_of(reply: Reply, where: str) -> Any:
    """Return the JSON of an answer.

    Raises
    ------
    VenueRefused, VenueUnreadable
        See each; a redirect is not followed, as what is signed is for this host alone.
    """
    text = reply.content[:200].decode(errors="replace")
    if reply.status in REFUSING_STATUSES:
        raise VenueRefused(reply.status, text, where=where)
    if not 200 <= reply.status < 300:
        to = f" to {reply.headers['location'][:100]}" if "location" in reply.headers else ""
        raise VenueUnreadable(f"HTTP {reply.status}{to}: {text}", where=where)
    try:
        return json.loads(reply.content)
    except (ValueError, RecursionError):
        raise VenueUnreadable("the body is not JSON", where=where) from None


class _OfThread(threading.local):
    """A line belongs to one thread."""

    line: Line | None = None


class Transport:
    """The only way to the venue over REST; one for all tasks of a process.

    Parameters
    ----------
    spec
        Where to, through what, how patiently.
    clock, sleep
        Seconds of a clock that never goes back, and how to wait.
    now_ms
        Wall clock, which the venue's is held against at every answer.
    """

    def __init__(
        self,
        spec: VenueSpec,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        limits = spec.limits
        self.clock = ClockOffset(now_ms)
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
        self._of_thread = _OfThread()
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
            sent_ms = self.clock.now_ms()
            with in_house_words(where):
                reply = self._line().post(self.spec.base_url + path, body)
            self.clock.observe(reply.headers.get("date"), sent_ms, self.clock.now_ms())
            return content_of(reply, where)
        except VenueRefused as error:
            if error.status == 429:
                self.weight.drain()
            raise

    def _line(self) -> Line:
        line = self._of_thread.line
        if line is None:
            spec = self.spec
            line = self._of_thread.line = Line(spec.connect_seconds, spec.read_seconds, spec.proxy)
        return line


def _is_refusal(error: BaseException) -> bool:
    """Say whether the venue answered, so that it is not the one that is broken."""
    return isinstance(error, VenueRefused) and error.status != 429


def _is_passing(error: BaseException) -> bool:
    if isinstance(error, VenueRefused):
        return error.status == 429
    return isinstance(error, VenueUnreachable | VenueUnreadable)


def info_of(
    base_url: str,
    *,
    timeout_seconds: float = 10.0,
    proxy: str | None = None,
    weight_per_minute: int = IP_WEIGHT_PER_MINUTE,
) -> AskInfo:
    """Return the way to ask a venue: asked again where there was no answer, never faster than the venue allows.

    Parameters
    ----------
    base_url
        Without a slash at its end.
    timeout_seconds
        Longest wait for a connection, and for an answer.
    proxy
        URL of an HTTP proxy; none: nothing of the environment either.
    weight_per_minute
        What all questions of a minute may weigh; a third of it may be spent at once.
    """
    spec = VenueSpec(
        network=next((network for network, url in BASE_URLS.items() if url == base_url), "simulator"),
        account_address=_NOBODY,
        base_url=base_url,
        proxy=proxy,
        connect_seconds=timeout_seconds,
        read_seconds=timeout_seconds,
        limits=Limits(ip_weight_per_minute=weight_per_minute, ip_burst_weight=weight_per_minute // 3),
    )
    return Transport(spec).info
