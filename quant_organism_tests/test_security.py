"""The page on security names tests that exist, and what of the machine must not matter does not."""

import ast
import re
import stat

import pytest

from quant_organism_tests.conftest import REPOSITORY
from quant_organism_tests.finished import finished_run, killed_far_away

PAGE = REPOSITORY / "docs" / "security.md"
TESTS = REPOSITORY / "quant_organism_tests"


def test_every_defence_names_a_test_that_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE.read_text())
    table = PAGE.read_text().partition("## What holds")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert [row for row in rows if "::" not in row] == []
    trees = {file: ast.walk(ast.parse((TESTS / file).read_text())) for file, _ in named}
    there = {file: {node.name for node in tree if isinstance(node, ast.FunctionDef)} for file, tree in trees.items()}
    assert [(file, name) for file, name in named if name not in there[file]] == []


@pytest.mark.slow
def test_a_time_zone_changes_no_byte() -> None:
    here, elsewhere = finished_run().data_dir, killed_far_away().data_dir
    with_moments = {"holdout_openings", "holdout_register"}
    files = [path.relative_to(here) for path in sorted(here.rglob("*")) if path.is_file()]
    lake = [path for path in files if path.parts[0] in ("lake", "strategies") and not with_moments & set(path.parts)]
    assert len(lake) > 400
    assert [str(path) for path in lake if (here / path).read_bytes() != (elsewhere / path).read_bytes()] == []


@pytest.mark.slow
def test_what_a_cycle_leaves_is_the_owners_alone_under_the_services_umask() -> None:
    elsewhere = killed_far_away().data_dir
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [elsewhere, *elsewhere.rglob("*")]}
    assert [str(path) for path, mode in modes.items() if mode & 0o077] == []
