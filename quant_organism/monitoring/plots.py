"""The pictures of a report, drawn without global state: readable at 800 pixels, safe for the colour-blind."""

import io
from collections.abc import Sequence
from textwrap import wrap
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from quant_organism.monitoring.content import Curve, PopulationPoint, ReportedSpan
from quant_organism.monitoring.gallery import RankedShowcase, Showcase

PALETTE: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7A7A7A")
"""Okabe and Ito's colours without yellow, which vanishes on white."""

_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
_DASHES: Final = ("-", "--", "-.", ":")
INK, FAINT, _GRID = "#1F2933", "#616E7C", "#E4E7EB"
_UNSEEN = "#EAF2FA"
WIDTH_IN, DPI = 8.0, 160
_NARROWEST_LABELLED = 0.06
_TITLE_CHARACTERS: Final = 104
_LEAD_IN: Final = 20
"""Bars of the warm-up that are shown."""


def png(figure: Figure) -> bytes:
    """Return a figure as PNG, 1280 pixels wide; equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def equity_figure(days: Sequence[str], curves: Sequence[Curve], spans: Sequence[ReportedSpan]) -> Figure:
    """Draw equity curves with their drawdowns beneath, unseen spans shaded and all spans labelled.

    Parameters
    ----------
    days
        ``YYYY-MM-DD``, one per value of each curve.
    curves
        At least one; highlighted ones are drawn thick, on top, and with their drawdown filled.
    spans
        In time order.
    """
    figure = Figure(figsize=(WIDTH_IN, 5.0 + 0.11 * len(curves)), dpi=DPI, layout="constrained")
    equity, drawdown = figure.subplots(2, 1, sharex=True, height_ratios=(5, 2))
    days, holes = _with_holes(days)
    times = _numbers(days)
    order = sorted(range(len(curves)), key=lambda i: curves[i].highlighted)
    highlighted = [i for i in range(len(curves)) if curves[i].highlighted]
    plain = [i for i in range(len(curves)) if not curves[i].highlighted]
    for i in order:
        curve = curves[i]
        values = np.insert(np.asarray(curve.values, dtype=np.float64), holes, np.nan)
        below = values / np.fmax.accumulate(np.fmax(values, 1.0)) - 1.0
        rank = (highlighted if curve.highlighted else plain).index(i)
        colours = (INK, *PALETTE) if curve.highlighted else PALETTE[len(highlighted) :] or PALETTE
        colour = colours[rank % len(colours)]
        style = _DASHES[rank // len(colours) % len(_DASHES)]
        width = 2.2 if curve.highlighted else 1.2
        equity.plot(times, values, color=colour, linewidth=width, linestyle=style, label=curve.id)
        drawdown.plot(times, below, color=colour, linewidth=0.5 * width, alpha=0.9 if curve.highlighted else 0.5)
        if curve.highlighted:
            drawdown.fill_between(times, below, 0.0, color=colour, alpha=0.2, linewidth=0)
    for axes in (equity, drawdown):
        dress(axes)
        axes.axhline(1.0 if axes is equity else 0.0, color=FAINT, linewidth=0.8, zorder=1)
        for span in spans:
            first, last = _numbers([span.start, span.end])
            if span.unseen:
                axes.axvspan(first, last + 1, color=_UNSEEN, zorder=0, linewidth=0)
            axes.axvline(first, color=FAINT, linewidth=0.6, linestyle=(0, (2, 2)), zorder=1)
    _label_spans(equity, spans, times)
    equity.set_ylabel("equity (start = 1)", color=INK, fontsize=10)
    drawdown.set_ylabel("drawdown", color=INK, fontsize=10)
    drawdown.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None, symbol=" %"))
    locator = AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    drawdown.xaxis.set_major_locator(locator)
    drawdown.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    drawdown.set_xlim(times[0], times[-1] + 1)
    figure.align_ylabels()
    handles, labels = equity.get_legend_handles_labels()
    by_name = dict(zip(labels, handles, strict=True))
    ordered = [curve.id for curve in sorted(curves, key=lambda curve: not curve.highlighted)]
    figure.legend(
        [by_name[name] for name in ordered], ordered, loc="outside lower center", ncols=2, frameon=False, fontsize=9
    )
    return figure


def pareto_figure(points: Sequence[PopulationPoint]) -> Figure:
    """Draw Sharpe ratio against maximum drawdown of a population, coloured by family, the front marked.

    A ring marks genomes that no other dominates in all objectives; the line joins the best Sharpe ratio that was
    found at each drawdown. The worst two in a hundred may lie outside the picture, which then says so.

    Parameters
    ----------
    points
        At least one; those with undefined numbers are left out.
    """
    figure = Figure(figsize=(WIDTH_IN, 5.0), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    dress(axes)
    shown = [point for point in points if np.isfinite([point.sharpe, point.max_drawdown]).all()]
    sharpe = np.array([point.sharpe for point in shown])
    drawdown = np.array([point.max_drawdown for point in shown])
    families = np.array([point.family for point in shown])
    on_front = np.array([point.on_front for point in shown], dtype=bool)
    for rank, family in enumerate(sorted(set(families.tolist()))):
        own = families == family
        colour = PALETTE[rank % len(PALETTE)]
        marker = _MARKERS[(rank + rank // len(PALETTE)) % len(_MARKERS)]
        x, y, front = drawdown[own], sharpe[own], on_front[own]
        axes.scatter(x[~front], y[~front], s=16, color=colour, marker=marker, alpha=0.35, linewidths=0, zorder=2)
        axes.scatter(x[front], y[front], s=42, color=colour, marker=marker, edgecolors=INK, linewidths=0.9, zorder=4)
        axes.scatter([], [], s=42, color=colour, marker=marker, linewidths=0, label=f"{family} ({len(x)})")
    axes.scatter([], [], s=42, facecolors="none", edgecolors=INK, linewidths=0.9, label="not dominated")
    if shown:
        steps = _best_so_far(drawdown, sharpe)
        x, y = np.append(drawdown[steps], drawdown.max()), np.append(sharpe[steps], sharpe.max())
        axes.plot(x, y, color=INK, linewidth=1.1, drawstyle="steps-post", zorder=3, label="best up to each drawdown")
        _look_at_most(axes, drawdown, sharpe)
    axes.axhline(0.0, color=FAINT, linewidth=0.8, zorder=1)
    axes.set_xlabel("maximum drawdown, in-sample", color=INK, fontsize=10)
    axes.set_ylabel("annual net Sharpe ratio, in-sample", color=INK, fontsize=10)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=None, symbol=" %"))
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def showcase_figure(shown: Showcase | RankedShowcase) -> Figure:
    """Draw what a family holds on a made market: of one asset, or of all that it ranks."""
    return _ranked_figure(shown) if isinstance(shown, RankedShowcase) else _target_figure(shown)


def _showcase_title(shown: Showcase | RankedShowcase, what: str) -> list[str]:
    genes = "; ".join(shown.genes).replace("\n", "; ").replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}")
    return [f"{shown.family}, default genes, on a made market; {what}", *wrap(genes, _TITLE_CHARACTERS)]


def _ranked_figure(shown: RankedShowcase) -> Figure:
    """Draw the closes of all assets since the warm-up, and beneath what is wanted of each, stacked by side."""
    title = _showcase_title(shown, "weights wanted")
    figure = Figure(figsize=(WIDTH_IN, 4.6 + 0.14 * len(title)), dpi=DPI, layout="constrained")
    price, weight = figure.subplots(2, 1, sharex=True, height_ratios=(5, 4))
    first = max(0, shown.warmup - _LEAD_IN)
    bars = np.arange(first, len(shown.close))
    for axes in (price, weight):
        dress(axes)
        axes.axvline(shown.warmup, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
    above, below = np.zeros(bars.size), np.zeros(bars.size)
    for place, symbol in enumerate(shown.symbols):
        colour, own = PALETTE[place % len(PALETTE)], shown.weights[first:, place]
        close = shown.close[first:, place]
        price.plot(bars, 100.0 * close / close[0], color=colour, linewidth=1.2, label=symbol)
        for side, base in ((1.0, above), (-1.0, below)):
            top = base + np.where(side * own > 0.0, own, 0.0)
            weight.fill_between(bars, base, top, step="post", color=colour, alpha=0.75, linewidth=0)
            base[:] = top
    weight.axhline(0.0, color=INK, linewidth=0.9)
    price.set_title("\n".join(title), loc="left", color=FAINT, fontsize=8.5)
    price.set_ylabel("close (first = 100)", color=INK, fontsize=10)
    weight.set_ylabel("weights\n(share of equity)", color=INK, fontsize=10)
    weight.set_xlabel(f"bar (1 h); first possible decision on bar {shown.warmup}", color=INK, fontsize=10)
    weight.set_xlim(bars[0], bars[-1])
    figure.align_ylabels()
    figure.legend(loc="outside lower center", ncols=len(shown.symbols), frameon=False, fontsize=9)
    return figure


def _target_figure(shown: Showcase) -> Figure:
    """Draw the closes with the targets behind them, and the targets beneath; the warm-up is left out but its end.

    Long is blue and points up, short is vermilion and points down. Where the family reads funding, the rate is drawn
    between the two.
    """
    title = _showcase_title(shown, "targets before any stop")
    ratios = (4, 1) if shown.funding_rate is None else (4, 1, 1)
    height = 3.6 + 0.14 * len(title) + 0.9 * (len(ratios) - 1)
    figure = Figure(figsize=(WIDTH_IN, height), dpi=DPI, layout="constrained")
    panels = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios)
    price, position = panels[0], panels[-1]
    first = max(0, shown.warmup - _LEAD_IN)
    bars = np.arange(first, shown.close.size)
    close, target = shown.close[first:], shown.target[first:]
    for axes in panels:
        dress(axes)
        if shown.warmup > first:
            axes.axvline(shown.warmup, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
    price.plot(bars, close, color=INK, linewidth=1.2, zorder=3, label="close")
    for sign, colour, marker, word in ((1.0, PALETTE[0], "^", "long"), (-1.0, PALETTE[1], "v", "short")):
        held = np.sign(target) == sign
        if not held.any():
            continue
        _shade(price, bars, held, colour)
        entries = held & ~np.concatenate([[False], held[:-1]])
        label = f"{word} ({int(entries.sum())} entries)" if entries.sum() != 1 else f"{word} (1 entry)"
        price.scatter(bars[entries], close[entries], s=42, color=colour, marker=marker, zorder=4, label=label)
        position.fill_between(bars, np.where(held, target, 0.0), step="post", color=colour, alpha=0.6, linewidth=0)
    position.plot(bars, target, color=INK, linewidth=0.9, drawstyle="steps-post")
    if shown.funding_rate is not None:
        panels[1].plot(bars, 1e4 * shown.funding_rate[first:], color=INK, linewidth=1.2)
        panels[1].axhline(0.0, color=FAINT, linewidth=0.8, zorder=1)
        panels[1].set_ylabel("funding\n(bps/h)", color=INK, fontsize=10)
    price.set_title("\n".join(title), loc="left", color=FAINT, fontsize=8.5)
    price.set_ylabel("close (USD)", color=INK, fontsize=10)
    position.set_ylabel("target\n(share)", color=INK, fontsize=10)
    position.set_ylim(-1.15, 1.15)
    position.set_xlabel(f"bar (1 h); first possible target on bar {shown.warmup}", color=INK, fontsize=10)
    position.set_xlim(bars[0], bars[-1])
    figure.align_ylabels()
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _with_holes(days: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return days with one more before each that does not follow the one before it, and the places of these.

    A line through days that belong to no span would show what nobody measured.
    """
    numbers = _numbers(days)
    holes = (np.flatnonzero(np.diff(numbers) > 1) + 1).tolist()
    whole = np.insert(numbers, holes, numbers[holes] - 1).astype("datetime64[D]").astype(str)
    return whole.tolist(), holes


def _numbers(days: Sequence[str]) -> NDArray[np.float64]:
    """Return days since 1970, matplotlib's own count."""
    return np.array(days, dtype="datetime64[D]").astype(np.float64)


def dress(axes: Axes) -> None:
    """Give axes the look of all pictures: a faint grid behind, no frame above and on the right."""
    axes.set_axisbelow(True)
    axes.grid(color=_GRID, linewidth=0.7)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(colors=FAINT, labelcolor=INK, labelsize=9)


def _shade(axes: Axes, bars: NDArray[np.int64], held: NDArray[np.bool_], colour: str) -> None:
    edges = np.flatnonzero(np.diff(held.astype(np.int8), prepend=0, append=0))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        axes.axvspan(bars[start], bars[end - 1] + 1, color=colour, alpha=0.18, linewidth=0, zorder=0)


def _label_spans(axes: Axes, spans: Sequence[ReportedSpan], times: NDArray[np.float64]) -> None:
    """Write each span's name above the picture, where it is wide enough to carry it."""
    whole = times[-1] + 1 - times[0]
    for span in spans:
        first, last = _numbers([span.start, span.end])
        if (last + 1 - first) / whole >= _NARROWEST_LABELLED:
            axes.text(
                (first + last + 1) / 2,
                1.015,
                span.label,
                transform=axes.get_xaxis_transform(),
                horizontalalignment="center",
                verticalalignment="bottom",
                color=FAINT,
                fontsize=9,
            )


def _best_so_far(drawdown: NDArray[np.float64], sharpe: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the points, by rising drawdown, whose Sharpe ratio is above that of all with a smaller drawdown."""
    order = np.lexsort((-sharpe, drawdown))
    best = np.maximum.accumulate(sharpe[order])
    rises = np.concatenate([[True], best[1:] > best[:-1]])
    return np.asarray(order[rises], dtype=np.int64)


def _look_at_most(axes: Axes, drawdown: NDArray[np.float64], sharpe: NDArray[np.float64]) -> None:
    """Choose limits that show all but the worst two in a hundred of each coordinate, and say how many are left out."""
    right, bottom = float(np.quantile(drawdown, 0.98)), float(np.quantile(sharpe, 0.02))
    top = float(sharpe.max())
    margin = 0.06 * max(top - bottom, 0.1)
    axes.set_xlim(0.0, 1.05 * max(right, 0.01))
    axes.set_ylim(bottom - margin, top + margin)
    outside = int(np.sum((drawdown > axes.get_xlim()[1]) | (sharpe < axes.get_ylim()[0])))
    if outside:
        axes.text(
            0.995,
            0.015,
            f"{outside} of {len(sharpe)} lie outside this picture",
            transform=axes.transAxes,
            horizontalalignment="right",
            color=FAINT,
            fontsize=8.5,
        )
