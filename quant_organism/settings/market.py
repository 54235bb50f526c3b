"""Settings of the market that is looked at."""

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_settings import NoDecode

MAX_LOOKBACK_DAYS: Final = 730
_BASE_URL: Final = re.compile(r"https?://[^/\s@]+")

IntervalName = Literal["1m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d"]


def split_text(value: Any) -> Any:
    """Return the parts of a text that are separated by commas; what is no text stays as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


class MarketSettings(BaseModel):
    """Which market is looked at.

    Parameters
    ----------
    source
        `world`: a simulated market; `files`: candles from a folder or file; `hyperliquid`: the venue at `base_url`.
    world
        Name of a shipped world, or path of a YAML file.
    world_seed
        Seed of the simulated market; None: the one that its file names.
    path
        Folder or file of candles, with `source` = `files`.
    name
        Name of the files' or the venue's market in the lake; None: made from the folder's name or the address.
    sentiment
        File of a Fear & Greed index, with `source` = `files` or `hyperliquid`; None: none, and no strategy minds it.
    sentiment_url
        Where to fetch the index instead, with `source` = `hyperliquid`: `https://api.alternative.me/fng/?limit=0`.
    base_url
        Address of the venue, with `source` = `hyperliquid`; None: the main network's. No slash at its end.
    proxy
        URL of an HTTP proxy to the venue, without a password, as it is shown in the web UI; None: none.
    timeout_seconds
        How long an answer of the venue may take.
    weight_per_minute
        What the questions of a minute may weigh; the venue allows 1,200 to an address of the network.
    interval
        Length of a bar.
    symbols
        Symbols that take part; None: all. As text: separated by commas.
    lookback_days
        Days of history in a panel; None: all there is, at most 730.
    min_quality
        Share of sound bars below which nothing is evolved.
    repair
        Set unusable rows of files aside, listed with their reasons, instead of refusing the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["world", "files", "hyperliquid"] = "world"
    world: str = "demo"
    world_seed: int | None = Field(None, ge=0)
    path: Path | None = None
    name: str | None = None
    sentiment: Path | None = None
    sentiment_url: str | None = None
    base_url: str | None = None
    proxy: str | None = None
    timeout_seconds: float = Field(10.0, gt=0)
    weight_per_minute: int = Field(1200, ge=60)
    interval: IntervalName = "1h"
    symbols: Annotated[tuple[str, ...] | None, NoDecode] = None
    lookback_days: int | None = Field(None, ge=1, le=MAX_LOOKBACK_DAYS)
    min_quality: float = Field(0.95, ge=0, le=1)
    repair: bool = False

    _split_symbols = field_validator("symbols", mode="before")(split_text)

    @model_validator(mode="after")
    def _files_need_a_path(self) -> Self:
        if self.source == "files" and self.path is None:
            raise ValueError("source is 'files' but no path is given; name the folder or file of candles (--path)")
        return self

    @model_validator(mode="after")
    def _an_address_needs_the_venue(self) -> Self:
        if self.base_url is not None and self.source != "hyperliquid":
            raise ValueError(f"base_url is given but source is {self.source!r}; use --source hyperliquid with it")
        if self.base_url is not None and not _BASE_URL.fullmatch(self.base_url):
            raise ValueError(f"base_url {self.base_url!r} is no address; write it as http://host:port")
        if self.proxy is not None and "@" in self.proxy:
            raise ValueError("proxy holds a name or password, which would be shown; use one that needs none")
        if self.sentiment is not None and self.sentiment_url is not None:
            raise ValueError("sentiment and sentiment_url both name an index; leave one of them out")
        return self
