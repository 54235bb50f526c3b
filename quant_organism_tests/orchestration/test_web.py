"""The web UI, started for real: a person materialises a partition and sees what came of it."""

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from quant_organism.errors import InputError
from quant_organism.orchestration.web import serve
from quant_organism.workflows.spec import gallery
from quant_organism_tests.program import free_port
from quant_organism_tests.tiny import LAST, Workshop
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

STATUS = "query Status($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"

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


@pytest.fixture(scope="module")
def address(finished: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return where a web UI listens that shows a data folder with market data, but no panel yet."""
    folder = tmp_path_factory.mktemp("web")
    shutil.copytree(finished.settings.data_dir / "lake", folder / "data" / "lake")
    shutil.rmtree(folder / "data" / "lake" / "market_panel")
    (folder / "data" / "workflows").mkdir()
    shutil.copy(gallery()["nightly"], folder / "data" / "workflows")
    # What lies in the folder that it is started in is nothing to the program.
    (folder / "polars.py").write_text("raise RuntimeError('imported from the folder')", encoding="utf-8")
    with serving_ui(folder, "--world", str(finished.settings.market.world), "--profile", "smoke") as address:
        yield address


def ask(address: str, query: str, **variables: Any) -> dict[str, Any]:
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{address}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        said = json.load(answer)
    assert "errors" not in said, said
    return dict(said["data"])


def materialize(address: str, assets: Sequence[str], partition: str) -> str:
    """Launch the assets' partition with their checks as the button in the UI does; return the run's final status."""
    selector = {
        "repositoryLocationName": "quant_organism",
        "repositoryName": "__repository__",
        "pipelineName": "evolution_cycle",
        "assetSelection": [{"path": [asset]} for asset in assets],
    }
    tags = [{"key": "dagster/partition", "value": partition}]
    params = {"selector": selector, "runConfigData": {}, "mode": "default", "executionMetadata": {"tags": tags}}
    launched = ask(address, LAUNCH, params=params)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        status = ask(address, STATUS, id=launched["run"]["runId"])["runOrError"]["status"]
        if status in ("SUCCESS", "FAILURE", "CANCELED"):
            return str(status)
        time.sleep(0.3)
    pytest.fail("the run did not end")


def test_a_partition_materialised_in_the_ui_shows_its_numbers_and_its_check(address: str) -> None:
    assert materialize(address, ["market_panel", "candle_quality", "cycles"], LAST.isoformat()) == "SUCCESS"
    node = ask(address, RESULT, asset={"path": ["market_panel"]}, partition=LAST.isoformat())["assetNodeOrError"]
    (materialization,) = node["assetMaterializations"]
    numbers = {entry["label"]: entry.get("intValue") for entry in materialization["metadataEntries"]}
    assert node["groupName"] == "market"
    assert (numbers["bars"], numbers["assets"], numbers["days"]) == (2880, 3, 120)
    checks = {check["name"]: check for check in node["assetChecksOrError"]["checks"]}
    assert {name: check["blocking"] for name, check in checks.items()} == {"data_quality": True, "as_described": True}
    latest = {name: check["executionForLatestMaterialization"] for name, check in checks.items()}
    assert {name: run["status"] for name, run in latest.items()} == dict.fromkeys(checks, "SUCCEEDED")
    assert "bars score" in latest["data_quality"]["evaluation"]["description"]
    assert "3 rows as described" in latest["as_described"]["evaluation"]["description"]


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("asset-groups", ["market", "evolution", "validation", "deployment", "operations"]),
        ("assets/market_panel", ["market_panel", "The aligned arrays that a cycle sees"]),
        ("automation", ["re_evolution", "nightly"]),
        (workflow_page("nightly"), ["nightly__bred", "nightly__court", "nightly__pool"]),
    ],
)
def test_the_page_renders(page: str, words: list[str], address: str, tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1500,1000",
        "--virtual-time-budget=25000",
    ]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    look = [chromium, *flags, profile, "--dump-dom", f"{address}/{page}"]
    dom = subprocess.run(look, capture_output=True, text=True, timeout=120, check=True).stdout
    text = re.sub(r"<(script|style).*?</\1>", "", dom, flags=re.DOTALL)
    assert [word for word in words if word not in text] == []
    picture = tmp_path / "page.png"
    look = [chromium, *flags, profile, f"--screenshot={picture}", f"{address}/{page}"]
    subprocess.run(look, capture_output=True, timeout=120, check=True)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000


def test_a_taken_port_is_named_before_anything_starts(finished: Workshop) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        with pytest.raises(InputError, match=f"port {port} is in use"):
            serve(finished.settings, {}, "127.0.0.1", port, free_port(), announce=print)


def test_a_web_ui_to_look_at_shows_everything_and_changes_nothing(finished: Workshop, tmp_path: Path) -> None:
    with serving_ui(tmp_path, "--read-only", "--world", str(finished.settings.market.world)) as where:
        assert ask(where, "{ assetNodes { opName } }")["assetNodes"]
        selector = {
            "repositoryLocationName": "quant_organism",
            "repositoryName": "__repository__",
            "pipelineName": "evolution_cycle",
        }
        refused = ask(where, LAUNCH, params={"selector": selector, "runConfigData": {}, "mode": "default"})
        assert refused["launchRun"]["__typename"] == "UnauthorizedError"
