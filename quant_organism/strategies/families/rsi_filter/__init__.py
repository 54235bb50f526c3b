"""The family rsi_filter."""

from quant_organism.strategies.families.rsi_filter.rule import RsiFilter

FAMILY = RsiFilter()
