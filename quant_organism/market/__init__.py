"""Market data: where candles and funding come from, the lake that keeps them, their quality, and the panel of arrays.

What a strategy does with prices belongs to `strategies`; orders and venues live elsewhere.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quant_organism.market.cycles import CycleIndex, cycle_id
    from quant_organism.market.files.source import FileSource
    from quant_organism.market.lake import Lake, MarketEntry
    from quant_organism.market.lines import (
        LINE_DAYS,
        MIN_SHORT_DAYS,
        Line,
        has_unseen,
        line_of,
        line_of_week,
        promised,
        splits_of,
        week_of,
    )
    from quant_organism.market.manifest import assess_candles, describe_panel, rebuild_panel
    from quant_organism.market.panel import Panel, build_panel
    from quant_organism.market.quality import summarise
    from quant_organism.market.regimes import MODULES, RegimeModule, StoredRegimes, store_regimes
    from quant_organism.market.schema import (
        MS_PER_DAY,
        MS_PER_HOUR,
        TIMESTAMP,
        Interval,
        check_market_id,
        choose_symbols,
        day_of,
        day_start_ms,
        format_ms,
    )
    from quant_organism.market.sentiment import beyond, read_sentiment
    from quant_organism.market.source import CandleSource
    from quant_organism.market.splits import LONGEST_HOLDING_HOURS, MIN_DAYS, Span, Splits, split
    from quant_organism.market.stored import StoredTable, encode
    from quant_organism.market.table import BY_CYCLE, BY_INTERVAL, Column, Columns, Table
    from quant_organism.market.tables import (
        TABLES,
        CandleQualityTable,
        CandleTable,
        CycleIndexTable,
        FundingTable,
        LiveCandleTable,
        PanelTable,
        RegimeTable,
        SentimentTable,
        SetAsideTable,
        SlippageTable,
    )
    from quant_organism.market.world.continuation import continued
    from quant_organism.market.world.source import WorldSource
    from quant_organism.market.world.spec import Asset, Plant, PlantFamily, WorldSpec, load_world

__all__ = [
    "BY_CYCLE",
    "BY_INTERVAL",
    "LINE_DAYS",
    "LONGEST_HOLDING_HOURS",
    "MIN_DAYS",
    "MIN_SHORT_DAYS",
    "MODULES",
    "MS_PER_DAY",
    "MS_PER_HOUR",
    "TABLES",
    "TIMESTAMP",
    "Asset",
    "CandleQualityTable",
    "CandleSource",
    "CandleTable",
    "Column",
    "Columns",
    "CycleIndex",
    "CycleIndexTable",
    "FileSource",
    "FundingTable",
    "Interval",
    "Lake",
    "Line",
    "LiveCandleTable",
    "MarketEntry",
    "Panel",
    "PanelTable",
    "Plant",
    "PlantFamily",
    "RegimeModule",
    "RegimeTable",
    "SentimentTable",
    "SetAsideTable",
    "SlippageTable",
    "Span",
    "Splits",
    "StoredRegimes",
    "StoredTable",
    "Table",
    "WorldSource",
    "WorldSpec",
    "assess_candles",
    "beyond",
    "build_panel",
    "check_market_id",
    "choose_symbols",
    "continued",
    "cycle_id",
    "day_of",
    "day_start_ms",
    "describe_panel",
    "encode",
    "format_ms",
    "has_unseen",
    "line_of",
    "line_of_week",
    "load_world",
    "promised",
    "read_sentiment",
    "rebuild_panel",
    "split",
    "splits_of",
    "store_regimes",
    "summarise",
    "week_of",
]

_HOMES = {
    "BY_CYCLE": "table",
    "BY_INTERVAL": "table",
    "LINE_DAYS": "lines",
    "LONGEST_HOLDING_HOURS": "splits",
    "MIN_DAYS": "splits",
    "MIN_SHORT_DAYS": "lines",
    "MODULES": "regimes",
    "MS_PER_DAY": "schema",
    "MS_PER_HOUR": "schema",
    "TABLES": "tables",
    "TIMESTAMP": "schema",
    "Asset": "world.spec",
    "CandleQualityTable": "tables",
    "CandleSource": "source",
    "CandleTable": "tables",
    "Column": "table",
    "Columns": "table",
    "CycleIndex": "cycles",
    "CycleIndexTable": "tables",
    "FileSource": "files.source",
    "FundingTable": "tables",
    "Interval": "schema",
    "Lake": "lake",
    "Line": "lines",
    "LiveCandleTable": "tables",
    "MarketEntry": "lake",
    "Panel": "panel",
    "PanelTable": "tables",
    "Plant": "world.spec",
    "PlantFamily": "world.spec",
    "RegimeModule": "regimes",
    "RegimeTable": "tables",
    "SentimentTable": "tables",
    "SetAsideTable": "tables",
    "SlippageTable": "tables",
    "Span": "splits",
    "Splits": "splits",
    "StoredRegimes": "regimes",
    "StoredTable": "stored",
    "Table": "table",
    "WorldSource": "world.source",
    "WorldSpec": "world.spec",
    "assess_candles": "manifest",
    "beyond": "sentiment",
    "build_panel": "panel",
    "check_market_id": "schema",
    "choose_symbols": "schema",
    "continued": "world.continuation",
    "cycle_id": "cycles",
    "day_of": "schema",
    "day_start_ms": "schema",
    "describe_panel": "manifest",
    "encode": "stored",
    "format_ms": "schema",
    "has_unseen": "lines",
    "line_of": "lines",
    "line_of_week": "lines",
    "load_world": "world.spec",
    "promised": "lines",
    "read_sentiment": "sentiment",
    "rebuild_panel": "manifest",
    "split": "splits",
    "splits_of": "lines",
    "store_regimes": "regimes",
    "summarise": "quality",
    "week_of": "lines",
}

# Most of the program needs an interval or a panel, and neither the lake nor its formats.
if not TYPE_CHECKING:  # so that mypy knows the names above and no others

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            from importlib import import_module

            return getattr(import_module(f"quant_organism.market.{_HOMES[name]}"), name)
        raise AttributeError(f"module {__name__} has no attribute {name}")
