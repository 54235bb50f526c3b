"""A line that tells of one account, and what it says as the values that books are kept in."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import InvalidOperation
from typing import Any

import numpy as np

from quant_organism.venue.client.account import Fill, VenueOrder, read_fills, read_open_orders, read_order_update
from quant_organism.venue.client.flows import CashFlow, funding_of
from quant_organism.venue.client.hyperliquid import HyperliquidVenue
from quant_organism.venue.client.transport import VenueUnreadable
from quant_organism.venue.feed.connection import Feed, LineSpec
from quant_organism.venue.feed.core import Reconciled
from quant_organism.venue.feed.messages import AccountNews, Fills, OrderUpdates
from quant_organism.venue.feed.plan import FeedPlan
from quant_organism.venue.feed.questions import AnswerError, clock_of


@dataclass(frozen=True, slots=True)
class HeardNews:
    """What one message of the line brings.

    Parameters
    ----------
    fills, orders, flows
        In the order of the message.
    is_odd
        Something happened of which the message says too little: the venue must be asked.
    """

    fills: tuple[Fill, ...] = ()
    orders: tuple[VenueOrder, ...] = ()
    flows: tuple[CashFlow, ...] = ()
    is_odd: bool = False


def account_feed(venue: HyperliquidVenue, *, rng: np.random.Generator, line: LineSpec | None = None) -> Feed:
    """Return a line that tells of an account alone, from now on; it does not run yet.

    Parameters
    ----------
    venue
        The account; its dexs are those that it is known on by now.
    rng
        Draws the waits between tries to connect.
    line
        How the socket is kept.

    Raises
    ------
    VenueError
        There was no answer, or none that can be read.
    """
    ask, url = venue.transport.info, venue.transport.spec.base_url
    try:
        begin_ms = clock_of(ask({"type": "exchangeStatus"}))
    except AnswerError as error:
        raise VenueUnreadable(str(error), where="info exchangeStatus") from None
    dexs = [dex for dex in venue.find_dexs() if dex]
    plan = FeedPlan({}, (), begin_ms, users=(venue.address,), dexs=dexs)
    return Feed(url, plan, ask, rng=rng, line=line)


def read_news(event: Fills | OrderUpdates | AccountNews | Reconciled, user: str) -> HeardNews:
    """Return what an event of a feed says of an account.

    Raises
    ------
    VenueUnreadable
        It cannot be read; the venue must be asked.
    """
    match event:
        case Fills():
            return HeardNews(fills=tuple(read_fills([fill.wire for fill in event.fills], user)))
        case OrderUpdates():
            return HeardNews(orders=tuple(read_order_update(row) for row in event.updates))
        case Reconciled():
            return HeardNews(orders=tuple(read_open_orders(event.open_orders)))
        case AccountNews():
            return _news(event.data)


def _news(data: Mapping[str, Any]) -> HeardNews:
    rows = data.get("fundings") or ([data["funding"]] if data.get("funding") is not None else [])
    try:
        flows = tuple(funding_of(row["time"], row) for row in rows)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation):
        raise VenueUnreadable(f"{rows!r}"[:200], where="stream of funding") from None
    return HeardNews(flows=flows, is_odd="liquidation" in data)
