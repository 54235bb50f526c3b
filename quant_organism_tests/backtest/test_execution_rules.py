"""Each rule of docs/execution.md on a case worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from quant_organism.backtest import Costs, kernel, layout
from quant_organism.backtest.sleeves import EvaluationWindow
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.strategies import IndicatorStore
from quant_organism.strategies.targets import Targets
from quant_organism_tests.backtest.markets import MONDAY_MS

FREE = Costs(taker_fee=0.0, maker_fee=0.0, slippage_bps=0.0, charge_funding=False)
WIDE = {
    "stop_loss": 0.15,
    "take_profit": 0.30,
    "trailing_stop": 0.0,
    "position_size": 0.1,
    "max_holding_bars": 336,
    "max_drawdown": 2.0,
    "position_size_limit": 0.15,
    "liquidity_weight": 0.4,
    "calm_weight": 0.3,
    "momentum_weight": 0.3,
    "volatility_threshold": 3.0,
    "fear_greed_sensitivity": 0.3,
}

Bar = tuple[float, float, float, float]


@dataclass
class Walk:
    """Trades and equity of one sleeve."""

    trades: list[dict[str, float | str]]
    equity: list[float]
    totals: np.ndarray

    @property
    def exits(self) -> list[tuple[float, float, str]]:
        """Bar, price and reason of every exit."""
        return [(trade["exit_bar"], trade["exit_price"], trade["reason"]) for trade in self.trades]


def market(bars: Sequence[Bar | None], funding: Sequence[float] | None = None) -> Panel:
    """Return a panel of one asset from (open, high, low, close) bars; None is a missing bar."""
    table = np.array([bar or (np.nan,) * 4 for bar in bars])
    columns = {name: table[:, [k]] for k, name in enumerate(("open", "high", "low", "close"))}
    return Panel.from_arrays(
        symbols=["X"],
        interval=Interval.parse("1h"),
        times=MONDAY_MS + 3_600_000 * np.arange(len(bars)),
        volume=np.ones((len(bars), 1)),
        funding_paid=np.zeros((len(bars), 1)) if funding is None else np.array(funding)[:, None],
        **columns,
    )


def walk(
    target: Sequence[float],
    bars: Sequence[Bar | None],
    *,
    costs: Costs = FREE,
    funding: Sequence[float] | None = None,
    start: int = 0,
    stops_from_next_bar: bool = False,
    **risk: float,
) -> Walk:
    """Trade a target, given for every valid bar, on a market of one asset."""
    panel = market(bars, funding)
    sleeve = EvaluationWindow(panel, costs, start, panel.n_bars, IndicatorStore(0), stops_from_next_bar).sleeve(0)
    changes = [t for t in range(len(target)) if target[t] != (target[t - 1] if t else 0.0)]
    targets = Targets.empty(1, len(target), conviction=True)
    targets.counts[0] = len(changes)
    targets.bars[0, : len(changes)] = changes
    targets.sides[0, : len(changes)] = [np.sign(target[t]) for t in changes]
    targets.convictions[0, : len(changes)] = [abs(target[t]) for t in changes]
    genes = WIDE | risk
    record = np.empty((len(target), layout.N_TRADE_COLUMNS))
    totals, gains = np.empty(layout.N_TOTALS), np.zeros(sleeve.n_bars)
    count = kernel.simulate_sleeve(
        targets,
        0,
        sleeve.bars._replace(origin=sleeve.bars.first),
        layout.Risk(*(np.array([genes[name]]) for name in layout.Risk._fields)),
        sleeve.friction,
        totals,
        gains,
        np.zeros(sleeve.n_bars, dtype=bool),
        record,
    )
    names = [
        "entry_bar",
        "exit_bar",
        "side",
        "quantity",
        "entry_price",
        "exit_price",
        "fees",
        "funding",
        "pnl",
        "return",
        "reason",
    ]
    trades = [dict(zip(names, row, strict=True)) for row in record[:count].tolist()]
    for trade in trades:
        trade["reason"] = layout.REASONS[int(trade["reason"])]
    return Walk(trades, np.cumprod(1 + gains).tolist(), totals)


def flat(*prices: float) -> list[Bar]:
    """Return bars that stand still at the given prices."""
    return [(price, price, price, price) for price in prices]


def test_a_decision_is_filled_at_the_next_open_and_slips_against_the_order() -> None:
    costs = Costs(taker_fee=0.001, maker_fee=0.001, slippage_bps=100, charge_funding=False)
    bars = [(100, 100, 100, 100), (99, 101, 99, 101), (102, 103, 101, 103), (104, 104, 104, 104), (110, 110, 110, 110)]
    result = walk([0, 1, 1, 0, 0], bars, costs=costs)
    (trade,) = result.trades
    assert (trade["entry_bar"], trade["exit_bar"], trade["reason"]) == (2, 4, "signal")
    assert trade["entry_price"] == pytest.approx(102 * 1.01)
    assert trade["exit_price"] == pytest.approx(110 * 0.99)
    assert trade["quantity"] == pytest.approx(0.1 / (102 * 1.01))
    sold = trade["quantity"] * 110 * 0.99
    assert trade["fees"] == pytest.approx(0.001 * (0.1 + sold))
    assert trade["pnl"] == pytest.approx(sold - 0.1 - trade["fees"])
    marked = 1 - 0.1 - 0.0001 + trade["quantity"] * 103
    assert result.equity == pytest.approx([1, 1, marked, marked + trade["quantity"], 1 + trade["pnl"]])


def test_a_short_sells_lower_and_buys_back_higher() -> None:
    costs = Costs(taker_fee=0.0, maker_fee=0.0, slippage_bps=100, charge_funding=False)
    (trade,) = walk([-1, -1, 0, 0], flat(100, 100, 100, 90), costs=costs).trades
    assert trade["side"] == -1
    assert (trade["entry_price"], trade["exit_price"]) == pytest.approx((99, 90.9))
    assert trade["pnl"] == pytest.approx(0.1 * (1 - 90.9 / 99))


def test_a_reversal_closes_and_opens_at_one_open_on_the_equity_in_between() -> None:
    first, second = walk([1, -1, -1, 0, 0], flat(100, 100, 110, 110, 99)).trades
    assert (first["exit_bar"], first["exit_price"]) == (2, 110)
    assert (second["entry_bar"], second["side"], second["entry_price"]) == (2, -1, 110)
    assert second["quantity"] == pytest.approx(0.1 * 1.01 / 110)


def test_size_follows_the_conviction_at_entry_and_stays() -> None:
    (trade,) = walk([0.5, 0.5, 1.0, 0.2, 0, 0], flat(100, 100, 100, 100, 100, 100)).trades
    assert trade["quantity"] == pytest.approx(0.05 / 100)
    assert (trade["entry_bar"], trade["exit_bar"]) == (1, 5)


def test_a_stop_fills_at_its_level_and_slips_but_a_target_does_not() -> None:
    costs = Costs(taker_fee=0.0, maker_fee=0.0, slippage_bps=100, charge_funding=False)
    bars = [*flat(100, 100), (100, 100, 90, 96), *flat(96)]
    assert walk([1] * 4, bars, costs=costs, stop_loss=0.05).exits == [
        (2, pytest.approx(101 * 0.95 * 0.99), "stop_loss")
    ]
    bars = [*flat(100, 100), (100, 120, 100, 105), *flat(105)]
    assert walk([1] * 4, bars, costs=costs, take_profit=0.1).exits == [(2, pytest.approx(101 * 1.1), "take_profit")]


@pytest.mark.parametrize(
    ("side", "bar", "expected"),
    [
        (1, (93, 94, 92, 94), (2, 93, "stop_loss")),
        (1, (113, 115, 112, 113), (2, 113, "take_profit")),
        (-1, (107, 108, 106, 106), (2, 107, "stop_loss")),
        (-1, (88, 89, 87, 88), (2, 88, "take_profit")),
    ],
)
def test_a_bar_that_opens_beyond_a_level_fills_at_its_open(side: int, bar: Bar, expected: object) -> None:
    result = walk([side] * 4, [*flat(100, 100), bar, *flat(bar[3])], stop_loss=0.05, take_profit=0.1)
    assert result.exits == [expected]


@pytest.mark.parametrize(("side", "price"), [(1, 95.0), (-1, 105.0)])
def test_a_bar_that_reaches_both_levels_is_stopped(side: int, price: float) -> None:
    bars = [*flat(100, 100), (100, 120, 80, 100), *flat(100)]
    assert walk([side] * 4, bars, stop_loss=0.05, take_profit=0.1).exits == [(2, price, "stop_loss")]


def test_levels_are_active_in_the_entry_bar() -> None:
    bars = [*flat(100), (100, 100, 94, 97), *flat(97, 97)]
    assert walk([1] * 4, bars, stop_loss=0.05).exits == [(1, 95, "stop_loss")]


def test_the_trailing_stop_knows_the_extremes_of_earlier_bars_only() -> None:
    # Bar 2 reaches 110 and 104, which is less than 110 x 0.95: its own high does not count. Bar 3 reaches 110 x 0.95.
    bars = [*flat(100, 100), (105, 110, 104, 106), (106, 106, 104, 105), *flat(105)]
    assert walk([1] * 5, bars, trailing_stop=0.05).exits == [(3, pytest.approx(104.5), "trailing_stop")]
    mirrored = [*flat(100, 100), (95, 96, 90, 94), (94, 96, 94, 95), *flat(95)]
    assert walk([-1] * 5, mirrored, trailing_stop=0.05).exits == [(3, pytest.approx(94.5), "trailing_stop")]


def test_the_nearer_of_fixed_and_trailing_stop_counts() -> None:
    bars = [*flat(100, 100), (100, 101, 96, 97), *flat(97)]
    assert walk([1] * 4, bars, stop_loss=0.03, trailing_stop=0.05).exits == [(2, 97, "stop_loss")]


@pytest.mark.parametrize("length", [7, 8, 9, 16, 40])
def test_levels_far_ahead_are_found_on_the_right_bar(length: int) -> None:
    rising = [(100 + t, 100.5 + t, 99.5 + t, 100 + t) for t in range(length)]
    bars = [*flat(100), *rising, (100 + length, 100 + length, 80, 90), *flat(90)]
    expected = (length + 1, pytest.approx((99.5 + length) * 0.95), "trailing_stop")
    assert walk([1] * len(bars), bars, trailing_stop=0.05, take_profit=9.0).exits == [expected]


def test_a_position_is_closed_at_the_open_after_its_maximum_holding() -> None:
    result = walk([1] * 8, flat(*range(100, 108)), max_holding_bars=4)
    assert result.exits == [(5, 105, "max_holding")]


def test_holding_time_passes_in_gaps() -> None:
    bars = [*flat(100, 101), None, None, *flat(104, 105, 106)]
    assert walk([1] * 5, bars, max_holding_bars=4).exits == [(3, 105, "max_holding")]
    assert walk([1] * 5, bars, max_holding_bars=2).exits == [(2, 104, "max_holding")]


def test_after_a_risk_exit_the_direction_waits_for_another_target() -> None:
    bars = [*flat(100), (100, 100, 94, 97), *flat(97, 97, 97, 97, 97)]
    assert len(walk([1, 1, 1, 1, 1, 1, 1], bars, stop_loss=0.05).trades) == 1
    assert [t["entry_bar"] for t in walk([1, 1, 0, 1, 1, 1, 1], bars, stop_loss=0.05).trades] == [1, 4]
    assert [t["side"] for t in walk([1, 1, -1, 1, 1, 1, 1], bars, stop_loss=0.05).trades] == [1, -1, 1]


def test_funding_is_paid_by_longs_and_received_by_shorts_on_the_close() -> None:
    costs = Costs(taker_fee=0.0, maker_fee=0.0, slippage_bps=0.0)
    rates = [0.5, 0.01, 0.02, 0.5, 0.5]
    prices = flat(100, 100, 110, 120, 120)
    (long,) = walk([1, 1, 0, 0, 0], prices, costs=costs, funding=rates).trades
    # Entered at the open of bar 1, left at the open of bar 3: bars 1 and 2 are held through.
    paid = 0.001 * (100 * 0.01 + 110 * 0.02)
    assert long["funding"] == pytest.approx(paid)
    assert long["pnl"] == pytest.approx(0.02 - paid)
    (short,) = walk([-1, -1, 0, 0, 0], prices, costs=costs, funding=rates).trades
    assert short["funding"] == pytest.approx(-paid)
    assert walk([1, 1, 0, 0, 0], prices, funding=rates).trades[0]["funding"] == 0.0


def test_a_bar_that_stops_the_position_charges_no_funding() -> None:
    costs = Costs(taker_fee=0.0, maker_fee=0.0, slippage_bps=0.0)
    bars = [*flat(100, 100), (100, 100, 90, 96), *flat(96)]
    (trade,) = walk([1] * 4, bars, costs=costs, funding=[0, 0.01, 0.9, 0.9], stop_loss=0.05).trades
    assert trade["funding"] == pytest.approx(0.001 * 100 * 0.01)


def test_an_open_position_is_marked_and_counted_apart() -> None:
    result = walk([1, 1, 1], flat(100, 100, 110))
    assert result.exits == [(2, 110, "open")]
    assert result.totals[layout.TRADES] == 0
    assert result.equity[-1] == pytest.approx(1.01)


def test_a_delisted_position_is_closed_at_the_last_price() -> None:
    costs = Costs(taker_fee=0.001, maker_fee=0.001, slippage_bps=100, charge_funding=False)
    result = walk([1, 1, 1], [*flat(100, 100, 110), None, None], costs=costs)
    assert result.exits == [(2, pytest.approx(110 * 0.99), "delisted")]
    assert result.totals[layout.TRADES] == 1
    assert result.equity[-1] == pytest.approx(1 + result.trades[0]["pnl"])


def test_turnover_sums_what_is_traded_over_equity() -> None:
    # Held through the closes: 0, 1, 1, -1, 0, 0.5 times a tenth of the equity.
    result = walk([1, 1, -1, 0, 0.5, 0.5], flat(*[100] * 6))
    assert result.totals[layout.TURNOVER] == pytest.approx(0.45)


def test_trading_starts_flat_in_the_window_with_the_target_of_the_bar_before() -> None:
    (trade,) = walk([1, 1, 1, 0, 0], flat(100, 101, 102, 103, 104), start=2).trades
    assert (trade["entry_bar"], trade["entry_price"]) == (2, 102)


def test_a_sleeve_without_equity_is_ruined_for_good() -> None:
    # Sold at 100 with 0.15 of the equity; the stop at 115 fills at the open of 1000, where the loss is 1.35.
    result = walk([-1, -1, -1, 1, 1, 1], [*flat(100, 100, 1000, 100, 100, 100)], position_size=0.15)
    assert [(exit_bar, reason) for exit_bar, _, reason in result.exits] == [(2, "ruined")]
    assert result.trades[0]["return"] == -1
    assert result.equity[2:] == [0, 0, 0, 0]
    assert result.totals[layout.DEEPEST] == 0


def test_a_close_without_equity_ruins_where_stops_wait() -> None:
    bars = [*flat(100), (100, 1000, 100, 1000), *flat(100, 100, 100)]
    result = walk([-1, -1, 1, 1, 1], bars, position_size=0.15, stops_from_next_bar=True)
    assert result.exits == [(1, 1000, "ruined")]
    assert result.equity == [1, 0, 0, 0, 0]


def test_in_comparison_mode_stops_wait_a_bar_and_pre_empt_the_order_of_theirs() -> None:
    bars = [*flat(100), (100, 100, 90, 97), (97, 97, 90, 97), *flat(97, 97, 97)]
    target = [1, -1, -1, -1, 0, 0]
    # By default the entry bar stops the long at 95, and the reversal is entered at the next open.
    usual = walk(target, bars, stop_loss=0.05)
    assert [(t["side"], t["entry_bar"], t["exit_bar"]) for t in usual.trades] == [(1, 1, 1), (-1, 2, 5)]
    # There the stop is found on bar 2, at 95, and the reversal of that bar is lost.
    waiting = walk(target, bars, stop_loss=0.05, stops_from_next_bar=True)
    assert waiting.exits == [(2, 95, "stop_loss")]
