"""Answers about the market (reference: section 6.2)."""

import hashlib
from typing import Any

from quant_organism.market import MS_PER_DAY, MS_PER_HOUR
from quant_organism.simulator.core import settlement
from quant_organism.simulator.core.account import USDC, Traded
from quant_organism.simulator.core.book import BookSide
from quant_organism.simulator.core.state import Listing
from quant_organism.simulator.engine import Engine
from quant_organism.simulator.market import candles
from quant_organism.venue.protocol import OWN_DEX, answer_number, meta_form, usd

DEPTH = 20
RATE_DECIMALS = 10
OPEN_INTEREST_CAP_USD = "1000000000.0"
MAX_ROWS = 500

_USDC_ID = "0x6d1e7cde53ba9467b783cb7c530ce054"


def spot_tokens(engine: Engine) -> dict[str, Any]:
    """Return `spotMeta`: no pairs, and the tokens that serve as collateral."""
    tokens = [
        {
            "name": name,
            "szDecimals": 8,
            "weiDecimals": 8,
            "index": index,
            "tokenId": _USDC_ID if name == USDC else "0x" + hashlib.sha256(name.encode()).hexdigest()[:32],
            "isCanonical": name == USDC,
            "evmContract": None,
            "fullName": None,
        }
        for index, name in enumerate(engine.venue.state.tokens)
    ]
    return {"universe": [], "tokens": tokens}


def perp_meta(engine: Engine, dex: int) -> dict[str, Any]:
    """Return the universe of a dex with its margin tables."""
    state = engine.venue.state
    collateral = state.tokens.index(state.dexs[dex].collateral)
    return meta_form([state.listings[asset].instrument for asset in state.assets(dex)], collateral)


def asset_contexts(engine: Engine, dex: int) -> list[dict[str, Any]]:
    """Return the contexts of the assets of a dex, in their order."""
    return [asset_context(engine, asset) for asset in engine.venue.state.assets(dex)]


def perp_dexs(engine: Engine) -> list[dict[str, Any] | None]:
    """Return all dexs; the venue's own, the first, is null. Who deployed one is made up of its name."""
    return [None, *(_dex(engine, index) for index in range(1, len(engine.venue.state.dexs)))]


def _dex(engine: Engine, index: int) -> dict[str, Any]:
    dex = engine.venue.state.dexs[index]
    coins = [engine.venue.state.listings[asset].instrument.name for asset in engine.venue.state.assets(index)]
    return {
        "name": dex.name,
        "fullName": dex.name,
        "deployer": "0x" + hashlib.sha256(dex.name.encode()).hexdigest()[:40],
        "oracleUpdater": None,
        "feeRecipient": None,
        "assetToStreamingOiCap": [[coin, OPEN_INTEREST_CAP_USD] for coin in coins],
    }


def mid(engine: Engine, asset: int) -> str | None:
    """Return a mid price, or None where a side of the book is empty."""
    engine.market.freshen(asset)
    mid2, listing = engine.venue.core.books[asset].mid2(), engine.venue.state.listings[asset]
    return None if mid2 is None else answer_number(mid2 * 5, listing.instrument.px_decimals + 1)


def all_mids(engine: Engine, dex: int) -> dict[str, str]:
    """Return the mid of every coin of a dex; the price of the last trade where a side of the book is empty."""
    state, mids = engine.venue.state, {}
    for asset in state.assets(dex):
        listing = state.listings[asset]
        px = mid(engine, asset) or (listing.px(listing.last) if listing.last else None)
        if px is not None:
            mids[listing.instrument.name] = px
    return mids


def asset_context(engine: Engine, asset: int) -> dict[str, Any]:
    """Return prices, funding, open interest and the volume of the last 24 hours; null is what an empty book lacks."""
    listing, now = engine.venue.state.listings[asset], engine.now_ms
    middle = None if listing.instrument.is_delisted else mid(engine, asset)
    sell, buy = engine.market.impact_prices(asset)
    series = engine.candles[asset]
    day = series.within(series.bar_ms, now - MS_PER_DAY, now)
    whole = middle is not None and sell is not None and buy is not None
    premium = listing.premium_e10
    return {
        "funding": answer_number(listing.rate_e10, RATE_DECIMALS),
        "openInterest": listing.sz(settlement.open_interest(engine.venue.core, asset)),
        "prevDayPx": listing.px(day[0].open if day else listing.oracle),
        "dayNtlVlm": usd(sum(candle.volume * candle.close for candle in day)),
        "premium": answer_number(premium, RATE_DECIMALS) if premium is not None and whole else None,
        "oraclePx": listing.px(listing.oracle),
        "markPx": listing.px(listing.mark),
        "midPx": middle,
        "impactPxs": [listing.px(sell), listing.px(buy)] if sell is not None and buy is not None else None,
        "dayBaseVlm": listing.sz(sum(candle.volume for candle in day)),
    }


def l2_book(engine: Engine, asset: int, figures: int | None = None, mantissa: int = 1) -> dict[str, Any]:
    """Return the best levels of a book, put together to so many significant figures where they are given."""
    engine.market.freshen(asset)
    book, listing = engine.venue.core.books[asset], engine.venue.state.listings[asset]
    sides = [_levels(side, listing, figures, mantissa, up=side is book.asks) for side in (book.bids, book.asks)]
    return {"coin": listing.instrument.name, "time": engine.now_ms, "levels": sides}


def best_levels(engine: Engine, asset: int) -> dict[str, Any]:
    """Return best bid and ask, null where there is none."""
    levels = l2_book(engine, asset)["levels"]
    best = [side[0] if side else None for side in levels]
    return {"coin": engine.venue.state.listings[asset].instrument.name, "time": engine.now_ms, "bbo": best}


def candle_list(engine: Engine, asset: int, interval: str, start_ms: int, end_ms: int) -> list[dict[str, Any]]:
    """Return the newest candles of an interval; the last of them is still forming."""
    found = engine.candles[asset].within(candles.INTERVALS[interval], start_ms, end_ms)
    return [candles.wire(candle, engine.venue.state.listings[asset].instrument, interval) for candle in found]


def funding_history(engine: Engine, asset: int, start_ms: int, end_ms: int) -> list[dict[str, Any]]:
    """Return settled funding rates, oldest first."""
    coin = engine.venue.state.listings[asset].instrument.name
    rows = [record for record in engine.fundings[asset] if start_ms <= record.time_ms <= end_ms][:MAX_ROWS]
    return [
        {
            "coin": coin,
            "fundingRate": answer_number(row.rate_e10, RATE_DECIMALS),
            "premium": answer_number(row.premium_e10, RATE_DECIMALS),
            "time": row.time_ms,
        }
        for row in rows
    ]


def public_trade(trade: Traded, listing: Listing) -> dict[str, Any]:
    """Return a trade as everyone sees it."""
    return {
        "coin": listing.instrument.name,
        "side": "B" if trade.is_buy else "A",
        "px": listing.px(trade.px),
        "sz": listing.sz(trade.sz),
        "time": trade.time_ms,
        "hash": trade.hash,
        "tid": trade.tid,
        "users": [trade.buyer, trade.seller],
    }


def recent_trades(engine: Engine, asset: int) -> list[dict[str, Any]]:
    """Return the last trades, newest first."""
    listing = engine.venue.state.listings[asset]
    return [public_trade(trade, listing) for trade in reversed(engine.trades[asset])][:10]


def predicted_fundings(engine: Engine) -> list[Any]:
    """Return the rate of the present hour of every coin of the venue's own dex."""
    due = engine.now_ms // MS_PER_HOUR * MS_PER_HOUR + MS_PER_HOUR
    listings = engine.venue.state.listings
    return [
        [
            listings[asset].instrument.name,
            [
                [
                    "HlPerp",
                    {"fundingRate": answer_number(listings[asset].rate_e10, RATE_DECIMALS), "nextFundingTime": due},
                ]
            ],
        ]
        for asset in engine.venue.state.assets(OWN_DEX)
    ]


def _levels(side: BookSide, listing: Listing, figures: int | None, mantissa: int, *, up: bool) -> list[dict[str, Any]]:
    grouped: dict[int, list[int]] = {}
    for px, orders in side.levels():
        key = px if figures is None else _coarse(px, figures, mantissa, up=up)
        if key not in grouped and len(grouped) == DEPTH:
            break
        level = grouped.setdefault(key, [0, 0])
        level[0] += sum(order.sz for order in orders)
        level[1] += len(orders)
    return [{"px": listing.px(px), "sz": listing.sz(size), "n": count} for px, (size, count) in grouped.items()]


def _coarse(px: int, figures: int, mantissa: int, *, up: bool) -> int:
    step = mantissa * int(10 ** max(0, len(str(px)) - figures))
    return -(-px // step) * step if up else px // step * step
