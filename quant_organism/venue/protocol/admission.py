"""What the venue admits: requests by weight and by what an address has traded, nonces once each (sections 4, 17)."""

import bisect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

IP_WEIGHT_PER_MINUTE: Final = 1200
ADDRESS_REQUESTS: Final = 10_000
EXTRA_CANCELS: Final = 100_000
OVER_LIMIT_INTERVAL_MS: Final = 10_000
STALE_EXPIRY_FACTOR: Final = 5
MAX_ITEMS_PER_ACTION: Final = 200
PAST_ORDERS_PER_ANSWER: Final = 2_000

_LIGHT: Final = frozenset(
    {"l2Book", "allMids", "clearinghouseState", "orderStatus", "spotClearinghouseState", "exchangeStatus"}
)
_PER_20_ITEMS: Final = frozenset(
    {
        "recentTrades",
        "historicalOrders",
        "userFills",
        "userFillsByTime",
        "fundingHistory",
        "userFunding",
        "userNonFundingLedgerUpdates",
        "userTwapSliceFills",
        "openOrders",
        "frontendOpenOrders",
    }
)
KEPT: Final = 100
_DAY_MS: Final = 24 * 3_600_000
MAX_PAST_MS: Final = 2 * _DAY_MS
MAX_FUTURE_MS: Final = _DAY_MS


def info_weight(kind: str, items: int = 0) -> int:
    """Return the weight of an /info request of a type that answered so many items."""
    base = 2 if kind in _LIGHT else 60 if kind == "userRole" else 20
    if kind == "candleSnapshot":
        return base + items // 60
    return base + items // 20 if kind in _PER_20_ITEMS else base


def batch_length(action: Mapping[str, Any]) -> int:
    """Return how many orders, cancels or modifications an action holds; at least 1."""
    for key in ("orders", "cancels", "modifies"):
        items = action.get(key)
        if isinstance(items, list):
            return max(1, len(items))
    return 1


def exchange_weight(length: int) -> int:
    """Return the weight of an /exchange action with a batch of this length."""
    return 1 + length // 40


def request_cap(volume_usd: int) -> int:
    """Return how many requests an address may send in its lifetime, having traded this volume."""
    return ADDRESS_REQUESTS + volume_usd


def cancel_cap(volume_usd: int) -> int:
    """Return the same for cancels, which may go further."""
    limit = request_cap(volume_usd)
    return min(limit + EXTRA_CANCELS, 2 * limit)


@dataclass(slots=True)
class NonceWindow:
    """The highest nonces that one signer has used.

    Parameters
    ----------
    used
        At most 100, sorted.
    """

    used: list[int] = field(default_factory=list)

    def refusal(self, nonce: int, now_ms: int) -> str | None:
        """Return why a nonce cannot be used at this time, or None where it can."""
        earliest, latest = now_ms - MAX_PAST_MS, now_ms + MAX_FUTURE_MS
        if nonce <= earliest:
            return f"Invalid nonce: nonce too low {nonce} < {earliest}"
        if nonce >= latest:
            return f"nonce too high {nonce} > {latest}"
        place = bisect.bisect_left(self.used, nonce)
        if place < len(self.used) and self.used[place] == nonce:
            return f"Invalid nonce: duplicate nonce {nonce}"
        if len(self.used) == KEPT and place == 0:
            return f"Invalid nonce: nonce too low {nonce} < {self.used[0]}"
        return None

    def consume(self, nonce: int) -> None:
        """Remember a nonce that was admitted, whatever became of its action."""
        bisect.insort(self.used, nonce)
        del self.used[:-KEPT]
