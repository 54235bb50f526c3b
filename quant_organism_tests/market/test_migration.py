"""A lake of an older form is brought to the newest one, whole, however often it was tried before."""

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from functools import partial
from pathlib import Path

import orjson
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from quant_organism.deployment.records import Provenance
from quant_organism.errors import IntegrityError
from quant_organism.evolution.tables import CycleTable, ProgressTable, RejectedTable
from quant_organism.market import migration
from quant_organism.market.lake import Lake
from quant_organism.market.migration import NEWEST, STEPS, UNRECORDED, layout_of, migrate
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
    assert migrate(lake.root) == [step.what for step in STEPS]
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
    path = lake.root / "rejected" / f"market=m/interval=1h/date={DAYS[0]}/part.parquet"
    path.parent.mkdir(parents=True)
    newer.write_parquet(path)
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


RECORD = {"panel_hash": "a" * 64, "spec_hash": "b" * 64, "code_version": "0.1.0", "seed": 3, "archive_hash": ""}
"""Row of `cycles` as the second form has it."""

BORN = Provenance(market="m", date=str(DAYS[0]), **{name: RECORD[name] for name in list(RECORD)[:4]})
"""What a document of that cycle says of its origin."""


def lake_by_day(data_dir: Path) -> Lake:
    """Write a data folder of the second form: a day with a record of its cycle, one without, and a report alone."""
    lake = Lake(data_dir / "lake")
    for day in DAYS:
        frames = {"candles": candles(["A"], day, 1), "rejected": REJECTED, "cycles": pl.DataFrame([RECORD])}
        for dataset, frame in frames.items() if day == DAYS[0] else list(frames.items())[:2]:
            path = lake.root / dataset / f"market=m/interval=1h/date={day}/part.parquet"
            path.parent.mkdir(parents=True)
            frame.write_parquet(path)
    for day in (*DAYS, date(2024, 1, 3)):
        report = data_dir / "reports" / "m" / "1h" / str(day)
        (report / "tear_sheets").mkdir(parents=True)
        for name in ("report.html", "report.json", "equity.png", "tear_sheets/one.html"):
            (report / name).write_text(f"{name} of {day}")
    checkpoint = data_dir / "checkpoints" / "m" / "1h" / str(DAYS[0])
    checkpoint.mkdir(parents=True)
    (checkpoint / "state.json").write_text("a search under way")
    (lake.root / "layout.json").write_text('{"layout":2}')
    return lake


def contents(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_by_cycle(lake: Lake) -> None:
    assert layout_of(lake.root) == NEWEST
    for day, cycle in zip(DAYS, (BORN.cycle, UNRECORDED), strict=True):
        where = {"market": "m", "interval": "1h"}
        assert_frame_equal(lake.table(RejectedTable, cycle=cycle).read_day(day, **where), REJECTED)
        assert_frame_equal(lake.table(RejectedTable).read_day(day, **where), REJECTED)
        assert_frame_equal(lake.table(CandleTable).read_day(day, **where), candles(["A"], day, 1))
    record = lake.table(CycleTable).read_day(DAYS[0], market="m", interval="1h").row(0, named=True)
    assert record == {**RECORD, "founded_by": "", "plan": ""}
    data_dir = lake.root.parent
    for day, cycle in zip((*DAYS, date(2024, 1, 3)), (BORN.cycle, UNRECORDED, UNRECORDED), strict=True):
        report = data_dir / "reports" / "m" / "1h" / str(day)
        names = ("report.html", "report.json", "equity.png", "tear_sheets/one.html")
        assert [(report / cycle / name).read_text() for name in names] == [f"{name} of {day}" for name in names]
        assert f'url={cycle}/report.html"' in (report / "report.html").read_text()
        assert f'url=../{cycle}/tear_sheets/one.html"' in (report / "tear_sheets" / "one.html").read_text()
    assert (data_dir / "checkpoints" / "m" / "1h" / str(DAYS[0]) / BORN.cycle / "state.json").exists()


def test_records_and_reports_of_a_day_go_to_the_cycle_that_their_own_record_names(tmp_path: Path) -> None:
    lake = lake_by_day(tmp_path)
    before = contents(tmp_path) - {b'{"layout":2}'}
    assert migrate(lake.root) == [step.what for step in STEPS[1:]]
    check_by_cycle(lake)
    assert before <= contents(tmp_path)
    after = contents(tmp_path)
    (lake.root / "layout.json").write_text('{"layout":2}')
    migrate(lake.root)
    assert contents(tmp_path) == after


def test_wherever_a_crash_stops_it_nothing_is_lost_and_the_next_time_finishes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {(os, "replace"): os.replace, (migration, "write_file"): migration.write_file}

    def interrupted(after: int) -> bool:
        """Migrate a lake of its own, stopped after so many changes on disk; then once more."""
        left, lake = [after], lake_by_day(tmp_path / str(after))
        before = contents(lake.root.parent) - {b'{"layout":2}'}

        def counted(change: Callable[..., object], *what: object) -> object:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return change(*what)

        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            for (place, name), change in changes.items():
                patch.setattr(place, name, partial(counted, change))
            migrate(lake.root)
        assert before <= contents(lake.root.parent)
        stopped = layout_of(lake.root) != NEWEST
        migrate(lake.root)
        check_by_cycle(lake)
        assert before <= contents(lake.root.parent)
        return stopped

    after = 0
    while interrupted(after):
        after += 1
    assert after > 20
