"""The organism in one world: the same functions, in the same order, that the assets of a cycle call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from quant_organism.backtest import Evaluator
from quant_organism.evolution.cycle import evolve
from quant_organism.evolution.nursery import default_families
from quant_organism.market.panel import Panel
from quant_organism.validation.audit.profile import AuditProfile
from quant_organism.validation.case import Grounds, PValue
from quant_organism.validation.draws import DrawStore, Remembered
from quant_organism.validation.gauntlet import Review, run_gauntlet
from quant_organism.validation.holdout import HoldoutRegister
from quant_organism.validation.permutation import SearchOnNulls, frozen_spec, search_significance
from quant_organism.validation.pretest import PretestResult, RandomStrategies, pretest, rule_families
from quant_organism.validation.profile import Profile
from quant_organism.validation.splits import split
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.statistics.simulated_p import SimulatedP
from quant_organism.validation.trial_record import TrialRecord


@dataclass(frozen=True)
class Submission:
    """What the organism hands in.

    Attributes
    ----------
    reviews
        Every candidate with all judgements on it.
    pretest
        p-value of the test before the search, or why there is none.
    cpu_seconds
        By part of the organism.
    """

    reviews: tuple[Review, ...]
    pretest: PValue | NotRun
    cpu_seconds: Mapping[str, float]


Organism = Callable[[Panel, AuditProfile, int, Path], Submission]
"""Lives through one cycle on (the days that it is given, how, the seed of its search, a folder for its draws)."""


def run_organism(panel: Panel, profile: AuditProfile, seed: int, folder: Path) -> Submission:
    """Live through one cycle.

    Parameters
    ----------
    panel
        The days that it is given.
    profile
        How it searches and judges.
    seed
        Of the search and of everything else that is drawn.
    folder
        Where repetitions of the search are kept, so that an interrupted audit does not repeat them.
    """
    clock = _Clock()
    spec, costs, evaluator = profile.search, profile.costs, Evaluator(threads=1)
    splits = split(panel.n_bars, panel.interval)
    seen = panel.window(splits.in_sample.start, splits.in_sample.stop)
    families = tuple(spec.families or default_families(seen))
    with clock.measuring("pretest"):
        asked = pretest(
            RandomStrategies(
                seen,
                rule_families(families),
                costs,
                1,
                genomes=profile.strategies,
                min_trades=spec.min_trades,
                seed=seed,
            ),
            draws=profile.copies,
        )
    evidence = asked.evidence if isinstance(asked, PretestResult) else None
    with clock.measuring("search"):
        found = evolve(seen, spec, costs, evaluator, seed=seed, evidence=evidence)

    def find_significance() -> Mapping[str, PValue | NotRun] | NotRun:
        if isinstance(asked, PretestResult) and not asked.found:
            return NotRun(f"nothing to find before the search (p = {asked.p_value:.3g}), so none was repeated")
        with clock.measuring("repetitions"):
            frozen, left_out = frozen_spec(spec, seen, evidence=evidence)
            searched = SearchOnNulls(seen, frozen, costs, threads=1, seed=seed)
            make = Remembered(searched, DrawStore(folder, "search", searched.identity))
            measured = search_significance(searched, draws=profile.searches, make=make, left_out=left_out)
        if isinstance(measured, NotRun):
            return measured
        return {n: PValue(p.p_value, p.draws) if isinstance(p, SimulatedP) else p for n, p in measured.p_values.items()}

    with TemporaryDirectory() as lake, clock.measuring("gates"):
        grounds = Grounds(
            panel=panel,
            splits=splits,
            costs=costs,
            evaluator=evaluator,
            register=HoldoutRegister(Path(lake)),
            reason="a world of an audit",
            seed=seed,
            candidates=tuple(found.candidates),
            read_trials=lambda: TrialRecord.of(found.search.trials),
            find_significance=find_significance,
            pretest=asked if isinstance(asked, NotRun) else PValue(asked.p_value, asked.draws),
        )
        reviews = run_gauntlet(
            grounds, Profile.load(profile.gates), every_gate=profile.every_gate, clock=time.process_time
        )
    return Submission(tuple(reviews), grounds.pretest, clock.seconds)


class _Clock:
    """CPU seconds of this process by part; a part within another counts for itself alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inside = 0.0

    @contextmanager
    def measuring(self, part: str) -> Iterator[None]:
        outer, self._inside, began = self._inside, 0.0, time.process_time()
        yield
        taken = time.process_time() - began
        self.seconds[part] = self.seconds.get(part, 0.0) + taken - self._inside
        self._inside = outer + taken
