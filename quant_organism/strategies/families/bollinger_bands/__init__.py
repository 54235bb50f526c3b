"""The family bollinger_bands."""

from quant_organism.strategies.families.bollinger_bands.rule import BollingerBands

FAMILY = BollingerBands()
