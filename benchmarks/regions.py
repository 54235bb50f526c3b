"""How often mining confirms a region where there is none, and how often it finds one that is there.

Each market is searched four times, on 180 days of its own each time, by real searches of a second; what they left in
the lake is mined. Thresholds were set on the seeds 0 to 19. Markets without an edge are searched with costs, which push
every region below 0, and without any, so that nothing but the test keeps luck out. An edge on one asset or in one
regime is strong, and asked for in a few markets only: whether it is found there, and nowhere else.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.evaluator import row
from quant_organism.backtest import Costs
from quant_organism.market.world.spec import Plant, WorldSpec
from quant_organism.validation.statistics.p_values import wilson_interval
from quant_organism.workflows.mining import Mining, mine_lake
from quant_organism_tests.workflows.mined_worlds import DAYS, MOMENTUM, TREND, in_regime, searched, world

SEEDS: Final = range(100, 140)
FEW: Final = range(100, 110)
FREE: Final = Costs(maker_fee=0.0, taker_fee=0.0, slippage_bps=0.0)
STRONG: Final = MOMENTUM.model_copy(update={"strength": 0.35})
ASSET, REGIME, LONG_DAYS = "SIM-1", ("correlation", "apart"), 360


def run() -> list[dict[str, Any]]:
    """Mine markets of five sorts, and count those that show a confirmed pattern."""
    sorts: list[tuple[str, Callable[[int], Mining], range]] = [
        ("no edge", lambda seed: mined(world(), seed), SEEDS),
        ("no edge, no costs", lambda seed: mined(world(), seed, costs=FREE), SEEDS),
        ("planted trend", lambda seed: mined(world(MOMENTUM), seed), SEEDS),
        ("planted on one asset", lambda seed: mined(world(_on(ASSET)), seed), FEW),
        ("planted in one regime", in_one_regime, FEW),
    ]
    rows = []
    for sort, mine_one, seeds in sorts:
        minings = [mine_one(seed) for seed in seeds]
        confirmed = [[p.region for p in each.patterns if p.status == "confirmed"] for each in minings]
        rows.append(share(f"{sort}: confirmed", sum(map(bool, confirmed)), seeds))
        for kind in ("genes", "asset", "regime"):
            regions = [{r.family for r in each if r.kind == kind} for each in confirmed]
            rows.append(share(f"{sort}: {kind}, trend families", sum(bool(f & set(TREND)) for f in regions), seeds))
            rows.append(share(f"{sort}: {kind}, other families", sum(bool(f - set(TREND)) for f in regions), seeds))
        elsewhere = [{(r.asset, r.regime) for r in each} - _meant(sort) for each in confirmed]
        rows.append(share(f"{sort}: another asset or regime", sum(map(bool, elsewhere)), seeds))
        statuses = Counter(pattern.status for each in minings for pattern in each.patterns)
        note = f"{dict(statuses)}, of {sum(each.looked_at for each in minings):,} regions in {len(minings)} markets"
        rows.append(row(f"{sort}: patterns", float(sum(statuses.values())), "patterns", note))
    return rows


def mined(spec: WorldSpec, seed: int, *, costs: Costs | None = None, days: int = DAYS) -> Mining:
    """Return what mining finds in the searches of a market."""
    with tempfile.TemporaryDirectory() as folder:
        return mine_lake(searched(spec, seed, Path(folder), costs=costs, days=days))["1h"]


def in_one_regime(seed: int) -> Mining:
    """Return what mining finds where the edge is there after days of one label alone."""
    spec = in_regime(world(days=LONG_DAYS), seed, *REGIME, STRONG)
    return mined(spec, seed, days=LONG_DAYS)


def _on(asset: str) -> Plant:
    return STRONG.model_copy(update={"symbols": (asset,)})


def _meant(sort: str) -> set[tuple[str, str]]:
    return {
        ("", ""),
        *{"planted on one asset": [(ASSET, "")], "planted in one regime": [("", ": ".join(REGIME))]}.get(sort, []),
    }


def share(name: str, markets: int, seeds: range) -> dict[str, Any]:
    """Return a row of a share of the markets."""
    low, high = wilson_interval(markets, len(seeds))
    note = f"{markets} of {len(seeds)} markets, seeds {seeds[0]} to {seeds[-1]}, 95 % interval {low:.3f} to {high:.3f}"
    return row(name, markets / len(seeds), "share", note)
