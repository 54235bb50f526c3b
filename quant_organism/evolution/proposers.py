"""Searches that this engine is compared with: each proposes genomes, and is told what they were worth.

They draw from the same genes as the engine. Values are to be made small; who proposes is told all values of a round.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

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


class Proposer(Protocol):
    """Proposes genomes round after round.

    Attributes
    ----------
    screened
        What it turned away on the short sample, until somebody takes note.
    """

    screened: Screened

    def ask(self) -> list[Genome]:
        """Propose the genomes of a round; some may have been proposed before."""
        ...

    def tell(self, values: Sequence[float]) -> None:
        """Learn the values of the genomes of the round, in their order; small is good."""
        ...


class RandomSearch:
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
        self._families, self._source, self._rng, self._drawn = families, source, rng, 0
        self._asked: set[str] = set()
        self.screened = Screened()

    def ask(self) -> list[Genome]:
        """Draw genomes, none of them twice."""
        turns = [self._families[(self._drawn + place) % len(self._families)] for place in range(ROUND)]
        self._drawn += ROUND
        genomes, screened = self._source.draw(turns, self._rng, asked=self._asked)
        self.screened.add(screened)
        return genomes

    def tell(self, values: Sequence[float]) -> None:
        """Learn nothing."""


class Tpe:
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

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._families, self._rng = list(families), rng
        sampler = optuna.samplers.TPESampler(
            seed=int(rng.integers(_LARGEST_SEED)), n_startup_trials=startup, constant_liar=True
        )
        self._study = optuna.create_study(sampler=sampler)
        self.screened = Screened()
        self._asked: list[optuna.Trial] = []

    def ask(self) -> list[Genome]:
        """Draw genomes from the estimator."""
        self._asked = [self._study.ask() for _ in range(TPE_ROUND)]
        return [self._genome(trial) for trial in self._asked]

    def tell(self, values: Sequence[float]) -> None:
        """Update the estimator."""
        for trial, value in zip(self._asked, values, strict=True):
            self._study.tell(trial, value)

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
            return trial.suggest_int(label, int(spec.low), int(spec.high), log=by_ratios)
        return trial.suggest_float(label, spec.low, spec.high, log=by_ratios)


class CmaEs:
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
        self._families = [name for name in families if takes_part_in_cma_es(name)]
        self._rng = rng
        self._strategies = [_strategy(name, rng, middle=True) for name in self._families]
        self._asked: list[tuple[int, NDArray[np.float64]]] = []
        self.screened = Screened()

    def ask(self) -> list[Genome]:
        """Draw a generation of each family; their genomes take turns."""
        self._asked, genomes = [], []
        for member in range(max(strategy.population_size for strategy in self._strategies)):
            for place, strategy in enumerate(self._strategies):
                if member < strategy.population_size:
                    encoded, raw = strategy.ask()
                    self._asked.append((place, raw))
                    genomes.append(_decoded(self._families[place], encoded))
        return genomes

    def tell(self, values: Sequence[float]) -> None:
        """Update each strategy, and start those again that have converged."""
        for place, strategy in enumerate(self._strategies):
            own = zip(self._asked, values, strict=True)
            strategy.tell([(raw, value) for (asked, raw), value in own if asked == place])
            if strategy.should_stop():
                self._strategies[place] = _strategy(self._families[place], self._rng, middle=False)


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
            genes[spec.name] = min(spec.high, spec.low + share * (spec.high - spec.low))
        else:
            number = round(share * _intervals(spec))
            genes[spec.name] = spec.choices[number] if spec.kind == "choice" else int(spec.low) + number
    return Genome(family, get_family(family).repair(genes))
