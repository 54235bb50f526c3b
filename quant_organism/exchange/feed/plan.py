"""What a feed listens to, and how long it waits before it believes that a bar has closed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quant_organism.exchange.feed.subscriptions import Subscription
from quant_organism.market.schema import Interval


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
