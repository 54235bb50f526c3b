"""The spec of a search: its identity and its bounds."""

import pytest
from pydantic import ValidationError

from quant_organism.errors import InputError
from quant_organism.evolution.spec import EvolutionSpec


def test_equal_specs_have_equal_hashes_and_any_change_another():
    spec = EvolutionSpec()
    assert spec.hash == EvolutionSpec().hash
    others = [EvolutionSpec(population=241), EvolutionSpec(generations=9), EvolutionSpec(families=("rsi_filter",))]
    assert len({spec.hash, *(other.hash for other in others)}) == 4


def test_an_unknown_family_is_an_error_that_lists_the_known_ones():
    with pytest.raises(InputError, match=r"martingale(.|\n)*ema_crossover"):
        EvolutionSpec(families=("martingale",))


@pytest.mark.parametrize(
    "wrong", [{"population": 2}, {"mutation_rate": 1.5}, {"committee_size": 31}, {"popluation": 9}]
)
def test_impossible_and_misspelt_settings_are_errors(wrong):
    with pytest.raises(ValidationError):
        EvolutionSpec(**wrong)
