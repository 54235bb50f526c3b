"""The Fear & Greed index: read as delivered, known from its publication on, and no longer than two days."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from quant_organism.errors import InputError
from quant_organism.market.ingest import ingest
from quant_organism.market.lake import Lake
from quant_organism.market.panel import build_panel
from quant_organism.market.schema import Interval
from quant_organism.market.sentiment import align_sentiment, beyond, read_sentiment
from quant_organism.market.tables import SentimentTable
from quant_organism.market.world import WorldSource, load_world
from quant_organism_tests.market.frames import FrameSource, candles

HOUR = Interval.parse("1h")
MIDNIGHT = datetime(2024, 1, 1, tzinfo=UTC)


def index(*values: tuple[float, float]) -> pl.DataFrame:
    """Return an index from pairs of (hours after the first midnight, value)."""
    return pl.DataFrame(
        [(MIDNIGHT + timedelta(hours=hours), value) for hours, value in values],
        schema=SentimentTable.schema,
        orient="row",
    )


def hours(count: int) -> np.ndarray:
    return int(MIDNIGHT.timestamp() * 1000) + 3_600_000 * np.arange(count)


def test_a_value_is_known_at_the_closes_from_its_publication_on() -> None:
    known = align_sentiment(index((2.0, 30.0), (3.5, 80.0)), hours(5), HOUR)
    # The bars close at 1, 2, 3, 4 and 5 o'clock.
    np.testing.assert_array_equal(known, [np.nan, 30.0, 30.0, 80.0, 80.0])


def test_a_silent_source_is_unknown_after_two_days() -> None:
    known = align_sentiment(index((1.0, 40.0)), hours(60), HOUR)
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(known)), np.arange(0, 49))


def test_no_index_is_unknown_everywhere() -> None:
    assert np.isnan(align_sentiment(SentimentTable.empty(), hours(3), HOUR)).all()


def test_how_far_an_index_is_beyond_greed_and_fear() -> None:
    greed, fear = beyond(np.array([0.0, 10.0, 25.0, 50.0, 75.0, 95.0, 100.0, np.nan]))
    np.testing.assert_allclose(greed, [0, 0, 0, 0, 0, 0.8, 1, 0])
    np.testing.assert_allclose(fear, [1, 0.6, 0, 0, 0, 0, 0, 0])


def test_formats_say_the_same(tmp_path: Path) -> None:
    rows = [{"value": "40", "value_classification": "Fear", "timestamp": "1704153600", "time_until_update": "9"}]
    rows.append({"value": "65", "value_classification": "Greed", "timestamp": "1704067200"})
    (tmp_path / "a.json").write_text(json.dumps({"name": "Fear and Greed Index", "data": rows}))
    (tmp_path / "b.csv").write_text("date,value\n2024-01-02,40\n2024-01-01,65\n")
    expected = index((0.0, 65.0), (24.0, 40.0))
    expected.write_parquet(tmp_path / "c.parquet")
    for name in ("a.json", "b.csv", "c.parquet"):
        assert read_sentiment(tmp_path / name).equals(expected)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("missing.csv", None, "there is no file"),
        ("index.txt", "x", "type"),
        ("index.json", "{", "cannot be read"),
        ("index.json", '{"data": [1]}', "list of objects"),
        ("index.csv", "day,mood\n1,2\n", "columns are day, mood"),
        ("index.csv", "date,value\n2024-01-01,140\n", "outside 0 to 100"),
        ("index.csv", "date,value\n2024-01-01,\n", "outside 0 to 100"),
        ("index.csv", "date,value\nsoon,40\n", "'soon'"),
        ("index.csv", "date,value\n2024-01-01,40\n2024-01-01,41\n", "two values"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(name: str, text: str | None, told: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=told) as raised:
        read_sentiment(tmp_path / name)
    assert name in str(raised.value)


def test_the_panel_knows_the_index_and_its_hash_tells_it_apart(tmp_path: Path) -> None:
    bars = candles(["A"], date(2024, 1, 1), 3)
    panels = []
    for place, published in enumerate((None, index((0.0, 20.0), (24.0, 90.0)))):
        lake = Lake(tmp_path / str(place))
        source = FrameSource(bars, index=published)
        report = ingest(source, lake, HOUR, date(2024, 1, 1), date(2024, 1, 3))
        assert report.sentiment == (0 if published is None else 2)
        panels.append(build_panel(lake, "frames", HOUR, date(2024, 1, 3), None, None))
    without, with_index = panels
    assert np.isnan(without.fear_greed).all()
    # A bar that closes at the midnight of a publication already knows it.
    np.testing.assert_array_equal(with_index.fear_greed, np.repeat([20.0, 90.0], [23, 49]))
    assert with_index.hash != without.hash


def test_a_day_that_lost_its_index_is_emptied(tmp_path: Path) -> None:
    bars, lake = candles(["A"], date(2024, 1, 1), 2), Lake(tmp_path)
    for published in (index((0.0, 20.0)), None):
        ingest(FrameSource(bars, index=published), lake, HOUR, date(2024, 1, 1), date(2024, 1, 2))
    assert lake.table(SentimentTable).read(market="frames").height == 0


def test_a_world_publishes_what_past_prices_say() -> None:
    source = WorldSource(load_world("demo"))
    first, last = source.span(HOUR)
    published = source.sentiment(first, last)
    assert published["timestamp"].dt.hour().max() == 0
    assert published["timestamp"][0].date() == first + timedelta(days=30)
    assert published["fear_greed"].is_between(0, 100).all()
    assert (published["fear_greed"] > 75).sum() > 20
    assert (published["fear_greed"] < 25).sum() > 20
