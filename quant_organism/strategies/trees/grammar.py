"""The gene that holds groups of votes."""

from __future__ import annotations

import numpy as np

from quant_organism.errors import InputError
from quant_organism.strategies.genes import Structure
from quant_organism.strategies.trees.shape import canonical_tree
from quant_organism.strategies.trees.text import GROUPS, votes_text
from quant_organism.strategies.trees.variation import MOST_VOTES, cross_votes, draw_vote, perturb_votes


class VoteGrammar:
    """The values of a gene that holds, for each group, one to four trees of type Vote."""

    def canonical(self, value: object) -> Structure:
        """Return the groups as nested tuples with checked types, bounds and limits.

        Raises
        ------
        InputError
            With the path to the part that is wrong.
        """
        if not isinstance(value, list | tuple) or len(value) != len(GROUPS):
            raise InputError(f"{value!r:.60}, expected a list of the groups {', '.join(GROUPS)}", where="votes")
        groups = []
        for name, group in zip(GROUPS, value, strict=True):
            where = f"votes.{name}"
            if not isinstance(group, list | tuple) or not 1 <= len(group) <= MOST_VOTES:
                raise InputError(f"{group!r:.60}, expected a list of 1 to {MOST_VOTES} trees", where=where)
            groups.append(tuple(canonical_tree(tree, f"{where}[{place}]") for place, tree in enumerate(group)))
        return tuple(groups)

    def draw(self, rng: np.random.Generator) -> Structure:
        """Draw one to four trees for each group."""
        return tuple(tuple(draw_vote(rng) for _ in range(int(rng.integers(1, MOST_VOTES + 1)))) for _ in GROUPS)

    def perturb(self, value: Structure, rng: np.random.Generator) -> Structure:
        """Change a constant or a branch of one vote, or add or drop one."""
        return perturb_votes(value, rng)

    def cross(self, a: Structure, b: Structure, rng: np.random.Generator) -> tuple[Structure, Structure]:
        """Exchange a branch between a vote of one and a vote of the other."""
        return cross_votes(a, b, rng)

    def describe(self, value: Structure) -> str:
        """Write the groups as text, one line each; `text.parse_votes` reads it back."""
        return votes_text(value)
