"""Which venue is spoken to, and whether its address is that venue's.

The network decides how actions are signed. The SDK guesses it from the URL; here it is said, and held against the URL.
"""

from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

from quant_organism.errors import InputError
from quant_organism.venue.protocol.admission import IP_WEIGHT_PER_MINUTE

Network = Literal["simulator", "testnet", "mainnet"]

BASE_URLS: Final[dict[Network, str]] = {
    "testnet": "https://api.hyperliquid-testnet.xyz",
    "mainnet": "https://api.hyperliquid.xyz",
}
_HOSTS: Final = {network: urlsplit(url).netloc for network, url in BASE_URLS.items()}


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be asked, and how patiently.

    Parameters
    ----------
    ip_weight_per_minute
        REST weight spent in any minute, over all requests of the process.
    ip_burst_weight
        How much of it may be spent at once.
    info_attempts
        How often a question is asked before it is given up. Actions are never sent twice.
    breaker_failures
        Failures in a row after which a component is left alone.
    breaker_seconds
        For so long.
    """

    ip_weight_per_minute: int = IP_WEIGHT_PER_MINUTE
    ip_burst_weight: int = 400
    info_attempts: int = 4
    breaker_failures: int = 5
    breaker_seconds: float = 15.0

    def __post_init__(self) -> None:
        if not 0 < self.ip_burst_weight < self.ip_weight_per_minute:
            raise InputError(
                f"a burst of {self.ip_burst_weight} does not fit into {self.ip_weight_per_minute} a minute",
                where="venue limits",
                remedy="keep ip_burst_weight between 1 and ip_weight_per_minute",
            )


@dataclass(frozen=True, slots=True)
class VenueSpec:
    """A venue and an account on it.

    Parameters
    ----------
    network
        Decides the signature: `mainnet` signs for the main network, the others as the test network does.
    base_url
        Without a slash at its end; none: the network's own.
    account_address
        Whose orders and positions; an agent wallet signs for it. Lower case.
    proxy
        URL of an HTTP proxy for all requests; the way to leave from another place. The base URL stays the venue's.
    connect_seconds, read_seconds
        Longest wait for a connection, and for the next bytes of an answer; the whole of it may take both together.
    action_seconds
        An action that reaches the venue later than this is refused there.
    limits
        See `Limits`.

    Raises
    ------
    InputError
        The URL belongs to another network, ends in a slash or has no scheme; the address is not one.
    """

    network: Network
    account_address: str
    base_url: str = ""
    proxy: str | None = None
    connect_seconds: float = 5.0
    read_seconds: float = 10.0
    action_seconds: float = 30.0
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        url = self.base_url or BASE_URLS.get(self.network, "")
        object.__setattr__(self, "base_url", checked_url(self.network, url))
        object.__setattr__(self, "account_address", checked_address(self.account_address))

    @property
    def is_mainnet(self) -> bool:
        """Whether real money moves."""
        return self.network == "mainnet"


def checked_url(network: Network, url: str) -> str:
    """Return the base URL if it can be this network's.

    Raises
    ------
    InputError
        No URL, not http(s), a slash at the end, or another network's host.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or url.endswith("/") or parts.username:
        raise InputError(
            f"{url!r} is not a base URL", where="venue base_url", remedy="write it as https://host, without a slash"
        )
    expected = _HOSTS.get(network)
    if expected is not None and (parts.netloc != expected or parts.scheme != "https"):
        raise InputError(
            f"the network is {network}, but {url} is not {BASE_URLS[network]}",
            where="venue base_url",
            remedy="leave base_url out; to go through another host, set proxy",
        )
    if expected is None and parts.netloc in _HOSTS.values():
        raise InputError(
            f"the network is {network}, but {url} is a public venue",
            where="venue base_url",
            remedy="give the simulator's URL, as `quant-organism exchange serve` prints it",
        )
    return url


def checked_address(address: str) -> str:
    """Return an address in lower case, as it must be before it is signed or sent.

    Raises
    ------
    InputError
        Not `0x` and 40 hexadecimal digits.
    """
    lowered = address.lower()
    if len(lowered) != 42 or not lowered.startswith("0x") or set(lowered[2:]) - set("0123456789abcdef"):
        raise InputError(
            f"{address!r} is not an address", where="account_address", remedy="give 0x and 40 hexadecimal digits"
        )
    return lowered
