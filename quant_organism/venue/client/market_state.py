"""What the market and an account's standing in it look like at a moment: contexts, books, fees, room to trade."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from quant_organism.venue.client.account import amount, number, reading

_HIGHEST_FEE: Final = Decimal("0.01")
"""Several times the most that the venue takes."""
_HIGHEST_FUNDING: Final = Decimal("0.04")
"""The venue's own cap for an hour."""


@dataclass(frozen=True, slots=True)
class CoinContext:
    """Prices of a perpetual that are not of its book, and what its market is like.

    Parameters
    ----------
    mark_px, oracle_px
        USD: by the first margin, triggers and liquidations are judged, by the second funding is paid.
    mid_px
        None with an empty side of the book.
    funding_rate
        Fraction of the notional that longs pay at the end of this hour, as it stands now.
    premium
        Of the impact prices over the oracle; None where there is none.
    open_interest
        Coins.
    day_volume_usd
        Traded in the last 24 hours.
    """

    coin: str
    mark_px: Decimal
    oracle_px: Decimal
    mid_px: Decimal | None
    funding_rate: Decimal
    premium: Decimal | None
    open_interest: Decimal
    day_volume_usd: Decimal


@dataclass(frozen=True, slots=True)
class DepthLevel:
    """A price of a book, USD, the coins that rest there, and of how many orders they are."""

    px: Decimal
    sz: Decimal
    orders: int


@dataclass(frozen=True, slots=True)
class DepthSnapshot:
    """The 20 best levels of each side of a book, best first; a side may be empty."""

    coin: str
    time_ms: int
    bids: tuple[DepthLevel, ...]
    asks: tuple[DepthLevel, ...]


@dataclass(frozen=True, slots=True)
class FeeRates:
    """What an account pays of the notional when it takes and when it makes; a rebate is negative."""

    taker: Decimal
    maker: Decimal


@dataclass(frozen=True, slots=True)
class TradingRoom:
    """Leverage of a coin, and how much of it the account could trade now.

    Parameters
    ----------
    leverage, is_cross
        As set.
    buy_sz, sell_sz
        Coins.
    buy_usd, sell_usd
        Margin that is free for it.
    mark_px
        USD; None in older answers.
    """

    coin: str
    leverage: int
    is_cross: bool
    buy_sz: Decimal
    sell_sz: Decimal
    buy_usd: Decimal
    sell_usd: Decimal
    mark_px: Decimal | None


def read_contexts(answer: Any) -> dict[str, CoinContext]:
    """Return the contexts of `metaAndAssetCtxs` by coin; one that has no price, or none that can be read, is left out.

    Raises
    ------
    VenueUnreadable
        It is none, or names and contexts are not the same number.
    """

    def read(body: Sequence[Any]) -> dict[str, CoinContext]:
        meta, rows = body
        entries = meta["universe"]
        if len(entries) != len(rows):
            raise ValueError(f"{len(entries)} coins and {len(rows)} contexts")
        contexts = {}
        for entry, row in zip(entries, rows, strict=True):
            try:
                context = _context(entry["name"], row)
            except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation):
                continue
            if context.mark_px and context.oracle_px:
                contexts[context.coin] = context
        return contexts

    return reading(read, answer, "metaAndAssetCtxs")


def read_depth(answer: Any, coin: str) -> DepthSnapshot:
    """Return an `l2Book`.

    Raises
    ------
    VenueUnreadable
        It is of another coin or of none, or its levels are not in order.
    """

    def read(body: Mapping[str, Any]) -> DepthSnapshot:
        bids, asks = (tuple(_level(row) for row in rows) for rows in body["levels"])
        falling = all(a.px > b.px for a, b in itertools.pairwise(bids))
        rising = all(a.px < b.px for a, b in itertools.pairwise(asks))
        if body["coin"] != coin or not falling or not rising:
            raise ValueError(f"not a book of {coin}")
        return DepthSnapshot(coin, int(body["time"]), bids, asks)

    return reading(read, answer, "l2Book")


def read_fee_rates(answer: Any) -> FeeRates:
    """Return the rates of `userFees`.

    Raises
    ------
    VenueUnreadable
        They are missing, or beyond anything that the venue takes.
    """

    def read(body: Mapping[str, Any]) -> FeeRates:
        rates = FeeRates(number(body["userCrossRate"]), number(body["userAddRate"]))
        if not 0 <= rates.taker < _HIGHEST_FEE or not abs(rates.maker) < _HIGHEST_FEE:
            raise ValueError(f"rates of {rates.taker} and {rates.maker}")
        return rates

    return reading(read, answer, "userFees")


def read_room(answer: Any, coin: str) -> TradingRoom:
    """Return an `activeAssetData`.

    Raises
    ------
    VenueUnreadable
        It is of another coin, or of none.
    """

    def read(body: Mapping[str, Any]) -> TradingRoom:
        sizes, free, leverage = body["maxTradeSzs"], body["availableToTrade"], body["leverage"]
        if body["coin"] != coin or len(sizes) != 2 or len(free) != 2 or int(leverage["value"]) < 1:
            raise ValueError(f"not of {coin}")
        return TradingRoom(
            coin=coin,
            leverage=int(leverage["value"]),
            is_cross=leverage["type"] == "cross",
            buy_sz=amount(sizes[0]),
            sell_sz=amount(sizes[1]),
            buy_usd=amount(free[0]),
            sell_usd=amount(free[1]),
            mark_px=None if body.get("markPx") is None else amount(body["markPx"]),
        )

    return reading(read, answer, "activeAssetData")


def _context(coin: str, row: Mapping[str, Any]) -> CoinContext:
    mid, premium, funding = row.get("midPx"), row.get("premium"), number(row["funding"])
    if abs(funding) > _HIGHEST_FUNDING:
        raise ValueError(f"a funding rate of {funding}")
    return CoinContext(
        coin=coin,
        mark_px=amount(row["markPx"]),
        oracle_px=amount(row["oraclePx"]),
        mid_px=None if mid is None else amount(mid),
        funding_rate=funding,
        premium=None if premium is None else number(premium),
        open_interest=amount(row["openInterest"]),
        day_volume_usd=amount(row["dayNtlVlm"]),
    )


def _level(row: Mapping[str, Any]) -> DepthLevel:
    px, sz = amount(row["px"]), amount(row["sz"])
    if not px:
        raise ValueError("a price of 0")
    return DepthLevel(px, sz, int(row["n"]))
