"""What cross-sectional genomes decide on panels: against plain Python, without any look ahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.market import Panel
from quant_organism.strategies import Genome, default_genome, get_family, random_genome, ranking_family_names, signal
from quant_organism.strategies.cross_section.family import CrossSectionFamily
from quant_organism.strategies.cross_section.history import CrossSectionBars, CrossSectionHistory
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.strategies.cross_section import reference

FAMILIES = ranking_family_names()


def market(seed: int, *, assets: int = 16, bars: int = 420) -> Panel:
    """Return bars of four hours with holes, late listings, and an asset without funding."""
    panel = random_panel(seed, bars=bars, assets=assets, interval="4h")
    rate = np.where(panel.valid, 1e-5, np.nan)
    rate[:, 0] = np.nan
    volume = panel.volume.copy()
    volume[bars - 10 : bars - 7, 1] = 0.0
    return replace(panel, funding_rate=rate, volume=volume)


def sound(name: str, seed: int) -> Genome:
    """Return a random genome that leaves no asset out for its volume."""
    genome = random_genome(np.random.default_rng(seed), name)
    return replace(genome, genes=dict(genome.genes) | {"liquidity_share": 0.0})


def family_of(genome: Genome) -> CrossSectionFamily:
    """Return the family of a genome that ranks."""
    family = get_family(genome.family)
    assert isinstance(family, CrossSectionFamily)
    return family


def weights_of(genome: Genome, panel: Panel, rows: list[int]) -> NDArray[np.float64]:
    """Return the weights at some rows, in the panel's order, shape (N, D)."""
    found = family_of(genome).weights(CrossSectionBars.of(panel).view(np.array(rows)), genome.genes)
    order = sorted(range(panel.n_assets), key=panel.symbols.__getitem__)
    weights = np.empty_like(found)
    weights[order] = found
    return weights


@pytest.mark.parametrize("name", FAMILIES)
def test_decisions_are_those_of_plain_python(name: str) -> None:
    rng = np.random.default_rng(7)
    held = False
    for seed in range(3):
        panel = market(seed)
        genome = random_genome(rng, name)
        genome = replace(genome, genes=dict(genome.genes) | {"liquidity_share": 0.0 if seed else 0.2})
        rows = [150, 181, 300, 412, 419]
        found = weights_of(genome, panel, rows)
        for place, row in enumerate(rows):
            assert found[:, place] == pytest.approx(reference.weights_at(genome, panel, row), abs=1e-9)
        held |= bool(found.any())
    assert held


@pytest.mark.parametrize("name", FAMILIES)
def test_bars_to_come_change_no_decision(name: str) -> None:
    panel, genome = market(3), sound(name, 5)
    rows = [200, 333]
    later = slice(334, None)
    altered = {key: getattr(panel, key).copy() for key in ("close", "volume", "funding_paid", "valid")}
    altered["close"][later] *= 3.0
    altered["volume"][later] *= 0.1
    altered["funding_paid"][later] = 0.5
    altered["valid"][later, 2:5] = False
    whole = weights_of(genome, panel, rows)
    assert whole.any()
    assert np.array_equal(weights_of(genome, replace(panel, **altered), rows), whole)
    assert np.array_equal(weights_of(genome, panel.window(0, 334), rows), whole)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_order_of_assets_changes_no_bit(name: str) -> None:
    panel, genome = market(4), sound(name, 6)
    order = np.random.default_rng(1).permutation(panel.n_assets)
    columns = ("close", "volume", "funding_rate", "funding_paid", "valid")
    moved = replace(
        panel,
        symbols=tuple(panel.symbols[place] for place in order),
        **{key: getattr(panel, key)[:, order] for key in columns},
    )
    rows = [250, 419]
    assert np.array_equal(weights_of(genome, moved, rows), weights_of(genome, panel, rows)[order])


def test_bar_by_bar_a_history_has_the_bits_of_all_bars_at_once() -> None:
    panel = market(8, assets=6, bars=1100)
    whole = CrossSectionBars.of(panel)
    order = sorted(range(6), key=panel.symbols.__getitem__)
    history = CrossSectionHistory(6, panel.interval.hours)
    names = ("close", "volume", "funding_rate", "funding_paid", "valid")
    for row in range(panel.n_bars):
        bar = [np.ascontiguousarray(getattr(panel, name)[row : row + 1, order]) for name in names]
        ends = history.extend(whole.numbers[row : row + 1], *bar)
        assert np.array_equal(ends[0], whole.ends[row])
    places = int(history.counts.max()) + 1
    assert np.array_equal(history.sums[:, :, :places], whole.history.sums[:, :, :places])
    assert np.array_equal(history.log_close[:, :places], whole.history.log_close[:, :places])


def test_decisions_fall_on_the_phase() -> None:
    genome = default_genome("xs_momentum")
    genome = replace(genome, genes=dict(genome.genes) | {"rebalance_hours": 50, "phase": 0.5})
    decided = np.flatnonzero(family_of(genome).decides(genome.genes, np.arange(40), 4.0))
    assert decided.tolist() == [6, 19, 32]


@pytest.mark.parametrize("name", FAMILIES)
def test_nobody_is_held_before_the_warm_up_or_without_movement(name: str) -> None:
    panel = random_panel(2, bars=800, assets=6, holes=False)
    panel = replace(panel, funding_rate=np.full(panel.close.shape, 1e-5))
    genome = default_genome(name)
    genes = dict(genome.genes) | {key: 168 for key in ("lookback", "residual_lookback") if key in genome.genes}
    genome = replace(genome, genes=genes | ({"lookback": 72} if name == "xs_reversal" else {}))
    assert family_of(genome).warmup(genome.genes) == 720
    found = weights_of(genome, panel, [719, 720])
    assert not found[:, 0].any()
    assert found[:, 1].any()
    flat = replace(panel, close=np.full(panel.close.shape, 5.0))
    assert not weights_of(genome, flat, [790]).any()


def test_one_asset_alone_has_no_signal() -> None:
    close = np.linspace(1.0, 2.0, 50)
    with pytest.raises(InputError, match="one asset alone has no target"):
        signal(default_genome("xs_momentum"), {"close": close, "volume": close})


def test_no_two_families_have_genes_of_the_same_names() -> None:
    names = [frozenset(default_genome(name).genes) for name in FAMILIES]
    assert len(set(names)) == len(names)
