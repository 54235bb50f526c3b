"""What can be subscribed to, and how an acknowledgement is matched with what was asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MARKET_TYPES = ("allMids", "l2Book", "bbo", "trades", "candle", "activeAssetCtx")
"""Public streams that are read."""

USER_TYPES = (
    "orderUpdates",
    "userEvents",
    "userFills",
    "userFundings",
    "userNonFundingLedgerUpdates",
    "clearinghouseState",
    "openOrders",
    "notification",
)
"""Streams of an account that are read."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """One stream of the venue.

    Parameters
    ----------
    type
        As the wire names it.
    coin, interval, user, dex
        What it is of; empty where the type has none. `user` is the account, never its agent.
    """

    type: str
    coin: str = ""
    interval: str = ""
    user: str = ""
    dex: str = ""

    def wire(self) -> dict[str, str]:
        """Return the object to send."""
        parts = {"coin": self.coin, "interval": self.interval, "user": self.user, "dex": self.dex}
        return {"type": self.type} | {name: value for name, value in parts.items() if value}

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "Subscription | None":
        """Return the subscription that an acknowledgement repeats, added fields left out; None where it has no type."""
        values = {name: said.get(name) for name in ("type", "coin", "interval", "user", "dex")}
        texts = {name: value for name, value in values.items() if isinstance(value, str)}
        if "type" not in texts:
            return None
        return cls(**texts | ({"user": texts["user"].lower()} if "user" in texts else {}))
