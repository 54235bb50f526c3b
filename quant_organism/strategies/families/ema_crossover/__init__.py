"""The family ema_crossover."""

from quant_organism.strategies.families.ema_crossover.rule import EmaCrossover

FAMILY = EmaCrossover()
