"""The weather of a market: readings as numpy gives them, breakers that fire and recover, one bar or all at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest.account import MarketWeather, Restraint, tightest
from quant_organism.backtest.account.weather import WeatherWindow, _follow
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism_tests.backtest.markets import random_panel

HOUR = 3_600_000
HALF = Restraint(0.5, 0.5)


def panel_of(returns, interval: str = "1h") -> Panel:  # type: ignore[no-untyped-def]
    """Return a panel whose closes have these logarithmic returns, shape (T, N)."""
    rows, count = returns.shape
    close = 100.0 * np.exp(np.cumsum(returns, axis=0))
    known = Interval.parse(interval)
    return Panel.from_arrays(
        symbols=tuple(f"S{place}" for place in range(count)),
        interval=known,
        times=np.arange(rows, dtype=np.int64) * known.milliseconds,
        open=close,
        high=close,
        low=close,
        close=close,
        volume=np.ones_like(close),
        funding_rate=np.zeros_like(close),
        funding_paid=np.zeros_like(close),
        valid=np.ones(close.shape, dtype=bool),
    )


def noise(seed: int, rows: int, count: int, size: float = 0.01):  # type: ignore[no-untyped-def]
    return np.random.default_rng(seed).normal(0.0, size, (rows, count))


def followed(panel: Panel) -> list[Restraint]:
    held = MarketWeather(panel.symbols, panel.interval.milliseconds).follow(panel, panel.n_bars)
    return [Restraint(*row) for row in held.tolist()]


def test_readings_are_those_of_numpy() -> None:
    panel = panel_of(noise(1, 24 * 45, 3) + noise(2, 24 * 45, 1))
    readings = _follow(WeatherWindow.empty(3, 24), panel.times + HOUR, panel.close, panel.valid)
    returns = np.diff(np.log(panel.close), axis=0)
    days = [returns[row - 24 : row] for row in range(24, len(returns) + 1)]  # the first ends at bar 24
    volatilities = [np.sqrt(np.mean(day.mean(axis=1) ** 2)) for day in days]
    correlations = [np.corrcoef(day.T)[np.triu_indices(3, 1)].mean() for day in days]
    # One look earlier, 23 returns are known: enough for a volatility, and not for a correlation.
    first = np.sqrt(np.mean(returns[:23].mean(axis=1) ** 2))
    volatilities = [first, *volatilities]
    for row in (24 * 11, 24 * 20, 24 * 45 - 1):
        seen = volatilities[: row - 22][-720:]
        assert readings[row, 1] == pytest.approx(seen[-1] / np.median(seen))
        past = correlations[: row - 23][-720:]
        assert readings[row, 2] == pytest.approx(past[-1])
        assert readings[row, 3] == pytest.approx(np.median(past))
    assert np.isnan(readings[24 * 10, 1])


def test_a_market_that_moves_four_times_its_usual_halves_until_a_day_below_twice() -> None:
    returns = noise(3, 24 * 40, 4)
    storm = 24 * 35
    returns[storm : storm + 12] *= 12.0
    held = followed(panel_of(returns))
    assert set(held[:storm]) == {Restraint()}
    first = held.index(HALF)
    assert storm <= first < storm + 6
    last = len(held) - 1 - held[::-1].index(HALF)
    assert set(held[first : last + 1]) == {HALF}
    # The last bar of the storm leaves the window of a day 24 hours after it, and then a day passes.
    assert storm + 12 + 24 <= last + 1 <= storm + 12 + 24 + 24 + 1


def test_assets_that_move_as_one_halve_after_three_looks_and_not_where_they_always_do() -> None:
    apart, common = noise(4, 24 * 40, 5), noise(5, 24 * 40, 1)
    together = 0.05 * apart + common
    storm = 24 * 35
    sudden = np.concatenate([apart[:storm], together[storm:]])
    held = followed(panel_of(sudden))
    assert set(held[:storm]) == {Restraint()}
    assert HALF in held[storm + 3 : storm + 26]
    assert set(followed(panel_of(together))) == {Restraint()}
    calm_again = np.concatenate([apart[:storm], together[storm : storm + 48], apart[storm + 48 :]])
    held = followed(panel_of(calm_again))
    assert HALF in held
    assert held[-1] == Restraint()


@pytest.mark.parametrize(
    ("interval", "speaks"), [("1m", True), ("15m", True), ("4h", True), ("12h", False), ("1d", False)]
)
def test_it_looks_once_an_hour_and_not_where_a_day_has_too_few_bars(interval: str, speaks: bool) -> None:
    looks = 24 if interval in ("1m", "15m") else 6
    per_look = {"1m": 60, "15m": 4}.get(interval, 1)
    rows = looks * per_look * 14
    returns = noise(6, rows, 2, 0.001)
    returns[-looks * per_look // 2 :] *= 60.0
    held = followed(panel_of(returns, interval))
    assert (HALF in held) == speaks
    changes = [row for row in range(1, rows) if held[row] != held[row - 1]]
    assert all((row + 1) % per_look == 0 for row in changes)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["15m", "1h", "4h"]), st.floats(0.0, 1.0), st.permutations(range(3)))
def test_bar_by_bar_is_all_at_once_whatever_the_order_of_assets_and_knows_no_future(
    seed: int, interval: str, share: float, order: list[int]
) -> None:
    panel = random_panel(seed, bars=700, assets=3, interval=interval, volatility=0.003, holes=True, shocks=0.3)
    whole = followed(panel)
    cut = int(share * panel.n_bars)
    weather = MarketWeather([panel.symbols[place] for place in order], panel.interval.milliseconds)
    pieces = [
        weather.advance(int(panel.times[row]), panel.close[row, order], panel.valid[row, order])
        for row in range(panel.n_bars)
    ]
    assert pieces == whole
    early = MarketWeather(panel.symbols, panel.interval.milliseconds).follow(panel, cut)
    assert [Restraint(*row) for row in early.tolist()] == whole[:cut]


def test_of_several_markets_the_tightest_counts() -> None:
    assert tightest([]) == Restraint()
    assert tightest([Restraint(0.5, 1.0, 1.0), Restraint(1.0, 0.9, 0.5)]) == Restraint(0.5, 0.9, 0.5)
