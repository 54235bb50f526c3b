"""What a simulated market is made of, as a YAML document."""

import hashlib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from quant_organism.errors import InputError

MAX_BYTES: Final = 64_000
_SPECS: Final = Path(__file__).parent / "specs"

_Date = Annotated[date, Field(ge=date(1970, 1, 1), le=date(2200, 1, 1))]
_Listed = Field(strict=False)  # YAML has lists, not tuples; what is in them stays strict

PlantFamily = Literal["momentum", "reversion", "breakout", "carry", "relative_momentum", "relative_carry"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Asset(_Part):
    """One asset of a world.

    Parameters
    ----------
    symbol
        Its name.
    volatility
        Multiplier of the market's volatility.
    price
        Price at the start, in USD.
    listed, delisted
        First day with bars, and the first day without any more; none: the whole world.
    """

    symbol: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$")]
    volatility: float = Field(1.0, gt=0, le=10)
    price: float = Field(100.0, gt=0)
    listed: _Date | None = None
    delisted: _Date | None = None


class Plant(_Part):
    """A planted edge: it moves the conditional mean of returns and nothing else.

    Parameters
    ----------
    family
        `momentum`: mean k sd s, s a latent AR(1) with a half-life of 48 hours; `reversion`: a log-price component with
        shocks k sd that halves in 24 hours; `breakout`: mean k sd for 48 hours after a close beyond the previous 48;
        `carry`: mean -k sd p, p the funding premium; `relative_momentum`: mean k sd s, s a latent AR(1) with a
        half-life of 240 hours less its mean over all assets; `relative_carry`: mean -k sd p, p less its mean over all.
    strength
        The k above; 0 is no edge.
    symbols
        Assets that have it; none: all.
    start, end
        First day with the edge, and the first day without it any more; none: the whole world.
    """

    family: PlantFamily
    strength: float = Field(ge=0, lt=1)
    symbols: Annotated[tuple[str, ...] | None, _Listed] = None
    start: _Date | None = None
    end: _Date | None = None


class Stretch(_Part):
    """Consecutive bars of one symbol, from a UTC moment on."""

    symbol: str
    start: datetime
    bars: int = Field(ge=1)

    @field_validator("start")
    @classmethod
    def _in_utc(cls, moment: datetime) -> datetime:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class WorldSpec(_Part):
    """A simulated market of one-hour bars.

    Parameters
    ----------
    name
        Short name; with the hash of spec and seed it names the market in the lake.
    start, days
        First UTC day, and how many days there are.
    assets
        Between 1 and 500.
    plants
        Planted edges; none: a market without any edge.
    gaps, zero_volume
        Bars that are missing, and bars in which nothing was traded.
    seed
        Seed of the world unless another is asked for.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
    start: _Date = date(2023, 1, 1)
    days: int = Field(730, ge=1, le=7_500)
    assets: Annotated[tuple[Asset, ...], _Listed] = Field(min_length=1, max_length=500)
    plants: Annotated[tuple[Plant, ...], _Listed] = ()
    gaps: Annotated[tuple[Stretch, ...], _Listed] = ()
    zero_volume: Annotated[tuple[Stretch, ...], _Listed] = ()
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        symbols = [asset.symbol for asset in self.assets]
        twice = sorted({symbol for symbol in symbols if symbols.count(symbol) > 1})
        if twice:
            raise ValueError(f"assets: {', '.join(twice)} is listed more than once")
        named = {symbol for plant in self.plants for symbol in plant.symbols or ()}
        named |= {stretch.symbol for stretch in (*self.gaps, *self.zero_volume)}
        unknown = sorted(named - set(symbols))
        if unknown:
            raise ValueError(f"no asset is called {', '.join(unknown)}; the assets are {', '.join(symbols)}")
        if sum(plant.family == "reversion" for plant in self.plants) > 1:
            raise ValueError("plants: at most one of reversion")
        return self

    @model_validator(mode="after")
    def _times_fit(self) -> Self:
        after = self.end + timedelta(days=1)
        spans = [(f"asset {asset.symbol}", asset.listed, asset.delisted) for asset in self.assets]
        spans += [(f"plant {plant.family}", plant.start, plant.end) for plant in self.plants]
        spans += [
            (f"stretch of {stretch.symbol} at {stretch.start:%Y-%m-%d %H:%M}", stretch.start.date(), None)
            for stretch in (*self.gaps, *self.zero_volume)
        ]
        for what, begins, ends in spans:
            if max(begins or self.start, self.start) >= min(ends or after, after):
                raise ValueError(f"the {what} has no time in the world, which is from {self.start} to {self.end}")
        return self

    @property
    def end(self) -> date:
        """Last UTC day."""
        return self.start + timedelta(days=self.days - 1)

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON, without name and seed."""
        content = self.model_dump(mode="json", exclude={"name", "seed"})
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def shipped_worlds() -> tuple[str, ...]:
    """Return the names of the worlds that come with the package."""
    return tuple(sorted(path.stem for path in _SPECS.glob("*.yaml")))


def load_world(name_or_path: str | Path) -> WorldSpec:
    """Return a shipped world by its name, or one from a YAML file.

    Raises
    ------
    InputError
        No such world or file, not YAML, or a key or value that cannot be used; the message names file and key.
    """
    text = str(name_or_path)
    if text in shipped_worlds():
        return _parse(_SPECS / f"{text}.yaml")
    path = Path(name_or_path)
    if not path.is_file():
        raise InputError(
            f"there is no world {text!r}",
            where="world",
            remedy=f"use one of {', '.join(shipped_worlds())}, or the path of a YAML file",
        )
    return _parse(path)


def _parse(path: Path) -> WorldSpec:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{size} bytes are too many for a world", where=str(path), remedy="shorten it")
        content: Any = yaml.safe_load(path.read_bytes())
        if not isinstance(content, dict):
            raise InputError("not a mapping of settings", where=str(path), remedy="see docs/worlds.md for an example")
        return WorldSpec.model_validate(content)
    except RecursionError as error:
        raise InputError("nested too deeply", where=str(path), remedy="correct the file") from error
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", where=str(path), remedy="correct the file") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        what = "no such key" if first["type"] == "extra_forbidden" else str(first["msg"]).removeprefix("Value error, ")
        where = f"{path}: {key}" if key else str(path)
        raise InputError(what, where=where, remedy="correct it; docs/worlds.md lists what a world can say") from error
