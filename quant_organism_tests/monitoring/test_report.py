"""The report says what was found and what was not, offline, and the same cycle gives the same bytes."""

import dataclasses
import math
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import orjson
import pytest

from quant_organism.backtest.account import SIZES_USD, AccountFigures
from quant_organism.deployment import ExecutedStrategy
from quant_organism.errors import StorageError
from quant_organism.monitoring.content import DataRow
from quant_organism.monitoring.pages import ACCOUNT_ROWS
from quant_organism.monitoring.report import write_report
from quant_organism_tests.monitoring.reports import cycle_report

PICTURES = ["equity.png", "families.png", "genealogy.png", "pareto.png", "progress.png"]


class Page(HTMLParser):
    """Text, sources and tags of a page, what its scripts run and what data they read."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.words: list[str] = []
        self.sources: list[str] = []
        self.tags: set[str] = set()
        self.run: list[str] = []
        self.data: list[str] = []
        self._kind = ""
        self.feed(path.read_text())
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self._kind = dict(attrs).get("type", "")
        self.sources += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        if self.cdata_elem == "script":
            (self.data if self._kind == "application/json" else self.run).append(data)
        elif self.lasttag != "style":
            self.words.append(data)


def test_the_same_report_gives_the_same_bytes(tmp_path):
    for name in ("a", "b", "a"):
        write_report(tmp_path / name, cycle_report())
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == [*PICTURES, "report.html", "report.json"]
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_the_page_needs_nothing_but_itself(tmp_path):
    page = Page(write_report(tmp_path, cycle_report()).html)
    assert page.sources
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert not page.tags & {"script", "link", "iframe"}
    assert "http" not in page.text


def test_the_reader_learns_why_each_candidate_passed_or_fell_and_what_was_deployed(tmp_path):
    report = cycle_report()
    page = Page(write_report(tmp_path, report).html)
    assert "1 of 6 candidates entered the shadow pool" in page.text
    for candidate in report.candidates:
        assert candidate.id in page.text
        assert candidate.why[1:] in page.text
    for sentence in (*report.summary, *report.limits, *(decision.reason for decision in report.decisions)):
        assert sentence in page.text
    assert "not run" in page.text
    assert report.provenance["panel_hash"] in page.text


def test_the_reader_learns_how_good_luck_looks_and_who_descends_from_whom(tmp_path):
    report = cycle_report()
    page = Page(write_report(tmp_path, report).html)
    assert report.trial_budget in page.text
    for row in report.genealogy:
        assert row.id in page.text
        assert row.father is None or f"trial {row.father}" in page.text
    assert "immigrant, generation" in page.text


def test_when_nothing_survives_the_page_says_so_first_and_shows_where_each_one_fell(tmp_path):
    report = cycle_report(edge=0.0)
    page = Page(write_report(tmp_path, report).html)
    assert "Nothing was deployed: none of 6 candidates passed every gate" in page.text
    assert page.text.index("Nothing was deployed") < page.text.index(report.summary[0])
    assert all(candidate.stopped_by.reason in page.text for candidate in report.candidates)


def test_a_search_without_candidates_or_curves_is_reported_too_and_old_pictures_go(tmp_path):
    write_report(tmp_path, cycle_report())
    empty = dataclasses.replace(
        cycle_report(),
        candidates=(),
        decisions=(),
        curves=(),
        curve_days=(),
        population=(),
        search=(),
        family_shares={},
        genealogy=(),
        trial_budget="",
    )
    files = write_report(tmp_path, empty)
    assert (files.equity, files.pareto, files.progress, files.families, files.genealogy) == 5 * (None,)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]
    assert "nothing was searched" in Page(files.html).text
    page = Page(write_report(tmp_path, dataclasses.replace(empty, search=cycle_report().search)).html)
    assert "the search put no candidate forward" in page.text
    assert "no genome traded often enough" in page.text


def test_those_that_passed_but_found_no_room_are_not_called_a_failure(tmp_path):
    report = cycle_report()
    waiting = [
        dataclasses.replace(decision, action="wait", reason="pool full: 10 of 10") for decision in report.decisions
    ]
    page = Page(write_report(tmp_path, dataclasses.replace(report, decisions=waiting)).html)
    assert "2 of 6 candidates passed every gate before the shadow pool; none entered" in page.text
    assert "pool full: 10 of 10" in page.text


def test_the_data_hold_every_number_and_null_where_there_is_none(tmp_path):
    report = cycle_report()
    stored = orjson.loads(write_report(tmp_path, report).json.read_bytes())
    assert stored["schema_version"] == "4"
    found = stored["report"]
    assert set(found) == {field.name for field in dataclasses.fields(report)}
    assert found["candidates"][0]["score"] == report.candidates[0].score
    assert found["curves"][2]["values"] == report.curves[2].values
    assert math.isnan(report.candidates[5].gates[-1].value)
    assert found["candidates"][5]["gates"][-1]["value"] is None


def executed_strategy() -> ExecutedStrategy:
    """Return a strategy in accounts of three sizes, each figure a number of its own."""
    names = [field.name for field in dataclasses.fields(AccountFigures)]
    sizes = tuple(
        AccountFigures(**{name: size + place for place, name in enumerate(names)} | {"equity_usd": size})
        for size in SIZES_USD
    )
    return ExecutedStrategy(sizes[1], sizes[1], sizes, 2_000.0, None, 1e9, "h1", "h2")


def test_every_survivor_is_shown_in_accounts_of_three_sizes(tmp_path):
    one = executed_strategy()
    files = write_report(tmp_path, dataclasses.replace(cycle_report(), accounts={"committee_8_1": one}))
    text = Page(files.html).text
    assert "What accounts execute" in text
    for row in ACCOUNT_ROWS:
        assert row.label in text
        assert all(row.show(getattr(size, row.name)) in text for size in one.sizes)
    assert all(sentence in text for sentence in one.sentences)
    stored = orjson.loads(files.json.read_bytes())["report"]["accounts"]["committee_8_1"]
    assert (stored["capacity_usd"], stored["capacity_above_usd"]) == (None, 1e9)
    assert "What accounts execute" not in Page(write_report(tmp_path, cycle_report()).html).text


def test_names_from_outside_stay_text(tmp_path):
    hostile = DataRow(symbol="<script>alert(1)</script>", first="2024-01-01", last="2024-01-02", bars=1, score=1.0)
    page = Page(write_report(tmp_path, dataclasses.replace(cycle_report(), data=[hostile])).html)
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "reports").write_text("a file is in the way")
    with pytest.raises(StorageError) as caught:
        write_report(tmp_path / "reports" / "2025-05-30", cycle_report())
    assert "reports" in caught.value.where


def test_drawing_leaves_no_global_plotting_state_behind(tmp_path):
    script = (
        "import sys; from pathlib import Path\n"
        "from quant_organism.monitoring.report import write_report\n"
        "from quant_organism_tests.monitoring.reports import cycle_report\n"
        "write_report(Path(sys.argv[1]), cycle_report())\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "other")], check=True, env=environment)
    files = write_report(tmp_path / "here", cycle_report())
    for path in (files.json, files.html, files.equity, files.pareto):
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()


def test_what_a_killed_writer_left_is_cleared_away(tmp_path: Path) -> None:
    write_report(tmp_path, cycle_report())
    complete = sorted(path.name for path in tmp_path.iterdir())
    (tmp_path / ".writing-0123456789abcdef").write_bytes(b"half a page")
    write_report(tmp_path, cycle_report())
    assert sorted(path.name for path in tmp_path.iterdir()) == complete
