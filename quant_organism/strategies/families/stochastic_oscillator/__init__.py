"""The family stochastic_oscillator."""

from quant_organism.strategies.families.stochastic_oscillator.rule import StochasticOscillator

FAMILY = StochasticOscillator()
