"""From a line of a workflow to what trades: templates, sizers, points of a grid, and several strategies made one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from quant_organism.errors import InputError
from quant_organism.strategies import (
    COMMON_GENES,
    Committee,
    Genome,
    Member,
    configurable_families,
    default_genome,
    get_family,
)
from quant_organism.strategies.conditions.configured import PLAIN_TYPES
from quant_organism.strategies.families.composite.rule import Composite
from quant_organism.strategies.handwritten import configured, load_conditions
from quant_organism.strategies.handwritten.load import conditions_genome
from quant_organism.workflows.spec import AggregationSpec, SizerSpec, StrategyEntry, nearest

MOST_POINTS: Final = 100_000
"""Points of a grid beyond which it is refused."""

STORED: Final = "stored"

_CONDITIONS: Final = "conditions"
_COMMON: Final = {spec.name: spec for spec in COMMON_GENES}
_SIZE: Final = _COMMON["position_size"]
_PLAIN: Final[Mapping[str, tuple[str, ...]]] = {
    "momentum": ("lookback", "threshold", "rsi_period"),
    "mean_reversion": ("lookback", "threshold", "rsi_period"),
    "moving_average_crossover": ("fast_period", "slow_period", "rsi_period"),
    "momentum_crossover": ("fast_period", "slow_period", "rsi_period"),
}
_FEWEST_VOTERS, _MOST_VOTERS, _GROUPS = 3, 9, 3

StoredStrategy = Callable[[str], Committee]
"""Returns a stored strategy by its identity; an `InputError` where there is none."""


@dataclass(frozen=True)
class Template:
    """A strategy whose parameters may still be chosen.

    Parameters
    ----------
    name, type
        As the workflow calls it.
    known
        Parameters that it has.
    build
        Makes it of parameters.
    parameters
        Those that the workflow states.
    """

    name: str
    type: str
    known: tuple[str, ...]
    build: Callable[[Mapping[str, Any]], Committee]
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TradedPoint:
    """One strategy with all that was chosen for it.

    Parameters
    ----------
    name
        The template, or the names that were made one.
    parameters
        What was chosen, by parameter; by `<template>.<parameter>` where several were made one.
    sizer
        Name of its sizer; empty without.
    committee
        What trades.
    note
        What a reader has to know, such as a size that was capped.
    """

    name: str
    parameters: Mapping[str, Any]
    sizer: str
    committee: Committee
    note: str = ""


def template_of(entry: StrategyEntry, where: str, folder: Path, stored: StoredStrategy) -> Template:
    """Return the template of a line.

    Parameters
    ----------
    entry, where
        The line, and its path in the workflow.
    folder
        That paths of documents begin in.
    stored
        Finds stored strategies.

    Raises
    ------
    InputError
        The type, a parameter or a value is not known; the message names the path and the nearest name.
    """
    types = (*configurable_families(), *PLAIN_TYPES, _CONDITIONS, STORED)
    for key, kind in (("document", _CONDITIONS), ("id", STORED)):
        if getattr(entry, key) is not None and entry.type != kind:
            raise InputError(
                f"{key} belongs to type {kind}, not to {entry.type}", where=f"{where}.{key}", remedy="leave it out"
            )
    if entry.type == STORED:
        if entry.id is None:
            raise InputError("a stored strategy has an id", where=where, remedy="see: quant-organism strategies list")
        committee = stored(entry.id)
        template = Template(entry.name, STORED, (), lambda chosen: committee)
    elif entry.type == _CONDITIONS:
        genome = _document(entry, where, folder)
        known = tuple(_COMMON)
        template = Template(entry.name, _CONDITIONS, known, partial(_changed, genome), dict(entry.parameters))
    elif entry.type in PLAIN_TYPES:
        known = (*_PLAIN[entry.type], *_COMMON)
        template = Template(entry.name, entry.type, known, partial(_plain, entry.type), dict(entry.parameters))
    elif entry.type in configurable_families():
        known = tuple(spec.name for spec in get_family(entry.type).genes)
        build = partial(_changed, default_genome(entry.type))
        template = Template(entry.name, entry.type, known, build, dict(entry.parameters))
    else:
        raise InputError(f"no strategy type {entry.type!r}", where=f"{where}.type", remedy=nearest(entry.type, types))
    for name in entry.parameters:
        check_parameter(template, name, f"{where}.parameters")
    _built(template, template.parameters, f"{where}.parameters")
    return template


def check_parameter(template: Template, name: str, where: str) -> None:
    """Refuse a parameter that a template does not have."""
    if name not in template.known:
        raise InputError(
            f"{template.type} has no parameter {name!r}",
            where=f"{where}.{name}",
            remedy=nearest(name, template.known, f"parameters of {template.type}"),
        )


def axes_of(template: Template, parameters: Mapping[str, Any], where: str, *, ranges: bool) -> dict[str, Any]:
    """Return a template's own axes of a grid, each a list of values or, for random points, a pair (low, high).

    Parameters
    ----------
    template, parameters
        The template, and the grid of the whole phase by `<template>.<parameter>`.
    where
        Path of the grid.
    ranges
        Whether `{low, high}` may stand for a list.

    Raises
    ------
    InputError
        A parameter is not known, there is no value, a value stands twice, or one is out of bounds.
    """
    axes: dict[str, Any] = {}
    for key, values in parameters.items():
        owner, _, name = key.partition(".")
        if owner != template.name:
            continue
        check_parameter(template, name, where)
        place = f"{where}.{key}"
        if ranges and isinstance(values, Mapping):
            axes[name] = _range(template, name, values, place)
            continue
        if not isinstance(values, list) or not values:
            kinds = "a list of values or {low, high}" if ranges else "a list of values"
            raise InputError(f"expected {kinds}, found {values!r:.60}", where=place, remedy=f"write it as {key}: [..]")
        if any(values.count(value) > 1 for value in values):
            raise InputError("a value stands twice", where=place, remedy="leave one of them out")
        for value in values:
            _built(template, {**template.parameters, name: value}, place)
        axes[name] = values
    return axes


def check_sized(strategy: str, family: str, where: str | None = None) -> None:
    """Refuse sizes of a strategy whose family has none.

    Raises
    ------
    InputError
        The family ranks the assets of a panel: its book has the size that its weights add up to.
    """
    if get_family(family).ranks:
        raise InputError(
            f"{strategy} ranks assets ({family}), and its book is of one size",
            where=where,
            remedy="leave the sizers out for it",
        )


def count_points(axes: Iterable[Mapping[str, Any]], sizers: int, *, together: bool) -> int:
    """Count the points of a grid: of strategies side by side their sum, of those that are made one their product."""
    each = [math.prod(len(values) for values in own.values()) for own in axes]
    return (math.prod(each) if together else sum(each)) * max(1, sizers)


def grid_points(
    templates: Sequence[Template],
    axes: Mapping[str, Mapping[str, Sequence[Any]]],
    sizers: Sequence[SizerSpec],
    aggregate: AggregationSpec | None,
    equity_usd: float,
) -> Iterator[TradedPoint]:
    """Yield every point of a grid, the last axis fastest.

    Parameters
    ----------
    templates, axes
        The strategies, and by name their axes.
    sizers
        Each point is traded with each of them.
    aggregate
        How the strategies are made one; None: each by itself.
    equity_usd
        What a size in USD is a share of.
    """
    each = [list(_own_points(template, axes.get(template.name, {}))) for template in templates]
    points = (joined(group, aggregate) for group in itertools.product(*each)) if aggregate else itertools.chain(*each)
    for point in points:
        yield from sized(point, sizers, equity_usd)


def random_points(
    templates: Sequence[Template],
    axes: Mapping[str, Mapping[str, Any]],
    sizers: Sequence[SizerSpec],
    aggregate: AggregationSpec | None,
    equity_usd: float,
    *,
    draws: int,
    rng: np.random.Generator,
) -> Iterator[TradedPoint]:
    """Yield points drawn at random, strategies in turn; arguments as in `grid_points`.

    A template without any axis has all numbers and choices of its own genes drawn between their bounds.
    """
    for number in range(draws):
        chosen = templates if aggregate else [templates[number % len(templates)]]
        drawn = [_drawn(template, axes.get(template.name, {}), rng) for template in chosen]
        point = joined(drawn, aggregate) if aggregate else drawn[0]
        own = [sizers[int(rng.integers(len(sizers)))]] if sizers else []
        yield from sized(point, own, equity_usd)


def sized(point: TradedPoint, sizers: Sequence[SizerSpec], equity_usd: float) -> Iterator[TradedPoint]:
    """Yield a point with each sizer; as it is without any. A size beyond the gene's bounds is capped, and noted.

    Raises
    ------
    InputError
        A strategy that ranks the assets of a panel is to be sized.
    """
    if not sizers:
        yield point
    else:
        for genome in point.committee.genomes:
            check_sized(point.name, genome.family)
    for sizer in sizers:
        asked = (sizer.percentage or 0.0) / 100.0 if sizer.type == "percentage" else (sizer.size or 0.0) / equity_usd
        share = min(max(asked, _SIZE.low), _SIZE.high)
        note = "" if share == asked else f"sizer {sizer.name} asks for {asked:.1%} of equity, capped at {share:.1%}"
        members = point.committee.members
        genomes = [member.genome.changed({_SIZE.name: share}) for member in members]
        committee = Committee.of(genomes, [m.weight for m in members], [m.assets for m in members])
        yield TradedPoint(
            point.name, point.parameters, sizer.name, committee, "; ".join(filter(None, [point.note, note]))
        )


def joined(points: Sequence[TradedPoint], how: AggregationSpec | None) -> TradedPoint:
    """Return several strategies as one: a committee by equal or stated weights, or the majority of their votes.

    Raises
    ------
    InputError
        Fewer than three or more than nine vote, or one that is no plain rule at its reference values.
    """
    if how is None or len(points) == 1:
        return points[0]
    name = "+".join(dict.fromkeys(point.name for point in points))
    parameters = {f"{point.name}.{key}": value for point in points for key, value in point.parameters.items()}
    sizer = "+".join(dict.fromkeys(filter(None, (point.sizer for point in points))))
    if how.method == "vote":
        return TradedPoint(name, parameters, sizer, _majority(points))
    weights = [how.weights[point.name] if how.weights else 1.0 for point in points]
    members = [
        (member.genome, weight * member.weight, member.assets)
        for point, weight in zip(points, weights, strict=True)
        for member in point.committee.members
    ]
    merged: dict[tuple[str, tuple[str, ...]], tuple[Genome, float, tuple[str, ...]]] = {}
    for genome, weight, assets in members:
        before = merged.get((genome.hash, assets))
        merged[genome.hash, assets] = (genome, weight + (before[1] if before else 0.0), assets)
    genomes, raw, assets_of = zip(*merged.values(), strict=True)
    return TradedPoint(name, parameters, sizer, Committee.of(genomes, raw, assets_of))


def check_voters(templates: Sequence[Template], where: str) -> None:
    """Refuse strategies that cannot vote."""
    if not _FEWEST_VOTERS <= len(templates) <= _MOST_VOTERS:
        raise InputError(
            f"{len(templates)} strategies vote, expected {_FEWEST_VOTERS} to {_MOST_VOTERS}",
            where=where,
            remedy="name more or fewer, or use method mean",
        )
    voters = _composite().language.voters
    for template in templates:
        if template.type not in voters or template.parameters:
            raise InputError(
                f"{template.name} cannot vote: a vote is the sign of a plain family at its reference values",
                where=where,
                remedy=f"name one of {', '.join(voters)} without parameters, or use method mean",
            )


def _composite() -> Composite:
    family = get_family(Composite.name)
    assert isinstance(family, Composite)
    return family


def _majority(points: Sequence[TradedPoint]) -> Committee:
    votes: list[list[tuple[str, str]]] = [[] for _ in range(_GROUPS)]
    for place, point in enumerate(points):
        votes[place % _GROUPS].append(("family", point.committee.genomes[0].family))
    reference = default_genome(Composite.name).genes
    genes = {
        **reference,
        **{name: value for name, value in points[0].committee.genomes[0].genes.items() if name in _COMMON},
        "votes": tuple(tuple(group) for group in votes),
        **{f"signal_{group}_weight": 0.0 for group in ("momentum", "reversion", "breakout")},
        "signal_confluence_weight": 1.0,
        "minimum_signals": len(points) // 2 + 1,
        "entry_score": 0.1,
    }
    return Committee.of([Genome(Composite.name, genes)])


def _document(entry: StrategyEntry, where: str, folder: Path) -> Genome:
    try:
        if isinstance(entry.document, str):
            return load_conditions(folder / entry.document)
        if isinstance(entry.document, Mapping):
            return conditions_genome(entry.document)
    except InputError as error:
        raise InputError(error.what, where=f"{where}.document: {error.where}", remedy=error.remedy) from None
    raise InputError(
        "a strategy of type conditions has a document", where=where, remedy="give its path, or write it in place"
    )


def _changed(genome: Genome, parameters: Mapping[str, Any]) -> Committee:
    return Committee((Member(1.0, genome.changed(parameters)),))


def _plain(kind: str, parameters: Mapping[str, Any]) -> Committee:
    own = {name: value for name, value in parameters.items() if name not in _COMMON}
    common = {name: value for name, value in parameters.items() if name in _COMMON}
    genome = configured(kind, own)
    return _changed(genome, common) if common else Committee.of([genome])


def _built(template: Template, parameters: Mapping[str, Any], where: str) -> Committee:
    try:
        return template.build(parameters)
    except InputError as error:
        raise InputError(error.what, where=where, remedy=error.remedy) from None


def _own_points(template: Template, axes: Mapping[str, Sequence[Any]]) -> Iterator[TradedPoint]:
    for values in itertools.product(*axes.values()):
        parameters = {**template.parameters, **dict(zip(axes, values, strict=True))}
        yield TradedPoint(template.name, parameters, "", template.build(parameters))


def _range(template: Template, name: str, values: Mapping[str, Any], where: str) -> tuple[Any, Any]:
    if set(values) != {"low", "high"} or not all(isinstance(value, int | float) for value in values.values()):
        raise InputError("a range has low and high", where=where, remedy="write it as {low: 10, high: 50}")
    low, high = values["low"], values["high"]
    if not low < high:
        raise InputError(f"low {low:g} is not below high {high:g}", where=where, remedy="exchange them")
    for value in (low, high):
        _built(template, {**template.parameters, name: value}, where)
    return low, high


def _drawn(template: Template, axes: Mapping[str, Any], rng: np.random.Generator) -> TradedPoint:
    parameters = dict(template.parameters)
    for name, values in axes.items():
        if isinstance(values, tuple):
            low, high = values
            whole = isinstance(low, int) and isinstance(high, int)
            parameters[name] = int(rng.integers(low, high + 1)) if whole else float(rng.uniform(low, high))
        else:
            parameters[name] = values[int(rng.integers(len(values)))]
    if not axes and template.type in configurable_families():
        family = get_family(template.type)
        drawn = {spec.name: spec.draw(rng) for spec in family.own_genes if spec.grammar is None}
        whole_genes = family.repair({**default_genome(template.type).genes, **parameters, **drawn})
        parameters |= {name: whole_genes[name] for name in drawn}
    return TradedPoint(template.name, parameters, "", template.build(parameters))
