"""Decisions made bar by bar are those of the evaluator over the whole sample, to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest import Costs, Evaluator, streamed_targets, target_stream
from quant_organism.strategies import (
    FittedModels,
    Genome,
    default_genome,
    family_names,
    random_genome,
    ranking_family_names,
)
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.backtest.streams import genomes, markets
from quant_organism_tests.panels import trending_panel


@given(genomes(), markets(bars=300), st.sampled_from([1, 8, 32]))
@settings(max_examples=40, deadline=None)
def test_every_bar_is_decided_as_over_the_whole_sample(genome, market, abreast):
    panel, costs, _, _ = market
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target_stream, "ABREAST", abreast)
        patch.setattr(target_stream, "SHORTEST_STRETCH", 20)
        streamed = streamed_targets(genome, panel)
    np.testing.assert_array_equal(streamed, Evaluator(threads=1).targets(genome, panel, costs))


@pytest.mark.parametrize("family", ranking_family_names())
def test_a_book_that_ranks_is_decided_as_over_the_whole_sample(family):
    panel, held = trending_panel(days=90, assets=7), 0
    for seed in range(3):
        genome = random_genome(np.random.default_rng(seed), family)
        wanted = Evaluator(threads=1).targets(genome, panel, Costs())
        held += np.count_nonzero(wanted)
        np.testing.assert_array_equal(streamed_targets(genome, panel), wanted)
    assert held > 0


@pytest.mark.parametrize("family", [*family_names(), *ranking_family_names()])
def test_a_decision_is_that_of_a_sample_that_ends_with_it(family):
    # The reference is the evaluator on a market of which nothing later exists.
    panel = random_panel(5, bars=900, assets=6)
    genome = default_genome(family)
    if "lookback_window" in genome.genes:
        genome = Genome(family, dict(genome.genes) | {"lookback_window": "250", "refit_interval": "168"})
    models = FittedModels()
    streamed = streamed_targets(genome, panel, models=models)
    for row in (310, 640, 899):
        ended = Evaluator(threads=1).targets(genome, panel.window(0, row + 1), Costs())
        np.testing.assert_array_equal(streamed[row], ended[row])
    np.testing.assert_array_equal(streamed_targets(genome, panel, stop=640, models=models), streamed[:640])


@given(genomes(), markets(bars=300), st.data())
@settings(max_examples=25, deadline=None)
def test_a_part_is_decided_as_the_whole(genome, market, data):
    panel, _, start, stop = market
    assets = data.draw(st.lists(st.integers(0, panel.n_assets - 1), unique=True, min_size=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target_stream, "SHORTEST_STRETCH", 20)
        part = streamed_targets(genome, panel, start=start, stop=stop, assets=assets)
    whole = streamed_targets(genome, panel)
    np.testing.assert_array_equal(part[start:, assets], whole[start:stop][:, assets])
    others = np.setdiff1d(np.arange(panel.n_assets), assets)
    assert not part[:, others].any()


@pytest.mark.parametrize("passed", [[0, 0, 0, 0], [0, 2, 0, 699], [999, 0, 0, 120]])
def test_stretches_hold_every_bar_once_that_is_not_passed(passed):
    sizes = np.array([1_000, 3, 0, 700])
    firsts, begins, lengths = target_stream._stretches(sizes, np.array(passed))
    places = np.concatenate([np.arange(first, first + length) for first, length in zip(firsts, lengths, strict=True)])
    own = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    assert sorted(places.tolist()) == np.flatnonzero(own >= np.repeat(passed, sizes)).tolist()
    np.testing.assert_array_equal(own[firsts], begins)
