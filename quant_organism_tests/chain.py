"""A whole cycle in memory on a small market, for the tests of what comes after the search."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from quant_organism.backtest import Costs, Evaluator
from quant_organism.deployment.records import Provenance
from quant_organism.evolution.candidates import Candidate
from quant_organism.evolution.cycle import EvolutionResult, evolve
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.market.panel import Panel
from quant_organism.strategies import evolving_families, get_family
from quant_organism.strategies.family import model_genes
from quant_organism.validation.holdout import HoldoutRegister
from quant_organism.validation.old_gates import ValidationProfile
from quant_organism.validation.splits import Splits, split
from quant_organism.validation.stages import ValidationResult, validate
from quant_organism_tests.panels import trending_panel

RULES = tuple(name for name in evolving_families() if not model_genes(get_family(name)))
SPEC = EvolutionSpec(families=RULES, islands=2, population=20, generations=2, min_trades=5)
PROFILE = ValidationProfile(in_sample_trades=5, out_of_sample_trades=1)
PROVENANCE = Provenance(
    market="arrays", date="2024-06-01", panel_hash="ab" * 32, spec_hash=SPEC.hash, code_version="0.1.0", seed=0
)


@dataclass(frozen=True)
class Chain:
    """A cycle's parts."""

    panel: Panel
    splits: Splits
    search: EvolutionResult
    validation: ValidationResult


@cache
def chain(drift: float) -> Chain:
    """Run a cycle on 200 days of a market with trends of this drift per bar; 0 is a market without any edge."""
    panel = trending_panel(days=200, drift=drift)
    splits = split(panel.n_bars, panel.interval)
    evaluator, costs = Evaluator(threads=1), Costs()
    found = evolve(panel.window(0, splits.in_sample.stop), SPEC, costs, evaluator, seed=0)
    return Chain(panel, splits, found, judged(found.candidates, panel, splits))


def judged(candidates: Sequence[Candidate], panel: Panel, splits: Splits) -> ValidationResult:
    """Validate candidates on days that nobody has opened before."""
    with TemporaryDirectory() as folder:
        register = HoldoutRegister(Path(folder))
        return validate(candidates, panel, splits, PROFILE, Costs(), Evaluator(threads=1), register, reason="a test")


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
