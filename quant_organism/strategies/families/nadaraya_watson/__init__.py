"""The family nadaraya_watson."""

from quant_organism.strategies.families.nadaraya_watson.rule import NadarayaWatson

FAMILY = NadarayaWatson()
