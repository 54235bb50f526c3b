"""Genes keep to their bounds, and say so when they cannot."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError
from quant_organism.strategies import GeneSpec
from quant_organism.strategies.common_genes import RISK_GENES
from quant_organism.strategies.genes import check_genes

PERIOD = GeneSpec(name="period", kind="int", default=10, low=5, high=15, unit="bars", description="a period")
SHARE = GeneSpec(name="share", kind="float", default=0.5, low=-0.1, high=0.9, unit="fraction", description="a share")
MODE = GeneSpec(name="mode", kind="choice", default="a", choices=("a", "b", "c"), unit="mode", description="a mode")


@pytest.mark.parametrize(
    ("spec", "value", "bounds"),
    [
        (PERIOD, 4, r"an integer in \[5, 15\]"),
        (PERIOD, 16, r"an integer in \[5, 15\]"),
        (PERIOD, 10.0, r"an integer in \[5, 15\]"),
        (PERIOD, True, r"an integer in \[5, 15\]"),
        (PERIOD, "10", r"an integer in \[5, 15\]"),
        (SHARE, 0.9000001, r"a number in \[-0.1, 0.9\]"),
        (SHARE, float("nan"), r"a number in \[-0.1, 0.9\]"),
        (SHARE, float("inf"), r"a number in \[-0.1, 0.9\]"),
        (SHARE, None, r"a number in \[-0.1, 0.9\]"),
        (MODE, "d", "one of a, b, c"),
        (MODE, 1, "one of a, b, c"),
    ],
)
def test_a_wrong_value_is_refused_with_gene_and_bounds(spec: GeneSpec, value: object, bounds: str) -> None:
    with pytest.raises(InputError, match=rf"gene {spec.name} is .*expected {bounds}"):
        spec.check(value, "here")


def test_values_become_canonical() -> None:
    assert type(PERIOD.check(np.int64(7), "here")) is int
    assert SHARE.check(0, "here") == 0.0
    assert str(SHARE.check(-0.0, "here")) == "0.0"
    assert SHARE.check(0.123456789012345, "here") == 0.123456789


def test_missing_and_unknown_genes_are_named_together() -> None:
    with pytest.raises(InputError, match="missing gene share; unknown gene sahre"):
        check_genes([PERIOD, SHARE], {"period": 10, "sahre": 0.1}, "here")


@given(st.integers(0, 2**32 - 1))
def test_a_neighbour_of_an_int_or_a_choice_is_another_value(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for spec in (PERIOD, MODE):
        value = spec.draw(rng)
        neighbour = spec.perturb(value, rng)
        assert spec.check(neighbour, "here") == neighbour != value
    share = SHARE.perturb(SHARE.draw(rng), rng)
    assert SHARE.check(share, "here") == share


def test_risk_genes_never_allow_more_than_fifteen_percent_of_equity() -> None:
    assert {spec.name: spec.high for spec in RISK_GENES}["position_size"] == 0.15
