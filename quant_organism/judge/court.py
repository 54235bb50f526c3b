"""The court: a market, its spans, and what is kept of everything that is judged there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from quant_organism.backtest import Costs, Evaluation
from quant_organism.errors import InputError
from quant_organism.evolution import GeneticSearch, LedgerIdentity, TrialLedger
from quant_organism.evolution.proposals import (
    EXTERNAL,
    ExternalTrials,
    FileProposals,
    MeasuredGenomes,
    MeasureProposals,
    ProposalResult,
    Proposer,
    listen,
)
from quant_organism.judge.copies import Strategy
from quant_organism.judge.outside import Attempts, CallableStrategy, DocumentStrategy
from quant_organism.judge.parameters import Parameters, trials_of
from quant_organism.judge.points import CallableSpace, MeasuredPoints
from quant_organism.judge.proof import Proof, places_proven, prove
from quant_organism.judge.sandbox import StrategySource
from quant_organism.market import MS_PER_DAY, Lake, Panel, Splits, split

MakeProposer = Callable[[Panel], Proposer]
"""Makes who proposes on a panel, of which it may know everything: the days that a search may see, or a copy of them."""


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

    def listen(
        self, make: MakeProposer, budget: int, *, name: str, space: CallableSpace | None = None
    ) -> tuple[Strategy, list[str]]:
        """Hear a proposer out on the days that a search may see, and return all that it proposed as one search.

        Parameters
        ----------
        make
            Makes the proposer for the panel that it is asked on, without any memory: it is told what each of its
            proposals was worth, and another one is asked on each copy of the market.
        budget
            Most proposals.
        name
            What the search is called.
        space
            The callable whose parameters are proposed, proven before anybody is asked; none: genomes are.

        Returns
        -------
        strategy, refused
            What it proposed, each once, and why the others describe no strategy.

        Raises
        ------
        InputError
            Nothing that it proposed describes a strategy, or the callable failed or looks ahead.
        """
        identity = self._identity(hashlib.sha256(name.encode()).hexdigest(), "proposals")

        def record(evaluation: Evaluation, number: int) -> None:
            TrialLedger(self.lake.root).append([evaluation], replace(identity, generation=number))

        def record_points(strategy: CallableStrategy, attempts: Attempts, number: int) -> None:
            self._enter(strategy, attempts, replace(identity, generation=number))

        measure: MeasureProposals = MeasuredGenomes(panel=self.seen, costs=self.costs, record=record)
        if space is not None:
            self._require_proven(space, budget)
            measure = MeasuredPoints(space=space, panel=self.seen, costs=self.costs, record=record_points)
        proposer = make(self.seen)
        told = listen(proposer, measure, budget=budget)
        if isinstance(proposer, GeneticSearch) and proposer.sample is not None:
            turned_away = replace(identity, panel_hash=proposer.sample.hash)
            TrialLedger(self.lake.root).append(proposer.screened.evaluations, turned_away)
        refused = [result.refused for result in told if result.refused]
        strategy = _put_together(told, name, space)
        if strategy is None:
            raise InputError(
                f"none of {len(told)} proposals describes a strategy{f': {refused[0]}' if refused else ''}",
                where=name,
                remedy="write a condition document, a genome or a point of the callable's space each time",
            )
        # A file says the same whatever it is told: its list is the search.
        is_list = type(proposer) is FileProposals
        return replace(strategy, again=None if is_list else _AskedAgain(make, budget, name, space)), refused

    def proofs(self, source: StrategySource, trials: Sequence[Parameters]) -> dict[int, Proof]:
        """Prove a callable at a few trials of its search; no more once one knows the future, which is the last then.

        Returns
        -------
        dict
            Proofs by the place of the trial, at least one.
        """
        places, found = places_proven(len(trials), self.seed), dict[int, Proof]()
        for done, place in enumerate(places):
            self.progress("Proof", done, len(places), "truncated panels")
            found[place] = prove(source, trials[place], self.seen)
            if found[place].knows_future:
                return found
        self.progress("Proof", len(places), len(places), "truncated panels")
        return found

    def record(self, strategy: Strategy, attempts: Attempts) -> None:
        """Enter all trials of a strategy's search in the ledger."""
        self._enter(strategy, attempts, self._identity(strategy.identity, f"judge-{strategy.identity[:16]}"))

    def _enter(self, strategy: Strategy, attempts: Attempts, identity: LedgerIdentity) -> None:
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
        trials.record(TrialLedger(self.lake.root), identity)

    def _identity(self, spec_hash: str, cycle: str) -> LedgerIdentity:
        return LedgerIdentity(
            spec_hash=spec_hash,
            panel_hash=self.seen.hash,
            costs_hash=self.costs.hash,
            cycle=cycle,
            generation=0,
            market=self.panel.market,
        )

    def _require_proven(self, space: CallableSpace, budget: int) -> None:
        trials = trials_of(space.space, budget, self.seed)
        place, proof = list(self.proofs(space.source, trials).items())[-1]
        if proof.knows_future:
            caught = next(verdict for verdict in proof.verdicts if verdict.status == "failed")
            raise InputError(
                f"{caught.gate}: with {dict(trials[place])}, {caught.reason}",
                where=str(space.source.path),
                remedy="mend it first; nobody was asked, and nothing was recorded",
            )


@dataclass(frozen=True)
class _AskedAgain:
    # The search of a proposer on any panel: one that is made anew is heard out, and its best is put forward.
    make: MakeProposer
    budget: int
    name: str
    space: CallableSpace | None

    def __call__(self, panel: Panel, costs: Costs) -> float:
        measure: MeasureProposals = MeasuredGenomes(panel=panel, costs=costs)
        if self.space is not None:
            measure = MeasuredPoints(space=self.space, panel=panel, costs=costs)
        strategy = _put_together(listen(self.make(panel), measure, budget=self.budget), self.name, self.space)
        return 0.0 if strategy is None else strategy.best_sharpe(panel, costs)  # without a strategy nothing is held


def _put_together(told: Sequence[ProposalResult], name: str, space: CallableSpace | None) -> Strategy | None:
    # What was proposed, each once, as one search; none where nothing describes a strategy.
    kept = [result for result in told if not result.refused]
    if not kept:
        return None
    if space is None:
        genomes = {result.genome.hash: result.genome for result in kept if result.genome is not None}
        return DocumentStrategy(name, tuple(genomes.values()), "proposals")
    points = [space.point_of(result.proposal) for result in kept]
    strategy = space.strategy(name, points)
    return replace(strategy, trials=tuple({strategy.hash_of(each): each for each in points}.values()))
