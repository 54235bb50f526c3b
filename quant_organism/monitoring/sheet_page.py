"""Write tear sheets: one page each, with its pictures inside."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from quant_organism.monitoring.content import Curve
from quant_organism.monitoring.pages import (
    ACCOUNT_ROWS,
    FigureRow,
    gate_names,
    missing_of,
    number,
    page,
    percent,
    percent_2,
    whole,
)
from quant_organism.monitoring.plots import DPI, FAINT, INK, PALETTE, WIDTH_IN, dress, equity_figure, png
from quant_organism.monitoring.sheet_content import Cone, Neighbours, ShakeRow, TearSheet
from quant_organism.resilience import write_files

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_BLUE, _VERMILION = PALETTE[0], PALETTE[1]


_FIGURES: Final = (
    FigureRow("sharpe", "Sharpe ratio a year", number),
    FigureRow("sortino", "Sortino ratio a year", number),
    FigureRow("calmar", "Calmar ratio", number),
    FigureRow("total_return", "total return", percent),
    FigureRow("annual_return", "annual return", percent),
    FigureRow("volatility", "volatility a year", percent),
    FigureRow("max_drawdown", "maximum drawdown", percent),
    FigureRow("consistency", "twelfths with a gain", percent),
    FigureRow("beta", "beta to the mean asset", number),
    FigureRow("alpha", "alpha a year", percent),
    FigureRow("trades", "closed trades", whole),
    FigureRow("win_rate", "win rate", percent),
    FigureRow("turnover_per_year", "turnover a year, times equity", whole),
    FigureRow("exposure", "mean exposure", percent),
)


_RETURNS: Final = (
    FigureRow("days_up", "days with a gain, of those that moved", percent),
    FigureRow("best_day", "best day", percent_2),
    FigureRow("worst_day", "worst day", percent_2),
    FigureRow("mean_up", "mean gain of a day", percent_2),
    FigureRow("mean_down", "mean loss of a day", percent_2),
    FigureRow("value_at_risk", "value at risk, 95 % of days", percent_2),
    FigureRow("expected_shortfall", "expected shortfall (CVaR), 95 %", percent_2),
    FigureRow("skew", "skew", number),
    FigureRow("excess_kurtosis", "excess kurtosis", number),
    FigureRow("tail_ratio", "tail ratio, 95 %", number),
    FigureRow("profit_factor", "profit factor (omega at 0)", number),
    FigureRow("gain_to_pain", "gain to pain", number),
    FigureRow("recovery_factor", "recovery factor", number),
    FigureRow("ulcer_index", "ulcer index", percent_2),
    FigureRow("days_under_water", "longest time under water, days", whole),
    FigureRow("kelly", "fastest growth, times this account", number),
)


def write_tear_sheets(folder: Path, sheets: Sequence[TearSheet]) -> dict[str, Path]:
    """Write tear sheets as `<id>.html`; the same sheets again give the same bytes.

    Those of others stay: what no longer survives may be in the pool.

    Returns
    -------
    The path of each, by the strategy's identity.

    Raises
    ------
    StorageError
        The folder cannot be written, or the disk is full.
    """
    paths = {sheet.id: folder / f"{sheet.id}.html" for sheet in sheets}
    write_files((paths[sheet.id], _page(sheet)) for sheet in sheets)
    return paths


def _page(sheet: TearSheet) -> bytes:
    deciding = [gate for gate in sheet.gates if gate.needed_for and gate.status != "not_applicable"]
    return page(
        "tear_sheet.html",
        _pictures(sheet),
        sheet=sheet,
        names=gate_names(sheet.gates),
        missing=missing_of(sheet.gates),
        passed=sum(gate.status == "passed" for gate in deciding),
        deciding=len(deciding),
        months=_MONTHS,
        figures=_FIGURES,
        account=ACCOUNT_ROWS,
        returns=_RETURNS,
        nan=math.nan,
    )


def _pictures(sheet: TearSheet) -> dict[str, bytes]:
    """Draw what there is to draw, by name."""
    figures: dict[str, Figure] = {}
    if sheet.days:
        figures["equity"] = equity_figure(
            sheet.days, [Curve(id=sheet.id, values=sheet.equity, highlighted=True)], sheet.spans
        )
    if sheet.cone is not None:
        figures["cone"] = cone_figure(sheet.cone)
    if shaken := [row for row in sheet.shakes if math.isfinite(row.middle)]:
        figures["shakes"] = shakes_figure(shaken, sheet.sharpe)
    if sheet.neighbours is not None:
        figures["neighbours"] = neighbours_figure(sheet.neighbours)
    return {name: png(figure) for name, figure in figures.items()}


def cone_figure(cone: Cone) -> Figure:
    """Draw the cone of equity that the in-sample days promised, and the equity of the unseen days over it."""
    figure = Figure(figsize=(WIDTH_IN, 3.6), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    dress(axes)
    days = np.array(cone.days, dtype="datetime64[D]").astype(np.float64)
    lowest, lower, middle, upper, highest = (np.asarray(path) for path in cone.quantiles)
    axes.fill_between(days, lowest, highest, color=_BLUE, alpha=0.12, linewidth=0, label="promised, 5 to 95 %")
    axes.fill_between(days, lower, upper, color=_BLUE, alpha=0.22, linewidth=0, label="25 to 75 %")
    axes.plot(days, middle, color=_BLUE, linewidth=1.2, linestyle="--", label="median")
    axes.plot(days, cone.actual, color=INK, linewidth=2.2, label="what it earned")
    axes.axhline(1.0, color=FAINT, linewidth=0.8, zorder=1)
    axes.set_ylabel("equity, unseen days", color=INK, fontsize=10)
    locator = AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_xlim(days[0], days[-1] + 1)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def shakes_figure(rows: Sequence[ShakeRow], sharpe: float) -> Figure:
    """Draw the Sharpe ratio under every kind of change: each one as a dot, 5 to 95 % as a bar, the median as a mark.

    Parameters
    ----------
    rows
        Those that have a Sharpe ratio; at least one.
    sharpe
        The ratio without any change.
    """
    figure = Figure(figsize=(WIDTH_IN, 1.1 + 0.36 * len(rows)), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    dress(axes)
    axes.grid(visible=False, axis="y")
    places = np.arange(len(rows))[::-1]
    for place, row in zip(places, rows, strict=True):
        colour = _BLUE if min([*row.points, row.low]) > 0 else _VERMILION
        axes.plot([row.low, row.high], [place, place], color=colour, alpha=0.35, linewidth=9, solid_capstyle="round")
        if row.points:
            # Spread over the height of the bar in a fixed order, so that equal ones do not hide each other.
            spread = place + 0.16 * ((np.arange(len(row.points)) * 0.618) % 1 - 0.5)
            axes.scatter(row.points, spread, s=11, color=colour, alpha=0.75, linewidths=0, zorder=3)
        axes.plot([row.middle, row.middle], [place - 0.22, place + 0.22], color=INK, linewidth=2.0, zorder=4)
    axes.axvline(sharpe, color=INK, linewidth=1.2, zorder=2)
    axes.axvline(0.0, color=_VERMILION, linewidth=1.2, linestyle=(0, (4, 3)), zorder=2)
    top = len(rows) - 0.35
    axes.text(sharpe, top, f"as it is: {sharpe:.2f}", ha="center", va="bottom", color=INK, fontsize=9)
    axes.text(0.0, top, "nothing", ha="center", va="bottom", color=_VERMILION, fontsize=9)
    axes.set_yticks(places, [f"{row.name} ({row.count:,})" for row in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("annual net Sharpe ratio, in-sample", color=INK, fontsize=10)
    return figure


def neighbours_figure(neighbours: Neighbours) -> Figure:
    """Draw neighbours by drawdown and Sharpe ratio, and how many lie where; the strategy itself is ringed.

    The dashed line is half of its own Sharpe ratio, which the median neighbour has to keep.
    """
    figure = Figure(figsize=(WIDTH_IN, 3.4), dpi=DPI, layout="constrained")
    cloud, counts = figure.subplots(1, 2, sharey=True, width_ratios=(4, 1))
    sharpe, drawdown = np.asarray(neighbours.sharpe), np.asarray(neighbours.max_drawdown)
    median = float(np.median(sharpe))
    cloud.scatter(drawdown, sharpe, s=18, color=_BLUE, alpha=0.55, linewidths=0, zorder=3, label="a neighbour")
    cloud.scatter(
        [neighbours.own_max_drawdown],
        [neighbours.own_sharpe],
        s=120,
        facecolors="none",
        edgecolors=INK,
        linewidths=2.0,
        zorder=4,
        label="the strategy",
    )
    counts.hist(sharpe, bins=20, orientation="horizontal", color=_BLUE, alpha=0.55)
    for axes in (cloud, counts):
        dress(axes)
        axes.axhline(median, color=_BLUE, linewidth=1.4, zorder=2, label="median neighbour")
        axes.axhline(
            0.5 * neighbours.own_sharpe,
            color=_VERMILION,
            linewidth=1.2,
            linestyle=(0, (4, 3)),
            zorder=2,
            label="half of its own",
        )
    low, high = min(0.0, float(sharpe.min())), max(neighbours.own_sharpe, float(sharpe.max()))
    cloud.set_ylim(low - 0.06 * (high - low), high + 0.08 * (high - low))
    cloud.set_xlim(left=0.0)
    cloud.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=None, symbol=" %"))
    cloud.set_xlabel("maximum drawdown", color=INK, fontsize=10)
    cloud.set_ylabel("annual net Sharpe ratio", color=INK, fontsize=10)
    counts.set_xlabel("neighbours", color=INK, fontsize=10)
    handles, labels = cloud.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure
