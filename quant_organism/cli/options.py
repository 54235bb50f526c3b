"""Options that several commands share, and the settings that they amount to."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quant_organism.errors import InputError

if TYPE_CHECKING:
    from quant_organism.market.source import CandleSource
    from quant_organism.settings import Settings

_MARKET = "Market"
_SEARCH = "Search"

DataDir = Annotated[Path | None, typer.Option(help="Folder of everything that runs leave behind. (default: data)")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]

Port = Annotated[int, typer.Option(min=1, max=65535, help="Port of the web UI on 127.0.0.1.")]

Venue = Annotated[
    str | None,
    typer.Option(
        "--venue",
        metavar="NETWORK",
        help="simulator, testnet or mainnet; mainnet must be said here and confirmed in the settings. "
        "(default: as the settings say)",
    ),
]
World = Annotated[
    str | None,
    typer.Option(help="Simulated market: demo, null, or a YAML file. (default: demo)", rich_help_panel=_MARKET),
]
WorldSeed = Annotated[
    int | None, typer.Option(help="Another market of the same world. (default: the world's)", rich_help_panel=_MARKET)
]
Source = Annotated[
    str | None, typer.Option(help="world, files or hyperliquid. (default: world)", rich_help_panel=_MARKET)
]
BaseUrl = Annotated[
    str | None,
    typer.Option(help="Address of a venue; implies --source hyperliquid. (its main network)", rich_help_panel=_MARKET),
]
Candles = Annotated[
    Path | None,
    typer.Option("--path", help="Folder or file of candles; implies --source files.", rich_help_panel=_MARKET),
]
Market = Annotated[
    str | None, typer.Option(help="Name of the files' market. (default: the folder's name)", rich_help_panel=_MARKET)
]
Sentiment = Annotated[
    Path | None,
    typer.Option(
        help="File of a Fear & Greed index (JSON, CSV, Parquet) for the files' market.", rich_help_panel=_MARKET
    ),
]
Symbols = Annotated[
    str | None, typer.Option(help="Symbols, separated by commas. (default: all)", rich_help_panel=_MARKET)
]
Interval = Annotated[str | None, typer.Option(help="Length of a bar: 1m to 1d. (default: 1h)", rich_help_panel=_MARKET)]
CycleDay = Annotated[
    str | None,
    typer.Option(
        "--date", help="Day of the cycle, nothing later is seen. (default: the last complete one)", metavar="YYYY-MM-DD"
    ),
]
LookbackDays = Annotated[
    int | None, typer.Option(help="Days of history. (default: all there is, at most 730)", rich_help_panel=_MARKET)
]
MinQuality = Annotated[
    float | None, typer.Option(help="Least share of sound bars. (default: 0.95)", rich_help_panel=_MARKET)
]
Repair = Annotated[
    bool, typer.Option("--repair", help="Set unusable rows of files aside, and list them.", rich_help_panel=_MARKET)
]
Profile = Annotated[
    str | None,
    typer.Option(
        help="smoke: to see it work; standard: two minutes; full: for real. (default: standard)",
        rich_help_panel=_SEARCH,
    ),
]
Families = Annotated[
    str | None,
    typer.Option(
        help="Families that are searched, separated by commas; `quant-organism families` lists them. "
        "(default: all that evolve)",
        rich_help_panel=_SEARCH,
    ),
]
Seed = Annotated[int | None, typer.Option(help="Seed of the search. (default: 0)", rich_help_panel=_SEARCH)]
Threads = Annotated[
    int | None,
    typer.Option(help="Threads; no result depends on them. (default: one per core)", rich_help_panel=_SEARCH),
]


def market_options(
    *,
    world: str | None = None,
    world_seed: int | None = None,
    source: str | None = None,
    path: Path | None = None,
    market: str | None = None,
    sentiment: Path | None = None,
    base_url: str | None = None,
    symbols: str | None = None,
    interval: str | None = None,
    lookback_days: int | None = None,
    min_quality: float | None = None,
    repair: bool = False,
) -> dict[str, Any]:
    """Return the market part of the settings' options; what was not said is None.

    Raises
    ------
    InputError
        Two of world, files and venue at once.
    """
    said = {
        "world": (world is not None, "--world", "a world"),
        "files": (path is not None, "--path", "files"),
        "hyperliquid": (base_url is not None, "--base-url", "a venue"),
    }
    named = [name for name, (is_said, _, _) in said.items() if is_said or name == source]
    implied = named[0] if named else None
    if len(named) > 1:
        (_, option, one), (_, _, other) = (said[name] for name in named[:2])
        raise InputError(
            f"{one} and {other} cannot be looked at together", where=option, remedy="leave one of them out"
        )
    return {
        "source": source or implied,
        "world": world,
        "world_seed": world_seed,
        "path": path,
        "name": market,
        "sentiment": sentiment,
        "base_url": base_url,
        "symbols": symbols,
        "interval": interval,
        "lookback_days": lookback_days,
        "min_quality": min_quality,
        "repair": repair or None,
    }


def candle_source(chosen: Mapping[str, Any]) -> "CandleSource":
    """Return the source that market options name, by the settings where they say nothing.

    Raises
    ------
    InputError
        A world or folder that does not exist, or options that do not fit together.
    """
    from quant_organism.market.files.source import FileSource
    from quant_organism.market.world.source import WorldSource
    from quant_organism.market.world.spec import load_world
    from quant_organism.settings import load_settings

    market = load_settings({"market": chosen}).market
    if market.source == "files" and market.path is not None:
        return FileSource(market.path, market=market.name, repair=market.repair)
    return WorldSource(load_world(market.world), seed=market.world_seed)


def split_symbols(text: str) -> list[str]:
    """Return the symbols of a comma-separated text."""
    return [symbol.strip() for symbol in text.split(",") if symbol.strip()]


def parse_day(text: str | None) -> date | None:
    """Return the day that an option names.

    Raises
    ------
    InputError
        The text is not a day of the calendar.
    """
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"{text!r} is not a day: {error}", where="option --date", remedy="write it as YYYY-MM-DD"
        ) from None


def command_line(command: str, said: Mapping[str, Any]) -> str:
    """Return the command to type, with the options that were said before."""
    flags = {name: value for name, value in said.items() if name != "market"} | dict(said.get("market", {}))
    if any(flags.get(name) is not None for name in ("world", "path", "base_url")):
        flags["source"] = None  # implied
    words = [program(), *command.split()]
    for name, value in flags.items():
        option = "--market" if name == "name" else f"--{name.replace('_', '-')}"
        words += [] if value is None else [option] if value is True else [option, str(value)]
    return shlex.join(words)


def program() -> str:
    """Return how this program can be called from here: by name where it is on the path, else by its file."""
    return "quant-organism" if shutil.which("quant-organism") else os.path.relpath(sys.argv[0])


def venue_settings(network: str | None, data_dir: Path | None) -> "Settings":
    """Return the settings of a command that talks to the venue, which `--venue` may name.

    Raises
    ------
    InputError
        No network of that name, or the main network without the confirmation of the settings.
    """
    from typing import get_args

    from quant_organism.exchange.client.network import Network
    from quant_organism.settings import load_settings

    if network is not None and network not in get_args(Network):
        raise InputError(
            f"no network is called {network!r}", where="option --venue", remedy=f"choose {', '.join(get_args(Network))}"
        )
    return load_settings({"data_dir": data_dir, "venue": {"network": network}})


def folder_settings(data_dir: Path | None) -> "Settings":
    """Return the settings of a command that only looks at a data folder."""
    from quant_organism.settings import load_settings

    return load_settings({"data_dir": data_dir})
