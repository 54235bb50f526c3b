"""A whole cycle in memory on a small market, for the tests of what comes after the search."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import polars as pl

from quant_organism.backtest import Costs, Evaluator
from quant_organism.deployment.records import Provenance
from quant_organism.evolution.candidates import Candidate
from quant_organism.evolution.cycle import EvolutionResult, evolve
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.evolution.trials import Trials
from quant_organism.market.panel import Panel
from quant_organism.market.splits import Splits, split
from quant_organism.strategies import evolving_families, get_family
from quant_organism.validation.case import Grounds, PValue
from quant_organism.validation.gauntlet import Review, run_gauntlet
from quant_organism.validation.holdout import HoldoutRegister
from quant_organism.validation.profile import Profile
from quant_organism.validation.records import metrics_frame, summary_frame, verdicts_frame
from quant_organism.validation.rehearsal import Rehearses
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.trial_record import TrialRecord
from quant_organism_tests.kept import kept
from quant_organism_tests.panels import trending_panel

RULES = tuple(name for name in evolving_families() if not get_family(name).model_genes)
SPEC = EvolutionSpec(families=RULES, islands=2, population=20, generations=2, min_trades=5)
PROFILE = Profile.of(
    {
        "name": "test",
        "shadow": [
            {"gate": "backtest", "metric": "sharpe", "span": "in_sample", "at_least": 1.0},
            {"gate": "backtest", "metric": "trades", "span": "in_sample", "at_least": 5},
            {"gate": "backtest", "metric": "sharpe", "span": "out_of_sample", "at_least": 0.5},
            {"gate": "positive_windows", "at_least": 0.5},
            {"gate": "luck", "at_most": 0.05},
        ],
        "paper": [
            {"gate": "backtest", "metric": "max_drawdown", "span": "holdout", "at_most": 0.15},
            {"gate": "deflated_sharpe", "at_least": 0.95},
            {"gate": "decision", "at_least": 1.748163},
        ],
        "information": [{"gate": "holdout_mean", "at_most": 0.05}],
    }
)
PROVENANCE = Provenance(
    market="arrays", date="2024-06-01", panel_hash="ab" * 32, spec_hash=SPEC.hash, code_version="0.1.0", seed=0
)


@dataclass(frozen=True, eq=False)
class Chain:
    """A cycle's parts."""

    panel: Panel
    splits: Splits
    search: EvolutionResult
    grounds: Grounds
    reviews: list[Review]

    @property
    def survivors(self) -> list[Review]:
        """Who has earned something."""
        return [review for review in self.reviews if review.standing != "fallen"]

    @property
    def verdicts(self) -> pl.DataFrame:
        """Verdicts as they are stored."""
        return verdicts_frame(self.reviews, PROFILE)

    @property
    def summary(self) -> pl.DataFrame:
        """Decisions as they are stored."""
        return summary_frame(self.reviews, metrics_frame(self.grounds))


@cache
def chain(drift: float) -> Chain:
    """Run a cycle on 200 days of a market with trends of this drift per bar; 0 is a market without any edge."""
    panel = trending_panel(days=200, drift=drift)
    splits = split(panel.n_bars, panel.interval)
    evaluator, costs = Evaluator(threads=1), Costs()
    searched = panel.window(0, splits.in_sample.stop)
    found = kept(f"chain-{searched.hash}-{SPEC.hash}", lambda: evolve(searched, SPEC, costs, evaluator, seed=0))
    grounds = grounds_of(found.candidates, panel, splits, trials=found.search.trials)
    return Chain(panel, splits, found, grounds, run_gauntlet(grounds, PROFILE))


def grounds_of(
    candidates: Sequence[Candidate],
    panel: Panel,
    splits: Splits,
    *,
    trials: Trials,
    search_p: float | None = None,
    rehearses: Rehearses | None = None,
) -> Grounds:
    """Return grounds on days that nobody has opened before, for a search with this p-value."""
    known = {"committee": NotRun("not repeated") if search_p is None else PValue(search_p, 99)}
    return Grounds(
        panel=panel,
        splits=splits,
        costs=Costs(),
        evaluator=Evaluator(threads=1),
        register=HoldoutRegister(Path(mkdtemp())),
        reason="a test",
        seed=0,
        candidates=tuple(candidates),
        read_trials=lambda: TrialRecord.of(trials),
        find_significance=lambda: known,
        pretest=PValue(0.01, 99),
        rehearses=rehearses,
    )


def edge() -> Chain:
    """Return a cycle on a market with an edge that is hard to miss."""
    return chain(0.0015)


def luck() -> Chain:
    """Return a cycle on a market without an edge."""
    return chain(0.0)


def without_tail(panel: Panel, bars: int) -> Panel:
    """Return the same panel with other prices in its last bars."""
    scale = np.ones((panel.n_bars, 1))
    scale[-bars:] = 1.3
    arrays = {name: getattr(panel, name) * scale for name in ("open", "high", "low", "close")}
    arrays["open"][-bars] /= 1.3
    arrays["low"][-bars] = np.minimum(arrays["low"][-bars], arrays["open"][-bars])
    arrays |= {name: getattr(panel, name) for name in ("volume", "funding_rate", "funding_paid")}
    return Panel.from_arrays(symbols=panel.symbols, interval=panel.interval, times=panel.times, **arrays)
