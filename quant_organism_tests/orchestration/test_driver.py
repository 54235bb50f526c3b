"""What a command brings into the lake, and what it leaves on record: a day once, and again only where it changed."""

import gc
from datetime import timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from quant_organism.market.lake import Lake
from quant_organism.market.panel import build_panel
from quant_organism.market.schema import Interval
from quant_organism.orchestration.driver import Driver
from quant_organism.orchestration.home import open_instance
from quant_organism.orchestration.partitions import Days
from quant_organism.settings import MarketSettings, Settings
from quant_organism.settings.tree import IntervalName
from quant_organism_tests.market.file_examples import START, market, rates, write_tidy

FIRST = START.date()
BARS = market(bars=24 * 6)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    candles = tmp_path / "candles"
    candles.mkdir()
    write_tidy(candles, BARS)
    return candles


def ingested(folder: Path, n_days: int, interval: IntervalName = "1h") -> list[str]:
    """Ingest the first days of a folder as commands do, and return the days put on record meanwhile."""
    data = folder.parent / "data"
    before = records(data)
    driven(folder, interval).ingest(Days(FIRST, FIRST + timedelta(days=n_days - 1)))
    return sorted(records(data)[len(before) :])


def driven(folder: Path, interval: IntervalName = "1h") -> Driver:
    """Return what drives runs on the files of a folder."""
    market = MarketSettings(source="files", path=folder, interval=interval)
    return Driver(Settings(data_dir=folder.parent / "data", profile="smoke", market=market), lambda *_: None)


def records(data: Path) -> list[str]:
    """Return the days of which candles were ever put on record, one entry for each time, oldest first."""
    data.mkdir(exist_ok=True)
    with open_instance(data) as instance:
        found = instance.fetch_materializations(dg.AssetKey("candles"), limit=1000, ascending=True).records
        return [str(record.partition_key) for record in found]


def day(number: int) -> str:
    return (FIRST + timedelta(days=number)).isoformat()


def test_a_night_puts_its_own_day_on_record_and_no_other(folder: Path) -> None:
    assert ingested(folder, 3) == [day(0), day(1), day(2)]
    assert ingested(folder, 4) == [day(3)]
    assert ingested(folder, 4) == []
    assert ingested(folder, 6) == [day(4), day(5)]


def test_a_day_that_the_source_changed_is_brought_in_and_put_on_record_again(folder: Path) -> None:
    assert len(ingested(folder, 4)) == 4
    changed = BARS.with_columns(volume=pl.when(pl.int_range(pl.len()) == 50).then(77.0).otherwise("volume"))
    write_tidy(folder, changed)
    assert ingested(folder, 4) == [day(2), day(3)]
    held = Lake(folder.parent / "data" / "lake").read("candles", market="files-candles", interval="1h")
    assert held["volume"][50] == 77.0


def test_a_day_that_the_lake_lost_is_brought_in_again(folder: Path) -> None:
    assert len(ingested(folder, 3)) == 3
    (part,) = (folder.parent / "data" / "lake" / "candles").rglob(f"date={day(1)}/*.parquet")
    part.unlink()
    assert ingested(folder, 3) == [day(1), day(2)]
    assert part.exists()


def test_hours_on_disk_make_a_panel_of_four_hours_beside_that_of_hours(folder: Path) -> None:
    rates(count=20).write_parquet(folder / "BTC.funding.parquet")
    assert len(ingested(folder, 4)) == 4
    ingested(folder, 4, "4h")
    lake, end = Lake(folder.parent / "data" / "lake"), FIRST + timedelta(days=3)
    hours = build_panel(lake, "files-candles", Interval.parse("1h"), end, 3, None)
    long = build_panel(lake, "files-candles", Interval.parse("4h"), end, 3, None)
    assert long.close[:, 0].tolist() == hours.close[3::4, 0].tolist()
    assert long.open[:, 0].tolist() == hours.open[::4, 0].tolist()
    assert long.funding_paid.sum() == pytest.approx(hours.funding_paid.sum())
    np.testing.assert_array_equal(long.funding_rate[:, 0], hours.funding_rate[3::4, 0])


def test_what_runs_leave_in_memory_does_not_add_up(folder: Path) -> None:
    """Python breaks up rings of objects when it finds it worth while, which night after night is too late."""
    driver, held = driven(folder), list[int]()
    gc.disable()
    try:
        for n_days in range(1, 5):
            driver.ingest(Days(FIRST, FIRST + timedelta(days=n_days - 1)))
            held.append(len(gc.get_objects()))
    finally:
        gc.enable()
    assert held[-1] - held[1] < 2_000  # two runs leave 30,000 where nothing is done about it
