"""The datasets of the trading room: what a trader decided, filled and earned, day by day, for SQL and reports."""

from __future__ import annotations

from typing import Final

import polars as pl

from quant_organism.market import BY_INTERVAL, TIMESTAMP, Column, Table

_WRITER: Final = "quant-organism trade export"


class LiveDecisionTable(Table, dataset="live_decisions", partitions=BY_INTERVAL, written_by=_WRITER):
    """One decision of a strategy that trades or is watched, on live bars."""

    account = Column(pl.String(), "mode and session that it belongs to", key=True)
    decision_id = Column(pl.String(), "the same in every mode", key=True)
    close = Column(TIMESTAMP, "close at which it was decided", unit="UTC")
    strategy = Column(pl.String(), "identity of the strategy")
    symbol = Column(pl.String(), "the asset")
    role = Column(pl.String(), "`trades`, or `shadow`: booked virtually and never sent")
    kind = Column(pl.String(), "`enter`, `exit` or `adjust`")
    side = Column(pl.String(), "`LONG` or `SHORT`")
    confidence = Column(pl.Float64(), "of the strategy, 0 to 1", unit="fraction")
    size = Column(pl.Float64(), "notional that it wants to hold afterwards", unit="USD")
    reference_price = Column(pl.Float64(), "close that it was decided at", unit="USD")
    is_allowed = Column(pl.Boolean(), "whether every step of the pipeline let it pass")
    reason = Column(pl.String(), "what the strategy said, or why it was refused")


class LiveFillTable(Table, dataset="live_fills", partitions=BY_INTERVAL, written_by=_WRITER):
    """One fill of an account on live bars; those of accounts whose strategy is watched are virtual."""

    account = Column(pl.String(), "mode and session; a strategy after a slash: that it is watched", key=True)
    number = Column(pl.Int64(), "place among the fills of the account on this day", key=True)
    time = Column(TIMESTAMP, "when it filled", unit="UTC")
    symbol = Column(pl.String(), "the asset")
    kind = Column(pl.String(), "`ioc`, `stop`, `target`, or what else brought it about")
    size = Column(pl.Float64(), "bought, negative when sold", unit="base units")
    price = Column(pl.Float64(), "mean price", unit="USD")
    fee = Column(pl.Float64(), "a rebate is negative", unit="USD")
    slippage = Column(pl.Float64(), "paid for filling worse than what was aimed at", unit="USD")


class LivePerformanceTable(Table, dataset="live_performance", partitions=BY_INTERVAL, written_by=_WRITER, version=2):
    """One strategy on one UTC day of an account on live bars."""

    account = Column(pl.String(), "mode and session; a strategy after a slash: that it is watched", key=True)
    strategy = Column(pl.String(), "identity of the strategy", key=True)
    role = Column(pl.String(), "`trades` or `shadow`")
    closes = Column(pl.Int64(), "closes of the day at which it was followed", unit="closes")
    profit = Column(pl.Float64(), "what it earned on the day, costs and funding counted", unit="USD")
    total_profit = Column(pl.Float64(), "what it has earned since it joined the account", unit="USD")
    equity = Column(pl.Float64(), "of the account at the day's last close", unit="USD")
    daily_return = Column(pl.Float64(), "profit over the account's equity at the close before", unit="fraction")
    exits = Column(pl.Int64(), "positions that it decided to leave on the day", unit="decisions")
    virtual_hash = Column(pl.String(), "digest H1 of the account at the day's last plan")
    order_hash = Column(pl.String(), "digest H2 of the account at the day's last plan")
    mode = Column(
        pl.String(), "`paper`, `testnet` or `mainnet`; missing in older files", nullable=True, since=2, default=None
    )
    weight = Column(
        pl.Float64(),
        "what its virtual positions were multiplied with from the day's first plan on: its share of the equity times "
        "the account's risk scale and what risk leaves of it; missing where it is not known",
        nullable=True,
        since=2,
    )
    closed_trades = Column(
        pl.Int64(), "positions left that it had been let enter", unit="trades", nullable=True, since=2
    )
    fill_slippage = Column(
        pl.Float64(), "paid by the account in symbols that it had traded", unit="USD", nullable=True, since=2
    )
    model_slippage = Column(
        pl.Float64(), "what the model of fills states for the same fills", unit="USD", nullable=True, since=2
    )
    breakers = Column(
        pl.Int64(),
        "breakers that fired while it held anything: refused orders, nearness of liquidation, everything closed",
        unit="breakers",
        nullable=True,
        since=2,
    )
    liquidations = Column(
        pl.Int64(), "fills by which the venue took a position in a symbol that it had traded", nullable=True, since=2
    )
    reconciled = Column(
        pl.Boolean(),
        "whether orders were sent and books and venue agreed at every close of the whole day",
        nullable=True,
        since=2,
    )


class SymbolRankTable(Table, dataset="symbol_ranks", partitions=BY_INTERVAL, written_by="deployment_decisions"):
    """One asset that had a bar at the day's last close: its place among all of them. Rows are never changed."""

    symbol = Column(pl.String(), "the asset", key=True)
    place = Column(pl.Int64(), "1 for the best")
    score = Column(pl.Float64(), "mean of its three ranks", unit="fraction")
    liquidity = Column(pl.Float64(), "rank of the median traded value of 24 hours, 1 for the most", unit="fraction")
    calm = Column(pl.Float64(), "rank of the average true range over the close, 1 for the least", unit="fraction")
    momentum = Column(pl.Float64(), "rank of the move of 30 bars over its deviation, 1 for the most", unit="fraction")


TABLES: Final[tuple[type[Table], ...]] = (
    LiveDecisionTable,
    LiveFillTable,
    LivePerformanceTable,
    SymbolRankTable,
)
