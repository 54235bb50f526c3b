"""The organism in one world: the cycle that the product runs, in a lake of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from quant_organism.audit.profile import AuditProfile
from quant_organism.cycle import Compute, Cycle, SplitPanel, run_cycle
from quant_organism.deployment import StrategyRepository
from quant_organism.market import Lake, Panel, day_of
from quant_organism.validation import NotRun, PValue, Review, read_pretest


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
    """Live through one cycle, in a lake of its own.

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
    with TemporaryDirectory() as place:
        cycle = cycle_in(Path(place), panel, profile, seed, folder)
        result = run_cycle(cycle, StrategyRepository(Path(place) / "strategies"), during=clock.measuring)
    return Submission(tuple(result.reviews), read_pretest(result.pretested.table), clock.seconds)


def cycle_in(place: Path, panel: Panel, profile: AuditProfile, seed: int, draws: Path) -> Cycle:
    """Return a cycle on the days of a panel, whose lake lies in `place`; for the rest see `run_organism`."""
    return Cycle(
        plan=profile.plan(seed),
        lake=Lake(place / "lake"),
        market="world",
        interval=panel.interval,
        day=day_of(int(panel.times[-1])),
        data=SplitPanel(panel),
        compute=Compute(draws=draws, clock=time.process_time),
    )


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
