"""The family linear_svc_classifier."""

from quant_organism.strategies.families.linear_svc_classifier.rule import LinearSvcClassifier

FAMILY = LinearSvcClassifier()
