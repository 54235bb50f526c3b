"""Books of cross-sectional genomes: against plain Python, and where they meet populations of other genomes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.backtest.cross_section.book import (
    BOUGHT,
    FEE,
    GAIN,
    HELD,
    MARK,
    PENDING,
    BookFriction,
    decide_book,
    new_book,
    trade_book_bar,
)
from quant_organism.errors import InputError
from quant_organism.market import Panel
from quant_organism.strategies import Genome, default_genome, ranking_family_names
from quant_organism_tests.backtest.cross_section.reference import Book
from quant_organism_tests.backtest.cross_section.test_stream import shuffled, sound
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.strategies.cross_section.test_decisions import market

FAMILIES = ranking_family_names()


def check(genome: Genome, panel: Panel, costs: Costs, start: int, delay: int = 0) -> None:
    """Hold the evaluator to plain Python."""
    expected = Book(genome, panel, costs, start, delay).run()
    evaluator = Evaluator(threads=1)
    found = evaluator.evaluate([genome], panel, costs, start=start, bar_returns=True, delay_bars=delay)
    assert found.bar_returns is not None
    assert found.bar_returns[0] == pytest.approx(expected.returns, abs=1e-10)
    assert np.count_nonzero(expected.returns) > 50
    if delay:
        return
    trades = evaluator.trades(genome, panel, costs, start=start).frame
    wanted = sorted(expected.trades, key=lambda trade: (trade["symbol"], trade["exit"]))
    rows = trades.sort("symbol", "exit_time").to_dicts()
    assert [(row["symbol"], row["side"], row["reason"]) for row in rows] == [
        (trade["symbol"], "long" if trade["side"] > 0 else "short", trade["reason"]) for trade in wanted
    ]
    for row, trade in zip(rows, wanted, strict=True):
        assert row["entry_time"].timestamp() * 1000 == panel.times[trade["entry"]]
        assert row["exit_time"].timestamp() * 1000 == panel.times[trade["exit"]]
        quantity = sum(amount for amount, _ in trade["in"])
        entry = sum(amount * price for amount, price in trade["in"]) / quantity
        left = sum(amount * price for amount, price in trade["out"]) / sum(amount for amount, _ in trade["out"])
        earned = trade["side"] * quantity * (left - entry) - trade["fees"] - trade["funding"]
        assert [row[key] for key in ("quantity", "entry_price", "exit_price", "fees", "funding")] == pytest.approx(
            [quantity, entry, left, trade["fees"], trade["funding"]], rel=1e-9, abs=1e-15
        )
        assert [row["pnl"], row["return"]] == pytest.approx([earned, earned / trade["equity"]], rel=1e-6, abs=1e-12)
    closed = [trade for trade in wanted if trade["reason"] != "open"]
    assert found.metrics["trades"][0] == len(closed)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_book_is_that_of_plain_python(name: str) -> None:
    check(sound(name, 3), market(5), Costs(), 190)


def test_with_little_volume_and_without_funding() -> None:
    costs = Costs(max_participation=0.05, impact_bps=20.0, charge_funding=False, capital_usd=1e6)
    panel = market(6)
    # So little of some assets that orders take several bars.
    traded = np.where(np.arange(panel.n_assets) % 3 == 0, 1e6, 1e9) * (panel.volume > 0.0)
    check(sound("xs_momentum", 4), replace(panel, volume=traded / panel.close), costs, 0)


def test_late_orders_are_those_of_decisions_some_bars_ago() -> None:
    check(sound("xs_reversal", 5), market(7), Costs(), 200, delay=2)


def test_what_has_gone_is_sold_at_its_last_close_once_a_day_has_passed() -> None:
    panel = random_panel(9, bars=420, assets=10, interval="4h", holes=False)
    valid = panel.valid.copy()
    valid[330:, :3], valid[300:310, 3] = False, False
    panel = replace(panel, valid=valid)
    genome = sound("xs_low_risk", 8)
    check(genome, panel, Costs(), 0)
    reasons = Evaluator(threads=1).trades(genome, panel, Costs()).frame["reason"].to_list()
    assert "delisted" in reasons


def test_drift_is_traded_back_beyond_the_band_alone() -> None:
    # Half long A, half short B; A rises by a tenth and B falls by one.
    friction = BookFriction(0.00045, 0.0005, np.inf, 0.0, 24)
    free = BookFriction(0.0, 0.0, np.inf, 0.0, 24)
    weights, ones, valid, none = np.array([0.5, -0.5]), np.ones(2), np.ones(2, dtype=np.bool_), np.zeros(2)
    trades = np.empty((9, 13))
    for band, sold in ((0.0, 0.1), (0.3, 0.0)):
        book = new_book(2)
        book[:, MARK] = 1.0
        decide_book(1.0, weights, band, book)
        close = np.array([1.1, 0.9])
        equity, _ = trade_book_bar(0, ones, close, ones, none, valid, False, 1.0, free, book, trades, 0)
        assert equity == pytest.approx(1.1)
        assert (book[:, HELD] * book[:, MARK] / equity).tolist() == pytest.approx([0.5, -0.40909], abs=1e-5)
        decide_book(equity, weights, band, book)
        after, _ = trade_book_bar(1, close, close, ones, none, valid, False, equity, friction, book, trades, 0)
        assert -book[1, BOUGHT] * 0.9 == pytest.approx(sold)
        assert book[0, BOUGHT] == pytest.approx(0.0)
        assert equity - after == pytest.approx(0.00095 * sold, rel=1e-3)
        assert book[1, FEE] == pytest.approx(0.00045 * sold, rel=1e-3)


def test_a_book_that_loses_everything_ends_with_nothing() -> None:
    friction, book, trades = BookFriction(0.0, 0.0, np.inf, 0.0, 24), new_book(2), np.empty((9, 13))
    ones, valid, none = np.ones(2), np.ones(2, dtype=np.bool_), np.zeros(2)
    book[:, MARK] = 1.0
    decide_book(1.0, np.array([0.5, -0.5]), 0.0, book)
    close = np.array([0.5, 4.0])
    equity, count = trade_book_bar(0, ones, close, ones, none, valid, False, 1.0, friction, book, trades, 0)
    assert (equity, count) == (0.0, 2)
    assert book[:, GAIN].sum() == pytest.approx(-1.0)
    assert not book[:, HELD].any()
    decide_book(equity, np.array([0.5, -0.5]), 0.0, book)
    assert not book[:, PENDING].any()


def test_in_company_and_on_any_threads_a_genome_has_the_same_bits() -> None:
    panel = market(2, bars=300)
    genomes = [sound(name, 11) for name in FAMILIES]
    mixed = [default_genome("ema_crossover"), *genomes, default_genome("rsi_filter")]
    together = Evaluator(threads=2).evaluate(mixed, panel, Costs(), bar_returns=True, asset_daily_returns=True)
    alone = [
        Evaluator(threads=1).evaluate([g], panel, Costs(), bar_returns=True, asset_daily_returns=True) for g in mixed
    ]
    assert together.bar_returns is not None
    assert together.asset_daily_returns is not None
    for place, own in enumerate(alone):
        assert own.bar_returns is not None
        assert own.asset_daily_returns is not None
        assert np.array_equal(own.bar_returns[0], together.bar_returns[place])
        assert np.array_equal(own.asset_daily_returns[0], together.asset_daily_returns[place])
        assert own.behaviour[0] == together.behaviour[place]
        for name, values in together.metrics.items():
            assert np.array_equal(values[[place]], own.metrics[name], equal_nan=True), name
    shape = (len(mixed), panel.n_assets)
    assert together.asset_metrics["trades"].shape == shape
    # A part of a book is no strategy of its own.
    assert np.isnan(together.asset_metrics["sharpe"][1:-1]).all()
    assert np.isfinite(together.asset_metrics["sharpe"][[0, -1]]).any()


def test_the_order_of_assets_changes_no_bit_of_a_book() -> None:
    panel, genome = market(4, bars=300), sound("xs_volume_shock", 2)
    moved = shuffled(panel)
    found = [Evaluator(threads=1).evaluate([genome], p, Costs(), bar_returns=True) for p in (panel, moved)]
    assert found[0].bar_returns is not None
    assert found[1].bar_returns is not None
    assert np.array_equal(found[0].bar_returns, found[1].bar_returns)
    assert found[0].behaviour[0] == found[1].behaviour[0]


def test_a_genome_that_ranks_all_assets_cannot_be_restricted_to_some() -> None:
    panel = market(1, bars=200)
    with pytest.raises(InputError, match="cannot be restricted to"):
        Evaluator().evaluate([default_genome("xs_momentum")], panel, Costs(), assets=[panel.symbols[:1]])
