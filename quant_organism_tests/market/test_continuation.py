"""A simulated market goes on after its last day as if it had been drawn longer, and its own days stay as they were."""

import numpy as np
import polars as pl

from quant_organism.market.lake import Lake
from quant_organism.market.panel import build_panel
from quant_organism.market.schema import Interval
from quant_organism.market.tables import CandleTable, FundingTable, SentimentTable
from quant_organism.market.world import WorldSource, load_world
from quant_organism.market.world.continuation import continued
from quant_organism_tests.tiny import FIRST, LAST, write_world

HOUR = Interval.parse("1h")


def test_its_own_days_are_those_that_a_cycle_sees(tmp_path):
    source = WorldSource(load_world(str(write_world(tmp_path))))
    lake, symbols = Lake(tmp_path / "lake"), source.symbols()
    for day in pl.date_range(FIRST, LAST, eager=True):
        lake.table(CandleTable).write(
            source.candles(symbols, HOUR, day, day), market=source.market, interval="1h", day=day
        )
        lake.table(FundingTable).write(source.funding(symbols, day, day), market=source.market, day=day)
        lake.table(SentimentTable).write(source.sentiment(day, day), market=source.market, day=day)
    seen = build_panel(lake, source.market, HOUR, LAST, None, None)
    more = continued(source, seen.symbols, days=10)
    assert more.start == seen.n_bars
    assert more.panel.n_bars == seen.n_bars + 240
    for name in ("times", "open", "high", "low", "close", "volume", "valid"):
        np.testing.assert_array_equal(getattr(more.panel, name)[: more.start], getattr(seen, name), err_msg=name)
    # What is stamped at the midnight after the last bar, the cycle of that day does not know yet.
    known = slice(0, more.start - 1)
    for name in ("funding_rate", "funding_paid", "fear_greed"):
        np.testing.assert_array_equal(getattr(more.panel, name)[known], getattr(seen, name)[known], err_msg=name)
    assert np.isfinite(more.panel.close[more.start :]).all()


def test_columns_are_the_symbols_that_are_asked_for(tmp_path):
    source = WorldSource(load_world(str(write_world(tmp_path))))
    first, last = source.symbols()[0], source.symbols()[-1]
    panel = continued(source, (last, first), days=1).panel
    np.testing.assert_array_equal(panel.close, continued(source, (first, last), days=1).panel.close[:, ::-1])
