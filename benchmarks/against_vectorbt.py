"""The population evaluator beside vectorbt on the same bars, genomes and costs, on one core, in one run.

Both simulate and deliver total return, Sharpe ratio, maximum drawdown, win rate, number of trades and turnover, and
both are measured all-in: from prices, signals included. The evaluator also charges funding, sizes by conviction,
liquidity, calm and momentum, and delivers a portfolio with daily returns per genome. vectorbt simulates many columns of
one size in one call; how many is searched for each family, and what counts is the number at which it is fastest. Its
signals are those of `benchmarks.vectorbt_signals`, which hold the side that the evaluator holds on all but a thousandth
of the bars, or nothing is measured. The fitted families hand vectorbt finished signals: fitting would be all that is
seen. What each family takes with finished signals stands beside it.

vectorbt asks the system for new memory in every call, and what that takes depends on what the process did before. So
each family is measured in a process of its own that does nothing else, as a user's script would. What vectorbt takes
without the system's part stands beside it: that is the least it could take if all memory were at hand.

Every repetition is a new generation of random genomes of one family on a market that the evaluator knows from the one
before; what the first generation took, indicators included, stands beside it. Fits of learning families are kept from
generation to generation. Work on one core is measured in seconds of that core, so that what else the machine does
counts for neither.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.evaluator import ASSETS, BARS, COSTS, REPEATS, core_seconds, in_new_process, is_fitted, panel, row
from quant_organism.backtest import Evaluator
from quant_organism.errors import IntegrityError
from quant_organism.market.panel import Panel
from quant_organism.strategies import (
    COLUMNS,
    Genome,
    IndicatorStore,
    evolving_families,
    get_family,
    random_genome,
    signal,
)

Floats = NDArray[np.float64]
Orders = tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]

GENOMES, WIDTHS = 1_000, (25, 50, 100, 300)
"""A generation, and the columns that vectorbt is handed at once."""
LEAST_AGREEMENT = 0.999


def run() -> list[dict[str, Any]]:
    """Measure, and return one row per metric."""
    market = panel(BARS, ASSETS)
    rows, ratios, finished = [], {}, {}
    for name in evolving_families():
        ours, first = family_seconds(name, market)
        measure = f"from benchmarks.against_vectorbt import vectorbt_alone; vectorbt_alone({name!r})"
        width, theirs, at_hand, simulation = json.loads(in_new_process(measure))
        ratios[name], finished[name] = theirs / ours, simulation / ours
        speeds = [BARS / seconds / 1e6 for seconds in (ours, first, theirs, at_hand, simulation)]
        note = (
            "{:.0f} (first generation {:.0f}) against {:.2f} million strategy-bars per second, "
            "{:.2f} with memory kept, {:.2f} with finished signals, {} columns at once"
        )
        rows.append(row(f"speedup_vs_vectorbt_{name}", ratios[name], "x", note.format(*speeds, width)))
    size = f"{GENOMES} genomes x {ASSETS} assets x {BARS} bars, the best of {WIDTHS} columns; medians of {REPEATS}"
    rows.append(
        row("speedup_vs_vectorbt_mean", statistics.mean(ratios.values()), "x", f"over families, one core: {size}")
    )
    rows.append(
        row(
            "speedup_vs_vectorbt_mean_finished_signals",
            statistics.mean(finished.values()),
            "x",
            "the same if vectorbt is handed the signals of all families and the evaluator makes its own",
        )
    )
    rows.append(row("speedup_vs_vectorbt_min", min(ratios.values()), "x", min(ratios, key=ratios.__getitem__)))
    rows.append(row("speedup_vs_vectorbt_ema", ratios["ema_crossover"], "x", "the family most often compared"))
    return rows


def family_seconds(name: str, market: Panel) -> tuple[float, float]:
    """Return seconds per genome and asset, and what they were in the first generation."""
    rng, one = np.random.default_rng(1), Evaluator(threads=1)
    generations = [population(name, rng) for _ in range(REPEATS + 2)]
    one.evaluate(generations[-1][:8], market.window(0, 2000), COSTS)
    took = [core_seconds(lambda genomes=genomes: one.evaluate(genomes, market, COSTS)) for genomes in generations[:-1]]
    sleeves = GENOMES * ASSETS
    return statistics.median(took[1:]) / sleeves, took[0] / sleeves


def vectorbt_alone(name: str) -> None:
    """Print as JSON at how many columns vectorbt is fastest, and what it takes there in seconds per genome and asset.

    In all, without the system's part, and in all with finished signals, which a fitted family always has.
    """
    from benchmarks.vectorbt_signals import directions

    rng, market, models = np.random.default_rng(1), panel(BARS, ASSETS), IndicatorStore(2**28)
    generations = [population(name, rng)[: max(WIDTHS)] for _ in range(REPEATS + 1)]
    columns = first_asset(market)
    if not is_fitted(name):
        check_directions(generations[0], market)
    took: dict[int, list[Floats]] = {width: [] for width in WIDTHS}
    for genomes in generations:
        sides = np.sign(targets(genomes, market, models)).astype(np.int8) if is_fitted(name) else None
        for width in WIDTHS:  # each trades the whole generation, so that all of them trade the same
            spent = np.zeros(3)
            for first in range(0, len(genomes), width):
                part = slice(first, first + width)
                began = core_times()
                orders = orders_of_sides(directions(genomes[part], columns) if sides is None else sides[:, part])
                decided = core_times()
                vectorbt_metrics(genomes[part], market, orders)
                ended = core_times()
                spent += (sum(ended - began), (ended - began)[0], sum(ended - decided))
            took[width].append(spent)
    # The first generation compiles.
    medians = {width: np.median(spent[1:], axis=0) / max(WIDTHS) for width, spent in took.items()}
    best = min(medians, key=lambda width: float(medians[width][0]))
    sys.stdout.write(json.dumps([best, *medians[best].tolist()]))


def check_directions(genomes: list[Genome], market: Panel) -> None:
    """Refuse to compare unless the sides made for vectorbt are the evaluator's on almost all bars.

    Raises
    ------
    IntegrityError
        If they agree on a smaller share of bars than `LEAST_AGREEMENT`.
    """
    from benchmarks.vectorbt_signals import directions

    wanted = np.sign(targets(genomes, market))
    agreement = float(np.mean(directions(genomes, first_asset(market)) == wanted))
    if agreement < LEAST_AGREEMENT:
        raise IntegrityError(
            f"vectorbt would hold the evaluator's side on {agreement:.4%} of bars, expected {LEAST_AGREEMENT:.1%}",
            where=f"benchmarks/vectorbt_signals/families.py, {genomes[0].family}",
            remedy="let both decide by the same rule",
        )


def population(name: str, rng: np.random.Generator) -> list[Genome]:
    """Return a generation of random genomes; those of a fitted family share four models."""
    genomes = [random_genome(rng, name) for _ in range(GENOMES)]
    if not is_fitted(name):
        return genomes
    models = [random_genome(np.random.default_rng(k), name) for k in range(4)]
    shared = get_family(name).model_genes
    return [
        Genome(name, {**genome.genes, **{gene: models[k % 4].genes[gene] for gene in shared}})
        for k, genome in enumerate(genomes)
    ]


def first_asset(market: Panel) -> dict[str, Floats]:
    """Return the columns that strategies read of the first asset, each of shape (bars,)."""
    return {name: np.ascontiguousarray(getattr(market, name)[:, 0]) for name in COLUMNS}


def targets(genomes: list[Genome], market: Panel, store: IndicatorStore | None = None) -> Floats:
    """Return the signals of genomes on the first asset, shape (bars, genomes)."""
    columns = first_asset(market)
    return np.array([signal(genome, columns, store=store) for genome in genomes]).T


def orders_of_sides(sides: NDArray[Any]) -> Orders:
    """Return what sides decided at closes order at the open of each bar.

    Entries, exits, short entries and short exits only where the side changes, so that a stopped trade is not entered
    again before the signal is given anew; shape (bars, genomes).
    """
    held, before = np.zeros_like(sides), np.zeros_like(sides)
    held[1:], before[2:] = sides[:-1], sides[:-2]
    return (
        (held > 0) & (before <= 0),
        (held <= 0) & (before > 0),
        (held < 0) & (before >= 0),
        (held >= 0) & (before < 0),
    )


def vectorbt_metrics(genomes: list[Genome], market: Panel, orders: Orders) -> tuple[Any, ...]:
    """Trade the orders of all genomes on the first asset in one `from_signals` call and extract the metrics."""
    import pandas as pd
    import vectorbt

    columns = {name: getattr(market, name)[:, 0] for name in ("open", "high", "low", "close")}
    entries, exits, short_entries, short_exits = map(pd.DataFrame, orders)
    opens, high, low, close = (pd.Series(columns[name]) for name in ("open", "high", "low", "close"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        portfolio = vectorbt.Portfolio.from_signals(
            open=opens,
            high=high,
            low=low,
            close=close,
            price=opens,
            entries=entries,
            exits=exits,
            short_entries=short_entries,
            short_exits=short_exits,
            size=np.array([[genome.genes["position_size"] for genome in genomes]]),
            size_type="value",
            fees=COSTS.taker_fee,
            sl_stop=np.array([[genome.genes["stop_loss"] for genome in genomes]]),
            tp_stop=np.array([[genome.genes["take_profit"] for genome in genomes]]),
            init_cash=1.0,
            freq="1h",
        )
        filled, value = portfolio.orders.records, portfolio.value().to_numpy()
        bar, column = filled["idx"].to_numpy(), filled["col"].to_numpy()
        traded = filled["size"].to_numpy() * filled["price"].to_numpy() / value[np.maximum(bar - 1, 0), column]
        return (
            portfolio.total_return(),
            portfolio.sharpe_ratio(),
            portfolio.max_drawdown(),
            portfolio.trades.win_rate(),
            portfolio.trades.count(),
            np.bincount(column, traded, len(genomes)),
        )


def core_times() -> Floats:
    """Return for how many seconds this process has kept a core busy so far: its own part and the system's."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return np.array([used.ru_utime, used.ru_stime])
