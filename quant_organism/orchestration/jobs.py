"""Jobs: which assets are materialised together."""

from typing import Final

import dagster as dg

MARKET_DATA: Final = dg.AssetSelection.assets("candles", "funding", "sentiment")

SEARCH: Final = dg.AssetSelection.assets("market_panel", "edge_pretest", "evolved_population")

ingest_market_data = dg.define_asset_job(
    "ingest_market_data",
    selection=MARKET_DATA,
    description="Candles and funding of a day, or of a range of days in one run.",
)

evolution_search = dg.define_asset_job(
    "evolution_search",
    selection=SEARCH.required_multi_asset_neighbors(),
    description="One search on market data that are in the lake already, without validation or deployment.",
)

evolution_cycle = dg.define_asset_job(
    "evolution_cycle",
    selection=dg.AssetSelection.all() - MARKET_DATA,
    description="One cycle on market data that are in the lake already: all that follows candles and funding.",
)

nightly_evolution = dg.define_asset_job(
    "nightly_evolution",
    selection=dg.AssetSelection.all(),
    description="A day's market data and the cycle on them: what the schedule runs every night.",
)

JOBS: Final = [ingest_market_data, evolution_search, evolution_cycle, nightly_evolution]
