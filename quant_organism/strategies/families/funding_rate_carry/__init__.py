"""The family funding_rate_carry."""

from quant_organism.strategies.families.funding_rate_carry.rule import FundingRateCarry

FAMILY = FundingRateCarry()
