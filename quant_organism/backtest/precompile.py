"""Compile the kernels before their first use: `python -m quant_organism.backtest.precompile`.

Kernels are compiled when they are first called, and kept on disk. Left to that, a first run compiles one after the
other; here two processes do, each calling a part of what runs call, on a short simulated market.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context

import numpy as np

from quant_organism.backtest.account import committee_setting
from quant_organism.backtest.costs import Costs
from quant_organism.backtest.evaluator import Evaluator
from quant_organism.backtest.market_row import MarketRow
from quant_organism.backtest.sleeve_walk import SleeveWindow
from quant_organism.backtest.stream import GenomeStream, open_stream
from quant_organism.backtest.target_stream import streamed_targets
from quant_organism.market.panel import Panel
from quant_organism.market.world.continuation import continued
from quant_organism.market.world.source import WorldSource
from quant_organism.market.world.spec import load_world
from quant_organism.strategies import (
    COLUMNS,
    Committee,
    IndicatorStore,
    default_genome,
    family_names,
    random_genome,
    signal,
)
from quant_organism.strategies.cross_section.weights import FEWEST_ASSETS

_DAYS, _ASSETS, _GENOMES = 60, 2, 8
_PROCESSES = 2


def compile_all() -> None:
    """Compile what evaluations, streams and families call, in as many processes as there are cores, up to two.

    Raises
    ------
    Exception
        What a kernel raises that cannot be compiled or called.
    """
    parts: list[Callable[[], None]] = [_trade, _rank, *(partial(_signal, name) for name in family_names())]
    with ProcessPoolExecutor(min(_PROCESSES, os.cpu_count() or 1), mp_context=get_context("spawn")) as pool:
        for compiled in [pool.submit(part) for part in parts]:
            compiled.result()


def _trade() -> None:
    genome, market, evaluator = default_genome("ema_crossover"), _market(), Evaluator(threads=1)
    for costs in (Costs(), Costs(max_participation=0.1)):
        evaluator.evaluate([genome], market, costs)
        evaluator.trades(genome, market, costs)
    last = market.n_bars - 2
    stream = GenomeStream(genome, market.symbols, market.interval, Costs(), history=market.window(0, last))
    for row in range(last, market.n_bars):
        stream.step(MarketRow.of(market, row))
    window = SleeveWindow(market, last)
    window.walk(genome, Costs(), window.decisions(genome, streamed_targets(genome, market, start=last - 1)))
    committee_setting(Committee.of([genome]), market, Costs(), daily_before=[0.01, -0.01] * 15).run(10_000.0)


def _rank() -> None:
    # So few bars that nothing is held yet: that compiles no less.
    genome, market = default_genome("xs_momentum"), _market(FEWEST_ASSETS)
    Evaluator(threads=1).evaluate([genome], market, Costs())
    last = market.n_bars - 2
    stream = open_stream(genome, market.symbols, market.interval, Costs(), history=market.window(0, last))
    for row in range(last, market.n_bars):
        stream.step(MarketRow.of(market, row))


def _signal(family: str) -> None:
    # Several genomes, for indicators and models that only some choices ask for.
    market, rng, models = _market(), np.random.default_rng(0), IndicatorStore(2**26)
    columns = {name: getattr(market, name)[:, 0] for name in COLUMNS}
    for _ in range(_GENOMES):
        signal(random_genome(rng, family), columns, store=models)


@cache
def _market(assets: int = _ASSETS) -> Panel:
    world = load_world("null")
    spec = world.model_copy(update={"days": _DAYS, "assets": world.assets[:assets]})
    return continued(WorldSource(spec, spec.seed), tuple(asset.symbol for asset in spec.assets), days=0).panel


if __name__ == "__main__":
    compile_all()
