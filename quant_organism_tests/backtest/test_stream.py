"""The stream makes the evaluator's trades, from bars that come in one by one, however often it is interrupted."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.backtest import Costs, Evaluator, GenomeStream, MarketRow
from quant_organism.backtest.allocation import allocate
from quant_organism.backtest.allocation_stream import AllocationStream
from quant_organism.backtest.stream import Step
from quant_organism.errors import InputError
from quant_organism.market.files import FileSource
from quant_organism.market.ingest import ingest
from quant_organism.market.lake import Lake
from quant_organism.market.panel import Panel, build_panel
from quant_organism.market.schema import Interval
from quant_organism.strategies import (
    COLUMNS,
    Genome,
    Histories,
    SignalStream,
    default_genome,
    family_names,
    random_genome,
    signal,
)
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.backtest.streams import genomes, markets

EVALUATOR = Evaluator(threads=1)

Market = tuple[Panel, Costs, int, int]


def stream_of(genome: Genome, panel: Panel, costs: Costs, start: int) -> GenomeStream:
    """Return a stream that is about to trade row `start` of a panel."""
    history = panel.window(0, start) if start else None
    return GenomeStream(genome, panel.symbols, panel.interval, costs, history=history)


def stored(state: dict[str, Any]) -> dict[str, Any]:
    """Write a state to bytes and read it back: arrays as npz, the rest as JSON, nothing pickled."""
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    text = json.dumps({name: value for name, value in state.items() if name not in arrays})
    file = io.BytesIO()
    np.savez(file, **arrays)
    file.seek(0)
    with np.load(file, allow_pickle=False) as found:
        return json.loads(text) | {name: found[name] for name in arrays}


@given(genomes(), markets(limited=True, bars=160))
@settings(max_examples=50, deadline=None)
def test_trades_are_those_of_the_evaluator(genome: Genome, market: Market) -> None:
    panel, costs, start, stop = market
    stream = stream_of(genome, panel, costs, start)
    for row in range(start, stop):
        stream.step(MarketRow.of(panel, row))
    expected = EVALUATOR.trades(genome, panel, costs, start=start, stop=stop)
    assert stream.finish().frame.equals(expected.frame)
    assert stream.finish().hash == expected.hash


@given(genomes(), markets(limited=True, bars=160))
@settings(max_examples=25, deadline=None)
def test_sleeves_beside_a_stream_are_those_of_a_stream_at_their_costs(genome: Genome, market: Market) -> None:
    panel, costs, start, stop = market
    others = replace(costs, max_participation=None, impact_bps=0.0, capital_usd=1e4)
    stream, alone = stream_of(genome, panel, costs, start), stream_of(genome, panel, others, start)
    beside = stream.beside(others)
    for row in range(start, stop):
        opens = np.where(panel.valid[row], panel.open[row], np.nan)
        np.testing.assert_array_equal(beside.levels(opens), alone.levels(opens))
        stream.advance(MarketRow.of(panel, row))
        alone.advance(MarketRow.of(panel, row))
        for figure in ("units", "sleeve_returns", "equity"):
            np.testing.assert_array_equal(getattr(beside, figure), getattr(alone, figure))
    assert beside.finish().hash == alone.finish().hash
    assert stream.finish().hash == EVALUATOR.trades(genome, panel, costs, start=start, stop=stop).hash


def test_sleeves_beside_a_stream_that_has_traded_or_pays_otherwise_are_refused() -> None:
    panel = random_panel(4, bars=40, assets=2)
    stream = stream_of(default_genome("ema_crossover"), panel, Costs(), 30)
    with pytest.raises(InputError, match="traded nothing yet"):
        stream.beside(Costs(charge_funding=not Costs().charge_funding))
    stream.advance(MarketRow.of(panel, 30))
    for traded in (stream, GenomeStream.restored(stream.state())):
        with pytest.raises(InputError, match="traded nothing yet"):
            traded.beside(Costs())


@pytest.fixture(scope="module")
def real_panel(shared_market: Path, tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """Return 45 days of four real perpetuals."""
    source, lake = FileSource(shared_market / "hl_perp_1h"), Lake(tmp_path_factory.mktemp("lake"))
    hour, end = Interval.parse("1h"), date(2025, 5, 31)
    ingest(source, lake, hour, end - timedelta(days=46), end)
    return build_panel(lake, source.market, hour, end, 45, ["AR", "AVAX", "BTC", "SOL"])


@pytest.mark.slow
@pytest.mark.parametrize("participation", [None, 0.0005])
@pytest.mark.parametrize("family", family_names())
def test_trades_on_real_bars_are_those_of_the_evaluator(
    family: str, participation: float | None, real_panel: Panel
) -> None:
    costs, start, stop = Costs(max_participation=participation, capital_usd=1e6), 840, 1040
    genome = random_genome(np.random.default_rng(1), family)
    stream = stream_of(genome, real_panel, costs, start)
    for row in range(start, stop):
        stream.step(MarketRow.of(real_panel, row))
    expected = EVALUATOR.trades(genome, real_panel, costs, start=start, stop=stop)
    assert stream.finish().hash == expected.hash


@given(genomes(), markets(limited=True, bars=120), st.data())
@settings(max_examples=25, deadline=None)
def test_an_interrupted_stream_goes_on_to_the_same_trades(genome: Genome, market: Market, data: st.DataObject) -> None:
    panel, costs, start, stop = market
    stream = stream_of(genome, panel, costs, start)
    interruptions = data.draw(st.sets(st.integers(start, stop - 1), max_size=4))
    for row in range(start, stop):
        if row in interruptions:
            stream = GenomeStream.restored(stored(stream.state()))
        stream.step(MarketRow.of(panel, row))
    expected = EVALUATOR.trades(genome, panel, costs, start=start, stop=stop)
    assert stream.finish().hash == expected.hash


@given(genomes(), markets(limited=True, bars=160))
@settings(max_examples=25, deadline=None)
def test_every_fill_was_ordered_at_the_close_before(genome: Genome, market: Market) -> None:
    panel, costs, start, stop = market
    stream = stream_of(genome, panel, costs, start)
    before: Step | None = None
    for row in range(start, stop):
        step = stream.step(MarketRow.of(panel, row))
        for symbol in {fill.symbol for fill in step.fills}:
            fills = [fill for fill in step.fills if fill.symbol == symbol]
            orders = [order for order in before.orders if order.symbol == symbol] if before else []
            entered = any(fill.reason == "entry" for fill in fills)
            for fill in fills if before else []:
                asked = [order for order in orders if np.sign(order.quantity) == np.sign(fill.quantity)]
                if fill.reason == "ruined" or (entered and fill.reason != "entry"):
                    continue  # a bracket around an entry of this bar
                assert fill.reason in {order.reason for order in asked}
                limit = max(abs(order.quantity) for order in asked if order.reason == fill.reason)
                if fill.reason != "entry":
                    assert abs(fill.quantity) <= limit * (1 + 1e-12)
        before = step


@given(genomes(), markets(bars=160))
@settings(max_examples=15, deadline=None)
def test_equity_is_that_of_the_evaluator(genome: Genome, market: Market) -> None:
    panel, costs, start, stop = market
    stream = stream_of(genome, panel, costs, start)
    steps = [stream.step(MarketRow.of(panel, row)) for row in range(start, stop)]
    expected = EVALUATOR.equity(genome, panel, costs, start=start, stop=stop).sleeves
    found = np.stack([step.equity for step in steps])
    for asset in range(panel.n_assets):
        rows = np.flatnonzero(panel.valid[start:stop, asset])
        # The last bar of a delisted asset is only known as such afterwards.
        known = rows[:-1] if rows.size and rows[-1] < stop - start - 1 else rows
        np.testing.assert_allclose(found[known, asset], expected[known, asset], rtol=1e-12)


@pytest.mark.parametrize("family", family_names())
def test_targets_are_those_of_a_batch(family: str) -> None:
    panel = random_panel(3, bars=150, assets=1, holes=False)
    columns = {name: getattr(panel, name)[:, 0] for name in COLUMNS}
    columns["funding_rate"] = np.where(np.arange(150) % 7 == 3, np.nan, np.sin(np.arange(150) / 9) * 1e-4)
    numbers = panel.times // panel.interval.milliseconds
    genome = default_genome(family)
    expected = signal(genome, columns, bar_hours=1.0, numbers=numbers)
    histories = Histories(1, 1.0)
    stream, found = SignalStream([genome], histories), []
    for number, row in zip(numbers.tolist(), np.stack([columns[name] for name in COLUMNS], axis=1), strict=True):
        histories.append(row[:, np.newaxis], number, np.array([True]))
        found.append(stream.follow(np.array([0]))[0, 0])
    assert found == expected.tolist()


@pytest.mark.parametrize("interval", ["1h", "4h", "8h"])
def test_ranks_and_turbulence_are_those_of_a_batch(interval: str) -> None:
    panel = random_panel(5, bars=820, assets=4, interval=interval)
    hours = panel.interval.hours
    expected = allocate(panel.high, panel.low, panel.close, panel.volume, panel.valid, hours)
    stream, histories, taken = AllocationStream(4, hours), Histories(4, hours), 0
    assert expected.turbulence.any()
    for row in [40, *range(100, 130), *range(800, 820)]:
        for t in range(taken, row + 1):
            histories.append(np.stack([getattr(panel, name)[t] for name in COLUMNS]), t, panel.valid[t])
        taken = row + 1
        found = stream.step(histories, panel.valid[row])
        np.testing.assert_array_equal(found.ranks[0], expected.ranks[row])
        np.testing.assert_array_equal(found.turbulence[0], expected.turbulence[row])
        assert found.listed[0] == expected.listed[row]


def test_books_can_be_closed_at_any_bar_without_disturbing_the_stream() -> None:
    panel, genome, costs = random_panel(11, bars=200), default_genome("rsi_filter"), Costs()
    stream = stream_of(genome, panel, costs, 50)
    for row in range(50, 200):
        stream.step(MarketRow.of(panel, row))
        if row % 40 == 0:
            assert stream.finish().hash == EVALUATOR.trades(genome, panel, costs, start=50, stop=row + 1).hash
    closed = EVALUATOR.trades(genome, panel, costs, start=50).frame
    assert stream.trades().frame.height <= closed.height
    assert not set(stream.trades().frame["reason"]) & {"open", "delisted"}


def test_a_position_is_bracketed() -> None:
    # A long from 100 with a slippage of 0 has its stop at 97 and its target at 106; out when the target turns.
    close = np.concatenate([np.full(40, 100.0), np.linspace(100, 104, 20)])
    panel = Panel.from_arrays(
        symbols=["X"],
        interval=Interval.parse("1h"),
        times=np.arange(60) * 3_600_000,
        **dict.fromkeys(("open", "high", "low", "close"), close[:, None]),
        volume=np.ones((60, 1)),
    )
    genes = dict(default_genome("ema_crossover").genes) | {"momentum_threshold": 0.0, "trend_filter": 0.0}
    stream = stream_of(Genome("ema_crossover", genes), panel, Costs(slippage_bps=0.0), 0)
    orders, entry = (), 0.0
    for row in range(60):
        step = stream.step(MarketRow.of(panel, row))
        for fill in step.fills:
            assert [(order.kind, order.reason) for order in orders] == [("market", "entry")]
            assert fill.quantity == pytest.approx(orders[0].quantity, rel=0.01)
            entry = fill.price
            levels = {order.kind: (order.reason, order.price) for order in step.orders}
            assert levels["stop"] == ("stop_loss", pytest.approx(0.97 * entry))
            assert levels["limit"] == ("take_profit", pytest.approx(1.06 * entry))
        orders = step.orders
    assert entry


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time": 1_704_067_200_000}, "not later than the last"),
        ({"time": 1_704_067_200_000 + 41 * 3_600_000 + 1}, "do not open at this time"),
        ({"close": np.array([1.0, 2.0])}, r"close has shape \(2,\), expected \(1,\)"),
        ({"high": np.array([0.0])}, "S0 at 2024-01-02 16:00.*not a possible bar"),
        ({"volume": np.array([np.nan])}, "not a possible bar"),
    ],
)
def test_a_broken_bar_is_refused_before_anything_is_traded(change: dict[str, Any], message: str) -> None:
    panel = random_panel(2, bars=60, assets=1, holes=False)
    stream = stream_of(default_genome("ema_crossover"), panel, Costs(), 40)
    before = stream.state()
    with pytest.raises(InputError, match=message):
        stream.step(replace(MarketRow.of(panel, 40), **change))
    for name, value in stream.state().items():
        np.testing.assert_array_equal(value, before[name])


def test_a_history_of_other_assets_is_refused() -> None:
    panel = random_panel(2, bars=60, assets=1)
    with pytest.raises(InputError, match="the history holds S0 at 1h, expected X at 1h"):
        GenomeStream(default_genome("ema_crossover"), ["X"], panel.interval, Costs(), history=panel)


def test_a_state_of_another_version_is_refused() -> None:
    panel = random_panel(2, bars=60, assets=1)
    state = stream_of(default_genome("ema_crossover"), panel, Costs(), 0).state()
    with pytest.raises(InputError, match="saved with schema 0, expected 2"):
        GenomeStream.restored(state | {"schema": 0})
