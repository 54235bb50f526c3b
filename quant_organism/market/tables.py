"""The datasets of the market room: what was imported, how sound it is, and what a cycle saw of it."""

from __future__ import annotations

from typing import Final

import polars as pl

from quant_organism.market.row_rules import BAR_RULES
from quant_organism.market.schema import TIMESTAMP
from quant_organism.market.table import BY_CYCLE, BY_INTERVAL, BY_MARKET, Column, Columns, Table

REASONS: Final = (
    "gap",
    "duplicate",
    "unreadable",
    "off_grid",
    *[rule.reason for rule in BAR_RULES],
    "zero_volume_run",
    "stale",
    "outlier",
    "forming",
)
"""What can be wrong with a bar; `market.quality.defects` says what each means."""


_OF_MID: Final = "basis points of the mid price"


class CandleTable(Table, dataset="candles", partitions=BY_INTERVAL, written_by="candles"):
    """One bar of one symbol."""

    symbol = Column(pl.String(), "the asset", key=True)
    timestamp = Column(TIMESTAMP, "when the bar opens", unit="UTC", key=True)
    open = Column(pl.Float64(), "first price", unit="quote currency")
    high = Column(pl.Float64(), "highest price", unit="quote currency")
    low = Column(pl.Float64(), "lowest price", unit="quote currency")
    close = Column(pl.Float64(), "last price", unit="quote currency")
    volume = Column(pl.Float64(), "what was traded", unit="base units")


class LiveCandleTable(CandleTable, dataset="live_candles", partitions=BY_INTERVAL, written_by="quant-organism follow"):
    """One bar of one symbol as a venue's feed brought it; a day of `candles` is one that an import has completed."""


class FundingTable(Table, dataset="funding", partitions=BY_MARKET, written_by="funding"):
    """One funding settlement of one symbol; one at midnight lies under the day that it closes."""

    symbol = Column(pl.String(), "the asset", key=True)
    timestamp = Column(TIMESTAMP, "as the venue stamped the settlement, jitter included", unit="UTC", key=True)
    funding_rate = Column(
        pl.Float64(), "paid per settlement; positive: longs pay shorts", unit="fraction of the notional"
    )


class SentimentTable(Table, dataset="sentiment", partitions=BY_MARKET, written_by="sentiment"):
    """One published value of the Fear & Greed index, for the whole market."""

    timestamp = Column(TIMESTAMP, "when it was published", unit="UTC", key=True)
    fear_greed = Column(pl.Float64(), "0 is fear, 100 is greed", unit="points")


class RegimeTable(Table, dataset="market_regime", partitions=BY_INTERVAL, written_by="market_regime"):
    """One factor of the market on a day, told by that day and those before it alone."""

    module = Column(pl.String(), "the factor: volatility, trend, correlation, volume, dominance or mood", key=True)
    label = Column(pl.String(), "what it was, such as `calm` or `turbulent`; it leaves a band before it changes")
    value = Column(pl.Float64(), "its number, as docs/regimes.md says for each factor")
    days = Column(pl.Int64(), "days in a row with this label, this one included", unit="days")
    module_version = Column(pl.Int64(), "goes up with every change of what the module means")


class SlippageTable(Table, dataset="slippage", partitions=BY_MARKET, written_by="quant-organism data slippage"):
    """What market orders of one size paid in the recorded books of one symbol; it lies under the day of the last."""

    symbol = Column(pl.String(), "the asset", key=True)
    order_usd = Column(pl.Float64(), "size of the order at the mid price", unit="USD", key=True)
    median_bps = Column(
        pl.Float64(),
        "median of what buying and selling cost: half the spread, and the walk into the book",
        unit=_OF_MID,
    )
    high_bps = Column(pl.Float64(), "95 % quantile of the same", unit=_OF_MID)
    books = Column(pl.Int64(), "books that were looked at", unit="books")
    shallow = Column(
        pl.Int64(), "of these, books too shallow for the order: its rest is priced at the last level", unit="books"
    )
    first = Column(TIMESTAMP, "time of the first book", unit="UTC")
    last = Column(TIMESTAMP, "time of the last book", unit="UTC")
    trades = Column(pl.Int64(), "recorded trades that came within ten seconds of a book", unit="trades")
    paid_bps = Column(
        pl.Float64(),
        "median distance of these trades from the mid price of the book before, whatever their size",
        unit=_OF_MID,
        nullable=True,
    )


class SetAsideTable(Table, dataset="set_aside", partitions=BY_MARKET, written_by="quant-organism data import --repair"):
    """One input row that was not usable; those without a readable date lie under 1970-01-01."""

    symbol = Column(pl.String(), "the asset")
    timestamp = Column(TIMESTAMP, "of the row, if it has a readable one", unit="UTC", nullable=True)
    file = Column(pl.String(), "the input file")
    line = Column(pl.Int64(), "1-based line or row of the file, where the format has any", nullable=True)
    reason = Column(pl.String(), "one word of a small vocabulary, to count by")
    detail = Column(pl.String(), "what was found, for a person")


class CandleQualityTable(Table, dataset="candle_quality", version=2, partitions=BY_CYCLE, written_by="market_panel"):
    """One symbol on one day of a cycle's panel, with a bar expected: how sound its bars are."""

    day = Column(pl.Date(), "the day", unit="UTC", key=True)
    symbol = Column(pl.String(), "the asset", key=True)
    bars = Column(pl.Int64(), "bars that are there", unit="bars")
    expected = Column(pl.Int64(), "bars that should be there", unit="bars")
    defective = Column(pl.Int64(), "expected bars with any defect", unit="bars")
    score = Column(pl.Float64(), "1 - defective / expected", unit="fraction")
    by_reason = Columns(
        {reason: Column(pl.Int64(), f"defects of the kind `{reason}`", unit="bars") for reason in REASONS}
    )
    reasons = Column(pl.String(), "the counts above 0, as text")
    funding = Column(
        pl.Float64(),
        "share of its bars on which the funding rate is known; missing without bars and in older files",
        unit="fraction",
        nullable=True,
        since=2,
    )


class PanelTable(Table, dataset="market_panel", version=2, partitions=BY_CYCLE, written_by="market_panel"):
    """One symbol of a cycle's panel."""

    symbol = Column(pl.String(), "the asset", key=True)
    first_bar = Column(TIMESTAMP, "when its first bar opens", unit="UTC")
    last_bar = Column(TIMESTAMP, "when its last bar opens", unit="UTC")
    bars = Column(pl.Int64(), "valid bars", unit="bars")
    coverage = Column(pl.Float64(), "share of valid bars between the first and the last", unit="fraction")
    score = Column(pl.Float64(), "data quality of its bars", unit="fraction")
    funding = Column(
        pl.Float64(),
        "share of its bars on which the funding rate is known; missing in older files",
        unit="fraction",
        nullable=True,
        since=2,
    )
    panel_days = Column(pl.Int64(), "length of the panel, the same in every row", unit="days")
    panel_hash = Column(pl.String(), "SHA-256 of the panel's arrays, the same in every row")


class CycleIndexTable(Table, dataset="cycle_index", partitions=BY_INTERVAL, written_by="market_panel"):
    """One cycle of a day, in the order in which they were begun last."""

    cycle = Column(pl.String(), "its identity among the cycles of its market, interval and day", key=True)
    plan_hash = Column(pl.String(), "SHA-256 of its plan; empty in what an earlier version left")
    seed = Column(pl.Int64(), "seed of its search", nullable=True)
    latest = Column(pl.Boolean(), "whether its search was stored last: the one that views of the day show")


class DefectTable(Table):
    """One defect of one bar, as `market.quality.defects` names it; not stored."""

    symbol = Column(pl.String(), "the asset")
    timestamp = Column(TIMESTAMP, "when the bar opens", unit="UTC")
    reason = Column(pl.String(), "which defect")
    detail = Column(pl.String(), "what was found, for a person")


TABLES: Final[tuple[type[Table], ...]] = (
    CandleTable,
    LiveCandleTable,
    FundingTable,
    SentimentTable,
    RegimeTable,
    SlippageTable,
    SetAsideTable,
    CandleQualityTable,
    PanelTable,
    CycleIndexTable,
)
