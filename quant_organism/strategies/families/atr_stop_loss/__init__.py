"""The family atr_stop_loss."""

from quant_organism.strategies.families.atr_stop_loss.rule import AtrStopLoss

FAMILY = AtrStopLoss()
