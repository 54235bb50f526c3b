"""Drive the assets from one process on the persistent instance, so that the web UI shows what a command did."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import dagster as dg
import polars as pl

from quant_organism.cycle import Panels, Progress
from quant_organism.cycle.comparison import Comparison, compare
from quant_organism.cycle.loading import stages_are_loaded
from quant_organism.deployment.deploy import all_documents
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.deployment.tables import DecisionTable
from quant_organism.evolution.baselines import Baseline, baselines_named
from quant_organism.evolution.tables import (
    CandidateTable,
    FamilyProgressTable,
    LostBatchTable,
    PopulationTable,
    ProgressTable,
)
from quant_organism.market.ingest import ingest
from quant_organism.market.lines import Line
from quant_organism.market.quality import summarise
from quant_organism.market.schema import Interval
from quant_organism.market.source import CandleSource
from quant_organism.market.table import Table
from quant_organism.market.tables import CandleQualityTable, CandleTable, PanelTable
from quant_organism.orchestration.assets.evolution import SEARCH_FACTS
from quant_organism.orchestration.definitions import build_definitions
from quant_organism.orchestration.estimates import SIZE_TAG, RunEstimate, estimated, size_of
from quant_organism.orchestration.failures import explained
from quant_organism.orchestration.home import COMMAND_TAG, open_instance, settle_runs
from quant_organism.orchestration.jobs import MARKET_DATA, MARKS
from quant_organism.orchestration.logs import to_file
from quant_organism.orchestration.markets import asset_keys, joined, with_interval_of_files
from quant_organism.orchestration.partitions import Days, all_days_of, days_of, partition_key, range_tags
from quant_organism.orchestration.resources import (
    LakeResource,
    MarketResource,
    SearchResource,
    SignificanceResource,
    cycle_at_hand,
    open_cycle,
    plan_at_hand,
    read_at_hand,
)
from quant_organism.orchestration.run_lock import run_lock
from quant_organism.resilience import return_freed_memory
from quant_organism.settings import Settings
from quant_organism.strategies import evolving_families
from quant_organism.validation.significance_records import sentences
from quant_organism.validation.tables import PretestTable, SignificanceTable, StandingTable, VerdictTable
from quant_organism.validation.weeks import WeekRegister, question_of
from quant_organism.validation.workers import workers_at_hand

_BARS_OF_MUCH_WORK: Final = 50_000
"""Bars of all symbols from which on a cycle takes many times what a process takes to start."""


@dataclass(frozen=True)
class CycleOutcome:
    """What a cycle left at rest.

    Attributes
    ----------
    market, interval, date, cycle
        The cycle, and its identity among those of the day.
    validated, verdicts, decisions
        Frames as `validated_strategies`, `validation_verdicts` and `deployed_configs` store them.
    searched
        Whether anything was searched at all.
    line
        Its line: on the short one scores are of in-sample days, since there are no others.
    luck
        Whether there was anything to find, and whether what was found is more than luck, a sentence each.
    funding
        Sentences on symbols whose funding is not known throughout; empty where all is.
    report
        Folder of the report.
    sealed
        Why it put nobody forward, where it is exploratory; empty where it is not.
    """

    market: str
    interval: str
    date: date
    cycle: str
    validated: pl.DataFrame
    verdicts: pl.DataFrame
    decisions: pl.DataFrame
    searched: bool
    line: Line
    luck: list[str]
    funding: list[str]
    report: Path
    sealed: str

    @property
    def judged_days(self) -> str:
        """What the days are called that scores are of."""
        return "in-sample days" if self.line == "short" else "unseen days"

    @property
    def deployed(self) -> list[dict[str, Any]]:
        """Strategies that this cycle let into the pool, best first: decision, origin, members, score."""
        entered = self.decisions.filter(pl.col("action") == "deploy")
        return entered.join(self.validated, left_on="id", right_on="candidate", maintain_order="left").to_dicts()

    @property
    def stopped(self) -> list[dict[str, Any]]:
        """The first gate that stopped each candidate that has fallen, in the order they were put forward."""
        fallen = self.validated.filter(standing="fallen").select("candidate")
        closed = pl.col("status").is_in(["failed", "not_run"])
        stops = self.verdicts.filter(closed, pl.col("needed_for").list.contains("shadow"))
        first = stops.join(fallen, on="candidate", how="semi").unique("candidate", keep="first", maintain_order=True)
        return first.select("candidate", "origin", "stage", "gate", "status", "reason").to_dicts()


@dataclass(frozen=True)
class SearchOutcome:
    """What a search left at rest.

    Attributes
    ----------
    market, interval, date, cycle
        The cycle that the search belongs to, and its identity among those of the day.
    population, generations, lost
        Frames as `evolved_population`, `search_progress` and `lost_batches` store them.
    islands
        Rows of `search_families` after the last generation, for families that have members.
    candidates
        Identities of what is put forward.
    facts
        What the run's metadata say of pace, cost and end.
    """

    market: str
    interval: str
    date: date
    cycle: str
    population: pl.DataFrame
    generations: pl.DataFrame
    lost: pl.DataFrame
    islands: pl.DataFrame
    candidates: list[str]
    facts: dict[str, Any]


class Driver:
    """Runs jobs of one data folder, one command at a time.

    Parameters
    ----------
    settings
        Market, search, folders.
    progress
        Told what is going on.
    """

    def __init__(self, settings: Settings, progress: Progress) -> None:
        settings = with_interval_of_files(settings)
        self._settings, self._progress = settings, progress
        self._market = MarketResource.of(settings.market, settings.data_dir)
        self._search, self._significance = SearchResource.of(settings), SignificanceResource.of(settings)
        self._lake = LakeResource(folder=str(settings.data_dir / "lake"))
        self._has_run = False

    @cached_property
    def _key_prefix(self) -> tuple[str, ...]:
        """What the keys of the market's assets begin with; the web UI of the data folder knows it from now on."""
        return joined(self._settings).key_prefix

    @cached_property
    def _definitions(self) -> dg.Definitions:
        return build_definitions(self._settings, key_prefix=self._key_prefix, progress=self._progress)

    @property
    def interval(self) -> Interval:
        """Length of a bar: what was asked for, or else what the files hold."""
        return self._market.bars

    @property
    def source(self) -> CandleSource:
        """The market at hand."""
        return self._market.open()

    def days(self, day: date | None) -> Days:
        """Return the days of a cycle: `day`, or the newest complete one, and the lookback before it.

        Raises
        ------
        InputError
            The market has no data on that day, or not enough before it, or a symbol is unknown.
        """
        return days_of(self.source, self._market.bars, self._settings.market, day, self._settings.line)

    def all_days(self) -> Days:
        """Return the first and last complete day of the market."""
        return all_days_of(self.source, self._market.bars, self._settings.market)

    def ingest(self, days: Days) -> None:
        """Bring candles and funding of a range of days into the lake, as one run.

        Raises
        ------
        QuantOrganismError
            What the source or the lake raised.
        """
        for day in (days.first, days.last):
            partition_key(self._market.partitions(), day)
        with run_lock(self._settings.data_dir), self._instance() as instance:
            self._ingest(instance, days)

    def cycle(self, days: Days) -> CycleOutcome:
        """Ingest the lookback as one run, then materialise everything else for its last day.

        Raises
        ------
        QuantOrganismError
            What a step raised; `DataQualityError` or `IntegrityError` when a blocking check failed. `IntegrityError`
            before anything is fetched where a stored document cannot be read.
        """
        self._refuse_early(days)
        all_documents(StrategyRepository(self._settings.data_dir / "strategies"))
        with run_lock(self._settings.data_dir), self._workers_at_hand(days), self._instance() as instance:
            self._ingest(instance, days)
            tags = {SIZE_TAG: self._size(days)}
            self._execute(instance, "evolution_cycle", days.last, partition_key=days.last.isoformat(), tags=tags)
            return self._outcome(days.last)

    def cycle_at_rest(self, day: date) -> None:
        """Materialise the cycle of a day on market data that are in the lake already; errors as `cycle`."""
        with run_lock(self._settings.data_dir), self._instance() as instance:
            self._execute(instance, "evolution_cycle", day, partition_key=day.isoformat())

    def mark(self, day: date) -> None:
        """Book every day of all watched strategies up to a day, with its regime, on data that are in the lake."""
        marks = asset_keys(self._key_prefix, (name for name in MARKS if name not in MARKET_DATA))
        with run_lock(self._settings.data_dir), self._instance() as instance:
            self._execute(instance, "evolution_cycle", day, partition_key=day.isoformat(), assets=marks)

    def search(self, days: Days) -> SearchOutcome:
        """Ingest the lookback as one run, then search on it for its last day.

        Raises
        ------
        QuantOrganismError
            What a step raised; `DataQualityError` when a blocking check failed.
        """
        self._refuse_early(days)
        with run_lock(self._settings.data_dir), self._instance() as instance:
            self._ingest(instance, days)
            key = days.last.isoformat()
            self._execute(instance, "evolution_search", days.last, partition_key=key, tags={SIZE_TAG: self._size(days)})
            (population,) = asset_keys(self._key_prefix, [PopulationTable.dataset])
            event = instance.get_latest_materialization_event(population)
            said = event.asset_materialization.metadata if event and event.asset_materialization else {}
            return self._search_outcome(days.last, {name: said[name].value for name in SEARCH_FACTS if name in said})

    def estimate(self, days: Days, *, search_only: bool = False) -> RunEstimate | None:
        """Return what the cycle of these days, or its search alone, will take; None where none of its size has run.

        Market data that are still to be brought in come on top.
        """
        settings = self._settings
        job = "evolution_search" if search_only else "evolution_cycle"
        price, workers = settings.search.cost_per_worker_hour_usd, self._workers
        with open_instance(settings.data_dir) as instance:
            return estimated(instance, job, self._size(days), price_usd=price, workers=workers)

    @property
    def _workers(self) -> int:
        here = self._settings.executor == "threads"
        return 1 if here else self._settings.workers or os.cpu_count() or 1

    @contextmanager
    def _workers_at_hand(self, days: Days) -> Iterator[None]:
        """Keep processes for all stages; where there is work for them in any case, they load it during the first."""
        with workers_at_hand(self._search.compute.processes_here) as workers:
            symbols = self._settings.market.symbols or self.source.symbols()
            bars = ((days.last - days.first).days + 1) * self.interval.bars_per_day * len(symbols)
            if workers is not None and bars >= _BARS_OF_MUCH_WORK:
                workers.load(stages_are_loaded)
            yield

    def _size(self, days: Days) -> str:
        """Return the mark of how much work the cycle of some days is."""
        symbols = self._settings.market.symbols or self.source.symbols()
        plan = self._search.plan(self._significance.plan).hash
        threads = self._settings.threads or os.cpu_count()
        return size_of(plan, self.interval.name, (days.last - days.first).days, len(symbols), threads, self._workers)

    def compare(self, day: date, names: Sequence[Baseline]) -> Comparison:
        """Compare the search of a day, which is at rest, with other methods."""
        with run_lock(self._settings.data_dir):
            manifest = self._read(PanelTable, day)
            how = (self._market, self._lake, self._search, self._significance)
            cycle = open_cycle(manifest, day.isoformat(), *how, Panels())
            return compare(cycle, self.source, names, self._progress)

    def baselines(self, names: Sequence[str]) -> tuple[Baseline, ...]:
        """Return baselines by their names, refused now rather than after a search."""
        return baselines_named(names, self._search.spec.families or evolving_families())

    def _refuse_early(self, days: Days) -> None:
        """Raise what makes a search impossible before anything is fetched for it."""
        for day in (days.first, days.last):
            partition_key(self._market.partitions(), day)
        _ = self._search.spec

    @contextmanager
    def _instance(self) -> Iterator[dg.DagsterInstance]:
        if self._has_run:
            return_freed_memory()  # of the runs before: each leaves some 20 MB that refers to itself
        self._has_run = True
        with open_instance(self._settings.data_dir) as instance:
            settle_runs(instance)
            yield instance

    def _ingest(self, instance: dg.DagsterInstance, days: Days) -> None:
        """Bring the days into the lake; those that the instance has not on record yet, or that changed, as a run.

        Days that are on record are compared with the source beside Dagster: a record of each, night after night, would
        make its home grow by the whole lookback.
        """
        begin = self._first_unrecorded(instance, days)
        if begin > days.first:
            market = self._settings.market
            recorded = ingest(
                self.source,
                self._lake.open(),
                self._market.bars,
                days.first,
                begin - timedelta(days=1),
                market.symbols,
                progress=lambda done, total: self._progress("Known days", done, total, ""),
            )
            begin = min([begin, *recorded.changed])
        if begin <= days.last:
            self._execute(instance, "ingest_market_data", days.last, tags=range_tags(begin, days.last))

    def _first_unrecorded(self, instance: dg.DagsterInstance, days: Days) -> date:
        """Return the first day that the lake does not hold or the instance has no record of; the day after, if none."""
        held = set(self._lake.open().table(CandleTable).days(market=self.source.market, interval=self._market.interval))
        (candles,) = asset_keys(self._key_prefix, [CandleTable.dataset])
        recorded = instance.get_materialized_partitions(candles)
        day = days.first
        while day <= days.last and day in held and day.isoformat() in recorded:
            day += timedelta(days=1)
        return day

    def _execute(
        self,
        instance: dg.DagsterInstance,
        job: str,
        day: date,
        *,
        partition_key: str | None = None,
        tags: Mapping[str, str] | None = None,
        assets: Sequence[dg.AssetKey] | None = None,
    ) -> None:
        run_id = str(uuid4())
        try:
            self._definitions.resolve_job_def(job).execute_in_process(
                instance=instance,
                run_id=run_id,
                partition_key=partition_key,
                asset_selection=assets,
                tags={COMMAND_TAG: "quant-organism", **(tags or {})},
                run_config=to_file(self._log_file(f"{self.source.market}-{day}-{job}.log")),
            )
        except dg.DagsterExecutionInterruptedError as error:
            raise KeyboardInterrupt from error
        except (dg.DagsterError, dg.Failure) as error:
            raise explained(error, instance, run_id) from error

    def _log_file(self, name: str) -> Path:
        folder = self._settings.data_dir / "logs"
        folder.mkdir(exist_ok=True)
        (folder / name).unlink(missing_ok=True)
        return folder / name

    def _cycle(self, day: date) -> str:
        return cycle_at_hand(day, self._market, self._lake, self._search, self._significance)

    def _read(self, table: type[Table], day: date) -> pl.DataFrame:
        return read_at_hand(table, day, self._market, self._lake, self._search, self._significance)

    def _outcome(self, day: date) -> CycleOutcome:
        market, interval, cycle = self.source.market, self._market.interval, self._cycle(day)
        return CycleOutcome(
            market=market,
            interval=interval,
            date=day,
            cycle=cycle,
            validated=self._read(StandingTable, day),
            verdicts=self._read(VerdictTable, day),
            decisions=self._read(DecisionTable, day),
            searched=not self._read(PopulationTable, day).is_empty(),
            line=self._settings.line,
            luck=sentences(self._read(PretestTable, day), self._read(SignificanceTable, day)),
            funding=summarise(self._read(CandleQualityTable, day)).funding_gaps(self._settings.market.min_quality),
            report=self._settings.data_dir / "reports" / market / interval / day.isoformat() / cycle,
            sealed=self._sealed(day),
        )

    def _sealed(self, day: date) -> str:
        plan = plan_at_hand(self._market, self._lake, self._search, self._significance)
        register = WeekRegister(self._lake.open().root)
        place = register.find(self.source.market, self._market.interval, day, question_of(plan.hash, plan.seed))
        return "" if place is None else place.sealed

    def _search_outcome(self, day: date, facts: dict[str, Any]) -> SearchOutcome:
        generations, families = self._read(ProgressTable, day), self._read(FamilyProgressTable, day)
        return SearchOutcome(
            market=self.source.market,
            interval=self._market.interval,
            date=day,
            cycle=self._cycle(day),
            population=self._read(PopulationTable, day),
            generations=generations,
            lost=self._read(LostBatchTable, day),
            islands=families.filter(pl.col("generation") == generations["generation"].max(), pl.col("members") > 0),
            candidates=self._read(CandidateTable, day)["candidate"].unique(maintain_order=True).to_list(),
            facts=facts,
        )
