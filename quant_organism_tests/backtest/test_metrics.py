"""Metrics are the ones defined, to the digits known, and NaN where they are not."""

import numpy as np
import pytest

from quant_organism.backtest import path_metrics, reduce_paths
from quant_organism.backtest.metrics import trade_metrics

RETURNS = [0.01, -0.02, 0.015, 0, 0.005, -0.01, 0.02, -0.005, 0, 0.012]


def one(returns: list[float], periods_per_year: float = 365) -> dict[str, float]:
    """Return the metrics of one path."""
    return {name: float(values[0]) for name, values in path_metrics(returns, periods_per_year).items()}


def test_known_path() -> None:
    found = one(RETURNS)
    assert found["sharpe"] == pytest.approx(4.217866104, abs=5e-10)
    assert found["sortino"] == pytest.approx(7.119189359, abs=1e-9)
    assert found["max_drawdown"] == pytest.approx(0.02, abs=1e-15)
    # In exact fractions the path compounds to 1.026640784425922...
    assert found["total_return"] == pytest.approx(0.026640784425922, abs=1e-14)
    assert found["annual_return"] == pytest.approx(1.610812767, abs=5e-10)
    assert found["calmar"] == pytest.approx(80.540638, abs=5e-7)
    assert found["volatility"] == pytest.approx(np.std(RETURNS, ddof=1) * np.sqrt(365))
    # Ten sub-periods of one day, of which five gained.
    assert found["consistency"] == pytest.approx(0.5)


def test_known_trades() -> None:
    net = np.array([0.03, -0.01, 0.02, -0.02, 0, 0.015, -0.005])
    found = trade_metrics(7, (net > 0).sum(), net[net > 0].sum(), -net[net < 0].sum(), 14)
    assert found["win_rate"] == pytest.approx(0.428571429)
    assert found["profit_factor"] == pytest.approx(1.857142857)
    assert found["avg_holding_hours"] == pytest.approx(2)


def test_nothing_traded() -> None:
    found = one([0.0] * 24)
    assert found["total_return"] == found["annual_return"] == found["volatility"] == found["max_drawdown"] == 0
    assert found["consistency"] == 0
    assert all(np.isnan(found[name]) for name in ("sharpe", "sortino", "calmar"))
    trades = trade_metrics(0, 0, 0.0, 0.0, 0.0)
    assert trades["trades"] == 0
    assert all(np.isnan(trades[name]) for name in ("win_rate", "profit_factor", "avg_holding_hours"))


def test_a_constant_gain_has_no_sharpe_ratio() -> None:
    found = one([0.001] * 8760, 8760)
    assert np.isnan(found["sharpe"])
    assert np.isnan(found["sortino"])
    assert np.isnan(found["calmar"])
    assert found["consistency"] == 1


def test_a_loss_that_is_rounding_has_no_sortino_ratio() -> None:
    found = one([0.01, -1e-16, 0.02, 0.0])
    assert np.isnan(found["sortino"])
    assert np.isfinite(found["sharpe"])


@pytest.mark.parametrize(("count", "undefined"), [(0, {"total_return", "volatility"}), (1, {"volatility", "sharpe"})])
def test_short_paths(count: int, undefined: set[str]) -> None:
    found = one([0.01] * count)
    assert {"consistency", "sharpe"} | undefined <= {name for name, value in found.items() if np.isnan(value)}


def test_ruin_is_total_and_final() -> None:
    found = one([0.1, -1.2, 0.5, 0.5, 0.5, 0.5])
    assert found["total_return"] == found["annual_return"] == -1
    assert found["max_drawdown"] == 1
    assert reduce_paths(np.array([[0.1, -1.2, 0.5, 0.5]]), 365, np.zeros(4), np.array([0, 2]))[1].tolist() == [[-1, 0]]


def test_drawdown_counts_from_the_initial_equity() -> None:
    assert one([-0.1, 0.0])["max_drawdown"] == pytest.approx(0.1)


def test_consistency_is_the_share_of_twelve_blocks_that_gain() -> None:
    blocks = np.repeat([0.001, -0.001, 0.0], 20)
    assert one(list(np.tile(blocks, 4)))["consistency"] == pytest.approx(4 / 12)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 23, 24, 25])
def test_compounding_is_that_of_the_days(count: int) -> None:
    returns = np.random.default_rng(0).normal(0, 0.01, (3, count))
    starts = np.arange(0, count, 5)
    found = reduce_paths(returns, 8760, np.zeros(count), starts)[1]
    expected = [[np.prod(1 + row[s : s + 5]) - 1 for s in starts] for row in returns]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)


def test_paths_are_measured_each_for_itself() -> None:
    paths = np.random.default_rng(1).normal(0, 0.01, (5, 300))
    together = path_metrics(paths, 8760)
    for k, path in enumerate(paths):
        for name, values in path_metrics(path, 8760).items():
            np.testing.assert_array_equal(together[name][k], values[0])


def test_beta_and_alpha_are_those_of_a_regression() -> None:
    rng = np.random.default_rng(2)
    market = rng.normal(0, 0.01, 501)
    paths = 0.7 * market + rng.normal(0.0002, 0.005, (3, 501))
    found = path_metrics(paths, 8760, market)
    for k, path in enumerate(paths):
        slope, level = np.polyfit(market, path, 1)
        assert found["beta"][k] == pytest.approx(slope, rel=1e-9)
        assert found["alpha"][k] == pytest.approx(level * 8760, rel=1e-9)
    assert np.isnan(path_metrics(paths, 8760, np.full(501, 0.01))["beta"]).all()


def test_trades_that_never_lost_or_won() -> None:
    winner, loser = trade_metrics(1, 1, 0.03, 0.0, 5), trade_metrics(1, 0, 0.0, 0.02, 5)
    assert np.isnan(winner["profit_factor"])
    assert (winner["win_rate"], winner["avg_holding_hours"]) == (1.0, 5.0)
    assert (loser["profit_factor"], loser["win_rate"]) == (0.0, 0.0)
