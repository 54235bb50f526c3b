"""What a look into the folder of strategy documents brings back."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from quant_organism.deployment.config import StrategyConfig
from quant_organism.deployment.stages import STAGES


@dataclass(frozen=True)
class Problem:
    """Something wrong with a file or folder: where, what, and what to do. It is left as it is."""

    path: Path
    what: str
    remedy: str


@dataclass(frozen=True)
class Loaded:
    """Documents that were read, best fitness first, and the files that could not be."""

    documents: tuple[StrategyConfig, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class FolderCheck:
    """State of the folder.

    Attributes
    ----------
    writable
        Whether a file can be made in it.
    free_bytes
        Space left on its disk.
    documents
        Number of readable documents, archived ones included.
    problems
        Everything that is wrong, one by one; empty when all is well.
    """

    writable: bool
    free_bytes: int
    documents: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Summary:
    """What the documents are.

    Attributes
    ----------
    stages
        Number of documents by stage, every stage listed.
    families
        Number of documents not retired by family; a mixed committee counts for each of its families.
    fitness_quartiles
        Minimum, lower quartile, median, upper quartile and maximum of the fitness of those not retired; none if there
        are none.
    problems
        Files that could not be read.
    """

    stages: dict[str, int]
    families: dict[str, int]
    fitness_quartiles: tuple[float, ...] | None
    problems: tuple[Problem, ...]

    @classmethod
    def of(cls, loaded: Loaded) -> Self:
        """Sum up what was read."""
        stages = Counter(document.stage for document in loaded.documents)
        alive = [document for document in loaded.documents if document.stage != "retired"]
        families = Counter(family for document in alive for family in document.families)
        return cls(
            stages={stage: stages[stage] for stage in STAGES},
            families=dict(sorted(families.items())),
            fitness_quartiles=_quartiles([document.fitness for document in alive]),
            problems=loaded.problems,
        )


def _quartiles(values: Sequence[float]) -> tuple[float, ...] | None:
    return tuple(map(float, np.quantile(values, [0.0, 0.25, 0.5, 0.75, 1.0]))) if values else None
