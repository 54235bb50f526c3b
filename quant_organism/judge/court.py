"""The court: a market, its spans, and what is kept of everything that is judged there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from quant_organism.backtest import Costs
from quant_organism.errors import InputError
from quant_organism.evolution import LedgerIdentity, TrialLedger
from quant_organism.evolution.proposals import EXTERNAL, ExternalTrials, OutsideProposer, listen
from quant_organism.judge.copies import Strategy
from quant_organism.judge.outside import Attempts, DocumentStrategy
from quant_organism.market import MS_PER_DAY, Lake, Panel, Splits, split


@dataclass(frozen=True, eq=False, kw_only=True)
class Court:
    """Where strategies are judged: a market, its spans, and what is kept of it.

    Parameters
    ----------
    lake
        Keeps trials, copies and openings.
    panel
        The market.
    costs, seed
        What trading costs, and the seed of everything that is drawn.
    copies
        Copies of the market on which the whole search is repeated: 19 reach 0.05, 99 reach 0.01.
    processes
        Copies at once; no result depends on it.
    left_out
        Assets that ended before the panel does and that whoever chose the universe left out of it.
    progress
        Told what is going on: what, how many of how many, a note.
    """

    lake: Lake
    panel: Panel
    costs: Costs = field(default_factory=Costs)
    seed: int = 0
    copies: int = 99
    processes: int = 1
    left_out: tuple[str, ...] = ()
    progress: Callable[[str, int, int, str], None] = lambda what, done, total, note: None

    @cached_property
    def splits(self) -> Splits:
        """Which bars a search may see, and which it may not."""
        return split(self.panel.n_bars, self.panel.interval)

    @cached_property
    def seen(self) -> Panel:
        """The days that a search may see."""
        return self.panel.window(0, self.splits.in_sample.stop)

    def in_ledger(self) -> int:
        """Count the different trials of outside strategies that were ever recorded on these days."""
        times = self.seen.times
        span = (int(times[0]), int(times[-1]))
        rows = TrialLedger(self.lake.root).frame(
            ["genome_hash", "family"], market=self.panel.market, overlapping=span, until=span[1]
        )
        return rows.filter(family=EXTERNAL)["genome_hash"].n_unique()

    def listen(self, proposer: OutsideProposer, budget: int, *, name: str) -> tuple[DocumentStrategy, list[str]]:
        """Hear a proposer out on the days that a search may see, and return all that it proposed as one search.

        Parameters
        ----------
        proposer
            Is told what each of its proposals was worth there.
        budget
            Most proposals.
        name
            What the search is called.

        Returns
        -------
        strategy, refused
            What it proposed, each once, and why the others describe no strategy.

        Raises
        ------
        InputError
            Nothing that it proposed describes a strategy.
        """
        ledger = TrialLedger(self.lake.root)
        identity = LedgerIdentity(
            spec_hash=hashlib.sha256(name.encode()).hexdigest(),
            panel_hash=self.seen.hash,
            costs_hash=self.costs.hash,
            cycle="proposals",
            generation=0,
            market=self.panel.market,
        )
        told = listen(proposer, self.seen, self.costs, ledger, identity, budget=budget)
        genomes = {result.genome.hash: result.genome for result in told if result.genome is not None}
        refused = [result.refused for result in told if result.genome is None]
        if not genomes:
            raise InputError(
                f"none of {len(told)} proposals describes a strategy{f': {refused[0]}' if refused else ''}",
                where=name,
                remedy="write a condition document or a genome on each line",
            )
        return DocumentStrategy(name, tuple(genomes.values()), "proposals"), refused

    def record(self, strategy: Strategy, attempts: Attempts) -> None:
        """Enter all trials of a strategy's search in the ledger."""
        days = np.unique(self.seen.times // MS_PER_DAY) * MS_PER_DAY
        trials = ExternalTrials(
            hashes=tuple(strategy.hash_of(parameters) for parameters in attempts.parameters),
            days=days,
            daily_returns=attempts.daily,
            sharpe=attempts.sharpes,
            turnover=attempts.turnover,
            trades=attempts.trades,
            positions=np.array(attempts.digests, dtype=np.uint64),
        )
        identity = LedgerIdentity(
            spec_hash=strategy.identity,
            panel_hash=self.seen.hash,
            costs_hash=self.costs.hash,
            cycle=f"judge-{strategy.identity[:16]}",
            generation=0,
            market=self.panel.market,
        )
        trials.record(TrialLedger(self.lake.root), identity)
