"""Every unique genome that a search measured, with what came of it and where it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import Evaluation
from quant_organism.evolution.tables import PopulationTable
from quant_organism.evolution.variation import Offspring
from quant_organism.strategies import Genome

METRICS = PopulationTable.metrics
"""Metrics of a trial, as `Evaluation.metrics` names them."""

NO_PARENT = -1


@dataclass(frozen=True, eq=False)
class Trials:
    """Every unique genome that a search measured, in the order in which it was told of them.

    Attributes
    ----------
    genomes
        Length n.
    generation, island
        int64 (n,): the generation and the island for which each was measured.
    parents
        int64 (n, 2): trial numbers of its parents; -1 where there is none.
    operator
        Length n: what made it: `founder`, `favoured` (a founder of a family that did well among the first ones),
        `immigrant`, `archive`, or one of the operators of `variation`.
    metrics
        In-sample metrics of the whole portfolio, each float64 (n,).
    asset_sharpe
        float64 (n, N): Sharpe ratio of each asset's sleeve alone.
    behaviour
        uint64 (n,): digest of what its sleeves did; equal ones are one strategy under several names.
    objectives
        float64 (n, m): the objectives of the spec in minimisation form, infeasible trials at the worst values.
    feasible
        bool (n,): it traded enough and every objective is defined.
    on_front, survived
        bool (n,): not dominated by any feasible trial; in a last population. False until the search has ended.
    symbols
        The N assets.
    days
        int64 (D,): UTC days in milliseconds.
    daily_returns
        float64 (n, D): net portfolio returns.
    """

    genomes: tuple[Genome, ...]
    generation: NDArray[np.int64]
    island: NDArray[np.int64]
    parents: NDArray[np.int64]
    operator: tuple[str, ...]
    metrics: dict[str, NDArray[np.float64]]
    asset_sharpe: NDArray[np.float64]
    behaviour: NDArray[np.uint64]
    objectives: NDArray[np.float64]
    feasible: NDArray[np.bool_]
    on_front: NDArray[np.bool_]
    survived: NDArray[np.bool_]
    symbols: tuple[str, ...]
    days: NDArray[np.int64]
    daily_returns: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.genomes)

    @classmethod
    def none(cls, n_objectives: int) -> Trials:
        """Return the trials of a search that has found nothing sound."""
        no_numbers, no_flags = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.bool_)
        return cls(
            genomes=(),
            generation=no_numbers,
            island=no_numbers,
            parents=np.empty((0, 2), dtype=np.int64),
            operator=(),
            metrics={name: np.empty(0) for name in METRICS},
            asset_sharpe=np.empty((0, 0)),
            behaviour=np.empty(0, dtype=np.uint64),
            objectives=np.empty((0, n_objectives)),
            feasible=no_flags,
            on_front=no_flags,
            survived=no_flags,
            symbols=(),
            days=no_numbers,
            daily_returns=np.empty((0, 0)),
        )

    @classmethod
    def of(
        cls,
        offspring: Sequence[Offspring],
        evaluation: Evaluation,
        objectives: NDArray[np.float64],
        feasible: NDArray[np.bool_],
        *,
        generation: int,
        island: int,
    ) -> Trials:
        """Return the trials of one batch, in the order of the evaluation; parents are trial numbers by now."""
        origin = {child.genome.hash: child for child in offspring}
        born = [origin[genome.hash] for genome in evaluation.genomes]
        count = len(born)
        parents = np.full((count, 2), NO_PARENT, dtype=np.int64)
        for row, child in zip(parents, born, strict=True):
            row[: len(child.parents)] = child.parents
        return cls(
            genomes=evaluation.genomes,
            generation=np.full(count, generation, dtype=np.int64),
            island=np.full(count, island, dtype=np.int64),
            parents=parents,
            operator=tuple(child.operator for child in born),
            metrics={name: evaluation.metrics[name] for name in METRICS},
            asset_sharpe=evaluation.asset_metrics["sharpe"],
            behaviour=evaluation.behaviour,
            objectives=objectives,
            feasible=feasible,
            on_front=np.zeros(count, dtype=np.bool_),
            survived=np.zeros(count, dtype=np.bool_),
            symbols=evaluation.symbols,
            days=evaluation.days,
            daily_returns=evaluation.daily_returns,
        )

    @classmethod
    def joined(cls, parts: Sequence[Trials]) -> Trials:
        """Return trials of one search one after the other; at least one part."""

        def all_of(name: str) -> Any:
            values = [getattr(part, name) for part in parts]
            if name in ("symbols", "days"):
                return values[0]
            if name == "metrics":
                return {metric: np.concatenate([value[metric] for value in values]) for metric in METRICS}
            if isinstance(values[0], tuple):
                return tuple(chain.from_iterable(values))
            return np.concatenate(values)

        return cls(**{field.name: all_of(field.name) for field in fields(cls)})

    def ended(self, on_front: NDArray[np.bool_], survived: NDArray[np.bool_]) -> Trials:
        """Return the trials with what is known when the search has ended."""
        return replace(self, on_front=on_front, survived=survived)


class TrialBook:
    """The trials of a search so far; a genome's number is its place.

    Parameters
    ----------
    n_objectives
        How many objectives the search has.
    """

    def __init__(self, n_objectives: int) -> None:
        none = Trials.none(n_objectives)
        self._parts: list[Trials] = []
        self._n_objectives = n_objectives
        self.genomes: list[Genome] = []
        self.operators: list[str] = []
        self.objectives, self.feasible, self.behaviour = none.objectives, none.feasible, none.behaviour

    def __len__(self) -> int:
        return len(self.genomes)

    def add(self, part: Trials) -> NDArray[np.int64]:
        """Write trials down and return their numbers."""
        first = len(self)
        self._parts.append(part)
        self.genomes.extend(part.genomes)
        self.operators.extend(part.operator)
        self.objectives = np.concatenate([self.objectives, part.objectives])
        self.feasible = np.concatenate([self.feasible, part.feasible])
        self.behaviour = np.concatenate([self.behaviour, part.behaviour])
        return np.arange(first, len(self), dtype=np.int64)

    @property
    def first(self) -> Trials | None:
        """The first trials that were written down; None before."""
        return self._parts[0] if self._parts else None

    def metric(self, name: str) -> NDArray[np.float64]:
        """Return a metric of all trials, shape (n,)."""
        return np.concatenate([np.empty(0), *(part.metrics[name] for part in self._parts)])

    @property
    def asset_sharpe(self) -> NDArray[np.float64]:
        """Sharpe ratio of each asset's sleeve of all trials, shape (n, N); there must be a first trial."""
        return np.concatenate([part.asset_sharpe for part in self._parts])

    def all(self) -> Trials:
        """Return all trials."""
        return Trials.joined(self._parts) if self._parts else Trials.none(self._n_objectives)
