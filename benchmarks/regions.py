"""How often mining confirms a region where there is none, and how often it finds one that is there.

Each market is searched four times, on 180 days of its own each time, by real searches of a second; what they left in
the lake is mined. Thresholds were set on the seeds 0 to 19. Markets without an edge are searched with costs, which push
every region below 0, and without any, so that nothing but the test keeps luck out.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Final

from benchmarks.evaluator import row
from quant_organism.backtest import Costs
from quant_organism.market.world.spec import Plant
from quant_organism.validation.statistics.p_values import wilson_interval
from quant_organism.workflows.mining import Mining, mine_lake
from quant_organism_tests.workflows.mined_worlds import MOMENTUM, TREND, searched, world

SEEDS: Final = range(100, 140)
FREE: Final = Costs(maker_fee=0.0, taker_fee=0.0, slippage_bps=0.0)


def run() -> list[dict[str, Any]]:
    """Mine markets of three sorts, and count those that show a confirmed pattern."""
    rows = []
    sorts: dict[str, tuple[tuple[Plant, ...], Costs]] = {
        "no edge": ((), Costs()),
        "no edge, no costs": ((), FREE),
        "planted trend": ((MOMENTUM,), Costs()),
    }
    for sort, (plants, costs) in sorts.items():
        minings = [mined(plants, costs, seed) for seed in SEEDS]
        confirmed = [[p.region.family for p in each.patterns if p.status == "confirmed"] for each in minings]
        rows.append(share(f"{sort}: confirmed", sum(bool(families) for families in confirmed)))
        if plants:
            rows.append(share(f"{sort}: its families", sum(bool(set(f) & set(TREND)) for f in confirmed)))
            rows.append(share(f"{sort}: other families", sum(bool(set(f) - set(TREND)) for f in confirmed)))
        statuses = Counter(pattern.status for each in minings for pattern in each.patterns)
        note = f"{dict(statuses)}, of {sum(each.looked_at for each in minings):,} regions in {len(minings)} markets"
        rows.append(row(f"{sort}: patterns", float(sum(statuses.values())), "patterns", note))
    return rows


def mined(plants: tuple[Plant, ...], costs: Costs, seed: int) -> Mining:
    """Return what mining finds in the searches of a market."""
    with tempfile.TemporaryDirectory() as folder:
        return mine_lake(searched(world(*plants), seed, Path(folder), costs=costs))["1h"]


def share(name: str, markets: int) -> dict[str, Any]:
    """Return a row of a share of the markets."""
    low, high = wilson_interval(markets, len(SEEDS))
    note = f"{markets} of {len(SEEDS)} markets, seeds {SEEDS[0]} to {SEEDS[-1]}, 95 % interval {low:.3f} to {high:.3f}"
    return row(name, markets / len(SEEDS), "share", note)
