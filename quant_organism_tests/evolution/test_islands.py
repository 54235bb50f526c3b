"""Islands: who founds them, who keeps a seat, what they ask for, and that they go on from what they remember."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.backtest import Costs, Evaluator
from quant_organism.evolution.islands import FIRST_SHARE, Island, family_groups, favourites
from quant_organism.evolution.source import GenomeSource
from quant_organism.evolution.spec import EvolutionSpec
from quant_organism.evolution.trials import METRICS, TrialBook, Trials
from quant_organism.evolution.variation import ModelMenu, Offspring
from quant_organism.strategies import default_genome, get_family, random_genome
from quant_organism_tests.panels import trending_panel

FAMILIES = ("ema_crossover", "rsi_filter")
SPEC = EvolutionSpec(families=FAMILIES, islands=1, population=16, generations=8, restart_after=3)
SOURCE = GenomeSource(trending_panel(days=40), Costs(), Evaluator(threads=1))


def new_island(spec: EvolutionSpec = SPEC, seed: int = 1) -> Island:
    menu = ModelMenu(FAMILIES, 2, np.random.default_rng(0))
    return Island(
        0, FAMILIES, spec, menu, SOURCE, lambda rows: float(-rows.min(initial=0.0)), np.random.default_rng(seed)
    )


def measured(offspring, generation, sharpe, behaviour=None) -> Trials:
    """Trials of two objectives, both minus the given numbers, as if they had been measured."""
    count = len(offspring)
    parents = np.full((count, 2), -1, dtype=np.int64)
    for row, child in zip(parents, offspring, strict=True):
        row[: len(child.parents)] = child.parents
    return Trials(
        genomes=tuple(child.genome for child in offspring),
        generation=np.full(count, generation),
        island=np.zeros(count, dtype=np.int64),
        parents=parents,
        operator=tuple(child.operator for child in offspring),
        metrics={name: np.asarray(sharpe, dtype=np.float64) for name in METRICS},
        asset_sharpe=np.zeros((count, 1)),
        behaviour=np.asarray(behaviour if behaviour is not None else [int(c.genome.hash[:15], 16) for c in offspring]),
        objectives=-np.column_stack([sharpe, sharpe]).astype(np.float64),
        feasible=np.ones(count, dtype=np.bool_),
        on_front=np.zeros(count, dtype=np.bool_),
        survived=np.zeros(count, dtype=np.bool_),
        symbols=("A",),
        days=np.zeros(1, dtype=np.int64),
        daily_returns=np.zeros((count, 1)),
    )


def founded(island: Island) -> tuple[TrialBook, set[str]]:
    book, asked = TrialBook(2), set()
    for _ in range(2):
        founders = island.ask(book, 0, asked)
        island.tell(book, book.add(measured(founders, 0, len(book) + np.arange(len(founders)))), 0)
    assert not island.vacant
    island.close(book)
    return book, asked


@given(st.integers(1, 40), st.integers(1, 30))
def test_every_family_founds_an_island_and_every_island_has_two_families(n_families, islands):
    families = [f"family {k}" for k in range(n_families)]
    groups = family_groups(families, islands)
    assert len(groups) == islands
    assert set().union(*groups) == set(families)
    assert all(len(set(group)) == len(group) >= min(2, n_families) for group in groups)


def test_most_founders_come_from_the_families_in_turn_and_the_others_from_the_best_of_them():
    island, book, asked = new_island(), TrialBook(2), set()
    first = island.ask(book, 0, asked)
    assert len(first) == round(FIRST_SHARE * 16)
    assert [founder.genome.family for founder in first] == (list(FAMILIES) * 8)[: len(first)]
    assert {founder.operator for founder in first} == {"founder"}
    sharpe = [2.0 if founder.genome.family == "rsi_filter" else 1.0 for founder in first]
    island.tell(book, book.add(measured(first, 0, sharpe)), 0)
    second = island.ask(book, 0, asked)
    assert len(second) == 16 - len(first)
    assert {(founder.genome.family, founder.operator) for founder in second} == {("rsi_filter", "favoured")}
    assert all(founder.parents == () for founder in first + second)


def test_families_are_ranked_by_their_two_best_and_a_quarter_is_favoured():
    book, rng = TrialBook(2), np.random.default_rng(0)
    names = [name for name in ("ema_crossover", "rsi_filter", "donchian_breakout", "vwap_reversion") for _ in range(3)]
    offspring = [Offspring(random_genome(rng, name), (), "founder") for name in names]
    # One lucky genome is beaten by two good ones.
    book.add(measured(offspring, 0, [3.0, -9.0, -9.0, 1.0, 1.0, 1.0, 2.0, 1.9, -9.0, 0.0, 0.0, 0.0]))
    assert favourites(book) == ["donchian_breakout"]


def test_a_brood_leaves_the_elite_its_seats():
    island = new_island()
    book, asked = founded(island)
    before = island.members
    brood = island.ask(book, 1, asked)
    assert len(brood) == SPEC.brood == 11
    assert sum(child.operator == "immigrant" for child in brood) == 1
    island.tell(book, book.add(measured(brood, 1, np.full(len(brood), 100.0) + np.arange(len(brood)))), 1)
    # However good the children are, the five best parents stay, and none but them.
    assert set(island.members[island.members < 16]) == set(before[np.argsort(book.objectives[before, 0])][:5])


def test_parents_are_numbers_of_trials_of_the_childs_family():
    island = new_island()
    book, asked = founded(island)
    born = [child for child in island.ask(book, 1, asked) if child.operator != "immigrant"]
    assert len(born) == SPEC.brood - 1
    for child in born:
        assert 1 <= len(child.parents) <= 2
        assert book.genomes[child.parents[0]].family == child.genome.family


def test_nothing_is_asked_for_twice():
    island = new_island()
    book, asked = founded(island)
    hashes = [genome.hash for genome in book.genomes]
    for generation in range(1, 5):
        brood = island.ask(book, generation, asked)
        hashes += [child.genome.hash for child in brood]
        island.tell(book, book.add(measured(brood, generation, np.arange(len(brood)))), generation)
    assert len(set(hashes)) == len(hashes)


def test_trials_that_behave_alike_take_one_seat_and_the_elder_keeps_it():
    island = new_island()
    book, asked = TrialBook(2), set()
    founders = island.ask(book, 0, asked)
    assert len(founders) == 9
    island.tell(book, book.add(measured(founders, 0, np.ones(9), behaviour=np.arange(9) // 3)), 0)
    assert island.members.tolist() == [0, 3, 6]
    assert island.vacant == 13


def test_a_worse_family_keeps_its_floor_in_the_first_half_and_no_longer():
    def seats_of_the_worse(generation: int) -> int:
        island = new_island()
        book, asked = TrialBook(2), set()
        founders = island.ask(book, 0, asked)
        sharpe = [(5.0 if f.genome.family == "ema_crossover" else -5.0) + k / 99 for k, f in enumerate(founders)]
        island.tell(book, book.add(measured(founders, 0, sharpe)), 0)
        rng = np.random.default_rng(9)
        newborn = [Offspring(random_genome(rng, "ema_crossover"), (), "immigrant") for _ in range(16)]
        island.tell(book, book.add(measured(newborn, generation, 10.0 + np.arange(16))), generation)
        return sum(book.genomes[trial].family == "rsi_filter" for trial in island.members)

    assert seats_of_the_worse(4) == 2  # a quarter of 16 seats, shared by two families
    assert seats_of_the_worse(5) == 0


def test_an_island_that_gains_nothing_starts_again_from_its_elite():
    island = new_island()
    book, asked = founded(island)
    best = set(island.members[np.argsort(book.objectives[island.members, 0])][:5])
    for generation in range(1, 4):
        assert island.restarts == 0
        brood = island.ask(book, generation, asked)
        island.tell(book, book.add(measured(brood, generation, np.full(len(brood), -9.0))), generation)
        island.close(book)
    assert island.restarts == 1
    assert set(island.members) == best
    newcomers = island.ask(book, 4, asked)
    assert {child.operator for child in newcomers} == {"founder"}
    assert len(newcomers) == island.vacant == 11


def test_an_island_goes_on_from_its_state_as_if_it_had_never_stopped():
    island = new_island()
    book, asked = founded(island)
    other = new_island(seed=77)
    other.restore(json.loads(json.dumps(island.state())))
    assert other.state() == island.state()
    assert other.ask(book, 1, set(asked)) == island.ask(book, 1, set(asked))


@pytest.mark.parametrize("family", ["linear_svc_classifier", "pca_tree_quantile"])
def test_a_menu_has_the_reference_model_and_no_more_models_than_its_size(family):
    menu, rng = ModelMenu([family, "rsi_filter"], 3, np.random.default_rng(0)), np.random.default_rng(1)
    names = get_family(family).model_genes
    drawn = [random_genome(rng, family) for _ in range(60)]
    settled = [menu.settled(genome, rng) for genome in drawn]
    models = {tuple(genome.genes[name] for name in names) for genome in settled}
    assert tuple(default_genome(family).genes[name] for name in names) in models
    assert len(models) == 3
    for before, after in zip(drawn, settled, strict=True):
        assert {n: v for n, v in before.genes.items() if n not in names} == {
            n: v for n, v in after.genes.items() if n not in names
        }
    assert all(menu.settled(genome, rng) == genome for genome in settled)


def test_families_without_models_have_no_menu():
    menu, rng = ModelMenu(["rsi_filter"], 3, np.random.default_rng(0)), np.random.default_rng(1)
    genome = random_genome(rng, "rsi_filter")
    assert menu.settled(genome, rng) is genome
