"""composite on cases worked out by hand, and the laws of its votes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quant_organism.backtest import Costs, Evaluator
from quant_organism.errors import InputError
from quant_organism.strategies import (
    GeneRows,
    Genome,
    crossover,
    default_genome,
    get_family,
    mutate,
    random_genome,
    signal,
)
from quant_organism.strategies.genome import gene_arrays
from quant_organism.strategies.targets import Targets
from quant_organism.strategies.trees.primitives import depth, reads_indicator, size
from quant_organism.strategies.trees.simplify import is_dead, simplified
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.strategies.scenarios import bars, noisy, runs, trending
from quant_organism_tests.strategies.trees.growing import CLOSE, FALLS, RISES, bank_of, conditions

SEEDS = st.integers(0, 2**32 - 1)
TREND = ("vote", RISES, FALLS)
SILENT = ("vote", ("lt", CLOSE, ("sma", 3)), ("lt", CLOSE, ("sma", 2)))
"""Casts no vote while prices rise."""


def composite(votes: object, weights: tuple[float, ...], minimum_signals: int, entry_score: float) -> Genome:
    """Return a composite with the given genes of its own."""
    names = [f"signal_{name}_weight" for name in ("momentum", "reversion", "breakout", "confluence")]
    genes = {"votes": votes, "minimum_signals": minimum_signals, "entry_score": entry_score}
    return Genome("composite", dict(default_genome("composite").genes) | genes | dict(zip(names, weights, strict=True)))


@pytest.mark.parametrize(
    ("minimum_signals", "entry_score", "enters"),
    [(3, 0.3, True), (3, 0.7266, True), (3, 0.7267, False), (4, 0.3, False)],
)
def test_the_published_case(minimum_signals: int, entry_score: float, enters: bool) -> None:
    # Votes 1 | 0, 0 | 1, 1: score (0.4 + 0 + 0.4 + 0.2 x 0.36) / 1.2 = 0.726667, three votes agree.
    votes = [[TREND], [SILENT, SILENT], [TREND, TREND]]
    y = signal(composite(votes, (0.4, 0.2, 0.4, 0.2), minimum_signals, entry_score), bars(np.arange(100.0, 112.0)))
    assert runs(y) == ([(2, 11, 1.0)] if enters else [])


@pytest.mark.parametrize(
    ("minimum_signals", "entry_score", "expected"),
    [
        (2, 0.5, [(2, 3, 1.0), (5, 5, -1.0)]),
        (1, 0.3, [(2, 3, 1.0), (4, 5, -1.0), (6, 6, 1.0)]),
        (1, 0.4, [(2, 3, 1.0), (5, 5, -1.0)]),
        (3, 0.3, []),
    ],
)
def test_three_votes_over_a_turn(
    minimum_signals: int, entry_score: float, expected: list[tuple[int, int, float]]
) -> None:
    # close              100    101    102    103    102    101    102
    # momentum: above or below the mean of two
    #                      .     +1     +1     +1     -1     -1     +1
    # reversion: against a close 0.5 % off the mean of three (101, 102, 102.33, 102, 101.67 from bar 2)
    #                      .      .     -1     -1      0     +1      0
    # breakout: beyond the highs 101, 102, 103, 103, 103 or lows 100, 100, 101, 102, 101 of two bars before
    #                      .      .     +1     +1      0     -1      0
    # confluence                       1/9*3  1/3   -1/9   -1/3   +1/9
    # score, weights 0.5, 0.25, 0.5, 0.25:
    #   (0.5 - 0.25 + 0.5 + 0.25/3) / 1.5 = 0.5556 on bars 2 and 3, its negative on bar 5;
    #   -(0.5 + 0.25/9) / 1.5 = -0.3519 on bar 4, its negative on bar 6.
    ratio = ("relative", CLOSE, ("sma", 3))
    votes = [
        [TREND],
        [["vote", ["lt", ratio, -0.005], ["gt", ratio, 0.005]]],
        [["vote", ["gt", CLOSE, ["donchian_high", 2]], ["lt", CLOSE, ["donchian_low", 2]]]],
    ]
    genome = composite(votes, (0.5, 0.25, 0.5, 0.25), minimum_signals, entry_score)
    assert runs(signal(genome, bars([100, 101, 102, 103, 102, 101, 102]))) == expected


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_votes_with_exchanged_sides_trade_the_other_side(seed: int) -> None:
    genome = random_genome(np.random.default_rng(seed), "composite")
    votes = tuple(tuple(tree for tree in group if tree[0] == "vote") or (TREND,) for group in genome.genes["votes"])
    exchanged = tuple(tuple((name, short, long) for name, long, short in group) for group in votes)
    one, other = (
        Genome("composite", dict(genome.genes) | {"votes": chosen, "minimum_signals": 1})
        for chosen in (votes, exchanged)
    )
    np.testing.assert_array_equal(signal(one, noisy(seed)), -signal(other, noisy(seed)))


@settings(max_examples=60, deadline=None)
@given(
    long=conditions.filter(lambda tree: depth(tree) < 7),
    short=conditions.filter(lambda tree: depth(tree) < 7),
    seed=SEEDS,
)
def test_dead_branches_neither_cost_nor_delay_a_signal(long: object, short: object, seed: int) -> None:
    vote = ("vote", long, ("or", short, ("and", FALLS, ("gt", ("ema", 90), ("ema", 90)))))
    assume(size(vote) <= 60 and reads_indicator(simplified(vote)) and not is_dead(vote))
    whole, pruned = (
        composite([[chosen], [TREND], [TREND]], (0.4, 0.2, 0.4, 0.2), 1, 0.1) for chosen in (vote, simplified(vote))
    )
    family = get_family("composite")
    assert family.warmup(whole.genes) == family.warmup(pruned.genes) < 20
    np.testing.assert_array_equal(signal(whole, noisy(seed)), signal(pruned, noisy(seed)))


def test_genomes_evaluated_together_speak_as_alone() -> None:
    genomes = [random_genome(np.random.default_rng(seed), "composite") for seed in range(40)]
    columns = noisy(2)
    family, genes = get_family("composite"), gene_arrays(genomes)
    bank = bank_of([tree for genome in genomes for group in genome.genes["votes"] for tree in group], columns)
    targets = Targets.empty(len(genomes), 400, conviction=False)
    family.targets(bank, genes, targets)
    for place, genome in enumerate(genomes):
        np.testing.assert_array_equal(targets.expanded(place, 400), signal(genome, columns))


def test_a_family_votes_with_the_sign_of_its_reference_genome() -> None:
    sign = ("family", "bollinger_bands")
    genome = composite([[sign], [sign], [sign]], (1.0, 0.0, 0.0, 0.0), 3, 0.1)
    reference = default_genome("bollinger_bands")
    assert get_family("composite").warmup(genome.genes) == get_family("bollinger_bands").warmup(reference.genes)
    y = signal(genome, noisy(0))
    assert y.any()
    np.testing.assert_array_equal(y, np.sign(signal(reference, noisy(0))))


def test_a_tree_that_reads_funding_needs_its_column() -> None:
    vote = ("vote", ("lt", ("funding_mean", 4), 0.0), ("gt", ("funding_mean", 4), 0.0))
    genome = composite([[vote], [TREND], [TREND]], (1.0, 0.0, 0.0, 0.0), 1, 0.5)
    assert get_family("composite").columns_of(genome.genes)[-1] == "funding_rate"
    with pytest.raises(InputError, match="funding_rate is absent"):
        signal(genome, {k: v for k, v in noisy(0, 20).items() if k != "funding_rate"})
    funding = np.repeat([0.001, -0.001], 10)
    # The mean of four hours is 0 two hours into each half: short from bar 3, flat on 11, long from 12.
    assert runs(signal(genome, noisy(0, 20) | {"funding_rate": funding})) == [(3, 10, -1.0), (12, 19, 1.0)]
    plain = get_family("composite").columns_of(default_genome("composite").genes)
    assert plain == ("open", "high", "low", "close", "volume")


def test_more_signals_than_votes_are_refused() -> None:
    with pytest.raises(InputError, match="minimum_signals is 4, but there are only 3 votes"):
        composite([[TREND], [TREND], [TREND]], (0.4, 0.2, 0.4, 0.2), 4, 0.3)


@settings(deadline=None)
@given(SEEDS)
def test_operators_ask_for_no_more_signals_than_there_are_votes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = composite([[TREND], [TREND], [TREND]], (0.4, 0.2, 0.4, 0.2), 3, 0.3)
    b = random_genome(rng, "composite")
    for _ in range(10):
        mutant = mutate(GeneRows.of([a]), np.array([True]), rng, rate=0.3, eta=20.0)
        first, second = crossover(mutant, GeneRows.of([b]), rng, eta=15.0)
        (a,), (b,) = first.genomes(1), second.genomes(1)


def test_the_reference_genome_rides_bull_and_bear_markets() -> None:
    for drift in (0.0015, -0.0015):
        y = signal(default_genome("composite"), trending(drift))
        assert np.sign(drift) * y.sum() > 40


def test_without_weight_nothing_is_traded() -> None:
    assert not signal(composite([[TREND], [TREND], [TREND]], (0.0, 0.0, 0.0, 0.0), 1, 0.1), noisy(0)).any()


def test_trees_with_and_without_funding_are_evaluated_side_by_side() -> None:
    reads = ("vote", ("lt", ("funding_mean", 4), 0.0), ("gt", ("funding_mean", 4), 0.0))
    genomes = [
        composite([[vote], [vote], [vote]], (1.0, 0.0, 0.0, 0.0), 1, 0.5)
        for vote in (TREND, reads, ("vote", ("gt", CLOSE, ("ema", 9)), ("lt", CLOSE, ("ema", 9))))
    ]
    evaluator, unrated = Evaluator(threads=2), random_panel(3, holes=True)
    rng = np.random.default_rng(3)
    rate = np.where(rng.random(unrated.close.shape) < 0.9, rng.normal(0.0, 1e-4, unrated.close.shape), np.nan)
    market = replace(unrated, funding_rate=rate)
    together = evaluator.evaluate(genomes, market, Costs())
    assert (together.metrics["trades"] > 0).all()
    for place, genome in enumerate(genomes):
        alone = evaluator.evaluate([genome], market, Costs())
        for name, values in alone.metrics.items():
            np.testing.assert_array_equal(values[0], together.metrics[name][place], err_msg=name)
    # A market without funding rates is no market for such a tree; the others trade there as they did.
    silent = replace(unrated, funding_rate=np.full_like(rate, np.nan))
    with pytest.raises(InputError, match="composite reads the column funding_rate, but the panel has none"):
        evaluator.evaluate(genomes, silent, Costs())
    sighted = evaluator.evaluate(genomes[::2], silent, Costs())
    assert sighted.metrics["trades"].tolist() == together.metrics["trades"][::2].tolist()
