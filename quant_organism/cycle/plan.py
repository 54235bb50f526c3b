"""What a cycle is a function of besides its market and day, and what it is computed with."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import orjson

from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.account import EQUITY_USD
from quant_organism.evolution.executors import open_executor
from quant_organism.evolution.measuring import Executor
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.market.lines import Line
from quant_organism.market.panel import Panel
from quant_organism.validation.permutation import SearchOnNulls
from quant_organism.validation.profile import Profile


@dataclass(frozen=True, kw_only=True)
class SignificancePlan:
    """How it is asked whether there is anything to find, and whether what was found is more than luck.

    Parameters
    ----------
    strategies
        Random strategies of the test before the search; two to four of each family suffice, and copies tell more.
    copies
        Copies of the market, in which nothing can be found, that they are measured on as well.
    searches
        Copies that the whole search is repeated on; 19 reach p = 0.05, 99 reach 0.01.
    minutes
        Minutes after which no repetition is begun; what is missing is marked, and made by the next run. None: no limit.
    """

    strategies: int = 52
    copies: int = 99
    searches: int = 19
    minutes: float | None = None

    @classmethod
    def profile(cls, name: str, **changes: Any) -> Self:
        """Return what a profile spends: `demo` and `standard` to tell p = 0.05, `full` to tell 0.01, `smoke` to see.

        Parameters
        ----------
        name
            `smoke`, `demo`, `standard` or `full`.
        changes
            Fields that are otherwise.
        """
        return cls(**_PROFILES[name] | changes)


_PROFILES: Final[dict[str, dict[str, Any]]] = {
    "smoke": {"strategies": 26, "copies": 39, "searches": 9},
    "demo": {"strategies": 52, "copies": 19, "searches": 19},
    "standard": {"strategies": 52, "copies": 99, "searches": 19},
    "full": {"strategies": 52, "copies": 99, "searches": 99},
}


@dataclass(frozen=True, kw_only=True)
class CyclePlan:
    """How one cycle searches and judges.

    Parameters
    ----------
    spec
        The search.
    gates
        What a strategy must show.
    seed
        Of the search, and of everything else that is drawn.
    significance
        What is spent on the tests of luck.
    costs
        What trading costs.
    equity_usd
        Of the account in which candidates are judged on the days that the search did not see, and shown.
    every_gate
        Judge candidates by every gate, also those that have fallen.
    stop_without_edge
        Do not search where the test before it finds nothing.
    line
        Which days it sees, and which of them its search does.
    """

    spec: EvolutionSpec
    gates: Profile
    seed: int = 0
    significance: SignificancePlan = field(default_factory=SignificancePlan)
    costs: Costs = field(default_factory=Costs)
    equity_usd: float = EQUITY_USD
    every_gate: bool = False
    stop_without_edge: bool = False
    line: Line = "long"

    @property
    def judged_by(self) -> Profile:
        """The gates as the line has them."""
        return self.gates if self.line == "long" else self.gates.without_unseen

    @property
    def document(self) -> dict[str, Any]:
        """All that decides a result but the seed, as plain values; limits of time and money only cut it short."""
        copies = self.significance
        return {
            "search": self.spec.uninterrupted.model_dump(),
            "gates": self.gates.document,
            "costs": self.costs.to_dict(),
            "account": {"equity_usd": self.equity_usd},
            "significance": {name: getattr(copies, name) for name in ("strategies", "copies", "searches")},
            "every_gate": self.every_gate,
            "stop_without_edge": self.stop_without_edge,
            **({} if self.line == "long" else {"line": self.line}),  # plans from before the short line keep their hash
        }

    @property
    def hash(self) -> str:
        """SHA-256 of the document's canonical JSON."""
        return hashlib.sha256(orjson.dumps(self.document, option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Compute:
    """What a cycle is computed with. No result depends on it.

    Parameters
    ----------
    threads
        Threads of the evaluator.
    executor
        Where genomes, and copies of the market, are measured: `threads`, `ray`, `HOST:PORT` or `ray://HOST:PORT`.
    workers
        Worker processes of Ray; None: one per thread for `ray`, one per core of a cluster.
    batch_seconds
        Seconds after which Ray stops a batch and tries it once more; None: never.
    checkpoints
        Folder of searches that are under way; None: an interrupted search begins anew.
    resume
        Go on from where the same search was interrupted, if it was.
    draws
        Folder in which draws on copies of the market are kept; None: in the lake.
    clock
        Seconds, for what gates cost; never stored with results.
    """

    threads: int = 1
    executor: str = "threads"
    workers: int | None = None
    batch_seconds: float | None = None
    checkpoints: Path | None = None
    resume: bool = False
    draws: Path | None = None
    clock: Callable[[], float] = time.perf_counter

    @property
    def processes(self) -> int | None:
        """How many copies of a market are worked on at once, each by one thread; None: one per core of a cluster."""
        if self.executor == "threads":
            return self.threads
        return self.workers or (self.threads if self.executor == "ray" else None)

    @property
    def processes_here(self) -> int:
        """How many processes of this machine stages work on at once; 1 where Ray works."""
        return self.threads if self.executor == "threads" else 1

    def evaluator(self) -> Evaluator:
        """Return the evaluator."""
        return Evaluator(threads=self.threads)

    def open_executor(self, panel: Panel, costs: Costs) -> AbstractContextManager[Executor]:
        """Return what measures genomes on a panel for as long as it is entered."""
        return open_executor(
            self.executor, panel, costs, self.evaluator(), workers=self.workers, batch_seconds=self.batch_seconds
        )

    def on_nulls(self, panel: Panel, spec: EvolutionSpec, costs: Costs, seed: int) -> SearchOnNulls:
        """Return the search by a frozen spec, to be repeated where nothing can be found."""
        return SearchOnNulls(
            panel,
            spec,
            costs,
            threads=1,
            seed=seed,
        )
