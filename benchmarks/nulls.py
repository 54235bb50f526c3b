"""How often a cycle deploys something where nothing is to be found: fresh worlds without an edge, one cycle each."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from scipy.stats import binomtest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.evolution.cycle import evolve
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.market.world import WorldSpec, load_world
from quant_organism.market.world.generator import generate
from quant_organism.validation.case import Case, Grounds
from quant_organism.validation.gauntlet import Review, run_gauntlet
from quant_organism.validation.holdout import HoldoutRegister
from quant_organism.validation.profile import Profile
from quant_organism.validation.splits import split
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.trial_record import TrialRecord

WORLDS = 40
FIRST_SEED = 1_000


def _cycle(spec: WorldSpec, seed: int, evaluator: Evaluator) -> tuple[list[Review], dict[str, float]]:
    """Return what the candidates of one world have earned by the light profile, and the Sharpe ratios of the first."""
    bars, _ = generate(spec, seed)
    panel = Panel.from_arrays(
        symbols=bars.symbols,
        interval=Interval.parse("1h"),
        times=bars.times,
        open=bars.open,
        high=bars.high,
        low=bars.low,
        close=bars.close,
        volume=bars.volume,
        funding_rate=bars.funding_rate,
        funding_paid=bars.funding_rate,
    )
    splits = split(panel.n_bars, panel.interval)
    seen = panel.window(splits.in_sample.start, splits.in_sample.stop)
    found = evolve(seen, EvolutionSpec.profile("standard"), Costs(), evaluator, seed=0)
    not_asked = NotRun("only the shadow pool is looked at")
    with TemporaryDirectory() as lake:
        grounds = Grounds(
            panel=panel,
            splits=splits,
            costs=Costs(),
            evaluator=evaluator,
            register=HoldoutRegister(Path(lake)),
            reason="a fresh world",
            seed=0,
            candidates=tuple(found.candidates),
            read_trials=lambda: TrialRecord.of(found.search.trials),
            find_significance=lambda: not_asked,
            pretest=not_asked,
        )
        reviews = run_gauntlet(grounds, Profile.load("light"), every_gate=True)
        first = Case(found.candidates[0], grounds)
        return reviews, {span: first.metrics(span)["sharpe"] for span in ("in_sample", "holdout")}


def run() -> list[dict[str, Any]]:
    """Run one standard cycle on each of `WORLDS` null worlds."""
    evaluator, spec = Evaluator(threads=2), load_world("null")
    results = [_cycle(spec, FIRST_SEED + i, evaluator) for i in range(WORLDS)]
    deployed = sum(any(review.standing != "fallen" for review in reviews) for reviews, _ in results)
    interval = binomtest(deployed, WORLDS).proportion_ci(method="wilson")
    in_sample, unseen = (np.median([sharpe[span] for _, sharpe in results]) for span in ("in_sample", "holdout"))
    note = f"{deployed} of {WORLDS}, seeds {FIRST_SEED} to {FIRST_SEED + WORLDS - 1}"
    return [
        {"metric": "null_worlds_deploying", "value": deployed / WORLDS, "unit": "share", "note": note},
        {"metric": "wilson_low", "value": interval.low, "unit": "share", "note": "95 % interval"},
        {"metric": "wilson_high", "value": interval.high, "unit": "share", "note": "95 % interval"},
        {"metric": "best_in_sample_sharpe", "value": in_sample, "unit": "a year", "note": "median over worlds: luck"},
        {"metric": "committee_unseen_sharpe", "value": unseen, "unit": "a year", "note": "median over worlds: costs"},
    ]
