"""Searches that propose genomes in rounds: those that the engine is compared with, on the same genes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from quant_organism.evolution.objectives import INFEASIBLE
from quant_organism.evolution.proposals import ProposalResult
from quant_organism.evolution.source import GenomeSource, Screened
from quant_organism.strategies import GeneSpec, GeneValue, Genome, get_family

if TYPE_CHECKING:
    import optuna
    from cmaes import CMAwM
    from numpy.typing import NDArray

ROUND = 50
"""Genomes that random search proposes at a time."""

TPE_ROUND = 10
"""Genomes that TPE proposes between two updates of its model."""

_LARGEST_SEED = 2**31 - 1


class RoundProposer(ABC):
    """A proposer of genomes that learns from rounds as a whole, however many it is asked for at a time.

    Attributes
    ----------
    screened
        What it turned away on the short sample, until somebody takes note.
    """

    def __init__(self) -> None:
        self.screened = Screened()
        self._waiting: list[Genome] = []
        self._told: list[ProposalResult] = []

    def ask(self, n: int) -> Sequence[Genome]:
        """Hand out genomes of this round, or of the next one where all of it have been."""
        if not self._waiting:
            self._waiting = self.propose()
        handed, self._waiting = self._waiting[:n], self._waiting[n:]
        return handed

    def tell(self, results: Sequence[ProposalResult]) -> None:
        """Take results, and learn from them when those of the whole round are there."""
        self._told += results
        if not self._waiting:
            told, self._told = self._told, []
            self.learn(told)

    @abstractmethod
    def propose(self) -> list[Genome]:
        """Return the genomes of the next round; none: there is nothing more to propose."""

    @abstractmethod
    def learn(self, results: Sequence[ProposalResult]) -> None:
        """Learn what came of the last round, in its order."""


class RandomSearch(RoundProposer):
    """Random genomes, the families in turn, from the source that the engine draws its founders from.

    Parameters
    ----------
    families
        Families that take part.
    source
        Draws them.
    rng
        Its source of randomness.
    """

    def __init__(self, families: Sequence[str], source: GenomeSource, rng: np.random.Generator) -> None:
        super().__init__()
        self._families, self._source, self._rng, self._drawn = families, source, rng, 0
        self._asked: set[str] = set()

    def propose(self) -> list[Genome]:
        """Draw genomes, none of them twice."""
        turns = [self._families[(self._drawn + place) % len(self._families)] for place in range(ROUND)]
        self._drawn += ROUND
        genomes, screened = self._source.draw(turns, self._rng, asked=self._asked)
        self.screened.add(screened)
        return genomes

    def learn(self, results: Sequence[ProposalResult]) -> None:
        """Learn nothing."""


class Tpe(RoundProposer):
    """Tree-structured Parzen estimator: the family first, then its genes given the family.

    Genes that all genomes carry are one dimension for all families, a family's own genes are its own. Trees and
    documents are drawn by their grammar, since no density can be estimated over them.

    Parameters
    ----------
    families
        Families that take part.
    rng
        Seeds the estimator, and draws structures.
    startup
        Genomes that are drawn at random before the estimator is asked.

    Notes
    -----
    Bergstra, Bardenet, Bengio, Kegl 2011, NeurIPS 24; the estimator is Optuna's with its own defaults.
    """

    def __init__(self, families: Sequence[str], rng: np.random.Generator, startup: int) -> None:
        import optuna

        super().__init__()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._families, self._rng = list(families), rng
        sampler = optuna.samplers.TPESampler(
            seed=int(rng.integers(_LARGEST_SEED)), n_startup_trials=startup, constant_liar=True
        )
        self._study = optuna.create_study(sampler=sampler)
        self._asked: list[optuna.Trial] = []

    def propose(self) -> list[Genome]:
        """Draw genomes from the estimator."""
        self._asked = [self._study.ask() for _ in range(TPE_ROUND)]
        return [self._genome(trial) for trial in self._asked]

    def learn(self, results: Sequence[ProposalResult]) -> None:
        """Update the estimator."""
        for trial, result in zip(self._asked, results, strict=True):
            self._study.tell(trial, _minimised(result))

    def _genome(self, trial: optuna.Trial) -> Genome:
        name = trial.suggest_categorical("family", self._families)
        family = get_family(name)
        genes = {spec.name: self._value(trial, name, spec) for spec in family.genes}
        return Genome(name, family.repair(genes))

    def _value(self, trial: optuna.Trial, family: str, spec: GeneSpec) -> GeneValue:
        if spec.grammar is not None:
            return spec.draw(self._rng)
        common = spec in get_family(family).common_genes
        label = spec.name if common else f"{family}.{spec.name}"
        if spec.kind == "choice":
            return str(trial.suggest_categorical(label, spec.choices))
        by_ratios = spec.scale == "log" and spec.low > 0.0
        if spec.kind == "int":
            return spec.fitted(trial.suggest_int(label, int(spec.low), int(spec.high), log=by_ratios))
        return spec.fitted(trial.suggest_float(label, spec.low, spec.high, log=by_ratios))


class CmaEs(RoundProposer):
    """One CMA-ES with margin for each family, all with equal budgets.

    Every gene is a coordinate in [0, 1] between its bounds; whole numbers, and choices in their written order, are
    evenly spaced steps of it, which the margin keeps reachable. A strategy that has converged starts again from a
    random mean. Families whose genes hold trees or documents have no such coordinates and are left out.

    Parameters
    ----------
    families
        Families of the search; at least one takes part.
    rng
        Seeds the strategies and draws their means.

    Notes
    -----
    Hamano, Saito, Nomura, Shirakawa 2022, "CMA-ES with margin", GECCO; population size and rates are the defaults of
    `cmaes`, the first mean is the middle and the first step 0.3.
    """

    def __init__(self, families: Sequence[str], rng: np.random.Generator) -> None:
        super().__init__()
        self._families = [name for name in families if takes_part_in_cma_es(name)]
        self._rng = rng
        self._strategies = [_strategy(name, rng, middle=True) for name in self._families]
        self._asked: list[tuple[int, NDArray[np.float64]]] = []

    def propose(self) -> list[Genome]:
        """Draw a generation of each family; their genomes take turns."""
        self._asked, genomes = [], []
        for member in range(max(strategy.population_size for strategy in self._strategies)):
            for place, strategy in enumerate(self._strategies):
                if member < strategy.population_size:
                    encoded, raw = strategy.ask()
                    self._asked.append((place, raw))
                    genomes.append(_decoded(self._families[place], encoded))
        return genomes

    def learn(self, results: Sequence[ProposalResult]) -> None:
        """Update each strategy, and start those again that have converged."""
        for place, strategy in enumerate(self._strategies):
            own = zip(self._asked, results, strict=True)
            strategy.tell([(raw, _minimised(result)) for (asked, raw), result in own if asked == place])
            if strategy.should_stop():
                self._strategies[place] = _strategy(self._families[place], self._rng, middle=False)


def _minimised(result: ProposalResult) -> float:
    # Not a number, where something was refused or its Sharpe ratio is undefined, is worth as little as can be.
    return -result.fitness if result.fitness == result.fitness else INFEASIBLE


def takes_part_in_cma_es(family: str) -> bool:
    """Tell whether every gene of a family is a number or a choice."""
    return all(spec.grammar is None for spec in get_family(family).genes)


def _strategy(family: str, rng: np.random.Generator, *, middle: bool) -> CMAwM:
    from cmaes import CMAwM

    steps = np.array([_step(spec) for spec in get_family(family).genes])
    mean = np.full(len(steps), 0.5) if middle else rng.random(len(steps))
    bounds = np.tile([0.0, 1.0], (len(steps), 1))
    return CMAwM(mean=mean, sigma=0.3, bounds=bounds, steps=steps, seed=int(rng.integers(_LARGEST_SEED)))


def _intervals(spec: GeneSpec) -> int:
    return len(spec.choices) - 1 if spec.kind == "choice" else int(spec.high) - int(spec.low)


def _step(spec: GeneSpec) -> float:
    return 0.0 if spec.kind == "float" or not _intervals(spec) else 1.0 / _intervals(spec)


def _decoded(family: str, encoded: NDArray[np.float64]) -> Genome:
    genes: dict[str, Any] = {}
    for spec, share in zip(get_family(family).genes, encoded.tolist(), strict=True):
        if spec.kind == "float":
            genes[spec.name] = spec.fitted(spec.low + share * (spec.high - spec.low))
        else:
            number = round(share * _intervals(spec))
            genes[spec.name] = spec.choices[number] if spec.kind == "choice" else spec.fitted(spec.low + number)
    return Genome(family, get_family(family).repair(genes))
