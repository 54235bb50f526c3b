"""Gates by kind: each asks a case for evidence and returns one verdict with its number and its reason.

Which gates a candidate meets, and with which thresholds, is declared in a profile (`validation/profile.py`); the order
and the decision are the gauntlet's (`validation/gauntlet.py`).
"""

from typing import Final

from quant_organism.validation.gates import overfitting, replay, robustness, significance, testnet, thresholds
from quant_organism.validation.gates.gate import Gate

GATES: Final[tuple[type[Gate], ...]] = tuple(
    gate for file in (thresholds, overfitting, robustness, replay, testnet, significance) for gate in file.GATES
)
"""Every kind of gate."""
