"""Many worlds, one after the other or side by side, each kept once it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from quant_organism.audit.organism import Organism, run_organism
from quant_organism.audit.outcome import Outcome, live_through
from quant_organism.audit.profile import AuditProfile
from quant_organism.audit.worlds import World
from quant_organism.kernels.closure import code_identity
from quant_organism.market import Panel
from quant_organism.resilience import return_freed_memory, write_file
from quant_organism.validation import in_order


@dataclass(frozen=True)
class Campaign:
    """An audit under way: each world is a file of its own, in a folder named after all that decides its content.

    Parameters
    ----------
    profile
        The frozen organism.
    worlds
        Where it lives.
    folder
        Of all audits.
    real
        The panel that flipped worlds are made of.
    organism
        Who lives in them; picklable where worlds run side by side.
    """

    profile: AuditProfile
    worlds: tuple[World, ...]
    folder: Path
    real: Panel | None = None
    organism: Organism = run_organism

    def __call__(self, number: int) -> Outcome:
        """Return what came of a world; one that is done is not run again."""
        world = self.worlds[number]
        path = self.place / f"{world.name}.json"
        if path.exists():
            return Outcome.read(path)
        outcome = live_through(world, self.profile, self.organism, self.place / "draws", self.real)
        write_file(path, outcome.to_bytes())
        return_freed_memory()
        return outcome

    @property
    def identity(self) -> dict[str, str]:
        """All that an outcome is a function of besides its world."""
        real = {} if self.real is None else {"panel": self.real.hash}
        return {"profile": self.profile.hash, "code": code_identity(__name__)} | real

    @property
    def place(self) -> Path:
        """The folder of its worlds."""
        digest = hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:16]
        return self.folder / digest

    def run(self, *, processes: int = 1, progress: Callable[[int, int, Outcome], None] | None = None) -> list[Outcome]:
        """Live through all worlds.

        Parameters
        ----------
        processes
            Worlds at once; no outcome depends on it.
        progress
            Told how many worlds are done, of how many, and what came of the last.

        Raises
        ------
        IntegrityError
            The file of a world is damaged.
        StorageError
            The folder cannot be written.
        QuantOrganismError
            A process was killed; the same audit goes on where it was.
        """
        outcomes: list[Outcome] = []
        for _, outcome in in_order(self, range(len(self.worlds)), processes):
            outcomes.append(outcome)
            if progress is not None:
                progress(len(outcomes), len(self.worlds), outcome)
        return outcomes

    def done(self) -> Sequence[Outcome]:
        """Return what came of the worlds that are done so far, in their order."""
        paths = [self.place / f"{world.name}.json" for world in self.worlds]
        return [Outcome.read(path) for path in paths if path.exists()]
