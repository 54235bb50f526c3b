"""Regimes: told without what follows, slow to change, and the same day by day as all at once."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.market.ingest import ingest
from quant_organism.market.lake import Lake
from quant_organism.market.regimes import (
    LEAST_DAYS,
    MODULES,
    WINDOW_DAYS,
    DailyMarket,
    RegimeModule,
    StoredRegimes,
    daily_market,
    regime_frame,
    store_regimes,
)
from quant_organism.market.schema import Interval
from quant_organism.market.tables import RegimeTable, SentimentTable
from quant_organism_tests.market.frames import FrameSource, at, candles

START, DAYS = date(2023, 1, 1), 160
SYMBOLS = ("BTC", "ETH", "SOL")
DAILY = Interval.parse("1d")
BY_NAME = {module.name: module for module in MODULES}


def market(seed: int = 0, days: int = DAYS) -> DailyMarket:
    """Return a market of random days, more turbulent in its second half, with an index of mood."""
    rng = np.random.default_rng(seed)
    size = np.where(np.arange(days) < days // 2, 0.01, 0.03)[:, None]
    returns = size * (0.5 * rng.standard_normal((days, 1)) + rng.standard_normal((days, 3)))
    return DailyMarket(
        [START + timedelta(days=n) for n in range(days)],
        SYMBOLS,
        returns,
        rng.lognormal(size=(days, 3)),
        rng.uniform(0, 100, days),
    )


def cut(whole: DailyMarket, days: int) -> DailyMarket:
    """Return the first days of a market."""
    arrays = {name: getattr(whole, name)[:days] for name in ("days", "returns", "traded", "mood")}
    return replace(whole, **arrays)


@pytest.mark.parametrize("days", [WINDOW_DAYS, LEAST_DAYS + WINDOW_DAYS + 3, 120, DAYS - 1])
def test_no_day_is_told_by_what_follows_it(days: int) -> None:
    whole, early = regime_frame(market()), regime_frame(cut(market(), days))
    assert early.equals(whole.filter(pl.col("date") < START + timedelta(days=days)))


def test_every_factor_is_told_and_each_stands_alone() -> None:
    told = regime_frame(market())
    assert set(told[RegimeTable.module]) == set(BY_NAME)
    for module in MODULES:
        own = told.filter(pl.col(RegimeTable.module) == module.name)
        assert own.equals(regime_frame(market(), [module]))


def test_numbers_are_those_of_the_textbook() -> None:
    known = market()
    day, mean = DAYS - 1, known.returns.mean(axis=1)
    deviations = [mean[n - WINDOW_DAYS + 1 : n + 1].std() for n in range(WINDOW_DAYS - 1, DAYS)]
    assert BY_NAME["volatility"].measure(known)[day] == pytest.approx(deviations[-1] / np.median(deviations[:-1]))
    matrices = [np.corrcoef(known.returns[n - WINDOW_DAYS + 1 : n + 1].T) for n in range(WINDOW_DAYS, DAYS)]
    pairs = [matrix[np.triu_indices(3, 1)].mean() for matrix in matrices]
    assert BY_NAME["correlation"].measure(known)[day] == pytest.approx(pairs[-1] - np.median(pairs[:-1]))
    own = known.traded[day - WINDOW_DAYS + 1 :]
    shares = [
        known.traded[n - WINDOW_DAYS + 1 : n + 1, 0].sum() / known.traded[n - WINDOW_DAYS + 1 : n + 1].sum()
        for n in range(WINDOW_DAYS - 1, DAYS)
    ]
    assert shares[-1] == pytest.approx(own[:, 0].sum() / own.sum())
    assert BY_NAME["dominance"].measure(known)[day] == pytest.approx(shares[-1] - np.median(shares[:-1]))


def test_twice_the_moves_are_turbulent_and_a_fall_is_falling() -> None:
    calm = market()
    rough = replace(calm, returns=calm.returns * np.where(np.arange(DAYS) < 120, 1.0, 6.0)[:, None])
    falling = replace(calm, returns=calm.returns - 0.02)
    assert regime_frame(rough, [BY_NAME["volatility"]])[RegimeTable.label][-1] == "turbulent"
    assert regime_frame(falling, [BY_NAME["trend"]])[RegimeTable.label].unique().to_list() == ["falling"]


def test_what_has_no_source_is_not_told() -> None:
    silent = replace(market(), mood=np.full(DAYS, np.nan), symbols=("AAA", "BBB", "CCC"))
    assert set(regime_frame(silent)[RegimeTable.module]) == set(BY_NAME) - {"mood", "dominance"}


@given(st.lists(st.floats(0.0, 2.0), min_size=1, max_size=60))
def test_a_label_changes_only_beyond_its_band(numbers: list[float]) -> None:
    module = RegimeModule("any", ("low", "high"), ((0.9, 1.1),), lambda known: known.mood)
    places = module.places(np.array(numbers)).tolist()
    for before, now, value in zip(places, places[1:], numbers[1:], strict=False):
        assert now == (1 if value >= 1.1 else 0 if value <= 0.9 else before)


def test_mood_enters_at_the_extremes_and_leaves_them_late() -> None:
    found = BY_NAME["mood"].places(np.array([50.0, 26, 25, 29, 31, 74, 75, 71, 69, np.nan, 10])).tolist()
    assert found == [1, 1, 0, 0, 1, 1, 2, 2, 1, -1, 0]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with daily candles of 130 days and an index of mood."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    index = SentimentTable.frame([(at(START + timedelta(days=n)), float(n % 100)) for n in range(130)])
    source = FrameSource(candles(SYMBOLS, START, 130, interval=DAILY), index=index)
    ingest(source, lake, DAILY, START, START + timedelta(days=129))
    return lake


def test_days_of_the_lake_are_its_last_closes_and_what_was_traded(filled: Lake) -> None:
    seen = daily_market(filled, "frames", DAILY, START + timedelta(days=99))
    rows = candles(SYMBOLS, START, 130, interval=DAILY).filter(pl.col("symbol") == "ETH")
    close = rows["close"].to_numpy()
    assert (len(seen.days), seen.symbols) == (100, list(SYMBOLS))
    np.testing.assert_allclose(seen.returns[1:, 1], (close[1:] / close[:-1] - 1)[:99])
    np.testing.assert_allclose(seen.traded[:, 1], (close * rows["volume"].to_numpy())[:100])
    np.testing.assert_array_equal(seen.mood, np.arange(100.0))


def test_day_by_day_leaves_the_rows_of_all_at_once(filled: Lake, tmp_path: Path) -> None:
    last = START + timedelta(days=129)
    told = store_regimes(filled, "frames", DAILY, last)
    stored = filled.table(RegimeTable)
    for day in (last, last - timedelta(days=7)):
        rows = stored.read_day(day, market="frames", interval="1d")
        assert rows.equals(store_regimes(filled, "frames", DAILY, day).filter(pl.col("date") == day).drop("date"))
    assert told["date"].max() == last


def test_a_close_knows_the_day_before_it_and_nothing_of_its_own(filled: Lake) -> None:
    last = START + timedelta(days=129)
    store_regimes(filled, "frames", DAILY, last)
    said = StoredRegimes(filled, "frames", DAILY)

    def ms(day: date, hours: float) -> int:
        return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000 + hours * 3_600_000)

    def labels(day: date) -> str:
        return ", ".join(filled.table(RegimeTable).read_day(day, market="frames", interval="1d")[RegimeTable.label])

    assert said(ms(last, 1)) == labels(last - timedelta(days=1)) != ""
    assert said(ms(last, 24)) == labels(last)
    assert said(ms(last + timedelta(days=2), 1)) == labels(last)
    assert said(ms(last + timedelta(days=5), 1)) == ""
