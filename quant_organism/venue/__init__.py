"""Hyperliquid: what is said on its wire (`protocol`), a client, the live feed, candles, keys, and who may use what.

Decisions about what to trade do not belong here, nor the local exchange. Nothing in this room reads settings or the
environment.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quant_organism.venue.access import AccessPlan, checked_network, open_account, signing_wallet, venue_spec
    from quant_organism.venue.client.account import (
        AccountState,
        Fill,
        Position,
        Standing,
        VenueOrder,
    )
    from quant_organism.venue.client.exposure import Holdings, OpenOrder, Resting, RunningTwap
    from quant_organism.venue.client.flows import FUNDING, CashFlow
    from quant_organism.venue.client.hyperliquid import Fence, HyperliquidVenue, connect
    from quant_organism.venue.client.listings import Listed
    from quant_organism.venue.client.market_state import CoinContext, DepthSnapshot, FeeRates, TradingRoom
    from quant_organism.venue.client.network import BASE_URLS, Limits, VenueSpec
    from quant_organism.venue.client.outcomes import Accepted, Outcome, Rejected, Unknown, Why
    from quant_organism.venue.client.requests import NewOrder, Trigger, order_wire, quantised_price, quantised_size
    from quant_organism.venue.client.transport import AskInfo, VenueError, info_of
    from quant_organism.venue.download import CcxtExchange, DownloadPlan, download_history, open_ccxt
    from quant_organism.venue.feed.account_news import HeardNews, account_feed, read_news
    from quant_organism.venue.feed.bars import Bar
    from quant_organism.venue.feed.connection import Feed, LineSpec
    from quant_organism.venue.feed.core import FeedCore, Reconciled
    from quant_organism.venue.feed.figures import DOUBLINGS, FeedFigures, LatencyFigures
    from quant_organism.venue.feed.following import follow_bars, open_feed
    from quant_organism.venue.feed.messages import AccountNews, Fills, OrderUpdates
    from quant_organism.venue.feed.plan import FeedPlan
    from quant_organism.venue.feed.recording import Recorder
    from quant_organism.venue.feed.watchdog import WatchSpec
    from quant_organism.venue.keystore import Keystore, Wallet, wallet_of
    from quant_organism.venue.recorded_books import BookCosts, measure_books
    from quant_organism.venue.side_data import fetch_fear_greed
    from quant_organism.venue.source import HyperliquidSource, market_name

__all__ = [
    "BASE_URLS",
    "DOUBLINGS",
    "FUNDING",
    "Accepted",
    "AccessPlan",
    "AccountNews",
    "AccountState",
    "AskInfo",
    "Bar",
    "BookCosts",
    "CashFlow",
    "CcxtExchange",
    "CoinContext",
    "DepthSnapshot",
    "DownloadPlan",
    "FeeRates",
    "Feed",
    "FeedCore",
    "FeedFigures",
    "FeedPlan",
    "Fence",
    "Fill",
    "Fills",
    "HeardNews",
    "Holdings",
    "HyperliquidSource",
    "HyperliquidVenue",
    "Keystore",
    "LatencyFigures",
    "Limits",
    "LineSpec",
    "Listed",
    "NewOrder",
    "OpenOrder",
    "OrderUpdates",
    "Outcome",
    "Position",
    "Reconciled",
    "Recorder",
    "Rejected",
    "Resting",
    "RunningTwap",
    "Standing",
    "TradingRoom",
    "Trigger",
    "Unknown",
    "VenueError",
    "VenueOrder",
    "VenueSpec",
    "Wallet",
    "WatchSpec",
    "Why",
    "account_feed",
    "checked_network",
    "connect",
    "download_history",
    "fetch_fear_greed",
    "follow_bars",
    "info_of",
    "market_name",
    "measure_books",
    "open_account",
    "open_ccxt",
    "open_feed",
    "order_wire",
    "quantised_price",
    "quantised_size",
    "read_news",
    "signing_wallet",
    "venue_spec",
    "wallet_of",
]

_HOMES = {
    "HeardNews": "feed.account_news",
    "account_feed": "feed.account_news",
    "read_news": "feed.account_news",
    "Reconciled": "feed.core",
    "AccountNews": "feed.messages",
    "OrderUpdates": "feed.messages",
    "CoinContext": "client.market_state",
    "DepthSnapshot": "client.market_state",
    "FeeRates": "client.market_state",
    "TradingRoom": "client.market_state",
    "Accepted": "client.outcomes",
    "AccessPlan": "access",
    "AccountState": "client.account",
    "AskInfo": "client.transport",
    "BASE_URLS": "client.network",
    "Bar": "feed.bars",
    "CashFlow": "client.flows",
    "CcxtExchange": "download",
    "DownloadPlan": "download",
    "download_history": "download",
    "open_ccxt": "download",
    "FUNDING": "client.flows",
    "Feed": "feed.connection",
    "DOUBLINGS": "feed.figures",
    "FeedCore": "feed.core",
    "FeedFigures": "feed.figures",
    "LatencyFigures": "feed.figures",
    "FeedPlan": "feed.plan",
    "Fence": "client.hyperliquid",
    "Fill": "client.account",
    "Fills": "feed.messages",
    "Holdings": "client.exposure",
    "HyperliquidSource": "source",
    "HyperliquidVenue": "client.hyperliquid",
    "Keystore": "keystore",
    "Limits": "client.network",
    "LineSpec": "feed.connection",
    "Listed": "client.listings",
    "NewOrder": "client.requests",
    "OpenOrder": "client.exposure",
    "Outcome": "client.outcomes",
    "Position": "client.account",
    "Recorder": "feed.recording",
    "Rejected": "client.outcomes",
    "Resting": "client.exposure",
    "RunningTwap": "client.exposure",
    "Standing": "client.account",
    "Trigger": "client.requests",
    "Unknown": "client.outcomes",
    "VenueError": "client.transport",
    "VenueOrder": "client.account",
    "VenueSpec": "client.network",
    "Wallet": "keystore",
    "WatchSpec": "feed.watchdog",
    "Why": "client.outcomes",
    "BookCosts": "recorded_books",
    "measure_books": "recorded_books",
    "checked_network": "access",
    "connect": "client.hyperliquid",
    "fetch_fear_greed": "side_data",
    "follow_bars": "feed.following",
    "info_of": "client.transport",
    "market_name": "source",
    "open_account": "access",
    "open_feed": "feed.following",
    "order_wire": "client.requests",
    "quantised_price": "client.requests",
    "quantised_size": "client.requests",
    "signing_wallet": "access",
    "venue_spec": "access",
    "wallet_of": "keystore",
}

# The SDK and the socket take their time to load, and the wire (`protocol`) and most commands need neither.
if not TYPE_CHECKING:  # so that mypy knows the names above and no others

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            from importlib import import_module

            return getattr(import_module(f"quant_organism.venue.{_HOMES[name]}"), name)
        raise AttributeError(f"module {__name__} has no attribute {name}")
