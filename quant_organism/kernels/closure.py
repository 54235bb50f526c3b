"""Which sources compute something: the import closure of the modules that it begins with, and its digest.

What binds a result to code is the digest of these files and of nothing else, so that a help text that changes costs
neither a look at unseen days nor hours of kept work. Imports are read from the sources, none is executed:

- Every import counts, also one inside a function or behind a condition. Only those under `if TYPE_CHECKING` do not.
- The face of a room (the `__init__` of a package) names what others may use and computes nothing. A name taken from it
  leads to the module that defines the name, through the imports of the face (those under `TYPE_CHECKING` too, which
  stand for what it loads when it is asked for), and the face does not count: else a room would be one piece, and a
  name added to its face a change of all that is taken from it. A face does count, with all that it imports, where it
  is imported as a whole, as a register of families is, where a name is taken that it defines itself, and, for all
  that lies below it, where it does more than define, import, and say how names are loaded when they are asked for.
- A module that imports by a computed name counts with every module below the package that the name begins with.
- Whole files are digested, comments too: the digest stands for what a reader takes for the code.

Data files of the package are in no closure. Each reaches a result through an object that is hashed by its content and
stands in an identity beside the code: profiles of gates, of searches and of audits by hashes of their own, planted
edges by that of their list, worlds by the hash of the panel that is made of them.
"""

from __future__ import annotations

import ast
import hashlib
import platform
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

PACKAGE_FOLDER: Final = Path(__file__).resolve().parent.parent
"""The folder of the package."""

_PACKAGE: Final = PACKAGE_FOLDER.name
_FACE: Final = "__init__.py"
_EVERYTHING: Final = "*"
_LOADERS: Final = frozenset({"import_module", "__import__"})
_DEFINITIONS: Final = (
    ast.Import,
    ast.ImportFrom,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Assign,
    ast.AnnAssign,
)
_NUMERIC: Final = ("deap", "numba", "numpy", "polars", "scikit-learn", "scipy")

Taken = tuple[str, str]
"""A module, and the name that is taken from it: empty for the module as a whole, `*` for all below it."""

_IMPORT: Final = re.compile(
    r"^[ \t]*(?:from[ \t]+[\w.]+[ \t]+import[ \t]+(?:\([^)]*\)|.+)|import[ \t]+\w.*)", re.MULTILINE
)
_FOR_TYPES: Final = re.compile(r"^([ \t]*)if TYPE_CHECKING:\n(?:\1[ \t]+.*\n|[ \t]*\n)*", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """What a file of the package imports.

    Attributes
    ----------
    taken
        Modules of the package and the names that are taken from them.
    digest
        SHA-256 (hex) of where it lies in the package and of its bytes.
    """

    taken: tuple[Taken, ...]
    digest: str


def closure(modules: Iterable[str]) -> tuple[Path, ...]:
    """Return the files that what some modules compute rests on, sorted.

    Parameters
    ----------
    modules
        Full names, such as `quant_organism.validation.replay`.

    Raises
    ------
    ModuleNotFoundError
        The package has no such module.
    """
    reached: set[Path] = set()
    waiting = [path for module in modules for path in _files_of(module, "")]
    while waiting:
        if (path := waiting.pop()) not in reached:
            reached.add(path)
            waiting += _beneath(path)
    return tuple(sorted(reached))


@cache
def code_digest(*modules: str) -> str:
    """Return the SHA-256 (hex) of the closure of some modules: of each file, where it lies and its bytes.

    Raises
    ------
    ModuleNotFoundError
        The package has no such module.
    """
    return hashlib.sha256("\n".join(source_of(path).digest for path in closure(modules)).encode()).hexdigest()


@cache
def code_identity(*modules: str) -> str:
    """Return what must be equal for equal inputs to give equal bits: digest of the closure, and versions beneath it.

    The versions are those of Python and of the packages that numbers and random choices come from: kernels (numba),
    arrays and random numbers (numpy), special functions and clusters (scipy), fits (scikit-learn), random trees (deap)
    and sums over tables (polars). They are the same for every computation, since these packages rest on one another.
    Packages that only carry data from place to place do not belong to it.
    """
    parts = [f"python {platform.python_version()}", *(f"{name} {version(name)}" for name in _NUMERIC)]
    return f"{code_digest(*modules)[:16]} ({', '.join(parts)})"


@cache
def source_of(path: Path) -> Source:
    """Return what a file of the package imports; it is read once in a process.

    Import statements are found by their lines and only they are parsed, which takes a tenth of the time of parsing the
    file: every process that loads kernels asks for the digests of all of them.
    """
    content = path.read_bytes()
    text, package = content.decode(), _name_of(path.parent)
    executed = _FOR_TYPES.sub("", text)
    taken = [origin for _, origin in _imported(executed, package)]
    if any(f"{loader}(" in executed for loader in _LOADERS):
        taken += _loaded_by_name(ast.parse(executed), package)
    place = path.relative_to(PACKAGE_FOLDER).as_posix()
    return Source(
        taken=tuple(dict.fromkeys(taken)),
        digest=hashlib.sha256(f"{place}\0".encode() + content).hexdigest(),
    )


def _imported(text: str, package: str) -> Iterator[tuple[str, Taken]]:
    """Yield the names that a source binds to modules and names of the package, each with what is taken."""
    for node in ast.parse("\n".join(statement.lstrip() for statement in _IMPORT.findall(text))).body:
        for bound, (module, name) in _names_of(node, package):
            if module.partition(".")[0] == _PACKAGE:
                yield bound, (module, name)


def _names_of(node: ast.stmt, package: str) -> Iterator[tuple[str, Taken]]:
    if isinstance(node, ast.Import):
        yield from ((alias.asname or alias.name, (alias.name, "")) for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
        module = ".".join([*above, *([node.module] if node.module else [])])
        yield from (
            (alias.asname or alias.name, (module, "" if alias.name == "*" else alias.name)) for alias in node.names
        )


def _loaded_by_name(tree: ast.Module, package: str) -> Iterator[Taken]:
    """Yield what a module imports by names that it says or computes."""
    for call in ast.walk(tree):
        if not (
            isinstance(call, ast.Call) and {getattr(call.func, "id", ""), getattr(call.func, "attr", "")} & _LOADERS
        ):
            continue
        said = call.args[0] if call.args else None
        begin = said.values[0] if isinstance(said, ast.JoinedStr) else None
        if isinstance(said, ast.Constant):
            if str(said.value).partition(".")[0] == _PACKAGE:
                yield str(said.value), ""
        elif isinstance(begin, ast.Constant) and str(begin.value).startswith(f"{_PACKAGE}."):
            yield str(begin.value).rpartition(".")[0], _EVERYTHING
        else:
            yield package, _EVERYTHING


@cache
def _exports(face: Path) -> dict[str, Taken]:
    """Return where each name of a face comes from, those that it loads when they are asked for too."""
    return dict(_imported(face.read_text(encoding="utf-8"), _name_of(face.parent)))


@cache
def _beneath(path: Path) -> tuple[Path, ...]:
    """Return the files that a file of the package imports from."""
    return tuple({found for module, name in source_of(path).taken for found in _files_of(module, name)})


@cache
def _files_of(module: str, name: str) -> tuple[Path, ...]:
    """Return the files that count where a name is taken from a module, and the faces that are executed before it."""
    files = tuple(_defining(module, name))
    return (*files, *(face for folder in {path.parent for path in files} for face in _executed(folder)))


@cache
def _executed(folder: Path) -> tuple[Path, ...]:
    """Return the faces of a folder and of those around it that do more than define and import."""
    faces = [around / _FACE for around in (folder, *folder.parents) if around.is_relative_to(PACKAGE_FOLDER)]
    return tuple(face for face in faces if face.is_file() and not _only_defines(face))


def _defining(module: str, name: str) -> Iterator[Path]:
    path = _path_of(module)
    if name == _EVERYTHING:
        yield from sorted(path.parent.rglob("*.py")) if path.name == _FACE else [path]
    elif path.name != _FACE or not name:
        yield path
    elif (origin := _exports(path).get(name)) is not None and origin != (module, name):
        yield from _defining(*origin)
    elif _is_module(f"{module}.{name}"):
        yield _path_of(f"{module}.{name}")
    else:
        yield path


def _only_defines(face: Path) -> bool:
    return all(map(_defines, ast.parse(face.read_bytes()).body))


def _defines(node: ast.stmt) -> bool:
    """Say whether a statement defines or imports; one behind `if not TYPE_CHECKING` may define how names are loaded."""
    if isinstance(node, ast.If):
        negated = isinstance(node.test, ast.UnaryOp) and isinstance(node.test.op, ast.Not)
        condition = node.test.operand if isinstance(node.test, ast.UnaryOp) else node.test
        for_types = getattr(condition, "id", "") == "TYPE_CHECKING"
        return for_types and not node.orelse and (not negated or all(map(_defines, node.body)))
    return isinstance(node, _DEFINITIONS) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _name_of(folder: Path) -> str:
    return ".".join((_PACKAGE, *folder.relative_to(PACKAGE_FOLDER).parts))


def _is_module(name: str) -> bool:
    path = PACKAGE_FOLDER.joinpath(*name.split(".")[1:])
    return path.with_suffix(".py").is_file() or (path / _FACE).is_file()


def _path_of(module: str) -> Path:
    path = PACKAGE_FOLDER.joinpath(*module.split(".")[1:])
    for file in (path / _FACE, path.with_suffix(".py")):
        if file.is_file() and module.partition(".")[0] == _PACKAGE:
            return file
    raise ModuleNotFoundError(f"there is no module {module} in {PACKAGE_FOLDER}", name=module)
