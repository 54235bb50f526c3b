"""The evaluator and vectorbt on the same genomes and bars: how far apart they are, where both mean the same.

Every family takes its turn, on simulated perpetuals and, where `../shared/data/market` is beside the checkout, on real
ones; long and short, with stops from the entry bar on and, for the other half, from the bar after it. What vectorbt
does not have is left out: slippage, funding, trailing stops, and the drawdown that ends trading, which is set to the
most that the gene allows; a genome that reaches it nevertheless is replaced by another.
"""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.reference import run_vectorbt
from quant_organism.errors import InputError
from quant_organism.market.files import FileSource
from quant_organism.market.funding import align_funding
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.market.world import load_world
from quant_organism.market.world.generator import generate
from quant_organism.strategies import Genome, family_names, random_genome

GENOMES, BARS, WARM_UP = 2_000, 2_000, 300
COSTS = Costs(maker_fee=0.00045, slippage_bps=0.0, charge_funding=False)
REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "market" / "hl_perp_1h"
REAL_SYMBOLS, REAL_DAYS = ("BTC", "DOGE", "ENA", "CRV"), (date(2025, 3, 10), date(2025, 5, 31))
HOUR = Interval.parse("1h")


@dataclass
class Tally:
    """How much was compared, and the largest differences found."""

    genomes: int = 0
    replaced: int = 0
    trades: int = 0
    unequal_counts: int = 0
    unequal_win_rates: int = 0
    largest: dict[str, float] = field(default_factory=lambda: {"total_return": 0.0, "sharpe": 0.0, "max_drawdown": 0.0})


def run() -> list[dict[str, Any]]:
    """Compare, and return one row per metric."""
    tally, rng = Tally(), np.random.default_rng(2_000)
    panels = [*simulated_panels(), *real_panels()]
    evaluators = [Evaluator(threads=1), Evaluator(threads=1, stops_from_next_bar=True)]
    each = math.ceil(GENOMES / len(family_names()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in family_names():
            compared = 0
            while compared < each:
                panel, evaluator = panels[compared % len(panels)], evaluators[compared // len(panels) % 2]
                genes = dict(random_genome(rng, name).genes) | {"trailing_stop": 0.0, "max_drawdown": 0.2}
                compared += compare(Genome(name, genes), panel, evaluator, tally)
    return rows(tally, len(panels))


def compare(genome: Genome, panel: Panel, evaluator: Evaluator, tally: Tally) -> bool:
    """Compare one genome on a panel of one asset, and tell whether vectorbt could."""
    symbol, next_bar = panel.symbols[0], evaluator.stops_from_next_bar
    try:
        theirs = run_vectorbt(genome, panel, symbol, COSTS, start=WARM_UP, stops_from_next_bar=next_bar).statistics
    except InputError as refusal:
        if "max_drawdown" not in str(refusal):
            raise
        tally.replaced += 1
        return False
    metrics = evaluator.evaluate([genome], panel, COSTS, start=WARM_UP).asset_metrics
    ours = {name: float(metrics[name][0, 0]) for name in theirs}
    tally.genomes += 1
    tally.trades += int(ours["trades"])
    tally.unequal_counts += ours["trades"] != theirs["trades"]
    tally.unequal_win_rates += not np.array_equal(ours["win_rate"], theirs["win_rate"], equal_nan=True)
    for name in tally.largest:
        # Without a deviation of returns neither has a Sharpe ratio: ours is NaN, theirs NaN or infinite.
        undefined = name == "sharpe" and np.isnan(ours[name]) and not np.isfinite(theirs[name])
        difference = 0.0 if undefined else abs(ours[name] - theirs[name])
        tally.largest[name] = max(tally.largest[name], math.inf if np.isnan(difference) else difference)
    return True


def simulated_panels() -> Iterator[Panel]:
    """Yield single assets of a simulated market."""
    bars, _ = generate(load_world("null"), 1)
    last = {"stop": bars.times.size, "start": bars.times.size - BARS}
    chosen = np.flatnonzero(bars.present[last["start"] :].all(axis=0))[:4]
    for asset in chosen:
        part = (slice(last["start"], last["stop"]), slice(asset, asset + 1))
        columns = {
            name: getattr(bars, name)[part] for name in ("open", "high", "low", "close", "volume", "funding_rate")
        }
        yield Panel.from_arrays(
            symbols=[bars.symbols[asset]],
            interval=HOUR,
            times=bars.times[part[0]],
            funding_paid=columns["funding_rate"],
            **columns,
        )


def real_panels() -> Iterator[Panel]:
    """Yield single real assets, where they are at hand."""
    if not REAL.is_dir():
        return
    source = FileSource(REAL)
    for symbol in REAL_SYMBOLS:
        candles = source.candles([symbol], HOUR, *REAL_DAYS)
        times = candles["timestamp"].dt.epoch("ms").to_numpy()
        rate, paid = align_funding(source.funding([symbol], *REAL_DAYS), (symbol,), times, HOUR)
        columns = {name: candles[name].to_numpy()[:, None] for name in ("open", "high", "low", "close", "volume")}
        yield Panel.from_arrays(
            symbols=[symbol], interval=HOUR, times=times, funding_rate=rate, funding_paid=paid, **columns
        )


def rows(tally: Tally, panels: int) -> list[dict[str, Any]]:
    """Return the lines of the results."""
    what = f"{len(family_names())} families, {panels} assets of about {BARS} hours"
    lines = [
        row("genomes_compared", tally.genomes, "genomes", what),
        row("genomes_replaced", tally.replaced, "genomes", "their drawdown reached max_drawdown"),
        row("trades_compared", tally.trades, "trades", "closed ones"),
        row("trade_counts_unequal", tally.unequal_counts, "genomes", "exact comparison"),
        row("win_rates_unequal", tally.unequal_win_rates, "genomes", "exact comparison"),
    ]
    return lines + [
        row(f"{name}_max_difference", value, "absolute", "largest over all genomes")
        for name, value in tally.largest.items()
    ]


def row(metric: str, value: float, unit: str, note: str) -> dict[str, Any]:
    """Return one line of the results."""
    return {"metric": metric, "value": value, "unit": unit, "note": note}
