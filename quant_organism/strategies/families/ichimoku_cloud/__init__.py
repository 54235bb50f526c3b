"""The family ichimoku_cloud."""

from quant_organism.strategies.families.ichimoku_cloud.rule import IchimokuCloud

FAMILY = IchimokuCloud()
