"""composite: weigh the votes of expression trees in three groups, and their agreement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.families.composite.kernel import bars_at_rest, composite_targets
from quant_organism.strategies.family import GeneArrays, Genes, StrategyFamily
from quant_organism.strategies.genes import GeneSpec, GeneValue
from quant_organism.strategies.indicators.indicator import Needs
from quant_organism.strategies.targets import Targets
from quant_organism.strategies.trees.evaluation import Program, bars_behind, columns_read, first_bar, indicators_of
from quant_organism.strategies.trees.grammar import VoteGrammar
from quant_organism.strategies.trees.language import Language
from quant_organism.strategies.trees.primitives import Tree
from quant_organism.strategies.trees.simplify import simplified
from quant_organism.strategies.trees.text import GROUPS
from quant_organism.strategies.trees.variation import MOST_VOTES

WEIGHTS = (
    "signal_momentum_weight",
    "signal_reversion_weight",
    "signal_breakout_weight",
    "signal_confluence_weight",
)


def _weight(name: str, default: float, description: str) -> GeneSpec:
    return GeneSpec(name=name, kind="float", default=default, low=0.0, high=1.0, unit="weight", description=description)


_REFERENCE_VOTES = (
    (("vote", ("gt", ("ema", 12), ("ema", 26)), ("lt", ("ema", 12), ("ema", 26))),),
    (("vote", ("lt", ("rsi", 14), 35.0), ("gt", ("rsi", 14), 65.0)),),
    (
        (
            "vote",
            ("gt", ("close",), ("donchian_high", 20)),
            ("lt", ("close",), ("donchian_low", 20)),
        ),
        ("vote", ("gt", ("log_return", 20), 0.01), ("lt", ("log_return", 20), -0.01)),
    ),
)

_WEIGHING_GENES = (
    _weight("signal_momentum_weight", 0.4, "weight of the mean vote of the momentum group"),
    _weight("signal_reversion_weight", 0.2, "weight of the mean vote of the reversion group"),
    _weight("signal_breakout_weight", 0.4, "weight of the mean vote of the breakout group"),
    _weight("signal_confluence_weight", 0.2, "weight of the mean of all votes times the share of votes cast"),
    GeneSpec(
        name="minimum_signals",
        kind="int",
        default=3,
        low=1,
        high=5,
        unit="votes",
        description="votes on its side that an entry needs",
    ),
    GeneSpec(
        name="entry_score",
        kind="float",
        default=0.3,
        low=0.1,
        high=0.9,
        unit="score",
        description="weighted mean of the votes that an entry needs",
    ),
)


class Composite(StrategyFamily):
    """Enter when the weighted votes of all trees, and enough of them, point one way; leave when they no longer do.

    Parameters
    ----------
    families
        Families of which those that are plain rules may vote by the sign of their reference genome.
    """

    name = "composite"
    seed_type = "composite"
    columns = ("open", "high", "low", "close", "volume")
    memory = "direction"
    left = 1
    abreast = True

    def __init__(self, families: Sequence[StrategyFamily]) -> None:
        self.language = Language(families)
        votes = GeneSpec(
            name="votes",
            kind="structure",
            default=_REFERENCE_VOTES,
            grammar=VoteGrammar(self.language),
            unit="trees",
            description="one to four votes of +1, 0 or -1 in each of the groups momentum, reversion and breakout",
        )
        self.own_genes = (votes, *_WEIGHING_GENES)

    def columns_of(self, genes: Genes) -> tuple[str, ...]:
        """Return prices and volume, and what a vote cannot do without beyond them."""
        read = set().union(*(columns_read(self.language, tree) for tree in _trees(_pruned(genes["votes"]))))
        return self.columns + tuple(sorted(read - set(self.columns)))

    def check(self, genes: Genes, where: str) -> None:
        """Raise an InputError if more signals are asked for than there are votes."""
        count = _count(genes["votes"])
        if genes["minimum_signals"] > count:
            raise InputError(
                f"gene minimum_signals is {genes['minimum_signals']}, but there are only {count} votes",
                where=where,
                remedy="ask for fewer signals or add votes",
            )

    def repair(self, genes: Genes) -> dict[str, GeneValue]:
        """Ask for no more signals than there are votes."""
        return {**genes, "minimum_signals": min(genes["minimum_signals"], _count(genes["votes"]))}

    def warmup(self, genes: Genes) -> int:
        """Return the first bar on which every vote is defined, dead branches aside."""
        return _first_bar(self.language, _pruned(genes["votes"]))

    def looks_back(self, genes: Genes, bar_hours: float) -> int:
        """Return how far back the trees look, at least at the bar before: a price may not have moved since then."""
        return max(1, *(bars_behind(tree) for tree in _trees(_pruned(genes["votes"]))))

    def indicators(self, genes: GeneArrays) -> Needs:
        """Name the indicators in all trees."""
        return indicators_of(self.language, (tree for votes in genes["votes"] for tree in _trees(_pruned(votes))))

    def targets(self, bank: IndicatorBank, genes: GeneArrays, out: Targets) -> None:
        """Write the targets of each genome."""
        # Genomes with the same trees vote once; a genome that stands on several assets is one of them.
        structures = {id(votes): votes for votes in genes["votes"]}
        number = {name: place for place, name in enumerate(structures)}
        own = np.array([number[id(votes)] for votes in genes["votes"]], dtype=np.int64)
        plan = _plan(self.language, tuple(structures.values()))
        high, low, stands = bank.prices("high"), bank.prices("low"), bank.stands(own.size)
        assets, n = high.shape
        votes = plan.program.run(bank.joined(plan.program.columns))
        trees = votes.shape[0]
        votes = np.ascontiguousarray(votes.reshape(trees, assets, n).swapaxes(0, 1)).reshape(assets * trees, n)
        members, firsts = plan.members[own], bank.firsts(plan.warmup[own])
        # What bars at rest leave is the same for all genomes; of the first it is written.
        rest = bars_at_rest(high, low, bank.begins, firsts[:assets], out.left[:assets])
        out.left[assets:] = np.resize(out.left[:assets], out.left[assets:].shape)
        composite_targets(
            votes,
            rest,
            stands,
            np.where(members < 0, -1, members + trees * stands[:, np.newaxis, np.newaxis]),
            np.array([genes[name] for name in WEIGHTS]).T.copy(),
            genes["minimum_signals"],
            genes["entry_score"],
            plan.warmup[own],
            firsts,
            out,
        )


class _Plan(NamedTuple):
    # How the votes of G genomes are computed, whose they are, and from which bar on all of a genome's are defined.
    program: Program
    members: NDArray[np.int64]
    warmup: NDArray[np.int64]


@lru_cache(maxsize=32)
def _plan(language: Language, votes: tuple[Any, ...]) -> _Plan:
    # Kept for the next asset on which the same genomes are evaluated.
    pruned = [_pruned(groups) for groups in votes]
    rows = {tree: row for row, tree in enumerate(dict.fromkeys(tree for groups in pruned for tree in _trees(groups)))}
    members = np.full((len(pruned), len(GROUPS), MOST_VOTES), -1)
    for g, groups in enumerate(pruned):
        for number, group in enumerate(groups):
            members[g, number, : len(group)] = [rows[tree] for tree in group]
    return _Plan(Program(language, list(rows)), members, np.array([_first_bar(language, groups) for groups in pruned]))


def _pruned(votes: Any) -> Any:
    return tuple(tuple(simplified(tree) for tree in group) for group in votes)


def _trees(votes: Any) -> Iterator[Tree]:
    return (tree for group in votes for tree in group)


def _count(votes: Any) -> int:
    return sum(len(group) for group in votes)


def _first_bar(language: Language, votes: Any) -> int:
    return max(first_bar(language, tree) for tree in _trees(votes))
