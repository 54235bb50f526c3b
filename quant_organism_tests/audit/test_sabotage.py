"""An organism that looks ahead, trades for free, knows its holdout or picks its seed sets off the audit's alarm."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from quant_organism.audit import organism
from quant_organism.audit.organism import Submission, cycle_in, run_organism
from quant_organism.audit.profile import AuditProfile
from quant_organism.audit.rates import rates
from quant_organism.backtest import Costs, Evaluator, evaluator, exposure, population
from quant_organism.cycle import SplitPanel
from quant_organism.cycle.stages import ask_pretest, search
from quant_organism.evolution.records import read_candidates
from quant_organism.market.panel import Panel
from quant_organism.market.splits import split
from quant_organism.market.world import generator
from quant_organism_tests.audit.small import BRIEF, campaign

pytestmark = pytest.mark.slow


def alarms(folder: Path, lives: organism.Organism = run_organism, *, worlds: int = 6) -> set[str]:
    """Return the alarms that are raised over worlds without an edge; those on p-values need many, the others one."""
    found = rates(campaign(folder, worlds, lives, BRIEF).run())
    return {alarm.name for alarm in found.alarms if alarm.raised}


def test_an_honest_organism_raises_no_alarm(tmp_path: Path):
    assert alarms(tmp_path, worlds=8) == set()


def test_a_look_ahead_of_one_bar_shows_on_the_days_after_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    honest = population.write_targets

    def too_early(batch: population.GenomeBatch, sleeve, banks, targets) -> None:
        honest(batch, sleeve, banks, targets)
        for genome in range(batch.size):
            changes = targets.bars[genome, : targets.counts[genome]]
            changes[1:] -= 1

    monkeypatch.setattr(population, "write_targets", too_early)
    assert "p-values of the days after the search" in alarms(tmp_path, worlds=4)


def test_who_peeks_before_large_moves_alone_is_named_and_deploys_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    honest = population.write_targets

    def before_large_moves(batch: population.GenomeBatch, sleeve, banks, targets) -> None:
        honest(batch, sleeve, banks, targets)
        close = sleeve.signal_bars.close
        ahead = np.append(np.log(close[1:] / close[:-1]), 0.0)
        large = np.abs(ahead) > 0.015
        assert large.mean() < 0.1
        for genome in range(batch.size):
            wanted = np.where(large, np.sign(ahead), np.sign(targets.expanded(genome, close.size)))
            changes = np.flatnonzero(np.diff(wanted, prepend=0.0))
            targets.counts[genome] = changes.size
            targets.bars[genome, : changes.size] = changes
            targets.sides[genome, : changes.size] = wanted[changes]

    for module in (population, evaluator, exposure):
        monkeypatch.setattr(module, "write_targets", before_large_moves)
    found = campaign(tmp_path, 2, profile=BRIEF).run()
    assert {outcome.standing for outcome in found} == {"fallen"}
    for outcome in found:
        gate = outcome.stopped_by("shadow")
        assert gate is not None
        assert gate.gate == "look_ahead"
    assert "look ahead" in {alarm.name for alarm in rates(found).alarms if alarm.raised}


class Free(AuditProfile):
    """An organism that thinks that trading costs nothing."""

    @property
    def costs(self) -> Costs:
        """Nothing but funding."""
        return Costs(taker_fee=0.0, maker_fee=0.0, slippage_bps=0.0)


def without_costs(panel: Panel, profile: AuditProfile, seed: int, folder: Path) -> Submission:
    return run_organism(panel, Free(**dict(profile)), seed, folder)


def test_a_cost_of_zero_shows_in_the_books(tmp_path: Path):
    assert "books" in alarms(tmp_path, without_costs, worlds=1)


def test_a_search_that_sees_its_holdout_shows_on_the_days_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(SplitPanel, "in_sample", property(lambda data: data.panel))
    assert "p-values of the days after the search" in alarms(tmp_path)


def best_of_seeds(panel: Panel, profile: AuditProfile, seed: int, folder: Path) -> Submission:
    """Hand in the one of several cycles whose candidate did best on the days after its search."""
    unseen = split(panel.n_bars, panel.interval).unseen
    with TemporaryDirectory() as place:
        pretest = ask_pretest(cycle_in(Path(place), panel, profile, seed, folder)).table

    def later(other: int) -> float:
        with TemporaryDirectory() as place:
            cycle = cycle_in(Path(place), panel, profile, other, folder)
            candidates = read_candidates(search(cycle, pretest).result.candidate_members)
        if not candidates:
            return -np.inf
        committees = [candidate.committee for candidate in candidates]
        measured = Evaluator(threads=1).evaluate_committees(committees, panel, Costs(), start=unseen.start)
        return float(np.nan_to_num(measured.metrics["sharpe"][0], nan=-np.inf))

    return run_organism(panel, profile, max(range(1_000 * seed, 1_000 * seed + 24), key=later), folder)


def test_a_seed_that_was_picked_shows_on_the_days_after_the_search(tmp_path: Path):
    assert "p-values of the days after the search" in alarms(tmp_path, best_of_seeds, worlds=8)


def test_a_null_with_uncompensated_funding_is_no_null(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    honest: Callable[..., tuple[np.ndarray, ...]] = generator.simulate

    def uncompensated(*shocks: np.ndarray) -> tuple[np.ndarray, ...]:
        returns, sds, means, fundings, edges = honest(*shocks)
        return returns - fundings, sds, means - fundings, fundings, edges

    monkeypatch.setattr(generator, "simulate", uncompensated)
    assert "worlds" in alarms(tmp_path, worlds=1)
