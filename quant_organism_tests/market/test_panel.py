"""The panel: the right numbers in the right cells, nothing from the future, and a hash that is its content."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.errors import InputError, IntegrityError
from quant_organism.market.ingest import ingest
from quant_organism.market.lake import Lake
from quant_organism.market.panel import Panel, build_panel
from quant_organism.market.schema import day_start_ms
from quant_organism_tests.market.frames import HOUR, FrameSource, at, candles, funding

START = date(2024, 1, 1)
ARRAYS = ("open", "high", "low", "close", "volume", "funding_rate", "funding_paid", "valid")
FLOATS = ARRAYS[:-1]


def day(number: int) -> date:
    return START + timedelta(days=number)


def small_panel(**changed: object) -> Panel:
    """Return a panel of four bars and two assets, with a hole."""
    close = np.array([[10.0, 20.0], [11.0, 21.0], [12.0, 22.0], [13.0, 23.0]])
    arrays: dict[str, object] = {
        "symbols": ("A", "B"),
        "interval": HOUR,
        "times": np.arange(4) * 3_600_000,
        "open": close - 0.5,
        "high": close + 1,
        "low": close - 1,
        "close": close,
        "volume": close * 10,
        "funding_rate": close * 1e-6,
        "funding_paid": close * 1e-6,
        "valid": np.array([[1, 1], [1, 0], [1, 1], [1, 1]], dtype=bool),
    }
    return Panel.from_arrays(**arrays | changed)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def source() -> FrameSource:
    """Return twelve days of four assets: one whole, one listed on day 4, one delisted after day 6, one with a gap."""
    bars = candles(["FULL", "LATE", "GONE", "HOLE"], START, 12)
    symbol, stamp = pl.col("symbol"), pl.col("timestamp")
    bars = bars.filter(
        ~((symbol == "LATE") & (stamp < at(day(4), 5))),
        ~((symbol == "GONE") & (stamp >= at(day(7)))),
        ~((symbol == "HOLE") & stamp.is_between(at(day(2), 3), at(day(3), 4))),
    )
    hourly = [at(START, hours) for hours in range(1, 12 * 24 + 1)]
    settlements = [funding("FULL", hourly, np.arange(len(hourly)) * 1e-7), funding("HOLE", hourly[7::8], [8e-5] * 36)]
    return FrameSource(bars, pl.concat(settlements))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, source: FrameSource) -> Lake:
    filled = Lake(tmp_path_factory.mktemp("lake"))
    ingest(source, filled, HOUR, day(0), day(11))
    return filled


def build(lake: Lake, end: date, lookback_days: int | None = None, symbols: list[str] | None = None) -> Panel:
    return build_panel(lake, "frames", HOUR, end, lookback_days, symbols)


def test_every_bar_is_in_its_cell_and_nothing_else_is(lake: Lake, source: FrameSource) -> None:
    panel = build(lake, day(11))
    assert panel.symbols == ("FULL", "GONE", "HOLE", "LATE")
    assert panel.times.tolist() == [day_start_ms(START) + hour * 3_600_000 for hour in range(12 * 24)]
    assert panel.valid.sum() == source.bars.height
    for row in source.bars.iter_rows(named=True):
        bar = (int(row["timestamp"].timestamp() * 1000) - int(panel.times[0])) // 3_600_000
        column = panel.symbols.index(row["symbol"])
        for name in ("open", "high", "low", "close", "volume"):
            assert getattr(panel, name)[bar, column] == row[name]
    for name in ("open", "high", "low", "close", "volume"):
        assert np.array_equal(np.isfinite(getattr(panel, name)), panel.valid)


def test_listing_delisting_and_gaps_are_not_valid(lake: Lake) -> None:
    panel = build(lake, day(11))
    full, gone, hole, late = (panel.valid[:, column] for column in range(4))
    assert full.all()
    assert np.flatnonzero(late)[0] == 4 * 24 + 5
    assert np.flatnonzero(gone)[-1] == 7 * 24 - 1
    assert np.flatnonzero(~hole).tolist() == list(range(2 * 24 + 3, 3 * 24 + 5))


def test_the_arrays_are_contiguous_and_cannot_be_written(lake: Lake) -> None:
    panel = build(lake, day(11))
    for name in ARRAYS:
        array = getattr(panel, name)
        assert array.flags.c_contiguous
        assert not array.flags.writeable
    assert panel.close.dtype == np.float64
    assert panel.times.dtype == np.int64
    assert (panel.n_bars, panel.n_assets) == (288, 4)


def test_funding_lies_on_the_bars_that_pay_it(lake: Lake) -> None:
    panel = build(lake, day(11))
    full, hole, late = (panel.symbols.index(name) for name in ("FULL", "HOLE", "LATE"))
    np.testing.assert_array_equal(panel.funding_paid[:, full], np.arange(288) * 1e-7)
    np.testing.assert_array_equal(panel.funding_rate[1:, full], np.arange(1, 288) * 1e-7)
    assert np.flatnonzero(panel.funding_paid[:, hole]).tolist() == list(range(7, 288, 8))
    np.testing.assert_allclose(panel.funding_rate[15:, hole], 1e-5)
    assert np.isnan(panel.funding_rate[:, late]).all()
    assert (panel.funding_paid[:, late] == 0).all()


def test_a_shorter_lookback_sees_the_same_last_rows(lake: Lake) -> None:
    longer, shorter = build(lake, day(11)), build(lake, day(11), lookback_days=4)
    columns = [longer.symbols.index(symbol) for symbol in shorter.symbols]
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(shorter, name), getattr(longer, name)[8 * 24 :, columns])


def test_assets_without_a_bar_in_the_window_are_left_out(lake: Lake) -> None:
    assert build(lake, day(11), lookback_days=4).symbols == ("FULL", "HOLE", "LATE")
    assert build(lake, day(3)).symbols == ("FULL", "GONE", "HOLE")


@pytest.mark.parametrize("number", [3, 6, 9])
def test_later_days_leave_earlier_rows_as_they_were(
    tmp_path: Path, source: FrameSource, lake: Lake, number: int
) -> None:
    young = Lake(tmp_path)
    ingest(source, young, HOUR, day(0), day(number))
    panel, later = build(young, day(number)), build(lake, day(11))
    assert build(lake, day(number)).hash == panel.hash
    columns = [later.symbols.index(symbol) for symbol in panel.symbols]
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(panel, name), getattr(later, name)[: panel.n_bars, columns])


def test_symbols_are_those_asked_for_in_order(lake: Lake) -> None:
    assert build(lake, day(11), symbols=["LATE", "FULL"]).symbols == ("FULL", "LATE")


def test_a_bar_that_cannot_have_happened_is_a_gap(tmp_path: Path, source: FrameSource) -> None:
    broken = pl.when(pl.col("timestamp") == at(day(1), 2)).then(0.0).otherwise(pl.col("low"))
    lake = Lake(tmp_path)
    ingest(FrameSource(source.bars.with_columns(low=broken)), lake, HOUR, day(0), day(3))
    panel = build(lake, day(3))
    assert not panel.valid[26].any()
    assert panel.valid[:26].all()


def test_the_limit_of_the_lookback_is_kept(lake: Lake) -> None:
    assert build_panel(lake, "frames", HOUR, day(11), None, None, max_lookback_days=5).n_bars == 5 * 24
    with pytest.raises(InputError, match=r"lookback is 6 days\n.*1 to 5"):
        build_panel(lake, "frames", HOUR, day(11), 6, None, max_lookback_days=5)
    with pytest.raises(InputError, match=r"lookback is 731 days\n.*1 to 730"):
        build_panel(lake, "frames", HOUR, day(11), 731, None)


@pytest.mark.parametrize(
    ("end", "lookback_days", "symbols", "what"),
    [
        (day(-1), None, None, r"2023-12-31 is before the first day of the data\n.*from 2024-01-01 to 2024-01-12"),
        (day(12), None, None, r"2024-01-13 is after the last day"),
        (day(11), 13, None, r"lookback of 13 days is longer.*first is 2024-01-01\n.*at most 12 days"),
        (day(11), 0, None, r"lookback is 0 days"),
        (day(11), None, ["FUL"], r"no symbol 'FUL' here\n.*nearest: FULL"),
        (day(11), 2, ["GONE"], r"GONE has no bars from 2024-01-11 to 2024-01-12\n.*2024-01-01 to 2024-01-07"),
        (day(11), None, [], r"list of symbols is empty"),
    ],
)
def test_what_cannot_be_built_says_why_and_what_to_do(
    lake: Lake, end: date, lookback_days: int | None, symbols: list[str] | None, what: str
) -> None:
    with pytest.raises(InputError, match=what):
        build(lake, end, lookback_days, symbols)


def test_a_market_that_is_not_there_says_which_are(lake: Lake) -> None:
    with pytest.raises(InputError, match=r"no candles of market nowhere at 1h\n.*frames"):
        build_panel(lake, "nowhere", HOUR, day(3), None, None)


def test_a_window_without_a_usable_bar_is_refused(tmp_path: Path, source: FrameSource) -> None:
    lake = Lake(tmp_path)
    ingest(FrameSource(source.bars.with_columns(close=pl.lit(-1.0))), lake, HOUR, day(0), day(3))
    with pytest.raises(InputError, match="no usable bar of any symbol"):
        build(lake, day(3))


def test_a_damaged_day_is_named(tmp_path: Path, source: FrameSource) -> None:
    lake = Lake(tmp_path)
    ingest(source, lake, HOUR, day(0), day(3))
    (lake.root / "candles/market=frames/interval=1h/date=2024-01-03/part.parquet").write_bytes(b"PAR1")
    with pytest.raises(IntegrityError, match="date=2024-01-03"):
        build(lake, day(3))


def test_a_window_is_the_rows_without_a_copy() -> None:
    panel = small_panel()
    window = panel.window(1, 3)
    assert window.close.base is not None
    assert window.times.tolist() == panel.times[1:3].tolist()
    np.testing.assert_array_equal(window.close, panel.close[1:3])
    assert window.hash != panel.hash
    assert panel.window(0, 4).hash == panel.hash


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (2, 2), (3, 1), (0, 5)])
def test_no_window_outside_the_panel(start: int, stop: int) -> None:
    with pytest.raises(InputError, match="no window"):
        small_panel().window(start, stop)


@given(
    name=st.sampled_from(FLOATS), bar=st.sampled_from([0, 2, 3]), asset=st.integers(0, 1), tiny=st.floats(1e-9, 1e-3)
)
def test_any_change_of_content_changes_the_hash(name: str, bar: int, asset: int, tiny: float) -> None:
    panel = small_panel()
    changed = np.array(getattr(panel, name))
    changed[bar, asset] += tiny
    assert small_panel(**{name: changed}).hash != panel.hash
    changed[bar, asset] = getattr(panel, name)[bar, asset]
    assert small_panel(**{name: changed}).hash == panel.hash


def test_names_times_and_validity_are_content() -> None:
    panel = small_panel()
    others = [
        small_panel(symbols=("A", "C")),
        small_panel(symbols=("B", "A")),
        small_panel(times=np.arange(1, 5) * 3_600_000),
        small_panel(valid=np.ones((4, 2), dtype=bool)),
    ]
    assert len({panel.hash, *[other.hash for other in others]}) == 5


def test_how_the_content_came_is_not_content() -> None:
    panel = small_panel()
    fortran = small_panel(close=np.asfortranarray(panel.close), open=np.array(panel.open).tolist())
    hidden = np.array(panel.close)
    hidden[1, 1] = 99.0  # not valid there
    assert fortran.hash == small_panel(close=hidden).hash == small_panel(market="other").hash == panel.hash
    zero, negative_zero = np.zeros((4, 2)), np.full((4, 2), -0.0)
    assert small_panel(funding_paid=zero).hash == small_panel(funding_paid=negative_zero).hash


def test_funding_and_validity_may_be_left_out() -> None:
    panel = small_panel(funding_rate=None, funding_paid=None, valid=None)
    assert panel.valid.all()
    assert np.isnan(panel.funding_rate).all()
    assert (panel.funding_paid == 0).all()


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"times": np.array([0, 1, 2, 4]) * 3_600_000}, "not one 1h apart"),
        ({"times": np.arange(4) * 3_600_000 + 60_000}, "do not open at 1970-01-01 00:01"),
        ({"times": np.array([], dtype=np.int64)}, "at least one bar"),
        ({"symbols": ("A", "A")}, "each once"),
        ({"symbols": ()}, "at least one symbol"),
        ({"close": np.ones((4, 3))}, r"close has shape \(4, 3\), expected \(4, 2\)"),
        ({"valid": np.ones((4, 3), dtype=bool)}, r"valid has shape"),
        ({"low": np.full((4, 2), 50.0)}, "A at 1970-01-01 00:00 UTC: not a possible bar: open 9.5"),
        ({"high": np.full((4, 2), np.inf)}, "not a possible bar"),
        ({"funding_paid": np.full((4, 2), np.nan)}, "funding_paid must be finite"),
    ],
)
def test_arrays_that_make_no_market_are_refused(changed: dict[str, object], what: str) -> None:
    with pytest.raises(InputError, match=what):
        small_panel(**changed)


@pytest.mark.slow
def test_the_real_perpetuals_make_a_panel(shared_market: Path, tmp_path: Path) -> None:
    from quant_organism.market.files import FileSource

    source, lake = FileSource(shared_market / "hl_perp_1h"), Lake(tmp_path)
    ingest(source, lake, HOUR, *source.span(HOUR))
    panel = build_panel(lake, source.market, HOUR, date(2025, 5, 31), None, None)
    assert (panel.n_bars, panel.n_assets) == (270 * 24, 38)
    usual = panel.valid.sum(axis=0)
    assert usual[panel.symbols.index("BTC")] == 6469
    assert usual.min() < 6469  # listed or delisted inside
    paid_a_year = np.nansum(panel.funding_paid, axis=0) / 270 * 365
    assert 0.0 < paid_a_year[panel.symbols.index("BTC")] < 0.5
    np.testing.assert_allclose(
        np.nansum(panel.funding_rate[48:, 2]), panel.funding_paid[48:, 2].sum(), rtol=0.01
    )  # hourly settlements: the rate in force, summed, is what is paid
