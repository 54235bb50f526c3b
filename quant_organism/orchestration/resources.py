"""What assets work with: the market at hand, the lake, the strategy documents, and how to search.

Resources hold plain values, shown in the web UI and changeable in its launchpad, and hand out plain objects of the
other rooms.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self, get_args, get_origin
from urllib.parse import quote

import dagster as dg
import polars as pl
from pydantic import Field, PrivateAttr, create_model
from pydantic.fields import FieldInfo

from quant_organism.backtest import Costs
from quant_organism.backtest.account import measured_costs
from quant_organism.cycle import Compute, Cycle, CyclePlan, Panels, PanelTables, SignificancePlan, SplitPanel
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.errors import InputError, QuantOrganismError
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.evolution.tables import CycleTable
from quant_organism.market.cycles import CycleIndex
from quant_organism.market.lake import Lake
from quant_organism.market.migration import migrate
from quant_organism.market.schema import Interval
from quant_organism.market.source import CandleSource
from quant_organism.market.table import Table
from quant_organism.orchestration.access import Signing, VenueRehearsals
from quant_organism.orchestration.home import COMMAND_TAG
from quant_organism.orchestration.partitions import DAILY, VENUES_BEGAN, market_days
from quant_organism.orchestration.run_lock import run_lock
from quant_organism.settings import (
    MAX_LOOKBACK_DAYS,
    AccountSettings,
    MarketSettings,
    SearchSettings,
    Settings,
    ValidationSettings,
)
from quant_organism.validation.profile import Profile
from quant_organism.validation.workers import workers_at_hand

CYCLE_TAG: Final = "quant_organism/cycle"
"""On runs that begin a cycle: market, day and identity under which its records are kept."""


def _configuration(name: str, *fields: Mapping[str, FieldInfo]) -> Any:
    """Return a resource whose fields are settings: the same names, defaults and words, as types that Dagster shows."""
    definitions: dict[str, Any] = {
        key: (_shown_type(field.annotation), Field(field.default, description=field.description))
        for group in fields
        for key, field in group.items()
    }
    return create_model(name, __base__=dg.ConfigurableResource, **definitions)


def _shown_type(annotation: Any) -> Any:
    parts = (annotation, *get_args(annotation))
    shown: Any = next((kind for kind in (bool, int, float) if kind in parts), str)
    if any(get_origin(part) is tuple for part in parts):
        shown = list[str]
    return shown | None if type(None) in parts else shown


_MarketConfiguration: Any = _configuration("MarketConfiguration", MarketSettings.model_fields)

_RENAMED: Final = {"spec": "spec_file", "gates": "gates_from"}
"""Settings whose names here belong to what they describe."""

_SearchConfiguration: Any = _configuration(
    "SearchConfiguration",
    {
        name: Settings.model_fields[name]
        for name in ("profile", "line", "families", "seed", "offer", "executor", "workers", "batch_seconds")
    },
    {
        _RENAMED.get(name, name): field
        for group in (SearchSettings, ValidationSettings, AccountSettings)
        for name, field in group.model_fields.items()
    },
)


class LakeResource(dg.ConfigurableResource[Lake]):
    """The lake of Parquet files; a run that was not begun by a command holds the data folder's run lock with it."""

    folder: str = Field(description="Folder of the lake.")

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Any]:
        """Wait until nothing else computes in the data folder; what only looks, such as a sensor, waits for nothing."""
        if context.run is None or COMMAND_TAG in context.run.tags:
            yield self
            return

        def say(held: str) -> None:
            if context.log is not None:
                context.log.info(f"{held}; waiting for it to end")

        with run_lock(self.data_dir, waits=say):
            yield self

    @property
    def data_dir(self) -> Path:
        """The data folder that the lake stands in."""
        return Path(self.folder).parent

    def open(self) -> Lake:
        """Return the lake, in its newest form."""
        migrate(Path(self.folder))
        return Lake(Path(self.folder))


class StrategiesResource(dg.ConfigurableResource[StrategyRepository]):
    """The folder of strategy documents."""

    folder: str = Field(description="Folder with active/ and archive/.")
    signing: dg.ResourceDependency[Signing]

    def open(self) -> StrategyRepository:
        """Return the repository, which signs what it writes where the settings have a key."""
        return StrategyRepository(Path(self.folder), signer=self.signing.signer())


class ReportsResource(dg.ConfigurableResource[Path]):
    """The folder of reports and plots."""

    folder: str = Field(description="Folder of reports: market, interval, date and cycle inside.")
    site: str = Field("http://127.0.0.1:3001", description="Address of the report site.")

    def of_cycle(self, cycle: Cycle) -> Path:
        """Return the folder of one cycle's report."""
        return Path(self.folder) / cycle.market / cycle.interval.name / cycle.day.isoformat() / cycle.id

    def address(self, path: Path) -> str:
        """Return where the report site shows a file of the folder."""
        return f"{self.site}/reports/{quote(path.relative_to(self.folder).as_posix())}"


class MarketResource(_MarketConfiguration):  # type: ignore[misc]
    """The market that is looked at: where its data come from, and which part of them takes part."""

    kept: str | None = Field(None, description="Folder in which answers of the venue are kept; empty: none are.")

    _opened: CandleSource | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, settings: MarketSettings, data_dir: Path | None = None) -> Self:
        """Return the resource that the settings describe; a venue's answers are kept in the data folder, if given."""
        return cls(**settings.model_dump(mode="json"), kept=None if data_dir is None else str(data_dir / "venue"))

    def open(self) -> CandleSource:
        """Return the source of candles; it is opened once."""
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    @property
    def id(self) -> str:
        """Name of the market in the lake."""
        return self.open().market

    @property
    def bars(self) -> Interval:
        """Length of a bar."""
        return Interval.parse(self.interval)

    def partitions(self) -> dg.DailyPartitionsDefinition:
        """Return the days of the market's own span.

        A venue is not asked for its own: it has a new day every night. A market that cannot be read has all days, so
        that the web UI opens, and what is materialised says why.
        """
        if self.source == "hyperliquid":
            return market_days(VENUES_BEGAN, None)
        try:
            return market_days(*self.open().span(self.bars))
        except (QuantOrganismError, OSError):
            return DAILY

    def first_missing(self, lake: Lake, day: date) -> date:
        """Return the first day of a day's lookback that the lake lacks candles of; the day itself if it lacks none."""
        first, _ = self.open().span(self.bars)
        begin = max(first, day - timedelta(days=(self.lookback_days or MAX_LOOKBACK_DAYS) - 1))
        held = set(lake.days("candles", market=self.id, interval=self.interval))
        wanted = (begin + timedelta(days=n) for n in range((day - begin).days))
        return next((missing for missing in wanted if missing not in held), day)

    def _open(self) -> CandleSource:
        if self.source == "files":
            from quant_organism.market.files import FileSource

            index = None if self.sentiment is None else Path(self.sentiment)
            return FileSource(
                str(self.path),
                market=self.name,
                repair=self.repair,
                index=index,
                as_of=datetime.now(UTC),
                columns=self.columns or (),
                time_unit=self.time_unit,
            )
        if self.source == "hyperliquid":
            return self._venue()
        from quant_organism.market.world import WorldSource, load_world

        return WorldSource(load_world(self.world), seed=self.world_seed)

    def _venue(self) -> CandleSource:
        from quant_organism.market.sentiment import read_sentiment
        from quant_organism.venue import BASE_URLS, HyperliquidSource, fetch_fear_greed, info_of

        base_url, index = self.base_url or BASE_URLS["mainnet"], None
        if self.sentiment is not None:
            index = read_sentiment(Path(self.sentiment))
        elif self.sentiment_url is not None:
            index = fetch_fear_greed(self.sentiment_url, timeout_seconds=self.timeout_seconds, proxy=self.proxy)
        ask = info_of(
            base_url,
            timeout_seconds=self.timeout_seconds,
            proxy=self.proxy,
            weight_per_minute=self.weight_per_minute,
        )
        kept = None if self.kept is None else Path(self.kept)
        return HyperliquidSource(ask, base_url=base_url, market=self.name, index=index, kept=kept)


class SearchResource(_SearchConfiguration):  # type: ignore[misc]
    """How to search and how to judge."""

    threads: int = Field(1, description=str(Settings.model_fields["threads"].description))
    checkpoints: str = Field("data/checkpoints", description="Folder of searches that are under way.")

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Any]:
        """Keep processes for all steps of a run; none is started before a stage asks for it."""
        with workers_at_hand(self.compute.processes_here):
            yield self

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the resource that the settings describe.

        Raises
        ------
        InputError
            No search can be made of them.
        """
        said = settings.model_dump(mode="json")
        values = {**said, "profile": settings.search_profile, **said["search"], **said["validation"], **said["account"]}
        names = {_RENAMED.get(name, name): name for name in values}
        search = cls(
            **{name: values[names[name]] for name in _SearchConfiguration.model_fields},
            threads=settings.worker_threads,
            checkpoints=str(settings.data_dir.resolve() / "checkpoints"),
        )
        _ = search.spec, search.gates  # refused now, before any work, rather than after the data are in
        return search

    @property
    def spec(self) -> EvolutionSpec:
        """What a search is."""
        changes = {name: getattr(self, name) for name in SearchSettings.model_fields if name not in ("spec", "resume")}
        changes = {name: value for name, value in changes.items() if value is not None}
        if self.families:
            changes["families"] = tuple(self.families)
        if self.spec_file is not None:
            return EvolutionSpec.read(Path(self.spec_file), **changes)
        return EvolutionSpec.profile(self.profile or "standard", **changes)

    @property
    def stop_without_edge(self) -> bool:
        """Whether nothing is searched where the test before the search finds nothing."""
        return bool(self.when_nothing_to_find == "stop")

    @property
    def gates(self) -> Profile:
        """What a strategy must show."""
        return Profile.load(self.gates_from)

    @property
    def compute(self) -> Compute:
        """What it is computed with."""
        return Compute(
            threads=self.threads,
            executor=self.executor,
            workers=self.workers,
            batch_seconds=self.batch_seconds,
            checkpoints=Path(self.checkpoints),
            resume=self.resume,
        )

    def plan(self, significance: SignificancePlan, costs: Costs | None = None) -> CyclePlan:
        """Return how a cycle searches and judges.

        Parameters
        ----------
        significance
            What is spent on the tests of luck.
        costs
            What trading costs. Default: `Costs()`.
        """
        return CyclePlan(
            spec=self.spec,
            gates=self.gates,
            seed=self.seed,
            significance=significance,
            costs=costs or Costs(),
            equity_usd=self.equity_usd,
            every_gate=self.every_gate,
            stop_without_edge=self.stop_without_edge,
            line=self.line,
        )


class SignificanceResource(dg.ConfigurableResource[None]):
    """How it is asked whether there is anything to find, and whether what was found is more than luck."""

    strategies: int = Field(52, description="Random strategies of the test before the search.")
    copies: int = Field(99, description="Copies of the market without anything to find that they are measured on.")
    searches: int = Field(19, description="Copies that the whole search is repeated on.")
    minutes: float | None = Field(
        None, description="Minutes after which no repetition is begun; what is missing is marked. Empty: no limit."
    )

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the resource that the settings describe."""
        said = settings.significance.model_dump(exclude_none=True)
        return cls(**asdict(SignificancePlan.profile(settings.search_profile, **said)))

    @property
    def plan(self) -> SignificancePlan:
        """What is spent on the tests of luck."""
        return SignificancePlan(
            strategies=self.strategies, copies=self.copies, searches=self.searches, minutes=self.minutes
        )


def launch_config(resource: dg.ConfigurableResource[Any], **changes: Any) -> dict[str, Any]:
    """Return the run configuration of a resource: all that it is set to, but for some changes.

    A run configuration that names some fields alone has Dagster take the others from the class, not from the settings.
    """
    return {"config": {**resource.model_dump(), **changes}}


def plan_at_hand(
    market: MarketResource, lake: LakeResource, search: SearchResource, significance: SignificanceResource
) -> CyclePlan:
    """Return how a cycle of a market searches and judges by the settings at hand, and by what was measured there."""
    return search.plan(significance.plan, measured_costs(lake.open(), market.id, search.equity_usd))


def begin_cycle(
    made: PanelTables,
    partition: str,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    significance: SignificanceResource,
) -> Cycle:
    """Begin the cycle of a partition on its panel, by the settings at hand, and return it.

    Parameters
    ----------
    made, partition
        The panel, and its day.
    market, lake, search, significance
        Where, and how.
    """
    cycle = Cycle(
        plan=plan_at_hand(market, lake, search, significance),
        lake=lake.open(),
        market=market.id,
        interval=market.bars,
        day=date.fromisoformat(partition),
        data=SplitPanel(made.panel, search.line),
        compute=search.compute,
        offer=search.offer,
    )
    cycle.begin()
    return cycle


def open_cycle(
    manifest: pl.DataFrame,
    partition: str,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    significance: SignificanceResource,
    panels: Panels,
    rehearsals: VenueRehearsals | None = None,
) -> Cycle:
    """Return the cycle of a partition that was begun last by the settings at hand, on the panel that it began on.

    Parameters
    ----------
    manifest, partition
        What `market_panel` stored, and its day.
    market, lake, search, significance
        Where, and how.
    panels
        Keeps the panel from asset to asset.
    rehearsals
        Of candidates at a venue, for those who ask for them.
    """
    store, day = lake.open(), date.fromisoformat(partition)
    id = cycle_at_hand(day, market, lake, search, significance)
    begun = store.table(CycleTable, cycle=id).read_day(day, market=market.id, interval=market.interval)
    return Cycle(
        plan=plan_at_hand(market, lake, search, significance),
        lake=store,
        market=market.id,
        interval=market.bars,
        day=day,
        data=panels.open(manifest, store, market=market.id, interval=market.bars, day=day, line=search.line),
        compute=search.compute,
        begun=begun,
        rehearses=rehearsals if rehearsals is not None and rehearsals.is_configured else None,
        offer=search.offer,
    )


def cycle_at_hand(
    day: date, market: MarketResource, lake: LakeResource, search: SearchResource, significance: SignificanceResource
) -> str:
    """Return the identity of the cycle that was begun last on a day by the settings at hand.

    Raises
    ------
    InputError
        None was begun by them.
    """
    index = CycleIndex(lake.open().root, market.id, market.bars)
    plan = plan_at_hand(market, lake, search, significance)
    found = index.of_plan(day, plan.hash, plan.seed)
    if found is None:
        others = ", ".join(index.rows(day)["cycle"]) or "none"
        raise InputError(
            f"no cycle of {day} was begun by these settings with seed {plan.seed}",
            where=f"market {market.id} at {market.interval}; cycles of that day: {others}",
            remedy="materialise market_panel and what follows: each plan and seed has records of its own",
        )
    return found


def read_at_hand(
    table: type[Table],
    day: date,
    market: MarketResource,
    lake: LakeResource,
    search: SearchResource,
    significance: SignificanceResource,
) -> pl.DataFrame:
    """Return a table of the cycle that was begun last on a day by the settings at hand; errors as `cycle_at_hand`."""
    cycle = cycle_at_hand(day, market, lake, search, significance)
    return lake.open().table(table, cycle=cycle).read_day(day, market=market.id, interval=market.interval)


def log_progress(what: str, done: int, total: int, note: str) -> None:
    """Report progress in the run's log, as the web UI shows it: the start, every tenth, and the end."""
    if done in (0, total) or done * 10 // total > (done - 1) * 10 // total:
        dg.get_dagster_logger().info(f"{what}: {done} of {total} {note}".rstrip())
