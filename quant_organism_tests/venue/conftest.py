"""The venue's tests read the same small market as the simulator's."""

from quant_organism_tests.simulator.conftest import small_tape

__all__ = ["small_tape"]
