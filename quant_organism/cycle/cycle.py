"""One cycle: where it stands, what it is a function of, and what its stages share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path

import polars as pl

from quant_organism import __version__
from quant_organism.backtest import Evaluation
from quant_organism.cycle.panels import SplitPanel
from quant_organism.cycle.plan import Compute, CyclePlan
from quant_organism.deployment.records import Provenance
from quant_organism.errors import IntegrityError
from quant_organism.evolution.archive import archive_hash, founders_from
from quant_organism.evolution.budget import luck_sentence
from quant_organism.evolution.candidates import EdgeEvidence
from quant_organism.evolution.checkpoint import Checkpoint
from quant_organism.evolution.cycle import EvolutionResult
from quant_organism.evolution.ledger import TrialLedger
from quant_organism.evolution.ledger_rows import LedgerIdentity
from quant_organism.evolution.nursery import default_families
from quant_organism.evolution.records import read_candidates
from quant_organism.evolution.tables import ArchiveTable, CycleTable
from quant_organism.evolution.trial_summary import DAYS_A_YEAR
from quant_organism.kernels.closure import code_identity
from quant_organism.market.lake import Lake
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.market.splits import Splits
from quant_organism.market.table import Table
from quant_organism.strategies import Genome
from quant_organism.validation.case import Grounds
from quant_organism.validation.draws import DrawStore
from quant_organism.validation.holdout import HoldoutRegister
from quant_organism.validation.replay_store import ReplayStore
from quant_organism.validation.significance_records import read_p_values, read_pretest
from quant_organism.validation.trial_record import TrialRecord

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
    """

    plan: CyclePlan
    lake: Lake
    market: str
    interval: Interval
    day: date
    data: SplitPanel
    compute: Compute = field(default_factory=Compute)

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
        return self.lake.table(table).read_day(self.day, market=self.market, interval=self.interval.name)

    def write(self, table: type[Table], frame: pl.DataFrame) -> None:
        """Store a table of this cycle in the lake."""
        self.lake.table(table).write(frame, market=self.market, interval=self.interval.name, day=self.day)

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
            replays=ReplayStore(self.lake.root),
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
            "costs": self.plan.costs.hash,
            "seed": str(self.plan.seed),
            "archive": self.founded_with,
            "code": code_identity("quant_organism.evolution.cycle"),
        }
        folder = Path(self.compute.checkpoints) / self.market / self.interval.name / self.day.isoformat()
        return Checkpoint(folder, identity)

    def forget_checkpoint(self, result: EvolutionResult) -> None:
        """Remove what was kept of a search that is complete and stored; of one cut short it stays, to go on from."""
        if result.search.is_complete and (checkpoint := self.checkpoint()) is not None:
            checkpoint.remove()

    def count_trials(self, generation: int, evaluations: Sequence[Evaluation], *, baseline: str = "") -> None:
        """Enter what this cycle's search, or a baseline beside it, evaluated in a generation in the trial ledger."""
        cycle = f"{self.day.isoformat()}-{self.interval.name}-seed{self.plan.seed}"
        identity = LedgerIdentity(
            spec_hash=self.plan.spec.hash,
            panel_hash=self.in_sample.hash,
            costs_hash=self.plan.costs.hash,
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
    def archive_before(self) -> pl.DataFrame | None:
        """The archive that the cycle of the day before left, if there is one; no other day's."""
        yesterday = self.day - timedelta(days=1)
        if yesterday not in self.lake.days(ArchiveTable.dataset, market=self.market, interval=self.interval.name):
            return None
        return self.lake.table(ArchiveTable).read_day(yesterday, market=self.market, interval=self.interval.name)

    @property
    def founded_with(self) -> str:
        """Hash of that archive; empty without one."""
        return "" if self.archive_before is None else archive_hash(self.archive_before)

    @cached_property
    def founders(self) -> list[Genome]:
        """Genomes of that archive whose families take part, the best first."""
        return [] if self.archive_before is None else founders_from(self.archive_before, self.families)

    def record(self, evidence: EdgeEvidence | None) -> pl.DataFrame:
        """Return how this cycle searches and chooses, for all that is derived from it: one row.

        The archive that founded it belongs to that, and the evidence that its final choice was given.
        """
        known = "" if evidence is None else f"{evidence.pooled_p!r} {evidence.per_asset_p!r}"
        parts = (self.plan.spec.hash, self.plan.gates.hash, self.plan.costs.hash, self.founded_with, known)
        row = {
            "panel_hash": self.panel.hash,
            "spec_hash": hashlib.sha256("".join(parts).encode()).hexdigest(),
            "code_version": __version__,
            "seed": self.plan.seed,
            "archive_hash": self.founded_with,
        }
        return CycleTable.frame([row])

    def provenance(self, record: pl.DataFrame) -> Provenance:
        """Return where everything that this cycle found comes from.

        Parameters
        ----------
        record
            As `Cycle.record` returned it when the search was made.

        Raises
        ------
        IntegrityError
            The population was evolved on another panel than the one now described.
        """
        row = record.drop("archive_hash", strict=False).row(0, named=True)
        if row["panel_hash"] != self.panel.hash:
            raise IntegrityError(
                f"the population was evolved on panel {row['panel_hash'][:8]}, but the panel is {self.panel.hash[:8]}",
                where=f"evolved_population of {self.day}",
                remedy="materialise evolved_population and what follows again",
            )
        return Provenance(market=self.market, date=self.day.isoformat(), **row)
