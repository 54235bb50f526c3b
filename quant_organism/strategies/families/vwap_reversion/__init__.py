"""The family vwap_reversion."""

from quant_organism.strategies.families.vwap_reversion.rule import VwapReversion

FAMILY = VwapReversion()
