"""Genomes that cheat are caught at birth, by name; honest ones of every family are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from quant_organism.strategies import (
    AssetBars,
    Genome,
    StrategyFamily,
    check_birth,
    default_genome,
    families,
    family_names,
    get_family,
    random_genome,
)
from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.birth import HANGS_ON_THE_START, LOOKS_AHEAD, SILENT, SPEAKS_EARLY
from quant_organism.strategies.family import GenomeTargets
from quant_organism.strategies.indicators.indicator import Needs
from quant_organism.strategies.signals import target_of
from quant_organism.strategies.targets import Targets
from quant_organism_tests.strategies.scenarios import sideways

Target = Callable[[np.ndarray], np.ndarray]


def sample(seed: int, count: int = 2_400) -> AssetBars:
    """Return a market that swings about 100 as a sample."""
    columns = sideways(seed, count)
    return AssetBars(**columns, numbers=np.arange(count), bar_hours=1.0)


def mean(values: np.ndarray, before: int, after: int) -> np.ndarray:
    """Return the mean from `before` bars ago to `after` bars ahead, as far as there are bars."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(values.size)
    first, last = np.maximum(place - before, 0), np.minimum(place + after + 1, values.size)
    return (sums[last] - sums[first]) / (last - first)


def peeks(close: np.ndarray) -> np.ndarray:
    """Follow the return of the bar to come."""
    return np.sign(np.diff(close, append=close[-1]))


def centred(close: np.ndarray) -> np.ndarray:
    """Fade the distance from a mean whose window reaches as far ahead as back."""
    return np.sign(mean(close, 10, 10) - close)


def fits_all(close: np.ndarray) -> np.ndarray:
    """Follow yesterday's return as far as all returns of the history say that one should."""
    steps = np.diff(close, prepend=close[0])
    slope = np.dot(steps[1:], steps[:-1])
    return np.sign(slope * steps)


def peeks_at_crashes(close: np.ndarray) -> np.ndarray:
    """Compare two averages, but stand on the right side of a move of more than 3 %: one bar in three hundred."""
    moves = np.diff(np.log(close), append=np.log(close[-1]))
    return np.where(np.abs(moves) > 0.03, np.sign(moves), honest(close))


def hasty(close: np.ndarray) -> np.ndarray:
    """Compare two averages before the slower one is complete."""
    return np.sign(mean(close, 5, 0) - mean(close, 40, 0))


def anchored(close: np.ndarray) -> np.ndarray:
    """Turn about every fifteen bars, counted from wherever the history begins."""
    return np.where(np.arange(close.size) // 15 % 2, 1.0, -1.0)


def honest(close: np.ndarray) -> np.ndarray:
    """Compare two averages once both are complete."""
    return np.where(np.arange(close.size) >= 40, np.sign(mean(close, 5, 0) - mean(close, 40, 0)), 0.0)


def mute(close: np.ndarray) -> np.ndarray:
    """Say nothing."""
    return np.zeros(close.size)


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Target, int], Genome]]:
    """Return a way to plant a family with a target and a warm-up of its own in the register."""

    def plant(target: Target, warmup_bars: int) -> Genome:
        class Planted(StrategyFamily):
            name = target.__name__
            seed_type = "planted"
            columns = ("close",)
            evolves = False
            own_genes = ()

            def warmup(self, genes: Mapping[str, Any]) -> int:
                return warmup_bars

            def indicators(self, genes: Mapping[str, Any]) -> Needs:
                return {}

            def targets(self, bank: IndicatorBank, genes: Mapping[str, Any], out: Targets) -> None:
                y = target(bank.bars.close)
                changes = np.flatnonzero(np.diff(y, prepend=0.0))
                out.counts[0] = changes.size
                out.bars[0, : changes.size] = changes
                out.sides[0, : changes.size] = y[changes]

        monkeypatch.setitem(families._FAMILIES, Planted.name, Planted())
        return default_genome(Planted.name)

    return plant


@pytest.mark.parametrize(
    ("target", "warmup", "kind"),
    [
        (peeks, 0, LOOKS_AHEAD),
        (centred, 10, LOOKS_AHEAD),
        (peeks_at_crashes, 0, LOOKS_AHEAD),
        (fits_all, 1, LOOKS_AHEAD),
        (hasty, 40, SPEAKS_EARLY),
        (anchored, 0, HANGS_ON_THE_START),
        (mute, 0, SILENT),
    ],
)
def test_a_planted_cheater_is_caught_by_name(planted: Any, target: Target, warmup: int, kind: str) -> None:
    genome = planted(target, warmup)
    for seed in range(5):
        flaw = check_birth(genome, [sample(seed)])
        assert flaw is not None
        assert (flaw.genome, flaw.kind) == (genome.id, kind)


def test_an_honest_family_is_let_in(planted: Any) -> None:
    genome = planted(honest, 40)
    assert all(check_birth(genome, [sample(seed)]) is None for seed in range(5))


@pytest.mark.parametrize("name", [n for n in family_names() if get_family(n).seed_type != "ml_classifier"])
def test_no_honest_genome_is_called_a_cheater(name: str) -> None:
    rng = np.random.default_rng(11)
    for seed in range(15):
        flaw = check_birth(random_genome(rng, name), [sample(seed % 4)])
        assert flaw is None or flaw.kind == SILENT


def test_a_genome_silent_on_one_market_is_tried_on_the_next() -> None:
    flat = sample(0)
    resting = flat._replace(**dict.fromkeys(("open", "high", "low", "close"), np.full(2_400, 100.0)))
    genome = default_genome("ema_crossover")
    silent = check_birth(genome, [resting])
    assert silent is not None
    assert silent.kind == SILENT
    assert check_birth(genome, [resting, flat]) is None


def anew(genome: Genome, bars: AssetBars) -> tuple[str, str] | None:
    """Return kind and detail of a genome's first flaw on a sample, every target made anew and compared bar by bar."""
    target = target_of(genome, bars)
    changes = np.flatnonzero(np.diff(target, prepend=0.0))
    if not changes.size:
        return SILENT, "no target on 1 samples of up to 2400 bars"
    spread = changes[np.unique(np.linspace(0, changes.size - 1, 3).astype(int))]
    followed = changes[changes < bars.close.size - 1]
    moves = np.abs(np.log(bars.close[followed + 1] / bars.close[followed]))
    for cut in np.union1d(spread, followed[np.argsort(-moves, kind="stable")[:3]]):
        differing = np.flatnonzero(target_of(genome, bars.since(0, int(cut) + 1)) != target[: cut + 1])
        if differing.size:
            return LOOKS_AHEAD, f"bar {differing[0]} of its sample changes when bar {cut + 1} comes"
    warmup = get_family(genome.family).warmup(genome.genes)
    if changes[0] < warmup:
        return SPEAKS_EARLY, f"bar {changes[0]} of its sample, but the warm-up lasts {warmup} bars"
    late, third = target_of(genome, bars.since(100)), bars.close.size // 3
    share = float(np.mean(np.sign(late[-third:]) != np.sign(target[-third:])))
    return (
        (HANGS_ON_THE_START, f"{share:.0%} of later directions change without the first 100 bars")
        if share > 0.1
        else None
    )


@pytest.mark.parametrize("target", [peeks, centred, peeks_at_crashes, fits_all, hasty, anchored, honest, mute])
def test_the_check_of_a_planted_family_is_the_one_that_makes_every_target_anew(planted: Any, target: Target) -> None:
    genome = planted(target, 40)
    for seed in range(3):
        flaw = check_birth(genome, [sample(seed)])
        assert (None if flaw is None else (flaw.kind, flaw.detail)) == anew(genome, sample(seed))


@pytest.mark.parametrize("name", [n for n in family_names() if get_family(n).seed_type != "ml_classifier"])
def test_the_targets_of_one_genome_over_one_part_of_the_bars_after_another_are_those_made_anew(name: str) -> None:
    rng, bars = np.random.default_rng(5), sample(1)
    for _ in range(3):
        genome = random_genome(rng, name)
        targets = GenomeTargets(get_family(name), genome.genes)
        whole = targets.over(bars).copied()
        for end in (2_400, 1_700, 40, 900):
            part = bars.since(0, end)
            known = targets.over(part)
            assert known.changes_as(whole, 0, end - 1)
            np.testing.assert_array_equal(known.expanded(0, end), target_of(genome, part))
        np.testing.assert_array_equal(targets.target(bars.since(100)), target_of(genome, bars.since(100)))


def test_changes_that_differ_in_one_entry_or_number_are_not_the_same() -> None:
    whole = Targets.empty(1, 4, conviction=True)
    whole.counts[0] = 3
    whole.bars[0, :3], whole.sides[0, :3], whole.convictions[0, :3] = [5, 9, 12], [1, 0, -1], [0.5, 1.0, 0.25]
    first_two = whole.copied()
    first_two.counts[0] = 2
    assert [first_two.changes_as(whole, 0, bar) for bar in (8, 9, 11, 12)] == [False, True, True, False]
    for entries, value in ((first_two.bars, 8), (first_two.sides, -1), (first_two.convictions, 0.75)):
        before, entries[0, 1] = entries[0, 1], value
        assert not first_two.changes_as(whole, 0, 11)
        entries[0, 1] = before
