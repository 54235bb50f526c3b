"""Small batches of genomes, an evaluator that gets into trouble over some of them, and what must come out equal."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from quant_organism.backtest import Evaluation, Evaluator
from quant_organism.errors import InputError
from quant_organism.evolution.measuring import Measured
from quant_organism.strategies import Genome, evolving_families, random_genome

SLOW_TO_FIT = ("pca_tree_quantile",)


def batches(count: int, size: int = 6, families: Sequence[str] = ()) -> list[list[Genome]]:
    """Return batches of random genomes, the families in turn."""
    rng = np.random.default_rng(11)
    names = families or [name for name in evolving_families() if name not in SLOW_TO_FIT]
    genomes = [random_genome(rng, names[i % len(names)]) for i in range(count * size)]
    return [genomes[i * size : (i + 1) * size] for i in range(count)]


@dataclass(frozen=True, kw_only=True, eq=False)
class TroubledEvaluator(Evaluator):
    """Gets into trouble over marked genomes, by hash: what happens, and how many times it does.

    Every attempt leaves a file in `folder`, named by genome, number and process.
    """

    folder: Path
    troubles: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    seconds: float = 0.0

    def evaluate(self, population: Sequence[Genome], *arguments: Any, **options: Any) -> Evaluation:
        for genome in population:
            if genome.hash in self.troubles:
                trouble, times = self.troubles[genome.hash]
                attempt = len(self.attempts(genome)) + 1
                (self.folder / f"{genome.hash}-{attempt}-{os.getpid()}").touch()
                if attempt <= times:
                    get_into(trouble)
        time.sleep(self.seconds)
        return super().evaluate(population, *arguments, **options)

    def attempts(self, genome: Genome) -> list[Path]:
        return list(self.folder.glob(f"{genome.hash}-*"))


def get_into(trouble: str) -> None:
    if trouble == "raise":
        raise RuntimeError("a bug")
    if trouble == "mend":
        raise InputError("something to mend", where="here", remedy="mend it")
    if trouble == "memory":
        np.ones(2**50)
    if trouble == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if trouble == "hang":
        time.sleep(3600)


def assert_same_bits(found: Mapping[int, Any], expected: Mapping[int, Any]) -> None:
    """Every batch was measured, with the same outcome but for the time it took."""
    assert sorted(found) == sorted(expected)
    for place, measured in expected.items():
        assert isinstance(found[place], Measured), found[place]
        assert found[place].sound == measured.sound
        assert found[place].flaws == measured.flaws
        assert_same_evaluation(found[place].evaluation, measured.evaluation)


def assert_same_evaluation(found: Evaluation, expected: Evaluation) -> None:
    assert (found.genomes, found.symbols) == (expected.genomes, expected.symbols)
    for mine, theirs in ((found.metrics, expected.metrics), (found.asset_metrics, expected.asset_metrics)):
        assert {name: values.tobytes() for name, values in mine.items()} == {
            name: values.tobytes() for name, values in theirs.items()
        }
    assert found.daily_returns.tobytes() == expected.daily_returns.tobytes()
    assert found.behaviour.tobytes() == expected.behaviour.tobytes()
