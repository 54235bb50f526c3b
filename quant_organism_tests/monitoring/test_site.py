"""The report site, on a real port over a finished cycle: its pages, what it refuses, and how a browser sees it."""

import json
import re
import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from email.message import Message
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from quant_organism.evolution import PopulationTable
from quant_organism.market.stored import encode
from quant_organism.monitoring.pages import IN_A_CELL, SCRIPT
from quant_organism.monitoring.runs import stored_runs
from quant_organism.monitoring.site import HEADERS, serving_site
from quant_organism.validation import StandingTable
from quant_organism.workflows import MinedPatternTable
from quant_organism_tests.browser import browsing
from quant_organism_tests.finished import finished_run

DAGSTER = "http://127.0.0.1:3000"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def get(address: str, *, method: str = "GET", host: str | None = None) -> Answer:
    request = urllib.request.Request(address, method=method, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=50) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read())


def raw(site: str, target: str) -> int:
    """Return the status of a path that is sent as it is: clients tidy dots away before they ask."""
    where = urllib.parse.urlsplit(site)
    with socket.create_connection((where.hostname, where.port), timeout=50) as line:
        line.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        return int(line.recv(4096).split(b" ")[1])


@pytest.fixture(scope="module")
def data_dir() -> Path:
    return finished_run().data_dir


@pytest.fixture(scope="module")
def site(data_dir: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with serving_site(data_dir, "127.0.0.1", port, DAGSTER) as address:
        yield address


@pytest.fixture(scope="module")
def pages(site: str, data_dir: Path) -> dict[str, Answer]:
    """Return every page by its path: those that the index leads to, one of each kind."""
    reports = sorted((data_dir / "reports").glob("*/*/*/*/report.html"))
    sheets = sorted((data_dir / "reports").glob("*/*/*/*/tear_sheets/*.html"))
    (document, *_) = sorted((data_dir / "strategies" / "active").glob("*.json"))
    born = json.loads(document.read_text())["provenance"]
    name = f"{born['market']}/{born['date']}"
    compared = urllib.parse.urlencode({"a": name, "b": name})
    beside = urllib.parse.urlencode([("id", document.stem), ("id", "nobody")])
    files = [f"/reports/{path.relative_to(data_dir / 'reports')}" for path in (*reports, *sheets)]
    month = f"/life/{born['market']}/1h/{born['date'][:7]}"
    paths = [
        "/life",
        month,
        f"{month}..{born['date'][:7]}",
        "/",
        "/pool",
        "/strategies",
        f"/strategies/{document.stem}",
        f"/compare?{compared}",
        f"/compare/strategies?{beside}",
        "/audits",
        *files,
    ]
    return {path: get(site + path) for path in paths}


def test_every_page_is_there_with_its_security_headers_and_loads_nothing_from_elsewhere(
    pages: dict[str, Answer], site: str
) -> None:
    for path, page in pages.items():
        assert page.status == 200, path
        assert {name: page.headers[name] for name in HEADERS} == HEADERS
        loaded = re.findall(r'<(?:script|img|link|iframe)[^>]*(?:src|href)="([^"]*)"', page.text)
        assert all(source.startswith(("/reports/", "data:image/png;base64,")) for source in loaded), path
        assert "<title>" in page.text
        assert f'href="{DAGSTER}' in page.text  # each leads back
        for link in re.findall(r'href="(/[^"]*)"', page.text):
            assert get(site + link.replace("&amp;", "&")).status == 200, (path, link)


def test_pages_say_what_is_at_rest(pages: dict[str, Answer], data_dir: Path) -> None:
    (document, *_) = sorted((data_dir / "strategies" / "active").glob("*.json"))
    stored = json.loads(document.read_text())
    assert stored["id"] in pages["/strategies"].text
    assert f"{stored['fitness']:.2f}" in pages[f"/strategies/{stored['id']}"].text
    assert stored["provenance"]["date"] in pages["/"].text
    (report,) = (data_dir / "reports").glob("*/*/*/*/report.html")
    assert report.parent.name in pages["/"].text
    (text,) = re.findall(r'<script type="application/json">(.*?)</script>', pages[f"/strategies/{stored['id']}"].text)
    chart = json.loads(text)
    (equity,) = chart["panels"][0]["series"]
    assert equity["name"] == stored["id"]
    # An account of the unseen days alone: the days are those of its figures at birth.
    assert equity["values"][-1] - 1.0 == pytest.approx(stored["account"]["total_return"], abs=1e-4)
    counted = re.findall(r"<dt>(\w+)</dt><dd>(\d+)</dd>", pages["/pool"].text)
    assert dict(counted)[stored["stage"]] == "1"


def test_strategies_stand_side_by_side_and_who_is_not_there_is_named(pages: dict[str, Answer], data_dir: Path) -> None:
    (page,) = [answer.text for path, answer in pages.items() if path.startswith("/compare/strategies")]
    (document, *_) = sorted((data_dir / "strategies" / "active").glob("*.json"))
    stored = json.loads(document.read_text())
    assert "There is no document of nobody" in page
    rows = dict(re.findall(r"<tr><th>(.*?)</th><td>(.*?)</td></tr>", page))
    assert rows["Sharpe ratio, unseen days"] == f"{stored['fitness']:.2f}"
    assert rows["return"] == f"{100 * stored['account']['total_return']:.1f} %"
    assert (rows["stage"], rows["born"]) == (stored["stage"], stored["provenance"]["date"])
    (text,) = re.findall(r'<script type="application/json">(.*?)</script>', page)
    assert [one["name"] for one in json.loads(text)["panels"][0]["series"]] == [stored["id"]]


def test_profiles_are_counted_with_what_came_of_them(pages: dict[str, Answer], data_dir: Path) -> None:
    (page,) = [answer.text for path, answer in pages.items() if path.startswith("/compare?")]
    (run,) = stored_runs(data_dir)
    cells = re.findall(r"<td[^>]*>(.*?)</td>", page.partition("<h2>Profiles</h2>")[2])
    summary = run.summary()
    assert cells[:5] == [summary["market"], summary["interval"], summary["profile"], summary["gates"], "1"]
    proven = run.read(StandingTable).filter(standing="paper").height
    assert cells[6:9] == [str(summary["survivors"]), str(proven), str(summary["deployed"])]
    assert cells[9] == f"{run.read(PopulationTable).height:,}"


def test_a_stored_page_of_an_earlier_version_moves_by_todays_script(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    old = '<main><script type="application/json">{"a": 1}</script></main><script>\nalert("of old")</script>'
    (tmp_path / "reports" / "old.html").write_text(old, encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with serving_site(tmp_path, "127.0.0.1", port, DAGSTER) as site:
        page = get(f"{site}/reports/old.html").text
    assert "of old" not in page
    assert f"<script>\n{SCRIPT}</script>" in page
    assert '{"a": 1}' in page


@pytest.mark.parametrize(
    "target",
    [
        "/reports/../strategies/active/x.json",
        "/reports/%2e%2e/lake/layout.json",
        "/reports/..%2flake%2flayout.json",
        "/reports/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/reports//etc/passwd",
        "/reports/%2fetc%2fpasswd",
        "/reports/..\\lake\\layout.json",
        "/reports/%00.html",
        "/reports/" + "a" * 5000 + ".html",
        "/audits/..%2flake%2flayout.json",
        "/reports/",
        "/reports",
        "/strategies/..%2f..%2flake",
        "/life/..%2f..%2flake/1h/2024-01",
        "/life/made/..%2f/2024-01",
        "/life/made/1h/2024-13",
    ],
)
def test_nothing_outside_the_folder_of_reports_is_served(target: str, site: str, data_dir: Path) -> None:
    assert (data_dir / "lake" / "layout.json").exists()
    assert raw(site, target) == 404


def test_a_link_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "secret.json").write_text("{}", encoding="utf-8")
    (tmp_path / "reports" / "link.json").symlink_to(tmp_path / "secret.json")
    (tmp_path / "reports" / "kept.json").write_text("{}", encoding="utf-8")
    (tmp_path / "reports" / "other.sqlite").write_text("", encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with serving_site(tmp_path, "127.0.0.1", port, DAGSTER) as site:
        found = {name: get(f"{site}/reports/{name}").status for name in ("kept.json", "link.json", "other.sqlite")}
        assert found == {"kept.json": 200, "link.json": 404, "other.sqlite": 404}
        # A folder in which nothing has run has pages too.
        for path in ("/", "/pool", "/strategies", "/compare", "/compare/strategies", "/regions", "/audits"):
            assert get(site + path).status == 200


def test_the_page_of_regions_shows_every_pattern_and_a_picture(tmp_path: Path) -> None:
    figures = {f"{part}_{name}": 1.0 for part in ("found", "again") for name in ("effect", "low", "high", "sharpe")}
    row: dict[str, Any] = {
        **{name: 3 if kind == pl.Int64 else 0.5 for name, kind in MinedPatternTable.schema.items()},
        **{name: date(2025, 1, 1) for name, kind in MinedPatternTable.schema.items() if kind == pl.Date},
        **figures,
        "status": "confirmed",
    }
    row |= {"kind": "genes", "asset": "", "regime": ""}
    one = {**row, "id": "aaaa", "family": "rsi_filter", "ranges": '{"rsi_period":[null,14.0]}'}
    unasked = {name: None for name in row if name.startswith("again_")}
    two = {**row, "id": "bbbb", "family": "<b>", "ranges": "{}", "status": "found", **unasked}
    three = {**row, "id": "cccc", "family": "rsi_filter", "ranges": "{}", "kind": "regime", "regime": "mood: fear"}
    folder = tmp_path / "lake" / MinedPatternTable.dataset / "interval=1h" / "date=2025-01-01"
    folder.mkdir(parents=True)
    (folder / "part.parquet").write_bytes(encode(MinedPatternTable, MinedPatternTable.frame([one, two, three])))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with serving_site(tmp_path, "127.0.0.1", port, DAGSTER) as site:
        text = get(f"{site}/regions").text
    assert "rsi_filter: rsi_period to 14" in text
    assert "rsi_filter after mood: fear" in text
    assert "&lt;b&gt;" in text
    assert "<b>" not in text
    assert 'src="data:image/png;base64,' in text


def test_only_looking_is_possible_and_only_from_this_machine(site: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert get(f"{site}/", method=method).status == 405
    assert get(f"{site}/", host="evil.example").status == 400


def test_a_comparison_with_what_is_not_there_says_so(site: str) -> None:
    page = get(f"{site}/compare?a=nobody&b=%3Cscript%3Ealert(1)%3C/script%3E")
    assert page.status == 200
    assert "there is no cycle" in page.text
    assert "<script>alert" not in page.text


def test_a_page_on_another_port_shows_the_pictures_as_the_web_ui_does(
    site: str, data_dir: Path, tmp_path: Path
) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    (picture,) = (data_dir / "reports").glob("*/*/*/*/equity.png")
    source = f"{site}/reports/{picture.relative_to(data_dir / 'reports')}"
    widths = "document.title=[...document.images].map(e=>e.naturalWidth)"  # as wide as they are is how they are shown
    html = f"<img src='{source}'><img src='{source}?{IN_A_CELL}'><script>window.onload=()=>{{{widths}}}</script>"
    (tmp_path / "index.html").write_text(html, encoding="utf-8")
    answers = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), answers) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        flags += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=4000", "--dump-dom"]
        look = [chromium, *flags, f"http://127.0.0.1:{other.server_port}/index.html"]
        dom = subprocess.run(look, capture_output=True, text=True, timeout=50, check=True).stdout
        other.shutdown()
    assert "<title>1280,520</title>" in dom


def test_a_browser_draws_the_charts_at_the_width_of_a_phone(
    site: str, pages: dict[str, Answer], tmp_path: Path
) -> None:
    """One look for all: the tear sheet has every kind of chart, and the scripts say whether they ran."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    (sheet, *_) = [path for path in pages if "/tear_sheets/" in path]
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=400,900", "--virtual-time-budget=4000"]
    look = [chromium, *flags, "--dump-dom", site + sheet]
    dom = subprocess.run(look, capture_output=True, text=True, timeout=150, check=True).stdout
    assert re.search(r'<html[^>]*class="moves"', dom)  # the script ran to its end, so the policy let it
    charts = re.findall(r"<figure[^>]*data-chart[^>]*>", dom)
    assert len(charts) == 3
    assert all("live" in chart for chart in charts)
    assert dom.count("<canvas") == 3
    assert 'type="search"' in dom


def test_on_a_phone_what_counts_stands_in_sight(site: str, pages: dict[str, Answer], tmp_path: Path) -> None:
    (report,) = [path for path in pages if path.endswith("/report.html")]
    with browsing(tmp_path) as browser:
        browser.look(width=400, height=900)
        browser.go(site + report)
        browser.wait("document.readyState === 'complete' && document.querySelector('.matrix') !== null")
        first = "[...document.querySelectorAll('.matrix tbody tr')].filter((e) => e.cells.length > 3)"
        assert browser.run(f"{first}.length") > 20
        assert browser.run(f"{first}.every((e) => e.cells[3].getBoundingClientRect().right <= innerWidth)")
        # Of a stage that it is needed for, the narrow table tells beneath the name of the gate.
        assert browser.run(f"{first}.every((e) => e.cells[0].innerText.endsWith(e.cells[1].textContent))")
        browser.look(width=1300, height=900)  # the wide one has a column for it
        assert browser.run("[...document.querySelectorAll('.narrow')].every((e) => e.offsetHeight === 0)")
        browser.look(width=400, height=900)
        reasons = "[...document.querySelectorAll('.words td:last-child')]"
        assert browser.run(f"{reasons}.length") > 1
        assert browser.run(f"{reasons}.every((e) => e.getBoundingClientRect().width > 300)")
        (sheet, *_) = [path for path in pages if "/tear_sheets/" in path]
        browser.go(site + sheet)
        parts = "[...document.querySelectorAll('table')].find((e) => e.rows[0].cells[0].textContent === 'part')"
        browser.wait(f"document.readyState === 'complete' && {parts} !== undefined")
        profit = f"[...{parts}.tHead.rows[0].cells].find((e) => e.textContent === 'profit, USD')"
        assert browser.run(f"{profit}.getBoundingClientRect().right <= innerWidth")


def test_a_person_filters_by_a_number_ticks_and_compares(site: str, data_dir: Path, tmp_path: Path) -> None:
    (document, *_) = sorted((data_dir / "strategies" / "active").glob("*.json"))
    fitness = json.loads(document.read_text())["fitness"]
    count = len(list((data_dir / "strategies").glob("*/*.json")))
    filtered = """(text => {
        const box = document.querySelector("input[type=search]");
        box.value = text;
        box.dispatchEvent(new Event("input"));
        const shown = [...document.querySelectorAll("tbody tr")].filter(row => !row.hidden);
        return shown.map(row => row.cells[0].innerText.trim());
    })"""
    with browsing(tmp_path) as browser:
        browser.look(width=1200, height=900)
        browser.go(f"{site}/strategies")
        browser.wait("document.documentElement.className === 'moves'")
        assert document.stem in browser.run(f"{filtered}('sharpe>{fitness - 0.1:.2f}')")
        assert document.stem not in browser.run(f"{filtered}('sharpe<{fitness - 0.1:.2f}')")
        assert browser.run(f"{filtered}('nobody>1')") == []  # no such column: a plain word
        assert len(browser.run(f"{filtered}('')")) == count
        browser.run(f"document.querySelector('input[value={document.stem}]').click()")
        browser.click("Compare the ticked ones")
        browser.wait("document.title.startsWith('Side by side') && document.querySelector('canvas') !== null")
        assert browser.run("document.querySelector('.beside thead').innerText.trim()") == document.stem
