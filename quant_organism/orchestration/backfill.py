"""Past days lived through: the official cycle in the first night of each ISO week, marks on every night.

The same jobs as `run` and the nightly schedule use. What is done stands in the lake and in the documents alone, so that
whoever is interrupted begins again and goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date, timedelta

from quant_organism.cycle import Progress
from quant_organism.errors import InputError
from quant_organism.monitoring import LifeSpan, stored_runs
from quant_organism.orchestration.driver import Driver
from quant_organism.orchestration.jobs import official_day, official_line, official_seed
from quant_organism.orchestration.partitions import Days
from quant_organism.settings import Settings


def live_through(settings: Settings, first: date | None, last: date | None, progress: Progress) -> LifeSpan:
    """Live through days of the past, as the nights would have if the program had run then.

    A week that has a complete cycle already gets no second one; marks of a week are made by the cycle of the next one
    and after the last day, to the rows that each night would have booked.

    Parameters
    ----------
    settings
        Market, search, folders. The seed of each cycle follows from market, bars and week, its line from the week.
    first, last
        Days, both included; None: those of the market.
    progress
        Told what is going on.

    Returns
    -------
    LifeSpan
        The days that were lived through, to be told by `monitoring.life_of`.

    Raises
    ------
    InputError
        The days are the wrong way round, or the market lacks some of them.
    QuantOrganismError
        What a cycle raised; everything before it is kept.
    """
    driver = Driver(settings, progress)
    known = driver.all_days()
    first, last = first or known.first, last or known.last
    if first > last:
        raise InputError(f"the days end on {last}, before {first}", where="--from, --to", remedy="exchange them")
    market, interval = driver.source.market, driver.interval
    earliest, latest = driver.days(first), driver.days(last)
    driver.ingest(Days(earliest.first, latest.last))

    def complete() -> list[date]:
        runs = (run for run in stored_runs(settings.data_dir) if (run.market, run.interval) == (market, interval))
        return [run.day for run in runs if run.state == "complete"]

    def cycle(night: date) -> None:
        seed = official_seed(market, settings.market.symbols, interval.name, night)
        going_on = settings.search.model_copy(update={"resume": True})
        week = {
            "seed": seed,
            "line": official_line(night, known.first, settings.market.lookback_days),
            "search": going_on,
        }
        Driver(settings.model_copy(update=week), progress).cycle_at_rest(night)

    live_weeks(first, last, complete, cycle, progress)
    driver.mark(last)
    return LifeSpan(market, interval, first, last)


def live_weeks(
    first: date,
    last: date,
    complete: Callable[[], Collection[date]],
    cycle: Callable[[date], None],
    progress: Progress,
) -> None:
    """Run the cycle of the first night of each ISO week that has none yet, in order.

    Parameters
    ----------
    first, last
        Days, both included; the first one begins a week of its own where its week has no cycle.
    complete
        Returns the days of cycles that went through.
    cycle
        Runs the official cycle of a day.
    progress
        Told how many weeks are done.
    """
    nights = [first, *(day for day in _days(first, last)[1:] if day.weekday() == 0)]
    for done, night in enumerate(nights):
        progress("Weeks", done, len(nights), f"the week of {night}")
        if official_day(complete(), night) is None:
            cycle(night)
    progress("Weeks", len(nights), len(nights), f"lived through {first} to {last}")


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
