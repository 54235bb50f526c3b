"""Jobs: which assets are materialised together, and what the nightly schedule asks for."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import dagster as dg

from quant_organism.market import MIN_SHORT_DAYS, Line, line_of_week, week_of
from quant_organism.orchestration.markets import asset_keys
from quant_organism.orchestration.resources import LakeResource, MarketResource, SearchResource, launch_config
from quant_organism.validation.draws import derived_seed

MARKET_DATA: Final = ("candles", "funding", "sentiment")
"""What is brought into the lake."""

NIGHTLY: Final = "nightly_evolution"
CYCLE: Final = "evolution_cycle"

SEARCH: Final = ("market_panel", "edge_pretest", "evolved_population")
"""What a search alone needs."""

IN_SAMPLE: Final = "in_sample_evolution"
"""Job that searches for the archive alone."""

MARKS: Final = (*MARKET_DATA, "market_regime", "evidence_days", "deployment_decisions")
"""What every night makes; the cycle that opens unseen days and bears strategies is made in a week's first alone."""


def jobs_of(prefix: Sequence[str]) -> list[Any]:
    """Return the jobs on the assets of a market.

    Parameters
    ----------
    prefix
        What the keys of its assets begin with.
    """
    market_data = dg.AssetSelection.assets(*asset_keys(prefix, MARKET_DATA))
    # Health is of this moment, and what workflows make is theirs: neither follows market data, and both have own jobs.
    of_a_day = market_data.downstream()
    return [
        dg.define_asset_job(
            "ingest_market_data",
            selection=market_data,
            description="Candles and funding of a day, or of a range of days in one run.",
        ),
        dg.define_asset_job(
            "evolution_search",
            selection=dg.AssetSelection.assets(*asset_keys(prefix, SEARCH)).required_multi_asset_neighbors(),
            description="One search on market data that are in the lake already, without validation or deployment.",
        ),
        dg.define_asset_job(
            IN_SAMPLE,
            selection=dg.AssetSelection.assets(
                *asset_keys(prefix, [*SEARCH, "strategy_archive"])
            ).required_multi_asset_neighbors(),
            description="One search that feeds the archive: nothing is judged, opened or borne. The sensor asks for it "
            "after a fall to decaying.",
        ),
        dg.define_asset_job(
            CYCLE,
            selection=of_a_day - market_data,
            description="One cycle on market data that are in the lake already: all that follows candles and funding.",
        ),
        dg.define_asset_job(
            NIGHTLY,
            selection=of_a_day,
            description="A day's market data, marks, and the cycle on them; the schedule asks for all of it weekly.",
        ),
    ]


def nightly_of(prefix: Sequence[str], status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    """Return the schedule of a market's nights.

    Parameters
    ----------
    prefix
        What the keys of its assets begin with.
    status
        Whether it is on until somebody says otherwise.
    """

    @dg.schedule(
        name="nightly",
        job_name=NIGHTLY,
        cron_schedule="30 0 * * *",
        execution_timezone="UTC",
        default_status=status,
        description="Every night at 00:30 UTC: the newest complete day's data, and the marks of all watched "
        "strategies; in the first night of an ISO week the official cycle as well, on the long line in odd weeks, "
        "counted from 1970-01-05, and on the short one in even weeks. Days missed before it are fetched with it.",
    )
    def nightly(
        context: dg.ScheduleEvaluationContext, market: MarketResource, lake: LakeResource, search: SearchResource
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        yield _asked_tonight(context.scheduled_execution_time, market, lake, search, asset_keys(prefix, MARKS))

    return nightly


def _asked_tonight(
    now: datetime, market: MarketResource, lake: LakeResource, search: SearchResource, marks: Sequence[dg.AssetKey]
) -> dg.RunRequest | dg.SkipReason:
    """Ask for the newest complete day, which brings the market data that are missing before it; weekly for a cycle."""
    yesterday = now.astimezone(UTC).date() - timedelta(days=1)
    first, last = market.open().span(market.bars)
    day, store = min(yesterday, last), lake.open()
    cycles = store.days("cycles", market=market.id, interval=market.interval)
    if cycles and cycles[-1] >= day:
        return dg.SkipReason(f"{market.id} has complete days to {last}; the cycle of {cycles[-1]} has run already.")
    if official_day(cycles, day) is None:
        seed = official_seed(market.id, market.symbols, market.interval, day)
        line = official_line(day, first, market.lookback_days)
        return dg.RunRequest(
            run_key=f"nightly {market.id} {market.interval} {day}",
            partition_key=day.isoformat(),
            run_config=dg.RunConfig(resources={"search": launch_config(search, seed=seed, line=line)}),
        )
    return dg.RunRequest(
        run_key=f"marks {market.id} {market.interval} {day}", partition_key=day.isoformat(), asset_selection=marks
    )


def official_day(cycles: Iterable[date], day: date) -> date | None:
    """Return the first day of a day's ISO week that has a cycle, none where there is none yet."""
    return min((other for other in cycles if week_of(other) == week_of(day)), default=None)


def official_seed(market: str, symbols: Sequence[str] | None, interval: str, day: date) -> int:
    """Return the seed of the official cycle of a day's ISO week: of market, symbols, bars and week alone."""
    return derived_seed(market, ",".join(symbols or ()), interval, str(week_of(day)))


def official_line(day: date, first: date, lookback_days: int | None) -> Line:
    """Return the line of the official cycle of a day's ISO week: its week's, or long where the short one has no room.

    Parameters
    ----------
    day
        Of the cycle.
    first
        First day of the market.
    lookback_days
        Days that are looked back at most; None: as many as the line sees.
    """
    days = (day - first).days + 1
    has_room = min(days, lookback_days or days) >= MIN_SHORT_DAYS
    return line_of_week(day) if has_room else "long"
