"""A funding feed that stops: seen in quality, panel and account, where no position is free because nobody knows."""

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from quant_organism.backtest.account import FillModel
from quant_organism.backtest.account.window import AccountMarket
from quant_organism.market.funding import UNKNOWN_FUNDING
from quant_organism.market.ingest import ingest
from quant_organism.market.lake import Lake
from quant_organism.market.manifest import assess_candles, describe_panel
from quant_organism.market.panel import build_panel
from quant_organism.market.quality import assess, summarise
from quant_organism_tests.market.frames import HOUR, FrameSource, at, candles, funding

START, END = date(2024, 3, 1), date(2024, 3, 4)
STOPS = 40  # hours after the start at which the last settlement of A is stamped


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A market of A, whose funding stops, B, whose funding is whole, and C, which has none."""
    hours = {"A": range(-2, STOPS + 1), "B": range(-2, 97)}
    settled = pl.concat([funding(name, [at(START, n) for n in of], [1e-4] * len(of)) for name, of in hours.items()])
    # The first day has the settlements before it, as a lake has that was filled earlier.
    source = FrameSource(candles(["A", "B", "C"], date(2024, 2, 28), 6), settled)
    lake: Path = tmp_path_factory.mktemp("funding")
    ingest(source, Lake(lake), HOUR, date(2024, 2, 28), END)
    return Lake(lake)


def test_coverage_is_told_by_day_symbol_and_panel(lake: Lake) -> None:
    assessment = assess_candles(lake, market="frames", interval=HOUR, start=START, end=END)
    shares = dict(assessment.filter(symbol="A").select("day", "funding").iter_rows())
    assert list(shares.values()) == [1.0, (STOPS + 2 - 24) / 24, 0.0, 0.0]
    assert set(assessment.filter(symbol="B")["funding"]) == {1.0}
    assert set(assessment["score"]) == {1.0}
    panel = build_panel(lake, "frames", HOUR, END, 4, None)
    manifest = describe_panel(panel, assessment)
    assert manifest["funding"].to_list() == [(STOPS + 2) / 96, 1.0, 0.0]

    summary = summarise(assessment)
    assert summary.blocking_reasons() == []
    none, partly = summary.funding_gaps()
    assert none.startswith("No funding of C is known")
    assert partly.startswith("Funding of A is known on 43.75% of its bars")
    assert summary.blocking_reasons(require_funding=True) == [none, partly]
    assert [symbol.funding for symbol in summary.symbols if symbol.of == "B"] == [1.0]


def test_no_position_is_free_where_funding_is_unknown(lake: Lake) -> None:
    panel = build_panel(lake, "frames", HOUR, END, 4, None)
    assert np.isfinite(panel.funding_rate[: STOPS + 2, 0]).all()
    assert np.isnan(panel.funding_rate[STOPS + 2 :, 0]).all()
    market = AccountMarket.of(panel, FillModel(max_participation=None))
    unknown = {0: slice(STOPS + 2, None), 2: slice(None)}
    for asset, bars in unknown.items():
        np.testing.assert_array_equal(market.funding_long[bars, asset], UNKNOWN_FUNDING)
        np.testing.assert_array_equal(market.funding_short[bars, asset], -UNKNOWN_FUNDING)
    np.testing.assert_array_equal(market.funding_long[:, 1], 1e-4)


def test_a_market_without_funding_says_nothing_of_it_where_it_was_not_looked_at() -> None:
    bars = candles(["A"], START, 1)

    summary = summarise(assess(bars, HOUR))
    assert summary.overall.funding is None
    assert summary.funding_gaps() == []
