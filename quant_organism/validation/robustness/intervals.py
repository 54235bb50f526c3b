"""Longer bars: an edge of the market, not of the clock, shows on bars of two and four hours as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from quant_organism.errors import InputError
from quant_organism.market import MS_PER_DAY, MS_PER_HOUR, Interval, Panel
from quant_organism.strategies import Genome, Member, get_family
from quant_organism.validation.robustness.subject import Shake, Subject, of_members, once
from quant_organism.validation.statistics.evidence import NotRun

BAR_FACTORS: Final = (2, 4)
"""Multiples of the bar that are looked at, as far as bars of such a length exist."""


@once
def longer_bars(subject: Subject, *, factors: Sequence[int] = BAR_FACTORS) -> Shake | NotRun:
    """Measure a strategy on longer bars, its periods divided so that they last as long as before.

    Members whose genes have no such value (a period out of bounds, a structure with periods of its own, a fitted
    model) are left out.
    """
    if (idle := subject.idle) is not None:
        return idle
    seen: dict[str, Any] = {}
    left_out: list[Member] = []
    for factor in factors:
        interval = _times(subject.panel.interval, factor)
        members = [(member, translated(member.genome, factor)) for member in subject.committee.members]
        kept = [replace(member, genome=genome) for member, genome in members if genome is not None]
        if interval is None or 2 * sum(member.weight for member in kept) < 1:
            continue
        if subject.panel.n_bars - subject.start < 2 * factor:  # not one whole bar for certain
            continue
        panel = coarser(subject.panel, interval)
        start = int(np.searchsorted(panel.times, subject.panel.times[subject.start]))
        evaluator = replace(subject.evaluator, memory_bytes=0)
        longer = Subject(of_members(kept), panel, start, subject.costs, evaluator)
        seen[interval.name] = longer.measured.metrics
        left_out += [member for member, genome in members if genome is None]
    if not seen:
        return NotRun("there are no longer bars, or too few of the genomes can be said in them")
    sharpe, drawdown = (np.array([found[name][0] for found in seen.values()]) for name in ("sharpe", "max_drawdown"))
    return Shake.seen(subject, [f"bars of {name}" for name in seen], sharpe, drawdown, left_out=left_out)


def translated(genome: Genome, factor: int) -> Genome | None:
    """Return a genome whose periods are the same time in bars that are longer by a factor, None if its genes forbid."""
    family = get_family(genome.family)
    if family.model_genes or any(spec.kind == "structure" for spec in family.genes):
        return None
    genes = dict(genome.genes)
    for spec in family.genes:
        if spec.unit == "bars":
            value = genes[spec.name]
            assert isinstance(value, int | float)
            genes[spec.name] = round(value / factor) if spec.kind == "int" else value / factor
    try:
        moved = Genome(genome.family, genes, genome.generation)
    except InputError:
        return None
    return moved if family.repair(dict(moved.genes)) == dict(moved.genes) else None


def coarser(panel: Panel, interval: Interval) -> Panel:
    """Return a panel of longer bars, each made of the valid ones inside it; an incomplete one at either end is dropped.

    Parameters
    ----------
    panel
        The market.
    interval
        A multiple of its own.
    """
    factor = interval.milliseconds // panel.interval.milliseconds
    first = int(-panel.times[0] % interval.milliseconds) // panel.interval.milliseconds
    count = (panel.n_bars - first) // factor
    if count < 1:
        raise InputError(f"{panel.n_bars} bars of {panel.interval} make no whole bar of {interval}")
    rows = slice(first, first + count * factor)
    shape = (count, factor, panel.n_assets)

    def blocks(name: str) -> Any:
        return getattr(panel, name)[rows].reshape(shape)

    valid = blocks("valid")
    any_valid = valid.any(axis=1)
    opening = np.argmax(valid, axis=1)[:, None]
    closing = (factor - 1 - np.argmax(valid[:, ::-1], axis=1))[:, None]
    volume = np.where(valid, blocks("volume"), 0.0).sum(axis=1)
    return Panel.from_arrays(
        symbols=panel.symbols,
        interval=interval,
        times=panel.times[rows][::factor],
        open=np.take_along_axis(blocks("open"), opening, axis=1)[:, 0],
        high=np.where(valid, blocks("high"), -np.inf).max(axis=1, initial=-np.inf),
        low=np.where(valid, blocks("low"), np.inf).min(axis=1, initial=np.inf),
        close=np.take_along_axis(blocks("close"), closing, axis=1)[:, 0],
        volume=volume,
        funding_rate=blocks("funding_rate")[:, -1],
        funding_paid=blocks("funding_paid").sum(axis=1),
        valid=any_valid,
        fear_greed=panel.fear_greed[rows].reshape(count, factor)[:, -1],
        market=panel.market,
    )


def _times(interval: Interval, factor: int) -> Interval | None:
    """Return the interval that is so many times as long, None if there is none."""
    milliseconds = factor * interval.milliseconds
    hours, days = milliseconds / MS_PER_HOUR, milliseconds / MS_PER_DAY
    name = f"{days:g}d" if days >= 1 else f"{hours:g}h" if hours >= 1 else f"{60 * hours:g}m"
    try:
        return Interval.parse(name)
    except InputError:
        return None
