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
from quant_organism.strategies.indicators.indicator import Needs
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
