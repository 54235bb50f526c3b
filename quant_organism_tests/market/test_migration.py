"""A lake of an older form is brought to the newest one, whole, however often it was tried before."""

from datetime import date
from pathlib import Path

import orjson
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from quant_organism.errors import IntegrityError
from quant_organism.evolution.tables import ProgressTable, RejectedTable
from quant_organism.market import migration
from quant_organism.market.lake import Lake
from quant_organism.market.migration import NEWEST, layout_of, migrate
from quant_organism.market.tables import CandleTable
from quant_organism_tests.market.frames import candles

DAYS = (date(2024, 1, 1), date(2024, 1, 2))
REJECTED = RejectedTable.frame([("trend_1_ab", "ab" * 32, 1, 0, "never fires", "no signal")])
PROGRESS = {
    "generation": [0, 1],
    "trials": [20, 40],
    "rejected": [3, 5],
    "lost_batches": [0, 0],
    "restarts": [0, 0],
    "feasible": [10, 30],
    "members": [20, 20],
    "behaviours": [18, 19],
    "hypervolume": [1.0, 1.5],
    "best_sharpe": [1.0, 2.0],
    "median_sharpe": [0.5, float("nan")],
}


def old_lake(root: Path) -> Lake:
    """Write a lake of the first form: no stamp, no versions, and the old names of what was rejected."""
    for day in DAYS:
        where = f"market=m/interval=1h/date={day}/part.parquet"
        frames = {
            "turned_away": REJECTED,
            "search_progress": pl.DataFrame(PROGRESS).rename({"rejected": "turned_away"}),
            "candles": candles(["A"], day, 1),
        }
        for dataset, frame in frames.items():
            path = root / dataset / where
            path.parent.mkdir(parents=True)
            frame.write_parquet(path)
    return Lake(root)


def check(lake: Lake) -> None:
    assert layout_of(lake.root) == NEWEST
    for day in DAYS:
        assert_frame_equal(lake.table(RejectedTable).read_day(day, market="m", interval="1h"), REJECTED)
        progress = lake.table(ProgressTable).read_day(day, market="m", interval="1h")
        assert_frame_equal(progress, pl.DataFrame(PROGRESS))
        assert_frame_equal(lake.table(CandleTable).read_day(day, market="m", interval="1h"), candles(["A"], day, 1))
    assert not (lake.root / "turned_away").exists()


def test_what_was_written_in_the_first_form_is_read_in_the_newest(tmp_path: Path) -> None:
    lake = old_lake(tmp_path / "lake")
    assert migrate(lake.root) == ["call genomes that failed the birth checks rejected"]
    check(lake)
    assert migrate(lake.root) == []


def test_a_lake_of_an_older_form_says_how_to_mend_it(tmp_path: Path) -> None:
    lake = old_lake(tmp_path / "lake")
    with pytest.raises(IntegrityError, match="rejected is missing") as caught:
        lake.table(ProgressTable).read(market="m", interval="1h")
    assert "data migrate" in str(caught.value.remedy)


def test_what_a_crash_left_half_done_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = old_lake(tmp_path / "lake")
    written = []

    def crash(path: Path, content: bytes) -> bool:
        if written:
            raise KeyboardInterrupt
        written.append(path)
        return write_file(path, content)

    write_file = migration.write_file
    monkeypatch.setattr(migration, "write_file", crash)
    with pytest.raises(KeyboardInterrupt):
        migrate(lake.root)
    assert layout_of(lake.root) == 1
    monkeypatch.undo()
    migrate(lake.root)
    check(lake)


def test_what_lies_under_the_new_name_already_stays(tmp_path: Path) -> None:
    lake = old_lake(tmp_path / "lake")
    newer = REJECTED.with_columns(detail=pl.lit("newer"))
    lake.table(RejectedTable).write(newer, market="m", interval="1h", day=DAYS[0])
    migrate(lake.root)
    assert lake.table(RejectedTable).read_day(DAYS[0], market="m", interval="1h").equals(newer)
    assert lake.table(RejectedTable).read_day(DAYS[1], market="m", interval="1h").equals(REJECTED)


def test_an_empty_lake_has_the_newest_form(tmp_path: Path) -> None:
    assert migrate(tmp_path / "lake") == []
    assert layout_of(tmp_path / "lake") == NEWEST


@pytest.mark.parametrize("stamp", [b"{", b"{}", b"[1]", orjson.dumps({"layout": NEWEST + 1}), b'{"layout": 0}'])
def test_a_form_that_nobody_knows_is_refused(tmp_path: Path, stamp: bytes) -> None:
    (tmp_path / "layout.json").write_bytes(stamp)
    with pytest.raises(IntegrityError, match=r"layout\.json"):
        migrate(tmp_path)
