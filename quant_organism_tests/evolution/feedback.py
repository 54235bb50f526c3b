"""Weekly cycles on a market whose edge changes half-way: what the archive holds, week after week.

Each cycle is made of what the assets call: the panel of the days up to its date, split; a search of the in-sample span,
founded with the archive of the week before; and that archive merged with the new elites.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from quant_organism.backtest import Costs, Evaluator
from quant_organism.evolution.archive import founders_from, merge
from quant_organism.evolution.cycle import evolve
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.evolution.tables import ArchiveTable
from quant_organism.market.panel import Panel
from quant_organism.market.splits import split
from quant_organism.market.world.generator import generate
from quant_organism.market.world.spec import Asset, Plant, WorldSpec

TREND = ("donchian_breakout", "ema_crossover", "sma_trend_filter")
# Not bollinger_bands: with the long windows that it may have, it follows breakouts as much as it fades.
FADE = ("rsi_filter", "stochastic_oscillator", "vwap_reversion")
SPEC = EvolutionSpec(families=(*TREND, *FADE), islands=3, population=24, generations=4, min_trades=10)

START = date(2024, 1, 1)
LOOKBACK_DAYS = 90
"""Days of a cycle's panel, the least that there may be; the search sees the first 60 % of them."""

CHANGE_DAY = 120
"""Days after `START` on which the first edge ends and the second begins."""

MOMENTUM = Plant(family="momentum", strength=0.15)
REVERSION = Plant(family="reversion", strength=0.8)

LAST_DAY = CHANGE_DAY + LOOKBACK_DAYS + 14


@dataclass(frozen=True)
class Week:
    """What a cycle's archive holds.

    Attributes
    ----------
    days_after_change
        Of its date; negative before.
    new_share
        Share of the days that its search saw which lie after the change.
    second_share
        Share of the archive's QD score, the sum of the elites' Sharpe ratios, that families of the second edge hold.
    elites, invited
        Filled cells, and how many of the founders came from the archive of the week before.
    """

    days_after_change: int
    new_share: float
    second_share: float
    elites: int
    invited: int


def world(first: Plant, second: Plant, assets: int = 4) -> WorldSpec:
    """Return a market on which one edge follows the other."""
    change = START + timedelta(days=CHANGE_DAY)
    return WorldSpec(
        name="feedback",
        start=START,
        days=LAST_DAY,
        assets=tuple(Asset(symbol=f"SIM-{n}", volatility=1.0 + 0.2 * n) for n in range(assets)),
        plants=(first.model_copy(update={"end": change}), second.model_copy(update={"start": change})),
    )


def market(spec: WorldSpec, seed: int) -> Panel:
    """Draw the market."""
    bars, _ = generate(spec, seed)
    return bars.panel()


def weeks(panel: Panel, second: tuple[str, ...], *, warm: bool = True) -> Iterator[Week]:
    """Run weekly cycles, beginning two weeks before the change, and say what the archive holds after each.

    Parameters
    ----------
    panel
        The whole market.
    second
        Families of the second edge.
    warm
        Whether a search is founded with the archive.
    """
    costs, evaluator = Costs(), Evaluator(threads=1)
    archive = ArchiveTable.empty()
    for last in range(CHANGE_DAY - 14, LAST_DAY + 1, 7):
        seen = panel.window((last - LOOKBACK_DAYS) * 24, last * 24)
        in_sample = split(seen.n_bars, seen.interval).in_sample
        founders = founders_from(archive, (*TREND, *FADE)) if warm else []
        found = evolve(
            seen.window(in_sample.start, in_sample.stop), SPEC, costs, evaluator, seed=last, founders=founders
        )
        archive = merge(archive, found.elites, tried=found.population["hash"])
        of_second = archive.filter(pl.col("family").is_in(second))["sharpe"].sum()
        last_seen = last - LOOKBACK_DAYS + in_sample.stop // 24
        days = (in_sample.stop - in_sample.start) // 24
        yield Week(
            days_after_change=last - CHANGE_DAY,
            new_share=min(1.0, max(0.0, (last_seen - CHANGE_DAY) / days)),
            second_share=float(of_second / archive["sharpe"].sum()),
            elites=archive.height,
            invited=found.population.filter(pl.col("operator") == "archive").height,
        )
