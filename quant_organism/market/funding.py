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

MISSED_SETTLEMENTS: Final = 2
"""A rate is in force until so many settlements that were due have not come; then it is unknown."""

UNKNOWN_FUNDING: Final = 0.0000125
"""What an account is charged per hour, long or short, where the rate is unknown; a fraction of the notional."""

_MS_PER_MINUTE: Final = 60_000


def settlement_ms(timestamp: pl.Expr) -> pl.Expr:
    """Return the moment of settlement, UTC milliseconds, of an expression of the venue's stamps."""
    return (timestamp.dt.epoch("ms") + _MS_PER_MINUTE // 2) // _MS_PER_MINUTE * _MS_PER_MINUTE


def settlement_day(timestamp: pl.Expr) -> pl.Expr:
    """Return the UTC day whose bars pay a settlement: the one at 00:00 belongs to the day before."""
    return pl.from_epoch(settlement_ms(timestamp) - 1, "ms").dt.date()


def align_funding(
    funding: pl.DataFrame,
    symbols: tuple[str, ...],
    times: NDArray[np.int64],
    interval: Interval,
    valid: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Put settlements on a grid of bars.

    A rate per hour needs the hours that a settlement is for. Only the past may tell them: they are the smaller of the
    last two distances between settlements, so that one missing settlement does not look like a longer period. An
    asset's first settlement therefore has no rate yet. A feed that stops leaves its last rate for twice these hours,
    then none. A bar longer than these hours knows the mean of the rates that were settled in it.

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
    valid
        (T, N) bars that there are; None: all. Where there is none, nobody can hold anything and no rate ages.

    Returns
    -------
    rate
        (T, N) fraction per hour in force at each bar's close, carried forward; NaN while it is unknown.
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
        hours = _hours_per_settlement(settled)
        per_hour = fraction / hours
        latest = np.searchsorted(settled, closes, side="right") - 1
        known = latest >= 0
        rate[known, column] = per_hour[latest[known]]
        means = _means(per_hour, bar, times.size)
        longer = known & (interval.hours > hours[latest]) & np.isfinite(means)
        rate[longer, column] = means[longer]
        old = known & (closes - settled[latest] > MISSED_SETTLEMENTS * hours[latest] * MS_PER_HOUR)
        rate[old if valid is None else old & valid[:, column], column] = np.nan
    return rate, paid


def funding_coverage(candles: pl.DataFrame, funding: pl.DataFrame, interval: Interval) -> pl.DataFrame:
    """Return on which share of its bars the funding of a symbol is known, day by day.

    Parameters
    ----------
    candles
        By `CandleTable`.
    funding
        By `FundingTable`; the settlements of the days before belong to it, or the first bars know no rate.
    interval
        Length of a bar.

    Returns
    -------
    DataFrame
        `symbol`, `day`, `funding` (in [0, 1]), a row per symbol and day with a bar.
    """
    opens = candles.select("symbol", open=pl.col("timestamp").dt.epoch("ms")).filter(
        pl.col("open") % interval.milliseconds == 0
    )
    if opens.is_empty():
        return pl.DataFrame(schema={"symbol": pl.String(), "day": pl.Date(), "funding": pl.Float64()})
    first, last = opens.select(first=pl.col("open").min(), last=pl.col("open").max()).row(0)
    times = np.arange(first, last + 1, interval.milliseconds, dtype=np.int64)
    symbols = tuple(opens["symbol"].unique().sort())
    rate, _ = align_funding(funding, symbols, times, interval)
    place = {symbol: column for column, symbol in enumerate(symbols)}
    columns = opens["symbol"].replace_strict(place, return_dtype=pl.Int64()).to_numpy()
    known = np.isfinite(rate[(opens["open"].to_numpy() - first) // interval.milliseconds, columns])
    day = pl.from_epoch(pl.col("open"), "ms").dt.date().alias("day")
    return opens.with_columns(known=known).group_by("symbol", day).agg(funding=pl.col("known").mean())


def _means(per_hour: NDArray[np.float64], bar: NDArray[np.int64], n_bars: int) -> NDArray[np.float64]:
    """Return the mean of the known rates settled in each bar; NaN where there is none."""
    known = np.isfinite(per_hour) & (bar >= 0) & (bar < n_bars)
    sums, counts = np.zeros(n_bars), np.zeros(n_bars)
    np.add.at(sums, bar[known], per_hour[known])
    np.add.at(counts, bar[known], 1.0)
    return np.where(counts > 0, sums / np.maximum(counts, 1.0), np.nan)


def _hours_per_settlement(settled: NDArray[np.int64]) -> NDArray[np.float64]:
    hours = np.full(settled.size, np.nan)
    hours[1:] = np.maximum(1, np.rint(np.diff(settled) / MS_PER_HOUR))
    before = np.concatenate([[np.nan], hours[:-1]])
    return np.asarray(np.fmin(hours, before))
