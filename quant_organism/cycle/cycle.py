"""One cycle: where it stands, what it is a function of, and what its stages share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, partial
from pathlib import Path

import orjson
import polars as pl

from quant_organism import __version__
from quant_organism.backtest import Evaluation
from quant_organism.cycle.panels import SplitPanel
from quant_organism.cycle.plan import Compute, CyclePlan
from quant_organism.deployment.records import Provenance
from quant_organism.errors import InputError, IntegrityError
from quant_organism.evolution.archive import archive_hash, founders_from
from quant_organism.evolution.budget import luck_sentence
from quant_organism.evolution.checkpoint import Checkpoint
from quant_organism.evolution.cycle import EvolutionResult
from quant_organism.evolution.ledger import TrialLedger
from quant_organism.evolution.ledger_rows import LedgerIdentity
from quant_organism.evolution.nursery import default_families
from quant_organism.evolution.records import read_candidates
from quant_organism.evolution.tables import ArchiveTable, CycleTable
from quant_organism.evolution.trial_summary import DAYS_A_YEAR
from quant_organism.kernels.closure import code_identity
from quant_organism.market.cycles import CycleIndex, cycle_id
from quant_organism.market.lake import Lake
from quant_organism.market.lines import line_of
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.market.splits import Splits
from quant_organism.market.table import Table
from quant_organism.strategies import Genome
from quant_organism.validation.case import Grounds
from quant_organism.validation.draws import DrawStore
from quant_organism.validation.holdout import HoldoutRegister
from quant_organism.validation.rehearsal import Rehearses
from quant_organism.validation.replay_store import ReplayStore
from quant_organism.validation.significance_records import read_p_values, read_pretest
from quant_organism.validation.trial_record import TrialRecord
from quant_organism.validation.weeks import WeekPlace, WeekRegister, question_of

Progress = Callable[[str, int, int, str], None]
"""Called with (what is going on, steps done, steps in all, a note for people)."""


def no_progress(what: str, done: int, total: int, note: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Cycle:
    """One evolution run for one day on one panel.

    Parameters
    ----------
    plan
        How it searches and judges.
    lake, market, interval, day
        Where its records are.
    data
        The panel and its spans.
    compute
        What it is computed with.
    begun
        Row of `cycles` that was written when it began, for one that goes on; None: it begins now.
    trials_of
        Name that its trials are entered under in the ledger; empty: its day, interval and identity.
    rehearses
        Carries orders of candidates out at a venue; none where no venue is configured.
    invited
        Genomes that are among the founders before those of the archive.
    offer
        Put candidates forward even if another cycle of the week has done so; the further look is paid for.

    Raises
    ------
    InputError
        The panel is split for another line than that of the plan.
    IntegrityError
        It began on another panel.
    """

    plan: CyclePlan
    lake: Lake
    market: str
    interval: Interval
    day: date
    data: SplitPanel
    compute: Compute = field(default_factory=Compute)
    begun: pl.DataFrame | None = None
    trials_of: str = ""
    rehearses: Rehearses | None = None
    invited: tuple[Genome, ...] = ()
    offer: bool = False

    def __post_init__(self) -> None:
        if self.data.line != self.plan.line:
            raise InputError(
                f"a plan of the {self.plan.line} line on the spans of the {self.data.line} one",
                where=f"{self.market} at {self.interval.name}, {self.day}",
                remedy="split the panel by the line of the plan",
            )
        if self.begun is not None and (panel := self.begun[0, CycleTable.panel_hash]) != self.panel.hash:
            raise IntegrityError(
                f"the cycle was begun on panel {panel[:8]}, but the panel is {self.panel.hash[:8]}",
                where=f"{self.market} at {self.interval.name}, {self.day}",
                remedy="materialise market_panel and what follows again",
            )

    @cached_property
    def id(self) -> str:
        """Identity among the cycles of this market, interval and day: of panel, plan, founding archive and seed."""
        row = self.record.row(0, named=True)
        return cycle_id(row["panel_hash"], row["spec_hash"], row["seed"])

    @cached_property
    def index(self) -> CycleIndex:
        """Which cycles the days of this market and interval mean."""
        return CycleIndex(self.lake.root, self.market, self.interval)

    @property
    def is_latest(self) -> bool:
        """Whether it is the cycle that its day means."""
        return self.index.latest(self.day) == self.id

    def begin(self) -> None:
        """Write down what this cycle is a function of, and make it the one that its plan and seed mean on this day."""
        self.write(CycleTable, self.record)
        self.index.begin(self.day, self.id, self.plan.hash, self.plan.seed)

    def take_place(self) -> WeekPlace:
        """Take its place among the cycles of its week, once and for all, and return it: who judges, asks."""
        question = question_of(self.plan.hash, self.plan.seed)
        register = WeekRegister(self.lake.root)
        return register.place(self.market, self.interval.name, self.day, self.id, question, offer=self.offer)

    @property
    def panel(self) -> Panel:
        """All bars, unseen ones too."""
        return self.data.panel

    @property
    def splits(self) -> Splits:
        """Its spans."""
        return self.data.splits

    @property
    def in_sample(self) -> Panel:
        """The bars that a search may see."""
        return self.data.in_sample

    @cached_property
    def ledger(self) -> TrialLedger:
        """The ledger of all trials in the lake."""
        return TrialLedger(self.lake.root)

    @cached_property
    def families(self) -> tuple[str, ...]:
        """Families that take part in the search."""
        return tuple(self.plan.spec.families or default_families(self.in_sample))

    def read(self, table: type[Table]) -> pl.DataFrame:
        """Return a table of this cycle from the lake."""
        stored = self.lake.table(table, cycle=self.id)
        return stored.read_day(self.day, market=self.market, interval=self.interval.name)

    def write(self, table: type[Table], frame: pl.DataFrame) -> None:
        """Store a table of this cycle in the lake."""
        stored = self.lake.table(table, cycle=self.id)
        stored.write(frame, market=self.market, interval=self.interval.name, day=self.day)

    def draw_store(self, test: str, identity: Mapping[str, str]) -> DrawStore:
        """Return where draws on copies of the market are kept."""
        return DrawStore(self.compute.draws or self.lake.root, test, identity)

    def grounds(
        self,
        candidates: pl.DataFrame,
        population: pl.DataFrame,
        *,
        pretest: pl.DataFrame | None = None,
        significance: Callable[[], pl.DataFrame] | None = None,
        admitted: Sequence[str] = (),
    ) -> Grounds:
        """Return what the candidates of this cycle are judged on.

        Parameters
        ----------
        candidates, population
            What the search put forward, and all that it tried.
        pretest
            Table of the test before the search, where it has been made.
        significance
            Returns the table of the search's significance; called when a gate first asks.
        admitted
            Candidates whose look at the unseen days was written down before.
        """
        judged = tuple(read_candidates(candidates))
        grounds = Grounds(
            panel=self.panel,
            splits=self.splits,
            costs=self.plan.costs,
            evaluator=self.compute.evaluator(),
            register=HoldoutRegister(self.lake.root),
            reason=f"validation of {self.day} at {self.interval}, seed {self.plan.seed}",
            seed=self.plan.seed,
            candidates=judged,
            read_trials=lambda: self._trials(population),
            find_significance=lambda: read_p_values(None if significance is None else significance()),
            pretest=read_pretest(pretest),
            equity_usd=self.plan.equity_usd,
            replays=ReplayStore(self.lake.root),
            rehearses=self.rehearses,
            processes=self.compute.processes,
            executor=self.compute.executor,
        )
        if admitted:
            grounds.admit([candidate for candidate in judged if candidate.id in set(admitted)])
        return grounds

    def _trials(self, population: pl.DataFrame) -> TrialRecord:
        ledger = self.ledger.frame(["genome_hash", "behaviour", "sharpe", "sketch"], panel_hash=self.in_sample.hash)
        return TrialRecord.read(ledger, population, tried=self._tried())

    def _tried(self) -> int:
        """Count what was ever tried on this market's in-sample days, clones once; not what later cycles tried."""
        first, last = int(self.in_sample.times[0]), int(self.in_sample.times[-1])
        return self.ledger.n_behaviours(market=self.market, overlapping=(first, last), until=last)

    def checkpoint(self) -> Checkpoint | None:
        """Return where this cycle's search is kept while it is under way, bound to all that it is a function of."""
        if self.compute.checkpoints is None:
            return None
        identity = {
            "spec": self.plan.spec.uninterrupted.hash,
            "panel": self.in_sample.hash,
            "costs": self.plan.costs.of_sleeves.hash,
            "seed": str(self.plan.seed),
            "archive": self.founded_with,
            "code": code_identity("quant_organism.evolution.cycle"),
        }
        folder = Path(self.compute.checkpoints) / self.market / self.interval.name / self.day.isoformat() / self.id
        return Checkpoint(folder, identity)

    def search_stored(self, result: EvolutionResult) -> None:
        """Make this cycle the latest of its day, and remove what was kept of a search that is complete.

        Of one that was cut short it stays, to go on from.
        """
        self.index.make_latest(self.day, self.id)
        if result.search.is_complete and (checkpoint := self.checkpoint()) is not None:
            checkpoint.remove()

    def count_trials(
        self, generation: int, evaluations: Sequence[Evaluation], panel: Panel, *, baseline: str = ""
    ) -> None:
        """Enter what this cycle's search, or a baseline beside it, evaluated on a panel in a generation in the ledger.

        The panel is that of the in-sample days, or their short sample, on which genomes were turned away.
        """
        cycle = self.trials_of or f"{self.day.isoformat()}-{self.interval.name}-{self.id}"
        identity = LedgerIdentity(
            spec_hash=self.plan.spec.hash,
            panel_hash=panel.hash,
            costs_hash=self.plan.costs.of_sleeves.hash,
            cycle=f"{cycle}-{baseline}" if baseline else cycle,
            generation=generation,
            market=self.market,
        )
        self.ledger.append(evaluations, identity)

    def trial_budget(self) -> str:
        """Say how good luck alone looks after all that was ever tried on this market's in-sample days, clones once."""
        if not (tried := self._tried()):
            return "nothing was tried on these days"
        return luck_sentence(tried, self.in_sample.n_bars / self.interval.bars_per_day / DAYS_A_YEAR)

    @cached_property
    def founded_by(self) -> tuple[date, str] | None:
        """Day and identity of the cycle whose archive founds this one; None where there is none.

        Of the newest earlier day that left an archive, whenever that was: its week's official cycle where it was that
        day's, else the day's latest. Each line has its archive: what the short one found on days after the in-sample
        days of the long one would bring them to it.
        """
        if self.begun is not None:
            day, _, cycle = self.begun[0, CycleTable.founded_by].partition("/")
            return (date.fromisoformat(day), cycle) if cycle else None
        where = {"market": self.market, "interval": self.interval.name}
        earlier = [day for day in self.lake.table(ArchiveTable).days(**where) if day < self.day]
        for day in reversed(earlier):
            for among in (self._is_official, self._is_of_line):
                cycle = self.index.latest(day, partial(among, day))
                if cycle is not None and day in self.lake.table(ArchiveTable, cycle=cycle).days(**where):
                    return day, cycle
        return None

    def _is_official(self, day: date, cycle: str) -> bool:
        """Tell whether a cycle of this one's line is the official one of its week."""
        asked = self.index.rows(day).row(by_predicate=pl.col("cycle") == cycle, named=True)
        question = question_of(asked["plan_hash"], asked["seed"])
        place = WeekRegister(self.lake.root).find(self.market, self.interval.name, day, question)
        return place is not None and place.standing == "official" and self._is_of_line(day, cycle)

    def _is_of_line(self, day: date, cycle: str) -> bool:
        """Tell whether a cycle is of this one's line; records of versions that knew one line say nothing of it."""
        where = {"market": self.market, "interval": self.interval.name}
        stored = self.lake.table(CycleTable, cycle=cycle)
        plan = stored.read_day(day, **where)[0, CycleTable.plan] if day in stored.days(**where) else None
        return line_of(orjson.loads(plan) if plan else {}) == self.plan.line

    @cached_property
    def archive_before(self) -> pl.DataFrame | None:
        """The archive that this cycle is founded with; None where no earlier one left any."""
        if self.founded_by is None:
            return None
        day, cycle = self.founded_by
        stored = self.lake.table(ArchiveTable, cycle=cycle)
        return stored.read_day(day, market=self.market, interval=self.interval.name)

    @property
    def founded_with(self) -> str:
        """Hash of that archive; empty without one."""
        return "" if self.archive_before is None else archive_hash(self.archive_before)

    @cached_property
    def founders(self) -> list[Genome]:
        """Genomes that are invited, then those of that archive whose families take part, the best first."""
        known = [] if self.archive_before is None else founders_from(self.archive_before, self.families)
        return [*self.invited, *known]

    @cached_property
    def record(self) -> pl.DataFrame:
        """What this cycle is a function of: the row of `cycles`."""
        if self.begun is not None:
            return self.begun
        founded_by = "" if self.founded_by is None else "/".join(map(str, self.founded_by))
        row = {
            "panel_hash": self.panel.hash,
            "spec_hash": hashlib.sha256(f"{self.plan.hash}{self.founded_with}".encode()).hexdigest(),
            "code_version": __version__,
            "seed": self.plan.seed,
            "archive_hash": self.founded_with,
            "founded_by": founded_by,
            "plan": orjson.dumps(self.plan.document, option=orjson.OPT_SORT_KEYS).decode(),
        }
        return CycleTable.frame([row])

    @property
    def provenance(self) -> Provenance:
        """Where everything that this cycle finds comes from."""
        row = self.record.row(0, named=True)
        named = {name: row[name] for name in ("panel_hash", "spec_hash", "code_version", "seed")}
        return Provenance(market=self.market, date=self.day.isoformat(), **named)
