"""Questions to /info for those who only look: no account, no signature."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from quant_organism.exchange.client.network import BASE_URLS, Limits, VenueSpec
from quant_organism.exchange.client.transport import Transport
from quant_organism.exchange.protocol.weights import IP_WEIGHT_PER_MINUTE

AskInfo = Callable[[Mapping[str, Any]], Any]
"""Puts a question to /info and returns the JSON of its answer; may block and be called from several threads, and raises
a `QuantOrganismError` where there is no answer."""

_NOBODY: Final = "0x" + "0" * 40


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
