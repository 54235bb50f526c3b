"""What the assets of one cycle share: market, day, panel, spans, and the record of how the search was made."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Self

import polars as pl

from quant_organism import __version__
from quant_organism.backtest import Evaluation
from quant_organism.deployment.records import Provenance
from quant_organism.errors import IntegrityError
from quant_organism.evolution.archive import archive_hash, founders_from
from quant_organism.evolution.budget import luck_sentence
from quant_organism.evolution.candidates import Candidate, Evidence
from quant_organism.evolution.checkpoint import Checkpoint
from quant_organism.evolution.code_version import code_version
from quant_organism.evolution.ledger import TrialLedger
from quant_organism.evolution.ledger_rows import LedgerIdentity
from quant_organism.evolution.nursery import default_families
from quant_organism.evolution.records import read_candidates
from quant_organism.evolution.trial_summary import DAYS_A_YEAR
from quant_organism.market.lake import Lake
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.orchestration.panels import rebuild_panel
from quant_organism.orchestration.resources import LakeResource, MarketResource, SearchResource
from quant_organism.strategies import Genome
from quant_organism.validation.case import Grounds
from quant_organism.validation.holdout import HoldoutRegister
from quant_organism.validation.replay_store import ReplayStore
from quant_organism.validation.significance_records import read_p_values, read_pretest
from quant_organism.validation.splits import Splits, split
from quant_organism.validation.trial_record import TrialRecord


@dataclass(frozen=True)
class Cycle:
    """One evolution run for one day, on the panel that `market_panel` described.

    Attributes
    ----------
    lake, market, interval, day
        Where its records are.
    panel, splits
        The data and their spans.
    """

    lake: Lake
    market: str
    interval: Interval
    day: date
    panel: Panel
    splits: Splits

    @classmethod
    def open(cls, manifest: pl.DataFrame, partition: str, market: MarketResource, lake: LakeResource) -> Self:
        """Build the panel of a stored manifest again and split it."""
        store, day = lake.open(), date.fromisoformat(partition)
        panel = rebuild_panel(manifest, store, market=market.id, interval=market.bars, day=day)
        splits = split(panel.n_bars, panel.interval)
        return cls(store, market.id, market.bars, day, panel, splits)

    @cached_property
    def in_sample(self) -> Panel:
        """The part of the panel that a search may see."""
        return self.panel.window(self.splits.in_sample.start, self.splits.in_sample.stop)

    @cached_property
    def ledger(self) -> TrialLedger:
        """The ledger of all trials in the lake."""
        return TrialLedger(self.lake.root)

    @property
    def register(self) -> HoldoutRegister:
        """The register of the holdout openings of the lake."""
        return HoldoutRegister(self.lake.root)

    def write(self, dataset: str, frame: pl.DataFrame) -> None:
        """Store a frame of this cycle in the lake."""
        self.lake.write(dataset, frame, market=self.market, interval=self.interval.name, day=self.day)

    def read(self, dataset: str) -> pl.DataFrame:
        """Return a frame of this cycle from the lake."""
        return self.lake.read(dataset, market=self.market, interval=self.interval.name, start=self.day, end=self.day)

    def candidates(self) -> list[Candidate]:
        """Return what the search put forward."""
        return read_candidates(self.read("candidates"))

    def grounds(
        self,
        search: SearchResource,
        *,
        pretest: pl.DataFrame | None = None,
        significance: pl.DataFrame | None = None,
        looked_at: bool = False,
    ) -> Grounds:
        """Return what the candidates of this cycle are judged on.

        Parameters
        ----------
        search
            Costs, evaluator and seed.
        pretest, significance
            Frames of the tests of luck, where they have been made.
        looked_at
            Take up the look at the unseen days that `backtest_validation` made.
        """
        candidates = tuple(self.candidates())
        grounds = Grounds(
            panel=self.panel,
            splits=self.splits,
            costs=search.costs,
            evaluator=search.evaluator(),
            register=self.register,
            reason=f"validation of {self.day} at {self.interval}, seed {search.seed}",
            seed=search.seed,
            candidates=candidates,
            read_trials=self._trials,
            find_significance=partial(read_p_values, significance),
            pretest=read_pretest(pretest),
            replays=ReplayStore(self.lake.root),
        )
        if looked_at:
            seen = set(self.read("candidate_metrics").filter("looked_at")["candidate"])
            grounds.admit([candidate for candidate in candidates if candidate.id in seen])
        return grounds

    def _trials(self) -> TrialRecord:
        ledger = self.ledger.frame(["genome_hash", "behaviour", "sharpe", "sketch"], panel_hash=self.in_sample.hash)
        return TrialRecord.read(ledger, self.read("evolved_population"), tried=self._tried())

    def _tried(self) -> int:
        """Count what was ever tried on this market's in-sample days, clones once; not what later cycles tried."""
        first, last = int(self.in_sample.times[0]), int(self.in_sample.times[-1])
        return self.ledger.n_behaviours(market=self.market, overlapping=(first, last), until=last)

    def checkpoint(self, search: SearchResource) -> Checkpoint:
        """Return where this cycle's search is kept while it is under way, bound to all that it is a function of."""
        folder = Path(search.checkpoints) / self.market / self.interval.name / self.day.isoformat()
        identity = {
            "spec": search.spec.hash,
            "panel": self.in_sample.hash,
            "costs": search.costs.hash,
            "seed": str(search.seed),
            "archive": self._founded_with,
            "code": code_version(),
        }
        return Checkpoint(folder, identity)

    def count_trials(
        self, search: SearchResource, generation: int, evaluations: Sequence[Evaluation], *, baseline: str = ""
    ) -> None:
        """Enter what this cycle's search, or a baseline beside it, evaluated in a generation in the trial ledger."""
        identity = LedgerIdentity(
            spec_hash=search.spec.hash,
            panel_hash=self.in_sample.hash,
            costs_hash=search.costs.hash,
            cycle=f"{self.day.isoformat()}-{self.interval.name}-seed{search.seed}"
            + (f"-{baseline}" if baseline else ""),
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
        """The archive that the cycle of the day before left, if there is one."""
        return archive_before(self.lake, market=self.market, interval=self.interval, day=self.day)

    def founders(self, search: SearchResource) -> list[Genome]:
        """Return the genomes of that archive whose families take part, the best first."""
        families = search.spec.families or default_families(self.in_sample)
        return [] if self.archive_before is None else founders_from(self.archive_before, families)

    def record(self, search: SearchResource, evidence: Evidence | None) -> None:
        """Write down how this cycle searches and chooses, for all that is derived from it.

        The archive that founded it belongs to that, and the evidence that its final choice was given.
        """
        founded_with = self._founded_with
        told = "" if evidence is None else f"{evidence.pooled_p!r} {evidence.per_asset_p!r}"
        parts = (search.spec.hash, search.gates.hash, search.costs.hash, founded_with, told)
        row = {
            "panel_hash": self.panel.hash,
            "spec_hash": hashlib.sha256("".join(parts).encode()).hexdigest(),
            "code_version": __version__,
            "seed": search.seed,
            "archive_hash": founded_with,
        }
        self.write("cycles", pl.DataFrame([row]))

    @property
    def _founded_with(self) -> str:
        return "" if self.archive_before is None else archive_hash(self.archive_before)

    def provenance(self) -> Provenance:
        """Return where everything that this cycle found comes from.

        Raises
        ------
        IntegrityError
            The population was evolved on another panel than the one now described.
        """
        row = self.read("cycles").drop("archive_hash", strict=False).row(0, named=True)
        if row["panel_hash"] != self.panel.hash:
            raise IntegrityError(
                f"the population was evolved on panel {row['panel_hash'][:8]}, but the panel is {self.panel.hash[:8]}",
                where=f"evolved_population of {self.day}",
                remedy="materialise evolved_population and what follows again",
            )
        return Provenance(market=self.market, date=self.day.isoformat(), **row)


def archive_before(lake: Lake, *, market: str, interval: Interval, day: date) -> pl.DataFrame | None:
    """Return the archive of the day before, or None; no other day's, so that only its being there matters."""
    yesterday = day - timedelta(days=1)
    if yesterday not in lake.days("strategy_archive", market=market, interval=interval.name):
        return None
    return lake.read("strategy_archive", market=market, interval=interval.name, start=yesterday, end=yesterday)
