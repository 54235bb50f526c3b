"""Write tear sheets: one page each, with its pictures inside."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from quant_organism.monitoring.content import Curve
from quant_organism.monitoring.pages import number, page, percent
from quant_organism.monitoring.plots import equity_figure, png
from quant_organism.monitoring.sheet_content import TearSheet
from quant_organism.monitoring.sheet_plots import cone_figure, neighbours_figure, shakes_figure
from quant_organism.resilience.files import write_files

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class _Figure:
    """A row of the table of figures: a metric, what readers call it, and how it is written."""

    name: str
    label: str
    show: Callable[[float], str]


def _whole(value: float) -> str:
    return number(value, 0)


_FIGURES: Final = (
    _Figure("sharpe", "Sharpe ratio a year", number),
    _Figure("sortino", "Sortino ratio a year", number),
    _Figure("calmar", "Calmar ratio", number),
    _Figure("total_return", "total return", percent),
    _Figure("annual_return", "annual return", percent),
    _Figure("volatility", "volatility a year", percent),
    _Figure("max_drawdown", "maximum drawdown", percent),
    _Figure("consistency", "twelfths with a gain", percent),
    _Figure("beta", "beta to the mean asset", number),
    _Figure("alpha", "alpha a year", percent),
    _Figure("trades", "closed trades", _whole),
    _Figure("win_rate", "win rate", percent),
    _Figure("turnover_per_year", "turnover a year, times equity", _whole),
    _Figure("exposure", "mean exposure", percent),
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
    deciding = [gate for gate in sheet.gates if gate.needed_for]
    return page(
        "tear_sheet.html",
        _pictures(sheet),
        sheet=sheet,
        passed=sum(gate.status == "passed" for gate in deciding),
        deciding=len(deciding),
        months=_MONTHS,
        figures=_FIGURES,
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
