"""The spec of a search: its identity, its bounds, and what its YAML form says when it is wrong."""

import re

import pytest
from pydantic import ValidationError

from quant_organism.errors import InputError
from quant_organism.evolution.spec import PROFILES, EvolutionSpec
from quant_organism_tests.conftest import REPOSITORY


def test_equal_specs_have_equal_hashes_and_any_change_another():
    spec = EvolutionSpec()
    assert spec.hash == EvolutionSpec().hash
    others = [EvolutionSpec(population=51), EvolutionSpec(generations=9), EvolutionSpec(families=("rsi_filter",))]
    assert len({spec.hash, *(other.hash for other in others)}) == 4


def test_the_full_profile_is_the_default_and_has_the_documents_sizes():
    full = EvolutionSpec.profile("full")
    assert full == EvolutionSpec()
    assert (full.islands, full.population, full.generations, full.strategies) == (10, 50, 20, 500)
    assert (full.mutation_rate, full.crossover_probability, full.elite) == (0.15, 0.8, 0.3)
    assert len({EvolutionSpec.profile(name).hash for name in PROFILES}) == len(PROFILES) == 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"families": ("martingale",)}, r"martingale(.|\n)*ema_crossover"),
        ({"families": ()}, r"families: no family is named"),
        ({"objectives": ("sharpe", "fame")}, r"fame(.|\n)*max_drawdown"),
        ({"objectives": ()}, r"objectives: no objective is named"),
        ({"max_evaluations": 499}, r"max_evaluations: 499 evaluations(.|\n)*at least 500"),
        ({"cost_limit_usd": 30.0}, r"cost_limit_usd: a cost is limited(.|\n)*cost_per_worker_hour_usd"),
    ],
)
def test_what_cannot_be_searched_is_an_error_that_says_what_can(wrong, message):
    with pytest.raises(InputError, match=message):
        EvolutionSpec(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"population": 2},
        {"mutation_rate": 1.5},
        {"committee_size": 31},
        {"popluation": 9},
        {"hours": 0},
        {"elite": 1.0},
    ],
)
def test_impossible_and_misspelt_settings_are_errors(wrong):
    with pytest.raises(ValidationError):
        EvolutionSpec(**wrong)


def test_a_spec_is_read_from_yaml(tmp_path):
    path = tmp_path / "search.yaml"
    path.write_text("islands: 4\nfamilies: [rsi_filter, ema_crossover]\nhours: 1.5\n")
    assert EvolutionSpec.read(path) == EvolutionSpec(islands=4, families=("rsi_filter", "ema_crossover"), hours=1.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("islands: many", r"search.yaml: islands: (.|\n)*not 'many'"),
        ("hours: -1", r"search.yaml: hours: (.|\n)*not -1"),
        ("ilands: 4", r"search.yaml: ilands: no such key(.|\n)*islands"),
        ("families: [rsi_filter, martingale]", r"search.yaml: families: unknown families martingale"),
        ("- 1", r"search.yaml: not a mapping"),
        ("a: [", r"search.yaml: cannot be read"),
        ("a: !!python/object/apply:os.getcwd []", r"search.yaml: cannot be read"),
        ("a: " + 70_000 * "b", r"search.yaml: more than"),
    ],
)
def test_a_wrong_yaml_file_is_refused_with_the_path_to_the_field(tmp_path, text, message):
    path = tmp_path / "search.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        EvolutionSpec.read(path)


def test_the_example_of_the_documentation_can_be_read(tmp_path):
    page = (REPOSITORY / "docs" / "evolution.md").read_text()
    example = re.search(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert example
    path = tmp_path / "search.yaml"
    path.write_text(example[1])
    assert EvolutionSpec.read(path).islands == 6


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.yaml"):
        EvolutionSpec.read(tmp_path / "nothing.yaml")
