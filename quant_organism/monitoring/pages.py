"""Pages for people: one look, all text escaped, everything inside, so that a page works offline."""

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from quant_organism.monitoring.content import ReportedGate

_TEMPLATES = Path(__file__).parent / "templates"

STYLE: Final = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
SCRIPT: Final = (_TEMPLATES / "pages.js").read_text(encoding="utf-8")
"""The one look of all pages, and the one script: tables that sort and filter, charts. Both are inside each page."""

IN_A_CELL: Final = "cell"
"""What the address of a picture ends with, after a question mark, where it is shown in a table of the web UI."""

_FRACTIONS = frozenset({"max_drawdown", "positive_windows", "win_rate", "consistency", "parameter_neighbourhood"})
"""Gates whose numbers read better in per cent."""

_AT_MOST: Final = frozenset(
    {
        "max_drawdown",
        "luck",
        "holdout_mean",
        "pretest",
        "search_luck",
        "backtest_overfitting",
        "copies",
        "future_bar",
        "future_file",
        "repeatable",
        "survivor_universe",
        "look_ahead",
        "whole_sample",
        "trial_budget",
        "predictive_ability",
        "trade_skip",
        "resampled_days",
        "resampled_bars",
        "day_unions",
        "second_opinion",
        "testnet_books",
        "testnet_slippage",
        "testnet_latency",
    }
)
"""Gates that ask for no more than their bound."""

_ABOVE: Final = frozenset(
    {"price_noise", "dearer_trading", "late_execution", "later_start", "asset_left_out", "longer_bars"}
)
"""Gates that ask for more than it; all others ask for no less."""

_UNITS: Final = {
    "trades": " trades",
    "trade_parity": " of all",
    "decision": " times the stake",
    "testnet_orders": " of all",
    "testnet_slippage": " times the model's",
}
"""What a gate's number counts, where its name does not say."""

_SPELLED = {
    "sharpe": "Sharpe ratio a year",
    "trades": "closed trades",
    "max_drawdown": "maximum drawdown",
    "consistency": "twelfths with a gain",
    "positive_windows": "windows with a gain",
    "backtest_overfitting": "probability of overfitting",
    "copies": "chance of luck (copies of the market)",
    "luck": "chance of luck (Sharpe ratio)",
    "holdout_mean": "chance of luck (mean return)",
    "search_luck": "chance of luck, whole search",
    "decision": "starting wealth, both together",
    "pretest": "chance of luck before the search",
    "holdout": "unseen days",
    "deflated_sharpe": "beats the luck of all trials",
    "haircut_sharpe": "Sharpe ratio after all trials",
    "trial_budget": "Sharpe ratio by luck alone",
    "predictive_ability": "chance of luck, random founders",
    "parameter_neighbourhood": "kept by neighbouring genes",
    "price_noise": "worst Sharpe ratio, noisy closes",
    "dearer_trading": "worst Sharpe ratio, dearer trading",
    "late_execution": "Sharpe ratio, one bar late",
    "later_start": "worst Sharpe ratio, later start",
    "asset_left_out": "worst Sharpe ratio, an asset left out",
    "longer_bars": "worst Sharpe ratio, longer bars",
    "trade_skip": "loss probability, trades skipped",
    "resampled_days": "loss probability, days resampled",
    "resampled_bars": "loss probability, bars resampled",
    "day_unions": "loss share, two tenths of the days",
    "look_ahead": "decisions that later bars change",
    "trade_parity": "trades as in the backtest, bar by bar",
    "replay_sharpe": "Sharpe ratio, replayed",
    "replay_consistency": "replayed periods with a gain",
    "second_opinion": "difference from vectorbt's books",
    "triple_validation": "backtest, replay and testnet together",
    "testnet_orders": "orders at the venue as planned",
    "testnet_books": "USD between books and venue",
    "testnet_slippage": "slippage at the venue",
    "testnet_latency": "milliseconds to the venue's word",
    "testnet_score": "rehearsal at the venue",
    "in_sample": "in-sample",
    "out_of_sample": "out-of-sample",
    "walk_forward": "walk-forward",
}


def page(template: str, pictures: Mapping[str, bytes], **context: Any) -> bytes:
    """Fill a template.

    Parameters
    ----------
    template
        File name in the folder of templates.
    pictures
        PNG files by name; the template finds them as `images`, ready for a source attribute.
    context
        What the template reads besides, `style` and `script` excepted.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number,
        percent=percent,
        measured=_measured,
        words=_words,
        shade=_shade,
        data=_data,
        moment=moment,
        figure=_figure,
        bound=bound,
    )
    images = {name: f"data:image/png;base64,{base64.b64encode(data).decode()}" for name, data in pictures.items()}
    looks = {"style": STYLE, "script": SCRIPT}
    return environment.get_template(template).render(images=images, **looks, **context).encode()


def moment(ms: int) -> str:
    """Write a time in UTC milliseconds."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}"


def _data(value: Any) -> Markup:
    """Write what a script of the page reads, so that nothing in it ends the element that it stands in."""
    return Markup(orjson.dumps(value).decode().replace("&", "\\u0026").replace("<", "\\u003c"))


def number(value: float, digits: int = 2) -> str:
    """Write a number; a dash where there is none."""
    return f"{round(value, digits) + 0.0:,.{digits}f}" if math.isfinite(value) else "–"


def percent(value: float | None, digits: int = 1) -> str:
    """Write a fraction in per cent; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{round(100 * value, digits) + 0.0:.{digits}f} %"


def _measured(value: float, gate: str) -> str:
    """Write a gate's number in the unit that its reader expects."""
    if not math.isfinite(value):
        return "–"
    if gate in _FRACTIONS:
        return f"{100 * value:.3g} %"
    if value.is_integer():
        return f"{value:,.0f}"
    return f"{value:.2g}" if abs(value) < 1 else f"{value:,.2f}"


def _figure(value: object) -> str:
    """Write whatever a comparison holds; a dash where there is nothing."""
    if isinstance(value, float):
        return number(value) if abs(value) >= 0.01 or value == 0 else f"{value:.2g}"
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def bound(gate: ReportedGate) -> str:
    """Write what a gate asks for: its sign, its number, and the unit."""
    sign = "≤" if gate.gate in _AT_MOST else ">" if gate.gate in _ABOVE else "≥"
    if not math.isfinite(gate.threshold):
        return "–"
    return f"{sign} {_measured(gate.threshold, gate.gate)}{_UNITS.get(gate.gate, '')}"


def gate_names(gates: Sequence[ReportedGate]) -> list[str]:
    """Return what readers call gates, each by a name of its own: two of a kind differ in what they stand before."""
    kinds = [(gate.stage, gate.gate) for gate in gates]
    names = []
    for gate, kind in zip(gates, kinds, strict=True):
        name = _words(gate.gate)
        if kinds.count(kind) > 1:
            name += f", before {' and '.join(gate.needed_for)}" if gate.needed_for else ", for information"
        names.append(name)
    return names


def missing_of(gates: Sequence[ReportedGate]) -> list[tuple[str, ReportedGate]]:
    """Return the gates that keep something from a stage of life, with their names."""
    named = zip(gate_names(gates), gates, strict=True)
    return [(name, gate) for name, gate in named if gate.needed_for and gate.closes]


def _words(name: str) -> str:
    return _SPELLED.get(name, name.replace("_", " "))


def _shade(value: float) -> str:
    """Return the colour behind a return: blue for gains, orange for losses, full at 10 %."""
    strength = min(1.0, abs(value) / 0.1) ** 0.5
    return f"rgba({'0, 114, 178' if value > 0 else '213, 94, 0'}, {0.45 * strength:.2f})"


@dataclass(frozen=True)
class FigureRow:
    """A row of the table of figures: a metric, what readers call it, and how it is written."""

    name: str
    label: str
    show: Callable[[float], str]


def percent_2(value: float) -> str:
    """Write a fraction in per cent with two decimals."""
    return percent(value, 2)


def whole(value: float) -> str:
    """Write a figure without decimals."""
    return number(value, 0)


ACCOUNT_ROWS: Final = (
    FigureRow("annual_return", "annual return", percent),
    FigureRow("annual_return_usd", "annual return, USD", whole),
    FigureRow("sharpe", "Sharpe ratio a year", number),
    FigureRow("sharpe_sleeves", "Sharpe ratio of its sleeves", number),
    FigureRow("tracking_error", "tracking error a year", percent),
    FigureRow("volatility", "volatility a year", percent),
    FigureRow("max_drawdown", "maximum drawdown", percent),
    FigureRow("fees", "fees", percent),
    FigureRow("fees_usd", "fees, USD", number),
    FigureRow("slippage", "slippage", percent),
    FigureRow("slippage_usd", "slippage, USD", number),
    FigureRow("funding", "funding paid", percent),
    FigureRow("funding_usd", "funding paid, USD", number),
    FigureRow("orders_per_day", "orders a day", number),
    FigureRow("median_order_usd", "median order, USD", number),
    FigureRow("smallest_order_usd", "smallest order not closing, USD", number),
    FigureRow("turnover", "turnover a year, times equity", whole),
    FigureRow("gross_mean", "mean gross exposure", percent),
    FigureRow("gross_max", "largest gross exposure", percent),
    FigureRow("hours_at_cap", "hours at a cap", whole),
    FigureRow("execution_usd", "profit of execution, USD", number),
)
"""What every report shows of an account; its fields as in `AccountFigures`."""
