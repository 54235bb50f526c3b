"""Whether the final choice should score committees as executed: worlds of the audit's tuning range, and the days after.

Of each search the committees that the final choice can make of its trials (what they are made of, how large a share,
how many seats) are scored in sample twice: by the Sharpe ratio of their sleeves, and by that of their account of 10,000
USD. The best by each, and the one that is put forward today, are read on the account of the days that follow. There
are worlds with an edge of the audit, and some without.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, Final

import numpy as np
from scipy import stats

from benchmarks.evaluator import row
from benchmarks.priors import FAMILIES
from quant_organism.audit.worlds import RANGES, World, plan
from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.account import EQUITY_USD, AccountRun, account_figures, committee_run
from quant_organism.evolution.candidates import WITHOUT_EVIDENCE, choose_candidates
from quant_organism.evolution.executors.threads import ThreadExecutor
from quant_organism.evolution.search import search
from quant_organism.evolution.source import GenomeSource
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.strategies import Committee

NULLS, PLANTED = 26, 78
FIRST_SEED: Final = RANGES["tuning"] + 50_000
SEEN_DAYS, LATER_DAYS = 540, 365

SEARCH: Final = EvolutionSpec(families=FAMILIES, islands=1, population=50, generations=8)
TODAY: Final = (WITHOUT_EVIDENCE, 0.05, 30)
MADE: Final = tuple(product(("pooled", "own_assets", "per_asset"), (0.01, 0.05), (8, 30)))
"""What committees are made of, of which share of it, and their seats."""


def later_sharpes(world: World, evaluator: Evaluator) -> dict[str, float]:
    """Return the account's Sharpe ratio on the days after the sample, by who chose its committee; empty: none."""
    market, costs = world.market(SEEN_DAYS, LATER_DAYS), Costs()
    panel, seen = market.panel, market.given
    source, executor = GenomeSource(seen, costs, evaluator), ThreadExecutor(seen, costs, evaluator)
    sequence = np.random.SeedSequence(world.seed)
    trials = search(SEARCH, FAMILIES, executor, source=source, seed=sequence).trials
    committees: dict[tuple[str, float, int], Committee] = {}
    for made_of, share, seats in MADE:
        changes = {"choice": made_of, "committee_fraction": share, "committee_size": seats}
        for candidate in choose_candidates(trials, SEARCH.model_copy(update=changes), seen, costs, evaluator):
            committees[made_of, share, seats] = candidate.committee
    if TODAY not in committees:
        return {}
    sleeves = evaluator.evaluate_committees(list(committees.values()), seen, costs).metrics["sharpe"]
    accounts = {name: _account(one, seen, evaluator, stop=seen.n_bars) for name, one in committees.items()}
    by_sleeves = dict(zip(committees, np.nan_to_num(sleeves).tolist(), strict=True))
    by_account = {name: _sharpe(run) for name, run in accounts.items()}
    chosen = {
        "as executed": max(by_account, key=by_account.__getitem__),
        "by its sleeves": max(by_sleeves, key=by_sleeves.__getitem__),
        "today": TODAY,
    }
    runs = {
        name: _account(committees[name], panel, evaluator, start=market.bars, after=accounts[name])
        for name in set(chosen.values())
    }
    return {who: _sharpe(runs[name]) for who, name in chosen.items()}


def _account(committee: Committee, panel: Any, evaluator: Evaluator, **window: Any) -> AccountRun:
    return committee_run(committee, panel, Costs(), EQUITY_USD, evaluator=evaluator, **window)


def _sharpe(run: AccountRun) -> float:
    # Who never traded earned nothing.
    return float(np.nan_to_num(account_figures(run).sharpe))


def summary(found: Sequence[tuple[str, dict[str, float]]]) -> list[dict[str, Any]]:
    """Return means and paired differences with 95 % intervals, for each strength of the edge and all with one."""
    rows = []
    for group in ("strong", "weak", "strong, weak", "none"):
        worlds = [sharpes for strength, sharpes in found if strength in group.split(", ")]
        if len(worlds) < 2:
            continue
        executed = np.array([sharpes["as executed"] for sharpes in worlds])
        for who in worlds[0]:
            own = np.array([sharpes[who] for sharpes in worlds])
            less = executed - own
            reach = stats.t.ppf(0.975, len(worlds) - 1) * stats.sem(less)
            same = int((less == 0.0).sum())
            note = f"{len(worlds)} worlds; as executed less this {less.mean():+.2f} ± {reach:.2f}, equal in {same}"
            rows.append(row(f"edge {group}: {who}", float(own.mean()), "Sharpe after", note))
    return rows


def run() -> list[dict[str, Any]]:
    """Search and choose in each world."""
    evaluator, found = Evaluator(), list[tuple[str, dict[str, float]]]()
    for world in plan(NULLS, PLANTED, first_seed=FIRST_SEED):
        if sharpes := later_sharpes(world, evaluator):
            found.append((world.strength, sharpes))
    return summary(found)
