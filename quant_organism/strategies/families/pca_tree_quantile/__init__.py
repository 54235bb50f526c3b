"""The family pca_tree_quantile."""

from quant_organism.strategies.families.pca_tree_quantile.rule import PcaTreeQuantile

FAMILY = PcaTreeQuantile()
