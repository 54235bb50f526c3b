"""Rate limits: what a request weighs, and what an address may still send (reference: section 17)."""

from collections.abc import Mapping
from typing import Any, Final

IP_WEIGHT_PER_MINUTE: Final = 1200
ADDRESS_REQUESTS: Final = 10_000
EXTRA_CANCELS: Final = 100_000
OVER_LIMIT_INTERVAL_MS: Final = 10_000
STALE_EXPIRY_FACTOR: Final = 5
MAX_ITEMS_PER_ACTION: Final = 200

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
