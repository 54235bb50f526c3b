"""Many worlds, one after the other or side by side, each kept once it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from quant_organism.audit.organism import Organism, run_organism
from quant_organism.audit.outcome import Outcome, live_through
from quant_organism.audit.profile import AuditProfile
from quant_organism.audit.worlds import World
from quant_organism.kernels.closure import code_identity
from quant_organism.market import Panel
from quant_organism.resilience import return_freed_memory, write_file
from quant_organism.validation import in_order


@dataclass(frozen=True)
class LivedWorlds:
    """Makes what comes of a world from its number alone, on any machine: all that it draws is gone with it.

    Parameters
    ----------
    profile, worlds, real, organism
        As in `Campaign`.
    """

    profile: AuditProfile
    worlds: tuple[World, ...]
    real: Panel | None
    organism: Organism

    @property
    def identity(self) -> dict[str, str]:
        """All that an outcome is a function of besides its world."""
        real = {} if self.real is None else {"panel": self.real.hash}
        return {"profile": self.profile.hash, "code": code_identity(__name__)} | real

    def __call__(self, number: int) -> Outcome:
        """Return what came of a world."""
        with TemporaryDirectory() as draws:
            return self.lived(number, Path(draws))

    def lived(self, number: int, draws: Path) -> Outcome:
        """Return what came of a world whose draws are kept in a folder."""
        outcome = live_through(self.worlds[number], self.profile, self.organism, draws, self.real)
        return_freed_memory()
        return outcome


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
        known = self.recall(number)
        if known is None:
            known = self.make.lived(number, self.place / "draws")
            self.keep(number, known)
        return known

    @property
    def make(self) -> LivedWorlds:
        """Who lives through a world, whatever was done before."""
        return LivedWorlds(self.profile, self.worlds, self.real, self.organism)

    def recall(self, number: int) -> Outcome | None:
        """Return what came of a world that is done; None if it is not.

        Raises
        ------
        IntegrityError
            Its file is damaged.
        """
        path = self._path(number)
        return Outcome.read(path) if path.exists() else None

    def keep(self, number: int, outcome: Outcome) -> None:
        """Keep what came of a world.

        Raises
        ------
        StorageError
            The folder cannot be written.
        """
        write_file(self._path(number), outcome.to_bytes())

    @property
    def place(self) -> Path:
        """The folder of its worlds."""
        digest = hashlib.sha256(json.dumps(self.make.identity, sort_keys=True).encode()).hexdigest()[:16]
        return self.folder / digest

    def run(
        self,
        *,
        processes: int | None = 1,
        executor: str = "threads",
        progress: Callable[[int, int, Outcome], None] | None = None,
    ) -> list[Outcome]:
        """Live through all worlds.

        Parameters
        ----------
        processes, executor
            How many worlds at once and where, as `in_order` takes them; no outcome depends on them. What a world
            draws is kept on this machine alone: a world that was lost with a node of a cluster is lived through anew.
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
        for _, outcome in in_order(self, range(len(self.worlds)), processes, executor):
            outcomes.append(outcome)
            if progress is not None:
                progress(len(outcomes), len(self.worlds), outcome)
        return outcomes

    def done(self) -> Sequence[Outcome]:
        """Return what came of the worlds that are done so far, in their order."""
        return [outcome for number in range(len(self.worlds)) if (outcome := self.recall(number)) is not None]

    def _path(self, number: int) -> Path:
        return self.place / f"{self.worlds[number].name}.json"
