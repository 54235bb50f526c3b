"""The closed trades of a committee, as what they added to its equity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quant_organism.validation.robustness.subject import Subject

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClosedTrades:
    """Closed trades, those that ended on one day as one.

    Members and assets ride on the same moves: counted apart, a lucky day would look like many lucky trades.

    Attributes
    ----------
    returns
        What the trades of each day with an exit added to the committee's equity, in time order, float64 (days,): the
        sum of their net returns on their sleeves' equity, each times the member's weight.
    average_holding_hours
        Mean time from the bar of entry to the bar of exit; 0 without trades.
    count
        Trades in all.
    years
        Length of the span in years of 365 days.
    """

    returns: Floats
    average_holding_hours: float
    count: int
    years: float


def closed_trades(subject: Subject) -> ClosedTrades:
    """Collect the closed trades of all members, each on its own assets."""
    panel = subject.panel
    years = (panel.n_bars - subject.start) * panel.interval.hours / (24 * 365)
    frames = []
    for member in subject.committee.members:
        trades = subject.evaluator.trades(member.genome, panel, subject.costs, start=subject.start).frame
        own = trades.filter(pl.col("reason") != "open")
        if member.assets:
            own = own.filter(pl.col("symbol").is_in(member.assets))
        frames.append(
            own.select(
                day=pl.col("exit_time").dt.date(),
                gain=member.weight * pl.col("return"),
                hours=(pl.col("exit_time") - pl.col("entry_time")).dt.total_milliseconds() / 3_600_000,
            )
        )
    found = pl.concat(frames)
    # Sorted, so that sums do not depend on the order of members, assets or threads.
    by_day = found.sort("day", "gain").group_by("day", maintain_order=True).agg(pl.col("gain"))
    returns = np.array([float(np.sum(gains.to_numpy())) for gains in by_day["gain"]], dtype=np.float64)
    hours = np.sort(found["hours"].to_numpy())
    return ClosedTrades(returns, float(hours.mean()) if hours.size else 0.0, len(found), years)
