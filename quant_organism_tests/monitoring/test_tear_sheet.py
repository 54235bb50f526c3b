"""The tear sheet says what a strategy did and how it bears being shaken, offline and in the same bytes again."""

import dataclasses
import json
import math
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from quant_organism.deployment import execute_strategy
from quant_organism.errors import StorageError
from quant_organism.monitoring.cycle import spans_of
from quant_organism.monitoring.pages import SCRIPT
from quant_organism.monitoring.sheet_content import TearSheet
from quant_organism.monitoring.sheet_page import write_tear_sheets
from quant_organism.monitoring.sheet_trading import sheet_trading
from quant_organism.monitoring.tables import RobustnessTable
from quant_organism.monitoring.tear_sheet import shakes_frame, tear_sheet, years_of
from quant_organism.validation.records import returns_frame
from quant_organism.validation.robustness.examination import examine
from quant_organism.validation.robustness.subject import Subject
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.statistics.monte_carlo import equity_cone
from quant_organism_tests.chain import PROVENANCE, edge
from quant_organism_tests.monitoring.test_cycle import manifest
from quant_organism_tests.monitoring.test_report import Page


@pytest.fixture(scope="module")
def sheet() -> TearSheet:
    found = edge()
    candidate = found.survivors[0].candidate
    grounds = found.grounds
    subject = Subject.of(candidate.committee, grounds.panel, grounds.splits.in_sample, grounds.costs, grounds.evaluator)
    last = datetime.fromtimestamp(found.panel.times[-1] / 1000, UTC).date()
    return tear_sheet(
        candidate,
        examine(subject, seed=0),
        provenance=PROVENANCE.model_copy(update={"date": last.isoformat()}),
        interval=found.panel.interval,
        spans=spans_of(found.splits, found.panel.interval, last, manifest(found)),
        verdicts=found.verdicts,
        validated=found.summary,
        returns=returns_frame(grounds),
        account=execute_strategy(
            candidate.committee, grounds.panel, grounds.splits, grounds.costs, 10_000.0, grounds.evaluator
        ),
        seed=0,
        trading=sheet_trading(
            candidate.committee, grounds.panel, grounds.splits, grounds.costs, 10_000.0, grounds.evaluator
        ),
    )


def bare(sheet: TearSheet) -> TearSheet:
    """Return the sheet of a strategy that did nothing."""
    unknown = dict.fromkeys(("low", "middle", "high", "drawdown", "loss_probability"), math.nan)
    shakes = [
        dataclasses.replace(row, count=0, points=(), worst="nothing was traded", **unknown) for row in sheet.shakes
    ]
    figures = [dataclasses.replace(span, metrics=dict.fromkeys(span.metrics, math.nan)) for span in sheet.figures[:1]]
    empty = {
        "days": (),
        "equity": (),
        "years": (),
        "cone": None,
        "neighbours": None,
        "assets": (),
        "regimes": (),
        "trading": None,
    }
    return dataclasses.replace(sheet, shakes=shakes, figures=figures, sharpe=math.nan, **empty)


def test_the_same_sheet_gives_the_same_bytes_and_sheets_of_others_stay(sheet: TearSheet, tmp_path: Path) -> None:
    other = dataclasses.replace(sheet, id="rsi_filter_1_01234567")
    first = write_tear_sheets(tmp_path / "a", [sheet, other])
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(f"{name}.html" for name in first)
    again = write_tear_sheets(tmp_path / "a", [sheet])
    assert sorted((tmp_path / "a").iterdir()) == sorted(first.values())
    elsewhere = write_tear_sheets(tmp_path / "b", [sheet])
    assert again[sheet.id].read_bytes() == elsewhere[sheet.id].read_bytes()
    assert write_tear_sheets(tmp_path / "a", []) == {}


def test_the_page_needs_nothing_but_itself_and_has_its_four_pictures(sheet: TearSheet, tmp_path: Path) -> None:
    page = Page(write_tear_sheets(tmp_path, [sheet])[sheet.id])
    assert len(page.sources) == 4
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert not page.tags & {"link", "iframe"}
    assert [script.strip() for script in page.run] == [SCRIPT.strip()]
    assert "http" not in page.text + SCRIPT
    equity, returns, candles = map(json.loads, page.data)
    assert equity["panels"][0]["series"][0]["values"][-1] == pytest.approx(sheet.trading.unseen.equity_usd[-1])
    assert sum(returns["counts"]) == len(sheet.trading.unseen.days)
    assert len(candles["trades"]) == len(sheet.trading.trades)


def test_the_reader_learns_what_it_earned_and_how_it_was_judged_and_shaken(sheet: TearSheet, tmp_path: Path) -> None:
    page = Page(write_tear_sheets(tmp_path, [sheet])[sheet.id])
    for sentence in sheet.summary:
        assert sentence in page.text
    for gate in sheet.gates:
        assert gate.reason in page.text
    for row in sheet.shakes:
        assert row.name in page.text
        assert row.worst in page.text
    for member in sheet.members:
        assert member.id in page.text
    assert f"{100 * sheet.years[0].total:.1f} %" in page.text
    assert PROVENANCE.panel_hash in page.text


def test_months_and_years_compound_to_the_whole(sheet: TearSheet) -> None:
    assert math.prod(1 + year.total for year in sheet.years) == pytest.approx(sheet.equity[-1])
    for year in sheet.years:
        months = [month for month in year.months if not math.isnan(month)]
        assert math.prod(1 + month for month in months) - 1 == pytest.approx(year.total)


def test_months_by_hand() -> None:
    days = [date(2023, 12, 30) + timedelta(days=n) for n in range(5)]
    frame = pl.DataFrame({"day": days, "net_return": [0.1, -0.1, 0.2, 0.0, 0.1]})
    before, after = years_of(frame, date(2024, 1, 1))
    assert (before.year, after.year) == (2023, 2024)
    assert before.total == before.months[11] == pytest.approx(-0.01)
    assert after.months[0] == pytest.approx(0.32)
    assert all(math.isnan(month) for month in (*before.months[:11], *after.months[1:]))
    assert after.unseen == [True] + [False] * 11
    assert not any(before.unseen)


def test_equity_in_the_cone_is_that_of_the_unseen_days(sheet: TearSheet) -> None:
    assert sheet.cone is not None
    unseen = len(sheet.cone.days)
    inside = sheet.equity[-unseen - 1]
    np.testing.assert_allclose(np.array(sheet.cone.actual) * inside, sheet.equity[-unseen:])
    assert sheet.cone.days == sheet.days[-unseen:]


def test_a_cone_of_equal_returns_is_a_line_and_of_varied_ones_opens() -> None:
    assert equity_cone(np.full(100, 0.01), days=5, average_holding=1.0, seed=0) == NotRun(
        "the returns do not vary: nothing was traded"
    )
    returns = 0.01 * np.random.default_rng(0).standard_normal(200) + 0.002
    cone = equity_cone(returns, days=300, average_holding=1.0, seed=3)
    assert cone.shape == (5, 300)
    assert (np.diff(cone, axis=0) >= 0).all()
    assert cone[4, -1] - cone[0, -1] > 3 * (cone[4, 5] - cone[0, 5])
    assert cone[2, -1] == pytest.approx((1 + returns.mean()) ** 300, rel=0.1)
    np.testing.assert_array_equal(cone, equity_cone(returns, days=300, average_holding=1.0, seed=3))


def test_the_records_of_the_shakes_hold_the_same_numbers(sheet: TearSheet) -> None:
    frame = shakes_frame([sheet])
    assert frame.schema == RobustnessTable.schema
    assert frame["change"].to_list() == [row.name for row in sheet.shakes]
    assert frame["sharpe_50"].to_list() == pytest.approx([row.middle for row in sheet.shakes], nan_ok=True)
    assert shakes_frame([]).schema == frame.schema


def test_what_did_nothing_has_a_sheet_too(sheet: TearSheet, tmp_path: Path) -> None:
    page = Page(write_tear_sheets(tmp_path, [bare(sheet)])[sheet.id])
    assert page.sources == []
    assert "not run: nothing was traded" in page.text


def test_names_from_outside_stay_text(sheet: TearSheet, tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    part = dataclasses.replace(sheet.assets[0], name=hostile)
    row = dataclasses.replace(sheet.shakes[0], worst=hostile)
    changed = dataclasses.replace(sheet, market=hostile, assets=[part], shakes=[row], origin=hostile)
    page = Page(write_tear_sheets(tmp_path, [changed])[sheet.id])
    assert [script.strip() for script in page.run] == [SCRIPT.strip()]
    assert page.text.count(hostile) >= 4


def test_a_folder_that_cannot_be_made_is_a_clear_error(sheet: TearSheet, tmp_path: Path) -> None:
    (tmp_path / "sheets").write_text("a file is in the way")
    with pytest.raises(StorageError):
        write_tear_sheets(tmp_path / "sheets", [sheet])
