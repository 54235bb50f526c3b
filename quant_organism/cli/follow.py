"""`quant-organism follow`: a venue's trades as bars, while they happen."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quant_organism.cli import options

if TYPE_CHECKING:
    from quant_organism.exchange.feed.bars import Bar
    from quant_organism.exchange.feed.connection import Feed
    from quant_organism.settings import MarketSettings


def follow(
    base_url: options.BaseUrl = None,
    symbols: options.Symbols = None,
    interval: options.Interval = None,
    record: Annotated[Path | None, typer.Option(help="Folder to write every frame into, as it came.")] = None,
    bars: Annotated[int | None, typer.Option(min=1, help="End after so many bars. (default: with Ctrl-C)")] = None,
    data_dir: options.DataDir = None,
) -> None:
    """Make bars of a venue's trades, and keep them in the lake as they close: the dataset `live_candles`."""
    import asyncio
    import gc

    from quant_organism.exchange.client.network import BASE_URLS
    from quant_organism.exchange.feed.following import follow as follow_bars
    from quant_organism.exchange.source import market_name
    from quant_organism.market.lake import Lake
    from quant_organism.settings import load_settings

    said = {"source": "hyperliquid", "base_url": base_url, "symbols": symbols, "interval": interval}
    settings = load_settings({"data_dir": data_dir, "market": said})
    url = settings.market.base_url or BASE_URLS["mainnet"]
    feed = _feed(url, settings.market, record)
    # what starting has left behind stays to the end: to search it for garbage would hold up frames
    gc.collect()
    gc.freeze()
    try:
        asyncio.run(follow_bars(feed, Lake(settings.data_dir / "lake"), market_name(url), told=_show, enough=bars))
    except KeyboardInterrupt:
        pass  # the way to end it
    finally:
        _sum_up(feed)


def _feed(url: str, market: "MarketSettings", record: Path | None) -> "Feed":
    import numpy as np

    from quant_organism.exchange.ask import info_of
    from quant_organism.exchange.client.listings import load_listings
    from quant_organism.exchange.feed.connection import Feed, LineSpec
    from quant_organism.exchange.feed.plan import FeedPlan
    from quant_organism.exchange.feed.questions import clock_of
    from quant_organism.exchange.feed.recording import Recorder
    from quant_organism.exchange.protocol.instruments import dex_name
    from quant_organism.market.schema import Interval

    ask = info_of(
        url,
        timeout_seconds=market.timeout_seconds,
        proxy=market.proxy,
        weight_per_minute=market.weight_per_minute,
    )
    wanted = market.symbols or ()
    listings = load_listings(url, ask, sorted({dex_name(coin) for coin in wanted} - {""}))
    found = [listings.find(coin) for coin in wanted or listings.coins]
    plan = FeedPlan(
        coins={listed.coin: listed.sz_decimals for listed in found if not listed.is_delisted},
        intervals=[Interval.parse(market.interval)],
        begin_ms=clock_of(ask({"type": "exchangeStatus"})),
    )
    recorder = None if record is None else Recorder(record)
    return Feed(url, plan, ask, rng=np.random.default_rng(), line=LineSpec(proxy=market.proxy), recorder=recorder)


def _show(bar: "Bar") -> None:
    from datetime import UTC, datetime

    opened = datetime.fromtimestamp(bar.open_ms / 1000, UTC)
    values = " ".join(f"{value:g}" for value in (bar.open, bar.high, bar.low, bar.close, bar.volume))
    again = " (again: a trade came late)" if bar.is_revision else ""
    typer.echo(f"{opened:%Y-%m-%d %H:%M} {bar.coin} {values} from {bar.origin}{again}")


def _sum_up(feed: "Feed") -> None:
    """Say how the line was."""
    status, handling = feed.status, feed.status.handling
    lost = ", ".join(f"{reason} {number}" for reason, number in sorted(status.lost.items())) or "none"
    lines = [f"{status.connections} connections; lost: {lost}"]
    if handling.count:
        p50, p99 = (handling.quantile(share) * 1e3 for share in (0.5, 0.99))
        lines.append(f"{handling.count} frames, each handled in {p50:.2f} ms, of a hundred 99 within {p99:.2f} ms")
    lines += [f"dropped, because nobody took them: {number} {kind}" for kind, number in feed.queue.dropped.items()]
    lines += [f"refused: {stream} ({text})" for stream, text in status.refused.items()]
    typer.echo("\n".join(lines), err=True)
