"""The re-evolution sensor: a cycle when data begin a week without one, a search in sample when a strategy decays."""

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final, Self

import dagster as dg
from pydantic import BaseModel

from quant_organism.deployment import StrategyConfig
from quant_organism.market import Line
from quant_organism.orchestration.home import is_in_progress
from quant_organism.orchestration.jobs import CYCLE, IN_SAMPLE, official_day, official_line
from quant_organism.orchestration.resources import (
    LakeResource,
    MarketResource,
    SearchResource,
    StrategiesResource,
    launch_config,
)

_ENDED: Final = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


class Cursor(BaseModel):
    """What the sensor asked for already.

    Attributes
    ----------
    newest_day
        By market and interval, the newest day of data that a cycle was asked for.
    decayed
        By strategy, the moment of the move to decaying that a search was asked for.
    fresh_seeds
        Searches asked for because of decay: each gets a seed of its own, or it would find the same again.
    """

    newest_day: dict[str, date] = {}
    decayed: dict[str, str] = {}
    fresh_seeds: int = 0

    @classmethod
    def read(cls, text: str | None) -> Self:
        """Return the cursor that an earlier evaluation left."""
        return cls.model_validate_json(text) if text else cls()


def re_evolution_of(jobs: Iterable[Any], status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """Return the sensor of a market.

    Parameters
    ----------
    jobs
        Those of the market; it asks for two of them.
    status
        Whether it is on until somebody says otherwise.
    """

    @dg.sensor(
        name="re_evolution",
        jobs=[job for job in jobs if job.name in (CYCLE, IN_SAMPLE)],
        minimum_interval_seconds=60,
        default_status=status,
        description=(
            "Asks for a cycle when market data have begun an ISO week that has none, and for a search in sample, which "
            "feeds the archive and bears nobody, when a strategy was moved to decaying: by its shortfall (CUSUM above "
            "25, some 12 % false alarms a year), its size or its drawdown."
        ),
    )
    def re_evolution(
        context: dg.SensorEvaluationContext,
        market: MarketResource,
        lake: LakeResource,
        strategies: StrategiesResource,
        search: SearchResource,
    ) -> dg.SensorResult:
        return _asked_now(context, market, lake, strategies, search)

    return re_evolution


def _asked_now(
    context: dg.SensorEvaluationContext,
    market: MarketResource,
    lake: LakeResource,
    strategies: StrategiesResource,
    search: SearchResource,
) -> dg.SensorResult:
    """Compare what is at rest with what was asked for before."""
    cursor, here, store = Cursor.read(context.cursor), f"{market.id} {market.interval}", lake.open()
    cycles = store.days("cycles", market=market.id, interval=market.interval)
    if not cycles:
        return dg.SensorResult(skip_reason=f"{here}: 0 cycles so far; the first one is started by hand or at night.")
    newest, last = store.days("candles", market=market.id, interval=market.interval)[-1], cycles[-1]
    if (running := _runs_in_progress(context.instance, lake.data_dir)) > 0:
        return dg.SensorResult(skip_reason=f"{here}: newest data {newest}; {running} runs are queued or in progress.")
    official = official_day(cycles, newest)
    if official is None and newest > max(last, cursor.newest_day.get(here, last)):
        cursor.newest_day[here] = newest
        first, _ = market.open().span(market.bars)
        line = official_line(newest, first, market.lookback_days)
        request = dg.RunRequest(
            run_key=f"newer data: {here} {newest}",
            job_name=CYCLE,
            partition_key=newest.isoformat(),
            run_config=dg.RunConfig(resources={"search": launch_config(search, line=line)}),
        )
        return dg.SensorResult(run_requests=[request], cursor=cursor.model_dump_json())
    decaying = _decaying(strategies, market)
    fallen = [document for document in decaying if cursor.decayed.get(document.id) != document.entered_stage]
    if fallen:
        cursor.decayed |= {document.id: document.entered_stage for document in fallen}
        requests = []
        for line, of_line in _by_line(fallen).items():
            cursor.fresh_seeds += 1
            requests.append(_search_again(of_line, newest, search, line, search.seed + cursor.fresh_seeds))
        return dg.SensorResult(run_requests=requests, cursor=cursor.model_dump_json())
    asked = cursor.newest_day.get(here)
    data = f"{here}: newest data {newest}, last cycle {last}" + (f", asked for {asked}" if asked else "")
    week = f"; its week had its cycle on {official}" if official else ""
    return dg.SensorResult(skip_reason=f"{data}{week}; {len(decaying)} strategies decay, and were answered already.")


def _runs_in_progress(instance: dg.DagsterInstance, data_dir: Path) -> int:
    """Count runs that are not over: an import shall end before its days are evolved, a cycle before the next."""
    statuses = [status for status in dg.DagsterRunStatus if status not in _ENDED]
    unfinished = instance.get_runs(dg.RunsFilter(statuses=statuses))
    return sum(is_in_progress(instance, run, data_dir) for run in unfinished)


def _decaying(strategies: StrategiesResource, market: MarketResource) -> list[StrategyConfig]:
    return [
        document
        for document in strategies.open().load_all(stage="decaying").documents
        if document.provenance.market == market.id and document.interval == market.interval
    ]


def _by_line(fallen: Sequence[StrategyConfig]) -> dict[Line, list[StrategyConfig]]:
    """Return strategies by the line that bore them: each line has an archive of its own."""
    lines: dict[Line, list[StrategyConfig]] = {}
    for document in fallen:
        lines.setdefault("short" if document.promises_in_sample else "long", []).append(document)
    return lines


def _search_again(
    fallen: Sequence[StrategyConfig], day: date, search: SearchResource, line: Line, seed: int
) -> dg.RunRequest:
    moments = " ".join(f"{document.id}@{document.entered_stage}" for document in fallen)
    return dg.RunRequest(
        run_key=f"decayed: {moments}",
        job_name=IN_SAMPLE,
        partition_key=day.isoformat(),
        run_config=dg.RunConfig(resources={"search": launch_config(search, seed=seed, line=line)}),
    )
