"""`quant-organism follow`: a venue's trades as bars, while they happen."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from quant_organism.cli import options

if TYPE_CHECKING:
    from quant_organism.venue import Bar, Feed


SETTINGS: Final = ("market.base_url", "market.symbols", "market.interval", "data_dir")


def follow(
    context: typer.Context,
    record: Annotated[Path | None, typer.Option(help="Folder to write every frame into, as it came.")] = None,
    books: Annotated[
        bool, typer.Option("--books", help="Record the books too, for: quant-organism data slippage.")
    ] = False,
    bars: Annotated[int | None, typer.Option(min=1, help="End after so many bars. (default: with Ctrl-C)")] = None,
) -> None:
    """Make bars of a venue's trades, and keep them in the lake as they close: the dataset `live_candles`."""
    import asyncio
    import gc

    from quant_organism.errors import InputError
    from quant_organism.market import Interval, Lake
    from quant_organism.venue import BASE_URLS, follow_bars, info_of, market_name, open_feed

    if books and record is None:
        raise InputError("books are only recorded", where="--books", remedy="name a folder: --record FOLDER")
    settings = options.said(context).also("market.source", "hyperliquid").settings()
    market = settings.market
    url = market.base_url or BASE_URLS["mainnet"]
    ask = info_of(
        url,
        timeout_seconds=market.timeout_seconds,
        proxy=market.proxy,
        weight_per_minute=market.weight_per_minute,
    )
    interval = Interval.parse(market.interval)
    feed = open_feed(url, ask, interval, coins=market.symbols, proxy=market.proxy, record=record, books=books)
    # what starting has left behind stays to the end: to search it for garbage would hold up frames
    gc.collect()
    gc.freeze()
    try:
        asyncio.run(follow_bars(feed, Lake(settings.data_dir / "lake"), market_name(url), told=_show, enough=bars))
    except KeyboardInterrupt:
        pass  # the way to end it
    finally:
        _sum_up(feed)


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
