"""Ingestion: the lake holds what the source says, day by day, whatever the order, the subset or the interruption."""

import contextlib
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from quant_organism.errors import BusyError, InputError, StorageError
from quant_organism.market.ingest import UNDATED, ingest
from quant_organism.market.lake import Lake
from quant_organism.market.schema import Interval
from quant_organism.market.tables import CandleTable, FundingTable, SetAsideTable
from quant_organism.market.world import WorldSource, WorldSpec
from quant_organism_tests.market.frames import HOUR, FrameSource, at, candles, funding
from quant_organism_tests.market.small_disk import remount, small_disk

START = date(2024, 1, 1)
WORLD = WorldSpec.model_validate(
    {"name": "test", "start": START, "days": 200, "assets": [{"symbol": f"SIM-{letter}"} for letter in "ABCDEF"]}
)
INGEST = """
import sys
from pathlib import Path
from quant_organism.market.ingest import ingest
from quant_organism.market.lake import Lake
from quant_organism_tests.market.frames import HOUR
from quant_organism_tests.market.test_ingest import WORLD
from quant_organism.market.world import WorldSource
source = WorldSource(WORLD)
source.candles(source.symbols(), HOUR, *source.span(HOUR))
print("begin", flush=True)
ingest(source, Lake(Path(sys.argv[1])), HOUR, *source.span(HOUR))
print("end", flush=True)
"""


def day(number: int) -> date:
    return START + timedelta(days=number)


def content(lake: Lake) -> dict[str, bytes]:
    """Return every file of the lake but the locks, by its path."""
    files = (path for path in lake.root.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(lake.root)): path.read_bytes() for path in files}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def source() -> FrameSource:
    stamps = [at(START, hours) for hours in range(1, 10 * 24 + 1)]
    return FrameSource(
        candles(["A", "B", "C"], START, 10),
        pl.concat([funding("A", stamps, [1e-5] * len(stamps)), funding("B", stamps[7::8], [1e-4] * 30)]),
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return a lake that one uninterrupted ingestion of the world has filled."""
    lake, source = Lake(tmp_path_factory.mktemp("whole")), WorldSource(WORLD)
    ingest(source, lake, HOUR, *source.span(HOUR))
    return lake


def test_the_lake_holds_what_the_source_says(lake: Lake, source: FrameSource) -> None:
    report = ingest(source, lake, HOUR, day(0), day(9))
    assert_frame_equal(lake.table(CandleTable).read(market="frames", interval="1h"), source.bars)
    assert_frame_equal(
        lake.table(FundingTable).read(market="frames"),
        source.settlements.sort("timestamp", "symbol"),
        check_row_order=True,
    )
    assert (report.bars, report.settlements, report.set_aside, report.files_written) == (720, 270, 0, 20)
    assert lake.source_of("frames") == {"kind": "frames", "seed": 0}


def test_a_settlement_at_midnight_is_kept_with_the_day_that_it_closes(lake: Lake, source: FrameSource) -> None:
    ingest(source, lake, HOUR, day(3), day(3))
    kept = lake.table(FundingTable).read(market="frames").filter(symbol="B")
    assert kept["timestamp"].to_list() == [at(day(3), 8), at(day(3), 16), at(day(4))]


def test_the_same_again_writes_nothing(lake: Lake, source: FrameSource) -> None:
    ingest(source, lake, HOUR, day(0), day(9))
    before = content(lake)
    assert ingest(source, lake, HOUR, day(0), day(9)).files_written == 0
    assert content(lake) == before


def test_days_and_symbols_in_any_order_give_the_same_bytes(tmp_path: Path, source: FrameSource) -> None:
    at_once, by_part = Lake(tmp_path / "at_once"), Lake(tmp_path / "by_part")
    ingest(source, at_once, HOUR, day(0), day(9))
    ingest(source, by_part, HOUR, day(4), day(9), ["C"])
    ingest(source, by_part, HOUR, day(0), day(5), ["B", "A"])
    ingest(source, by_part, HOUR, day(0), day(3), ["C", "A"])
    ingest(source, by_part, HOUR, day(5), day(9), ["A", "B"])
    assert content(by_part) == content(at_once)


def test_what_the_source_takes_back_goes_and_other_symbols_stay(lake: Lake, source: FrameSource) -> None:
    ingest(source, lake, HOUR, day(0), day(9))
    without = source.bars.filter(~((pl.col("symbol") == "A") & (pl.col("timestamp") >= at(day(5)))))
    ingest(FrameSource(without), lake, HOUR, day(0), day(9), ["A"])
    assert_frame_equal(lake.table(CandleTable).read(market="frames", interval="1h"), without)
    assert lake.table(FundingTable).read(market="frames")["symbol"].unique().to_list() == ["B"]


def test_a_day_that_lost_all_its_rows_is_empty_not_old(lake: Lake, source: FrameSource) -> None:
    ingest(source, lake, HOUR, day(0), day(9))
    ingest(FrameSource(source.bars), lake, HOUR, day(0), day(9))
    assert lake.table(FundingTable).read(market="frames").is_empty()


def test_days_that_the_source_does_not_have_are_left_out(lake: Lake, source: FrameSource) -> None:
    report = ingest(source, lake, HOUR, day(-5), day(99))
    assert (report.start, report.end) == (day(0), day(9))


@pytest.mark.parametrize(("start", "end"), [(-9, -1), (10, 12), (5, 4)])
def test_no_day_at_all_says_which_there_are(lake: Lake, source: FrameSource, start: int, end: int) -> None:
    with pytest.raises(InputError, match=r"no data from .*\n.*from 2024-01-01 to 2024-01-10"):
        ingest(source, lake, HOUR, day(start), day(end))
    assert not lake.root.exists()


def test_an_unknown_symbol_is_refused_with_near_names(lake: Lake) -> None:
    with pytest.raises(InputError, match=r"no symbol 'SOLL'.*\n.*nearest: SOL"):
        ingest(FrameSource(candles(["SOL", "BTC"], START, 1)), lake, HOUR, day(0), day(0), ["SOLL"])


def test_another_source_under_the_same_name_is_refused(lake: Lake, source: FrameSource) -> None:
    ingest(source, lake, HOUR, day(0), day(1))
    before = content(lake)
    other = FrameSource(source.bars, seed=1)
    with pytest.raises(InputError, match=r"from seed 0 before, not from 1\n.*name of its own"):
        ingest(other, lake, HOUR, day(0), day(1))
    assert content(lake) == before


def test_rows_set_aside_are_kept_with_their_day_and_replaced_by_a_later_reading(
    lake: Lake, source: FrameSource
) -> None:
    rows = [("A", at(day(2), 5), "a.csv", 12, "price", "close 'x'"), ("B", None, "b.csv", 3, "timestamp", "'soon'")]
    source.aside = pl.DataFrame(rows, schema=SetAsideTable.schema, orient="row")
    assert ingest(source, lake, HOUR, day(0), day(9)).set_aside == 2
    assert lake.table(SetAsideTable).days(market="frames") == [UNDATED, day(2)]
    ingest(source, lake, HOUR, day(0), day(9), ["B"])
    assert lake.table(SetAsideTable).read(market="frames")["symbol"].to_list() == ["B", "A"]
    source.aside = SetAsideTable.empty()
    ingest(source, lake, HOUR, day(0), day(9), ["A"])
    assert lake.table(SetAsideTable).read(market="frames")["symbol"].to_list() == ["B"]


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda bars: bars.with_columns(close=pl.lit(None, pl.Float64)), "a bar with a missing value: A at 2024-01-01"),
        (lambda bars: bars.with_columns(pl.col("timestamp").dt.offset_by("5m")), "does not open on the grid of 1h"),
        (lambda bars: pl.concat([bars, bars.tail(1)]), "two bars at the same time: C at 2024-01-10 23:00"),
        (lambda bars: bars.drop("volume"), "volume is missing"),
        (lambda bars: bars.with_columns(pl.col("open").cast(pl.String)), "open is String, expected Float64"),
    ],
)
def test_a_source_that_breaks_its_promise_changes_nothing(lake: Lake, source: FrameSource, spoil, what: str) -> None:
    ingest(source, lake, HOUR, day(0), day(9))
    before = content(lake)
    source.bars = spoil(source.bars)
    with pytest.raises(InputError, match=what):
        ingest(source, lake, HOUR, day(0), day(9))
    assert content(lake) == before


def test_a_settlement_without_a_number_is_refused(lake: Lake, source: FrameSource) -> None:
    source.settlements = funding("A", [at(day(0), 8)], [float("nan")])
    with pytest.raises(InputError, match="a settlement with a missing value: A at 2024-01-01 08:00"):
        ingest(source, lake, HOUR, day(0), day(9))


def test_progress_counts_days(lake: Lake) -> None:
    seen: list[tuple[int, int]] = []
    source = FrameSource(candles(["A"], START, 150, interval=Interval.parse("1d")))
    ingest(source, lake, Interval.parse("1d"), day(0), day(149), progress=lambda done, n: seen.append((done, n)))
    assert seen[-1] == (150, 150)
    assert len(seen) > 1
    assert seen == sorted(seen)


def test_one_process_at_a_time_ingests_a_market(lake: Lake, source: FrameSource) -> None:
    hold = (
        "import sys; from filelock import FileLock; lock = FileLock(sys.argv[1]); lock.acquire();"
        "print('held', flush=True); sys.stdin.read()"
    )
    (lake.root / "markets").mkdir(parents=True)
    command = [sys.executable, "-c", hold, str(lake.root / "markets" / "frames.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(BusyError, match="importing market frames"):
            ingest(source, lake, HOUR, day(0), day(9), wait_seconds=0.01)
        other.kill()
        other.wait()
        assert ingest(source, lake, HOUR, day(0), day(9), wait_seconds=10).bars == 720


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_at_any_moment_nothing_is_torn_and_the_rerun_completes(tmp_path: Path, whole: Lake, seed: int) -> None:
    lake, source, expected = Lake(tmp_path / "killed"), WorldSource(WORLD), content(whole)
    for moment in np.random.default_rng(seed).uniform(0.0, 0.4, size=2):
        command = [sys.executable, "-c", INGEST, str(lake.root)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begin\n"
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=float(moment))
            process.kill()
        found = {path: data for path, data in content(lake).items() if "/.writing-" not in path}
        assert found.items() <= expected.items()
    ingest(source, lake, HOUR, *source.span(HOUR))
    assert content(lake) == expected


def test_a_full_disk_keeps_the_days_written_and_more_space_completes_them(tmp_path: Path, whole: Lake) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        lake, source = Lake(disk / "lake"), WorldSource(WORLD)
        with pytest.raises(StorageError, match=r"disk is full.*\n.*free some space") as caught:
            ingest(source, lake, HOUR, *source.span(HOUR))
        assert str(disk) in str(caught.value.where)
        written = content(lake)
        assert any(path.startswith("candles") for path in written)
        assert written.items() <= content(whole).items()
        remount(disk, "size=20m")
        ingest(source, lake, HOUR, *source.span(HOUR))
        assert content(lake) == content(whole)
