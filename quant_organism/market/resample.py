"""Longer bars made of shorter ones: stamped by their open like all bars, and there only once they are whole.

A bar of four hours that lacks one of them is no bar: the newest one would say what it cannot know yet, and one with a
gap would say a high and a low that were not seen. Such bars are left aside, and counted.
"""

from dataclasses import dataclass

import polars as pl

from quant_organism.errors import InputError
from quant_organism.market.schema import TIMESTAMP, Interval
from quant_organism.market.tables import CandleTable


@dataclass(frozen=True)
class AggregatedBars:
    """Bars made of shorter ones.

    Parameters
    ----------
    bars
        By `CandleTable`, sorted by (timestamp, symbol).
    incomplete
        `symbol`, `timestamp` of the bars that lack shorter ones, sorted like `bars`.
    """

    bars: pl.DataFrame
    incomplete: pl.DataFrame


def divides(shorter: Interval, longer: Interval) -> bool:
    """Return whether bars of one length are made of a whole number, above one, of another's."""
    return shorter < longer and longer.milliseconds % shorter.milliseconds == 0


def open_of_longer(interval: Interval) -> pl.Expr:
    """Return when the bar of this length opens that a timestamp lies in."""
    length = interval.milliseconds
    return (pl.col("timestamp").dt.epoch("ms") // length * length).cast(TIMESTAMP)


def make_longer_bars(candles: pl.DataFrame, shorter: Interval, interval: Interval) -> AggregatedBars:
    """Make bars of `interval` of sound candles.

    Parameters
    ----------
    candles
        By `CandleTable`, of any symbols, in any order, each bar once.
    shorter
        Their interval.
    interval
        That of the bars to make.

    Raises
    ------
    InputError
        One interval is no whole multiple of the other.
    """
    if not divides(shorter, interval):
        raise InputError(
            f"bars of {interval} cannot be made of bars of {shorter}", remedy="choose a whole multiple of their length"
        )
    made = (
        candles.sort("timestamp", "symbol")
        .group_by(open_of_longer(interval), "symbol", maintain_order=True)
        .agg(
            open=pl.col("open").first(),
            high=pl.col("high").max(),
            low=pl.col("low").min(),
            close=pl.col("close").last(),
            volume=pl.col("volume").sum(),
            parts=pl.len(),
        )
        .sort("timestamp", "symbol")
    )
    whole = pl.col("parts") == interval.milliseconds // shorter.milliseconds
    return AggregatedBars(
        bars=made.filter(whole).select(CandleTable.schema.names()),
        incomplete=made.filter(~whole).select("symbol", "timestamp"),
    )
