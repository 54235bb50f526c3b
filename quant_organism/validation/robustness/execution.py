"""Worse execution: dearer trading, and orders that reach the market one bar late."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from quant_organism.backtest import Costs
from quant_organism.validation.robustness.subject import Shake, Subject
from quant_organism.validation.statistics.evidence import NotRun

COST_FACTOR: Final = 2.0
SLIPPAGE_FACTOR: Final = 3.0
LATE_BARS: Final = 1


def dearer_trading(
    subject: Subject, *, cost_factor: float = COST_FACTOR, slippage_factor: float = SLIPPAGE_FACTOR
) -> Shake | NotRun:
    """Measure a strategy with all costs of its fills times a factor, and with slippage and impact alone times another.

    Funding is no cost of a fill and stays as it is.

    Raises
    ------
    InputError
        A cost leaves the range that `Costs` allows.
    """
    if (idle := subject.idle) is not None:
        return idle
    costs = subject.costs
    slipping = replace(
        costs, slippage_bps=slippage_factor * costs.slippage_bps, impact_bps=slippage_factor * costs.impact_bps
    )
    changes = {f"costs x {cost_factor:g}": dearer(costs, cost_factor), f"slippage x {slippage_factor:g}": slipping}
    seen = [subject.measure([subject.committee], costs=changed).metrics for changed in changes.values()]
    return Shake.seen(subject, tuple(changes), *_columns(seen))


def dearer(costs: Costs, factor: float) -> Costs:
    """Return costs of fills times a factor; a rebate stays."""
    return replace(
        costs,
        taker_fee=factor * costs.taker_fee,
        maker_fee=max(costs.maker_fee, factor * costs.maker_fee),
        slippage_bps=factor * costs.slippage_bps,
        impact_bps=factor * costs.impact_bps,
    )


def late_execution(subject: Subject, *, bars: int = LATE_BARS) -> Shake | NotRun:
    """Measure a strategy whose every order reaches the market some bars late; stops and targets rest there in time.

    Raises
    ------
    InputError
        A negative number of bars.
    """
    if (idle := subject.idle) is not None:
        return idle
    seen = subject.measure([subject.committee], delay_bars=bars).metrics
    return Shake.seen(subject, (f"{bars} bar{'s' if bars != 1 else ''} late",), *_columns([seen]))


def _columns(seen: list[dict[str, np.typing.NDArray[np.float64]]]) -> tuple[np.typing.NDArray[np.float64], ...]:
    return tuple(np.array([float(metrics[name][0]) for metrics in seen]) for name in ("sharpe", "max_drawdown"))
