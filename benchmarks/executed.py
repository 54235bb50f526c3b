"""What accounts of 10,000 USD execute of committees: on the demo world and on real hours, bred here.

Each market is searched with a counted budget on the days in sample alone; committees of all trials are then executed on
these days and on those that the search did not see, which begin flat, at the risk scale of the days before. Beside the
ideal sleeves stand the account by rules A1 to A7, the same without resting orders, whose stops are acted on at the open
after the bar that reached them, and the account by all of its rules. Real hours are those of `../shared/data/market`
beside the checkout; sets that are not there are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np

from benchmarks.account import UNRESTRAINED
from benchmarks.boosted import MARKETS
from benchmarks.evaluator import row
from quant_organism.audit.worlds import real_panel
from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.account import (
    EQUITY_USD,
    AccountFigures,
    AccountRules,
    AccountSetting,
    account_figures,
    committee_setting,
)
from quant_organism.evolution.candidates import choose_candidates
from quant_organism.evolution.executors.threads import ThreadExecutor
from quant_organism.evolution.nursery import default_families
from quant_organism.evolution.search import search
from quant_organism.evolution.source import GenomeSource
from quant_organism.evolution.spec import Choice, EvolutionSpec
from quant_organism.market import Panel, load_world, split
from quant_organism.market.world.generator import generate
from quant_organism.strategies import Committee

SEARCH: Final = EvolutionSpec(islands=5, population=50, generations=10)
SEEDS: Final = range(3)
"""Searches of each market."""

REAL: Final = ("hl_perp_1h", "binance_perp_1h")
SHARED: Final[tuple[Choice, ...]] = ("pooled",)
OWN: Final[tuple[Choice, ...]] = ("own_assets", "per_asset")
"""What committees are made of where all assets share an edge, and where nobody knows."""

FAR: Final = 0.99
"""Distance of a stop that no bar reaches."""

FIGURES: Final = {
    "ideal sleeves": ("A1-A7", "sharpe_sleeves", "Sharpe"),
    "account, A1-A7": ("A1-A7", "sharpe", "Sharpe"),
    "close only": ("close only", "sharpe", "Sharpe"),
    "account, all rules": ("all rules", "sharpe", "Sharpe"),
    "return a year": ("A1-A7", "annual_return", "share"),
    "orders a day": ("A1-A7", "orders_per_day", "orders"),
    "turnover a year": ("A1-A7", "turnover", "x equity"),
    "return a year, all rules": ("all rules", "annual_return", "share"),
    "volatility a year, all rules": ("all rules", "volatility", "share"),
    "drawdown, all rules": ("all rules", "max_drawdown", "share"),
    "tracking error": ("A1-A7", "tracking_error", "share"),
    "smallest order": ("all rules", "smallest_order_usd", "USD"),
}
"""Name of a figure, the account that it is of, and its field and unit."""


def markets() -> Iterator[tuple[str, Panel, tuple[Choice, ...]]]:
    """Yield each market's name, panel, and what its committees are made of."""
    world = load_world("demo")
    yield "demo world", generate(world, world.seed)[0].panel(), SHARED
    for name in REAL:
        if (MARKETS / name).is_dir():
            yield name, real_panel(MARKETS / name), OWN


def bred(
    panel: Panel, made_of: tuple[Choice, ...], seed: int, evaluator: Evaluator
) -> tuple[dict[str, Committee], int]:
    """Return the committees of one search of the days in sample, by what they are made of, and its evaluations."""
    seen, costs = panel.window(0, split(panel.n_bars, panel.interval).in_sample.stop), Costs()
    executor, source = ThreadExecutor(seen, costs, evaluator), GenomeSource(seen, costs, evaluator)
    made = search(SEARCH, default_families(seen), executor, source=source, seed=np.random.SeedSequence(seed))
    committees = {}
    for choice in made_of:
        spec = SEARCH.model_copy(update={"choice": choice})
        for candidate in choose_candidates(made.trials, spec, seen, costs, evaluator):
            committees[choice.replace("_", " ")] = candidate.committee
    return committees, made.spent.evaluations


def executed(committee: Committee, panel: Panel, evaluator: Evaluator) -> dict[str, dict[str, AccountFigures]]:
    """Return the figures of each account on the days in sample and on the unseen ones."""
    splits, before, found = split(panel.n_bars, panel.interval), (), {}
    for span in (splits.in_sample, splits.unseen):
        setting = committee_setting(
            committee,
            panel,
            Costs(),
            start=span.start,
            stop=span.stop,
            rules=UNRESTRAINED,
            daily_before=before,
            evaluator=evaluator,
        )
        calm = replace(setting.virtual, restraints=np.ones_like(setting.virtual.restraints))
        plain = replace(setting, virtual=calm)
        run = plain.run(EQUITY_USD, digests=False)
        before = tuple(run.virtual_daily_returns.tolist())
        accounts = {
            "A1-A7": run,
            "close only": close_only(plain).run(EQUITY_USD, digests=False),
            "all rules": replace(setting, rules=AccountRules.alone()).run(EQUITY_USD, digests=False),
        }
        found[span.name.replace("_", " ")] = {name: account_figures(one) for name, one in accounts.items()}
    return found


def close_only(setting: AccountSetting) -> AccountSetting:
    """Return the same without resting orders: the stop that each position must have stands where no bar goes."""
    none = np.full_like(setting.virtual.stops, np.nan)
    return replace(
        setting,
        virtual=replace(setting.virtual, stops=none, targets=none),
        rules=setting.rules._replace(default_stop=FAR),
    )


def run() -> list[dict[str, Any]]:
    """Breed, execute, and return one row per committee's span and figure: the mean over the searches."""
    rows = []
    for market, panel, made_of in markets():
        evaluator = Evaluator()
        found: dict[tuple[str, str], list[dict[str, AccountFigures]]] = {}
        spent = []
        for seed in SEEDS:
            committees, evaluations = bred(panel, made_of, seed, evaluator)
            spent.append(evaluations)
            for name, committee in committees.items():
                for span, accounts in executed(committee, panel, evaluator).items():
                    found.setdefault((name, span), []).append(accounts)
        budget = f"{np.mean(spent):,.0f} genomes a search, {panel.n_assets} assets"
        for (name, span), each in found.items():
            for figure, (account, field, unit) in FIGURES.items():
                values = [getattr(accounts[account], field) for accounts in each]
                note = f"{len(values)} searches: {', '.join(f'{value:.4g}' for value in values)}; {budget}"
                rows.append(row(f"{market}, {name}, {span}: {figure}", float(np.mean(values)), unit, note))
    return rows
