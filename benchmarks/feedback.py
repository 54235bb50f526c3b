"""How fast the archive follows an edge that changes: weekly cycles over many markets, with and without its founders.

Each market has one edge for 120 days and another one from then on; a cycle looks at 90 days, of which its search sees
the first 54, so that it meets the new edge 36 days late at the earliest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.evaluator import row
from quant_organism_tests.evolution.feedback import FADE, MOMENTUM, REVERSION, TREND, Week, market, weeks, world

SEEDS = range(100, 104)
SORTS = {
    "trend to reversion": (MOMENTUM, REVERSION, FADE),
    "reversion to trend": (REVERSION, MOMENTUM, TREND),
}


def run() -> list[dict[str, Any]]:
    """Measure, and return the weeks that it took and the share of the second edge at the end."""
    rows = []
    for sort, (first, second, families) in SORTS.items():
        markets = [market(world(first, second), seed) for seed in SEEDS]
        for founded, warm in (("with the archive", True), ("at random", False)):
            found = [list(weeks(panel, families, warm=warm)) for panel in markets]
            took = [weeks_to_move(one) for one in found]
            moved = [number for number in took if number is not None]
            ends = [one[-1].second_share for one in found]
            note = (
                f"cycles after first sight, founded {founded}: {len(moved)} of {len(found)} markets moved for good, "
                f"{min(moved, default=0)} to {max(moved, default=0)}; share of the second edge at the end "
                f"{np.mean(ends):.2f} ({min(ends):.2f} to {max(ends):.2f})"
            )
            rows.append(row(f"{sort}, {founded}", float(np.median(moved)), "cycles", note))
    return rows


def weeks_to_move(found: list[Week]) -> int | None:
    """Return the cycle, counted from the first that sees the new edge, from which on it holds most of the archive."""
    moved = [week.second_share > 0.5 for week in found if week.new_share > 0]
    late = len(moved) - next((place for place, has in enumerate(reversed(moved)) if not has), len(moved))
    return late + 1 if late < len(moved) else None
