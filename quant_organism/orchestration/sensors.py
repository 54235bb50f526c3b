"""The re-evolution sensor: search again when there are newer data, or when a deployed strategy has decayed."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final, Self

import dagster as dg
from pydantic import BaseModel

from quant_organism.deployment import DEPLOYED, StrategyConfig
from quant_organism.orchestration.home import is_in_progress
from quant_organism.orchestration.jobs import evolution_cycle
from quant_organism.orchestration.resources import (
    LakeResource,
    MarketResource,
    SearchResource,
    StrategiesResource,
    launch_config,
)

_ENDED: Final = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}

DECAYED_BELOW: Final = 0.5
"""Share of its validated Sharpe ratio below which a strategy's newest performance counts as decayed."""


class Cursor(BaseModel):
    """What the sensor asked for already.

    Attributes
    ----------
    newest_day
        By market and interval, the newest day of data that a cycle was asked for.
    decayed
        By strategy, the moment of the performance that a search was asked for.
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


@dg.sensor(
    job=evolution_cycle,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Asks for a cycle when market data are newer than the last cycle's, or when the newest performance of a "
        "deployed strategy fell below half of its validated Sharpe ratio."
    ),
)
def re_evolution(
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
    if newest > max(last, cursor.newest_day.get(here, last)):
        cursor.newest_day[here] = newest
        request = dg.RunRequest(run_key=f"newer data: {here} {newest}", partition_key=newest.isoformat())
        return dg.SensorResult(run_requests=[request], cursor=cursor.model_dump_json())
    watched = _watched(strategies, market)
    fallen = [d for d in watched if _has_decayed(d) and cursor.decayed.get(d.id) != d.performance[-1].observed_at]
    if fallen:
        cursor.decayed |= {d.id: d.performance[-1].observed_at for d in fallen}
        cursor.fresh_seeds += 1
        return dg.SensorResult(
            run_requests=[_search_again(fallen, newest, search, search.seed + cursor.fresh_seeds)],
            cursor=cursor.model_dump_json(),
        )
    return dg.SensorResult(skip_reason=_nothing_to_do(here, newest, last, cursor, watched))


def _runs_in_progress(instance: dg.DagsterInstance, data_dir: Path) -> int:
    """Count runs that are not over: an import shall end before its days are evolved, a cycle before the next."""
    statuses = [status for status in dg.DagsterRunStatus if status not in _ENDED]
    unfinished = instance.get_runs(dg.RunsFilter(statuses=statuses))
    return sum(is_in_progress(instance, run, data_dir) for run in unfinished)


def _watched(strategies: StrategiesResource, market: MarketResource) -> list[StrategyConfig]:
    return [
        document
        for document in strategies.open().load_all().documents
        if document.stage in DEPLOYED
        and document.performance
        and document.provenance.market == market.id
        and document.interval == market.interval
    ]


def _ratio(document: StrategyConfig) -> float | None:
    """Return the newest Sharpe ratio as a share of the validated one; nothing where either says nothing."""
    newest = document.performance[-1].sharpe
    return newest / document.fitness if newest is not None and document.fitness > 0 else None


def _has_decayed(document: StrategyConfig) -> bool:
    ratio = _ratio(document)
    return ratio is not None and ratio < DECAYED_BELOW


def _search_again(fallen: Sequence[StrategyConfig], day: date, search: SearchResource, seed: int) -> dg.RunRequest:
    moments = " ".join(f"{d.id}@{d.performance[-1].observed_at}" for d in fallen)
    return dg.RunRequest(
        run_key=f"decayed: {moments}",
        partition_key=day.isoformat(),
        run_config=dg.RunConfig(resources={"search": launch_config(search, seed=seed)}),
    )


def _nothing_to_do(here: str, newest: date, last: date, cursor: Cursor, watched: Sequence[StrategyConfig]) -> str:
    asked = cursor.newest_day.get(here)
    data = f"{here}: newest data {newest}, last cycle {last}" + (f", asked for {asked}" if asked else "")
    ratios = [ratio for document in watched if (ratio := _ratio(document)) is not None]
    if not ratios:
        return f"{data}; 0 deployed strategies have a performance to compare."
    fallen = sum(ratio < DECAYED_BELOW for ratio in ratios)
    return (
        f"{data}; {len(ratios)} deployed strategies were compared, the lowest at {min(ratios):.0%} of its validated "
        f"Sharpe ratio (below {DECAYED_BELOW:.0%} counts as decayed; {fallen} of them were answered already)."
    )
