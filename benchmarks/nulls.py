"""How often a cycle deploys something where nothing is to be found: fresh worlds without an edge, one cycle each."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from scipy.stats import binomtest

from quant_organism.cycle import Compute, Cycle, CyclePlan, SplitPanel
from quant_organism.cycle.stages import decide, judge_by_backtest, judge_by_replay, search
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.market.lake import Lake
from quant_organism.market.schema import day_of
from quant_organism.market.world import WorldSpec, load_world
from quant_organism.market.world.generator import generate
from quant_organism.validation.case import Case
from quant_organism.validation.gauntlet import Review
from quant_organism.validation.profile import Profile
from quant_organism.validation.significance_records import pretest_frame
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.tables import CandidateMetricTable

WORLDS = 40
FIRST_SEED = 1_000
THREADS = 2


def _cycle(spec: WorldSpec, seed: int) -> tuple[list[Review], dict[str, float]]:
    """Return what the candidates of one world have earned by the light profile, and the Sharpe ratios of the first."""
    bars, _ = generate(spec, seed)
    panel = bars.panel()
    with TemporaryDirectory() as place:
        cycle = Cycle(
            plan=CyclePlan(spec=EvolutionSpec.profile("standard"), gates=Profile.load("light"), every_gate=True),
            lake=Lake(Path(place)),
            market="world",
            interval=panel.interval,
            day=day_of(int(panel.times[-1])),
            data=SplitPanel(panel),
            compute=Compute(threads=THREADS),
        )
        result = search(cycle, pretest_frame(NotRun("only the shadow pool is looked at"))).result
        grounds = cycle.grounds(result.candidate_members, result.population)
        backtest = judge_by_backtest(cycle, grounds)
        replay = judge_by_replay(cycle, grounds, backtest.judgements)
        decided = decide(cycle, grounds, backtest.beside[CandidateMetricTable], replay.judgements)
        first = Case(grounds.candidates[0], grounds)
        return decided.reviews, {span: first.metrics(span)["sharpe"] for span in ("in_sample", "holdout")}


def run() -> list[dict[str, Any]]:
    """Run one standard cycle on each of `WORLDS` null worlds."""
    spec = load_world("null")
    results = [_cycle(spec, FIRST_SEED + i) for i in range(WORLDS)]
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
