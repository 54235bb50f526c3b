"""The account over a committee: seconds of its walk, of its members' virtual positions, and of a bar in plain Python.

30 members on 8 assets of two years of hours, warm; the committee trades a simulated market. Seconds are CPU time,
the least of several.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.evaluator import panel, row
from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.account import AccountRules, committee_setting, plan, trade_account_bar
from quant_organism.strategies import Committee, evolving_families, random_genome

ASSETS, BARS, MEMBERS = 8, 17_520, 30
PLAIN_BARS = 500
UNRESTRAINED = AccountRules.alone(
    halve_at=0.97,
    no_entries_at=0.98,
    flat_at=0.99,
    day_no_entries_at=0.98,
    day_flat_at=0.99,
    rapid_exits=1_000,
    rapid_loss=0.99,
    tail_loss_at=0.99,
)
"""Rules without limits of losses: the account trades to the end, whatever its members earn."""


def run() -> list[dict[str, Any]]:
    """Measure, and return one row per metric."""
    rng, families = np.random.default_rng(0), sorted(evolving_families())
    genomes = [random_genome(rng, families[place % len(families)]) for place in range(MEMBERS)]
    market, evaluator = panel(BARS, ASSETS), Evaluator(threads=1)
    setting = committee_setting(
        Committee.of(genomes),
        market,
        Costs(),
        rules=UNRESTRAINED,
        daily_before=[0.001, -0.001] * 30,
        evaluator=evaluator,
    )
    first = setting.run(10_000.0)
    note = (
        f"{MEMBERS} members x {ASSETS} assets x {BARS} bars; {len(first.path.lines)} order lines, "
        f"{len(first.path.fills)} fills"
    )
    virtual = seconds(lambda: evaluator.exposures(genomes, market, Costs()), times=3)
    account = setting.opened(10_000.0)
    begun = time.process_time()
    for place in range(PLAIN_BARS):
        made = plan(
            account, setting.virtual.close(place, int(setting.market.times[place]), setting.market.prices(place))
        )
        trade_account_bar(account, made, setting.market.bar(place), setting.virtual.levels(place), setting.model)
    plain = (time.process_time() - begun) / PLAIN_BARS
    return [
        row("walk_s", seconds(lambda: setting.run(10_000.0), times=5), "s", note),
        row("virtual_s", virtual, "s", "units and levels of all sleeves, indicators known"),
        row("plain_ms_per_bar", plain * 1e3, "ms", "plan, door and modelled fills of one bar in plain Python"),
    ]


def seconds(task: Callable[[], object], *, times: int) -> float:
    """Return the least CPU seconds of a task."""
    taken = []
    for _ in range(times):
        begun = time.process_time()
        task()
        taken.append(time.process_time() - begun)
    return min(taken)
