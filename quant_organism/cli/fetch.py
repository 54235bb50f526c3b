"""`quant-organism data fetch`: candles and funding of a venue, downloaded and brought into the lake."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from quant_organism.cli import options
from quant_organism.cli.data import bring_in
from quant_organism.cli.output import print_json, progress_bars
from quant_organism.errors import InputError

if TYPE_CHECKING:
    from quant_organism.settings import Settings

SETTINGS: Final = ("market.symbols", "market.interval", "market.base_url", "market.name", "data_dir")

_CCXT: Final = "ccxt:"
_DAYS: Final = 365
_MS: Final = 1000


def fetch(
    context: typer.Context,
    origin: Annotated[str, typer.Option("--from", help="hyperliquid, or ccxt:VENUE for any other, such as ccxt:okx.")],
    since: Annotated[
        str | None,
        typer.Option(help="First day. (default: all that hyperliquid keeps; a year of others)", metavar="YYYY-MM-DD"),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Download candles and funding; the same command again goes on where it was, and later asks for what is new."""
    said, first = options.said(context), options.parse_day(since, option="--since")
    if origin == "hyperliquid":
        _from_hyperliquid(said.also("market.source", "hyperliquid"), first, as_json=as_json)
    elif origin.startswith(_CCXT) and said.value("market.base_url") is None:
        _from_ccxt(said, origin.removeprefix(_CCXT), first, as_json=as_json)
    else:
        raise InputError(
            f"{origin!r} is no venue" if not origin.startswith(_CCXT) else "ccxt knows the address of a venue itself",
            where="option --from",
            remedy="use --from hyperliquid, or --from ccxt:VENUE without --base-url",
        )


def _from_hyperliquid(said: options.Said, since: date | None, *, as_json: bool) -> None:
    settings = said.settings()
    with progress_bars() as bars:
        bars("Start", 0, 1, "loading")
        from quant_organism.orchestration.driver import Driver
        from quant_organism.orchestration.partitions import Days

        driver = Driver(settings, bars)
        known = driver.all_days()
        days = Days(max(known.first, since or known.first), known.last)
        if days.first > days.last:
            raise InputError(
                f"there is no complete day from {days.first} on", where="option --since", remedy=f"up to {known.last}"
            )
        source = driver.source
        bars("Start", 1, 1, f"{source.market}, {days.first} to {days.last}")
        names = settings.market.symbols or source.symbols()
        for done, name in enumerate(names):  # what is answered is kept, coin by coin
            bars("Download", done, len(names), name)
            source.candles([name], driver.interval, days.first, days.last)
            source.funding([name], days.first, days.last + timedelta(days=1))
        bars("Download", len(names), len(names), "")
        driver.ingest(days)
    notes = source.notes()
    if as_json:
        found = {"market": source.market, "interval": driver.interval.name, "first": days.first, "last": days.last}
        print_json({**found, "symbols": list(names), "notes": notes})
        return
    typer.echo(f"Fetched {len(names)} symbols of {source.market} at {driver.interval}: {days.first} to {days.last}.")
    for note in notes:
        typer.echo(f"- {note}")
    typer.echo(f"\nNext: {said.command_line('run', *options.CYCLE)}")


def _from_ccxt(said: options.Said, venue: str, since: date | None, *, as_json: bool) -> None:
    settings = said.settings()
    if not settings.market.symbols:
        raise InputError(
            "no symbols are named", where=f"--from {_CCXT}{venue}", remedy="name some, such as --symbols BTC,ETH"
        )
    folder = _download(settings, venue, since)
    market = said.value("market.name") or f"ccxt-{venue}"
    tree = {key: value for key, value in said.tree.get("market", {}).items() if key != "symbols"}
    imported = options.Said({**said.tree, "market": tree}).also("market.path", folder).also("market.name", market)
    bring_in(imported.also("market.interval", settings.market.interval), as_json=as_json)


def _download(settings: "Settings", venue: str, since: date | None) -> Path:
    from quant_organism.market import Interval
    from quant_organism.venue import DownloadPlan, download_history, open_ccxt

    market = settings.market
    exchange = open_ccxt(venue, timeout_seconds=market.timeout_seconds, proxy=market.proxy)
    day = since or (datetime.now(UTC) - timedelta(days=_DAYS)).date()
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    folder = settings.data_dir / "downloads" / venue
    plan = DownloadPlan(market.symbols or (), Interval.parse(market.interval), int(begin.timestamp()) * _MS, folder)
    with progress_bars() as bars:
        download_history(exchange, plan, lambda what, done, total: bars(what, done, total, ""))
    return folder
