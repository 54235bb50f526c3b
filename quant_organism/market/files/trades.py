"""Trades to bars: the first, highest, lowest and last price and the amount of each interval; no trade, no bar."""

import polars as pl

from quant_organism.market.schema import TIMESTAMP, Interval
from quant_organism.market.tables import CandleTable


def bars_of_trades(trades: pl.DataFrame, interval: Interval) -> pl.DataFrame:
    """Return the bars in which there were trades, by `CandleTable`, sorted by (timestamp, symbol).

    Parameters
    ----------
    trades
        symbol, timestamp, price, amount (base units); in order of time, trades of one millisecond in order of match.
    interval
        Length of the bars.
    """
    length = interval.milliseconds
    return (
        trades.with_columns((pl.col("timestamp").dt.epoch("ms") // length * length).cast(TIMESTAMP))
        .group_by("timestamp", "symbol", maintain_order=True)
        .agg(
            open=pl.col("price").first(),
            high=pl.col("price").max(),
            low=pl.col("price").min(),
            close=pl.col("price").last(),
            volume=pl.col("amount").sum(),
        )
        .sort("timestamp", "symbol")
        .select(CandleTable.schema.names())
    )
