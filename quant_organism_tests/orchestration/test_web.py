"""The web UI, started for real: a person clicks from a fresh folder to a cycle, its pages, a backfill, a schedule."""

import json
import os
import shutil
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from quant_organism.errors import BusyError, InputError
from quant_organism.orchestration.home import open_instance
from quant_organism.orchestration.web import serve
from quant_organism.workflows.spec import gallery
from quant_organism_tests.browser import Browser, browsing
from quant_organism_tests.program import free_port
from quant_organism_tests.tiny import FIRST, LAST, settings, write_world
from quant_organism_tests.web_ui import serving_ui, workflow_page

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on InvalidSubsetError { message }
  }
}
"""

RUNS = "{ runsOrError { ... on Runs { results { status tags { key value } } } } }"

BACKFILLS = """
{
  partitionBackfillsOrError {
    ... on PartitionBackfills { results { status partitionNames assetSelection { path } runs(limit: 9) { status } } }
  }
}
"""

SCHEDULES = """
{
  schedulesOrError(repositorySelector: {repositoryLocationName: "quant_organism", repositoryName: "__repository__"}) {
    ... on Schedules { results { name scheduleState { status } } }
  }
}
"""

RESULT = """
query Result($asset: AssetKeyInput!, $partition: String!) {
  assetNodeOrError(assetKey: $asset) {
    ... on AssetNode {
      groupName
      assetMaterializations(partitions: [$partition], limit: 1) {
        partition
        metadataEntries { label ... on IntMetadataEntry { intValue } ... on FloatMetadataEntry { floatValue } }
      }
      assetChecksOrError {
        ... on AssetChecks {
          checks { name blocking executionForLatestMaterialization { status evaluation { success description } } }
        }
      }
    }
  }
}
"""

SMALL = {"ISLANDS": "1", "POPULATION": "10", "GENERATIONS": "2"}
"""Size of a search that ends with a survivor."""
LEFT_OUT = ("2024-01-01", "2024-01-02", "2024-01-03")
"""Days that the lookback does not reach."""
SCHEDULE = "workflow_nightly_schedule"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return where a web UI listens that shows a data folder in which nothing has run, and a workflow."""
    folder = tmp_path_factory.mktemp("web")
    (folder / "data" / "workflows").mkdir(parents=True)
    shutil.copy(gallery()["nightly"], folder / "data" / "workflows")
    # What lies in the folder that it is started in is nothing to the program.
    (folder / "polars.py").write_text("raise RuntimeError('imported from the folder')", encoding="utf-8")
    size = ("--profile", "smoke", "--threads", "1", "--lookback-days", str((LAST - FIRST).days + 1 - len(LEFT_OUT)))
    with pytest.MonkeyPatch.context() as environment:
        for name, value in SMALL.items():
            environment.setenv(f"QUANT_ORGANISM_SEARCH__{name}", value)
        with serving_ui(folder, "--world", str(write_world(folder)), *size) as address:
            yield address


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Return a browser whose window is that of a laptop."""
    with browsing(tmp_path_factory.mktemp("browser")) as browser:
        browser.look(width=1500, height=1000)
        yield browser


def ask(address: str, query: str, **variables: Any) -> dict[str, Any]:
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{address}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        said = json.load(answer)
    assert "errors" not in said, said
    return dict(said["data"])


def eventually(look: Callable[[], Any], seconds: float = 300.0) -> Any:
    """Return what a look returns once it is true."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"never true within {seconds:.0f} s"
        time.sleep(0.3)
    return seen


def ended(status: str) -> bool:
    return status in ("SUCCESS", "FAILURE", "CANCELED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED")


@pytest.mark.timeout(900)
def test_a_person_clicks_from_a_fresh_folder_to_a_schedule(address: str, browser: Browser) -> None:
    browser.go(f"{address}/locations/quant_organism/jobs/nightly_evolution")
    browser.click("Materialize all…")
    browser.click("Latest")
    browser.click("Launch 1 run")

    def launched() -> str | None:
        day = {"key": "dagster/partition", "value": LAST.isoformat()}
        runs = ask(address, RUNS)["runsOrError"]["results"]
        return next((run["status"] for run in runs if day in run["tags"] and ended(run["status"])), None)

    assert eventually(launched, 600.0) == "SUCCESS"
    node = ask(address, RESULT, asset={"path": ["market_panel"]}, partition=LAST.isoformat())["assetNodeOrError"]
    (materialization,) = node["assetMaterializations"]
    numbers = {entry["label"]: entry.get("intValue") for entry in materialization["metadataEntries"]}
    assert node["groupName"] == "market"
    assert (numbers["bars"], numbers["assets"], numbers["days"]) == (2808, 3, 117)
    checks = {check["name"]: check for check in node["assetChecksOrError"]["checks"]}
    assert {name: check["blocking"] for name, check in checks.items()} == {"data_quality": True, "as_described": True}
    latest = {name: check["executionForLatestMaterialization"] for name, check in checks.items()}
    assert {name: run["status"] for name, run in latest.items()} == dict.fromkeys(checks, "SUCCEEDED")
    assert "bars score" in latest["data_quality"]["evaluation"]["description"]
    assert "3 rows as described" in latest["as_described"]["evaluation"]["description"]

    # The report stands on the asset's page with its pictures, none cut off; it leads to a tear sheet, that back here.
    browser.go(f"{address}/assets/cycle_report")
    drawn = "[...document.querySelectorAll('img[src*=\"/reports/\"]')]"
    browser.wait(f"{drawn}.length === 4 && {drawn}.every((e) => e.complete && e.naturalWidth)")
    right = "e.getBoundingClientRect().right <= e.closest('table').parentElement.getBoundingClientRect().right"
    browser.wait(f"{drawn}.every((e) => {right})")  # once the columns beside them have their widths
    browser.click("open the report")
    browser.wait("location.pathname.endsWith('/report.html') && !!document.querySelector('a[href^=tear_sheets]')")
    browser.look(width=400, height=900)  # a phone: what is wider scrolls by itself
    browser.wait("document.documentElement.scrollWidth <= innerWidth")
    browser.run("document.querySelector('a[href^=tear_sheets]').click()")
    live = "document.querySelectorAll('figure[data-chart] canvas').length"
    browser.wait(f"location.pathname.includes('/tear_sheets/') && {live} === 3")
    browser.wait("document.documentElement.scrollWidth <= innerWidth")
    browser.look(width=1500, height=1000)
    browser.run(f"document.querySelector('a[href^=\"{address}/\"]').click()")
    browser.wait("location.pathname === '/assets/tear_sheets'")

    browser.go(f"{address}/assets/candles")
    browser.click("Materialize…")
    browser.click("Confirm")  # that funding and sentiment come with them
    browser.enter(f"[{LEFT_OUT[0]}...{LEFT_OUT[-1]}]", "input[placeholder^='ex:']")
    browser.wait("document.body.innerText.includes('3 partitions')")
    browser.click("Launch backfill")

    def filled() -> dict[str, Any] | None:
        found = ask(address, BACKFILLS)["partitionBackfillsOrError"]["results"]
        return next((backfill for backfill in found if ended(backfill["status"])), None)

    backfill = eventually(filled)
    assert backfill["status"] == "COMPLETED_SUCCESS"
    assert [run["status"] for run in backfill["runs"]] == ["SUCCESS"]  # a range of market data is one run
    for day in LEFT_OUT:
        node = ask(address, RESULT, asset={"path": ["candles"]}, partition=day)["assetNodeOrError"]
        assert [one["partition"] for one in node["assetMaterializations"]] == [day]

    def status() -> str:
        schedules = ask(address, SCHEDULES)["schedulesOrError"]["results"]
        return str(next(one["scheduleState"]["status"] for one in schedules if one["name"] == SCHEDULE))

    assert status() == "STOPPED"  # until somebody says otherwise
    browser.go(f"{address}/locations/quant_organism/schedules/{SCHEDULE}")
    switch = "document.querySelector('input[type=checkbox]:not(:disabled)')"
    browser.wait(f"!!{switch}")
    browser.run(f"{switch}.click()")
    assert eventually(lambda: status() == "RUNNING")
    browser.wait(f"{switch}?.checked")


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("asset-groups", ["market", "evolution", "validation", "deployment", "operations"]),
        ("assets/market_panel", ["market_panel", "The aligned arrays that a cycle sees"]),
        ("automation", ["re_evolution", "nightly"]),
        (workflow_page("nightly"), ["nightly__bred", "nightly__court", "nightly__pool"]),
    ],
)
def test_the_page_renders(page: str, words: list[str], address: str, browser: Browser) -> None:
    browser.go(f"{address}/{page}")
    browser.wait(f"{json.dumps(words)}.every((word) => document.body.innerText.includes(word))")
    assert len(browser.picture()) > 20_000


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        with pytest.raises(InputError, match=f"port {port} is in use"):
            serve(settings(tmp_path), {}, "127.0.0.1", port, free_port(), announce=print)


def test_a_web_ui_to_look_at_shows_everything_and_changes_nothing(tmp_path: Path) -> None:
    with serving_ui(tmp_path, "--read-only", "--world", str(write_world(tmp_path))) as where:
        assert ask(where, "{ assetNodes { opName } }")["assetNodes"]
        selector = {
            "repositoryLocationName": "quant_organism",
            "repositoryName": "__repository__",
            "pipelineName": "evolution_cycle",
        }
        refused = ask(where, LAUNCH, params={"selector": selector, "runConfigData": {}, "mode": "default"})
        assert refused["launchRun"]["__typename"] == "UnauthorizedError"


@pytest.mark.timeout(600)
def test_a_second_web_ui_is_refused_and_a_run_under_way_ends_with_the_first_so_that_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = f"ENDED_WITH={tmp_path}"
    monkeypatch.setenv(*mark.split("="))
    monkeypatch.setenv("QUANT_ORGANISM_SEARCH__GENERATIONS", "1000")  # of minutes
    monkeypatch.setenv("QUANT_ORGANISM_SEARCH__POPULATION", "200")
    selector = {
        "repositoryLocationName": "quant_organism",
        "repositoryName": "__repository__",
        "pipelineName": "nightly_evolution",
    }
    tags = [{"key": "dagster/partition", "value": LAST.isoformat()}]
    with serving_ui(tmp_path, "--world", str(write_world(tmp_path)), "--profile", "smoke", "--threads", "1") as where:
        params = {"selector": selector, "runConfigData": {}, "mode": "default", "executionMetadata": {"tags": tags}}
        eventually(lambda: ask(where, LAUNCH, params=params)["launchRun"]["__typename"] == "LaunchRunSuccess")
        eventually(lambda: "evolved_population" in started_steps(where))
        with pytest.raises(BusyError, match="a web UI of this data folder is running already"):
            serve(settings(tmp_path), {}, "127.0.0.1", free_port(), free_port(), announce=print)
    assert [process for process in Path("/proc").glob("[0-9]*") if has_in_its_environment(process, mark)] == []
    with open_instance(tmp_path / "data") as instance:
        runs = [run for run in instance.get_runs() if run.job_name == "nightly_evolution"]
        assert [run.status for run in runs] == [dg.DagsterRunStatus.CANCELED]
    assert "was under way and is interrupted" in (tmp_path / "ui.log").read_text(encoding="utf-8")


def started_steps(address: str) -> list[str]:
    """Return the steps of all runs that have begun."""
    runs = ask(address, "{ runsOrError { ... on Runs { results { stepStats { stepKey } } } } }")
    return [step["stepKey"] for run in runs["runsOrError"]["results"] for step in run["stepStats"]]


def has_in_its_environment(process: Path, variable: str) -> bool:
    """Say whether a living process was started with a variable."""
    with suppress(OSError):
        return process.name != str(os.getpid()) and variable.encode() in (process / "environ").read_bytes().split(b"\0")
    return False
