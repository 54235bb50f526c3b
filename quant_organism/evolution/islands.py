"""Islands: populations that evolve side by side, each founded by a group of families."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant_organism.evolution.selection import rank_and_crowding, tournament
from quant_organism.evolution.source import GenomeSource, Screened
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.evolution.trials import TrialBook
from quant_organism.evolution.variation import CROSSOVER, MUTATION, ModelMenu, Offspring, VariationRates, toolbox, vary
from quant_organism.strategies import Genome

Numbers = NDArray[np.int64]

FLOOR_SHARE = 0.25
"""Share of an island's seats that its families are sure of, in equal parts, for the first half of the generations."""

FIRST_SHARE = 4 / 7
"""Share of the vacant seats that the founding draws of all families in turn, before it favours some."""

FAVOURED_SHARE = 0.25
"""Share of all families that the other seats of the founding are drawn of."""

LEAST_GAIN = 0.01
"""Relative growth of the hypervolume below which a generation has gained nothing."""

_ROUNDS_OF_DRAWING = 10


def family_groups(families: Sequence[str], islands: int) -> list[tuple[str, ...]]:
    """Deal families to islands: at least two to each island, and each family to at least one.

    The families are dealt in their order, round after round, as many at a time as an island has to have.
    """
    size = min(len(families), max(2, -(-len(families) // islands)))
    return [tuple(families[(island * size + k) % len(families)] for k in range(size)) for island in range(islands)]


def favourites(book: TrialBook) -> list[str]:
    """Return the best quarter of the families that were tried, by the mean Sharpe ratio of the two best of each."""
    names = np.array([genome.family for genome in book.genomes])
    sharpe = np.where(book.feasible, book.metric("sharpe"), -np.inf)
    best = {name: np.sort(sharpe[names == name])[-2:].mean() for name in sorted(set(names.tolist()))}
    ranked = sorted((name for name in best if np.isfinite(best[name])), key=lambda name: -best[name])
    return ranked[: max(1, round(FAVOURED_SHARE * len(best)))]


class Island:
    """One population: what it wants measured next, and what it keeps of what was measured.

    Members are numbers of trials. What an island does follows from its spec, its generator and what it is told.

    Parameters
    ----------
    number
        Its place in the ring.
    families
        The families that found it; its immigrants come from them too.
    spec, menu
        How it searches, and the models that its genomes may carry.
    source
        Draws founders and immigrants.
    hypervolume
        Measures rows of objectives in minimisation form.
    rng
        Source of all that it draws.
    """

    def __init__(
        self,
        number: int,
        families: tuple[str, ...],
        spec: EvolutionSpec,
        menu: ModelMenu,
        source: GenomeSource,
        hypervolume: Callable[[NDArray[np.float64]], float],
        rng: np.random.Generator,
    ) -> None:
        self.number, self.families = number, families
        self.members: Numbers = np.empty(0, dtype=np.int64)
        self.restarts = 0
        self.invited: list[Genome] = []
        self.screened = Screened()
        self._spec, self._menu, self._source = spec, menu, source
        self._hypervolume, self._rng = hypervolume, rng
        self._rates = VariationRates(crossover_probability=spec.crossover_probability, mutation_rate=spec.mutation_rate)
        self._founding = True
        self._drawn = 0
        self._volume, self._without_gain = 0.0, 0

    @property
    def vacant(self) -> int:
        """Seats that nothing sits on."""
        return self._spec.population - len(self.members)

    def invite(self, genome: Genome) -> None:
        """Let a genome be among the founders, as long as those invited take no more than half of the seats."""
        if 2 * (len(self.invited) + 1) <= self._spec.population:
            self.invited.append(genome)

    def ask(self, book: TrialBook, generation: int, asked: set[str]) -> list[Offspring]:
        """Propose genomes that were not asked for before, parents as trial numbers.

        The founding draws by the genes' priors, in two stages: most of the vacant seats of the island's families in
        turn, the invited ones first; the others, once these are measured, of those of its families that are among the
        best quarter of all, in turn. After a restart all vacant seats are drawn of its families in turn.
        Otherwise the brood has one genome for each seat that is not the elite's: the immigrants, and children of
        parents that won tournaments.

        Parameters
        ----------
        book
            The trials so far.
        generation
            The generation that the genomes are born in.
        asked
            Hashes of all genomes that any island ever asked for; those proposed now are added.
        """
        if self._founding or not len(self.members):
            guests = self._guests(generation, asked)
            wanted = self.vacant - len(guests)
            if generation == 0 and not len(book):
                wanted = min(wanted, max(len(self.families), round(FIRST_SHARE * wanted)))
                return guests + self._newcomers("founder", wanted, generation, asked)
            favoured = set(favourites(book)) if generation == 0 else set()
            families = tuple(name for name in self.families if name in favoured) or self.families
            operator = "favoured" if families != self.families else "founder"
            return guests + self._newcomers(operator, wanted, generation, asked, families)
        brood = self._newcomers("immigrant", round(self._spec.immigrants * self._spec.brood), generation, asked)
        rank, crowding = rank_and_crowding(book.objectives[self.members])
        for _ in range(_ROUNDS_OF_DRAWING):
            missing = self._spec.brood - len(brood)
            if not missing:
                break
            winners = self.members[tournament(rank, crowding, missing + missing % 2, self._rng)]
            children = vary([book.genomes[trial] for trial in winners], self._rates, self._rng, generation)
            for child in children:
                genome = self._menu.settled(child.genome, self._rng)
                if genome.hash not in asked and len(brood) < self._spec.brood:
                    asked.add(genome.hash)
                    parents = tuple(int(winners[parent]) for parent in child.parents)
                    brood.append(replace(child, genome=genome, parents=parents))
        return brood

    def tell(self, book: TrialBook, born: Numbers, generation: int) -> None:
        """Let members and newborn compete for the seats.

        Parameters
        ----------
        book
            The trials, those of this generation included.
        born
            Numbers of the trials that were made of what the island asked for.
        generation
            The generation that has been measured.
        """
        self.members = self._survivors(book, np.concatenate([self.members, born]), generation)
        if self._spec.rates == "adaptive":
            seated = np.isin(born, self.members)
            operator = np.array([book.operators[trial] for trial in born], dtype=np.str_)
            bred = [name for name in (CROSSOVER, MUTATION) if name in operator]
            self._rates = self._rates.adapted({name: float(seated[operator == name].mean()) for name in bred})

    def close(self, book: TrialBook) -> None:
        """End a generation: look whether it gained anything, and start again from the elite if nothing does."""
        self._founding = False
        alive = self.members[book.feasible[self.members]]
        volume = self._hypervolume(book.objectives[alive])
        if volume > (1.0 + LEAST_GAIN) * self._volume:
            self._volume, self._without_gain = volume, 0
            return
        self._without_gain += 1
        if self._without_gain >= self._spec.restart_after:
            self.members = self._best(book, self._spec.population - self._spec.brood)
            self.restarts += 1
            self._founding, self._volume, self._without_gain = True, 0.0, 0

    def emigrants(self, book: TrialBook) -> Numbers:
        """Return the members that are copied to the next island: the best by rank, then the least crowded."""
        return self._best(book, round(self._spec.migration_share * self._spec.population))

    def receive(self, book: TrialBook, arriving: Numbers, generation: int) -> None:
        """Let members and arriving ones compete for the seats."""
        self.members = self._survivors(book, np.concatenate([self.members, arriving]), generation)

    def state(self) -> dict[str, Any]:
        """Return all that the island remembers, as plain JSON."""
        return {
            "members": self.members.tolist(),
            "restarts": self.restarts,
            "founding": self._founding,
            "drawn": self._drawn,
            "rates": asdict(self._rates),
            "volume": self._volume,
            "without_gain": self._without_gain,
            "rng": _as_text(self._rng.bit_generator.state),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.members = np.array(state["members"], dtype=np.int64)
        self.restarts, self._founding, self._drawn = state["restarts"], state["founding"], state["drawn"]
        self._volume, self._without_gain = state["volume"], state["without_gain"]
        self._rates = VariationRates(**state["rates"])
        self._rng.bit_generator.state = _as_numbers(state["rng"])

    def _guests(self, generation: int, asked: set[str]) -> list[Offspring]:
        guests = []
        for invited in self.invited:
            genome = self._menu.settled(Genome(invited.family, invited.genes, generation), self._rng)
            if genome.hash not in asked:
                asked.add(genome.hash)
                guests.append(Offspring(genome, (), "archive"))
        self.invited = []
        return guests

    def _newcomers(
        self, operator: str, wanted: int, generation: int, asked: set[str], families: Sequence[str] | None = None
    ) -> list[Offspring]:
        families = families or self.families
        turns = [families[(self._drawn + place) % len(families)] for place in range(wanted)]
        self._drawn += wanted
        genomes, screened = self._source.draw(
            turns, self._rng, generation=generation, asked=asked, settled=self._menu.settled
        )
        self.screened.add(screened)
        return [Offspring(genome, (), operator) for genome in genomes]

    def _best(self, book: TrialBook, number: int) -> Numbers:
        if not len(self.members):
            return self.members
        rank, crowding = rank_and_crowding(book.objectives[self.members])
        return self.members[np.lexsort((self.members, -crowding, rank))[:number]]

    def _survivors(self, book: TrialBook, pool: Numbers, generation: int) -> Numbers:
        # Of trials that behave alike the first is enough; members stand before newborn.
        first = np.unique(book.behaviour[pool], return_index=True)[1]
        pool = pool[np.sort(first)]
        seats = self._spec.population
        if len(pool) <= seats:
            return pool
        chosen: Numbers = toolbox(self._rates, self._rng, self._spec.selection).select(book.objectives[pool], seats)
        if 2 * generation <= self._spec.generations:
            sure = self._sure_of_seats(book, pool)
            chosen = np.concatenate([sure, chosen[~np.isin(chosen, sure)]])[:seats]
        return pool[chosen]

    def _sure_of_seats(self, book: TrialBook, pool: Numbers) -> Numbers:
        """Return the places in the pool of the best of each of the island's families, as many as the floor says."""
        floor = max(1, int(FLOOR_SHARE * self._spec.population / len(self.families)))
        family = np.array([book.genomes[trial].family for trial in pool])
        rank, crowding = rank_and_crowding(book.objectives[pool])
        by_merit = np.lexsort((-crowding, rank))
        return np.concatenate([by_merit[family[by_merit] == name][:floor] for name in self.families])


def _as_text(state: Mapping[str, Any]) -> dict[str, Any]:
    # The generator's integers are longer than JSON's numbers.
    return {
        key: _as_text(value) if isinstance(value, Mapping) else value if key == "bit_generator" else hex(value)
        for key, value in state.items()
    }


def _as_numbers(state: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _as_numbers(value) if isinstance(value, Mapping) else value if key == "bit_generator" else int(value, 16)
        for key, value in state.items()
    }
