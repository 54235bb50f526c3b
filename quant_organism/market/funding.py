"""Funding settlements on the grid of bars: which bar pays each one, and which hourly rate is in force when.

A venue settles on whole minutes and stamps the settlement a little later (by milliseconds, sometimes by minutes), so
stamps are rounded to the nearest minute. A settlement belongs to the bar that it closes: stamped at 08:00, it is paid
by whoever held through the bar that ended at 08:00.
"""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quant_organism.market.schema import MS_PER_HOUR, Interval

_MS_PER_MINUTE: Final = 60_000


def settlement_ms(timestamp: pl.Expr) -> pl.Expr:
    """Return the moment of settlement, UTC milliseconds, of an expression of the venue's stamps."""
    return (timestamp.dt.epoch("ms") + _MS_PER_MINUTE // 2) // _MS_PER_MINUTE * _MS_PER_MINUTE


def settlement_day(timestamp: pl.Expr) -> pl.Expr:
    """Return the UTC day whose bars pay a settlement: the one at 00:00 belongs to the day before."""
    return pl.from_epoch(settlement_ms(timestamp) - 1, "ms").dt.date()


def align_funding(
    funding: pl.DataFrame, symbols: tuple[str, ...], times: NDArray[np.int64], interval: Interval
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Put settlements on a grid of bars.

    A rate per hour needs the hours that a settlement is for. Only the past may tell them: they are the smaller of the
    last two distances between settlements, so that one missing settlement does not look like a longer period. An
    asset's first settlement therefore has no rate yet.

    Parameters
    ----------
    funding
        By `FundingTable`, of any symbols; may begin before the first bar.
    symbols
        N names, the columns of the results.
    times
        (T,) bar opens in UTC milliseconds, a regular grid.
    interval
        Length of a bar.

    Returns
    -------
    rate
        (T, N) fraction per hour in force at each bar's close, carried forward; NaN while there is none.
    paid
        (T, N) sum of the settlement fractions in (open, close]; 0 where there are none.
    """
    rate = np.full((times.size, len(symbols)), np.nan)
    paid = np.zeros((times.size, len(symbols)))
    closes = times + interval.milliseconds
    by_symbol = funding.partition_by("symbol", as_dict=True)
    for column, symbol in enumerate(symbols):
        rows = by_symbol.get((symbol,))
        if rows is None:
            continue
        rows = rows.select(settled=settlement_ms(pl.col("timestamp")), fraction="funding_rate").sort(
            "settled", maintain_order=True
        )
        settled, fraction = rows["settled"].to_numpy(), rows["fraction"].to_numpy()
        bar = (settled - times[0] - 1) // interval.milliseconds
        inside = (bar >= 0) & (bar < times.size)
        np.add.at(paid[:, column], bar[inside], fraction[inside])
        latest = np.searchsorted(settled, closes, side="right") - 1
        known = latest >= 0
        rate[known, column] = (fraction / _hours_per_settlement(settled))[latest[known]]
    return rate, paid


def _hours_per_settlement(settled: NDArray[np.int64]) -> NDArray[np.float64]:
    hours = np.full(settled.size, np.nan)
    hours[1:] = np.maximum(1, np.rint(np.diff(settled) / MS_PER_HOUR))
    before = np.concatenate([[np.nan], hours[:-1]])
    return np.asarray(np.fmin(hours, before))
