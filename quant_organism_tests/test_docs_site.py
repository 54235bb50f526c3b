"""The site of the documentation: built strictly from the repository's Markdown, and complete without a network."""

import json
import re
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from quant_organism_tests.cli_page import COMMANDS, command_page
from quant_organism_tests.conftest import REPOSITORY
from quant_organism_tests.docs_site import _lines, faces

OUTSIDE = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^\s>]*")


def built(folder: Path, **changed: object) -> Path:
    """Build the site into a folder; without the text of docstrings, which takes `make docs` half a minute."""
    build(load_config(str(REPOSITORY / "mkdocs.yml"), site_dir=str(folder), plugins=["search"], **changed))
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("site"))


def test_every_page_of_the_docs_is_in_the_site(site: Path) -> None:
    pages = {page.relative_to(REPOSITORY / "docs").with_suffix(".html") for page in (REPOSITORY / "docs").rglob("*.md")}
    made = {page.relative_to(site) for page in site.rglob("*.html")}
    assert pages < made
    assert {Path("index.html"), *(Path(page).with_suffix(".html") for page in faces())} <= made


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    assert {page.name: outside for page in site.rglob("*.html") if (outside := OUTSIDE.findall(page.read_text()))} == {}
    styles = "".join(style.read_text() for style in site.rglob("*.css"))
    assert re.findall(r"@import|url\([\"']?(?:https?:)?//[^)]*", styles) == []


def test_words_of_the_pages_are_found(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text())
    assert any(place["location"].startswith("risk.html#") and "drawdown" in place["text"] for place in index["docs"])


def test_a_link_that_leads_nowhere_ends_the_build(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "theme").mkdir()
    (docs / "theme" / "house.css").touch()
    (docs / "index.md").write_text("# Home\n\n[there](gone.md)\n")
    with pytest.raises(Abort, match="1 warnings"):
        built(tmp_path / "site", docs_dir=str(docs), nav=["index.md"], hooks=[])


def test_lists_hold_their_blocks_and_files_of_the_repository_are_named() -> None:
    text = "1. so:\n\n   ```text\n   a\n   ```\n<!-- table -->\n| a |\nsee [the rule](../quant_organism/errors.py)."
    assert _lines(text, "page.md") == [
        *("1. so:", "", "    ```text", "    a", "    ```", "", "| a |", "see the rule."),
    ]


def test_the_page_of_commands_is_what_the_program_says() -> None:
    assert COMMANDS.read_text() == command_page(), "make pages"
