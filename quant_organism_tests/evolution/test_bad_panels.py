"""Searches of panels that are hardly markets, and disks that fill up: clear errors, or less is found and it is said."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from quant_organism.errors import InputError, StorageError
from quant_organism.evolution.checkpoint import Checkpoint
from quant_organism.evolution.cycle import EvolutionResult, evolve
from quant_organism.evolution.ledger import TrialLedger
from quant_organism.evolution.ledger_rows import LedgerIdentity
from quant_organism.market.panel import Panel
from quant_organism.market.splits import split
from quant_organism.strategies import random_genome
from quant_organism_tests.evolution.test_search import assert_same
from quant_organism_tests.market.small_disk import small_disk
from quant_organism_tests.panels import trending_panel


def test_one_asset_is_market_enough(spec, costs, evaluator):
    found = evolve(trending_panel(assets=1), spec, costs, evaluator, seed=1)
    assert found.lost.is_empty()
    assert found.population["feasible"].any()
    committee = found.candidates[0].committee
    assert {member.assets for member in committee.members} <= {(), ("S0",)}
    assert found.elites.height > 0


@pytest.mark.parametrize("bars", [1, 20, 100, 300])
def test_on_too_few_bars_a_search_finds_nothing_and_says_why(bars: int, panel: Panel, spec, costs, evaluator):
    """Nothing trades thirty times there; a batch is never lost for it."""
    found: EvolutionResult = evolve(
        panel.window(0, bars), spec.model_copy(update={"min_trades": 30}), costs, evaluator, seed=1
    )
    assert found.lost.is_empty()
    assert found.population.height + found.rejected.height > 0
    assert set(found.rejected["kind"]) <= {"never fires", "speaks before its warm-up is over"}
    assert not found.population.filter("feasible", pl.col("trades") < 30).height
    if bars <= 100:
        assert not found.population["feasible"].any()
        assert found.candidates == []
        assert found.elites.is_empty()


def test_a_cycle_refuses_a_panel_that_is_too_short_to_be_split(panel: Panel):
    with pytest.raises(InputError, match="60 days of bars are too few to split: at least 90"):
        split(60 * 24, panel.interval)


def fill(disk: Path) -> Path:
    """Take all that is free on a disk."""
    filler, free = disk / "filler", os.statvfs(disk)
    filler.write_bytes(bytes(free.f_bavail * free.f_frsize))
    return filler


def test_a_disk_that_fills_up_in_mid_search_ends_it_and_the_search_goes_on_from_its_checkpoint(
    tmp_path, panel, spec, costs, evaluator
):
    whole = evolve(panel, spec, costs, evaluator, seed=3)
    with small_disk(tmp_path / "disk", "16m") as disk:
        checkpoint = Checkpoint(disk / "search", {"spec": spec.hash})

        def save(generation, state, tables):
            if generation == 2:
                fill(disk)
            checkpoint.save(generation, state, tables)

        with pytest.raises(StorageError, match="disk is full"):
            evolve(panel, spec, costs, evaluator, seed=3, on_generation=save)
        (disk / "filler").unlink()
        again = Checkpoint(disk / "search", {"spec": spec.hash})
        saved = again.load()
        assert saved is not None
        assert saved[0] == 1
        resumed = evolve(panel, spec, costs, evaluator, seed=3, saved=saved, on_generation=again.save)
        assert_same(resumed, whole)


def test_a_full_disk_leaves_the_ledger_as_it_was_and_usable(tmp_path, panel, costs, evaluator):
    identity = LedgerIdentity(
        spec_hash="a" * 64, panel_hash="b" * 64, costs_hash="c" * 64, cycle="one", generation=0, market="arrays"
    )
    first, second = (
        evaluator.evaluate([random_genome(np.random.default_rng(n), "rsi_filter")], panel, costs) for n in (0, 1)
    )
    with small_disk(tmp_path / "disk", "1m") as disk:
        ledger = TrialLedger(disk)
        ledger.append([first], identity)
        filler = fill(disk)
        with pytest.raises(StorageError, match="disk is full"):
            ledger.append([second], identity)
        assert TrialLedger(disk).n_trials() == 1
        filler.unlink()
        ledger.append([second], identity)
        assert TrialLedger(disk).n_trials() == 2
