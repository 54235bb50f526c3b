"""What a feed listens to: the streams of the venue, and how long it waits before it believes that a bar has closed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quant_organism.market import Interval
from quant_organism.venue.protocol.instruments import dex_name

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


@dataclass(frozen=True, slots=True)
class FeedPlan:
    """What is listened to.

    Parameters
    ----------
    coins
        Coins and the decimals of their sizes.
    intervals
        Bars that are made of each coin.
    begin_ms
        Bars open from here on; those before the feed started are asked for. UTC ms of the venue.
    users
        Accounts, lower case; fills from `begin_ms` on are delivered.
    dexs
        Builder-deployed dexs on which the accounts are, besides those of the coins: open orders are asked for on each.
    quotes
        Further public streams of each coin: `l2Book`, `bbo`, `activeAssetCtx`.
    grace_ms
        A bar closes when the coin itself has shown a time so long after its end.
    quiet_grace_ms
        Or when anything else of the venue has shown a time so long after it.
    rest_lag_ms
        How far REST may trail the stream.
    fill_overlap_ms
        How far before the last fill a gap is asked for.
    """

    coins: Mapping[str, int]
    intervals: Sequence[Interval]
    begin_ms: int
    users: Sequence[str] = ()
    quotes: Sequence[str] = ("bbo",)
    grace_ms: int = 500
    quiet_grace_ms: int = 5_000
    rest_lag_ms: int = 2_000
    fill_overlap_ms: int = 60_000
    dexs: Sequence[str] = ()

    def order_dexs(self) -> tuple[str, ...]:
        """Return the dexs whose open orders are asked for; the venue's own, which is empty, first."""
        return tuple(sorted({"", *self.dexs, *map(dex_name, self.coins)}))

    def subscriptions(self) -> tuple[Subscription, ...]:
        """Return all streams, each once."""
        public = [Subscription(kind, coin) for coin in self.coins for kind in ("trades", *self.quotes)]
        candles = [Subscription("candle", coin, length.name) for coin in self.coins for length in self.intervals]
        private = [
            Subscription(kind, user=user)
            for user in self.users
            for kind in ("orderUpdates", "userEvents", "userFills", "userFundings")
        ]
        return (*private, *public, *candles)
