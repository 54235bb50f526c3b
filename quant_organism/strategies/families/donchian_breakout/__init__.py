"""The family donchian_breakout."""

from quant_organism.strategies.families.donchian_breakout.rule import DonchianBreakout

FAMILY = DonchianBreakout()
