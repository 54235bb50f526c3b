"""The gallery of families: what each is, and a market made by hand on which it shows what it does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from quant_organism.monitoring.plots import DPI, FAINT, INK, PALETTE, WIDTH_IN, style_axes
from quant_organism.strategies import default_genome, get_family
from quant_organism.strategies.common_genes import COMMON_GENES
from quant_organism.strategies.genes import GeneSpec
from quant_organism.strategies.signals import signal

Floats = NDArray[np.float64]

_LONG, _SHORT = PALETTE[0], PALETTE[1]
_SHOWN_BARS: Final = 360
_STRETCH: Final = 60
"""Bars for which the market keeps its character."""

_SEEDS: Final = 40


@dataclass(frozen=True, eq=False)
class Showcase:
    """A family's reference genome on a market that makes it trade.

    Parameters
    ----------
    family
        Its name.
    close
        Closes, shape (n,).
    target
        Position decided at each close, in [-1, 1], shape (n,).
    warmup
        First bar on which it may hold anything.
    """

    family: str
    close: Floats
    target: Floats
    warmup: int


def family_record(name: str) -> dict[str, Any]:
    """Return what there is to say about a family, as plain values.

    Raises
    ------
    InputError
        If there is no such family.
    """
    family = get_family(name)
    return {
        "family": name,
        "type": family.seed_type,
        "evolves": family.evolves,
        "columns": list(family.columns),
        "output": "conviction" if family.conviction else "state",
        "warmup_bars": family.warmup(default_genome(name).genes),
        "logic": (type(family).__doc__ or "").strip().splitlines()[0],
        "genes": [_gene_record(spec) for spec in family.own_genes],
        "common_genes": [_gene_record(spec) for spec in COMMON_GENES],
    }


def showcase(name: str) -> Showcase:
    """Return the first of a few seeded markets on which a family's reference genome holds both sides, or else one.

    Raises
    ------
    InputError
        If there is no such family.
    """
    genome, family = default_genome(name), get_family(name)
    warmup = family.warmup(genome.genes)
    shown: Showcase | None = None
    for seed in range(_SEEDS):
        columns = changing_market(seed, warmup + _SHOWN_BARS)
        made = Showcase(name, columns["close"], signal(genome, columns), warmup)
        if {-1.0, 1.0} <= set(np.sign(made.target)):
            return made
        if shown is None or (not shown.target.any() and made.target.any()):
            shown = made
    assert shown is not None
    return shown


def changing_market(seed: int, bars: int) -> Mapping[str, Floats]:
    """Return the columns of hourly bars that trend, swing, rest and break out by turns, each of shape (bars,)."""
    rng = np.random.default_rng(seed)
    stretches = bars // _STRETCH + 1
    drift = np.repeat(rng.choice([-0.003, 0.0, 0.0, 0.003], stretches), _STRETCH)[:bars]
    noise = np.repeat(rng.choice([0.002, 0.006, 0.012], stretches), _STRETCH)[:bars]
    jump = np.zeros(bars)
    jump[::_STRETCH] = rng.choice([-0.04, 0.0, 0.04], stretches)[: jump[::_STRETCH].size]
    close = 100.0 * np.exp(np.cumsum(drift + jump + noise * rng.standard_normal(bars)))
    opens = np.concatenate([[100.0], close[:-1]])
    wicks = 1.0 + 0.3 * noise * np.abs(rng.standard_normal((2, bars)))
    return {
        "open": opens,
        "high": np.maximum(opens, close) * wicks[0],
        "low": np.minimum(opens, close) / wicks[1],
        "close": close,
        "volume": 100.0 * np.exp(0.3 * rng.standard_normal(bars)) * (1.0 + 60.0 * np.abs(drift + jump)),
        "funding_rate": 1e-4 * np.sin(2.0 * np.pi * (np.arange(bars) + 20.0 * seed) / 75.0),
    }


def showcase_figure(shown: Showcase) -> Figure:
    """Draw the closes with the held positions behind them, and the target beneath; the warm-up is left out but its end.

    Long is blue and points up, short is vermilion and points down.
    """
    figure = Figure(figsize=(WIDTH_IN, 4.6), dpi=DPI, layout="constrained")
    price, position = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    first = max(0, shown.warmup - _STRETCH // 3)
    bars = np.arange(first, shown.close.size)
    close, target = shown.close[first:], shown.target[first:]
    for axes in (price, position):
        style_axes(axes)
        if shown.warmup > first:
            axes.axvline(shown.warmup, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
    price.plot(bars, close, color=INK, linewidth=1.2, zorder=3, label="close")
    for sign, colour, marker, word in ((1.0, _LONG, "^", "long"), (-1.0, _SHORT, "v", "short")):
        held = np.sign(target) == sign
        _shade(price, bars, held, colour)
        entries = held & ~np.concatenate([[False], held[:-1]])
        label = f"{word} ({int(entries.sum())} entries)" if entries.sum() != 1 else f"{word} (1 entry)"
        price.scatter(bars[entries], close[entries], s=42, color=colour, marker=marker, zorder=4, label=label)
        position.fill_between(bars, np.where(held, target, 0.0), step="post", color=colour, alpha=0.6, linewidth=0)
    position.plot(bars, target, color=INK, linewidth=0.9, drawstyle="steps-post")
    price.set_ylabel("price", color=INK, fontsize=10)
    position.set_ylabel("target", color=INK, fontsize=10)
    position.set_ylim(-1.15, 1.15)
    position.set_xlabel(f"bar (hours); {shown.family} may trade from bar {shown.warmup} on", color=INK, fontsize=10)
    position.set_xlim(bars[0], bars[-1])
    figure.align_ylabels()
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def _shade(axes: Axes, bars: NDArray[np.int64], held: NDArray[np.bool_], colour: str) -> None:
    edges = np.flatnonzero(np.diff(held.astype(np.int8), prepend=0, append=0))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        axes.axvspan(bars[start], bars[end - 1] + 1, color=colour, alpha=0.18, linewidth=0, zorder=0)


def _gene_record(spec: GeneSpec) -> dict[str, Any]:
    return {
        "gene": spec.name,
        "kind": spec.kind,
        "default": spec.default if spec.grammar is None else spec.grammar.describe(spec.default),  # type: ignore[arg-type]
        "allowed": spec.bounds,
        "unit": spec.unit,
        "what it does": spec.description,
    }
