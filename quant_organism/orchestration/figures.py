"""What cycles took and what they gave, measured, over time: from what runs and assets have on record.

It is not in a cycle's own report, which is the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import dagster as dg

from quant_organism.orchestration.home import open_instance
from quant_organism.orchestration.markets import asset_keys, markets_of

_ASSETS: Final = ("evolved_population", "validated_strategies", "deployed_configs")
_AT_ONCE: Final = 500
_SECONDS_PER_HOUR: Final = 3_600.0


@dataclass(frozen=True)
class CycleFigures:
    """What one run of a cycle, or of its search alone, took and gave; None where it is not known.

    Attributes
    ----------
    ended
        When its search was on record, UTC, ISO 8601.
    date, market, interval, cycle
        Which cycle.
    hours
        From the beginning to the end of its run, all of its assets counted.
    hours_allowed
        What it was given.
    strategies_per_minute
        Genomes that the search measured.
    worker_use
        Share of the search's time that its workers were busy.
    generated, put_forward, validated, deployed
        Trials of the search; candidates that went into validation, and those that passed; strategies that entered
        the pool.
    cost_usd
        Of the whole run at the price of a worker's hour; None where no price was said.
    """

    ended: str
    date: str
    market: str
    interval: str
    cycle: str
    hours: float | None
    hours_allowed: float | None
    strategies_per_minute: float | None
    worker_use: float | None
    generated: int
    put_forward: int
    validated: int | None
    deployed: int | None
    cost_usd: float | None

    @property
    def cost_per_deployed_usd(self) -> float | None:
        """What a strategy that entered the pool has cost; None where none did."""
        return self.cost_usd / self.deployed if self.cost_usd is not None and self.deployed else None

    def document(self) -> dict[str, Any]:
        """Return all figures by their names."""
        return {**asdict(self), "cost_per_deployed_usd": self.cost_per_deployed_usd}


def cycle_figures(data_dir: Path) -> list[CycleFigures]:
    """Return the figures of every run of a cycle that a data folder has on record, in the order of time."""
    with open_instance(data_dir) as instance:
        found = [
            _figures(instance, market.market, market.interval, run_id, event, of_run)
            for market in markets_of(data_dir)
            for run_id, event, of_run in _searches(instance, market.key_prefix)
        ]
    return sorted(found, key=lambda one: (one.ended, one.market, one.interval))


def _searches(
    instance: dg.DagsterInstance, prefix: tuple[str, ...]
) -> Iterator[tuple[str, dg.EventLogRecord, Mapping[str, Mapping[str, Any]]]]:
    """Iterate over searches on record: their run, and what the assets of that run say of themselves."""
    population, *others = (_recorded(instance, key) for key in asset_keys(prefix, _ASSETS))
    by_run = [{(event.run_id, event.partition_key): event for event in events} for events in others]
    for event in population:
        place = event.run_id, event.partition_key
        said = {name: _said(events[place]) for name, events in zip(_ASSETS[1:], by_run, strict=True) if place in events}
        yield event.run_id, event, said


def _recorded(instance: dg.DagsterInstance, key: dg.AssetKey) -> list[dg.EventLogRecord]:
    records: list[dg.EventLogRecord] = []
    cursor = None
    while True:
        page = instance.fetch_materializations(key, _AT_ONCE, cursor, ascending=True)
        records += page.records
        if not page.has_more:
            return records
        cursor = page.cursor


def _figures(
    instance: dg.DagsterInstance,
    market: str,
    interval: str,
    run_id: str,
    event: dg.EventLogRecord,
    of_run: Mapping[str, Mapping[str, Any]],
) -> CycleFigures:
    search, run = _said(event), instance.get_run_record_by_id(run_id)
    seconds = run.end_time - run.start_time if run is not None and run.end_time and run.start_time else None
    hours = None if seconds is None else seconds / _SECONDS_PER_HOUR
    rate, price = _number(search, "evaluations per second"), _number(search, "USD for a worker's hour")
    judged, entered = (of_run.get(name, {}) for name in _ASSETS[1:])
    return CycleFigures(
        ended=datetime.fromtimestamp(event.timestamp, UTC).isoformat(timespec="seconds"),
        date=event.partition_key or "",
        market=market,
        interval=interval,
        cycle=str(search["cycle"]),
        hours=hours,
        hours_allowed=_number(search, "hours allowed"),
        strategies_per_minute=None if rate is None else 60.0 * rate,
        worker_use=_number(search, "worker use"),
        generated=int(search["trials"]),
        put_forward=int(search["candidates"]),
        validated=judged.get("survivors"),
        deployed=entered.get("deployed"),
        cost_usd=None if price is None or hours is None else price * search["workers"] * hours,
    )


def _said(event: dg.EventLogRecord) -> dict[str, Any]:
    recorded = event.asset_materialization
    return {} if recorded is None else {name: value.value for name, value in recorded.metadata.items()}


def _number(said: Mapping[str, Any], name: str) -> float | None:
    """Return a number that an asset has on record; None where it is missing or undefined."""
    value = said.get(name)
    return float(value) if isinstance(value, int | float) else None
