"""The pictures of a search: how far it came, which families held its seats, and who descends from whom."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any, Final

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from quant_organism.monitoring.content import GenerationRow, LineageRow
from quant_organism.monitoring.lineage import family_order
from quant_organism.monitoring.plots import DPI, FAINT, INK, PALETTE, WIDTH_IN, dress

_MADE_BY: Final = {
    "founder": ("o", "drawn at random, founding or restart"),
    "favoured": ("s", "drawn at random, of a family favoured by the first founders"),
    "immigrant": ("o", "drawn at random, immigrant"),
    "archive": ("*", "archive of the cycle before"),
    "crossover": ("D", "crossover"),
    "mutation": ("^", "mutation"),
}
"""Marker and words for what made a genome; an immigrant's marker is hollow."""

_SHADES: Final = LinearSegmentedColormap.from_list("shares", ["#FFFFFF", "#56B4E9", "#0072B2", "#00344F"])
_DARK_ENOUGH: Final = 0.45
"""Part of the scale from which on white letters are easier to read than black ones."""


def progress_figure(search: Sequence[GenerationRow]) -> Figure:
    """Draw the hypervolume and, beneath, the best and median Sharpe ratio of the populations over the generations.

    Parameters
    ----------
    search
        At least one generation.
    """
    figure = Figure(figsize=(WIDTH_IN, 4.2), dpi=DPI, layout="constrained")
    volume, sharpe = figure.subplots(2, 1, sharex=True)
    generations = [row.generation for row in search]
    volume.plot(generations, [row.hypervolume for row in search], "o-", color=PALETTE[0], linewidth=1.8, markersize=4)
    volume.set_ylabel("hypervolume", color=INK, fontsize=10)
    sharpe.plot(
        generations, [row.best_sharpe for row in search], "s-", color=INK, linewidth=1.8, markersize=4, label="best"
    )
    sharpe.plot(
        generations,
        [row.median_sharpe for row in search],
        "^--",
        color=PALETTE[1],
        linewidth=1.4,
        markersize=4,
        label="median",
    )
    sharpe.axhline(0.0, color=FAINT, linewidth=0.8, zorder=1)
    sharpe.set_ylabel("Sharpe ratio,\nin-sample", color=INK, fontsize=10)
    sharpe.set_xlabel("generation", color=INK, fontsize=10)
    sharpe.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))
    sharpe.legend(loc="best", frameon=False, fontsize=9, ncols=2)
    for axes in (volume, sharpe):
        dress(axes)
    figure.align_ylabels()
    return figure


def families_figure(generations: Sequence[int], shares: Mapping[str, Sequence[float]]) -> Figure:
    """Draw the share of each family in the seats over the generations, the largest at the end on top.

    Parameters
    ----------
    generations
        Their numbers, in order.
    shares
        Of each family, one share in [0, 1] for each generation; at least one family.
    """
    names = sorted(shares, key=lambda name: (-shares[name][-1], name))
    values = np.array([shares[name] for name in names])
    figure = Figure(figsize=(WIDTH_IN, 1.1 + 0.24 * len(names)), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    top = max(float(values.max()), 0.01)
    axes.imshow(values, aspect="auto", cmap=_SHADES, vmin=0.0, vmax=top, interpolation="nearest")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("generation", color=INK, fontsize=10)
    step = max(1, -(-len(generations) // 12))
    axes.set_xticks(range(0, len(generations), step), [str(number) for number in generations[::step]])
    ends = (0, len(generations) - 1) if len(generations) > 1 else (0,)
    for row, column in ((row, column) for row in range(len(names)) for column in ends):
        share = values[row, column]
        axes.text(
            column,
            row,
            f"{100 * share:.0f}",
            color="white" if share / top > _DARK_ENOUGH else INK,
            horizontalalignment="center",
            verticalalignment="center",
            fontsize=8,
        )
    axes.tick_params(colors=FAINT, labelcolor=INK, labelsize=9, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_yticks(np.arange(0.5, len(names) - 1), minor=True)
    axes.grid(which="minor", axis="y", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    return figure


def genealogy_figure(rows: Sequence[LineageRow]) -> Figure:
    """Draw the mothers' lines of all genomes that were put forward, over the generations, families side by side.

    Whoever was put forward stands on a line of its own and is filled; ancestors are small. A line joins a mother and
    her daughter. What made a genome is told by its marker.

    Parameters
    ----------
    rows
        As `lineage.genealogy` returns them; at least one was put forward.
    """
    chosen = family_order(rows)
    by_trial = {row.trial: row for row in rows}
    height = {row.trial: float(place) for place, row in enumerate(chosen)}
    # From the youngest to the eldest: each mother stands in the middle of her daughters.
    for row in sorted(rows, key=lambda row: -row.trial):
        if row.trial not in height:
            height[row.trial] = float(np.mean([height[other.trial] for other in rows if other.mother == row.trial]))
    figure = Figure(figsize=(WIDTH_IN, 1.5 + 0.19 * len(chosen)), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    dress(axes)
    families = list(dict.fromkeys(row.family for row in chosen))
    colours = {family: PALETTE[place % len(PALETTE)] for place, family in enumerate(families)}
    for row in rows:
        colour = colours[row.family]
        if row.mother is not None:
            mother = by_trial[row.mother]
            bend = [mother.generation, mother.generation, row.generation]
            levels = [height[mother.trial], height[row.trial], height[row.trial]]
            axes.plot(bend, levels, color=colour, linewidth=1.0, alpha=0.7, zorder=2)
        marker, _ = _MADE_BY[row.operator]
        axes.scatter(
            row.generation,
            height[row.trial],
            s=(70 if marker == "*" else 34) * (1.0 if row.put_forward_in else 0.45),
            marker=marker,
            facecolors="white" if row.operator == "immigrant" else colour,
            edgecolors=INK if row.put_forward_in else colour,
            linewidths=0.9,
            zorder=3,
        )
    last = max(row.generation for row in rows)
    for family in families:
        own = [height[row.trial] for row in chosen if row.family == family]
        axes.text(
            last + 0.03 * max(last, 1),
            float(np.mean(own)),
            f" {family} ({len(own)})",
            color=colours[family],
            fontsize=9,
            fontweight="bold",
            verticalalignment="center",
        )
        if min(own) > 0:
            axes.axhline(min(own) - 0.5, color=FAINT, linewidth=0.5, linestyle=(0, (2, 2)), zorder=1)
    axes.set_ylim(len(chosen) - 0.4, -0.6)
    axes.set_xlim(-0.04 * max(last, 1), last + 0.34 * max(last, 1))
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_xticks([tick for tick in MaxNLocator(nbins=10, integer=True).tick_values(0, last) if 0 <= tick <= last])
    axes.set_xlabel("generation in which it was measured", color=INK, fontsize=10)
    seen = {row.operator for row in rows}
    handles = [
        Line2D(
            [], [], marker=marker, linestyle="", markersize=9 if marker == "*" else 6, color=INK, label=words,
            markerfacecolor="white" if operator == "immigrant" else INK,
        )
        for operator, (marker, words) in _MADE_BY.items()
        if operator in seen
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def regions_figure(patterns: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the effect of each pattern where it was found and, beneath, on other days, with 95 % intervals.

    Parameters
    ----------
    patterns
        At least one, by `MinedPatternTable`, and `region` in words.
    """
    figure = Figure(figsize=(WIDTH_IN, 1.2 + 0.6 * len(patterns)), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    dress(axes)
    for place, one in enumerate(patterns):
        for part, offset, colour, marker in (("found", -0.13, PALETTE[6], "o"), ("again", 0.13, PALETTE[0], "D")):
            effect, low, high = (one[f"{part}_{name}"] for name in ("effect", "low", "high"))
            if effect is not None:
                axes.plot([low, high], [place + offset] * 2, color=colour, linewidth=1.6)
                axes.plot([effect], [place + offset], marker, color=colour, markersize=6)
    axes.set_yticks(range(len(patterns)), [fill(f"{one['region']} ({one['status']})", 46) for one in patterns])
    axes.set_ylim(len(patterns) - 0.5, -0.5)
    axes.axvline(0.0, color=FAINT, linewidth=0.8, zorder=1)
    axes.set_xlabel("Sharpe ratio a year, inside less beside", color=INK, fontsize=10)
    handles = [
        Line2D([], [], color=PALETTE[6], marker="o", label="where it was found"),
        Line2D([], [], color=PALETTE[0], marker="D", label="on other days"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure
