"""Random trees, mutation and crossover on DEAP's typed primitive sets, within types and limits.

DEAP's own operators draw from the interpreter's global generator and choose among types in the order of a set, so
neither a seed nor a thread could repeat them. Here every choice comes from the generator that is handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from quant_organism.strategies.genes import Structure
from quant_organism.strategies.trees.language import Language
from quant_organism.strategies.trees.primitives import (
    BOOL,
    CONSTANTS,
    DEEPEST,
    FAMILY,
    FRAC,
    LEVEL,
    MOST_NODES,
    MULT,
    PERIOD,
    PRIMITIVES,
    VOTE,
    Tree,
    depth,
    is_constant,
    reads_indicator,
    signature,
    size,
)
from quant_organism.strategies.trees.simplify import is_dead, simplified

MOST_VOTES = 4
"""Votes that a group may hold."""

_FAMILY_SHARE = 0.2
"""Share of drawn votes that are a family's sign."""

_MIRRORED_SHARE = 0.8
"""Share of drawn votes whose short condition is the opposite of the long one."""

_DRAWN_LEVELS, _BRANCH_LEVELS = 5, 3
"""Most edges below the root of a drawn condition, and of a branch drawn by a mutation."""

_ATTEMPTS = 20
"""Crossings tried before whole groups are exchanged instead."""

_DIGITS = {MULT: 1, LEVEL: 0, FRAC: 3}
"""Decimal digits of drawn constants: a coarse grid lets trees share more of their parts."""

_OPPOSITE = {"gt": "lt", "lt": "gt", "cross_above": "cross_below", "cross_below": "cross_above"}


def draw_vote(language: Language, rng: np.random.Generator) -> Tree:
    """Draw a tree of type Vote that is not dead, already simplified."""
    while True:
        if rng.random() < _FAMILY_SHARE:
            return ("family", language.constant(FAMILY).draw(rng))
        long = _nested(_grown(language, BOOL, _DRAWN_LEVELS, rng))
        mirrored = rng.random() < _MIRRORED_SHARE
        short = opposite(long) if mirrored else _nested(_grown(language, BOOL, _DRAWN_LEVELS, rng))
        vote = simplified(("vote", long, short))
        if _is_sound(vote):
            return vote


def opposite(condition: Tree) -> Tree:
    """Return a condition with every comparison turned round, its marks mirrored about the middle of their scale."""
    name, *parts = condition
    if name not in _OPPOSITE:
        return (name, *(opposite(part) if isinstance(part, tuple) else part for part in parts))
    marks = {LEVEL: 100.0, FRAC: 0.0}
    kinds = signature(condition)
    turned = [
        CONSTANTS[kind].check(marks[kind] - part, kind) if kind in marks else part
        for kind, part in zip(kinds, parts, strict=True)
    ]
    return (_OPPOSITE[name], *turned)


def perturb_votes(language: Language, votes: Structure, rng: np.random.Generator) -> Structure:
    """Change a constant (most often) or a branch of one vote, or add or drop one; the result differs."""
    changes: tuple[Callable[[Language, Structure, np.random.Generator], Structure], ...] = (
        _constant_moved,
        _constant_moved,
        _branch_redrawn,
        _branch_redrawn,
        _vote_added_or_dropped,
    )
    while True:
        changed = changes[int(rng.integers(len(changes)))](language, votes, rng)
        if changed != votes:
            return changed


def cross_votes(a: Structure, b: Structure, rng: np.random.Generator) -> tuple[Structure, Structure]:
    """Exchange branches of one type between a vote of each; whole groups where no exchange keeps the limits."""
    for _ in range(_ATTEMPTS):
        slot_a, slot_b = _slot(a, rng), _slot(b, rng)
        flat_a, flat_b = _flat(_vote(a, slot_a)), _flat(_vote(b, slot_b))
        shared = sorted({node.ret.__name__ for node in flat_a} & {node.ret.__name__ for node in flat_b})
        kind = shared[int(rng.integers(len(shared)))]
        cut_a, cut_b = (
            flat.searchSubtree(_picked([i for i, node in enumerate(flat) if node.ret.__name__ == kind], rng))
            for flat in (flat_a, flat_b)
        )
        flat_a[cut_a], flat_b[cut_b] = flat_b[cut_b], flat_a[cut_a]
        first, second = simplified(_nested(flat_a)), simplified(_nested(flat_b))
        if _is_sound(first) and _is_sound(second):
            return _replaced(a, slot_a, first), _replaced(b, slot_b, second)
    group = int(rng.integers(len(a)))
    return a[:group] + b[group : group + 1] + a[group + 1 :], b[:group] + a[group : group + 1] + b[group + 1 :]


def _is_sound(vote: Tree) -> bool:
    return depth(vote) <= DEEPEST and size(vote) <= MOST_NODES and reads_indicator(vote) and not is_dead(vote)


def _constant_moved(language: Language, votes: Structure, rng: np.random.Generator) -> Structure:
    slot = _slot(votes, rng)
    flat = _flat(_vote(votes, slot))
    places = [place for place, node in enumerate(flat) if is_constant(node.ret.__name__)]
    if not places:
        return votes
    place = _picked(places, rng)
    spec = language.constant(flat[place].ret.__name__)
    flat[place] = _leaf(spec.name, _on_grid(spec.name, spec.perturb(flat[place].value, rng)))
    return _if_sound(votes, slot, _nested(flat))


def _branch_redrawn(language: Language, votes: Structure, rng: np.random.Generator) -> Structure:
    slot = _slot(votes, rng)
    flat = _flat(_vote(votes, slot))
    place = _picked([place for place, node in enumerate(flat) if not is_constant(node.ret.__name__)], rng)
    if place == 0:
        return _replaced(votes, slot, draw_vote(language, rng))
    kind = flat[place].ret.__name__
    flat[flat.searchSubtree(place)] = _grown(language, kind, max(_BRANCH_LEVELS, _least_levels()[kind]), rng)
    return _if_sound(votes, slot, _nested(flat))


def _vote_added_or_dropped(language: Language, votes: Structure, rng: np.random.Generator) -> Structure:
    number = int(rng.integers(len(votes)))
    group: Any = votes[number]
    if len(group) < MOST_VOTES and (len(group) == 1 or rng.random() < 0.5):
        group = (*group, draw_vote(language, rng))
    else:
        dropped = int(rng.integers(len(group)))
        group = group[:dropped] + group[dropped + 1 :]
    return (*votes[:number], group, *votes[number + 1 :])


def _slot(votes: Any, rng: np.random.Generator) -> tuple[int, int]:
    slot: tuple[int, int] = _picked([(g, i) for g, group in enumerate(votes) for i in range(len(group))], rng)
    return slot


def _picked(options: list[Any], rng: np.random.Generator) -> Any:
    return options[int(rng.integers(len(options)))]


def _vote(votes: Any, slot: tuple[int, int]) -> Tree:
    vote: Tree = votes[slot[0]][slot[1]]
    return vote


def _replaced(votes: Any, slot: tuple[int, int], vote: Tree) -> Structure:
    group, place = slot
    changed = (*votes[group][:place], vote, *votes[group][place + 1 :])
    return (*votes[:group], changed, *votes[group + 1 :])


def _if_sound(votes: Structure, slot: tuple[int, int], vote: Tree) -> Structure:
    vote = simplified(vote)
    return _replaced(votes, slot, vote) if _is_sound(vote) else votes


# DEAP's side: types are classes there, overloads are primitives of their own, a tree is the list of its nodes.


@cache
def _types() -> dict[str, type]:
    kinds = {kind for primitive in PRIMITIVES.values() for kinds in primitive.signatures for kind in kinds}
    return {kind: type(kind, (), {}) for kind in sorted(kinds | {VOTE})}


@cache
def _primitive_set() -> Any:
    from deap import gp

    types = _types()
    primitives = gp.PrimitiveSetTyped("vote", [], types[VOTE])
    for primitive in PRIMITIVES.values():
        for kinds in primitive.signatures:
            if kinds:
                name = "/".join((primitive.name, *kinds))
                primitives.addPrimitive(primitive, [types[kind] for kind in kinds], types[primitive.returns], name)
            else:
                primitives.addTerminal(primitive, types[primitive.returns], primitive.name)
    return primitives


@cache
def _least_levels() -> dict[str, int]:
    # Edges that the flattest tree of each type has.
    least = dict.fromkeys(_types(), DEEPEST) | dict.fromkeys(CONSTANTS, 0) | {FAMILY: 0}
    for _ in range(DEEPEST):
        for primitive in PRIMITIVES.values():
            for kinds in primitive.signatures:
                levels = 1 + max(least[kind] for kind in kinds) if kinds else 0
                least[primitive.returns] = min(least[primitive.returns], levels)
    return least


def _leaf(kind: str, value: Any) -> Any:
    from deap import gp

    return gp.Terminal(value, False, _types()[kind])


def _on_grid(kind: str, value: Any) -> Any:
    if kind == PERIOD:
        return CONSTANTS[PERIOD].fitted(value)
    return round(value, _DIGITS[kind]) + 0.0 if kind in _DIGITS else value


def _grown(language: Language, kind: str, levels: int, rng: np.random.Generator) -> list[Any]:
    # The nodes of a random tree of at most `levels` edges; the choice among what fits is uniform.
    if is_constant(kind):
        return [_leaf(kind, _on_grid(kind, language.constant(kind).draw(rng)))]
    known, least, type_ = _primitive_set(), _least_levels(), _types()[kind]
    options = [node for node in known.primitives[type_] if max(least[k.__name__] for k in node.args) < levels]
    node = _picked(options + known.terminals[type_], rng)
    grown = [node]
    for argument in node.args if node.arity else ():
        grown += _grown(language, argument.__name__, levels - 1, rng)
    return grown


def _flat(tree: Tree) -> Any:
    from deap import gp

    return gp.PrimitiveTree(_nodes(tree))


def _nodes(tree: Tree) -> list[Any]:
    kinds = signature(tree)
    nodes = [_primitive_set().mapping["/".join((tree[0], *kinds))]]
    for kind, part in zip(kinds, tree[1:], strict=True):
        nodes += _nodes(part) if isinstance(part, tuple) else [_leaf(kind, part)]
    return nodes


def _nested(flat: list[Any]) -> Tree:
    rest = iter(flat)

    def node() -> Any:
        following = next(rest)
        if is_constant(following.ret.__name__):
            return following.value
        name = following.name.split("/")[0]
        return (name, *(node() for _ in range(following.arity)))

    tree: Tree = node()
    return tree
