"""What a run will take, told before it begins from what runs of its size took: nothing where there was none."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from statistics import median
from typing import Final

import dagster as dg

SIZE_TAG: Final = "quant_organism/size"
"""Tag of runs: whoever has the same does as much work, on as many threads or workers."""

_RUNS_LOOKED_AT: Final = 5
_SECONDS_PER_HOUR: Final = 3_600.0


@dataclass(frozen=True)
class RunEstimate:
    """What runs of a size took, and hence what the next one will.

    Attributes
    ----------
    runs
        Finished runs that it rests on, the newest, at most five.
    seconds, fewest_seconds, most_seconds
        Their median, least and most.
    cost_usd
        At the price of a worker's hour; None where no price was said.
    """

    runs: int
    seconds: float
    fewest_seconds: float
    most_seconds: float
    cost_usd: float | None

    @property
    def sentence(self) -> str:
        """The estimate as a person reads it."""
        by = "the last run" if self.runs == 1 else f"the last {self.runs} runs"
        spread = "" if self.runs == 1 else f" ({_duration(self.fewest_seconds)} to {_duration(self.most_seconds)})"
        cost = "" if self.cost_usd is None else f"; about {self.cost_usd:.2f} USD"
        return f"some {_duration(self.seconds)}, by {by} of this size{spread}{cost}"


def size_of(*parts: object) -> str:
    """Return the mark of a size: equal parts, equal mark."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def estimated(
    instance: dg.DagsterInstance, job: str, size: str, *, price_usd: float | None, workers: int
) -> RunEstimate | None:
    """Return what finished runs of a job and a size took; None where there was none.

    Parameters
    ----------
    instance
        Where runs are on record.
    job, size
        Name of the job, and the mark by `size_of`.
    price_usd
        Of a worker's hour; None: not known.
    workers
        How many are paid for at a time.
    """
    wanted = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS], tags={SIZE_TAG: size})
    records = instance.get_run_records(wanted, limit=_RUNS_LOOKED_AT)
    took = [one.end_time - one.start_time for one in records if one.start_time is not None and one.end_time is not None]
    if not took:
        return None
    seconds = float(median(took))
    cost = None if price_usd is None else price_usd * workers * seconds / _SECONDS_PER_HOUR
    return RunEstimate(len(took), seconds, min(took), max(took), cost)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    minutes = seconds / 60
    return f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"
