"""A genome's identity is its content, and its stored form is exact."""

import json
import pickle
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError, IntegrityError
from quant_organism.strategies import Genome, default_genome, family_names, get_family, random_genome
from quant_organism.strategies.genome import canonical_json, genes_hash


def test_the_published_example_has_the_published_hash() -> None:
    genes = {"trend_filter": 0.001, "slow_ema_period": 26, "fast_ema_period": 12, "momentum_threshold": 0.005}
    assert canonical_json(genes) == (
        '{"fast_ema_period":12,"momentum_threshold":0.005,"slow_ema_period":26,"trend_filter":0.001}'
    )
    assert genes_hash(genes).startswith("2f78f0e4e9e14367")


def test_identity_names_family_generation_and_hash() -> None:
    genome = Genome("ema_crossover", default_genome("ema_crossover").genes, generation=7)
    assert genome.id == f"ema_crossover_7_{genome.hash[:8]}"
    assert genome.id.rsplit("_", 2) == ["ema_crossover", "7", genome.hash[:8]]


def test_identity_depends_on_values_alone() -> None:
    genes = dict(default_genome("rsi_filter").genes)
    shuffled = Genome("rsi_filter", dict(reversed(genes.items())))
    assert shuffled == default_genome("rsi_filter")
    assert hash(shuffled) == hash(default_genome("rsi_filter"))
    assert list(shuffled.genes) == list(genes)
    noise = Genome("rsi_filter", genes | {"exit_level": 50.000000000001})
    assert noise.hash == shuffled.hash
    assert noise.genes["exit_level"] == 50.0


@pytest.mark.parametrize("family", family_names())
def test_every_gene_moves_the_identity(family: str) -> None:
    genome = default_genome(family)
    for spec in get_family(family).genes:
        ends = spec.choices or (spec.low, spec.high)
        other = next(value for value in ends if value != genome.genes[spec.name])
        value = int(other) if spec.kind == "int" else other
        if spec.kind == "structure":
            value = spec.perturb(genome.genes[spec.name], np.random.default_rng(0))
        assert Genome(family, dict(genome.genes) | {spec.name: value}).hash != genome.hash


@given(st.integers(0, 2**32 - 1), st.integers(0, 1000))
def test_a_genome_with_other_values_is_the_one_that_is_made_of_them(seed: int, generation: int) -> None:
    rng = np.random.default_rng(seed)
    one = random_genome(rng, generation=generation)
    other = random_genome(rng, one.family)
    names = [name for name in one.genes if rng.random() < 0.3]
    try:
        whole = Genome(one.family, {**one.genes, **{name: other.genes[name] for name in names}}, generation)
    except InputError as error:  # the two contradict each other
        with pytest.raises(InputError, match=re.escape(error.what)):
            one.changed({name: other.genes[name] for name in names})
        return
    changed = one.changed({name: other.genes[name] for name in reversed(names)})
    assert (changed, changed.hash, changed.id, list(changed.genes)) == (whole, whole.hash, whole.id, list(whole.genes))


def test_other_values_are_checked_as_those_of_a_new_genome_are() -> None:
    genome = default_genome("rsi_filter")
    assert genome.changed({"exit_level": 50.000000000001}) == Genome("rsi_filter", {**genome.genes, "exit_level": 50.0})
    for wrong in ({"exit_level": 1000.0}, {"exit_level": True}, {"exit_levle": 50.0}):
        with pytest.raises(InputError) as made:
            Genome("rsi_filter", {**genome.genes, **wrong})
        with pytest.raises(InputError) as changed:
            genome.changed(wrong)
        assert str(changed.value) == str(made.value)


def test_gene_names_tell_families_apart() -> None:
    assert len({frozenset(spec.name for spec in get_family(name).genes) for name in family_names()}) == len(
        family_names()
    )


@given(st.integers(0, 2**32 - 1), st.integers(0, 1000))
def test_the_stored_form_is_exact(seed: int, generation: int) -> None:
    genome = random_genome(np.random.default_rng(seed), generation=generation)
    restored = Genome.from_dict(json.loads(json.dumps(genome.to_dict())))
    assert restored == genome
    assert (restored.id, restored.hash, dict(restored.genes)) == (genome.id, genome.hash, dict(genome.genes))
    assert [type(v) for v in restored.genes.values()] == [type(v) for v in genome.genes.values()]


def test_a_genome_cannot_be_changed() -> None:
    genome = default_genome("ema_crossover")
    with pytest.raises(TypeError):
        genome.genes["trend_filter"] = 0.0  # type: ignore[index]
    with pytest.raises(AttributeError):
        genome.family = "rsi_filter"  # type: ignore[misc]


def test_a_genome_travels_between_processes() -> None:
    genome = default_genome("donchian_breakout")
    assert pickle.loads(pickle.dumps(genome)) == genome  # noqa: S301


def test_an_unknown_family_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match=r"unknown family 'ema_crosover'\n.*did you mean ema_crossover\?"):
        Genome("ema_crosover", {})


def test_altered_genes_are_noticed() -> None:
    record = default_genome("ema_crossover").to_dict()
    record["genes"]["trend_filter"] = 0.002
    with pytest.raises(IntegrityError, match="altered after they were stored"):
        Genome.from_dict(record)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generation": -1}, "generation is -1"),
        ({"generation": 1.5}, "generation is 1.5"),
        ({"generation": True}, "generation is True"),
        ({"family": 3}, "field family is 3"),
        ({"genes": [1, 2]}, r"field genes is \[1, 2\]"),
        ({"parent": "x"}, "exactly the fields"),
        ({"genes": {"trend_filter": 0.001}}, "missing gene fast_ema_period"),
    ],
)
def test_a_broken_record_names_its_field(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Genome.from_dict(default_genome("ema_crossover").to_dict() | change)
