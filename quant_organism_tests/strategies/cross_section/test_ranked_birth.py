"""Birth checks of genomes that rank the assets of a panel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from quant_organism.backtest import Costs, Evaluator
from quant_organism.errors import InputError
from quant_organism.evolution.fitness import complexity, fitness
from quant_organism.evolution.nursery import Nursery
from quant_organism.strategies import (
    Flaw,
    GeneRows,
    Genome,
    crossover,
    default_genome,
    families,
    get_family,
    mutate,
    random_genome,
    ranking_family_names,
)
from quant_organism.strategies.cross_section.family import BOOK_GENES, CrossSectionFamily
from quant_organism.strategies.cross_section.history import CrossSectionView
from quant_organism.strategies.cross_section.rules import CrossSectionalMomentum
from quant_organism.strategies.family import Genes
from quant_organism_tests.backtest.markets import random_panel

FAMILIES = ranking_family_names()


class Peeking(CrossSectionalMomentum):
    """Momentum that knows the close to come."""

    name = "xs_peeks"

    def scores(self, view: CrossSectionView, genes: Genes) -> NDArray[np.float64]:
        """Return the return of the next bar where there is one."""
        later = np.minimum(view.ends + 1, view.history.counts[:, None])
        return CrossSectionView(view.history, later, view.present).change(2.0)


class Hasty(CrossSectionalMomentum):
    """Momentum that says it is slower than it is."""

    name = "xs_hasty"

    def warmup(self, genes: Genes) -> int:
        """Return more than the rule needs."""
        return 10_000


def born(genome: Genome, bars: int = 2400, assets: int = 8) -> Flaw | None:
    """Return what the nursery of a market says of a genome."""
    panel = random_panel(11, bars=bars, assets=assets, interval="4h", holes=False)
    return Nursery(replace(panel, funding_rate=np.full(panel.close.shape, 1e-5))).check(genome)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_sound(name: str) -> None:
    assert born(default_genome(name)) is None


@pytest.mark.parametrize(
    ("planted", "kind"), [(Peeking(), "looks ahead"), (Hasty(), "speaks before its warm-up is over")]
)
def test_a_planted_flaw_is_found(planted: CrossSectionFamily, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(families._FAMILIES, planted.name, planted)
    flaw = born(Genome(planted.name, planted.default_genes))
    assert flaw is not None
    assert flaw.kind == kind


def test_what_never_holds_anything_is_turned_away() -> None:
    flaw = born(default_genome("xs_momentum"), bars=170)
    assert flaw is not None
    assert flaw.kind == "never fires"
    assert "170 bars of 8 assets" in flaw.detail


def test_too_few_assets_are_refused_by_name() -> None:
    panel = random_panel(1, bars=300, assets=5)
    with pytest.raises(InputError, match="xs_carry ranks at least 6 assets, but the panel has 5"):
        Evaluator().evaluate(
            [default_genome("xs_carry")], replace(panel, funding_rate=np.zeros(panel.close.shape)), Costs()
        )


def test_crossing_stays_within_the_bounds_and_shares_nothing_between_the_kinds() -> None:
    rng = np.random.default_rng(2)
    kinds = ["xs_momentum", "xs_reversal", "xs_carry", "ema_crossover"]
    mothers = [random_genome(rng, kinds[place % 4]) for place in range(40)]
    fathers = [random_genome(rng, kinds[place // 4 % 4]) for place in range(40)]
    children = crossover(GeneRows.of(mothers), GeneRows.of(fathers), rng, eta=2.0)
    moved = 0
    for own, other, child in zip(mothers, fathers, children[0].genomes(1), strict=True):
        assert child.family == own.family
        if get_family(own.family).ranks != get_family(other.family).ranks:
            assert child.genes == own.genes
        elif own.family != other.family and get_family(own.family).ranks:
            changed = {name for name in own.genes if own.genes[name] != child.genes[name]}
            assert changed <= {spec.name for spec in BOOK_GENES}
            moved += len(changed)
    assert moved > 0
    mutated = mutate(children[1], np.ones(40, dtype=np.bool_), rng, rate=0.5, eta=5.0).genomes(2)
    assert all(child.genes != own.genes for child, own in zip(mutated, fathers, strict=True))


def test_the_median_over_assets_and_the_number_of_parts_know_books() -> None:
    genomes = [default_genome("xs_momentum"), default_genome("ema_crossover")]
    apart = np.array([[np.nan, np.nan, np.nan], [0.5, 1.0, 3.0]])
    assert fitness("asset_median", genomes, np.array([2.0, 9.0]), apart).tolist() == [2.0, 1.0]
    own = [len(get_family(genome.family).own_genes) for genome in genomes]
    assert complexity(genomes).tolist() == own
