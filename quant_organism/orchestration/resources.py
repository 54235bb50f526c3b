"""What assets work with: the market at hand, the lake, the strategy documents, and how to search.

Resources hold plain values, shown in the web UI and changeable in its launchpad, and hand out plain objects of the
other rooms.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, Self

import dagster as dg
from pydantic import Field, PrivateAttr

from quant_organism.backtest import Costs, Evaluator
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.evolution.executors import open_executor
from quant_organism.evolution.measuring import Executor
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.market.lake import Lake
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.market.source import CandleSource
from quant_organism.settings import MarketSettings, Settings
from quant_organism.validation.permutation import SearchOnNulls
from quant_organism.validation.profile import Profile

Progress = Callable[[str, int, int, str], None]
"""Called with (what is going on, steps done, steps in all, a note for people)."""


class LakeResource(dg.ConfigurableResource[Lake]):
    """The lake of Parquet files."""

    folder: str = Field(description="Folder of the lake.")

    def open(self) -> Lake:
        """Return the lake."""
        return Lake(Path(self.folder))


class StrategiesResource(dg.ConfigurableResource[StrategyRepository]):
    """The folder of strategy documents."""

    folder: str = Field(description="Folder with active/ and archive/.")

    def open(self) -> StrategyRepository:
        """Return the repository."""
        return StrategyRepository(Path(self.folder))


class ReportsResource(dg.ConfigurableResource[Path]):
    """The folder of reports and plots."""

    folder: str = Field(description="Folder of reports: market, interval and date inside.")

    def of_cycle(self, market: str, interval: Interval, day: date) -> Path:
        """Return the folder of one cycle's report."""
        return Path(self.folder) / market / interval.name / day.isoformat()


class MarketResource(dg.ConfigurableResource[CandleSource]):
    """The market that is looked at: where its data come from, and which part of them takes part."""

    source: str = Field(
        "world",
        description="world: a simulated market; files: candles from a folder or file; hyperliquid: the venue.",
    )
    world: str = Field("demo", description="Shipped world (demo, null) or path of a YAML file.")
    world_seed: int | None = Field(None, description="Seed of the simulated market; empty: the world's own.")
    path: str | None = Field(None, description="Folder or file of candles, for source files.")
    name: str | None = Field(
        None, description="Name of the files' or venue's market in the lake; empty: made from the folder or address."
    )
    sentiment: str | None = Field(None, description="File of a Fear & Greed index, for sources files and hyperliquid.")
    sentiment_url: str | None = Field(None, description="Where to fetch the index instead, for source hyperliquid.")
    base_url: str | None = Field(None, description="Address of the venue; empty: the main network's.")
    proxy: str | None = Field(None, description="URL of an HTTP proxy to the venue.")
    timeout_seconds: float = Field(10.0, description="How long an answer of the venue may take.")
    weight_per_minute: int = Field(1200, description="What the questions of a minute to the venue may weigh.")
    kept: str | None = Field(None, description="Folder in which answers of the venue are kept; empty: none are.")
    interval: str = Field("1h", description="Length of a bar.")
    symbols: list[str] | None = Field(None, description="Symbols that take part; empty: all.")
    lookback_days: int | None = Field(None, description="Days of history in a panel; empty: all, at most 730.")
    min_quality: float = Field(0.95, description="Share of sound bars below which nothing is evolved.")
    repair: bool = Field(False, description="Set unusable rows of files aside instead of refusing the file.")

    _opened: CandleSource | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, settings: MarketSettings, data_dir: Path | None = None) -> Self:
        """Return the resource that the settings describe; a venue's answers are kept in the data folder, if given."""
        values: dict[str, Any] = settings.model_dump(mode="json")
        return cls(**values, kept=None if data_dir is None else str(data_dir / "venue"))

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

    def _open(self) -> CandleSource:
        if self.source == "files":
            from quant_organism.market.files import FileSource

            index = None if self.sentiment is None else Path(self.sentiment)
            return FileSource(
                str(self.path), market=self.name, repair=self.repair, index=index, as_of=datetime.now(UTC)
            )
        if self.source == "hyperliquid":
            return self._venue()
        from quant_organism.market.world import WorldSource, load_world

        return WorldSource(load_world(self.world), seed=self.world_seed)

    def _venue(self) -> CandleSource:
        from quant_organism.exchange.ask import info_of
        from quant_organism.exchange.client.network import BASE_URLS
        from quant_organism.exchange.fear_greed import fetch_fear_greed
        from quant_organism.exchange.source import HyperliquidSource
        from quant_organism.market.sentiment import read_sentiment

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


class SearchResource(dg.ConfigurableResource[EvolutionSpec]):
    """How to search and how to judge."""

    profile: str = Field("standard", description="Size of the search: smoke, standard or full.")
    spec_file: str | None = Field(None, description="YAML file of the search's spec, in place of the profile.")
    changes: dict[str, Any] = Field({}, description="Fields of the spec that are otherwise than profile or file say.")
    families: list[str] = Field([], description="Families that are searched; empty: all that evolve.")
    seed: int = Field(0, description="Seed of the search.")
    resume: bool = Field(False, description="Go on from where the same search was interrupted, if it was.")
    checkpoints: str = Field("data/checkpoints", description="Folder of searches that are under way.")
    threads: int = Field(1, description="Threads of the evaluator; no result depends on it.")
    executor: str = Field("threads", description="threads, ray, HOST:PORT or ray://HOST:PORT; no result depends on it.")
    workers: int | None = Field(None, description="Worker processes of Ray; empty: one per core.")
    batch_seconds: float | None = Field(None, description="Seconds after which Ray stops a batch; empty: never.")
    gates_from: str = Field("full", description="Gates of the candidates: light, full, strict, or a YAML file.")
    every_gate: bool = Field(False, description="Judge candidates by every gate, also those that have fallen.")
    stop_without_edge: bool = Field(False, description="Do not search where the test before it finds nothing.")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the resource that the settings describe.

        Raises
        ------
        InputError
            No search can be made of them.
        """
        search = cls(
            profile=settings.profile,
            spec_file=None if settings.search.spec is None else str(settings.search.spec),
            changes=settings.search.model_dump(exclude={"spec", "resume"}, exclude_none=True),
            families=list(settings.families or ()),
            seed=settings.seed,
            resume=settings.search.resume,
            checkpoints=str(settings.data_dir.resolve() / "checkpoints"),
            threads=settings.worker_threads,
            executor=settings.executor,
            workers=settings.workers,
            batch_seconds=settings.batch_seconds,
            gates_from=settings.validation.gates,
            every_gate=settings.validation.every_gate,
            stop_without_edge=settings.validation.when_nothing_to_find == "stop",
        )
        _ = search.spec, search.gates  # refused now, before any work, rather than after the data are in
        return search

    @property
    def spec(self) -> EvolutionSpec:
        """What a search is."""
        changes = self.changes | ({"families": tuple(self.families)} if self.families else {})
        if self.spec_file is not None:
            return EvolutionSpec.read(Path(self.spec_file), **changes)
        return EvolutionSpec.profile(self.profile, **changes)  # type: ignore[arg-type]

    @property
    def gates(self) -> Profile:
        """What a strategy must show."""
        return Profile.load(self.gates_from)

    @property
    def costs(self) -> Costs:
        """What trading costs."""
        return Costs()

    def evaluator(self) -> Evaluator:
        """Return the evaluator."""
        return Evaluator(threads=self.threads)

    @property
    def processes(self) -> int:
        """How many whole searches are made at once: one per thread, or one after the other on Ray."""
        return self.threads if self.executor == "threads" else 1

    def on_nulls(self, panel: Panel, spec: EvolutionSpec) -> SearchOnNulls:
        """Return the search by a frozen spec, to be repeated where nothing can be found."""
        return SearchOnNulls(
            panel,
            spec,
            self.costs,
            threads=self.threads if self.processes == 1 else 1,
            seed=self.seed,
            executor=self.executor,
            workers=self.workers,
            batch_seconds=self.batch_seconds,
        )

    def open_executor(self, panel: Panel) -> AbstractContextManager[Executor]:
        """Return what measures strategies on a panel for as long as it is entered."""
        return open_executor(
            self.executor, panel, self.costs, self.evaluator(), workers=self.workers, batch_seconds=self.batch_seconds
        )


class SignificanceResource(dg.ConfigurableResource[None]):
    """How it is asked whether there is anything to find, and whether what was found is more than luck."""

    strategies: int = Field(500, description="Random strategies of the test before the search.")
    copies: int = Field(39, description="Copies of the market without anything to find that they are measured on.")
    searches: int = Field(99, description="Copies that the whole search is repeated on, at most.")
    minutes: float = Field(0.75, description="Time for these repetitions, which decides how many there are; 0: none.")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the resource that the settings describe."""
        said = settings.significance.model_dump(exclude_none=True)
        return cls(**{**_SIGNIFICANCE[settings.profile], **said})


_SIGNIFICANCE: Final[dict[str, dict[str, Any]]] = {
    "smoke": {"strategies": 100, "copies": 19, "searches": 19, "minutes": 0.1},
    "standard": {"strategies": 500, "copies": 39, "searches": 99, "minutes": 0.75},
    "full": {"strategies": 1_000, "copies": 99, "searches": 99, "minutes": 60.0},
}
"""What each profile spends on it: little to see it work; what keeps a cycle within three minutes; all it takes."""


def log_progress(what: str, done: int, total: int, note: str) -> None:
    """Report progress in the run's log, as the web UI shows it: the start, every tenth, and the end."""
    if done in (0, total) or done * 10 // total > (done - 1) * 10 // total:
        dg.get_dagster_logger().info(f"{what}: {done} of {total} {note}".rstrip())
