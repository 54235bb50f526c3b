"""Shakes of committees with members that rank the assets of their panel."""

from __future__ import annotations

import numpy as np
import pytest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.market import Panel
from quant_organism.strategies import Committee, Genome, default_genome
from quant_organism.validation.robustness.breakdown import by_asset, by_regime, day_unions
from quant_organism.validation.robustness.intervals import longer_bars
from quant_organism.validation.robustness.neighbourhood import neighbourhood
from quant_organism.validation.robustness.stress import (
    asset_left_out,
    dearer_trading,
    late_execution,
    without_asset,
)
from quant_organism.validation.robustness.subject import Shake, Subject, closed_trades
from quant_organism_tests.backtest.markets import random_panel

ASSETS = 8


def ranking() -> Genome:
    """Return a genome that holds all assets most of the time."""
    genome = default_genome("xs_low_risk")
    return Genome(genome.family, dict(genome.genes) | {"lookback": 240})


def subject_of(*genomes: Genome) -> Subject:
    """Return a committee on half a year of bars of four hours."""
    panel = random_panel(3, bars=1100, assets=ASSETS, interval="4h", holes=False, volatility=0.004)
    return Subject(Committee.of(genomes), panel, 300, Costs(), Evaluator(threads=1))


def test_an_asset_left_out_is_not_ranked() -> None:
    subject = subject_of(ranking())
    shake = asset_left_out(subject)
    assert isinstance(shake, Shake)
    assert shake.changes == tuple(f"without S{place}" for place in range(ASSETS))
    panel, kept = subject.panel, np.arange(ASSETS) != 2
    fewer = Panel.from_arrays(
        symbols=[symbol for symbol in panel.symbols if symbol != "S2"],
        interval=panel.interval,
        times=panel.times,
        open=panel.open[:, kept],
        high=panel.high[:, kept],
        low=panel.low[:, kept],
        close=panel.close[:, kept],
        volume=panel.volume[:, kept],
        funding_rate=panel.funding_rate[:, kept],
        funding_paid=panel.funding_paid[:, kept],
        valid=panel.valid[:, kept],
    )
    found = subject.evaluator.evaluate([ranking()], fewer, subject.costs, start=subject.start)
    assert shake.sharpe[2] == pytest.approx(found.metrics["sharpe"][0], rel=1e-9)
    assert shake.sharpe[2] != pytest.approx(subject.sharpe)
    assert not without_asset(panel, "S2").valid[:, 2].any()


def test_what_assets_brought_is_what_the_book_made() -> None:
    subject = subject_of(ranking())
    parts = by_asset(subject)
    assert [part.name for part in parts] == list(subject.panel.symbols)
    found = subject.evaluator.evaluate([ranking()], subject.panel, subject.costs, start=subject.start)
    assert [part.total_return for part in parts] == pytest.approx(found.asset_metrics["total_return"][0])


def test_committees_of_both_kinds_are_shaken_whole() -> None:
    subject = subject_of(ranking(), default_genome("ema_crossover"))
    shakes = {
        "left out": asset_left_out(subject),
        "dearer": dearer_trading(subject),
        "late": late_execution(subject),
        "longer": longer_bars(subject),
        "near": neighbourhood(subject, seed=5, neighbours=4),
        "days": day_unions(subject),
    }
    for name, shake in shakes.items():
        assert isinstance(shake, Shake), name
        assert np.isfinite(shake.sharpe).all(), name
        assert len(np.unique(shake.sharpe)) > 1 or len(shake.sharpe) == 1, name
    assert len(by_asset(subject)) == ASSETS
    assert len(by_regime(subject)) == 4
    assert closed_trades(subject).count > 20
