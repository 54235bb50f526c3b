"""Whether an account learns from a year of its own which of its breakers should be tighter, and what tighter ones cost.

In each world the best of random genomes of 400 days, five of different families, share an account for two years more.
It is walked under the ceilings, and with the levels of one breaker, or of all, at a part of them. What the first year
says of each is held against the second: for every level, and for the one that the first year would have chosen. There
are worlds without an edge, with one that lasts, and with one that ends half-way through the second year. What is lost
and gained is the year's mean return less twice its variance, at which a quarter of Kelly is the best size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.evaluator import row
from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.account import AccountRules, AccountSetting, virtual_window
from quant_organism.market.world.generator import generate
from quant_organism.market.world.spec import Asset, Plant, WorldSpec
from quant_organism.strategies import Committee, Genome, evolving_families, random_genome
from quant_organism.trading.risk_limits import RiskLimits

SEEDS: Final = range(1, 5)
GENOMES, SHARERS, SEEN_DAYS, YEAR = 80, 5, 400, 365
EQUITY_USD: Final = 10_000.0
PARTS: Final = (0.75, 0.5, 0.25)
"""Of the ceilings."""

MARGIN, ERRORS = 0.005, 2.0
"""Least gain of the first year at which a level would be chosen, and of how many of its own standard errors."""

START: Final = date(2021, 1, 1)
BREAKERS: Final[Mapping[str, Sequence[str]]] = {
    "drawdown": ("halve_at", "no_entries_at", "flat_at"),
    "day": ("day_no_entries_at", "day_flat_at"),
    "tail": ("tail_loss_at",),
}
EDGE: Final = Plant(family="momentum", strength=0.12)
WORLDS: Final[Mapping[str, Sequence[Plant]]] = {
    "no edge": (),
    "an edge that lasts": (EDGE,),
    "an edge that ends": (EDGE.model_copy(update={"end": START + timedelta(days=SEEN_DAYS + 3 * YEAR // 2)}),),
}
ASSETS: Final = tuple(
    Asset(symbol=f"SIM-{name}", volatility=volatility, price=price)
    for name, volatility, price in zip(
        "ABCDE", (1.0, 1.3, 1.6, 0.8, 1.1), (100.0, 5.0, 20.0, 1000.0, 50.0), strict=True
    )
)

Floats = NDArray[np.float64]


def run() -> list[dict[str, Any]]:
    """Walk the accounts of all worlds."""
    return [each for sort in WORLDS for each in summary(sort, [daily_returns(sort, seed) for seed in SEEDS])]


def levels() -> dict[str, RiskLimits]:
    """Return the limits that are tried, the ceilings first."""
    whole = RiskLimits()
    tried = {"ceilings": whole}
    for name, fields in {**BREAKERS, "all": [field for own in BREAKERS.values() for field in own]}.items():
        for part in PARTS:
            tried[f"{name} at {part:.0%}"] = RiskLimits(**{field: part * getattr(whole, field) for field in fields})
    return tried


def daily_returns(sort: str, seed: int) -> dict[str, Floats]:
    """Return what an account makes in a world on each day of the two years, shape (2 x 365,), under all limits."""
    days, evaluator, costs = SEEN_DAYS + 2 * YEAR, Evaluator(threads=1), Costs()
    spec = WorldSpec(name="limits", start=START, days=days, assets=ASSETS, plants=tuple(WORLDS[sort]))
    panel, begin = generate(spec, seed)[0].panel(), SEEN_DAYS * 24
    rng, families = np.random.default_rng(seed), sorted(evolving_families())
    genomes = [random_genome(rng, families[place % len(families)]) for place in range(GENOMES)]
    sharpe = np.nan_to_num(evaluator.evaluate(genomes, panel.window(0, begin), costs).metrics["sharpe"], nan=-np.inf)
    best: dict[str, Genome] = {}
    for place in np.argsort(-sharpe, kind="stable"):
        best.setdefault(genomes[place].family, genomes[place])
    sharers = {one.id: one for one in (Committee.of([genome]) for genome in list(best.values())[:SHARERS])}
    shares = dict.fromkeys(sharers, 1.0 / SHARERS)
    before, after = (
        virtual_window(sharers, panel, costs, start=first, stop=last, shares=shares, evaluator=evaluator)
        for first, last in ((0, begin), (begin, panel.n_bars))
    )
    seen = AccountSetting.of(before, panel, costs, start=0, stop=begin, rules=AccountRules())
    past = seen.run(EQUITY_USD, digests=False).virtual_daily_returns.tolist()
    made = {}
    for name, limits in levels().items():
        own = limits.within(AccountRules())
        setting = AccountSetting.of(after, panel, costs, start=begin, rules=own, daily_before=past)
        made[name] = setting.run(EQUITY_USD, digests=False).daily_returns
    return made


def gained(returns: Mapping[str, Floats], name: str, year: int) -> tuple[float, float]:
    """Return what limits bring over the ceilings in the first year (0) or the second (1), with its standard error."""
    span = slice(year * YEAR, (year + 1) * YEAR)
    mine, theirs = (returns[which][span] for which in (name, "ceilings"))
    less = (mine - 2.0 * mine**2) - (theirs - 2.0 * theirs**2)
    return float(less.mean() * YEAR), float(less.std(ddof=1) * np.sqrt(YEAR))


def chosen(returns: Mapping[str, Floats], errors: float) -> str:
    """Return the limits that the first year chooses; the ceilings where none brings enough."""
    found = {name: gained(returns, name, 0) for name in returns}
    enough = {name: gain for name, (gain, error) in found.items() if gain >= max(MARGIN, errors * error)}
    return max(enough, key=enough.__getitem__, default="ceilings")


def summary(sort: str, accounts: Sequence[Mapping[str, Floats]]) -> list[dict[str, Any]]:
    """Return what each level brings in the second year, and what the first year's choices do."""
    rows = []
    for name in accounts[0]:
        if name == "ceilings":
            continue
        years = [np.array([gained(account, name, year)[0] for account in accounts]) for year in (0, 1)]
        error = float(np.mean([gained(account, name, 0)[1] for account in accounts]))
        spread = years[1].std(ddof=1) / np.sqrt(len(accounts))
        note = f"± {spread:.1%} over {len(accounts)} worlds; the year before {years[0].mean():+.1%}, where one account "
        rows.append(row(f"{sort}: {name}", float(years[1].mean()), "a year", f"{note}is known to ± {error:.1%}"))
    for errors in (ERRORS, 0.0):
        picks = [chosen(account, errors) for account in accounts]
        gain = float(np.mean([gained(account, pick, 1)[0] for account, pick in zip(accounts, picks, strict=True)]))
        what = f"chosen by a gain of {MARGIN:.1%}" + (f" and {errors:g} standard errors" if errors else "")
        rows.append(row(f"{sort}: {what}", gain, "a year", ", ".join(picks)))
    return rows
