"""Which changes of a room are tried, and which test files are asked about a source."""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from quant_organism_tests.mutants.changes import Change, changes_of

PACKAGE: Final = "quant_organism"
TESTS: Final = "quant_organism_tests"


def sources_of(root: Path, room: str) -> list[Path]:
    """Return the sources of a room, relative to the repository: a folder of the package, or one file without `.py`.

    Raises
    ------
    FileNotFoundError
        Where there is neither.
    """
    place = root / PACKAGE / room
    if place.is_dir():
        return [path.relative_to(root) for path in sorted(place.rglob("*.py"))]
    file = place.with_suffix(".py")
    if not file.is_file():
        raise FileNotFoundError(
            f"{PACKAGE}/{room} is neither a folder nor a file; a room is named like backtest/margin"
        )
    return [file.relative_to(root)]


def draw(root: Path, room: str, seed: int) -> list[Change]:
    """Return all changes of a room in the order in which they are drawn: more draws begin with those of fewer."""
    changes = [
        change for path in sources_of(root, room) for change in changes_of(path.as_posix(), (root / path).read_bytes())
    ]
    random.Random(f"{room} {seed}").shuffle(changes)
    return changes


@dataclass(frozen=True)
class Asked:
    """The test files that are asked about a source.

    Attributes
    ----------
    own
        Those that import it themselves.
    others
        Those that reach it by what they import, first by a helper among the tests.
    """

    own: tuple[Path, ...]
    others: tuple[Path, ...]

    @property
    def files(self) -> list[Path]:
        """All, in the order in which they are asked."""
        return [*self.own, *self.others]

    def only(self, pattern: str) -> Asked:
        """Return those in whose path a regular expression is found, such as `test_(journal|money)`."""
        own, others = (
            tuple(path for path in files if re.search(pattern, path.as_posix())) for files in (self.own, self.others)
        )
        return Asked(own, others)


def asked_about(root: Path, source: Path) -> Asked:
    """Return which files of the deepest test folder that mirrors a source's place reach the source.

    A room's face is reached by those that take a name from it themselves.
    """
    folder = root / TESTS / source.parent.relative_to(PACKAGE)
    while not folder.is_dir():
        folder = folder.parent
    module = source.with_suffix("").as_posix().replace("/", ".")
    groups: tuple[list[Path], list[Path], list[Path]] = ([], [], [])
    for path in sorted(folder.rglob("test_*.py")):
        if source.name == "__init__.py":
            if module.removesuffix(".__init__") in _asked_for_names(root, path):
                groups[0].append(path.relative_to(root))
            continue
        nearness = (_imports(root, path), _named(root, path), _reached(root, path))
        for group, modules in zip(groups, nearness, strict=True):
            if module in modules:
                group.append(path.relative_to(root))
                break
    return Asked(tuple(groups[0]), (*groups[1], *groups[2]))


def helpers_of(root: Path, test: Path) -> list[Path]:
    """Return what a test file rests on among the tests, itself included: a fixture or a helper may be what notices."""
    reached = [_file_of(root, module) for module in _reached(root, root / test) if module.startswith(f"{TESTS}.")]
    fixtures = [root / folder / "conftest.py" for folder in test.parents]
    return sorted(path.relative_to(root) for path in {root / test, *reached, *filter(Path.is_file, fixtures)})


@dataclass(frozen=True)
class Seen:
    """A test as it was seen on unchanged sources.

    Attributes
    ----------
    name
        As pytest names it.
    seconds
        That it took.
    ran
        Functions of the product that it ran, each as `file::Class.function`.
    """

    name: str
    seconds: float
    ran: frozenset[str]

    @property
    def file(self) -> str:
        """Where it stands."""
        return self.name.split("::")[0]

    def runs(self, change: Change) -> bool:
        """Tell whether it runs the function, or for a change outside of functions any of the class or file."""
        if change.within == "module":
            return any(name.startswith(f"{change.file}::") for name in self.ran)
        place = f"{change.file}::{change.within}"
        return place in self.ran or any(name.startswith(f"{place}.") for name in self.ran)


def in_order(change: Change, tests: Sequence[Seen], own: Sequence[Path], within_s: float) -> list[Seen]:
    """Return whom to ask about a change: those that run the changed function first, the quicker the earlier.

    Parameters
    ----------
    change
        What is changed.
    tests
        All that may be asked.
    own
        Files that import the source themselves; of two tests as quick theirs is asked earlier.
    within_s
        Seconds after which nobody else is asked.
    """
    names = {path.as_posix() for path in own}
    asked, spent = [], 0.0
    for test in sorted(tests, key=lambda test: (not test.runs(change), round(test.seconds, 1), test.file not in names)):
        spent += test.seconds
        if asked and spent > within_s:
            break
        asked.append(test)
    return asked


@cache
def _reached(root: Path, path: Path) -> frozenset[str]:
    reached: set[str] = set()
    open_ends = [path]
    while open_ends:
        for module in _imports(root, open_ends.pop()):
            if module not in reached:
                reached.add(module)
                open_ends.append(_file_of(root, module))
    return frozenset(reached)


@cache
def _named(root: Path, path: Path) -> frozenset[str]:
    # What a test imports from a helper among the tests counts as its own.
    named: set[str] = set()
    open_ends, seen = [path], {path}
    while open_ends:
        for module in _imports(root, open_ends.pop()):
            named.add(module)
            helper = _file_of(root, module)
            if module.startswith(f"{TESTS}.") and helper not in seen:
                seen.add(helper)
                open_ends.append(helper)
    return frozenset(named)


@cache
def _imports(root: Path, path: Path) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {_home(root, node.module, alias.name) for alias in node.names}
    return frozenset(module for module in found if module.startswith((PACKAGE, TESTS)) and _exists(root, module))


@cache
@cache
def _asked_for_names(root: Path, path: Path) -> frozenset[str]:
    modules = [node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.ImportFrom)]
    return frozenset(
        name for node in modules for alias in node.names for name in (f"{node.module}", f"{node.module}.{alias.name}")
    )


def _home(root: Path, module: str, name: str) -> str:
    # Where a room's face takes a name from; a module itself is such a name too.
    if _exists(root, f"{module}.{name}"):
        return f"{module}.{name}"
    face = root / module.replace(".", "/") / "__init__.py"
    origin = _offered(face).get(name) if face.is_file() else None
    return module if origin is None else _home(root, origin, name)


@cache
def _offered(face: Path) -> dict[str, str]:
    return {
        alias.name: node.module
        for node in ast.walk(ast.parse(face.read_bytes()))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def _exists(root: Path, module: str) -> bool:
    return _file_of(root, module).is_file()


def _file_of(root: Path, module: str) -> Path:
    place = root / module.replace(".", "/")
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
