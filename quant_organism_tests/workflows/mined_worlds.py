"""Small searches on simulated markets, their records in a lake: what mining has to work with.

Each market is searched in consecutive stretches of days by searches of their own, as cycles months apart would do.
"""

from datetime import date
from pathlib import Path

from quant_organism.backtest import Costs
from quant_organism.cycle import Compute, Cycle, CyclePlan, SplitPanel
from quant_organism.cycle.stages import search
from quant_organism.evolution import EvolutionSpec
from quant_organism.evolution.tables import PopulationTable
from quant_organism.market import Lake, Panel, day_of
from quant_organism.market.world.generator import generate
from quant_organism.market.world.spec import Asset, Plant, WorldSpec
from quant_organism.validation.profile import Profile
from quant_organism.validation.significance_records import pretest_frame
from quant_organism.validation.statistics.evidence import NotRun

TREND = ("donchian_breakout", "ema_crossover", "sma_trend_filter")
FADE = ("rsi_filter", "stochastic_oscillator", "vwap_reversion")
SPEC = EvolutionSpec(families=(*TREND, *FADE), islands=2, population=36, generations=1, min_trades=10)
SEARCHES, DAYS = 4, 180
MOMENTUM = Plant(family="momentum", strength=0.15)


def world(*plants: Plant, searches: int = SEARCHES, days: int = DAYS) -> WorldSpec:
    """Return a market of four assets, long enough for its searches."""
    return WorldSpec(
        name="mined",
        start=date(2022, 1, 1),
        days=searches * days,
        assets=tuple(Asset(symbol=f"SIM-{n}", volatility=1.0 + 0.2 * n) for n in range(4)),
        plants=plants,
    )


def searched(spec: WorldSpec, seed: int, folder: Path, *, costs: Costs | None = None, days: int = DAYS) -> Lake:
    """Search a market stretch by stretch, and return the lake that holds the records."""
    lake, panel = Lake(folder / "lake"), generate(spec, seed)[0].panel()
    for first in range(0, spec.days, days):
        _search(lake, panel.window(first * 24, (first + days) * 24), costs or Costs(), seed=1_000 * seed + first)
    return lake


def _search(lake: Lake, panel: Panel, costs: Costs, seed: int) -> None:
    cycle = Cycle(
        plan=CyclePlan(spec=SPEC, gates=Profile.load("light"), seed=seed, costs=costs),
        lake=lake,
        market="mined",
        interval=panel.interval,
        day=day_of(int(panel.times[-1])),
        data=SplitPanel(panel),
        compute=Compute(threads=1),
    )
    cycle.begin()
    found = search(cycle, pretest_frame(NotRun("the search alone is asked for")))
    cycle.write(PopulationTable, found.tables[PopulationTable])
    cycle.search_stored(found.result)
