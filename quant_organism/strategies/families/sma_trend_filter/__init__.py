"""The family sma_trend_filter."""

from quant_organism.strategies.families.sma_trend_filter.rule import SmaTrendFilter

FAMILY = SmaTrendFilter()
