"""Every decision of a whole sample is proven: who peeks before large moves alone is found out too, and by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from quant_organism.backtest import Costs
from quant_organism.market.panel import Panel
from quant_organism.strategies import Genome, StrategyFamily, default_genome, random_genome
from quant_organism.strategies import families as register
from quant_organism.validation.gauntlet import run_gauntlet
from quant_organism.validation.look_ahead import prove_decisions
from quant_organism.validation.profile import Profile
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.chain import edge, grounds_of

Closes = np.ndarray
Peek = Callable[[Closes, Closes, float], Closes]

SIZES = (0.02, 0.03, 0.04, 0.05, 0.06)
"""Log moves that count as large, where one bar in two has less than half a per cent."""

BARS = 1_500


def averages(close: Closes) -> Closes:
    """Compare two averages once both are complete: what every saboteur does on most bars."""
    sums = np.concatenate([[0.0], np.cumsum(close)])
    place = np.arange(close.size)
    fast, slow = (
        (sums[place + 1] - sums[np.maximum(place + 1 - span, 0)]) / np.minimum(place + 1, span) for span in (5, 40)
    )
    return np.where(place >= 40, np.sign(fast - slow), 0.0)


def ahead(close: Closes, bars: int = 1) -> Closes:
    """Return the log move of a bar to come; 0 where there is none."""
    return np.concatenate([np.log(close[bars:] / close[bars - 1 : -1]), np.zeros(bars)])


def takes_its_side(close: Closes, wanted: Closes, size: float) -> Closes:
    return np.where(np.abs(ahead(close)) > size, np.sign(ahead(close)), wanted)


def leaves_before_a_loss(close: Closes, wanted: Closes, size: float) -> Closes:
    return np.where(wanted * ahead(close) < -size, 0.0, wanted)


def stays_for_a_gain(close: Closes, wanted: Closes, size: float) -> Closes:
    # A turn is put off where the next bar pays the side that is held: no change comes with the knowledge.
    known, held = ahead(close), wanted.copy()
    for bar in range(1, close.size):
        if held[bar - 1] * known[bar] > size / 4:
            held[bar] = held[bar - 1]
    return held


def knows_crashes(close: Closes, wanted: Closes, size: float) -> Closes:
    return np.where(ahead(close) < -size, -1.0, wanted)


def knows_rallies(close: Closes, wanted: Closes, size: float) -> Closes:
    return np.where(ahead(close) > size, 1.0, wanted)


def knows_the_bar_after_next(close: Closes, wanted: Closes, size: float) -> Closes:
    return np.where(np.abs(ahead(close, 2)) > size, np.sign(ahead(close, 2)), wanted)


def knows_the_largest_alone(close: Closes, wanted: Closes, size: float) -> Closes:
    known = np.zeros(close.size, dtype=bool)
    known[np.argsort(-np.abs(ahead(close)), kind="stable")[: round(0.1 / size)]] = True
    return np.where(known, np.sign(ahead(close)), wanted)


def knows_them_late_in_the_sample(close: Closes, wanted: Closes, size: float) -> Closes:
    late = np.arange(close.size) > 0.6 * close.size
    return np.where(late & (np.abs(ahead(close)) > size), np.sign(ahead(close)), wanted)


PEEKS: tuple[Peek, ...] = (
    takes_its_side,
    leaves_before_a_loss,
    stays_for_a_gain,
    knows_crashes,
    knows_rallies,
    knows_the_bar_after_next,
    knows_the_largest_alone,
    knows_them_late_in_the_sample,
)
SABOTEURS = [(peek, size) for peek in PEEKS for size in SIZES]


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[Closes], Closes]], Genome]]:
    """Return a way to plant a family with a target of its own in the register."""

    def plant(target: Callable[[Closes], Closes]) -> Genome:
        class Planted(StrategyFamily):
            name = "planted"
            seed_type = "planted"
            columns = ("close",)
            evolves = False
            own_genes = ()

            def warmup(self, genes: Any) -> int:
                return 40

            def indicators(self, genes: Any) -> dict[Any, Any]:
                return {}

            def targets(self, bank: Any, genes: Any, out: Any) -> None:
                wanted = target(bank.bars.close)
                changes = np.flatnonzero(np.diff(wanted, prepend=0.0))
                out.counts[0] = changes.size
                out.bars[0, : changes.size], out.sides[0, : changes.size] = changes, wanted[changes]

        monkeypatch.setitem(register._FAMILIES, Planted.name, Planted())
        return default_genome(Planted.name)

    return plant


@pytest.fixture(scope="module")
def panel() -> Panel:
    """Return a market with a few large moves."""
    return random_panel(3, bars=BARS, assets=1, holes=False)


def test_there_are_forty_saboteurs_who_peek_before_large_moves_only(panel: Panel) -> None:
    assert len(SABOTEURS) == 40
    close = panel.close[:, 0]
    for peek, size in SABOTEURS:
        differs = np.mean(peek(close, averages(close), size) != averages(close))
        assert 0.0 < differs < 0.1


@pytest.mark.parametrize(("peek", "size"), SABOTEURS, ids=[f"{peek.__name__}-{size:g}" for peek, size in SABOTEURS])
def test_who_peeks_before_large_moves_is_found_out(planted: Any, panel: Panel, peek: Peek, size: float) -> None:
    genome = planted(lambda close: peek(close, averages(close), size))
    (found,) = prove_decisions([genome], panel, Costs(), (900, BARS))
    assert found.compared == 900 + BARS
    assert found.differing > 0
    assert found.difference.startswith(f"{genome.id} wanted ")


def test_the_first_decision_that_differs_is_named(planted: Any, panel: Panel) -> None:
    genome = planted(lambda close: takes_its_side(close, averages(close), 0.06))
    (found,) = prove_decisions([genome], panel, Costs(), (BARS,))
    close = panel.close[:, 0]
    cheats = np.flatnonzero(takes_its_side(close, averages(close), 0.06) != averages(close))
    assert found.differing == cheats.size
    when = np.datetime64(int(panel.times[cheats[0]]), "ms").item()
    assert f"of S0 at the close of {when:%Y-%m-%d %H:%M}" in found.difference


def test_a_fit_on_the_days_of_the_search_shows_though_the_whole_sample_is_clean(planted: Any, panel: Panel) -> None:
    # It cheats where the bars end with the days of the search, and nowhere else.
    genome = planted(
        lambda close: takes_its_side(close, averages(close), 0.04) if close.size == 900 else averages(close)
    )
    whole, both = (prove_decisions([genome], panel, Costs(), stops)[0] for stops in ((BARS,), (900, BARS)))
    assert whole.differing == 0
    assert both.differing > 0


def test_who_is_honest_passes(planted: Any, panel: Panel) -> None:
    genomes = [planted(averages), random_genome(np.random.default_rng(1), "donchian_breakout")]
    for found in prove_decisions(genomes, panel, Costs(), (900, BARS)):
        assert (found.differing, found.difference) == (0, "")


PROFILE = Profile.of(
    {
        "name": "proof",
        "shadow": [
            {"gate": "backtest", "metric": "trades", "span": "holdout", "at_least": 1},
            {"gate": "look_ahead"},
        ],
    }
)


def test_the_gate_says_how_many_decisions_it_has_compared_and_which_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    found = edge()

    def verdict() -> Any:
        grounds = grounds_of(found.search.candidates, found.panel, found.splits, trials=found.search.search.trials)
        (review,) = run_gauntlet(grounds, PROFILE)
        return review, next(j.verdict for j in review.judgements if j.verdict.gate == "look_ahead")

    review, honest = verdict()
    members = {member.genome.hash for member in review.candidate.committee.members}
    compared = len(members) * int(found.panel.valid.sum() + found.panel.valid[: found.splits.in_sample.stop].sum())
    assert (honest.status, honest.value, honest.n_used) == ("passed", 0.0, compared)
    assert review.standing == "shadow"

    name = review.candidate.committee.members[0].genome.family
    family = register._FAMILIES[name]
    targets = type(family).targets

    def early(self: Any, bank: Any, genes: Any, out: Any) -> None:
        targets(self, bank, genes, out)
        for genome in range(out.counts.size):
            count = out.counts[genome]
            if count > 1:
                out.bars[genome, count - 1] -= 1

    monkeypatch.setattr(type(family), "targets", early)
    review, caught = verdict()
    assert caught.status == "failed"
    assert caught.value > 0
    assert f"decisions change when later bars come; the first: {name}_" in caught.reason
    assert review.standing == "fallen"
