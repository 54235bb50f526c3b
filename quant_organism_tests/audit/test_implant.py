"""Edges written into a real market: what moves, by how much, and what stays."""

import numpy as np
import pytest

from quant_organism.audit.edges import Edge, edges
from quant_organism.audit.implant import implanted
from quant_organism.market import Panel
from quant_organism_tests.panels import trending_panel

DAYS = 400


@pytest.fixture(scope="module")
def real() -> Panel:
    return trending_panel(days=DAYS, assets=2, drift=0.0)


def edge(family: str, k: float) -> Edge:
    return Edge(family=family, strength="strong", k=k, oracle_sharpe=2.5, chosen_at=2.5)


def written(real: Panel, family: str, k: float, seed: int = 1) -> Panel:
    return implanted(real, edge(family, k), np.random.SeedSequence(seed))


def returns(panel: Panel) -> np.ndarray:
    return panel.close[1:] / panel.close[:-1] - 1.0


@pytest.mark.parametrize("family", sorted({each.family for each in edges()}))
def test_only_prices_move_and_bars_enclose_their_open_and_close(real: Panel, family: str):
    moved = written(real, family, 0.3)
    assert (returns(moved) != returns(real)).mean() > 0.2
    for name in ("volume", "funding_rate", "funding_paid", "valid", "times"):
        np.testing.assert_array_equal(getattr(moved, name), getattr(real, name))
    np.testing.assert_allclose(moved.open[1:] / moved.close[:-1], real.open[1:] / real.close[:-1], rtol=1e-12)
    assert (moved.high >= np.maximum(moved.open, moved.close)).all()
    assert (moved.low <= np.minimum(moved.open, moved.close)).all()
    assert moved.hash == written(real, family, 0.3).hash


@pytest.mark.parametrize("family", ["momentum", "carry"])
def test_the_mean_moves_in_proportion_to_the_strength(real: Panel, family: str):
    small, large = (returns(written(real, family, k)) - returns(real) for k in (0.02, 0.06))
    np.testing.assert_allclose(large, 3.0 * small, atol=1e-12)
    # A latent state, or a premium, of unit variance: the deviation of the edge is k units.
    assert large.std() == pytest.approx(0.06 * returns(real).std(), rel=0.25)


def test_carry_pays_against_the_funding_that_was_known_before(real: Panel):
    edges = returns(written(real, "carry", 0.05)) - returns(real)
    rate = real.funding_rate[:-1] - real.funding_rate.mean(axis=0)
    assert (np.sign(edges) == -np.sign(rate)).all()


def test_breakouts_go_on_for_two_days_on_their_own_path(real: Panel):
    moved = written(real, "breakout", 0.2)
    edges = returns(moved) - returns(real)
    for asset in range(real.n_assets):
        path, expected, until, side = moved.close[:, asset], [], 0, 0.0
        for bar in range(1, len(path)):  # the bar's edge is set by closes before it
            known = path[:bar]
            if bar > 49 and known[-1] > known[-49:-1].max():
                until, side = bar + 48, 1.0
            elif bar > 49 and known[-1] < known[-49:-1].min():
                until, side = bar + 48, -1.0
            expected.append(side if bar < until else 0.0)
        found = np.where(np.abs(edges[:, asset]) > 1e-9, np.sign(edges[:, asset]), 0.0)
        np.testing.assert_array_equal(found, expected)


def test_reversion_gives_days_back_and_leaves_hours_as_large_as_they_were(real: Panel):
    moved = written(real, "reversion", 0.7)
    assert returns(moved).std() == pytest.approx(returns(real).std(), rel=0.05)

    def variance_ratio(panel: Panel) -> float:
        hourly, daily = (np.log(panel.close[lag:] / panel.close[:-lag]) for lag in (1, 48))
        return float(daily.var() / hourly.var() / 48)

    assert variance_ratio(real) == pytest.approx(1.0, abs=0.25)
    assert variance_ratio(moved) < 0.8


def test_assets_without_funding_get_no_carry_and_unlisted_bars_stay_empty(real: Panel):
    silent = real.funding_rate.copy()
    silent[:, 0] = np.nan
    valid = real.valid.copy()
    valid[:500, 1] = False
    changed = Panel.from_arrays(
        symbols=real.symbols,
        interval=real.interval,
        times=real.times,
        open=real.open,
        high=real.high,
        low=real.low,
        close=real.close,
        volume=real.volume,
        funding_rate=silent,
        funding_paid=real.funding_paid,
        valid=valid,
    )
    moved = written(changed, "carry", 0.05)
    np.testing.assert_allclose(moved.close[:, 0], real.close[:, 0], rtol=1e-12)
    np.testing.assert_array_equal(moved.close[:501, 1], changed.close[:501, 1])
    assert (moved.close[501:, 1] != changed.close[501:, 1]).any()
