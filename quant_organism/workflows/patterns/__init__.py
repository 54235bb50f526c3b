"""Patterns: what each type of phase does, as functions (inputs, spec) -> outcome, in one register."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from quant_organism.workflows.inputs import PhaseInputs
from quant_organism.workflows.outcome import PhaseOutcome
from quant_organism.workflows.patterns.analysis import analysis, own
from quant_organism.workflows.patterns.judging import deployment, validation
from quant_organism.workflows.patterns.measuring import backtest, monte_carlo, train_test, walk_forward
from quant_organism.workflows.patterns.search import optimization
from quant_organism.workflows.patterns.signals import signal_generation, signal_replay
from quant_organism.workflows.spec import PhaseSpec

Pattern = Callable[[PhaseInputs, PhaseSpec], PhaseOutcome]
"""What a phase does."""

PATTERNS: Final[Mapping[str, Pattern]] = MappingProxyType(
    {
        pattern.__name__: pattern
        for pattern in (
            optimization,
            backtest,
            walk_forward,
            train_test,
            monte_carlo,
            signal_generation,
            signal_replay,
            validation,
            deployment,
            analysis,
            own,
        )
    }
)
"""By the type of the phase."""
