"""One word, one meaning: public class names are unique in the package, and what is watched is the shadow pool."""

import ast
import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest

import quant_organism

PACKAGE: Final = Path(quant_organism.__file__).parent

RESERVED: Final[Mapping[str, str]] = {"Decision": "trading", "Fill": "venue", "Order": "venue", "Position": "venue"}
"""Words whose plain form belongs to a room: what is at the venue, and what the runtime wants before risk has spoken."""


@cache
def trees() -> list[tuple[Path, ast.Module]]:
    return [(path, ast.parse(path.read_text())) for path in sorted(PACKAGE.rglob("*.py"))]


@cache
def doubled() -> dict[str, list[str]]:
    """Return the public class names that more than one module has, and which."""
    homes: dict[str, list[str]] = defaultdict(list)
    for path, tree in trees():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(str(path.relative_to(PACKAGE)))
    return {name: modules for name, modules in homes.items() if len(modules) > 1}


def defines(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.ClassDef) and node.name == name


def test_a_public_class_name_means_one_thing() -> None:
    assert doubled() == {}


@pytest.mark.parametrize(("name", "room"), sorted(RESERVED.items()))
def test_a_reserved_word_is_used_in_its_room_only(name: str, room: str) -> None:
    homes = [path.relative_to(PACKAGE) for path, tree in trees() for node in tree.body if defines(node, name)]
    assert [home for home in homes if home.parts[0] != room] == []


def test_the_pool_that_is_watched_is_called_shadow() -> None:
    """No identifier and no text of the package calls a stage or a pool `testing`, but where old documents are read."""
    wrong = []
    for path, tree in trees():
        if path.relative_to(PACKAGE) == Path("deployment/config.py"):
            continue
        for node in ast.walk(tree):
            said = [value for value in vars(node).values() if isinstance(value, str)]
            if any("testing" in re.split(r"[\W_]+", text.lower()) for text in said):
                wrong.append(f"{path.relative_to(PACKAGE)}:{vars(node).get('lineno', '?')}")
    assert wrong == []
