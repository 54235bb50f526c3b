"""Questions to /info: with a timeout, again where there was no answer, never faster than the venue allows."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import requests
import tenacity

from quant_organism.errors import QuantOrganismError
from quant_organism.exchange.protocol.weights import IP_WEIGHT_PER_MINUTE, info_weight

AskInfo = Callable[[Mapping[str, Any]], Any]
"""Puts a question to /info and returns the JSON of its answer; may block and be called from several threads, and raises
a `QuantOrganismError` where there is no answer."""

ATTEMPTS: Final = 5


class NoAnswerError(QuantOrganismError):
    """The venue did not answer a question, or not with JSON."""


def info_of(
    base_url: str,
    *,
    timeout_seconds: float = 10.0,
    proxy: str | None = None,
    weight_per_minute: int = IP_WEIGHT_PER_MINUTE,
) -> AskInfo:
    """Return the way to ask a venue.

    Parameters
    ----------
    base_url
        Without a slash at its end.
    timeout_seconds
        Longest wait for a connection, and for an answer.
    proxy
        URL of an HTTP proxy; none: nothing of the environment either.
    weight_per_minute
        What all questions of a minute may weigh.
    """
    local, budget = threading.local(), _Budget(weight_per_minute)
    again = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(NoAnswerError),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_random_exponential(multiplier=0.25, max=8.0),
        reraise=True,
    )

    def once(body: Mapping[str, Any]) -> Any:
        session = getattr(local, "session", None)
        if session is None:
            session = local.session = requests.Session()
            session.trust_env = False
            session.proxies = {} if proxy is None else {"http": proxy, "https": proxy}
        kind = str(body["type"])
        budget.spend(info_weight(kind))
        answer = _answer(session, f"{base_url}/info", body, timeout_seconds)
        budget.spend(info_weight(kind, len(answer)) - info_weight(kind) if isinstance(answer, list) else 0)
        return answer

    return lambda body: again(once, body)


def _answer(session: requests.Session, url: str, body: Mapping[str, Any], timeout_seconds: float) -> Any:
    where = f"{url} {body['type']}"
    try:
        response = session.post(url, json=dict(body), timeout=timeout_seconds)
        if response.status_code != 200:
            raise NoAnswerError(
                f"HTTP {response.status_code}: {response.text[:200]}", where=where, remedy="ask again later"
            )
        return response.json()
    except requests.RequestException as error:
        what = f"no answer: {type(error).__name__}"
        raise NoAnswerError(what, where=where, remedy="see to the network and to the base URL") from None


class _Budget:
    """A third of the weight may be spent at once, the rest comes back over a minute: no minute sees more than all."""

    def __init__(self, per_minute: int) -> None:
        self._rate, self._most = per_minute / 90, per_minute / 3
        self._left, self._at, self._lock = self._most, time.monotonic(), threading.Lock()

    def spend(self, weight: int) -> None:
        with self._lock:
            now = time.monotonic()
            self._left = min(self._most, self._left + (now - self._at) * self._rate) - weight
            self._at = now
            missing = -self._left
        if missing > 0:
            time.sleep(missing / self._rate)
