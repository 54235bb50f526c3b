"""Pictures for the docs: report site and web UI, from a data folder in which runs have been, and a workflow.

``python -m quant_organism_tests.pictures DATA_DIR`` (`make pictures`) writes `docs/images/`, 256 colours each. With
``--year DATA_DIR`` it takes the picture of a year alone, from a folder in which weeks were lived through.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from PIL import Image

from quant_organism.deployment.repository import StrategyRepository
from quant_organism.monitoring.life import months_of
from quant_organism.monitoring.runs import stored_runs
from quant_organism.monitoring.site import serving_site
from quant_organism.workflows.spec import gallery
from quant_organism_tests.browser import Browser, browsing
from quant_organism_tests.conftest import REPOSITORY
from quant_organism_tests.program import free_port
from quant_organism_tests.web_ui import serving_ui, workflow_page

PICTURES: Final = REPOSITORY / "docs" / "images"
_MOST_BESIDE: Final = 3


def take(browser: Browser, address: str, path: Path, *, width: int = 1100, height: int, until: str) -> None:
    """Write a picture of a page once something is true of it; sizes in pixels."""
    browser.look(width=width, height=height)
    browser.go(address)
    browser.wait(f"document.readyState === 'complete' && {until}", seconds=300)
    keep(browser, path)


def keep(browser: Browser, path: Path) -> None:
    """Write a picture of what the browser shows."""
    buffer = io.BytesIO()
    shown = Image.open(io.BytesIO(browser.picture()))
    shown.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(buffer, "png", optimize=True)
    path.write_bytes(buffer.getvalue())
    print(f"{path.relative_to(REPOSITORY)}  {len(buffer.getvalue()) // 1024} KB")  # noqa: T201


def main(data_dir: Path) -> None:
    """Take all pictures; a data folder without a strategy that has a tear sheet is refused."""
    best = StrategyRepository(data_dir / "strategies").load_all().documents
    sheets = sorted((data_dir / "reports").glob("*/*/*/*/tear_sheets/*.html"))
    if not best or not sheets:
        sys.exit(f"{data_dir} holds no strategy with a tear sheet: quant-organism run")
    port = free_port()
    beside = urlencode([("id", document.id) for document in best[:_MOST_BESIDE]])
    sheet = sheets[-1].relative_to(data_dir / "reports")
    with (
        tempfile.TemporaryDirectory() as folder,
        serving_site(data_dir, "127.0.0.1", port, "http://127.0.0.1:3000") as site,
        browsing(Path(folder)) as browser,
    ):
        drawn = "document.documentElement.className === 'moves' && document.querySelector('canvas') !== null"
        take(browser, f"{site}/compare/strategies?{beside}", PICTURES / "compare.png", height=1250, until=drawn)
        take(browser, f"{site}/reports/{sheet}", PICTURES / "tear-sheet.png", height=1500, until=drawn)
        report = sheet.parent.parent / "report.html"
        take(browser, f"{site}/reports/{report}", PICTURES / "report.png", height=1250, until="true")
    click_through(data_dir)
    with tempfile.TemporaryDirectory() as folder:
        workflows = Path(folder) / "data" / "workflows"
        workflows.mkdir(parents=True)
        shutil.copy(gallery()["nightly"], workflows)
        with serving_ui(Path(folder), "--world", "demo") as web, browsing(Path(folder)) as browser:
            drawn = "document.body.innerText.split('Never materialized').length > 3"
            take(browser, f"{web}/{workflow_page('nightly')}", PICTURES / "workflow.png", height=640, until=drawn)


def take_year(data_dir: Path) -> None:
    """Take the picture of the weeks that were lived through in a data folder."""
    ((market, interval, months),) = months_of(data_dir)
    first = min(run.day for run in stored_runs(data_dir))
    with (
        tempfile.TemporaryDirectory() as folder,
        serving_site(data_dir, "127.0.0.1", free_port(), "http://127.0.0.1:3000") as site,
        browsing(Path(folder)) as browser,
    ):
        drawn = "document.documentElement.className === 'moves' && document.querySelector('canvas') !== null"
        address = f"{site}/life/{market}/{interval.name}/{first}..{months[0]}"
        take(browser, address, PICTURES / "year.png", height=1250, until=drawn)


def click_through(data_dir: Path) -> None:
    """Take the pictures of what a person clicks in the web UI, on a copy of the data folder."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(data_dir, Path(folder) / "data")
        # Assets keep the address that their run was told, and show their pictures from there.
        with (
            serving_ui(Path(folder), "--world", "demo", "--site-port", "3001") as web,
            browsing(Path(folder)) as browser,
        ):
            edges = "[...document.querySelectorAll('path')].some((e) => e.getTotalLength() > 500)"
            take(browser, f"{web}/asset-groups", PICTURES / "ui.png", width=1400, height=640, until=edges)
            shown = "[...document.images].some((e) => e.src.includes('/reports/') && e.naturalWidth)"
            take(browser, f"{web}/assets/cycle_report", PICTURES / "cycle.png", width=1500, height=1000, until=shown)
            browser.go(f"{web}/assets/candles")
            browser.click("Materialize…")
            browser.click("Confirm")
            browser.enter("[2024-06-01...2024-06-03]", "input[placeholder^='ex:']")
            browser.wait("document.body.innerText.includes('3 partitions')")
            keep(browser, PICTURES / "backfill.png")
            on = "document.querySelectorAll('input:checked').length >= 3"
            take(browser, f"{web}/automation", PICTURES / "automation.png", width=1400, height=420, until=on)


if __name__ == "__main__":
    if sys.argv[1] == "--year":
        take_year(Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]))
