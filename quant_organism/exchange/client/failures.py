"""What can go wrong on the way, in the words of this house; nobody else sees exceptions of the SDK or of requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import requests
from hyperliquid.utils.error import ClientError, ServerError

from quant_organism.errors import QuantOrganismError

REFUSING_STATUSES: Final = frozenset({400, 415, 422, 429})
"""HTTP statuses with which the venue says that it did not look at the request."""

_SDK_UNPARSED: Final = "Could not parse JSON"


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


_REMEDIES: Final = {
    429: "ask less often: lower venue.limits.ip_weight_per_minute",
    422: "the venue could not read the request: compare it with the venue's documentation",
}


@contextmanager
def in_house_words(where: str) -> Iterator[None]:
    """Turn what the SDK and requests raise into errors of this house.

    Raises
    ------
    VenueUnreachable, VenueRefused, VenueUnreadable
        See each.
    """
    try:
        yield
    except ClientError as error:
        status = int(error.status_code)
        text = str(error.error_message)
        if status in REFUSING_STATUSES:
            raise VenueRefused(status, text, where=where) from None
        raise VenueUnreadable(f"HTTP {status}: {text[:200]}", where=where) from None
    except ServerError as error:
        raise VenueUnreadable(f"HTTP {error.status_code}: {str(error.message)[:200]}", where=where) from None
    except (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError) as error:
        raise VenueUnreachable(f"no connection: {type(error).__name__}", where=where, never_left=True) from None
    except requests.exceptions.RequestException as error:
        never_left = "NewConnectionError" in repr(error)
        raise VenueUnreachable(f"no answer: {type(error).__name__}", where=where, never_left=never_left) from None
    except (AttributeError, KeyError) as error:  # of the SDK, where a 4xx holds JSON without `code`
        raise VenueUnreadable(f"an error of a kind nobody knows: {error!r}", where=where) from None


def readable(answer: Any, where: str) -> Any:
    """Return an answer of the SDK, unless it stands for a body that was not JSON.

    Raises
    ------
    VenueUnreadable
        It does.
    """
    if isinstance(answer, dict) and str(answer.get("error", "")).startswith(_SDK_UNPARSED):
        raise VenueUnreadable("the body is not JSON", where=where)
    return answer
