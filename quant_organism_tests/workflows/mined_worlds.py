"""Small searches on simulated markets, their records in a lake: what mining has to work with.

Each market is searched in consecutive stretches of days by searches of their own, as cycles months apart would do.
"""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from quant_organism.backtest import Costs
from quant_organism.cycle import Compute, Cycle, CyclePlan, Panels, SplitPanel
from quant_organism.cycle.stages import search
from quant_organism.evolution import EvolutionSpec
from quant_organism.evolution.tables import PopulationTable
from quant_organism.market import Interval, Lake, Panel, PanelTable, day_of
from quant_organism.market.ingest import ingest
from quant_organism.market.regimes import MODULES, DailyMarket, regime_frame, store_regimes
from quant_organism.market.world.generator import generate
from quant_organism.market.world.source import WorldSource
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


def in_regime(spec: WorldSpec, seed: int, factor: str, label: str, plant: Plant) -> WorldSpec:
    """Return a market whose edge is there on those days alone that follow a day with a label."""
    panel = generate(spec, seed)[0].panel()
    close = panel.close.reshape(spec.days, 24, -1)[:, -1]
    returns = np.vstack([np.full((1, close.shape[1]), np.nan), close[1:] / close[:-1] - 1.0])
    days = [spec.start + timedelta(days=n) for n in range(spec.days)]
    market = DailyMarket(days, panel.symbols, returns, np.ones_like(returns), np.full(spec.days, np.nan))
    rows = regime_frame(market, [one for one in MODULES if one.name == factor])
    inside = {day + timedelta(days=1) for day in rows.filter(pl.col("label") == label)["date"]} & set(days)
    first = sorted(day for day in inside if day - timedelta(days=1) not in inside)
    after = sorted(day + timedelta(days=1) for day in inside if day + timedelta(days=1) not in inside)
    plants = (plant.model_copy(update={"start": a, "end": b}) for a, b in zip(first, after, strict=True))
    return spec.model_copy(update={"plants": tuple(plants)})


def searched(spec: WorldSpec, seed: int, folder: Path, *, costs: Costs | None = None, days: int = DAYS) -> Lake:
    """Search a market stretch by stretch, and return the lake that holds candles, regimes and the records."""
    lake, source, interval = Lake(folder / "lake"), WorldSource(spec, seed), Interval.parse("1h")
    ingest(source, lake, interval, spec.start, spec.end)
    store_regimes(lake, source.market, interval, spec.end)
    for last in range(days, spec.days + 1, days):
        day = spec.start + timedelta(days=last - 1)
        made = Panels().make(lake, source.market, interval, day, lookback_days=days)
        search_panel(lake, made.panel, seed=1_000 * seed + last - days, costs=costs, manifest=made.manifest)
    return lake


def search_panel(
    lake: Lake, panel: Panel, *, seed: int, costs: Costs | None = None, manifest: pl.DataFrame | None = None
) -> None:
    """Search a panel, and leave the records of it in a lake; those of the panel too where its manifest is given."""
    cycle = Cycle(
        plan=CyclePlan(spec=SPEC, gates=Profile.load("light"), seed=seed, costs=costs or Costs()),
        lake=lake,
        market=panel.market,
        interval=panel.interval,
        day=day_of(int(panel.times[-1])),
        data=SplitPanel(panel),
        compute=Compute(threads=1),
    )
    cycle.begin()
    if manifest is not None:
        cycle.write(PanelTable, manifest)
    found = search(cycle, pretest_frame(NotRun("the search alone is asked for")))
    cycle.write(PopulationTable, found.tables[PopulationTable])
    cycle.search_stored(found.result)
