"""Which worlds an audit has, and what the organism is given of them."""

import numpy as np
import pytest

from quant_organism.audit.edges import edges, relative_edges
from quant_organism.audit.profile import AuditProfile
from quant_organism.audit.worlds import RANGES, World, plan
from quant_organism.strategies import family_names
from quant_organism.validation import draw_null
from quant_organism_tests.panels import trending_panel


def test_worlds_are_mixed_and_a_larger_audit_holds_the_smaller_one():
    worlds = plan(200, 60, first_seed=1)
    assert len(worlds) == len({world.name for world in worlds}) == 260
    first = [world.origin for world in worlds[:26]]
    assert (first.count("null"), first.count("planted")) == (20, 6)
    assert set(plan(10, 4, first_seed=1)) < set(worlds)


def test_every_edge_is_planted_and_the_strong_ones_first():
    planted = plan(0, 60, first_seed=1)
    kinds = [(world.edge.family, world.strength) for world in planted if world.edge]
    assert [strength for _, strength in kinds[:6]] == ["strong"] * 6
    assert len(set(kinds)) == 12
    assert {kinds.count(kind) for kind in set(kinds)} == {5}


def test_edges_between_assets_have_enough_assets_to_rank_and_nulls_beside_them():
    worlds = plan(12, 12, first_seed=1, implanted=12)
    ranked = [world for world in worlds if world.ranked]
    assert [world.origin for world in ranked].count("null") == 2
    assert {world.edge.family for world in ranked if world.edge} == {"relative_carry", "relative_momentum"}
    assert all(len(world.assets) >= 10 for world in ranked)
    assert all(world.edge is None or not world.edge.is_relative for world in worlds if world.origin == "implanted")
    assert len({world.name for world in worlds}) == len(worlds)


def test_families_that_rank_search_where_assets_are_ranked_and_get_their_share_of_the_test_before_it():
    plain = AuditProfile.load("audit")
    ranked = plain.with_ranking
    assert set(ranked.search.families or ()) - set(plain.search.families or ()) == set(plain.ranking)
    assert (plain.strategies, ranked.strategies) == (36, 51)
    for edge in relative_edges():
        assert any(edge.fits(family) for family in plain.ranking)
        assert not any(edge.fits(family) for family in plain.search.families or ())


def test_who_follows_breaks_behind_a_stop_is_made_for_breakouts():
    fits = {edge.family: {name for name in family_names() if edge.fits(name)} for edge in edges()}
    assert "atr_stop_loss" in fits["breakout"] & fits["momentum"]
    assert "bollinger_bands" in fits["reversion"] - fits["breakout"]
    assert fits["carry"] == {"funding_rate_carry"}


def test_the_seed_ranges_share_no_world():
    assert abs(RANGES["tuning"] - RANGES["confirmation"]) >= 100_000


@pytest.mark.parametrize("edge", [*edges(), *relative_edges()], ids=lambda edge: f"{edge.family}-{edge.strength}")
def test_an_oracle_is_about_what_its_strength_says(edge):
    assert edge.oracle_sharpe == pytest.approx({"weak": 1.5, "strong": 2.7}[edge.strength], abs=0.6)


def test_the_organism_is_not_given_the_days_after():
    world = World("null", 3)
    market, shorter = world.market(200, 60), world.market(200, 0 + 1)
    assert market.given.n_bars == 200 * 24
    assert market.panel.n_bars == 260 * 24
    assert market.given.hash == shorter.given.hash


def test_a_null_does_not_drift_and_of_an_edge_it_is_not_asked():
    assert World("null", 3).market(30, 1).drift == 0.0
    assert np.isnan(World("planted", 3, edges()[0]).market(30, 1).drift)


def test_a_flipped_world_keeps_the_size_of_bars_and_is_drawn_by_its_seed():
    real = trending_panel(days=150)
    one, other = World("flipped", 1).market(120, 60, real), World("flipped", 2).market(120, 60, real)
    assert one.panel.n_bars == 120 * 24
    assert one.panel.hash != other.panel.hash
    assert one.panel.hash == World("flipped", 1).market(120, 60, real).panel.hash


def test_an_implanted_world_has_the_days_after_and_an_edge_beside_the_flipped_one():
    real, edge = trending_panel(days=150), edges()[0]
    world = World("implanted", 1, edge).market(100, 60, real)
    assert (world.panel.n_bars, world.given.n_bars) == (150 * 24, 100 * 24)
    assert np.isnan(world.drift)
    assert world.panel.hash != draw_null(real, "mean_preserving", np.random.SeedSequence(1)).hash
    assert World("implanted", 1, edge).name == f"real-{edge.family}-strong-1"
