"""Jobs: which assets are materialised together, and what the nightly schedule asks for."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, timedelta
from typing import Final

import dagster as dg

from quant_organism.orchestration.resources import LakeResource, MarketResource, SearchResource, launch_config
from quant_organism.validation.draws import derived_seed
from quant_organism.validation.holdout import week_of

MARKET_DATA: Final = ("candles", "funding", "sentiment")
"""What is brought into the lake."""

NIGHTLY: Final = "nightly_evolution"

OF_A_DAY: Final = dg.AssetSelection.all() - dg.AssetSelection.assets("system_health")
"""All that is made of a day of the market; health is of this moment, and has a job of its own."""

SEARCH: Final = dg.AssetSelection.assets("market_panel", "edge_pretest", "evolved_population")

ingest_market_data = dg.define_asset_job(
    "ingest_market_data",
    selection=dg.AssetSelection.assets(*MARKET_DATA),
    description="Candles and funding of a day, or of a range of days in one run.",
)

evolution_search = dg.define_asset_job(
    "evolution_search",
    selection=SEARCH.required_multi_asset_neighbors(),
    description="One search on market data that are in the lake already, without validation or deployment.",
)

evolution_cycle = dg.define_asset_job(
    "evolution_cycle",
    selection=OF_A_DAY - dg.AssetSelection.assets(*MARKET_DATA),
    description="One cycle on market data that are in the lake already: all that follows candles and funding.",
)

nightly_evolution = dg.define_asset_job(
    NIGHTLY,
    selection=OF_A_DAY,
    description="A day's market data, marks, and the cycle on them; the schedule asks for all of it once a week.",
)

JOBS: Final = [ingest_market_data, evolution_search, evolution_cycle, nightly_evolution]


MARKS: Final = (*MARKET_DATA, "market_regime", "evidence_days", "deployment_decisions")
"""What every night makes; the cycle that opens unseen days and bears strategies is made in a week's first alone."""


@dg.schedule(
    job=nightly_evolution,
    cron_schedule="30 0 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night at 00:30 UTC: the newest complete day's data, and the marks of all watched strategies; in "
    "the first night of an ISO week the official cycle as well. Days missed before it are fetched with it.",
)
def nightly(
    context: dg.ScheduleEvaluationContext, market: MarketResource, lake: LakeResource, search: SearchResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for the newest complete day, which brings the market data that are missing before it; weekly for a cycle."""
    yesterday = context.scheduled_execution_time.astimezone(UTC).date() - timedelta(days=1)
    _, last = market.open().span(market.bars)
    day, store = min(yesterday, last), lake.open()
    cycles = store.days("cycles", market=market.id, interval=market.interval)
    if cycles and cycles[-1] >= day:
        yield dg.SkipReason(f"{market.id} has complete days to {last}; the cycle of {cycles[-1]} has run already.")
        return
    official = official_day(cycles, day)
    if official is None:
        seed = official_seed(market.id, market.symbols, market.interval, day)
        yield dg.RunRequest(
            run_key=f"nightly {market.id} {market.interval} {day}",
            partition_key=day.isoformat(),
            run_config=dg.RunConfig(resources={"search": launch_config(search, seed=seed)}),
        )
    else:
        yield dg.RunRequest(
            run_key=f"marks {market.id} {market.interval} {day}",
            partition_key=day.isoformat(),
            asset_selection=[dg.AssetKey(name) for name in MARKS],
        )


def official_day(cycles: Iterable[date], day: date) -> date | None:
    """Return the first day of a day's ISO week that has a cycle, none where there is none yet."""
    return min((other for other in cycles if week_of(other) == week_of(day)), default=None)


def official_seed(market: str, symbols: Sequence[str] | None, interval: str, day: date) -> int:
    """Return the seed of the official cycle of a day's ISO week: of market, symbols, bars and week alone."""
    return derived_seed(market, ",".join(symbols or ()), interval, str(week_of(day)))
