"""The health of the whole: one score and one level of all components, in which the trader's worst decides; its history.

The score is the weighted share of what works among all that is in use. A trader that fails, or of which something is
not known, keeps it at *poor* or below; any other component that fails, at *degraded* or below.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

import polars as pl

from quant_organism.market import Lake
from quant_organism.monitoring.components import ComponentHealth
from quant_organism.monitoring.tables import SystemHealthTable

Level = Literal["excellent", "good", "degraded", "poor", "critical", "unknown"]

LEVELS: Final[tuple[tuple[float, Level], ...]] = (
    (0.95, "excellent"),
    (0.85, "good"),
    (0.70, "degraded"),
    (0.50, "poor"),
)
"""The least score of each level, best first; below the last it is critical."""

WEIGHTS: Final = {
    "feed": 3.0,
    "venue": 3.0,
    "ledger": 3.0,
    "risk": 3.0,
    "clock": 1.0,
    "disk": 2.0,
    "lake": 2.0,
    "quality": 1.0,
    "schedule": 2.0,
    "search": 1.0,
    "strategies": 1.0,
    "workflows": 1.0,
    "dagster": 1.0,
    "alerts": 1.0,
}
"""What each component counts, by its name: all that there are."""

TRADER: Final = ("feed", "venue", "ledger", "risk", "clock")
"""Components of the trader: the worst of them decides."""

_CREDIT: Final = {"ok": 1.0, "degraded": 0.5, "failed": 0.0, "unknown": 0.0}
_POOR, _DEGRADED = 0.50, 0.70


@dataclass(frozen=True)
class SystemHealth:
    """How everything is, at one time.

    Attributes
    ----------
    at_ms
        When it was measured, UTC milliseconds.
    components
        Each once.
    """

    at_ms: int
    components: tuple[ComponentHealth, ...]

    @property
    def score(self) -> float | None:
        """From 0 to 1; none where nothing is in use but a disk with room on it."""
        used = [one for one in self.components if one.status != "unused"]
        if all(one.component == "disk" and one.status == "ok" for one in used):
            return None
        score = sum(_CREDIT[one.status] * WEIGHTS[one.component] for one in used) / sum(
            WEIGHTS[one.component] for one in used
        )
        if any(one.status in ("failed", "unknown") for one in used if one.component in TRADER):
            return min(score, _POOR)
        return min(score, _DEGRADED) if any(one.status == "failed" for one in used) else score

    @property
    def level(self) -> Level:
        """What the score is called."""
        if (score := self.score) is None:
            return "unknown"
        return next((level for least, level in LEVELS if score >= least), "critical")

    @property
    def is_well(self) -> bool:
        """Whether nothing failed and nothing is unknown that should be known."""
        return not any(one.status in ("failed", "unknown") for one in self.components)

    @property
    def ailing(self) -> tuple[ComponentHealth, ...]:
        """Components that are not well, the worst first."""
        order = ("failed", "unknown", "degraded")
        return tuple(
            sorted((one for one in self.components if one.status in order), key=lambda one: order.index(one.status))
        )


def record(lake: Lake, health: SystemHealth, *, market: str, interval: str) -> pl.DataFrame:
    """Add a measurement to the history of its UTC day, and return its rows.

    Raises
    ------
    InputError, StorageError
        As the lake does.
    """
    at = datetime.fromtimestamp(health.at_ms / 1e3, UTC)
    stored, day = lake.table(SystemHealthTable), at.date()
    rows = SystemHealthTable.frame(
        (
            at,
            one.component,
            one.status,
            one.value,
            one.unit,
            one.age_s,
            one.found,
            one.remedy,
            health.score,
            health.level,
        )
        for one in health.components
    )
    held = day in stored.days(market=market, interval=interval)
    before = stored.read_day(day, market=market, interval=interval) if held else SystemHealthTable.empty()
    others = before.filter(pl.col(SystemHealthTable.measured) != at)
    stored.write(pl.concat([others, rows]), market=market, day=day, interval=interval)
    return rows


def last_recorded(lake: Lake, *, market: str, interval: str) -> tuple[datetime, str] | None:
    """Return when health was recorded last, and the level; none where it never was."""
    stored = lake.table(SystemHealthTable)
    if not (days := stored.days(market=market, interval=interval)):
        return None
    newest = stored.read_day(days[-1], market=market, interval=interval).sort(SystemHealthTable.measured).tail(1)
    return newest[SystemHealthTable.measured].item(), newest[SystemHealthTable.level].item()
