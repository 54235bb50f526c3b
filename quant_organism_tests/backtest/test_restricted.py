"""Rule 19 and the returns of sleeves alone: what a genome does on some of the assets is what it does there anyway."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest import Costs, Evaluator
from quant_organism.errors import InputError
from quant_organism.strategies import Committee, evolving_families, random_genome
from quant_organism_tests.backtest.markets import random_panel

COSTS = (Costs(), Costs(max_participation=0.01, impact_bps=50.0))


def genomes_of(seed, count=8):
    rng = np.random.default_rng(seed)
    names = evolving_families()
    return [random_genome(rng, names[i % len(names)]) for i in range(count)]


@pytest.mark.parametrize("costs", COSTS)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1_000))
def test_asking_for_the_sleeves_changes_no_bit_of_the_rest(costs, seed):
    panel, genomes, evaluator = random_panel(seed), genomes_of(seed), Evaluator(threads=2)
    plain = evaluator.evaluate(genomes, panel, costs, start=50, bar_returns=True)
    asked = evaluator.evaluate(genomes, panel, costs, start=50, bar_returns=True, asset_daily_returns=True)
    assert plain.asset_daily_returns is None
    np.testing.assert_array_equal(asked.bar_returns, plain.bar_returns)
    np.testing.assert_array_equal(asked.behaviour, plain.behaviour)
    for name, values in plain.metrics.items():
        np.testing.assert_array_equal(asked.metrics[name], values)
    for name, values in plain.asset_metrics.items():
        np.testing.assert_array_equal(asked.asset_metrics[name], values)


@pytest.mark.parametrize("costs", COSTS)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1_000))
def test_a_sleeve_compounds_its_days_to_its_own_total_return(costs, seed):
    panel, genomes = random_panel(seed), genomes_of(seed)
    found = Evaluator(threads=1).evaluate(genomes, panel, costs, start=50, asset_daily_returns=True)
    assert found.asset_daily_returns.shape == (len(genomes), panel.n_assets, found.days.size)
    assert np.isfinite(found.asset_daily_returns).all()
    grown = np.prod(1.0 + found.asset_daily_returns, axis=2) - 1.0
    listed = panel.valid[50:].any(axis=0)
    np.testing.assert_allclose(grown[:, listed], found.asset_metrics["total_return"][:, listed], atol=1e-12)
    assert not found.asset_daily_returns[:, ~listed].any()


@pytest.mark.parametrize("costs", COSTS)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1_000))
def test_portfolios_restricted_to_parts_of_the_assets_add_up_to_the_whole(costs, seed):
    panel, genomes, evaluator = random_panel(seed), genomes_of(seed), Evaluator(threads=2)
    parts = [panel.symbols[:1], panel.symbols[1:]]
    whole = evaluator.evaluate(genomes, panel, costs, bar_returns=True)
    first, rest = (
        evaluator.evaluate(genomes, panel, costs, bar_returns=True, assets=[part] * len(genomes)) for part in parts
    )
    np.testing.assert_allclose(first.bar_returns + rest.bar_returns, whole.bar_returns, atol=1e-15)
    for name in ("trades", "exposure", "net_exposure", "turnover_per_year"):
        np.testing.assert_allclose(first.metrics[name] + rest.metrics[name], whole.metrics[name], atol=1e-9)
    for name in ("total_return", "trades", "exposure"):
        np.testing.assert_array_equal(first.asset_metrics[name][:, 0], whole.asset_metrics[name][:, 0])
        assert not np.nan_to_num(first.asset_metrics[name][:, 1:]).any()


def test_naming_no_asset_means_all_and_each_genome_has_its_own():
    panel, genomes, evaluator = random_panel(3), genomes_of(3, 4), Evaluator(threads=1)
    whole = evaluator.evaluate(genomes, panel, Costs(), bar_returns=True)
    some = evaluator.evaluate(
        genomes, panel, Costs(), bar_returns=True, assets=[(), panel.symbols, panel.symbols[1:2], ()]
    )
    np.testing.assert_array_equal(some.bar_returns[[0, 1, 3]], whole.bar_returns[[0, 1, 3]])
    alone = evaluator.evaluate(genomes, panel, Costs(), bar_returns=True, assets=[panel.symbols[1:2]] * 4)
    np.testing.assert_array_equal(some.bar_returns[2], alone.bar_returns[2])


def test_a_sleeve_that_does_not_take_part_is_one_that_never_trades():
    panel, evaluator = random_panel(5, holes=False), Evaluator(threads=1)
    still = next(
        genome
        for genome in genomes_of(5, 200)
        if not evaluator.evaluate([genome], panel, Costs()).asset_metrics["trades"].any()
    )
    never = evaluator.evaluate([still], panel, Costs())
    barred = evaluator.evaluate(genomes_of(6, 1), panel, Costs(), assets=[panel.symbols[:1]])
    for name, values in never.asset_metrics.items():
        np.testing.assert_array_equal(barred.asset_metrics[name][0, 1], values[0, 1], err_msg=name)


def test_a_committee_weighs_the_portfolios_that_its_members_form():
    panel, genomes, evaluator = random_panel(8), genomes_of(8, 3), Evaluator(threads=2)
    symbols = panel.symbols
    committee = Committee.of([genomes[0], genomes[1], genomes[1]], [2.0, 1.0, 1.0], [(), symbols[:1], symbols[1:]])
    found = evaluator.evaluate_committees([committee], panel, Costs())
    alone = evaluator.evaluate(
        committee.genomes, panel, Costs(), bar_returns=True, assets=[member.assets for member in committee.members]
    )
    np.testing.assert_allclose(found.bar_returns[0], committee.weights @ alone.bar_returns, atol=1e-15)
    # Its two halves with equal weights are the same genome whole with that weight.
    plain = evaluator.evaluate_committees([Committee.of(genomes[:2], [2.0, 1.0])], panel, Costs())
    np.testing.assert_allclose(found.bar_returns[0], 0.75 * plain.bar_returns[0], atol=1e-11)
    assert found.metrics["trades"][0] == plain.metrics["trades"][0]


def test_a_symbol_that_the_panel_lacks_is_refused():
    panel, genome = random_panel(1), genomes_of(1, 1)
    with pytest.raises(InputError, match="the panel has no NOPE") as caught:
        Evaluator(threads=1).evaluate(genome, panel, Costs(), assets=[("NOPE",)])
    assert panel.symbols[0] in caught.value.remedy
    with pytest.raises(InputError, match="NOPE"):
        Evaluator(threads=1).evaluate_committees([Committee.of(genome, None, [("NOPE",)])], panel, Costs())
