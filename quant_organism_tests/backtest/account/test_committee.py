"""An account over a committee: the same in a window and bar by bar, and the figures that reports show."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from quant_organism.backtest import Costs, MarketRow
from quant_organism.backtest.account import AccountMarket, AccountRules, plan, trade_account_bar
from quant_organism.backtest.account.committee import AccountSetting, committee_run, committee_setting, virtual_window
from quant_organism.backtest.account.figures import account_figures, capacity, smallest_equity
from quant_organism.backtest.account.model import FillModel
from quant_organism.backtest.account.streaming import VirtualStream
from quant_organism.market.panel import Panel
from quant_organism.strategies import Committee, Genome, default_genome
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.panels import trending_panel

COSTS = Costs(max_participation=0.2)
START = 240


@pytest.fixture(scope="module")
def panel() -> Panel:
    market = random_panel(7, bars=1_400, assets=3, volatility=0.01, holes=True)
    return replace(market, volume=market.volume * 1e4)


def committee() -> Committee:
    names = ("ema_crossover", "rsi_filter", "donchian_breakout")
    genomes = [default_genome(name) for name in names]
    trailing = Genome("ema_crossover", dict(genomes[0].genes) | {"trailing_stop": 0.02, "position_size": 0.1})
    return Committee.of([*genomes, trailing], [1, 2, 1, 3], [(), (), ("S0", "S2"), ("S1",)])


def committee_of(family: str) -> Committee:
    return Committee.of([default_genome(family)])


@pytest.fixture(scope="module")
def setting(panel: Panel) -> AccountSetting:
    return committee_setting(committee(), panel, COSTS, start=START, daily_before=[0.001, -0.001] * 20)


def test_an_account_that_is_fed_bar_by_bar_is_that_of_the_window(panel: Panel, setting: AccountSetting) -> None:
    run, account, market = setting.run(10_000.0), setting.opened(10_000.0), setting.market
    name = committee().id
    stream = VirtualStream({name: committee()}, panel.symbols, panel.interval, COSTS, history=panel.window(0, START))
    for row in range(market.n_bars):
        made = plan(account, stream.close(int(market.times[row]), market.prices(row)))
        bar = market.bar(row)
        trade_account_bar(account, made, bar, stream.levels(bar.open), setting.model)
        stream.advance(MarketRow.of(panel, START + row))
    assert account.h1 == run.account.h1
    assert account.h2 == run.account.h2
    assert account.to_dict() == run.account.to_dict()
    assert len(run.path.fills) > 50


def test_strategies_share_an_account(panel: Panel) -> None:
    both = {"one": committee(), "two": Committee.of([default_genome("bollinger_bands")])}
    virtual = virtual_window(both, panel, COSTS, start=START, shares={"one": 0.25, "two": 0.1})
    assert virtual.strategies == ("one", "two")
    assert {leg[0] for leg in virtual.legs} == {"one", "two"}
    np.testing.assert_array_equal(virtual.shares[0], [0.25, 0.1])


def test_without_a_past_the_account_is_flat_for_thirty_days(panel: Panel, setting: AccountSetting) -> None:
    run = replace(setting, daily_before=()).run(10_000.0)
    assert run.path.times[run.path.lines[0, 0]] >= setting.market.times[0] + 29 * 86_400_000


def test_figures_are_of_the_equity(setting: AccountSetting) -> None:
    run = setting.run(10_000.0)
    figures = account_figures(run)
    compounded = math.prod(1.0 + gain for gain in run.daily_returns)
    assert figures.total_return == pytest.approx(compounded - 1.0, rel=1e-12)
    paid = figures.fees_usd + figures.slippage_usd + figures.funding_usd
    costless = replace(
        setting.model, taker_fee=0.0, maker_fee=0.0, open_slippage_bps=0.0, stop_slippage_bps=0.0, charge_funding=False
    )
    assert figures.fees_usd > 0.0
    assert figures.slippage_usd > 0.0
    assert paid < 10_000.0
    assert account_figures(setting.run(10_000.0, model=costless)).slippage_usd == pytest.approx(0.0, abs=0.01)
    assert figures.equity_usd == 10_000.0
    assert 0.0 < figures.gross_mean <= figures.gross_max <= 2.1
    members = sum(sub.profit(run.account.marks) for sub in run.account.members.values())
    execution = run.account.execution.profit(run.account.marks)
    assert members + execution == run.account.equity() - run.account.capital


def test_the_smallest_equity_follows_the_large_one(setting: AccountSetting) -> None:
    smallest = smallest_equity(setting, (100.0, 1e4, 1e5))
    assert smallest in (1e4, 1e5)


def test_an_account_that_never_trades_follows_nobody(panel: Panel, setting: AccountSetting) -> None:
    idle = replace(setting, virtual=replace(setting.virtual, units=np.zeros_like(setting.virtual.units)))
    assert smallest_equity(idle) is None
    assert idle.run(10_000.0).why_idle == ""


def test_why_nothing_is_traded_is_told(setting: AccountSetting) -> None:
    assert setting.run(10_000.0).why_idle == ""
    small = "an account of 1 USD cannot trade it: all of its orders would be below 10 USD, or 1 % of its equity"
    assert setting.run(1.0).why_idle == small
    unknown = replace(setting, daily_before=(), rules=AccountRules.alone(least_volatility_days=60))
    assert "its risk is known after 60 days" in unknown.run(10_000.0).why_idle
    dry = replace(setting.market, volume=np.zeros_like(setting.market.volume))
    assert "no bar had the volume" in replace(setting, market=dry).run(10_000.0).why_idle


def test_days_before_set_the_risk_scale_of_an_account_that_begins_flat(panel: Panel) -> None:
    before = committee_run(committee(), panel, COSTS, 10_000.0, stop=960)
    after = committee_run(committee(), panel, COSTS, 10_000.0, start=960, after=before)
    assert after.path.scale[0] == pytest.approx(0.1 / (np.std(before.virtual_daily_returns, ddof=1) * math.sqrt(365)))
    assert after.path.gross[0] == 0.0
    assert after.days[0] == before.days[-1] + 86_400_000
    np.testing.assert_array_equal(after.returns_by_day(24, 96), after.daily_returns[1:4])


def test_capacity_is_where_impact_halves_the_return() -> None:
    market = trending_panel(days=60, assets=2, drift=0.0015)
    market = replace(market, volume=market.volume / 1e3)
    setting = committee_setting(
        committee_of("ema_crossover"), market, COSTS, start=960, daily_before=[0.01, -0.01] * 20
    )
    model = FillModel.of(COSTS, max_participation=None)
    earned = setting.run(1e6, model=model).path.equity
    found = capacity(setting, market, start=960)
    assert found is not None
    assert 1e3 < found < 1e9
    hit = setting.with_model(market, replace(model, impact=1.0), start=960)
    half = 0.5 * (earned[-1] / earned[0] - 1.0)
    below, above = (hit.run(size, model=hit.model).path.equity for size in (0.5 * found, 2.0 * found))
    assert above[-1] / above[0] - 1.0 < half < below[-1] / below[0] - 1.0
    # A market in which the least equity moves the price itself, and one that lost.
    thin = replace(market, volume=market.volume / 1e6)
    assert capacity(replace(setting, market=AccountMarket.of(thin, model, start=960)), thin, start=960) == 1e3
    lost = replace(setting, virtual=replace(setting.virtual, units=-setting.virtual.units))
    assert capacity(lost, market, start=960) is None


@pytest.mark.parametrize("capital", [1_000.0, 10_000.0])
def test_no_order_is_smaller_than_the_venue_takes_but_one_that_closes(setting: AccountSetting, capital: float) -> None:
    path = setting.run(capital).path
    assert account_figures(setting.run(capital)).smallest_order_usd >= 10.0
    sent = [line for line in path.lines.tolist() if line[2] == 0 and abs(line[3]) * line[4] < 10e6]
    for row, asset, _, lots, _, _ in sent:
        assert lots == -sum(fill[3] for fill in path.fills.tolist() if fill[1] == asset and fill[0] < row)


def test_unknown_funding_is_not_free(panel: Panel) -> None:
    unknown = replace(panel, funding_rate=np.full(panel.close.shape, np.nan))
    setting = committee_setting(
        committee(), unknown, COSTS, start=START, rules=AccountRules.alone(), daily_before=[0.001, -0.001] * 20
    )
    path = setting.run(10_000.0).path
    assert (path.funding >= 0).all()
    assert path.funding.sum() > 0


def test_funding_is_unknown_once_two_settlements_are_missing(panel: Panel) -> None:
    hours = np.arange(panel.n_bars)
    settled = (hours % 8 == 7) & (hours < 400)
    paid = np.repeat(np.where(settled, 1e-4, 0.0)[:, None], panel.n_assets, 1)
    rates = np.where(hours < 20, np.nan, 1e-5)[:, None] * np.ones(panel.n_assets)
    market = AccountMarket.of(
        replace(panel, funding_paid=paid, funding_rate=rates), FillModel(unknown_funding=2e-5, max_participation=None)
    )
    np.testing.assert_array_equal(market.funding_long[:20], 2e-5)
    np.testing.assert_array_equal(market.funding_long[20:400], paid[20:400])
    np.testing.assert_array_equal(market.funding_long[400:416], 0.0)
    np.testing.assert_array_equal(market.funding_long[416:], 2e-5)
    np.testing.assert_array_equal(market.funding_short[416:], -2e-5)
