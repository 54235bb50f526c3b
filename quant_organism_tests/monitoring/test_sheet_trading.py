"""What an account did, told trade by trade: the parts are the whole, and what is drawn is what is stated."""

import dataclasses
import itertools
import math
from datetime import UTC, datetime

import numpy as np
import pytest

from quant_organism.backtest.account import AccountRun, account_figures, account_metrics, committee_run
from quant_organism.monitoring.account_trades import (
    account_trades,
    held_from_the_start,
    profit_by_asset,
    profit_by_member,
    profit_by_reason,
    profit_by_side,
)
from quant_organism.monitoring.sheet_trading import SheetTrading, sheet_trading
from quant_organism_tests.chain import edge


@pytest.fixture(scope="module")
def run() -> AccountRun:
    found = edge()
    return committee_run(found.survivors[0].candidate.committee, found.panel, found.grounds.costs, 10_000.0)


@pytest.fixture(scope="module")
def told() -> SheetTrading:
    found = edge()
    committee = found.survivors[0].candidate.committee
    return sheet_trading(committee, found.panel, found.splits, found.grounds.costs, 10_000.0)


def test_trades_sum_to_the_profit_and_the_costs_of_the_account_however_they_are_parted(run: AccountRun) -> None:
    trades, figures = account_trades(run), account_figures(run)
    profit = float(run.path.equity[-1] - run.path.equity[0]) / 1e6
    assert len(trades) > 20
    for parts in (profit_by_asset(trades), profit_by_side(trades), profit_by_reason(trades)):
        assert math.fsum(part.net_usd for part in parts) == pytest.approx(profit, abs=1e-6)
        assert math.fsum(part.fees_usd for part in parts) == pytest.approx(figures.fees_usd, abs=1e-6)
        assert math.fsum(part.slippage_usd for part in parts) == pytest.approx(figures.slippage_usd, abs=1e-6)
        assert math.fsum(part.funding_usd for part in parts) == pytest.approx(figures.funding_usd, abs=1e-6)
    assert math.fsum(part.net_usd for part in profit_by_member(run)) == pytest.approx(profit, abs=1e-6)


def test_members_are_called_as_in_the_list_of_genomes(told: SheetTrading) -> None:
    ids = {member.genome.id for member in edge().survivors[0].candidate.committee.members}
    names = {part.name for part in told.members} - {"execution"}
    assert names
    assert {name.partition(" on ")[0] for name in names} <= ids


def test_a_trade_earns_what_its_prices_say_less_what_it_paid(run: AccountRun) -> None:
    """Of trades with one fill each way: the quantity is what was bought, at the price that was paid."""
    simple = [trade for trade in account_trades(run) if trade.fills == 2 and trade.reason != "open"]
    assert simple
    for trade in simple:
        units = trade.notional_usd / trade.entry_price * (1 if trade.side == "long" else -1)
        moved = units * (trade.exit_price - trade.entry_price)
        assert trade.pnl_usd == pytest.approx(moved - trade.fees_usd - trade.funding_usd, abs=1e-6)
        assert trade.opened <= trade.closed
        beyond = trade.stop > trade.entry_price if trade.side == "short" else trade.stop < trade.entry_price
        assert math.isnan(trade.stop) or beyond


def test_one_position_at_a_time_is_held_in_an_asset(run: AccountRun) -> None:
    trades = account_trades(run)
    for earlier, later in itertools.pairwise(trades):
        assert earlier.symbol != later.symbol or earlier.closed <= later.opened


def test_the_drawdown_that_is_drawn_is_the_one_that_gates_judge(run: AccountRun, told: SheetTrading) -> None:
    found = edge()
    committee, splits, costs = found.survivors[0].candidate.committee, found.splits, found.grounds.costs
    seen, span = splits.in_sample, splits.unseen
    before = committee_run(committee, found.panel, costs, 10_000.0, start=seen.start, stop=seen.stop)
    after = committee_run(committee, found.panel, costs, 10_000.0, start=span.start, stop=span.stop, after=before)
    for one, at in ((told.seen, before), (told.unseen, after)):
        stated = account_metrics(at, np.zeros(at.path.scale.size))["max_drawdown"]
        assert one.max_drawdown == pytest.approx(stated)
        assert one.equity_usd[-1] == pytest.approx(at.path.equity[-1] / 1e6)
        assert len(one.days) == len(one.returns) == len(one.held_usd) == len(one.drawdown)


def test_no_line_is_drawn_through_days_that_belong_to_no_span(told: SheetTrading) -> None:
    chart = told.equity_chart()
    places = [place for place, time in enumerate(chart["times"]) if told.seen.days[-1] < time < told.unseen.days[0]]
    assert places
    for panel in chart["panels"]:
        for series in panel["series"]:
            assert len(series["values"]) == len(chart["times"])
            assert all(series["values"][place] is None for place in places)
    apart = dataclasses.replace(told.unseen, days=[told.seen.days[-1] + 86_400_000, *told.unseen.days[1:]])
    joined = dataclasses.replace(told, unseen=apart).equity_chart()
    assert len(joined["times"]) == len(told.seen.days) + len(told.unseen.days)


def test_an_ordinary_week_is_the_one_in_the_middle(told: SheetTrading) -> None:
    monday, week = told.week
    first = datetime.fromisoformat(f"{monday}T00:00:00+00:00")
    assert first.weekday() == 0
    opened = [datetime.fromtimestamp(trade.opened / 1000, UTC) for trade in told.trades]
    weeks: dict[tuple[int, int], float] = {}
    for when, trade in zip(opened, told.trades, strict=True):
        weeks[when.isocalendar()[:2]] = weeks.get(when.isocalendar()[:2], 0.0) + trade.pnl_usd
    own = weeks[first.isocalendar()[:2]]
    assert own == pytest.approx(math.fsum(trade.pnl_usd for trade in week))
    assert sum(profit < own - 1e-9 for profit in weeks.values()) <= len(weeks) // 2
    assert sum(profit > own + 1e-9 for profit in weeks.values()) <= len(weeks) // 2


def test_time_in_the_market_is_that_of_the_account(told: SheetTrading) -> None:
    found = edge()
    committee, splits, costs = found.survivors[0].candidate.committee, found.splits, found.grounds.costs
    seen, span = splits.in_sample, splits.unseen
    before = committee_run(committee, found.panel, costs, 10_000.0, start=seen.start, stop=seen.stop)
    run = committee_run(committee, found.panel, costs, 10_000.0, start=span.start, stop=span.stop, after=before)
    lots = np.zeros((run.path.times.size, len(run.path.symbols)))
    for fill in run.path.fills:
        lots[fill[0] + 1 :, fill[1]] += fill[3]  # row, asset, lots bought
    assert told.in_market == pytest.approx(float((lots != 0).any(axis=1).mean()))
    some = (lots != 0).sum(axis=1)
    assert told.assets_at_once == pytest.approx(float(some[some > 0].mean()))


def test_candles_are_bars_of_the_unseen_days(told: SheetTrading) -> None:
    panel = edge().panel
    for symbol, bars in told.candles.items():
        place = panel.symbols.index(symbol)
        first = int(np.flatnonzero(panel.times == bars["t"][0])[0])
        rows = slice(first, first + told.bar_ms // panel.interval.milliseconds)
        assert bars["h"][0] == pytest.approx(float(panel.high[rows, place].max()), rel=1e-5)
        assert bars["c"][0] == pytest.approx(float(panel.close[rows, place][-1]), rel=1e-5)
        assert bars["t"][0] >= told.unseen.days[0]
        assert len(bars["t"]) <= 900


def test_what_is_held_grows_with_the_price_and_stands_still_where_there_is_none() -> None:
    held = held_from_the_start(np.array([10.0, 15.0, math.nan, 5.0]), 100.0)
    assert held.tolist() == [100.0, 150.0, 150.0, 50.0]
