"""The markets of a Dagster home: what the assets of each are called, and how it is opened again.

The market that came first has the plain names (`market_panel`). Every other one has assets of its own, called after it
and its bars (`files-candles/4h/market_panel`), in a code location of its own, so that nobody's days or runs are mixed.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Self

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from quant_organism.errors import InputError, IntegrityError
from quant_organism.evolution.tables import CycleTable
from quant_organism.market import Lake, check_market_id
from quant_organism.market.files import FileSource
from quant_organism.orchestration.resources import MarketResource
from quant_organism.resilience import alone_in, write_file
from quant_organism.settings import IntervalName, MarketSettings, Settings

PLAIN_LOCATION: Final = "quant_organism"
"""Code location of the market that has the plain names."""

WORKSPACE_YAML: Final = """\
# What Dagster's tools load: the definitions of quant_organism, as its settings describe them.
load_from:
  - python_module:
      module_name: quant_organism.orchestration.definitions
      location_name: quant_organism
"""

_MARKETS_YAML: Final = """\
# What Dagster's tools load: the definitions of quant_organism, a code location for each market that was worked on here.
load_from:
"""

_LOCATION: Final = """\
  - python_module:
      module_name: quant_organism.orchestration.locations
      attribute: {0}
      location_name: {0}
"""

_FOLDER: Final = "markets"
_NO_GROUP: Final = re.compile(r"[^a-z0-9_]")


class HomeMarket(BaseModel):
    """A market that was worked on in a data folder.

    Attributes
    ----------
    market, interval
        Its name in the lake, and the length of its bars.
    plain
        Whether its assets have the plain names.
    settings
        What was said of it when it was worked on last; paths are whole.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    market: Annotated[str, Field(pattern=r"^[a-z0-9_][a-z0-9_.-]*$")]
    interval: IntervalName
    plain: bool
    settings: dict[str, Any]

    @property
    def key_prefix(self) -> tuple[str, ...]:
        """What the keys of its assets begin with."""
        return () if self.plain else (self.market, self.interval)

    @property
    def location(self) -> str:
        """Name of its code location."""
        return PLAIN_LOCATION if self.plain else f"{self.market}-{self.interval}"

    @property
    def how(self) -> MarketSettings:
        """How it is opened."""
        return MarketSettings.model_validate(self.settings)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a market's file.

        Raises
        ------
        IntegrityError
            It is no such file.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (ValidationError, OSError) as error:
            raise IntegrityError(
                f"a market of the web UI cannot be read: {str(error).splitlines()[0]}",
                where=str(path),
                remedy="remove the file: it is written anew by the next run on that market",
            ) from error


def asset_keys(prefix: Sequence[str], names: Iterable[str]) -> list[dg.AssetKey]:
    """Return the keys of assets of a market, by what they begin with and the assets' own names."""
    return [dg.AssetKey([*prefix, name]) for name in names]


def in_own_groups(prefix: Sequence[str], assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """Return assets in groups that are named after their market too: lineage draws groups of the same name as one."""
    market = _NO_GROUP.sub("_", "_".join(prefix))
    moved = dg.map_asset_specs(
        lambda spec: spec.replace_attributes(group_name=f"{market}_{spec.group_name}") if prefix else spec, assets
    )
    return [asset for asset in moved if isinstance(asset, dg.AssetsDefinition)]


def markets_of(data_dir: Path) -> list[HomeMarket]:
    """Return the markets of a data folder's home, the one with the plain names first.

    Raises
    ------
    IntegrityError
        A record of one cannot be read.
    """
    found = [HomeMarket.read(path) for path in sorted(_folder(data_dir).glob("*.json"))]
    return sorted(found, key=lambda market: (not market.plain, market.location))


def joined(settings: Settings) -> HomeMarket:
    """Return the market that the settings describe as the home of their data folder knows it; it is made known to it.

    Parameters
    ----------
    settings
        Data folder and market. What they say of the market is kept, in place of what was said before.

    Raises
    ------
    QuantOrganismError
        The market cannot be read, or the home cannot be written.
    """
    if (known := known_market(settings)) is not None:
        return known
    how = with_interval_of_files(settings).market
    market, interval = check_market_id(MarketResource.of(how, settings.data_dir).id), how.interval
    folder = _folder(settings.data_dir)
    with alone_in(folder, "writing down a market"):
        others = [
            known for known in markets_of(settings.data_dir) if (known.market, known.interval) != (market, interval)
        ]
        path = folder / f"{market}-{interval}.json"
        plain = HomeMarket.read(path).plain if path.exists() else _is_first(settings.data_dir, others, market, interval)
        home = HomeMarket(market=market, interval=interval, plain=plain, settings=_said(how))
        write_file(path, f"{home.model_dump_json(indent=2)}\n".encode())
        write_workspace(settings.data_dir)
    return home


def known_market(settings: Settings) -> HomeMarket | None:
    """Return the market of the home that was last worked on as the settings say; nothing is read of the market itself.

    Raises
    ------
    IntegrityError
        A record of one cannot be read.
    """
    said, markets = _said(settings.market), markets_of(settings.data_dir)
    exact = next((known for known in markets if known.settings == said), None)
    if exact is not None or settings.market.source != "files" or "interval" in settings.market.model_fields_set:
        return exact
    return next((known for known in markets if {**known.settings, "interval": said["interval"]} == said), None)


def write_workspace(data_dir: Path) -> Path:
    """Write what Dagster's tools load of a data folder, a code location for each market of its home; return the file.

    Raises
    ------
    IntegrityError, StorageError
        A record of a market cannot be read, or the home cannot be written.
    """
    home = data_dir.resolve() / "dagster_home"
    # Modules are looked for at home and not in the folder that the tools are started in; the home may have moved.
    here = f"      working_directory: {json.dumps(str(home))}\n"
    locations = [f"{_LOCATION.format(json.dumps(market.location))}{here}" for market in markets_of(data_dir)]
    path, text = home / "workspace.yaml", _MARKETS_YAML + "".join(locations) if locations else WORKSPACE_YAML + here
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_file(path, text.encode())
    return path


def with_interval_of_files(settings: Settings) -> Settings:
    """Return the settings with the interval that files hold, where nobody said one and the default is not on offer.

    Raises
    ------
    InputError
        They hold several, and none is the default.
    """
    if settings.market.source != "files" or "interval" in settings.market.model_fields_set:
        return settings
    source = MarketResource.of(settings.market).open()
    offered = [interval.name for interval in source.intervals()] if isinstance(source, FileSource) else []
    if not offered or settings.market.interval in offered:
        return settings
    if len(offered) > 1:
        raise InputError(
            f"the files hold bars of {', '.join(offered)}",
            where=str(settings.market.path),
            remedy=f"choose with --interval {offered[-1]}",
        )
    return settings.model_copy(update={"market": settings.market.model_copy(update={"interval": offered[0]})})


def _folder(data_dir: Path) -> Path:
    return data_dir.resolve() / "dagster_home" / _FOLDER


def _said(market: MarketSettings) -> dict[str, Any]:
    """Return what was said of a market, to be read from any folder."""
    said = {**market.model_dump(mode="json", exclude_defaults=True), "interval": market.interval}
    for name in ("path", "sentiment", "world"):
        if said.get(name) is not None and Path(said[name]).exists():
            said[name] = str(Path(said[name]).resolve())
    return said


def _is_first(data_dir: Path, others: Sequence[HomeMarket], market: str, interval: str) -> bool:
    """Tell whether the plain names are free for a market: those of a home from before belong to whom they show most."""
    if any(other.plain for other in others):
        return False
    lake, known = Lake(data_dir.resolve() / "lake"), {(other.market, other.interval) for other in others}
    cycles = Counter(
        {
            (entry.market, holding.interval): holding.n_days
            for entry in lake.markets()
            for holding in entry.holdings
            if holding.dataset == CycleTable.dataset and (entry.market, holding.interval) not in known
        }
    )
    return not cycles or cycles[market, interval] == max(cycles.values())
