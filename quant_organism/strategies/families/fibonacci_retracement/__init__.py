"""The family fibonacci_retracement."""

from quant_organism.strategies.families.fibonacci_retracement.rule import FibonacciRetracement

FAMILY = FibonacciRetracement()
